"""Recognise the shards of a WebDataset, and find in them what the samples are, their classes and their splits."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.annotations import split_of_folders, split_of_name
from datadiet_cli.data.kinds import BY_KIND, is_hidden, kind_of
from datadiet_cli.data.mirror import mirror, named
from datadiet_cli.data.places import Place, is_url
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shard import Shard
from datadiet_cli.data.shardplaces import SUFFIX, index_at, place_of
from datadiet_cli.data.shards import ShardSource
from datadiet_cli.data.shardscan import JSON, LABEL, Asked, Index
from datadiet_cli.errors import InputError

_PACKED = tuple(
    f"{tar}{packer}" for tar in (".tar.", ".t") for packer in ("gz", "bz2", "xz", "zst", "lz4", "bz", "lzma")
)
_SHOWN = 8
"""Endings that the layout tells."""
_AT_ONCE = 8
"""Shards whose headers are read at the same time: over a network that is mostly waiting."""
_PLAIN = re.compile(r"\.[A-Za-z0-9]{1,16}")


@dataclass(frozen=True)
class Opened:
    """A dataset in shards.

    Attributes:
        source: of the samples.
        labels: of each.
        splits: of each.
    """

    source: ShardSource
    labels: list[str | None]
    splits: list[str | None]


def is_shard(path: str) -> bool:
    """Whether a file is a shard by its name."""
    return path.lower().endswith(SUFFIX) and not is_hidden(path.rpartition("/")[2])


def shards_among(entries: Sequence[Entry]) -> list[Entry]:
    """The shards of a folder that holds at least as many of them as loose images, sounds and texts; none otherwise."""
    found = [entry for entry in entries if entry.cause is None and is_shard(entry.path) and not is_hidden(entry.path)]
    if not found:
        return []
    loose = sum(kind_of(entry.path) in BY_KIND for entry in entries)
    return found if len(found) >= loose else []


def open_shards(
    path: str,
    entries: Sequence[Entry],
    others: Sequence[Entry],
    directories: Sequence[str],
    reading: Reading,
    *,
    single: bool = False,
) -> Opened | None:
    """Open shards as a dataset.

    Args:
        path: INPUT: their folder, or the only one of them.
        entries: the shards, sorted by path.
        others: files beside them.
        directories: of the folder.
        reading: what the user named.
        single: whether INPUT is the only shard, and no folder.

    Returns:
        the dataset; None if the tar files hold nothing that has the name of a sample.

    Raises:
        InputError: a shard is damaged, compressed or not a tar file, or nothing says what the user named.
    """
    away, path = path if is_url(path) else None, named(path)
    packed = next((entry.path for entry in others if entry.path.lower().endswith(_PACKED)), None)
    if packed is not None:
        raise InputError(
            f"{path}: {packed} is compressed, and its samples would be left out; unpack it to a plain .tar, or take it "
            "out of INPUT"
        )
    root = os.path.dirname(path) if single else path
    asked = Asked(None if reading.label is None else reading.label.removeprefix("."), reading.split)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        places = list(pool.map(lambda entry: place_of(root, entry), entries))
        indexes = list(pool.map(lambda place: index_at(place, asked), places))
    if not any(index.keys for index in indexes):
        return None
    shadow = mirror(away, []) if away is not None and not single else None
    opening = _Opening(path, entries, places, indexes, reading, asked)
    return opening.opened(others, directories, single, shadow)


class _Opening:
    """All shards together."""

    def __init__(
        self,
        path: str,
        entries: Sequence[Entry],
        places: Sequence[Place],
        indexes: Sequence[Index],
        reading: Reading,
        asked: Asked,
    ) -> None:
        self._path, self._entries, self._places, self._indexes = path, entries, places, indexes
        self._reading, self._asked = reading, asked
        self._counts = _endings(indexes)
        self._label_ending = LABEL if asked.label is None else asked.label.lower()
        # What says the label is content only where there is nothing else.
        self._usable = [ending for ending in self._counts if ending != self._label_ending] or list(self._counts)
        self.kind = _kind(indexes, frozenset(self._usable))
        self._rank = self._ranked()
        self._samples: list[Entry] = []
        self._labels: list[str | None] = []
        self._splits: list[str | None] = []
        self._written: list[bool] = []

    def opened(self, others: Sequence[Entry], directories: Sequence[str], single: bool, shadow: str | None) -> Opened:
        found = zip(self._entries, self._places, self._indexes, strict=True)
        shards = tuple(self._shard(entry, place, index) for entry, place, index in found)
        self._check_asked()
        source = ShardSource(
            self._path,
            self.kind,
            self._layout(),
            self._samples,
            others,
            directories,
            shards=shards,
            written=np.array(self._written, dtype=bool),
            label_ending=self._label_ending,
            told=self._told(),
            single=single,
            mirror=shadow,
        )
        return Opened(source, self._labels, self._splits)

    def _shard(self, entry: Entry, place: Place, index: Index) -> Shard:
        """A shard, whose samples are put behind those of the earlier ones."""
        first = len(self._samples)
        chosen = _chosen(index, self._rank)
        known = np.flatnonzero(chosen >= 0)
        file = place.file if is_url(place.file) else os.path.abspath(place.file)
        taken: dict[str, int] = {}
        split = split_of_folders(entry.path) or split_of_name(entry.path)
        for sample, member in zip(known.tolist(), chosen[known].tolist(), strict=True):
            ending = index.endings[index.ending[member]]
            name = _free(index.keys[sample], ending, taken)
            offset, size = index.content[member].tolist()
            suffix = os.path.splitext(f".{ending}" if "." in ending else f"x.{ending}")[1]
            where = Place(file, suffix if _PLAIN.fullmatch(suffix) else "", offset, size, place.stamp).text()
            self._samples.append(Entry(f"{entry.path}/{name}", size, int(index.mtime[member]) * 10**9, None, where))
            self._labels.append(self._label(f"{entry.path}/{name}", index.labels[sample]))
            self._splits.append(split if self._asked.split is None else index.splits[sample])
            self._written.append(index.written[sample])
        row_of = np.full(len(index.keys) + 1, -1, dtype=np.int64)
        row_of[known] = first + np.arange(len(known))
        rows = range(first, len(self._samples))
        return Shard(entry, index.spans, row_of[index.sample], rows, place, index.ending, index.endings)

    def _label(self, name: str, label: str | None) -> str | None:
        if self._reading.label_pattern is None:
            return label
        found = re.search(self._reading.label_pattern, name)
        return found[1] if found else None

    def _check_asked(self) -> None:
        """Refuse names that no sample knows."""
        told = (
            ("--label", self._reading.label, self._labels),
            ("--label-pattern", self._reading.label_pattern, self._labels),
            ("--split", self._reading.split, self._splits),
        )
        for flag, name, values in told:
            if name is None or any(value is not None for value in values):
                continue
            if flag == "--label-pattern":
                raise InputError(f"{self._path}: {flag} {name}: matches no sample, such as {self._samples[0].path}")
            there = ", ".join(f".{ending}" for ending in self._common())
            raise InputError(
                f"{self._path}: {flag} {name}: no sample has a member or a field of its .json of this name that says "
                f"one; members are {there}"
            )

    def _ranked(self) -> dict[str, int]:
        """The endings that may be content, the best first: what most samples have, then the shortest."""
        if self.kind == "file":
            known = [ending for ending in self._usable if ending not in (LABEL, JSON)] or list(self._usable)
        else:
            known = [ending for ending in self._usable if kind_of(f"x.{ending}") == self.kind]
        known.sort(key=lambda ending: (-self._counts[ending], ending.count("."), ending))
        return {ending: rank for rank, ending in enumerate(known)}

    def _common(self) -> list[str]:
        names = sorted(self._counts, key=lambda ending: (-self._counts[ending], ending))
        return names[:_SHOWN]

    def _layout(self) -> str:
        more = " ..." if len(self._counts) > _SHOWN else ""
        return (
            f"WebDataset shards ({len(self._entries):,}), keys with {' '.join(f'.{e}' for e in self._common())}{more}"
        )

    def _told(self) -> dict[str, int]:
        keys = sum(len(index.keys) for index in self._indexes)
        told = {
            "keys_without_content": keys - len(self._samples),
            "unclear_labels": sum(index.unclear for index in self._indexes),
        }
        return {"shards": len(self._entries)} | {name: count for name, count in told.items() if count}


def _endings(indexes: Sequence[Index]) -> Counter[str]:
    """How many samples have each ending, in small letters."""
    counts: Counter[str] = Counter()
    for index in indexes:
        number = np.bincount(index.ending[index.ending >= 0], minlength=len(index.endings))
        for ending, count in zip(index.endings, number.tolist(), strict=True):
            counts[ending.lower()] += count
    return counts


def _kind(indexes: Sequence[Index], usable: frozenset[str]) -> str:
    """Images, if half of the samples have one; else sounds, or texts: a text beside an image is its caption."""
    having: Counter[str] = Counter()
    for index in indexes:
        known = [kind_of(f"x.{ending}") if ending.lower() in usable else None for ending in index.endings]
        kinds = np.array([*known, None], dtype=object)
        of_member = kinds[index.ending]
        for kind in BY_KIND:
            having[kind] += len(np.unique(index.sample[of_member == kind]))
    keys = sum(len(index.keys) for index in indexes)
    order = [kind for kind in BY_KIND if having[kind] * 2 >= keys] or [kind for kind, n in having.most_common(1) if n]
    return order[0] if order else "file"


def _chosen(index: Index, rank: dict[str, int]) -> NDArray[np.int64]:
    """(samples,) int64, the member that holds the content of each sample, -1 for none: the one with the best ending."""
    none = len(rank)
    ranks = np.array([rank.get(ending.lower(), none) for ending in index.endings] + [none], dtype=np.int64)
    of_member = ranks[index.ending]
    chosen = np.full(len(index.keys), -1, dtype=np.int64)
    # The last write wins, so the best come last.
    order = np.argsort(-of_member, kind="stable")
    order = order[of_member[order] < none]
    chosen[index.sample[order]] = order
    return chosen


def _free(key: str, ending: str, taken: dict[str, int]) -> str:
    """The name of a member in its shard; a key that comes again gets a number, for ids must differ.

    Args:
        key: of the sample.
        ending: of the member.
        taken: the names that are in use -> the last number that was tried; it is brought up to date.
    """
    wanted = name = f"{key}.{ending}"
    number = taken.get(wanted, 1)
    while name in taken:
        number += 1
        name = f"{key}~{number}.{ending}"
    taken[name] = 1
    taken[wanted] = number
    return name
