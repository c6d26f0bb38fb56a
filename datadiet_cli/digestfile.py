"""The digests of a run as its report has them, and the Parquet file beside it where they are very many."""

import os
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from datadiet_cli.data.mirror import local
from datadiet_cli.data.quiet import sound_parquet
from datadiet_cli.data.wording import escaped, text_column
from datadiet_cli.digests import Content, Contents, digest_of

ENDING = ".digests.parquet"
"""Of the name of the file that stands beside OUTPUT, where there are too many for the report."""
INLINE = 10_000
ALGORITHM = "xxh3-128"
INPUT, OUTPUT, BOTH, BESIDE = "input", "output", "both", "beside"
"""Where a file is: in INPUT, in OUTPUT, the same in both, or beside OUTPUT, by the end of its name."""
COLUMNS = ("path", "bytes", "digest", "where")
Row = tuple[str, int, str | None, str]
"""A file: one value for each of `COLUMNS`."""


def rows_of(inside: Contents, published: Contents, beside: Contents) -> list[Row]:
    """One row for each file, sorted; what is the same in INPUT and OUTPUT has one for both."""
    rows: list[Row] = [(path, *content, BESIDE) for path, content in beside.items()]
    for path, content in inside.items():
        rows.append((path, *content, BOTH if published.get(path) == content and content.digest else INPUT))
    same = {row[0] for row in rows if row[3] == BOTH}
    rows += [(path, *content, OUTPUT) for path, content in published.items() if path not in same]
    return sorted(rows, key=lambda row: (row[0], row[3]))


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows as JSON objects."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def as_parquet(rows: Sequence[Row]) -> bytes:
    """The rows as a Parquet file."""
    import polars as pl

    path, size, digest, where = zip(*rows, strict=True)
    frame = pl.DataFrame(
        [
            text_column("path", path),
            pl.Series("bytes", size, dtype=pl.Int64),
            pl.Series("digest", digest, dtype=pl.String),
            pl.Series("where", where, dtype=pl.String),
        ]
    )
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def from_parquet(content: bytes) -> list[Row]:
    """The rows of a Parquet file.

    Raises:
        ValueError: it is none of digests.
    """
    import polars as pl

    with sound_parquet():
        return checked(pl.read_parquet(BytesIO(content)).select(COLUMNS).rows())


def from_json(files: Any) -> list[Row]:
    """The rows of JSON objects.

    Raises:
        ValueError: they are none of digests.
    """
    if not isinstance(files, list) or not all(isinstance(f, dict) and f.keys() == set(COLUMNS) for f in files):
        raise ValueError("no list of files")
    return checked([tuple(file[name] for name in COLUMNS) for file in files])


def checked(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """The rows with their names escaped, once it is sure that they are what they should be.

    Raises:
        ValueError: they are not, or two files of a place cannot be told apart by their names.
    """
    told: list[Row] = []
    for path, size, digest, where in rows:
        known = isinstance(path, str) and where in (INPUT, OUTPUT, BOTH, BESIDE)
        if not known or type(size) is not int or not (digest is None or isinstance(digest, str)):
            raise ValueError("a row that is no file")
        told.append((escaped(path), size, digest, where))
    for places in ((INPUT, BOTH), (OUTPUT, BOTH), (BESIDE,)):
        names = [path for path, _, _, where in told if where in places]
        if len(set(names)) < len(names):
            raise ValueError("two files of one name")
    return told


def contents_in(rows: Iterable[Row], *places: str) -> dict[str, Content]:
    """The files that are in one of some places."""
    return {path: Content(size, digest) for path, size, digest, where in rows if where in places}


def block_of(rows: Sequence[Row], output: str) -> tuple[dict[str, Any], bytes | None]:
    """The digests as the report has them, and what stands beside OUTPUT for them, if they are very many."""
    block = {"algorithm": ALGORITHM, "count": len(rows), "file": None, "check": None}
    if len(rows) <= INLINE:
        return {**block, "files": as_json(rows)}, None
    content = as_parquet(rows)
    name = os.path.basename(output.rstrip("/")) + ENDING
    return {**block, "file": name, "check": digest_of(content), "files": []}, content


def read_rows(document: Mapping[str, Any], report: str) -> list[Row] | None:
    """The digests of a report, from wherever they are; None if it has none.

    Raises:
        OSError: the file beside the report cannot be read.
        ValueError: it, or the report, is damaged.
    """
    block = document.get("digests")
    if block is None:
        return None
    if not isinstance(block, dict) or not {"files", "count"} <= block.keys():
        raise ValueError("no digests")
    content = read_beside(block, report)
    rows = from_json(block["files"]) if content is None else from_parquet(content)
    if len(rows) != block["count"]:
        raise ValueError("digests are missing")
    return rows


def read_beside(block: Mapping[str, Any], report: str) -> bytes | None:
    """The file beside a report that a block of it names, whole as it was; None if it names none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what was written.
    """
    name = block.get("file")
    if name is None:
        return None
    if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".", ".."):
        raise ValueError("a name that leads elsewhere")
    with open(local(os.path.join(os.path.dirname(report), name)), "rb") as file:
        content = file.read()
    if digest_of(content) != block.get("check"):
        raise ValueError(f"{name} is not what was written")
    return content
