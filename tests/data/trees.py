"""Small folders of files, and the tables in them, written and read whole."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading


def write(root: Path, files: Mapping[str, bytes | str]) -> Path:
    """Make a folder of files, each with its content, and the folders they need; a path that ends in / is a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def without(files: Mapping[str, bytes | str], *gone: str) -> dict[str, bytes]:
    """What `read` gives once some files have gone."""
    content = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return {name: data for name, data in content.items() if name not in gone and not name.endswith("/")}


def labels_of(root, **reading):
    """What the public API says: the label of every sample, or None, by id."""
    dataset = open_dataset(str(root), Reading(**reading))
    classes = (*dataset.classes, None)
    return {name: classes[code] for name, code in zip(dataset.ids, dataset.labels.tolist(), strict=True)}


def lines(header, records, delimiter=",", end="\n", **how):
    """A CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, **how)
    writer.writerows([header, *records])
    return buffer.getvalue()


def json_lines(header, records):
    """The same as JSON lines."""
    return "".join(json.dumps(dict(zip(header, record, strict=True))) + "\n" for record in records)


def parquet(header, records):
    """The same as Parquet."""
    buffer = io.BytesIO()
    pl.DataFrame([dict(zip(header, record, strict=True)) for record in records]).write_parquet(buffer)
    return buffer.getvalue()
