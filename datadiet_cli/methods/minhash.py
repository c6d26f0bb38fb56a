"""MinHash signatures of sets, and the pairs of sets that agree in a band of them.

Broder, "On the resemblance and containment of documents", SEQUENCES 1997: the least hash of two sets is the same with
a probability of their Jaccard similarity. Banding: Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets",
section 3.4. Of each least hash one byte is kept to estimate the similarity from (b-bit minwise hashing: Li & König,
WWW 2010), and a number for each band.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import comb, log

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.shingles import Hashes, Ints, mixed, ranges

MISSED = 1e-4
"""The probability that is aimed at for a pair at the threshold to be missed."""
_TAIL = MISSED / 100
_MOST_HASHES, _MOST_BANDS = 256, 1024
_MARGIN = 0.1
"""How far below the threshold an estimated pair is still worth counting its shingles."""
_CHANCE = 1 / 256
"""How often the bytes of two different hashes are equal."""
_ELEMENTS = 1 << 16
_PAIRS = 1 << 16
CROWD = 64
"""A bucket of more sets than this is not compared pair by pair."""
ROOM = (64, 32)
"""So many likely pairs, and so many doubtful ones, each set is given; a pair of two sets without room is left out."""
_HUBS, _FRUITLESS = 64, 4
"""Hubs of a crowded bucket, and how many of them in a row may find nothing like them."""


@dataclass(frozen=True)
class Bands:
    """How signatures are cut.

    Attributes:
        threshold: the least Jaccard similarity t of the pairs to find.
        count: bands b.
        rows: hashes of a band r.
    """

    threshold: float
    count: int
    rows: int

    @property
    def hashes(self) -> int:
        """Hashes of a signature."""
        return self.count * self.rows

    @property
    def missed(self) -> float:
        """Probability that a pair at the threshold is missed.

        (1 - t^r)^b that it agrees in no band, and that of its estimate falling below `least`.
        """
        return (1 - self.threshold**self.rows) ** self.count + self._estimate[1]

    @property
    def least(self) -> int:
        """Equal bytes of two signatures below which the pair is not followed up."""
        return self._estimate[0]

    @cached_property
    def _estimate(self) -> tuple[int, float]:
        """The least number of equal bytes, and the probability that a pair at the threshold has fewer."""
        n, p = self.hashes, self.threshold + (1 - self.threshold) * _CHANCE
        most = int(max(self.threshold - _MARGIN, 0) * n)
        below = 0.0
        for least in range(most):
            with_this = below + comb(n, least) * p**least * (1 - p) ** (n - least)
            if with_this > _TAIL:
                return least, below
            below = with_this
        return most, below


def plan_bands(threshold: float) -> Bands:
    """Choose bands so that a pair at the threshold is missed with a probability of `MISSED` at most.

    The more rows a band has, the fewer pairs below the threshold it lets through, and the more bands are needed:
    b = ln(MISSED) / ln(1 - t^r). So r is the largest for which b * r is 256 hashes at most. A threshold below 0.009 is
    given no more than 1024 bands of one row, which `Bands.missed` tells.

    Args:
        threshold: Jaccard similarity, above 0, at most 1.
    """
    plan = Bands(threshold, min(_bands(threshold, 1), _MOST_BANDS), 1)
    for rows in range(2, _MOST_HASHES + 1):
        count = _bands(threshold, rows)
        if count * rows <= _MOST_HASHES:
            plan = Bands(threshold, count, rows)
    return plan


def _bands(threshold: float, rows: int) -> int:
    miss = 1 - threshold**rows
    if miss <= MISSED:
        return 1
    return int(min(log(MISSED - _TAIL) / log(miss), 1e9)) + 1 if miss < 1 else 10**9


def signatures(members: Hashes, sizes: Ints, hashes: int) -> NDArray[np.uint32]:
    """The least of each of several hashes of all members of every set.

    Args:
        members: (d,) uint64 of 48 random bits, set after set.
        sizes: (n,) int64.
        hashes: how many.

    Returns:
        (n, hashes) uint32; the largest number throughout for an empty set.
    """
    least = np.full((len(sizes), hashes), np.iinfo(np.uint32).max, dtype=np.uint32)
    filled = np.flatnonzero(sizes)
    if not len(filled):
        return least
    values = (members >> np.uint64(16)).astype(np.uint32)
    starts = (np.cumsum(sizes) - sizes)[filled]
    factors, addends = _permutations(hashes)
    # As many sets at a time as fit the CPU's cache.
    cut = np.flatnonzero(np.diff(starts // _ELEMENTS, prepend=0))
    for part in np.split(np.arange(len(filled)), cut):
        if len(part):
            begin, end = starts[part[0]], starts[part[-1]] + sizes[filled[part[-1]]]
            some, own = values[begin:end], starts[part] - begin
            room = np.empty_like(some)
            for i in range(hashes):
                np.multiply(some, factors[i], out=room)
                np.add(room, addends[i], out=room)
                least[filled[part], i] = np.minimum.reduceat(room, own)
    return least


def _permutations(hashes: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Odd factors and addends: x * a + b permutes the numbers of 32 bits."""
    drawn = mixed(np.arange(1, 2 * hashes + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    drawn = drawn.reshape(hashes, 2) >> np.uint64(32)
    return (drawn[:, 0] | np.uint64(1)).astype(np.uint32), drawn[:, 1].astype(np.uint32)


def band_keys(signature: NDArray[np.uint32], bands: Bands) -> NDArray[np.uint32]:
    """One number for each band: (n, hashes) -> (n, bands) uint32."""
    rows = signature.reshape(len(signature), bands.count, bands.rows).astype(np.uint64)
    keys = np.zeros(rows.shape[:2], dtype=np.uint64)
    for row in range(bands.rows):
        keys = mixed(keys + rows[:, :, row] + np.uint64(1))
    return (keys >> np.uint64(32)).astype(np.uint32)


def likely_pairs(
    keys: NDArray[np.uint32], traces: NDArray[np.uint8], bands: Bands, rank: Ints, group: Ints
) -> tuple[NDArray[np.int64], int]:
    """Find pairs of sets that agree in a band, and whose estimated similarity does not rule them out.

    A bucket of at most `CROWD` sets is compared pair by pair. In a larger one the best of rank is compared with all,
    then the best of those that are not like it and of its group, and so on, a few dozen times at most: enough to group
    the copies of a few texts by the thousand, without the square of their number. And a pair that neither of the two
    has `ROOM` for is left out. So texts that share a template by the thousand, and are no copies, cost little.

    Args:
        keys: (n, bands) uint32, as `band_keys` gives them.
        traces: (n, hashes) uint8, the lowest byte of each hash of the signatures.
        bands: how they were cut.
        rank: (n,) int64, all different; smaller is kept.
        group: (n,) int64; who is compared with the best of another group does not count as done.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted; and how many sets were not compared with all that they met.
    """
    order = np.argsort(rank, kind="stable")
    crowded = np.zeros(keys.shape, dtype=bool)
    found = _Found(traces, bands)
    for band in range(bands.count):
        members, start, size = _buckets(keys[:, band], order)
        for bucket in np.flatnonzero(size > CROWD).tolist():
            inside = members[start[bucket] : start[bucket] + size[bucket]]
            crowded[inside, band] = True
            _meet_hubs(found, inside, group)
        few = (size > 1) & (size <= CROWD)
        for pairs in _bucket_pairs(members, start[few], size[few]):
            # Pairs that met in an earlier band are known; but a crowd's pairs may not all have met.
            before = (keys[pairs[:, 0], :band] == keys[pairs[:, 1], :band]) & ~crowded[pairs[:, 0], :band]
            found.add(pairs[~before.any(axis=1)])
    return found.pairs(), int(found.left.sum())


class _Found:
    """The pairs so far, and how many each set has."""

    def __init__(self, traces: NDArray[np.uint8], bands: Bands) -> None:
        self.traces, self.least = traces, bands.least
        self.alike = bands.threshold * bands.hashes
        self.left = np.zeros(len(traces), dtype=bool)
        self._taken = np.zeros((2, len(traces)), dtype=np.int64)
        self._parts: list[NDArray[np.int64]] = []

    def add(self, pairs: NDArray[np.int64], *, hub: bool = False) -> NDArray[np.bool_]:
        """Take pairs that are not ruled out and that there is room for; say which are likely copies.

        Args:
            pairs: (k, 2) int64.
            hub: whether likely pairs need no room.
        """
        same = np.count_nonzero(self.traces[pairs[:, 0]] == self.traces[pairs[:, 1]], axis=1)
        likely: NDArray[np.bool_] = same >= self.alike
        for number, chosen in enumerate((likely, ~likely & (same >= self.least))):
            some, taken = pairs[chosen], self._taken[number]
            if number or not hub:
                room = (taken[some] < ROOM[number]).any(axis=1)
                self.left[some[~room]] = True
                some = some[room]
            taken += np.bincount(some.ravel(), minlength=len(taken))
            self._parts.append(some)
        return likely

    def pairs(self) -> NDArray[np.int64]:
        """(p, 2) int64, each pair once, sorted."""
        n = max(len(self.traces), 1)
        pairs = np.sort(np.concatenate([np.empty((0, 2), dtype=np.int64), *self._parts]), axis=1)
        return np.stack(np.divmod(np.unique(pairs[:, 0] * n + pairs[:, 1]), n), axis=1)


def _meet_hubs(found: _Found, members: Ints, group: Ints) -> None:
    """Compare all members of a crowded bucket with a few of them."""
    side = group[members]
    waiting = np.ones(len(members), dtype=bool)
    fruitless = 0
    for _ in range(_HUBS):
        left = np.flatnonzero(waiting)
        if not len(left) or fruitless == _FRUITLESS:
            break
        hub = left[0]
        others = np.delete(np.arange(len(members)), hub)
        pairs = np.stack([np.full(len(others), members[hub]), members[others]], axis=1)
        covered = others[found.add(pairs, hub=True) & (side[others] == side[hub])]
        fruitless = 0 if waiting[covered].any() else fruitless + 1
        waiting[covered] = waiting[hub] = False
    found.left[members[waiting]] = True


def _buckets(keys: NDArray[np.uint32], order: Ints) -> tuple[Ints, Ints, Ints]:
    """Sets by key, those of one key in the order given; where each key's begin, and how many there are."""
    members = order[np.argsort(keys[order], kind="stable")]
    ordered = keys[members]
    start = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    return members, start, np.diff(np.append(start, len(ordered)))


def _bucket_pairs(members: Ints, start: Ints, size: Ints) -> Iterator[NDArray[np.int64]]:
    """All pairs of each bucket, about `_PAIRS` at a time."""
    place = ranges(start, size)
    later = np.repeat(start + size, size) - place - 1
    cut = np.flatnonzero(np.diff(np.cumsum(later) // _PAIRS, prepend=0))
    for part in np.split(np.arange(len(place)), cut):
        if len(part):
            first = np.repeat(place[part], later[part])
            yield np.stack([members[first], members[ranges(place[part] + 1, later[part])]], axis=1)
