"""Who has company in which band of the MinHash signatures, and how the bands are cut into meetings.

A band is looked at on its own, and only its keys are: of all that is known of a set, the least.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import Crew
from datadiet_cli.methods.shingles import Ints, ranges

CROWD = 64
"""A bucket of more sets than this is not compared pair by pair."""
_SURVEYED = 1 << 22
"""Sets whose keys of a band are sorted at a time."""
_TOGETHER = 1 << 16
"""Sets with company that meet in one call, but for a crowd of more."""
_KEYS = 1 << 32

Keys = NDArray[np.uint32]
Zeros = Callable[[tuple[int, ...], Any], NDArray[Any]]


@dataclass(frozen=True)
class Span:
    """A range of the keys of a band, both ends included."""

    band: int
    low: int
    last: int


@dataclass(frozen=True)
class Meeting(Span):
    """A range of keys whose sets are compared with each other.

    Attributes:
        number: of this range, counted over all bands.
        rows: sets that have company in it.
        before: pairs in buckets of this band that have smaller keys and are no crowds.
        crowds: whether its crowded buckets are looked at, or the others.
    """

    number: int
    rows: int
    before: int
    crowds: bool


@dataclass(frozen=True, eq=False)
class Runs:
    """Keys of a band that several sets have.

    Attributes:
        keys: (r,) uint32, ascending.
        sizes: (r,) int64, how many have each.
        members: (sum of sizes,) uint32, which: key by key.
    """

    keys: Keys
    sizes: Ints
    members: NDArray[np.uint32]


class Columns(Protocol):
    """What is surveyed."""

    def column(self, span: Span) -> tuple[Keys, Ints]:
        """The keys of a range, in any order, and the numbers of their sets."""


class Survey:
    """Who has company in which band, and who is in a crowd.

    Args:
        n: number of sets, below 2**32.
        bands: of the signatures.
        zeros: makes arrays.

    Attributes:
        company: (n, bands / 8) uint8, a bit for each band.
        crowded: likewise.
        meetings: for each band, those of its crowds, and then the others.
    """

    def __init__(self, n: int, bands: int, zeros: Zeros = np.zeros) -> None:
        self.company = zeros((n, -(-bands // 8)), np.uint8)
        self.crowded = zeros((n, -(-bands // 8)), np.uint8)
        self.meetings: list[list[Meeting]] = [[] for _ in range(bands)]
        self._ranges = 0

    def make(self, columns: Columns, crew: Crew) -> None:
        """Survey all bands."""
        parts = -(-len(self.company) // _SURVEYED)
        bounds = [_KEYS * i // parts for i in range(parts + 1)] if parts else []
        spans = [Span(band, low, high - 1) for band in range(len(self.meetings)) for low, high in pairwise(bounds)]
        before = 0
        for span, runs in zip(spans, crew.each(survey, columns, spans), strict=True):
            before = self._note(span, runs, 0 if span.low == 0 else before)

    def _note(self, span: Span, runs: Runs, before: int) -> int:
        """Note what was found in a part of a band, and cut it into meetings; how many pairs the band has by now."""
        byte, bit = span.band >> 3, np.uint8(1 << (span.band & 7))
        self.company[runs.members, byte] |= bit
        crowds = runs.sizes > CROWD
        self.crowded[runs.members[np.repeat(crowds, runs.sizes)], byte] |= bit
        pairs = np.where(crowds, 0, runs.sizes * (runs.sizes - 1) // 2)
        cut = np.flatnonzero(np.diff(np.cumsum(runs.sizes) // _TOGETHER)) + 1
        small, large = [], []
        for part in np.split(np.arange(len(pairs)), cut):
            if not len(part):
                continue
            ends = int(runs.keys[part[0]]), int(runs.keys[part[-1]])
            about = (span.band, *ends, self._ranges, int(runs.sizes[part].sum()))
            if crowds[part].any():
                large.append(Meeting(*about, before, crowds=True))
            if not crowds[part].all():
                small.append(Meeting(*about, before, crowds=False))
            self._ranges += 1
            before += int(pairs[part].sum())
        # The crowds of a band come first, wherever in it they are.
        met = self.meetings[span.band]
        first = sum(meeting.crowds for meeting in met)
        met[:] = [*met[:first], *large, *met[first:], *small]
        return before


def in_band(bits: NDArray[np.uint8], band: int) -> NDArray[np.bool_]:
    """(n,) bool, whose bit of a band is set, from (n, bands / 8)."""
    return (bits[:, band >> 3] & np.uint8(1 << (band & 7))).astype(bool)


def between(keys: Keys, span: Span) -> Ints:
    """Indices of the keys in a range."""
    if span.low == 0 and span.last == _KEYS - 1:
        return np.arange(len(keys))
    return np.flatnonzero((keys >= np.uint32(span.low)) & (keys <= np.uint32(span.last)))


def survey(columns: Columns, span: Span) -> Runs:
    """Which keys of a range several sets have, and which sets."""
    keys, sets = columns.column(span)
    ordered = keys.astype(np.uint64) << np.uint64(32)
    ordered |= sets.astype(np.uint64)
    ordered.sort()
    keys = (ordered >> np.uint64(32)).astype(np.uint32)
    start, size = runs_of(keys)
    several = size > 1
    members = ordered[ranges(start[several], size[several])].astype(np.uint32)
    return Runs(keys[start[several]], size[several], members)


def runs_of(keys: Keys) -> tuple[Ints, Ints]:
    """Where each of sorted keys begins, and how often it is there."""
    start = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return start, np.diff(np.append(start, len(keys)))
