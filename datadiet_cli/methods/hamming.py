"""Exact search for all pairs of binary hashes within a Hamming radius.

Multi-index hashing (Norouzi, Punjani & Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing",
CVPR 2012; IEEE TPAMI 36(6), 2014, section 2) turned into a self-join: the bits are dealt out to a few chunks,
chunk `c` is given `flips[c]` flips with `sum(flips + 1) = radius + 1`, and then two hashes within the radius
must agree in at least one chunk up to its flips, since a pair that exceeds every allowance differs in
`radius + 1` bits or more. So only pairs whose chunks fall into equal or neighbouring buckets are compared.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.hamming_join import (
    BLOCK,
    Columns,
    Found,
    Join,
    columns_of,
    distances_of,
    join,
    pairs_of,
    rule_of,
    sort_into_buckets,
)
from datadiet_cli.methods.hamming_plan import WORTH_A_PLAN, Chunk, all_pairs_cost, plan, sample_differences
from datadiet_cli.methods.pieces import spread

_HEIGHT = 64
_PAIRS = 1 << 26
"""Pairs in a piece of work where all are compared: a tenth of a second."""


class Sets(NamedTuple):
    """What is searched.

    Attributes:
        one: (words, n) uint64 hashes.
        other: (words, m) uint64, what they are compared with.
        radius: greatest distance in bits.
        within: whether the two are the same set, so that a pair counts once.
    """

    one: Columns
    other: Columns
    radius: int
    within: bool


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
    return distances_of(columns_of(a), columns_of(b)).astype(np.int64)


def pairs_within(hashes: NDArray[np.uint64], radius: int, crew: Crew = ALONE) -> NDArray[np.int64]:
    """Find every pair of hashes that differ in at most `radius` bits. Exact.

    Time and memory grow with the number of pairs found, so pass distinct hashes: k equal ones are
    k * (k - 1) / 2 pairs. Beside the answer it needs about 64 bytes a hash of 64 bits, however skewed.

    Args:
        hashes: (n,) uint64, or (n, words) uint64 for hashes of more than 64 bits. Equal ones are allowed.
        radius: greatest distance in bits, 0 or more.
        crew: who does the work; the answer does not depend on it.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted.

    Raises:
        ValueError: `radius` is negative, or `hashes` is not of this shape.
    """
    sets = sets_within(hashes, radius)
    return search(sets, planned(sets), crew)


def pairs_between(
    one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int, crew: Crew = ALONE
) -> NDArray[np.int64]:
    """Find every pair of a hash and one of other hashes that differ in at most `radius` bits. Exact.

    Args:
        one: (n,) uint64, or (n, words) uint64 for hashes of more than 64 bits. Equal ones are allowed.
        other: (m,) or (m, words) uint64.
        radius: greatest distance in bits, 0 or more.
        crew: who does the work; the answer does not depend on it.

    Returns:
        (p, 2) int64, rows (i, j) of `one[i]` and `other[j]`, sorted.

    Raises:
        ValueError: `radius` is negative, or the hashes are not of this shape.
    """
    sets = sets_between(one, other, radius)
    return search(sets, planned(sets), crew)


def sets_within(hashes: NDArray[np.uint64], radius: int) -> Sets:
    """What `pairs_within` searches; see there."""
    _check(radius)
    columns = columns_of(hashes)
    return Sets(columns, columns, radius, within=True)


def sets_between(one: NDArray[np.uint64], other: NDArray[np.uint64], radius: int) -> Sets:
    """What `pairs_between` searches; see there."""
    _check(radius)
    left, right = columns_of(one), columns_of(other)
    if len(left) != len(right):
        raise ValueError(f"hashes of {len(left)} words cannot be compared with hashes of {len(right)}")
    return Sets(left, right, radius, within=False)


def planned(sets: Sets) -> list[Chunk] | None:
    """How to search; None means to compare all pairs."""
    words, n = sets.one.shape
    pairs = n * (n - 1) / 2 if sets.within else float(n) * sets.other.shape[1]
    if all_pairs_cost(pairs, words) <= WORTH_A_PLAN:
        return None
    differ = sample_differences(sets.one, None if sets.within else sets.other)
    return plan(differ, pairs, n, sets.radius)


def search(sets: Sets, chunks: Sequence[Chunk] | None, crew: Crew) -> NDArray[np.int64]:
    """Find the pairs by a plan; each pair of different hashes once if they are compared with each other."""
    width = sets.other.shape[1]
    if chunks is None:
        rows = -(-_PAIRS // (max(width, 1) * _HEIGHT)) * _HEIGHT
        tops = [(top, min(top + rows, sets.one.shape[1])) for top in range(0, sets.one.shape[1], rows)]
        return pairs_of(list(spread(crew, compare_all, sets, tops)), width)
    parts: list[Found] = []
    for turn, chunk in enumerate(chunks):
        rule = rule_of(sets.radius, chunks, turn, len(sets.one), width, within=sets.within)
        one = sort_into_buckets(sets.one, chunk.bits)
        work = Join(rule, one, None if sets.within else sort_into_buckets(sets.other, chunk.bits))
        pieces = work.pieces(list(chunk.masks()))
        parts += spread(crew, join, work, pieces)
    return pairs_of(parts, width)


def compare_all(sets: Sets, rows: tuple[int, int]) -> Found:
    """Compare some of the hashes with all others, tile by tile; pairs (i, j) as i * m + j, m being their number."""
    return np.concatenate([np.empty(0, dtype=np.int64), *_tiles(sets, *rows)])


def _tiles(sets: Sets, start: int, stop: int) -> Iterator[Found]:
    one, other, radius, within = sets
    width = BLOCK // _HEIGHT
    for top in range(start, stop, _HEIGHT):
        some = one[:, top : min(top + _HEIGHT, stop), None]
        for left in range(top if within else 0, other.shape[1], width):
            others = other[:, None, left : left + width]
            # One flat search is three times as fast as nonzero() in two dimensions.
            hits = np.flatnonzero(distances_of(some, others).ravel() <= radius)
            if not len(hits):
                continue
            i, j = np.divmod(hits, others.shape[2])
            i += top
            j += left
            if within:
                later = i < j
                i, j = i[later], j[later]
            yield i * other.shape[1] + j


def _check(radius: int) -> None:
    if radius < 0:
        raise ValueError(f"a Hamming radius cannot be negative, got {radius}")
