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

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.hamming_plan import WORTH_A_PLAN, Chunk, all_pairs_cost, plan, sample_differences

_BLOCK = 1 << 16
"""Pairs compared at a time: a few arrays of this length stay in the CPU's cache, and bound the memory."""


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
    pairs = n * (n - 1) / 2
    chunks = None
    if all_pairs_cost(pairs, len(columns)) > WORTH_A_PLAN:
        chunks = plan(sample_differences(columns), pairs, n, radius)
    return _found(columns, columns, radius, chunks, workers)


def pairs_between(
    one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int, workers: int = 1
) -> NDArray[np.int64]:
    """Find every pair of a hash and one of other hashes that differ in at most `radius` bits. Exact.

    Args:
        one: (n,) uint64, or (n, words) uint64 for hashes of more than 64 bits. Equal ones are allowed.
        other: (m,) or (m, words) uint64.
        radius: greatest distance in bits, 0 or more.
        workers: threads to use; the answer does not depend on it.

    Returns:
        (p, 2) int64, rows (i, j) of `one[i]` and `other[j]`, sorted.

    Raises:
        ValueError: `radius` is negative, or the hashes are not of this shape.
    """
    if radius < 0:
        raise ValueError(f"a Hamming radius cannot be negative, got {radius}")
    left, right = _columns(one), _columns(other)
    if len(left) != len(right):
        raise ValueError(f"hashes of {len(left)} words cannot be compared with hashes of {len(right)}")
    pairs = float(left.shape[1]) * right.shape[1]
    chunks = None
    if all_pairs_cost(pairs, len(left)) > WORTH_A_PLAN:
        chunks = plan(sample_differences(left, right), pairs, left.shape[1], radius)
    return _found(left, right, radius, chunks, workers)


def _found(
    one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int, chunks: list[Chunk] | None, workers: int
) -> NDArray[np.int64]:
    """Find pairs of two stacks of columns; each pair of different ones once if the two are the same stack."""
    if chunks is None:
        parts = list(_brute_force(one, other, radius))
    else:
        with ThreadPoolExecutor(workers) as threads:
            turns = range(len(chunks))
            parts = [part for turn in turns for part in _search(one, other, radius, chunks, turn, threads)]
    found = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    del parts  # half of the memory at its peak
    found.sort()
    return np.stack(np.divmod(found, max(other.shape[1], 1)), axis=1)


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


def _brute_force(one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int) -> Iterator[NDArray[np.int64]]:
    """Compare all pairs, tile by tile; yields pairs (i, j) as i * m + j, m being the length of the other."""
    height, width = 64, _BLOCK // 64
    for top in range(0, one.shape[1], height):
        some = one[:, top : top + height, None]
        for left in range(top if other is one else 0, other.shape[1], width):
            others = other[:, None, left : left + width]
            # One flat search is three times as fast as nonzero() in two dimensions.
            hits = np.flatnonzero(_distances(some, others).ravel() <= radius)
            if not len(hits):
                continue
            i, j = np.divmod(hits, others.shape[2])
            i += top
            j += left
            if other is one:
                later = i < j
                i, j = i[later], j[later]
            yield i * other.shape[1] + j


def _search(
    one: NDArray[np.uint64],
    other: NDArray[np.uint64],
    radius: int,
    chunks: list[Chunk],
    turn: int,
    threads: Executor,
) -> Iterator[NDArray[np.int64]]:
    """Find the pairs that chunk `turn` of the plan brings together; yields pairs (i, j) as i * m + j."""
    earlier = [(_selector(chunk, len(one)), chunk.flips) for chunk in chunks[:turn]]
    buckets = _sort_into_buckets(one, chunks[turn])
    others = buckets if other is one else _sort_into_buckets(other, chunks[turn])
    return threads.map(lambda mask: _join(buckets, others, mask, radius, earlier), chunks[turn].masks())


def _join(
    buckets: _Buckets, others: _Buckets, mask: int, radius: int, earlier: list[tuple[NDArray[np.uint64], int]]
) -> NDArray[np.int64]:
    """Find the pairs within the radius whose keys differ by `mask`, as i * m + j."""
    m = len(others.rows)
    found = [np.empty(0, dtype=np.int64)]
    for one, other in _candidates(buckets, others, mask):
        near = np.flatnonzero(_distances(buckets.columns[:, one], others.columns[:, other]) <= radius)
        one, other = one[near], other[near]
        differ = buckets.columns[:, one] ^ others.columns[:, other]
        # A pair that an earlier chunk has found already is left out, so that no pair comes twice.
        new = np.ones(len(one), dtype=np.bool_)
        for selector, flips in earlier:
            new &= np.bitwise_count(differ & selector).sum(axis=0) > flips
        i, j = buckets.rows[one[new]], others.rows[other[new]]
        if others is buckets:
            i, j = np.minimum(i, j), np.maximum(i, j)
        found.append(i * m + j)
    return np.concatenate(found)


def _selector(chunk: Chunk, words: int) -> NDArray[np.uint64]:
    """(words, 1) uint64 with the chunk's bits set."""
    selector = np.zeros((words, 1), dtype=np.uint64)
    for bit in chunk.bits:
        selector[bit // 64] |= np.uint64(1 << (bit % 64))
    return selector


def _sort_into_buckets(columns: NDArray[np.uint64], chunk: Chunk) -> _Buckets:
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


def _candidates(
    buckets: _Buckets, others: _Buckets, mask: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs of places whose keys differ in exactly the bits of `mask`, each pair once."""
    one = np.arange(len(buckets.key))
    if others is buckets and mask:
        # Of two such keys exactly one lacks the mask's highest bit.
        one = np.flatnonzero(buckets.key & np.uint32(1 << (mask.bit_length() - 1)) == 0)
    partner = buckets.key[one] ^ np.uint32(mask)
    first = one + 1 if others is buckets and not mask else others.start[partner]
    counts = others.start[partner + np.uint32(1)] - first
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
