"""Rows of numbers that are equal up to a relative tolerance."""

import numpy as np
from numpy.typing import NDArray

_LARGEST = 2.0**53
"""Beyond it not every whole number has a float64 of its own."""


def relative_gap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest relative difference between paired rows, as `math.isclose` measures it.

    Args:
        a: (k, d) float64; NaN stands for a missing number, which equals only another missing one.
        b: (k, d) float64.

    Returns:
        (k,) float64: max over columns of |a - b| / max(|a|, |b|), 0 where both are equal.
    """
    if a.shape[1] == 0:
        return np.zeros(len(a))
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
    gap[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    widest: NDArray[np.float64] = np.where(np.isnan(gap), np.inf, gap).max(axis=1)
    return widest


def close_pairs(numbers: NDArray[np.float64], block: NDArray[np.int64], tolerance: float) -> NDArray[np.int64]:
    """All pairs of rows in the same block whose `relative_gap` is at most `tolerance`.

    Sorted neighbourhood (Hernandez & Stolfo, "The merge/purge problem for large databases", SIGMOD 1995, section 2),
    exact here: rows are sorted by block and by the column with most different values, and each row meets those after
    it for as long as that one column allows.

    Args:
        numbers: (n, d) float64, NaN for missing.
        block: (n,) int64; rows of different blocks are never close.
        tolerance: relative, 0 <= tolerance < 1.

    Returns:
        (p, 2) int64 pairs i < j, sorted.
    """
    block = _refine(numbers, block, tolerance)
    key = _widest(numbers)
    order = np.lexsort((key, block))
    key, block = key[order], block[order]
    # Beyond this bound no value can be within the tolerance of the key.
    bound = np.where(key >= 0, key / (1.0 - tolerance), key * (1.0 - tolerance))
    bound = np.nextafter(np.where(np.isnan(key), np.inf, bound), np.inf)
    found: list[NDArray[np.int64]] = []
    active = np.arange(len(key) - 1, dtype=np.int64)
    offset = 1
    while len(active):
        other = active + offset
        inside = other < len(key)
        active, other = active[inside], other[inside]
        near = (block[active] == block[other]) & ~(key[other] > bound[active])
        active, other = active[near], other[near]
        i, j = order[active], order[other]
        close = relative_gap(numbers[i], numbers[j]) <= tolerance
        found.append(np.stack([np.minimum(i[close], j[close]), np.maximum(i[close], j[close])], axis=1))
        offset += 1
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _refine(numbers: NDArray[np.float64], block: NDArray[np.int64], tolerance: float) -> NDArray[np.int64]:
    """Columns in which close means equal (whole numbers, missing or not) split blocks, which keeps them small."""
    keys: list[NDArray[np.generic]] = [block]
    for column in numbers.T:
        missing = np.isnan(column)
        if missing.any():
            keys.append(missing)
        known = column[~missing]
        whole = bool((known == np.round(known)).all()) and float(np.abs(known).max(initial=0)) < _LARGEST
        if whole and float(np.abs(known).max(initial=0)) * tolerance < 1:
            keys.append(np.where(missing, 0.0, column))
    if len(keys) == 1:
        return block
    order = np.lexsort(keys)
    new = np.zeros(len(block), dtype=bool)
    for values in keys:
        new[1:] |= values[order][1:] != values[order][:-1]
    refined = np.empty(len(block), dtype=np.int64)
    refined[order] = np.cumsum(new)
    return refined


def _widest(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    if numbers.shape[1] == 0:
        return np.zeros(len(numbers))
    return numbers[:, int(np.argmax([len(np.unique(column)) for column in numbers.T]))]
