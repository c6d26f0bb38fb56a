"""MinHash signatures of sets, and how they are cut into bands.

Broder, "On the resemblance and containment of documents", SEQUENCES 1997: the least hash of two sets is the same with
a probability of their Jaccard similarity. Banding: Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets",
section 3.4. Of each least hash one byte is kept to estimate the similarity from (b-bit minwise hashing: Li & König,
WWW 2010), and a number for each band.
"""

from dataclasses import dataclass
from functools import cached_property
from math import comb, log

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.shingles import Hashes, Ints, mixed

MISSED = 1e-4
"""The probability that is aimed at for a pair at the threshold to be missed."""
_TAIL = MISSED / 100
_MOST_HASHES, _MOST_BANDS = 256, 1024
_MARGIN = 0.1
"""How far below the threshold an estimated pair is still worth counting its shingles."""
_CHANCE = 1 / 256
"""How often the bytes of two different hashes are equal."""
_ELEMENTS = 1 << 16


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
