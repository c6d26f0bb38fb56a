"""Join binary hashes whose keys are equal or near: the inner part of `methods.hamming`.

A key is some bits of a hash, a *chunk*. Hashes are sorted by it, so those of one key lie side by side; and for each
difference that two keys may have, a *mask*, every hash looks up the place of its partners.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.hamming_plan import Chunk

BLOCK = 1 << 16
"""Pairs compared at a time: a few arrays of this length stay in the CPU's cache, and bound the memory."""
_PLACES = 1 << 17
"""Hashes that look their partners up at a time: it bounds the memory as well."""
_LOOKUPS = 1 << 24
"""A piece of work has about so many: a tenth of a second, next to which sending it counts for little."""
_SPREAD = 1 << 20

Columns = NDArray[np.uint64]
Found = NDArray[np.int64]


class Piece(NamedTuple):
    """Part of a join.

    Attributes:
        masks: in which bits keys differ.
        start: place of the first hash that looks up its partners.
        stop: place after the last.
    """

    masks: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Buckets:
    """Hashes sorted by their key in one chunk.

    Attributes:
        key: (n,) uint32, sorted.
        start: (2**bits + 1,) int64, where the bucket of every key begins.
        columns: (words, n) uint64, the hashes in the order of their keys.
        rows: (n,) int64, which each is.
    """

    key: NDArray[np.uint32]
    start: NDArray[np.int64]
    columns: Columns
    rows: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rule:
    """Which pairs count.

    Attributes:
        radius: greatest distance in bits.
        within: whether both hashes of a pair are of the same set, so that it counts once.
        width: how many hashes there are in the set of the second.
        selectors: (k, words) uint64, the bits of the chunks that had their turn.
        flips: (k,) int64, how many of each may differ. What these chunks bring together is found already.
    """

    radius: int
    within: bool
    width: int
    selectors: NDArray[np.uint64]
    flips: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Join:
    """Two lists of hashes to join.

    Attributes:
        rule: which pairs count.
        one: the hashes that look up their partners.
        other: the partners; None for the hashes themselves.
    """

    rule: Rule
    one: Buckets
    other: Buckets | None

    def pieces(self, masks: Sequence[int]) -> list[Piece]:
        """Cut the work; where, depends on the hashes alone."""
        n = len(self.one.key)
        together = max(1, _LOOKUPS // max(min(n, _PLACES), 1))
        groups = [tuple(masks[at : at + together]) for at in range(0, len(masks), together)]
        return [Piece(group, start, min(start + _PLACES, n)) for group in groups for start in range(0, n, _PLACES)]


def columns_of(hashes: NDArray[np.uint64]) -> Columns:
    """(words, n): each word contiguous, so that the first word of all hashes is read without the others.

    Raises:
        ValueError: the hashes are neither (n,) nor (n, words).
    """
    if hashes.ndim not in (1, 2) or hashes.shape[1:] == (0,):
        raise ValueError(f"hashes must be (n,) or (n, words), got the shape {hashes.shape}")
    table = hashes[:, None] if hashes.ndim == 1 else hashes
    return np.ascontiguousarray(table.T, dtype=np.uint64)


def distances_of(a: Columns, b: Columns) -> NDArray[np.unsignedinteger]:
    """Hamming distances of two stacks of columns (words, ...), broadcast against each other."""
    total: NDArray[np.unsignedinteger] = np.bitwise_count(a[0] ^ b[0])
    if len(a) > 1:
        total = total.astype(np.uint32)  # a byte holds the distance of 255 bits only
    for word in range(1, len(a)):
        total += np.bitwise_count(a[word] ^ b[word])
    return total


def rule_of(radius: int, chunks: Sequence[Chunk], turn: int, words: int, width: int, *, within: bool) -> Rule:
    """The rule when it is the turn of a chunk."""
    selectors = np.zeros((turn, words), dtype=np.uint64)
    for number, chunk in enumerate(chunks[:turn]):
        for bit in chunk.bits:
            selectors[number, bit // 64] |= np.uint64(1 << (bit % 64))
    flips = np.array([chunk.flips for chunk in chunks[:turn]], dtype=np.int64)
    return Rule(radius, within, width, selectors, flips)


def keys_of(columns: Columns, bits: Sequence[int]) -> NDArray[np.uint32]:
    """(n,) uint32, some bits of each hash, the first of them lowest."""
    key = np.zeros(columns.shape[1], dtype=np.uint32)
    for start in range(0, len(key), _SPREAD):
        part = slice(start, start + _SPREAD)
        for place, bit in enumerate(bits):
            ones = (columns[bit // 64, part] >> np.uint64(bit % 64)) & np.uint64(1)
            key[part] |= ones.astype(np.uint32) << np.uint32(place)
    return key


def sort_into_buckets(columns: Columns, bits: Sequence[int], rows: NDArray[np.int64] | None = None) -> Buckets:
    """Sort hashes by some of their bits.

    Args:
        columns: (words, n) uint64.
        bits: which.
        rows: (n,) int64, which each hash is; by default its place.
    """
    key = keys_of(columns, bits)
    order = np.argsort(key)
    start = np.zeros((1 << len(bits)) + 1, dtype=np.int64)
    np.cumsum(np.bincount(key, minlength=1 << len(bits)), out=start[1:])
    moved = np.ascontiguousarray(columns[:, order])
    return Buckets(key[order], start, moved, order if rows is None else rows[order])


def join(work: Join, piece: Piece) -> Found:
    """Find the pairs within the radius whose keys differ by some masks, (k,) int64, i * width + j."""
    rule, one = work.rule, work.one
    other = work.other or one
    found = [np.empty(0, dtype=np.int64)]
    for mask in piece.masks:
        for left, right in candidates(work, mask, piece.start, piece.stop):
            near = np.flatnonzero(distances_of(one.columns[:, left], other.columns[:, right]) <= rule.radius)
            left, right = left[near], right[near]
            differ = one.columns[:, left] ^ other.columns[:, right]
            # A pair that an earlier chunk has found already is left out, so that no pair comes twice.
            new = np.ones(len(left), dtype=np.bool_)
            for selector, flips in zip(rule.selectors, rule.flips.tolist(), strict=True):
                new &= np.bitwise_count(differ & selector[:, None]).sum(axis=0) > flips
            i, j = one.rows[left[new]], other.rows[right[new]]
            if rule.within:
                i, j = np.minimum(i, j), np.maximum(i, j)
            found.append(i * rule.width + j)
    return np.concatenate(found)


def candidates(work: Join, mask: int, start: int, stop: int) -> Iterator[tuple[Found, Found]]:
    """Yield blocks of pairs of places whose keys differ in exactly the bits of `mask`, each pair once."""
    key, other = work.one.key, work.other or work.one
    one = np.arange(start, stop)
    if work.other is None and mask:
        # Of two such keys exactly one lacks the mask's highest bit.
        one = start + np.flatnonzero(key[start:stop] & np.uint32(1 << (mask.bit_length() - 1)) == 0)
    partner = key[one] ^ np.uint32(mask)
    first = one + 1 if work.other is None and not mask else other.start[partner]
    counts = other.start[partner + np.uint32(1)] - first
    some = np.flatnonzero(counts)
    one, first, counts = one[some], first[some], counts[some]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    # A block is given by candidates, not by places: one bucket may hold nearly all hashes.
    for begin in range(0, total, BLOCK):
        end = min(begin + BLOCK, total)
        low, high = np.searchsorted(ends, [begin, end - 1], side="right")
        part = slice(low, high + 1)
        behind = np.minimum(ends[part], end)
        repeats = np.diff(behind, prepend=begin)
        offset = first[part] - (ends[part] - counts[part])
        yield np.repeat(one[part], repeats), np.arange(begin, end) + np.repeat(offset, repeats)


def pairs_of(parts: list[Found], width: int) -> NDArray[np.int64]:
    """(p, 2) int64 sorted pairs (i, j) of the numbers i * width + j. The list is emptied."""
    found = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    parts.clear()  # half of the memory at its peak
    found.sort()
    pairs = np.empty((len(found), 2), dtype=np.int64)
    np.divmod(found, max(width, 1), pairs[:, 0], pairs[:, 1])
    return pairs
