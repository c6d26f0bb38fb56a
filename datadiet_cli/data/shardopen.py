"""Recognise the shards of a WebDataset, and find in them what the samples are, their classes and their splits."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.annotations import split_of_folders, split_of_name
from datadiet_cli.data.kinds import BY_KIND, is_hidden, kind_of
from datadiet_cli.data.places import Place, stamp_of
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shards import Shard, ShardSource
from datadiet_cli.data.shardscan import JSON, LABEL, Asked, Index, index_shard
from datadiet_cli.data.tarindex import TarError
from datadiet_cli.errors import InputError

SUFFIX = ".tar"
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
    path: str, entries: Sequence[Entry], others: Sequence[Entry], directories: Sequence[str], reading: Reading
) -> Opened | None:
    """Open shards as a dataset.

    Args:
        path: INPUT: their folder, or the only one of them.
        entries: the shards, sorted by path.
        others: files beside them.
        directories: of the folder.
        reading: what the user named.

    Returns:
        the dataset; None if the tar files hold nothing that has the name of a sample.

    Raises:
        InputError: a shard is damaged, compressed or not a tar file, or nothing says what the user named.
    """
    packed = next((entry.path for entry in others if entry.path.lower().endswith(_PACKED)), None)
    if packed is not None:
        raise InputError(
            f"{path}: {packed} is compressed, and its samples would be left out; unpack it to a plain .tar, or take it "
            "out of INPUT"
        )
    single = not os.path.isdir(path)
    root = os.path.dirname(path) if single else path
    asked = Asked(None if reading.label is None else reading.label.removeprefix("."), reading.split)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        indexes = list(pool.map(lambda entry: _index(root, entry, asked), entries))
    if not any(index.keys for index in indexes):
        return None
    return _Opening(path, root, entries, indexes, reading, asked).opened(others, directories, single)


def _index(root: str, entry: Entry, asked: Asked) -> Index:
    file = os.path.join(root, entry.path)
    try:
        with _open(file) as stream:
            return index_shard(stream, asked)
    except TarError as error:
        raise InputError(f"{file}: {error}") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error


def _open(file: str) -> BinaryIO:
    return open(file, "rb")


class _Opening:
    """All shards together."""

    def __init__(
        self, path: str, root: str, entries: Sequence[Entry], indexes: Sequence[Index], reading: Reading, asked: Asked
    ) -> None:
        self._path, self._root, self._entries, self._indexes = path, root, entries, indexes
        self._reading, self._asked = reading, asked
        self._counts = _endings(indexes)
        self.kind = _kind(indexes)
        self._rank = self._ranked()
        self._samples: list[Entry] = []
        self._labels: list[str | None] = []
        self._splits: list[str | None] = []
        self._written: list[bool] = []

    def opened(self, others: Sequence[Entry], directories: Sequence[str], single: bool) -> Opened:
        shards = tuple(self._shard(*pair) for pair in zip(self._entries, self._indexes, strict=True))
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
            label_ending=LABEL if self._asked.label is None else self._asked.label.lower(),
            told=self._told(),
            single=single,
        )
        return Opened(source, self._labels, self._splits)

    def _shard(self, entry: Entry, index: Index) -> Shard:
        """A shard, whose samples are put behind those of the earlier ones."""
        first = len(self._samples)
        chosen = _chosen(index, self._rank)
        known = np.flatnonzero(chosen >= 0)
        file = os.path.abspath(os.path.join(self._root, entry.path))
        stamp, taken = stamp_of(entry.size, entry.mtime_ns), set[str]()
        split = split_of_folders(entry.path) or split_of_name(entry.path)
        for sample, member in zip(known.tolist(), chosen[known].tolist(), strict=True):
            ending = index.endings[index.ending[member]]
            name = _free(index.keys[sample], ending, taken)
            offset, size = index.content[member].tolist()
            suffix = os.path.splitext(f".{ending}" if "." in ending else f"x.{ending}")[1]
            place = Place(file, suffix if _PLAIN.fullmatch(suffix) else "", offset, size, stamp)
            self._samples.append(
                Entry(f"{entry.path}/{name}", size, int(index.mtime[member]) * 10**9, None, place.text())
            )
            self._labels.append(self._label(f"{entry.path}/{name}", index.labels[sample]))
            self._splits.append(split if self._asked.split is None else index.splits[sample])
            self._written.append(index.written[sample])
        row_of = np.full(len(index.keys) + 1, -1, dtype=np.int64)
        row_of[known] = first + np.arange(len(known))
        return Shard(entry, index.spans, row_of[index.sample], range(first, len(self._samples)))

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
            known = [ending for ending in self._counts if ending not in (LABEL, JSON)] or list(self._counts)
        else:
            known = [ending for ending in self._counts if kind_of(f"x.{ending}") == self.kind]
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


def _kind(indexes: Sequence[Index]) -> str:
    """Images, if half of the samples have one; else sounds, or texts: a text beside an image is its caption."""
    having: Counter[str] = Counter()
    for index in indexes:
        kinds = np.array([kind_of(f"x.{ending}") for ending in index.endings] + [None], dtype=object)
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


def _free(key: str, ending: str, taken: set[str]) -> str:
    """The name of a member in its shard; a key that comes again gets a number, for ids must differ."""
    name, number = f"{key}.{ending}", 1
    while name in taken:
        number += 1
        name = f"{key}~{number}.{ending}"
    taken.add(name)
    return name
