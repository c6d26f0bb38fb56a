"""The record of trainings: which samples it is of, and how it is found again."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import xxhash

from datadiet_cli.data.publish import write_atomically
from datadiet_cli.data.wording import text_column
from datadiet_cli.errors import InputError
from datadiet_cli.steps.teaching.lessons import Lesson
from datadiet_cli.steps.teaching.material import Ints, Material

if TYPE_CHECKING:
    from datadiet_cli.nn.record import Facts, Record

RECORD, SAMPLES = "record", "samples.parquet"
"""In the folder of a model: its record, and in that which sample stands in which row."""
PART = "part.json"
"""In the folder of a model of a record: how far it is."""


def facts_of(material: Material, lessons: Sequence[Lesson], rows: Ints, how: Literal["batch", "epoch"]) -> "Facts":
    """What a record is of.

    Args:
        material: of all lessons.
        lessons: the trainings.
        rows: (n,) int64 positions of the samples that have a row in the record, in order.
        how: by batches or by a look after each epoch.
    """
    from datadiet_cli.nn.record import Facts
    from datadiet_cli.nn.recorder import quantities_of

    first = lessons[0]
    dataset, goal = material.dataset, material.goal
    told = json.dumps([dataset.source.ids(dataset.rows[rows]), goal.values[rows].tolist()])
    return Facts(
        samples=len(rows),
        epochs=first.recipe.epochs if first.recipe.stop is None else first.recipe.stop,
        seeds=tuple(lesson.seed for lesson in lessons),
        how=how,
        quantities=quantities_of(len(first.spec.classes), len(rows)),
        fingerprint=dataset.source.fingerprint(),
        labels=xxhash.xxh3_128_hexdigest(told.encode()),
        spec=first.spec.as_json(),
        recipe=first.recipe.as_json(),
    )


@contextmanager
def record_at(folder: str, facts: "Facts") -> "Iterator[Record]":
    """The record that was begun in a folder, or one for the moment where that is not seen from here; see `files_of`."""
    from datadiet_cli.nn.record import Record

    if os.path.isfile(os.path.join(folder, "record.json")):
        yield Record(folder, facts)
        return
    with tempfile.TemporaryDirectory(prefix="datadiet-") as own:
        yield Record.create(os.path.join(own, RECORD), facts)


def files_of(record: "Record", number: int, folder: str) -> dict[str, bytes]:
    """The files of one model by name, for who has the record of that folder; none if this is the one."""
    if record.folder == folder:
        return {}
    return {os.path.basename(path): Path(path).read_bytes() for path in _files(record, number)}


def put_files(record: "Record", number: int, files: Mapping[str, bytes]) -> None:
    """Put what `files_of` gave into the record that it is of."""
    for path in _files(record, number) if files else ():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(path, files[os.path.basename(path)])


def _files(record: "Record", number: int) -> list[str]:
    """The files of one model; the one that makes it complete is the last."""
    held = [record.path(quantity, number) for quantity in record.facts.quantities]
    return [*held, os.path.join(os.path.dirname(held[0]), PART)]


def write_samples(folder: str, material: Material, rows: Ints) -> None:
    """Write down which sample stands in which row of a record, and its label."""
    import polars as pl

    ids = material.dataset.source.ids(material.dataset.rows[rows])
    labels = material.goal.values[rows]
    names = [text_column("id", ids), pl.Series("label", labels)]
    if material.goal.task == "classes":
        names[1] = text_column("label", [material.goal.classes[code] for code in labels.tolist()])
    pl.DataFrame(names).write_parquet(os.path.join(folder, SAMPLES))


def record_of(folder: str, fingerprint: str) -> "tuple[Record, list[str], list[str]]":
    """The record of a model that `train` wrote, and the ids and labels of its samples.

    Args:
        folder: of the model, or of the record itself.
        fingerprint: of the dataset that it must be of.

    Raises:
        InputError: there is none, it is damaged, or of another dataset.
    """
    import polars as pl

    from datadiet_cli.nn.record import Record

    inner = os.path.join(folder, RECORD)
    place = inner if os.path.isdir(inner) else folder
    record = Record.open(place, fingerprint=fingerprint)
    path = os.path.join(place, SAMPLES)
    try:
        table = pl.read_parquet(path)
        ids, labels = table["id"], table["label"]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read, so nothing says whose record this is ({error})") from None
    if len(table) != record.facts.samples:
        raise InputError(f"{path}: names {len(table):,} samples, and the record has {record.facts.samples:,}; damaged")
    if record.missing():
        model, epoch = record.missing()[0]
        raise InputError(f"{place}: epoch {epoch + 1} of model {model + 1} is missing: the training was not finished")
    said = labels.to_list() if labels.dtype == pl.String else [repr(value) for value in labels.to_list()]
    return record, [_text(name) for name in ids.to_list()], [_text(name) for name in said]


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
