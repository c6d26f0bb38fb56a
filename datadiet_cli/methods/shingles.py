"""Texts cut into shingles: hashes of all runs of a few characters or words, and how much two sets of them share.

Resemblance by shingles: Broder, "On the resemblance and containment of documents", Compression and Complexity of
Sequences 1997, section 2. A text shorter than a shingle is one shingle itself; an empty one has none.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Unit = Literal["words", "characters"]

SET_BITS = 48
"""Bits of a hash that tell members of a set apart; the rest of a word numbers the sets while they are sorted."""
MOST_SETS = 1 << (64 - SET_BITS)
_BASE = np.uint64(0x9FB21C651E98DF25)
_BLANK = 32


def mixed(values: Hashes) -> Hashes:
    """Scatter the bits of 64-bit numbers, one to one: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def shingle_hashes(points: NDArray[np.uint32], lengths: Ints, size: int, unit: Unit) -> tuple[Hashes, Ints]:
    """Hash every shingle of some texts.

    Args:
        points: (m,) uint32, the code points of all texts, one text after the other.
        lengths: (n,) int64, the code points of each text.
        size: characters or words of a shingle.
        unit: what a shingle is made of; words end at U+0020.

    Returns:
        (s,) uint64, the hashes in the order of the texts, repeated where a shingle is; (n,) int64, how many each
        text has.
    """
    units = points.astype(np.uint64) + np.uint64(1)
    if unit == "words":
        units, lengths = _words(units, lengths)
    counts = np.where(lengths > 0, np.maximum(lengths - size + 1, 1), 0)
    # Zeros after each text: a window that begins in it meets no other, and a short text fills up with them.
    padded = np.zeros(len(units) + (size - 1) * len(lengths), dtype=np.uint64)
    begin = np.cumsum(lengths + size - 1) - (lengths + size - 1)
    padded[ranges(begin, lengths)] = units
    windows = padded[: len(padded) - size + 1].copy()
    for offset in range(1, size):
        windows *= _BASE
        windows += padded[offset : len(padded) - size + 1 + offset]
    return mixed(windows[ranges(begin, counts)]), counts


def _words(units: Hashes, lengths: Ints) -> tuple[Hashes, Ints]:
    """Hash the words of texts: (w,) uint64, and how many each text has, (n,) int64."""
    inside = units != _BLANK + 1
    first = inside.copy()
    first[1:] &= ~inside[:-1]
    begin = np.cumsum(lengths) - lengths
    filled = begin[lengths > 0]
    first[filled] = inside[filled]
    starts = np.flatnonzero(first)
    if not len(starts):
        return np.empty(0, dtype=np.uint64), np.zeros(len(lengths), dtype=np.int64)
    # A number of its own for every place within a word; blanks count nothing.
    word = np.cumsum(first) - 1
    place = np.arange(len(units)) - starts[np.maximum(word, 0)]
    place[~inside] = 0
    powers = np.cumprod(np.full(int(place.max(initial=0)) + 1, _BASE))
    terms = mixed(units) * powers[place]
    terms[~inside] = 0
    counts = np.searchsorted(starts, begin + lengths) - np.searchsorted(starts, begin)
    return mixed(np.add.reduceat(terms, starts)), counts


def ranges(start: Ints, length: Ints) -> Ints:
    """Concatenate arange(s, s + l) for each s, l."""
    total = int(length.sum())
    first: Ints = np.repeat(start - (np.cumsum(length) - length), length)
    return np.arange(total, dtype=np.int64) + first


def distinct_shingles(hashes: Hashes, counts: Ints) -> tuple[Hashes, Ints]:
    """Turn lists of shingles into sets.

    Args:
        hashes: (s,) uint64, as `shingle_hashes` gives them; their upper `SET_BITS` count.
        counts: (n,) int64 hashes of each list, n at most `MOST_SETS`.

    Returns:
        (d,) uint64 below 2**SET_BITS, each set sorted; (n,) int64, the size of each.

    Raises:
        ValueError: there are too many lists.
    """
    if len(counts) > MOST_SETS:
        raise ValueError(f"{len(counts)} sets are more than the {MOST_SETS} that can be told apart at a time")
    owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    keys = (hashes >> np.uint64(64 - SET_BITS)) | (owner << np.uint64(SET_BITS))
    keys.sort()
    if len(keys):
        keys = keys[np.append(True, keys[1:] != keys[:-1])]
    sizes = np.bincount((keys >> np.uint64(SET_BITS)).astype(np.int64), minlength=len(counts))
    return keys & np.uint64((1 << SET_BITS) - 1), sizes.astype(np.int64)


def set_digests(members: Hashes, sizes: Ints) -> Hashes:
    """A digest of each set: equal for equal sets, else different, but for chance.

    Args:
        members: (d,) uint64, set after set.
        sizes: (n,) int64.

    Returns:
        (n, 2) uint64, zeros for an empty set.
    """
    digests = np.zeros((len(sizes), 2), dtype=np.uint64)
    filled = sizes > 0
    starts = (np.cumsum(sizes) - sizes)[filled]
    if len(starts):
        for column, salt in enumerate((0x243F6A8885A308D3, 0x13198A2E03707344)):
            digests[filled, column] = np.add.reduceat(mixed(members + np.uint64(salt)), starts)
    return digests


def jaccard(members: Hashes, sizes: Ints, a: Ints, b: Ints) -> NDArray[np.float64]:
    """The share of all members of two sets that both have.

    Args:
        members: (d,) uint64 below 2**63, set after set, each sorted and without repetition.
        sizes: (n,) int64.
        a: (k,) int64, one set of each pair.
        b: (k,) int64, the other.

    Returns:
        (k,) float64, 0 to 1; 1 for two empty sets.
    """
    from scipy.sparse import csr_array

    # scipy joins sorted index lists at the speed of memory; the hashes are the column numbers.
    columns = members.astype(np.int64)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    table = csr_array((np.ones(len(members), dtype=np.int8), columns, starts), shape=(len(sizes), 2**62))
    shared = np.diff(table[a].multiply(table[b]).tocsr().indptr).astype(np.int64)
    union = sizes[a] + sizes[b] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)
