"""Rows of numbers and categories as points, so that their distance says how unlike they are."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_WIDEST = 512
"""Columns that categories take, all together."""
_CONSTANT = 1e-12
"""A column that varies less than this, in units of its largest number, varies by rounding only."""


class Space:
    """Rows as points, for one group of them at a time: what a category counts depends on the group.

    Attributes:
        rows: (k,) int64 ascending, the rows that take part.
        known: (n, d) bool, the numbers that are not missing; None if all are.
    """

    def __init__(self, numbers: Reals, categories: Ints, rows: Ints) -> None:
        """Scale columns by the standard deviation of some rows.

        Args:
            numbers: (n, d) float64, NaN for missing, else finite.
            categories: (n, c) int64 codes from 0 on, -1 for missing.
            rows: (k,) int64 ascending, the rows that take part.
        """
        missing = np.isnan(numbers)
        self.rows = rows
        self.known: Bools | None = ~missing if missing.any() else None
        self._numbers = _standardised(numbers, self.known, rows)
        self._categories = categories
        values = categories.max(axis=0, initial=-1) + 1
        self._widths = np.clip(values, 1, max(_WIDEST // max(len(values), 1), 2))

    def points(self, members: Ints, placed: Ints) -> tuple[Floats, Bools | None]:
        """Place rows as a group sees them.

        Args:
            members: (m,) int64 rows of the group.
            placed: (p,) int64 rows to place.

        Returns:
            (p, w) float32, numbers first, and (p, d) bool, which of these are known, None if all are. A category that
            differs adds the square of the median standard deviation of the group's numbers (Chawla et al., "SMOTE",
            JAIR 16, 2002, section 6.1), a missing one half of that.
        """
        known = None if self.known is None else self.known[placed]
        numbers = self._numbers[placed]
        if not len(self._widths):
            return numbers, known
        mine = self._numbers[members].astype(np.float64)
        spread = _moments(mine, None if self.known is None else self.known[members])[1]
        typical = float(np.median(spread)) if len(spread) else 0.0
        # Two marks differ where two categories do; without numbers that vary any unit will do.
        unit = np.float32((typical or 1.0) / np.sqrt(2))
        return np.hstack([numbers, _one_hot(self._categories[placed], self._widths) * unit]), known


def _standardised(numbers: Reals, known: Bools | None, rows: Ints) -> Floats:
    """Columns with mean 0 and standard deviation 1 over some rows; all 0 where missing, constant, or of other rows."""
    everyone = len(rows) == len(numbers)
    some = numbers if everyone else numbers[rows]
    there = known if known is None or everyone else known[rows]
    if there is not None:
        some = np.where(there, some, 0.0)
    # By the largest number first: then no square overflows.
    top = np.maximum(some.max(axis=0, initial=0.0), -some.min(axis=0, initial=0.0))
    some = some / np.where(top > 0, top, 1.0)
    mean, spread = _moments(some, there)
    some -= mean
    some /= np.where(spread > _CONSTANT, spread, np.inf)
    if there is not None:
        some[~there] = 0.0
    if everyone:
        return np.asarray(some, dtype=np.float32)
    out = np.zeros(numbers.shape, dtype=np.float32)
    out[rows] = some
    return out


def _moments(numbers: Reals, known: Bools | None) -> tuple[Reals, Reals]:
    """Mean and standard deviation of each column, 0 for one without numbers; missing cells must be finite."""
    if known is None:
        count = np.full(numbers.shape[1], max(len(numbers), 1))
        mean = numbers.sum(axis=0) / count
        gap = numbers - mean
    else:
        count = np.maximum(known.sum(axis=0), 1)
        mean = (numbers * known).sum(axis=0) / count
        gap = (numbers - mean) * known
    return mean, np.sqrt(np.einsum("ij,ij->j", gap, gap) / count)


def _one_hot(categories: Ints, widths: Ints) -> Floats:
    """A mark for each value of each column, hashed where there are more than its width; a missing cell has none."""
    marks = np.zeros((len(categories), int(widths.sum())), dtype=np.float32)
    starts = np.cumsum(widths) - widths
    row, column = np.nonzero(categories >= 0)
    marks[row, starts[column] + categories[row, column] % widths[column]] = 1
    return marks
