"""Exact search for all pairs of binary hashes within a Hamming radius.

Multi-index hashing (Norouzi, Punjani & Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing",
CVPR 2012; IEEE TPAMI 36(6), 2014, section 2) turned into a self-join: the bits are dealt out to a few chunks,
chunk `c` is given `flips[c]` flips with `sum(flips + 1) = radius + 1`, and then two hashes within the radius
must agree in at least one chunk up to its flips, since a pair that exceeds every allowance differs in
`radius + 1` bits or more. So only pairs whose chunks fall into equal or neighbouring buckets are compared.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 16
"""Pairs compared at a time: a few arrays of this length stay in the CPU's cache, and bound the memory."""
_SAMPLE = 1 << 14
"""Random pairs of hashes that the plan is made from."""
_MAX_BITS = 22
"""Widest chunk: its table of buckets has 2**22 entries (32 MiB)."""
_MIN_BITS, _MAX_FLIPS = 5, 5
"""Chunks narrower than this on average, and more flips in one chunk, never pay."""

# What a unit of work costs, in seconds on one core; only their ratios matter, and only for speed.
_BRUTE_PAIR, _CANDIDATE, _LOOKUP, _PROBE, _PLANNING = 1.3e-9, 6e-9, 5e-9, 1e-4, 0.2


@dataclass(frozen=True)
class _Chunk:
    """Some of the bits (numbered through all words, lowest first), and how many of them may differ."""

    bits: tuple[int, ...]
    flips: int

    def masks(self) -> Iterator[int]:
        """Yield the differences that keys of this chunk may have, the smallest first."""
        for flips in range(self.flips + 1):
            for places in combinations(range(len(self.bits)), flips):
                yield sum(1 << place for place in places)


@dataclass(frozen=True, eq=False)
class _Buckets:
    """Hashes sorted by their key in one chunk.

    Attributes:
        key: (n,) uint32, sorted.
        start: (2**bits + 1,) int64, where the bucket of every key begins.
        columns: (words, n) uint64, the hashes in the order of their keys.
        rows: (n,) int64, where each stood before.
    """

    key: NDArray[np.uint32]
    start: NDArray[np.int64]
    columns: NDArray[np.uint64]
    rows: NDArray[np.int64]


