"""The nearest of some samples among others, by one product of matrices and exact differences."""

from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.samples.base import Floats, Ints, Small

NUMBERS = 1 << 21
"""Numbers of an array that is made on the way: 16 MiB."""


class Near(NamedTuple):
    """The nearest of some samples, the nearest first, ties by position: (q, k) int64, (q, k) float64."""

    row: Ints
    distance: Floats


def closest(x: Small, rows: Ints, others: Ints, few: slice, width: int, k: int) -> Near:
    """The k nearest others: `width` candidates by a product of matrices, these by their differences."""
    # Near the origin a product loses no digits of a small distance; less their median, whole numbers stay whole.
    left = x[rows].astype(np.float64)
    origin = np.partition(left, len(left) // 2, axis=0)[len(left) // 2]
    left -= origin
    d = x.shape[1]
    right = np.empty((len(others), d + 1))
    np.subtract(x[others], origin, out=right[:, :d])
    # The square of the row itself is the same for all others of a row, so it may be left out.
    right[:, d] = np.einsum("ij,ij->i", right[:, :d], right[:, :d])
    gap = np.hstack([-2 * left, np.ones((len(left), 1))]) @ right.T
    column = _smallest(gap, few, width)
    found = others[column]
    distance = np.empty(found.shape)
    step = max(NUMBERS // (width * max(d, 1)), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = left[part, None] - right[column[part], :d]
        distance[part] = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    distance[found == rows[:, None]] = np.inf
    order = np.lexsort((found, distance), axis=-1)[:, :k]
    return Near(np.take_along_axis(found, order, axis=1), np.take_along_axis(distance, order, axis=1))


def _smallest(gap: Floats, few: slice, width: int) -> Ints:
    """Columns of the smallest numbers of each row, equal ones in their order.

    The smallest of a few columns tell what no more than some of the others are below, which takes far less time than
    to put all in order.

    Args:
        gap: (q, m) float64.
        few: columns that are looked at first.
        width: how many are wanted, at most m.

    Returns:
        (q, width) int64.
    """
    first = gap[:, few]
    if width < first.shape[1] < gap.shape[1]:
        bound = np.partition(first, width - 1, axis=1)[:, width - 1]
        row, column = np.divmod(np.flatnonzero(gap <= bound[:, None]), gap.shape[1])
        count = np.bincount(row, minlength=len(gap))
        most = int(count.max(initial=0))
        if 2 * most < gap.shape[1]:
            place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
            passed, which = np.full((len(gap), most), np.inf), np.zeros((len(gap), most), dtype=np.int64)
            passed[row, place] = gap[row, column]
            which[row, place] = column
            return np.take_along_axis(which, np.argsort(passed, axis=1, kind="stable")[:, :width], axis=1)
    return np.argsort(gap, axis=1, kind="stable")[:, :width]
