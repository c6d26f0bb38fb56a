"""A folder of files as a dataset, and the same folder written back with some of its samples gone."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.changedtable import ChangedTable
from datadiet_cli.data.copying import LEAVE, Copier, fetch_files
from datadiet_cli.data.fingerprint import of_entries, signature
from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.tables import TableFile
from datadiet_cli.errors import OutputError


class Sidecar(Protocol):
    """Files inside a folder that speak of its samples, and lose what they say of those that go."""

    def paths(self) -> Collection[str]:
        """The files, relative to the folder: nobody else copies them."""

    def facts(self) -> Mapping[str, Any]:
        """What the report should say: counts, counts by file, or lists of files."""

    def write(self, present: NDArray[np.bool_], root: str, destination: str, link: str) -> int:
        """Write what remains and give the bytes written.

        Args:
            present: (n + 1,) bool, the samples that remain; the last stands for what belongs to no sample, and is true.
            root: the folder.
            destination: its copy; all directories are there.
            link: how files that do not change are copied.
        """


@dataclass(frozen=True, eq=False)
class SidecarTable:
    """A table inside a folder that has a record for each of some samples.

    Attributes:
        path: relative to the folder.
        file: the table.
        sample: (records,) int64, the row of each record's sample; -1 for a record of no sample.
        naming: the column of file names.
        label: the column that the samples' labels were taken from, if they were.
    """

    path: str
    file: TableFile
    sample: NDArray[np.int64]
    naming: str
    label: str | None = None

    def paths(self) -> Collection[str]:
        """The table."""
        return (self.path,)

    def facts(self) -> Mapping[str, Any]:
        """How many records it has."""
        return {"tables": {self.path: self.file.records}}

    def write(self, present: NDArray[np.bool_], root: str, destination: str, link: str) -> int:
        """Write the table without the records of samples that go; see `Sidecar`."""
        stays = present[self.sample]
        same = stays.all() and not isinstance(self.file, ChangedTable)
        return write_changed(
            self.path, root, destination, None if same else lambda to: self.file.write(np.flatnonzero(stays), to)
        )


def write_changed(
    path: str, root: str, destination: str, write: Callable[[str], int] | None, size: int | None = None
) -> int:
    """Write a file anew with the mode it had, or copy it, time and all, where nothing of it changes.

    Such a file is never a link to INPUT: people edit tables.

    Args:
        path: of the file in both folders.
        root: the folder.
        destination: its copy.
        write: writes the file under a name that it is given, and gives the bytes written; None if nothing changes.
        size: the bytes that the file had when it was read, if that matters.

    Raises:
        OutputError: the file is not what was read.
    """
    source, target = os.path.join(root, path), os.path.join(destination, path)
    if size is not None and os.path.getsize(source) != size:
        raise OutputError(f"{source}: changed since it was read; run again when it is quiet")
    if write is None:
        return Copier().copy(source, target)
    written = write(target)
    os.chmod(target, os.stat(source).st_mode & 0o777)
    return written


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
        tables: labels, metadata or annotations beside the files.
        missing: names that a table has but that are no files.
        class_depth: which folder of a path names the class, counted from the top; None if none does.
        moved: rows of samples that change their class and hence their path -> the new path.
        made: rows of samples that are new -> the file that holds the content, wherever it lies.
        mirror: where INPUT is in a store: a folder of this machine with those of the other files that speak of samples.
        single: whether INPUT is one file that holds all samples, and no folder.
    """

    path: str
    kind: str
    layout: str
    samples: Sequence[Entry]
    others: Sequence[Entry] = ()
    directories: Sequence[str] = ()
    tables: Sequence[Sidecar] = ()
    missing: Sequence[str] = ()
    class_depth: int | None = None
    moved: Mapping[int, str] = field(default_factory=dict)
    made: Mapping[int, str] = field(default_factory=dict)
    mirror: str | None = None
    single: bool = False
    _sizes: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = np.fromiter((entry.size for entry in self.samples), dtype=np.int64, count=len(self.samples))
        object.__setattr__(self, "_sizes", sizes)

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """POSIX paths relative to INPUT; those of new samples relative to OUTPUT."""
        return [self.samples[row].path for row in rows.tolist()]

    def sizes(self) -> NDArray[np.int64]:
        """(n,) bytes of each file."""
        return self._sizes

    def paths(self, rows: NDArray[np.int64]) -> list[str]:
        """Absolute file names to open, or places to fetch: see `data.places`."""
        # A worker may have been started in another folder. Nothing is resolved: `..` after a link leads elsewhere.
        here = os.getcwd()
        found = (self._content(row) for row in rows.tolist())
        return [path if Place.of(path) else os.path.join(here, path) for path in found]

    def _content(self, row: int) -> str:
        entry = self.samples[row]
        return self.made.get(row) or self.locate(entry)

    def locate(self, entry: Entry) -> str:
        """The name of a file of INPUT that can be opened, or the place to fetch it from."""
        if entry.place is None:
            return os.path.join(self.path, entry.path)
        mirrored = None if self.mirror is None else os.path.join(self.mirror, entry.path)
        return mirrored if mirrored is not None and os.path.lexists(mirrored) else entry.place

    def left(self, rows: NDArray[np.int64]) -> dict[str, Entry]:
        """Files of INPUT that `write` leaves where they are, if told so: their paths in OUTPUT -> what they are."""
        spoken_for = self._spoken_for()
        others = [(entry.path, entry) for entry in self.others]
        old = [row for row in rows.tolist() if row not in self.made]
        samples = [(self.moved.get(row, self.samples[row].path), self.samples[row]) for row in old]
        return {
            path: entry
            for path, entry in (*others, *samples)
            if entry.place is not None and entry.cause is None and entry.path not in spoken_for
        }

    def modified(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k,) int64 times of the last change, in nanoseconds."""
        return np.array([self.samples[row].mtime_ns for row in rows.tolist()], dtype=np.int64)

    def causes(self) -> Mapping[int, str]:
        """Samples that are links to nothing or to forbidden places, or no regular files."""
        return {row: entry.cause for row, entry in enumerate(self.samples) if entry.cause}

    def facts(self) -> Mapping[str, Any]:
        """Other files, tables, and files that a table names but that are not there."""
        spoken_for = self._spoken_for()
        others = [entry for entry in self.others if entry.path not in spoken_for]
        facts: dict[str, Any] = {"other_files": sum(entry.cause is None for entry in others)}
        skipped = [entry.path for entry in others if entry.cause is not None]
        if skipped:
            facts["skipped"] = skipped
        for table in self.tables:
            for name, fact in table.facts().items():
                if isinstance(fact, Mapping):
                    facts[name] = {**facts.get(name, {}), **fact}
                else:
                    facts[name] = facts[name] + fact if name in facts else fact
        if self.missing:
            facts["missing_files"] = len(self.missing)
        return facts

    def files(self) -> list[Entry]:
        """The files that a run goes by: samples, and what is carried along; no caches, no broken links."""
        left_out = {path for table in self.tables for path in table.facts().get("left_out", ())}
        others = [entry for entry in self.others if entry.cause is None and entry.path not in left_out]
        samples = [entry for row, entry in enumerate(self.samples) if row not in self.made]
        return sorted((*samples, *others), key=lambda entry: entry.path)

    def copies(self, rows: NDArray[np.int64]) -> dict[str, str]:
        """Files that are copied byte by byte when these rows are written: their paths -> those of the copies."""
        changing = self._spoken_for()
        copies = {entry.path: entry.path for entry in self.others if entry.cause is None}
        for row in rows.tolist():
            entry = self.samples[row]
            if row not in self.made and entry.cause is None:
                copies[entry.path] = self.moved.get(row, entry.path)
        return {path: copy for path, copy in copies.items() if path not in changing}

    def anew(self) -> set[str]:
        """Files that are not copied, but written anew where samples go."""
        return self._spoken_for()

    def fingerprint(self) -> str:
        """A digest of the names and sizes of all files."""
        return of_entries(self._entries())

    def signature(self) -> str:
        """A digest of the names, sizes and times of all entries, those that cannot be copied among them."""
        return signature(self._entries())

    def _entries(self) -> list[Entry]:
        left_out = {path for table in self.tables for path in table.facts().get("left_out", ())}
        others = [entry for entry in self.others if entry.path not in left_out]
        return sorted((*self.samples, *others), key=lambda entry: entry.path)

    def _spoken_for(self) -> set[str]:
        return {path for table in self.tables for path in table.paths()}

    def write(self, rows: NDArray[np.int64], destination: str, link: str) -> int:
        """Copy the samples in `rows`, the other files, and of the tables what does not speak of the rest.

        With `link` as `LEAVE` whatever `left` names is not copied.
        """
        for directory in self.directories:
            os.makedirs(os.path.join(destination, directory), exist_ok=True)
        spoken_for = self._spoken_for()
        left = self.left(rows)
        written = 0 if link == LEAVE else fetch_files({os.path.join(destination, to): e for to, e in left.items()})
        link = "copy" if link == LEAVE else link
        copier = Copier(link)
        for entry in self.others:
            if entry.cause is None and entry.path not in spoken_for and entry.path not in left:
                written += copier.copy(self.locate(entry), os.path.join(destination, entry.path))
        written += self._write_samples(rows, destination, copier)
        present = np.zeros(len(self.samples) + 1, dtype=bool)
        present[rows] = True
        present[-1] = True
        for table in self.tables:
            written += table.write(present, self.mirror or self.path, destination, link)
        if self.mirror is None:
            self._restore_directory_times(destination)
        return written

    def _write_samples(self, rows: NDArray[np.int64], destination: str, copier: Copier) -> int:
        spoken_for, left, written = self._spoken_for(), self.left(rows), 0
        for row in rows.tolist():
            entry = self.samples[row]
            path = self.moved.get(row, entry.path)
            if entry.cause is None and entry.path not in spoken_for and path not in left:
                target = os.path.join(destination, path)
                if row in self.moved:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                # What was made for this run is gone after it, and cannot be linked to.
                by = Copier() if row in self.made else copier
                written += by.copy(self._content(row), target)
        return written

    def _restore_directory_times(self, destination: str) -> None:
        for directory in reversed(["", *self.directories]):
            status = os.stat(os.path.join(self.path, directory))
            target = os.path.join(destination, directory)
            os.chmod(target, status.st_mode & 0o777 | 0o700)
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def folder_of(source: object) -> FolderSource | None:
    """The source of a dataset, if INPUT is a folder, and not a file of rows or of samples."""
    return source if isinstance(source, FolderSource) and not source.single else None
