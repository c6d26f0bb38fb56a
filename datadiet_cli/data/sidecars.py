"""Tables that lie beside files and speak of them: Hugging Face metadata, or a table of labels."""

import os
import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from datadiet_cli.data.folder import SidecarTable
from datadiet_cli.data.reading import Reading, split_column
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.tables import TableFile, open_table
from datadiet_cli.errors import InputError

FILE_NAME = "file_name"
_HEAD = 1 << 20
LABEL_NAMES = ("label", "labels", "class", "category", "target")


class Tables:
    """The tables of a folder, and what they say of its samples.

    Args:
        root: the folder.
        samples: its samples, sorted by path.
        reading: how to read tables, and the columns the user named.

    Attributes:
        found: the tables that were applied.
        missing: names of files that they speak of but that are not there.
    """

    def __init__(self, root: str, samples: Sequence[Entry], reading: Reading) -> None:
        self._root, self._samples, self._reading = root, samples, reading
        self._open = cache(lambda path: open_table(os.path.join(root, path), reading.table))
        self.found: list[SidecarTable] = []
        self.missing: list[str] = []

    @property
    def paths(self) -> list[str]:
        """The samples' paths."""
        return [entry.path for entry in self._samples]

    def naming_column(self, path: str, *, stems: bool) -> str | None:
        """The column whose cells name most of its files, if the table has one.

        Args:
            path: the table, relative to the folder.
            stems: whether a name without its suffix counts. Numbers are often stems, and anything may be a number.

        Raises:
            InputError: the table speaks of the files, but cannot be read.
        """
        names = {name for entry in self._samples for name in _names(entry.path)[: 3 if stems else 2]}
        try:
            texts = self._open(path).texts()
        except InputError:
            if self._mentions(path, names):
                raise
            return None
        for column in texts.columns:
            cells = texts[column].drop_nulls().to_list()
            if cells and sum(cell in names for cell in cells) * 2 > len(cells):
                return str(column)
        return None

    def _mentions(self, path: str, names: set[str]) -> bool:
        """Whether the head of a file that cannot be read as a table has a sample's name among its cells."""
        with open(os.path.join(self._root, path), "rb") as file:
            cells = set(re.split(rb'[,;|\t\r\n"]+', file.read(_HEAD)))
        return not cells.isdisjoint(map(os.fsencode, names))

    def apply(self, path: str, column: str, labels: list[str | None] | None, splits: list[str | None]) -> None:
        """Match the records of a table with the samples, and take over the labels and splits that it has.

        Args:
            path: the table, relative to the folder.
            column: its column of file names.
            labels: of every sample, changed in place; None to leave the table's labels alone.
            splits: of every sample, changed in place.

        Raises:
            InputError: a column is not there, or a file name leads out of the folder.
        """
        file = self._open(path)
        where = os.path.join(self._root, path)
        if column not in file.columns:
            raise InputError(f"{where}: has no column {column!r}; every metadata table names its files there")
        index = _index(self._samples, os.path.dirname(path))
        sample = np.full(file.records, -1, dtype=np.int64)
        for record, cell in enumerate(file.texts([column]).to_series().to_list()):
            row = index.get(_inside(where, record, cell))
            if row is None:
                self.missing.append(str(cell))
            else:
                sample[record] = row
        split = self._reading.split or split_column(file)
        label = self._reading.label or self.label_column(path, column)
        self.found.append(SidecarTable(path, file, sample, column, label if labels is not None else None))
        for target, name in ((labels, label), (splits, split)):
            if name is not None and target is not None:
                _take_over(target, sample.tolist(), _cells(where, file, name))

    def label_column(self, path: str, naming: str) -> str | None:
        """The column of labels of a table: as the user named it, or else by its name, if there is one."""
        file = self._open(path)
        if self._reading.label is not None:
            return self._reading.label if self._reading.label in file.columns else None
        named = next((name for name in LABEL_NAMES if name in file.columns), None)
        # Beside the names a table of labels may have a single column, whatever it is called; in metadata that may
        # be a caption.
        if named is None and len(file.columns) == 2 and naming != FILE_NAME:
            return next(name for name in file.columns if name != naming)
        return named


def _cells(where: str, file: TableFile, column: str) -> list[str | None]:
    if column not in file.columns:
        raise InputError(f"{where}: no column {column!r}; the columns are {', '.join(file.columns)}")
    return list(file.texts([column]).to_series().to_list())


def _take_over(target: list[str | None], rows: list[int], cells: list[str | None]) -> None:
    for row, cell in zip(rows, cells, strict=True):
        if row >= 0 and cell is not None:
            target[row] = cell


def _names(path: str) -> tuple[str, str, str]:
    base = path.rpartition("/")[2]
    return path, base, os.path.splitext(base)[0]


def _index(samples: Sequence[Entry], folder: str) -> dict[str, int]:
    """Every way a table in `folder` may name a sample; stems only where they are unambiguous."""
    exact: dict[str, int] = {}
    loose: dict[str, list[int]] = {}
    for row, entry in enumerate(samples):
        relative = os.path.relpath(entry.path, folder) if folder else entry.path
        if relative.startswith("../"):
            continue
        exact[relative] = row
        for name in _names(entry.path)[1:]:
            loose.setdefault(name, []).append(row)
    return {name: rows[0] for name, rows in loose.items() if len(rows) == 1} | exact


def _inside(where: str, record: int, cell: str | None) -> str:
    """A file name from a table, refused if it could lead out of INPUT."""
    name = cell or ""
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(
            f"{where}: record {record}: {name!r} leads out of INPUT; file names are relative and have no '..'"
        )
    return os.path.normpath(name)
