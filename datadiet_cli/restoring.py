"""Rebuild what a run had in its hands between two steps, from INPUT and the report."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.changes import Workshop
from datadiet_cli.changesfile import check_rows, read_changes
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.folder import FolderSource, folder_of
from datadiet_cli.data.table import TableSource
from datadiet_cli.data.wording import escaped
from datadiet_cli.digestfile import BOTH, INPUT, OUTPUT, Row, contents_in
from datadiet_cli.digests import ITSELF, Content, Contents, Differences, compare, copied_files, input_files
from datadiet_cli.encode.augment import UnchangedError
from datadiet_cli.engine import Engine
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Action, Changes
from datadiet_cli.report.frame import verdict_frame
from datadiet_cli.request import Progress

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)
"""What comes of reading a report, or a file beside it, that is not what was written."""


@dataclass(frozen=True)
class Past:
    """What a report says was done.

    Attributes:
        report: its file.
        document: the report.
        files: what every file held.
        changes: of each step, the opening first; None for too many to have been written down.
    """

    report: str
    document: Mapping[str, Any]
    files: Sequence[Row]
    changes: Sequence[Changes] | None

    def damaged(self, why: object = "") -> InputError:
        """The error for a report that does not hold together."""
        more = f" ({why})" if str(why) else ""
        return InputError(f"{self.report}: is damaged, or a file beside it{more}; run the command again")


def check_form(report: str, document: Mapping[str, Any]) -> None:
    """Check that a report has what a dataset is rebuilt by: a file may hold anything.

    Raises:
        InputError: it has not.
    """
    steps, what, path = document["steps"], document.get("output"), document["input"].get("path")
    known = isinstance(steps, list) and all(
        isinstance(step, dict) and isinstance(step.get("name"), str) and type(step.get("samples_out")) is int
        for step in steps
    )
    if not known or not steps or not isinstance(what, dict) or "what" not in what or not isinstance(path, str):
        raise InputError(f"{report}: is no report of datadiet; name the .report.json beside an OUTPUT")


def check_names(past: Past, dataset: Dataset, shown: int) -> None:
    """Check by names and sizes, before anything is copied, that INPUT is what it was.

    Args:
        past: what the report says.
        dataset: INPUT as it is now.
        shown: how many names of each kind a message has.

    Raises:
        InputError: it is not.
    """
    source = folder_of(dataset.source)
    if source is None:
        return
    # Of broken links nothing but the name is known.
    now = {e.path: Content(0 if e.cause else e.size, None if e.cause else "") for e in input_files(source)}
    then = {p: Content(c.size, c.digest and "") for p, c in contents_in(past.files, INPUT, BOTH).items()}
    refuse(past, source.path, compare(then, now), shown)


def check_table(past: Past, place: str, shown: int) -> None:
    """Check an INPUT that is one file by its digest, before anything is read of it.

    Args:
        past: what the report says.
        place: of INPUT now.
        shown: how many names of each kind a message has.

    Raises:
        InputError: it is not what it was.
    """
    expected = contents_in(past.files, INPUT, BOTH)
    if expected.keys() == {ITSELF} and os.path.isfile(place):
        found = {ITSELF: Content(os.path.getsize(place), fingerprint(place))}
        refuse(past, place, compare(expected, found), shown)


def refuse(past: Past, place: str, found: Differences, shown: int) -> None:
    """Refuse an INPUT, by the name it goes by, that is not what it was.

    Raises:
        InputError: files differ; the message names the first of them.
    """
    if any(found):
        raise InputError(
            f"{place}: has changed since {past.report} was written: {found.in_words(shown)}; nothing was restored"
        )


def state_after(
    past: Past,
    opened: Dataset,
    last: int,
    workshop: Workshop,
    engine: Engine,
    max_pixels: int,
    encoding: str | None,
    progress: Progress,
) -> Dataset:
    """What a run had after one of its steps.

    Args:
        past: what the report says.
        opened: INPUT.
        last: the number of the step; 0 for the opening.
        workshop: where new files are made.
        engine: makes them.
        max_pixels: larger pictures are taken for decompression bombs.
        encoding: of text files.
        progress: announces work.

    Raises:
        InputError: the report does not suit INPUT, or is damaged.
    """
    dropped = _dropped(past)
    dataset = opened
    for number in range(last + 1):
        changes = Changes() if past.changes is None or number >= len(past.changes) else past.changes[number]
        try:
            if changes:
                check_rows(changes, frozenset(dataset.rows.tolist()), _first_new(dataset))
                dataset = workshop.apply(dataset, changes, engine, max_pixels, encoding, progress)
                _check_places(dataset)
        except (*DAMAGED[1:], UnchangedError) as error:
            raise past.damaged(error) from error
        dataset = dataset.without(_rows_of(past, dataset, dropped.get(number, [])))
        if len(dataset) != past.document["steps"][number]["samples_out"]:
            raise past.damaged(f"{len(dataset):,} samples would be there after step {number}")
    return dataset


def only_dropped(past: Past, opened: Dataset, last: int) -> tuple[Dataset, int]:
    """The samples of INPUT, as they are there, that the steps up to one of them dropped.

    Returns:
        those that can be copied, and the number of the others, such as links to nothing.
    """
    names = {name for number, ids in _dropped(past).items() if number <= last for name in ids}
    ids = [escaped(name) for name in opened.ids]
    dropped = opened.keep(np.fromiter((name in names for name in ids), dtype=bool, count=len(ids)))
    there = dropped.keep(~np.isin(dropped.rows, list(opened.source.causes())))
    return there, len(dropped) - len(there)


def expected_of(past: Past, dataset: Dataset, *, whole: bool) -> Contents:
    """What the files of a rebuilt dataset must hold, as far as that is known, by escaped name.

    Args:
        past: what the report says.
        dataset: what is rebuilt.
        whole: whether it is what the run published.
    """
    if whole:
        return contents_in(past.files, OUTPUT, BOTH)
    if is_table(dataset):
        return {}
    before = contents_in(past.files, INPUT, BOTH)
    pairs = [(escaped(copy), before.get(escaped(path))) for path, copy in copied_files(dataset).items()]
    return {copy: content for copy, content in pairs if content is not None}


def tables_read(past: Past, opened: Dataset) -> dict[str, Content]:
    """Files of INPUT that are not copied but written anew, with what they must hold."""
    before = contents_in(past.files, INPUT, BOTH)
    source = folder_of(opened.source)
    if source is None:
        return before
    names = set(map(escaped, source.anew()))
    return {name: content for name, content in before.items() if name in names}


def read_past(report: str, document: Mapping[str, Any], files: Sequence[Row], content: bytes | None) -> Past:
    """Put together what a report says.

    Args:
        report: its file.
        document: the report.
        files: its digests.
        content: of the file of changes; None for none.

    Raises:
        ValueError: the file of changes is damaged.
    """
    block = document.get("changes")
    if block is None:
        return Past(report, document, files, [])
    return Past(report, document, files, None if content is None else read_changes(content))


def is_table(dataset: Dataset) -> bool:
    """Whether INPUT is one file."""
    return folder_of(dataset.source) is None


def _dropped(past: Past) -> dict[int, list[str]]:
    """The escaped ids that each step dropped."""
    try:
        frame = verdict_frame(past.document, past.report)
        frame = frame.filter(frame["action"] == str(Action.DROP)).select("step_number", "id").drop_nulls().unique()
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename}: is missing; it belongs to {past.report}, and must stand beside it"
        ) from error
    except DAMAGED as error:
        raise past.damaged(error) from error
    found: dict[int, list[str]] = {}
    for number, name in frame.rows():
        found.setdefault(number, []).append(escaped(name))
    return found


def _rows_of(past: Past, dataset: Dataset, names: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The rows of samples by their escaped ids."""
    if not names:
        return np.empty(0, dtype=np.int64)
    ids = [escaped(name) for name in dataset.ids]
    row_of = dict(zip(ids, dataset.rows.tolist(), strict=True))
    unknown = [name for name in names if name not in row_of]
    if unknown:
        raise past.damaged(f"{unknown[0]} was dropped, and is not there")
    if len(row_of) < len(ids):
        raise past.damaged("two samples cannot be told apart by their names")
    return np.sort(np.array([row_of[name] for name in names], dtype=np.int64))


def _first_new(dataset: Dataset) -> int:
    """The row that the first sample gets that is added."""
    source = dataset.source
    if isinstance(source, TableSource):
        return source.file.records
    return len(source.samples) if isinstance(source, FolderSource) else 0


def _check_places(dataset: Dataset) -> None:
    """Refuse new places of samples that lead out of the dataset: a label becomes the name of a folder."""
    source = dataset.source
    if not isinstance(source, FolderSource):
        return
    for path in source.moved.values():
        if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise ValueError(f"{path} is no place in a dataset")