def distances(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the bits in which each hash of `a` differs from the hash in the same row of `b`.

    Args:
        a: (n,) or (n, words) uint64.
        b: as `a`.

    Returns:
        (n,) int64.

    Raises:
        ValueError: the shapes differ, or are not of this kind.
    """
    if a.shape != b.shape:
        raise ValueError(f"hashes of shape {a.shape} cannot be compared with hashes of shape {b.shape}")
    return _distances(_columns(a), _columns(b)).astype(np.int64)


def pairs_within(hashes: NDArray[np.uint64], radius: int, workers: int = 1) -> NDArray[np.int64]:
    """Find every pair of hashes that differ in at most `radius` bits. Exact.

    Time and memory grow with the number of pairs found, so pass distinct hashes: k equal ones are
    k * (k - 1) / 2 pairs. Beside the answer it needs about 100 bytes a hash of 64 bits, however skewed.

    Args:
        hashes: (n,) uint64, or (n, words) uint64 for hashes of more than 64 bits. Equal ones are allowed.
        radius: greatest distance in bits, 0 or more.
        workers: threads to use; the answer does not depend on it.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted.

    Raises:
        ValueError: `radius` is negative, or `hashes` is not of this shape.
    """
    if radius < 0:
        raise ValueError(f"a Hamming radius cannot be negative, got {radius}")
    columns = _columns(hashes)
    n = columns.shape[1]
    plan = _plan(columns, radius)
    if plan is None:
        parts = list(_brute_force(columns, radius))
    else:
        with ThreadPoolExecutor(workers) as threads:
            parts = [part for turn in range(len(plan)) for part in _search(columns, radius, plan, turn, threads)]
    found = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    del parts  # half of the memory at its peak
    found.sort()
    return np.stack(np.divmod(found, max(n, 1)), axis=1)


def _columns(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(words, n): each word contiguous, so that the first word of all hashes is read without the others."""
    if hashes.ndim not in (1, 2) or hashes.shape[1:] == (0,):
        raise ValueError(f"hashes must be (n,) or (n, words), got the shape {hashes.shape}")
    table = hashes[:, None] if hashes.ndim == 1 else hashes
    return np.ascontiguousarray(table.T, dtype=np.uint64)


def _distances(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.unsignedinteger]:
    """Hamming distances of two stacks of columns (words, ...), broadcast against each other."""
    total: NDArray[np.unsignedinteger] = np.bitwise_count(a[0] ^ b[0])
    if len(a) > 1:
        total = total.astype(np.uint32)  # a byte holds the distance of 255 bits only
    for word in range(1, len(a)):
        total += np.bitwise_count(a[word] ^ b[word])
    return total


def _brute_force(columns: NDArray[np.uint64], radius: int) -> Iterator[NDArray[np.int64]]:
    """Compare all pairs, tile by tile; yields pairs (i, j) as i * n + j."""
    n = columns.shape[1]
    height, width = 64, _BLOCK // 64
    for top in range(0, n, height):
        some = columns[:, top : top + height, None]
        for left in range(top, n, width):
            others = columns[:, None, left : left + width]
            # One flat search is three times as fast as nonzero() in two dimensions.
            hits = np.flatnonzero(_distances(some, others).ravel() <= radius)
            if not len(hits):
                continue
            i, j = np.divmod(hits, others.shape[2])
            i += top
            j += left
            later = i < j
            yield i[later] * n + j[later]


def _plan(columns: NDArray[np.uint64], radius: int) -> list[_Chunk] | None:
    """Choose chunks and flips by what they would cost on these hashes; None means to compare all pairs.

    Real hashes are far from uniform: bits are constant, or go together, and a chunk of such bits would put
    most hashes into one bucket. Therefore chunks and costs are made from a sample of pairs of these hashes.
    """
    n = columns.shape[1]
    all_pairs = n * (n - 1) / 2
    cheapest = all_pairs * len(columns) * _BRUTE_PAIR
    if cheapest <= _PLANNING:
        return None
    differ = _sample_differences(columns)
    best = None
    for count in sorted({radius // (flips + 1) + 1 for flips in range(_MAX_FLIPS + 1)}):
        if count * _MIN_BITS > differ.shape[1]:
            break
        least, more = divmod(radius + 1 - count, count)
        chunks, chances = _deal(differ, [least + (c < more) for c in range(count)])
        probes = sum(_ball(len(chunk.bits), chunk.flips) for chunk in chunks)
        cost = all_pairs * sum(chances) * _CANDIDATE + probes * (n * _LOOKUP + _PROBE)
        if cost < cheapest:
            cheapest, best = cost, chunks
    return best


def _sample_differences(columns: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(pairs, bits) 0 or 1: the bits in which random pairs of hashes differ. A fixed seed: plans repeat."""
    n = columns.shape[1]
    rng = np.random.default_rng(0)
    one = rng.integers(0, n, _SAMPLE)
    other = (one + rng.integers(1, n, _SAMPLE)) % n
    words = np.ascontiguousarray((columns[:, one] ^ columns[:, other]).T, dtype="<u8")
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")


def _deal(differ: NDArray[np.uint8], flips: list[int]) -> tuple[list[_Chunk], list[float]]:
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
    return [_Chunk(tuple(b), f) for b, f in zip(bits, flips, strict=True)], chances


def _ball(bits: int, flips: int) -> int:
    """How many keys lie within `flips` of one of so many bits."""
    return sum(comb(bits, k) for k in range(min(bits, flips) + 1))


def _search(
    columns: NDArray[np.uint64], radius: int, plan: list[_Chunk], turn: int, threads: Executor
) -> Iterator[NDArray[np.int64]]:
    """Find the pairs that chunk `turn` of the plan brings together; yields pairs (i, j) as i * n + j."""
    earlier = [(_selector(chunk, len(columns)), chunk.flips) for chunk in plan[:turn]]
    buckets = _sort_into_buckets(columns, plan[turn])
    return threads.map(lambda mask: _join(buckets, mask, radius, earlier), plan[turn].masks())


def _join(
    buckets: _Buckets, mask: int, radius: int, earlier: list[tuple[NDArray[np.uint64], int]]
) -> NDArray[np.int64]:
    """Find the pairs within the radius whose keys differ by `mask`, as i * n + j."""
    n = len(buckets.rows)
    found = [np.empty(0, dtype=np.int64)]
    for one, other in _candidates(buckets, mask):
        near = np.flatnonzero(_distances(buckets.columns[:, one], buckets.columns[:, other]) <= radius)
        one, other = one[near], other[near]
        differ = buckets.columns[:, one] ^ buckets.columns[:, other]
        # A pair that an earlier chunk has found already is left out, so that no pair comes twice.
        new = np.ones(len(one), dtype=np.bool_)
        for selector, flips in earlier:
            new &= np.bitwise_count(differ & selector).sum(axis=0) > flips
        i, j = buckets.rows[one[new]], buckets.rows[other[new]]
        found.append(np.minimum(i, j) * n + np.maximum(i, j))
    return np.concatenate(found)


def _selector(chunk: _Chunk, words: int) -> NDArray[np.uint64]:
    """(words, 1) uint64 with the chunk's bits set."""
    selector = np.zeros((words, 1), dtype=np.uint64)
    for bit in chunk.bits:
        selector[bit // 64] |= np.uint64(1 << (bit % 64))
    return selector


def _sort_into_buckets(columns: NDArray[np.uint64], chunk: _Chunk) -> _Buckets:
    n = columns.shape[1]
    key = np.zeros(n, dtype=np.uint32)
    for place, bit in enumerate(chunk.bits):
        ones = (columns[bit // 64] >> np.uint64(bit % 64)) & np.uint64(1)
        key |= ones.astype(np.uint32) << np.uint32(place)
    rows = np.argsort(key)
    sizes = np.bincount(key, minlength=1 << len(chunk.bits))
    start = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=start[1:])
    return _Buckets(key[rows], start, np.ascontiguousarray(columns[:, rows]), rows)


def _candidates(buckets: _Buckets, mask: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs of places whose keys differ in exactly the bits of `mask`, each pair once."""
    if mask:
        # Of two such keys exactly one lacks the mask's highest bit.
        one = np.flatnonzero(buckets.key & np.uint32(1 << (mask.bit_length() - 1)) == 0)
        partner = buckets.key[one] ^ np.uint32(mask)
        first = buckets.start[partner]
    else:
        one = np.arange(len(buckets.key))
        partner = buckets.key
        first = one + 1
    counts = buckets.start[partner + np.uint32(1)] - first
    some = np.flatnonzero(counts)
    one, first, counts = one[some], first[some], counts[some]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    # A block is given by candidates, not by places: one bucket may hold nearly all hashes.
    for begin in range(0, total, _BLOCK):
        end = min(begin + _BLOCK, total)
        low, high = np.searchsorted(ends, [begin, end - 1], side="right")
        part = slice(low, high + 1)
        behind = np.minimum(ends[part], end)
        repeats = np.diff(behind, prepend=begin)
        offset = first[part] - (ends[part] - counts[part])
        yield np.repeat(one[part], repeats), np.arange(begin, end) + np.repeat(offset, repeats)
