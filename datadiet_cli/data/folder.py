"""A folder of files as a dataset, and the same folder written back with some of its samples gone."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.copying import Copier
from datadiet_cli.data.fingerprint import of_entries, signature
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.tables import TableFile


@dataclass(frozen=True, eq=False)
class SidecarTable:
    """A table inside a folder that has a record for each of some samples.

    Attributes:
        path: relative to the folder.
        file: the table.
        sample: (records,) int64, the row of each record's sample; -1 for a record of no sample.
    """

    path: str
    file: TableFile
    sample: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FolderSource:
    """Files below a folder: samples, tables that speak of them, and others that are carried along.

    Attributes:
        path: INPUT as typed.
        kind: ``image``, ``audio``, ``text`` or ``file``.
        layout: in words.
        samples: sorted by path; a sample's position is its row.
        others: files that are no samples; they are copied as they are.
        directories: every directory, so that empty ones survive.
        tables: labels or metadata beside the files.
        missing: names that a table has but that are no files.
    """

    path: str
    kind: str
    layout: str
    samples: Sequence[Entry]
    others: Sequence[Entry] = ()
    directories: Sequence[str] = ()
    tables: Sequence[SidecarTable] = ()
    missing: Sequence[str] = ()
    _sizes: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = np.fromiter((entry.size for entry in self.samples), dtype=np.int64, count=len(self.samples))
        object.__setattr__(self, "_sizes", sizes)

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """POSIX paths relative to INPUT."""
        return [self.samples[row].path for row in rows.tolist()]

    def sizes(self) -> NDArray[np.int64]:
        """(n,) bytes of each file."""
        return self._sizes

    def paths(self, rows: NDArray[np.int64]) -> list[str]:
        """File names to open."""
        return [os.path.join(self.path, self.samples[row].path) for row in rows.tolist()]

    def modified(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k,) int64 times of the last change, in nanoseconds."""
        return np.array([self.samples[row].mtime_ns for row in rows.tolist()], dtype=np.int64)

    def causes(self) -> Mapping[int, str]:
        """Samples that are links to nothing or to forbidden places, or no regular files."""
        return {row: entry.cause for row, entry in enumerate(self.samples) if entry.cause}

    def facts(self) -> Mapping[str, Any]:
        """Other files, tables, and files that a table names but that are not there."""
        facts: dict[str, Any] = {"other_files": sum(entry.cause is None for entry in self.others)}
        skipped = [entry.path for entry in self.others if entry.cause is not None]
        if skipped:
            facts["skipped"] = skipped
        if self.tables:
            facts["tables"] = {table.path: table.file.records for table in self.tables}
        if self.missing:
            facts["missing_files"] = len(self.missing)
        return facts

    def fingerprint(self) -> str:
        """A digest of the names and sizes of all files."""
        return of_entries(self._entries())

    def signature(self) -> str:
        """A digest of the names, sizes and times of all entries, those that cannot be copied among them."""
        return signature(self._entries())

    def _entries(self) -> list[Entry]:
        return sorted((*self.samples, *self.others), key=lambda entry: entry.path)

    def write(self, rows: NDArray[np.int64], destination: str, link: str) -> int:
        """Copy the samples in `rows`, the other files, and the tables without the records of the rest."""
        for directory in self.directories:
            os.makedirs(os.path.join(destination, directory), exist_ok=True)
        copier = Copier(link)
        rewritten = {table.path for table in self.tables}
        written = 0
        kept = [self.samples[row] for row in rows.tolist()]
        for entry in (*kept, *self.others):
            if entry.cause is None and entry.path not in rewritten:
                source = os.path.join(self.path, entry.path)
                written += copier.copy(source, os.path.join(destination, entry.path))
        present = np.zeros(len(self.samples) + 1, dtype=bool)  # the last stands for the records of no sample
        present[rows] = True
        present[-1] = True
        for table in self.tables:
            records = np.flatnonzero(present[table.sample])
            written += table.file.write(records, os.path.join(destination, table.path))
        self._restore_directory_times(destination)
        return written

    def _restore_directory_times(self, destination: str) -> None:
        for directory in reversed(["", *self.directories]):
            status = os.stat(os.path.join(self.path, directory))
            target = os.path.join(destination, directory)
            os.chmod(target, status.st_mode & 0o777 | 0o700)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
