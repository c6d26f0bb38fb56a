"""A WebDataset: shards, tar files that hold samples, written back without the members of those that go.

What stays is copied as it is, headers and all, in its order; members of a sample stay together. A shard that loses
nothing is copied whole, or linked.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.copying import Copier
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.mirror import local
from datadiet_cli.data.places import Place, is_url
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shard import Shard
from datadiet_cli.data.shardwrite import Kept, Made, Part, Relabelled, write_shard
from datadiet_cli.errors import InputError, OutputError

Ints = NDArray[np.int64]
_AT_ONCE = 4
"""Shards of a store that are written anew at a time."""
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of characters, which JSON may hold, but no bytes can; the others stand for bytes that are not UTF-8."""


@dataclass(frozen=True, eq=False)
class ShardSource(FolderSource):
    """Samples in tar files. A sample's entry is the member that holds its content; its row is its place in the shards.

    Attributes:
        shards: sorted by path.
        written: (n,) bool, samples of which a member of their own says the label.
        label_ending: of those members.
        told: what the report should say.
        relabels: rows of samples that change their class, new ones too -> its name.
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
        return fingerprint(self.local) if self.single else super().fingerprint()

    @property
    def local(self) -> str:
        """The only shard as a file of this machine."""
        place = self.shards[0].place
        return _whole(place.file, place.stamp) if is_url(place.file) else self.path

    def files(self) -> list[Entry]:
        """The shards, and what is carried along."""
        others = [entry for entry in self.others if entry.cause is None]
        return sorted((*(shard.entry for shard in self.shards), *others), key=lambda entry: entry.path)

    def left(self, rows: Ints) -> dict[str, Entry]:
        """Shards in a store of which nothing changes, and what is carried along there."""
        whole = self.copies(rows)
        away = [entry for entry in self.files() if entry.place is not None]
        return {} if self.single else {entry.path: entry for entry in away if entry.path in whole}

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
        shard, parts = self.shards[0], next(self._plans(rows))
        if parts is None and is_url(shard.place.file):
            # It was fetched for its digest anyway.
            return Copier().copy(self.local, destination)
        return self._write_one(shard, parts, destination, Copier(link))

    def _write_samples(self, rows: Ints, destination: str, copier: Copier) -> int:
        plans = zip(self.shards, self._plans(rows), strict=True)
        # What stays as it is in a store is among what is left.
        todo = [(shard, parts) for shard, parts in plans if parts is not None or shard.entry.place is None]

        def write(job: tuple[Shard, Iterator[Part] | None]) -> int:
            return self._write_one(*job, os.path.join(destination, job[0].entry.path), copier)

        if not any(shard.entry.place for shard, _ in todo):
            return sum(map(write, todo))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return sum(pool.map(write, todo))

    def _write_one(self, shard: Shard, parts: Iterator[Part] | None, target: str, copier: Copier) -> int:
        if parts is None:
            return copier.copy(shard.place.file, target)
        return write_shard(shard.place, target, shard.entry, parts)

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
        for row in sorted(rows[rows >= len(self.samples) - len(self.templates)].tolist()):
            added.setdefault(self._shard_of(self._origin(row)), []).append(row)
        for number, shard in enumerate(self.shards):
            mine = added.get(number, [])
            same = not mine and bool(present[shard.row].all()) and not new[shard.row].any()
            yield None if same else self._parts(shard, present[shard.row], new[shard.row], mine)

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
        spans = shard.spans[shard.members(origin)].tolist()
        name = self.samples[row].path[len(shard.entry.path) + 1 :]
        content: str | Place = self.made[row]
        other = Place.of(self.made[row])
        if other is not None and other.file == place.file:
            content = other
        return Made(
            tuple((start, stop) for start, stop in spans),
            name,
            place.offset,
            content,
            self.label_ending,
            self.relabels.get(row),
        )

    def _origin(self, row: int) -> int:
        """The sample in a shard that a new one was made of."""
        while row in self.templates:
            row = self.templates[row]
        return row

    def _shard_of(self, origin: int) -> int:
        """The number of the shard that holds a sample; one without samples begins where the next one does."""
        return bisect_right(self._firsts, origin) - 1

    @cached_property
    def _firsts(self) -> list[int]:
        return [shard.rows.start for shard in self.shards]

    def with_labels(self, labels: Mapping[int, str]) -> "ShardSource":
        """The samples in these rows with other labels.

        Raises:
            InputError: no member of its own says a label, or one cannot be written.
        """
        for row, label in labels.items():
            if _LONE.search(label):
                raise InputError(f"{self.path}: {self.samples[row].path}: the label {label!r} is no text to be written")
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
        # They have the labels that their templates have now, whatever becomes of those.
        known = {row: self.relabels[of] for row, of in zip(rows, templates, strict=True) if of in self.relabels}
        return replace(
            self,
            samples=[*self.samples, *entries],
            made={**self.made, **dict(zip(rows, contents, strict=True))},
            templates={**self.templates, **dict(zip(rows, templates, strict=True))},
            relabels={**self.relabels, **known},
        )

    def free_names(self, templates: Sequence[int], endings: Sequence[str]) -> list[str]:
        """Names for new samples whose keys nothing has, in the shards of what they are made of.

        Args:
            templates: rows of what they are made of.
            endings: of the new names, such as ``.png``.
        """
        # The last number that was tried of each, for a class may be made of few.
        taken = dict.fromkeys((_key(entry.path) for entry in self.samples), 1)
        names = []
        for row, ending in zip(templates, endings, strict=True):
            stem = key = _key(self.samples[row].path) + "-new"
            number = taken.get(stem, 1)
            while key in taken:
                number += 1
                key = f"{stem}-{number}"
            taken[key] = 1
            taken[stem] = number
            names.append(key + self._free_ending(row, ending))
        return names

    def _free_ending(self, row: int, ending: str) -> str:
        """All that follows on the key of a new sample: that of its template, but for the last part.

        Another member of the template may end so, and there must not be two members of one name.
        """
        origin = self._origin(row)
        own = _ending_parts(self.samples[origin].path)
        parts = [*_ending_parts(self.samples[row].path)[:-1], ending[1:]]
        if parts != own:
            taken = self.shards[self._shard_of(origin)].endings_of(origin) - {".".join(own).lower()}
            while ".".join(parts).lower() in taken:
                parts.insert(-1, "new")
        return "." + ".".join(parts)


@cache
def _whole(url: str, stamp: str) -> str:
    """An object as a file of this machine, fetched once as long as it is the same.

    Raises:
        OutputError: it has changed.
    """
    from datadiet_cli.data.stores import is_still, shown

    file = local(url)
    if not is_still(url, stamp):
        raise OutputError(f"{shown(url)}: changed since it was read; run again when it is quiet")
    return file


def _key(path: str) -> str:
    """The id of a sample without its ending."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _ending_parts(path: str) -> list[str]:
    """The parts of the ending in the id of a sample."""
    return path.rpartition("/")[2].split(".")[1:]
