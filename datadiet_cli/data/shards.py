"""A WebDataset: shards, tar files that hold samples, written back without the members of those that go.

What stays is copied as it is, headers and all, in its order; members of a sample stay together. A shard that loses
nothing is copied whole, or linked.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.copying import Copier
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shardwrite import Kept, Made, Part, Relabelled, write_shard
from datadiet_cli.errors import InputError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """A tar file of samples.

    Attributes:
        entry: the file, relative to the folder.
        spans: (m, 2) int64, where each member begins and where the next one does.
        row: (m,) int64, the row of the sample that a member belongs to; -1 for none, or for one without content.
        rows: all of these.
    """

    entry: Entry
    spans: Ints
    row: Ints
    rows: range


@dataclass(frozen=True, eq=False)
class ShardSource(FolderSource):
    """Samples in tar files. A sample's entry is the member that holds its content; its row is its place in the shards.

    Attributes:
        shards: sorted by path.
        written: (n,) bool, samples of which a member of their own says the label.
        label_ending: of those members.
        told: what the report should say.
        relabels: rows of samples that change their class -> its name.
        templates: rows of samples that are new -> those that they are made of.
    """

    shards: tuple[Shard, ...] = ()
    written: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    label_ending: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    relabels: Mapping[int, str] = field(default_factory=dict)
    templates: Mapping[int, int] = field(default_factory=dict)

    def facts(self) -> Mapping[str, Any]:
        """Other files, and what the shards hold."""
        return {**super().facts(), **self.told}

    def fingerprint(self) -> str:
        """A digest of the names and sizes of all files, or of the bytes of the only one."""
        return fingerprint(self.path) if self.single else super().fingerprint()

    def files(self) -> list[Entry]:
        """The shards, and what is carried along."""
        others = [entry for entry in self.others if entry.cause is None]
        return sorted((*(shard.entry for shard in self.shards), *others), key=lambda entry: entry.path)

    def left(self, rows: Ints) -> dict[str, Entry]:
        """Nothing: members of shards are no files."""
        return {}

    def copies(self, rows: Ints) -> dict[str, str]:
        """The shards of which nothing changes, and what is carried along."""
        plans = zip(self.shards, self._plans(rows), strict=True)
        there = [shard.entry.path for shard, parts in plans if parts is None]
        there += [entry.path for entry in self.others if entry.cause is None]
        return {path: path for path in sorted(there)}

    def anew(self) -> set[str]:
        """The shards."""
        return {shard.entry.path for shard in self.shards}

    def _entries(self) -> list[Entry]:
        made = [self.samples[row] for row in self.made]
        return sorted((*(shard.entry for shard in self.shards), *self.others, *made), key=lambda entry: entry.path)

    def write(self, rows: Ints, destination: str, link: str) -> int:
        """Write the shards without what does not belong to the samples in `rows`, and copy the other files."""
        if not self.single:
            return super().write(rows, destination, link)
        return self._write_one(self.shards[0], next(self._plans(rows)), self.path, destination, Copier(link))

    def _write_samples(self, rows: Ints, destination: str, copier: Copier) -> int:
        written = 0
        for shard, parts in zip(self.shards, self._plans(rows), strict=True):
            source, target = (os.path.join(root, shard.entry.path) for root in (self.path, destination))
            written += self._write_one(shard, parts, source, target, copier)
        return written

    def _write_one(self, shard: Shard, parts: Iterator[Part] | None, source: str, target: str, copier: Copier) -> int:
        return copier.copy(source, target) if parts is None else write_shard(source, target, shard.entry, parts)

    def _plans(self, rows: Ints) -> Iterator[Iterator[Part] | None]:
        """What each shard is written of; None for one that stays as it is.

        Args:
            rows: of the samples that remain.
        """
        present = np.zeros(len(self.samples) + 1, dtype=bool)
        present[rows] = True
        # What belongs to no sample stays.
        present[-1] = True
        new = np.zeros_like(present)
        new[[row for row in self.relabels if present[row]]] = True
        added: dict[int, list[int]] = {}
        for row in rows[rows >= len(self.samples) - len(self.templates)].tolist():
            added.setdefault(self._origin(row), []).append(row)
        for shard in self.shards:
            mine = [row for origin, group in added.items() if origin in shard.rows for row in group]
            same = not mine and bool(present[shard.row].all()) and not new[shard.row].any()
            yield None if same else self._parts(shard, present[shard.row], new[shard.row], sorted(mine))

    def _parts(
        self, shard: Shard, stays: NDArray[np.bool_], new: NDArray[np.bool_], added: Sequence[int]
    ) -> Iterator[Part]:
        """A shard, part by part: stretches of members that stay, those with other labels, and samples that are new.

        Args:
            shard: the shard.
            stays: (m,) bool, its members that stay.
            new: (m,) bool, those of samples with other labels.
            added: rows of new samples.
        """
        # Members with a number of their own are stretches of one.
        number = np.where(stays, np.where(new, np.arange(len(stays)) + 2, 1), 0)
        bounds = np.flatnonzero(np.diff(number, prepend=-1, append=-1))
        for first, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            start, end = int(shard.spans[first, 0]), int(shard.spans[stop - 1, 1])
            if number[first] == 1:
                yield Kept(start, end)
            elif number[first] > 1:
                yield Relabelled(start, end, self.label_ending, self.relabels[int(shard.row[first])])
        for row in added:
            yield self._made(shard, row)

    def _made(self, shard: Shard, row: int) -> Made:
        origin = self._origin(row)
        place = Place.of(str(self.samples[origin].place))
        assert place is not None  # noqa: S101 - what was not made lies in a shard
        spans = shard.spans[shard.row == origin].tolist()
        name = self.samples[row].path[len(shard.entry.path) + 1 :]
        label = self.relabels.get(row, self.relabels.get(origin))
        return Made(
            tuple((start, stop) for start, stop in spans), name, place.offset, self.made[row], self.label_ending, label
        )

    def _origin(self, row: int) -> int:
        """The sample in a shard that a new one was made of."""
        while row in self.templates:
            row = self.templates[row]
        return row

    def with_labels(self, labels: Mapping[int, str]) -> "ShardSource":
        """The samples in these rows with other labels.

        Raises:
            InputError: no member of its own says a label, or one cannot be written.
        """
        for row in labels:
            if not self.written[self._origin(row)]:
                raise InputError(
                    f"{self.path}: {self.samples[row].path}: no member .{self.label_ending} says its label, so that it "
                    "cannot be changed"
                )
        return replace(self, relabels={**self.relabels, **labels})

    def with_samples(
        self, entries: Sequence[Entry], contents: Sequence[str], templates: Sequence[int]
    ) -> "ShardSource":
        """With new samples behind all others; they are written at the ends of the shards that hold their templates.

        Args:
            entries: of the new members.
            contents: the files that they are made of, or places.
            templates: rows of the samples whose other members they get.
        """
        rows = range(len(self.samples), len(self.samples) + len(entries))
        return replace(
            self,
            samples=[*self.samples, *entries],
            made={**self.made, **dict(zip(rows, contents, strict=True))},
            templates={**self.templates, **dict(zip(rows, templates, strict=True))},
        )

    def free_names(self, templates: Sequence[int], endings: Sequence[str]) -> list[str]:
        """Names for new samples whose keys nothing has, in the shards of what they are made of.

        Args:
            templates: rows of what they are made of.
            endings: of the new names, such as ``.png``.
        """
        taken = {entry.path.rpartition("/")[0] + "/" + _key(entry.path) for entry in self.samples}
        names = []
        for row, ending in zip(templates, endings, strict=True):
            path = self.samples[row].path
            stem, number = path.rpartition("/")[0] + "/" + _key(path) + "-new", 1
            key = stem
            while key in taken:
                number += 1
                key = f"{stem}-{number}"
            taken.add(key)
            middle = path.rpartition("/")[2].split(".")[1:-1]
            names.append(".".join([key, *middle]) + ending)
        return names


def _key(path: str) -> str:
    """The last part of the key in the id of a sample."""
    return path.rpartition("/")[2].partition(".")[0]
