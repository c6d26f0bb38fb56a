"""How to search for near binary hashes: into which chunks to deal their bits, or whether to compare all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 1 << 14
"""Random pairs of hashes that the plan is made from."""
_MAX_BITS = 22
"""Widest chunk: its table of buckets has 2**22 entries (32 MiB)."""
_MIN_BITS, _MAX_FLIPS = 5, 5
"""Chunks narrower than this on average, and more flips in one chunk, never pay."""

# What a unit of work costs, in seconds on one core; only their ratios matter, and only for speed.
_BRUTE_PAIR, _CANDIDATE, _LOOKUP, _PROBE = 1.3e-9, 6e-9, 5e-9, 1e-4
WORTH_A_PLAN = 0.2


@dataclass(frozen=True)
class Chunk:
    """Some of the bits (numbered through all words, lowest first), and how many of them may differ."""

    bits: tuple[int, ...]
    flips: int

    def masks(self) -> Iterator[int]:
        """Yield the differences that keys of this chunk may have, the smallest first."""
        for flips in range(self.flips + 1):
            for places in combinations(range(len(self.bits)), flips):
                yield sum(1 << place for place in places)


def plan(differ: NDArray[np.uint8], pairs: float, keys: int, radius: int) -> list[Chunk] | None:
    """Choose chunks and flips by what they would cost on these hashes; None means to compare all pairs.

    Real hashes are far from uniform: bits are constant, or go together, and a chunk of such bits would put
    most hashes into one bucket. Therefore chunks and costs are made from a sample of pairs of these hashes.

    Args:
        differ: (some, bits) 0 or 1, the bits in which random pairs of them differ.
        pairs: how many pairs there are to compare.
        keys: how many hashes look their neighbours up.
        radius: greatest distance in bits.
    """
    cheapest = all_pairs_cost(pairs, differ.shape[1] // 64)
    best = None
    for count in sorted({radius // (flips + 1) + 1 for flips in range(_MAX_FLIPS + 1)}):
        if count * _MIN_BITS > differ.shape[1]:
            break
        least, more = divmod(radius + 1 - count, count)
        chunks, chances = _deal(differ, [least + (c < more) for c in range(count)])
        probes = sum(_ball(len(chunk.bits), chunk.flips) for chunk in chunks)
        cost = pairs * sum(chances) * _CANDIDATE + probes * (keys * _LOOKUP + _PROBE)
        if cost < cheapest:
            cheapest, best = cost, chunks
    return best


def all_pairs_cost(pairs: float, words: int) -> float:
    """Seconds to compare all pairs of hashes of so many words."""
    return pairs * words * _BRUTE_PAIR


def sample_differences(one: NDArray[np.uint64], other: NDArray[np.uint64] | None = None) -> NDArray[np.uint8]:
    """Draw random pairs of hashes. From a fixed seed: plans repeat.

    Args:
        one: (words, n) uint64, n at least 2 if there is no other.
        other: (words, m) uint64, what to pair them with; themselves by default.

    Returns:
        (pairs, bits) 0 or 1, the bits in which they differ.
    """
    n = one.shape[1]
    rng = np.random.default_rng(0)
    first = rng.integers(0, n, _SAMPLE)
    if other is None:
        other, second = one, (first + rng.integers(1, n, _SAMPLE)) % n
    else:
        second = rng.integers(0, other.shape[1], _SAMPLE)
    words = np.ascontiguousarray((one[:, first] ^ other[:, second]).T, dtype="<u8")
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")


def _deal(differ: NDArray[np.uint8], flips: list[int]) -> tuple[list[Chunk], list[float]]:
    """Deal the bits out to chunks, so that in each as few pairs as possible differ by its flips or less.

    This is the greedy "substring optimization" that the paper suggests, on measured chances instead of
    correlations: the chunk with the most candidates takes the bit that parts most of them.

    Returns:
        The chunks, and the estimated chance of each that a pair of hashes has to be compared.
    """
    bits: list[list[int]] = [[] for _ in flips]
    counts = [np.zeros(len(differ), dtype=np.uint8) for _ in flips]
    chances = [1.0] * len(flips)
    rate = differ.mean(axis=0)
    free = np.flatnonzero(rate)  # a bit in which nothing differs parts nothing
    growing = list(range(len(flips)))
    while len(free) and growing:
        chunk = max(growing, key=chances.__getitem__)
        candidates = counts[chunk] <= flips[chunk]
        # With no candidate left in the sample, the rate among all pairs decides.
        parted = differ[candidates].sum(axis=0, dtype=np.int64)[free] + rate[free]
        bit = int(free[np.argmax(parted)])
        free = free[free != bit]
        bits[chunk].append(bit)
        counts[chunk] += differ[:, bit]
        width = len(bits[chunk])
        # The sample cannot see chances below 1 in its size; no real hashes do better than uniform ones.
        uniform = _ball(width, flips[chunk]) / 2.0**width
        chances[chunk] = max(float((counts[chunk] <= flips[chunk]).mean()), uniform)
        if width == _MAX_BITS:
            growing.remove(chunk)
    return [Chunk(tuple(b), f) for b, f in zip(bits, flips, strict=True)], chances


def _ball(bits: int, flips: int) -> int:
    """How many keys lie within `flips` of one of so many bits."""
    return sum(comb(bits, k) for k in range(min(bits, flips) + 1))
