"""Which sounds may be copies of each other, told by words they share, without comparing all pairs.

Words are sorted, and each is compared with those next to it; rotated by a byte and sorted again, so that words which
differ in their first bits meet as well (the permuted sorted lists of Charikar, "Similarity estimation techniques from
rounding algorithms", STOC 2002, section 3). Two sounds are candidates if enough of their words met at about the same
shift. However often a word occurs, it meets a limited number of others, so the work never goes quadratic.
"""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.fingerprint import BITS

Ints = NDArray[np.int64]

LONGEST_SHIFT = 625
"""Words, 10 s: how far copies may be shifted against each other at most."""

_ROTATIONS = (0, 8, 16, 24)
_NEAR = 3
"""Bits in which words that meet may differ."""
_FEWEST_BITS = 5
"""Words with fewer bits are nearly blank: they occur everywhere."""
_SHIFTS_ALIKE = 8
_HITS = 2
_SHIFTS = 2 * LONGEST_SHIFT // _SHIFTS_ALIKE + 1
_PLACES = 1024
_MEETINGS = 1 << 23
_LEAST_WINDOW, _MOST_WINDOW = 8, 512
_LONG = 1024
# A perfect difference set modulo 21 (Singer 1938): whatever the shift of two sounds, one pair in 21 of the same words
# is among those chosen from both.
_CHOSEN, _MODULUS = (0, 1, 4, 14, 16), 21


def comparable(seconds: NDArray[np.float64], share: float, a: Ints, b: Ints) -> NDArray[np.bool_]:
    """(k,) bool: whether the shorter sound of each pair lasts at least this share of the longer one."""
    one, other = seconds[a], seconds[b]
    enough: NDArray[np.bool_] = np.minimum(one, other) >= share * np.maximum(one, other)
    return enough


def longest_shifts(starts: Ints, share: float, a: Ints, b: Ints) -> Ints:
    """(k,) int64, how far pairs may be shifted so that the overlap still covers this share of the shorter one."""
    length = np.diff(starts)
    longer, shorter = np.maximum(length[a], length[b]), np.minimum(length[a], length[b])
    return np.minimum((longer - share * shorter).astype(np.int64), LONGEST_SHIFT)


def likely_pairs(
    words: NDArray[np.uint32], starts: Ints, seconds: NDArray[np.float64], share: float
) -> NDArray[np.int64]:
    """Find pairs of sounds that share words at one shift.

    Of a small dataset every word meets every similar one; in a large one only its neighbours in sorted order, where a
    pair has one chance for each of its words.

    Args:
        words: all words of all sounds, one sound after the other.
        starts: (n + 1,) int64, where the words of each sound begin.
        seconds: (n,) float64, how long each sound lasts.
        share: least share of the longer sound that the shorter one must last.

    Returns:
        (k, 2) int64 pairs of sounds, the smaller first, sorted.
    """
    n = len(starts) - 1
    sounds, places = _anchors(words, starts)
    if not len(sounds):
        return np.empty((0, 2), dtype=np.int64)
    value = words[starts[sounds] + places]
    seen = np.empty(0, dtype=np.int64)
    for rotation in _ROTATIONS:
        turned = (value << np.uint32(rotation)) | (value >> np.uint32((BITS - rotation) % BITS))
        # By word and then by position: the order of equal words must not depend on how sorting is done.
        order = np.argsort((turned.astype(np.uint64) << np.uint64(BITS)) | np.arange(len(turned), dtype=np.uint64))
        found = _meetings(turned[order], sounds[order], places[order], seconds, share)
        seen = _once(np.concatenate([seen, found]))
    at_shift, hits = np.unique(seen // _PLACES, return_counts=True)
    pairs = _once(at_shift[hits >= _HITS] // _SHIFTS)
    return np.stack([pairs // n, pairs % n], axis=1)


def _anchors(words: NDArray[np.uint32], starts: Ints) -> tuple[Ints, Ints]:
    """The words to search by: sound and place in it of each, those of long sounds thinned out."""
    length = np.diff(starts)
    sounds = np.repeat(np.arange(len(length)), length)
    places = np.arange(len(words)) - np.repeat(starts[:-1], length)
    chosen = (length <= _LONG)[sounds] | np.isin(places % _MODULUS, _CHOSEN)
    chosen &= np.bitwise_count(words) >= _FEWEST_BITS
    return sounds[chosen], places[chosen]


def _meetings(
    value: NDArray[np.uint32], sounds: Ints, places: Ints, seconds: NDArray[np.float64], share: float
) -> Ints:
    """Compare each word with those after it in sorted order; pairs, shifts and places of those alike, as numbers."""
    n = len(seconds)
    window = int(np.clip(_MEETINGS // len(value), _LEAST_WINDOW, _MOST_WINDOW))
    found, waiting = [np.empty(0, dtype=np.int64)], 0
    for step in range(1, min(window, len(value) - 1) + 1):
        near = np.flatnonzero(np.bitwise_count(value[step:] ^ value[:-step]) <= _NEAR)
        a, b, at, bt = sounds[near], sounds[near + step], places[near], places[near + step]
        swap = a > b
        a, b, at, bt = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, bt, at), np.where(swap, at, bt)
        shift = at - bt
        good = (a != b) & (np.abs(shift) <= LONGEST_SHIFT) & comparable(seconds, share, a, b)
        a, b, at, shift = a[good], b[good], at[good], shift[good]
        bins = (shift + LONGEST_SHIFT) // _SHIFTS_ALIKE
        found.append(((a * n + b) * _SHIFTS + bins) * _PLACES + at % _PLACES)
        waiting += len(a)
        if waiting > _MEETINGS:
            found, waiting = [_once(np.concatenate(found))], 0
    return _once(np.concatenate(found))


def _once(numbers: Ints) -> Ints:
    """Each number once, sorted. The hash table of `np.unique` takes twenty times as long over numbers like these."""
    ordered = np.sort(numbers)
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]
