"""How strongly columns of numbers and of categories go together, over the rows in which both cells are known."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_CONSTANT = 1e-12
"""A column that varies less than this, in units of its largest number, varies by rounding only."""
_HUGE = 1e100
_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class Numbers:
    """Columns of numbers, each with mean 0 and variance 1 over its known cells.

    Attributes:
        z: (n, d) float64, 0 where a cell is missing, and all 0 for a column that does not vary.
        known: (n, d) bool, None if every cell is known.
    """

    z: Floats
    known: Bools | None

    def blocks(self) -> list[slice]:
        """Runs of columns, such that a copy of one run is small."""
        step = max(_CELLS // max(len(self.z), 1), 1)
        return [slice(start, start + step) for start in range(0, self.z.shape[1], step)]

    def only(self, columns: slice | Ints) -> "Numbers":
        """Some of the columns."""
        known = self.known
        if known is not None:
            known = known[:, columns]
            known = None if known.all() else known
        return Numbers(self.z[:, columns], known)


def standardised(numbers: Floats) -> Numbers:
    """Scale columns; infinite cells are not allowed.

    Args:
        numbers: (n, d) float64, NaN for missing.
    """
    known = ~np.isnan(numbers)
    everything = bool(known.all())
    z = numbers.copy() if everything else np.where(known, numbers, 0.0)
    n = np.maximum(len(z) if everything else known.sum(axis=0), 1)
    top = np.maximum(z.max(axis=0, initial=0.0), -z.min(axis=0, initial=0.0))
    if (top > _HUGE).any() or ((top > 0) & (top < 1 / _HUGE)).any():
        # By the largest number first: then no square overflows.
        z /= np.where(top > 0, top, 1.0)
        top = np.ones_like(top)
    z -= z.sum(axis=0) / n
    if not everything:
        z[~known] = 0.0
    spread = np.sqrt(np.einsum("ij,ij->j", z, z) / n)
    z *= np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _CONSTANT * top)
    return Numbers(z, None if everything else known)


class Linear(NamedTuple):
    """How well one variable of a kind tells others.

    Attributes:
        share: between 0 and 1, share of the variance that is told, R2; signed r for `correlations`.
        rows: rows in which both are known.
        levels: values of the grouping variable that occur there.
    """

    share: Floats
    rows: Floats
    levels: Floats


def correlations(one: Numbers, other: Numbers) -> Linear:
    """Pearson's r of all pairs of columns, over the rows that both have; 0 where one of them does not vary there.

    Args:
        one: b columns, few.
        other: d columns.

    Returns:
        Arrays (b, d).
    """
    parts = [_correlations(one, other.only(block)) for block in other.blocks()]
    if not parts:
        nothing = np.empty((one.z.shape[1], 0))
        return Linear(nothing, nothing, nothing)
    return Linear(*(np.hstack(part) for part in zip(*parts, strict=True)))


def _correlations(one: Numbers, other: Numbers) -> Linear:
    product = one.z.T @ other.z
    if one.known is None and other.known is None:
        rows = np.full(product.shape, float(len(one.z)))
        return Linear(np.clip(product / np.maximum(rows, 1), -1, 1), rows, np.full(product.shape, 2.0))
    left = (np.ones_like(one.z) if one.known is None else one.known.astype(np.float64)).T
    right = np.ones_like(other.z) if other.known is None else other.known.astype(np.float64)
    rows = left @ right
    n = np.maximum(rows, 1)
    sum_one, sum_other = one.z.T @ right, left @ other.z
    square_one = (one.z**2).T @ right - sum_one**2 / n
    square_other = left @ other.z**2 - sum_other**2 / n
    r = _divided(product - sum_one * sum_other / n, np.sqrt(_positive(square_one, n) * _positive(square_other, n)))
    return Linear(np.clip(r, -1, 1), rows, np.full(r.shape, 2.0))


def _positive(square: Floats, n: Floats) -> Floats:
    """Sums of squares of standardised cells, 0 where only rounding is left."""
    return np.where(square > 1e-12 * n, square, 0.0)


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def by_groups(numbers: Numbers, group: Ints) -> Linear:
    """Correlation ratio of columns by a grouping: eta squared, the share of the variance that group means tell.

    Args:
        numbers: d columns.
        group: (n,) int64 from 0 on, -1 for unknown.

    Returns:
        Arrays (d,).
    """
    rows = np.flatnonzero(group >= 0)
    group = group[rows]
    width = int(group.max(initial=-1)) + 1
    member = csr_matrix((np.ones(len(rows)), (group, rows)), shape=(width, len(numbers.z)))
    parts = [_by_groups(numbers.only(block), member, rows) for block in numbers.blocks()]
    if not parts:
        return Linear(np.empty(0), np.empty(0), np.empty(0))
    return Linear(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _by_groups(numbers: Numbers, member: csr_matrix, rows: Ints) -> Linear:
    whole = len(rows) == len(numbers.z)
    z = numbers.z if whole else numbers.z[rows]
    sums = member @ numbers.z
    if numbers.known is None:
        count = np.asarray(member.sum(axis=1), dtype=np.float64).reshape(-1, 1)
        total = np.full(z.shape[1], float(len(rows)))
        levels = np.full(z.shape[1], float((count > 0).sum()))
    else:
        count = member @ numbers.known.astype(np.float64)
        total = count.sum(axis=0)
        levels = (count > 0).sum(axis=0).astype(np.float64)
    n = np.maximum(total, 1)
    centre = sums.sum(axis=0) / n
    between = (sums**2 / np.maximum(count, 1)).sum(axis=0) - n * centre**2
    square = _positive(np.einsum("ij,ij->j", z, z) - n * centre**2, n)
    return Linear(np.clip(_divided(between, square), 0, 1), total, levels)


def of_groups(values: Numbers, categories: Ints) -> Linear:
    """Correlation ratio of one column of numbers by each of many groupings.

    Args:
        values: one column.
        categories: (n, c) int64 from 0 on, -1 for unknown.

    Returns:
        Arrays (c,).
    """
    out = np.zeros((3, categories.shape[1]))
    known = None if values.known is None else values.known[:, 0]
    for place, group in enumerate(categories.T):
        both = group >= 0 if known is None else (group >= 0) & known
        z, group = values.z[both, 0], group[both]
        count = np.bincount(group, minlength=1)
        n = max(len(z), 1)
        centre = z.sum() / n
        between = (np.bincount(group, z, minlength=1) ** 2 / np.maximum(count, 1)).sum() - n * centre**2
        square = z @ z - n * centre**2
        out[:, place] = between / square if square > 1e-12 * n else 0.0, len(z), (count > 0).sum()
    return Linear(np.clip(out[0], 0, 1), out[1], out[2])


class Table(NamedTuple):
    """The cells of a contingency table that are not empty.

    Attributes:
        size: (m,) int64, rows in a cell.
        one: (m,) int64, rows of the first variable's value of the cell.
        other: (m,) int64, those of the second's.
        shape: values that occur, of the first and of the second.
        rows: rows in all.
    """

    size: Ints
    one: Ints
    other: Ints
    shape: tuple[int, int]
    rows: int

    @property
    def phi2(self) -> float:
        """Chi squared of independence by the number of rows."""
        if not self.rows:
            return 0.0
        size = self.size.astype(np.float64)
        return max(float((size * size / (self.one.astype(np.float64) * self.other)).sum() - 1), 0.0)


def crossed(one: Ints, other: Ints) -> Table:
    """Count pairs of values; never more cells than rows are held, whatever the number of values.

    Args:
        one: (n,) int64 from 0 on, -1 for unknown.
        other: (n,) int64, likewise.
    """
    both = (one >= 0) & (other >= 0)
    one, other = one[both], other[both]
    width = int(other.max(initial=0)) + 1
    cell = one * width + other
    if (int(one.max(initial=0)) + 1) * width <= 4 * len(one) + 4096:
        count = np.bincount(cell, minlength=1)
        cell = np.flatnonzero(count)
        count = count[cell]
    else:
        cell, count = np.unique(cell, return_counts=True)
    rows, columns = np.bincount(one, minlength=1), np.bincount(other, minlength=1)
    shape = (int((rows > 0).sum()), int((columns > 0).sum()))
    return Table(count, rows[cell // width], columns[cell % width], shape, len(one))


def corrected(phi2: float, one: int, other: int, rows: int) -> tuple[float, float, float]:
    """Take out of phi squared what chance alone gives, as Bergsma does ("A bias-correction for Cramer's V", 2013).

    Returns:
        Phi squared and both numbers of values less one, all bias-corrected; all 0 where nothing can be told.
    """
    if min(one, other) < 2 or rows < 2:
        return 0.0, 0.0, 0.0
    free = (one - 1) * (other - 1) / (rows - 1)
    widths = (one - 1 - (one - 1) ** 2 / (rows - 1), other - 1 - (other - 1) ** 2 / (rows - 1))
    return max(phi2 - free, 0.0), widths[0], widths[1]


def cramers_v(table: Table) -> float:
    """Bias-corrected Cramer's V (Bergsma, J. Korean Stat. Soc. 42, 2013): between 0 and 1."""
    phi2, one, other = corrected(table.phi2, *table.shape, table.rows)
    least = min(one, other)
    return float(np.sqrt(min(phi2 / least, 1.0))) if least > 0 else 0.0


def epsilon_squared(told: Linear) -> Floats:
    """Eta squared less what chance alone gives (Kelley, PNAS 21, 1935): 0 where there are too few rows."""
    free = told.rows - told.levels
    left = (1 - told.share) * (told.rows - 1) / np.maximum(free, 1)
    return np.where((free > 0) & (told.levels > 1), np.clip(1 - left, 0, 1), 0.0)
