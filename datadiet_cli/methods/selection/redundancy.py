"""How well one column tells another, whatever their kinds: what makes the other redundant.

Numbers by numbers: abs(r). Numbers by categories: Kelley's epsilon, the bias-corrected correlation ratio. Categories
by others: the root of phi squared by the number of the told column's values less one, bias-corrected: this is Cramer's
V if the column that tells has no fewer values, and less than V if it has fewer, for it cannot tell them all.
"""

import numpy as np

from datadiet_cli.methods.selection.association import (
    Numbers,
    by_groups,
    corrected,
    correlations,
    crossed,
    epsilon_squared,
    of_groups,
    standardised,
)
from datadiet_cli.methods.selection.base import Columns, Floats, Ints
from datadiet_cli.methods.selection.checks import compact

FEWEST = 10
"""With fewer rows in common nothing is said: any two columns are alike there."""
_DISCRETE = 50
"""Numbers of no more values than this are compared with categories as a category."""


class Redundancy:
    """Columns, made ready to be compared with each other."""

    def __init__(self, columns: Columns, numbers: Numbers | None = None) -> None:
        """Prepare columns; `numbers` are these standardised, if that has been done before."""
        self._numbers = standardised(columns.numbers) if numbers is None else numbers
        self._d = columns.numbers.shape[1]
        codes = [compact(column) for column in columns.categories.T]
        self._codes = np.column_stack(codes) if codes else columns.categories
        self._raw = columns.numbers
        self._discrete: dict[int, Ints | None] = {}

    def told(self, one: Ints, other: Ints) -> tuple[Floats, Floats]:
        """How well some columns tell others.

        Args:
            one: (b,) int64 positions, few.
            other: (r,) int64 ascending positions.

        Returns:
            (b, r) strength between 0 and 1, 0 where fewer than ten rows have both cells; (b, r) these rows.
        """
        strength = np.zeros((len(one), len(other)))
        rows = np.zeros_like(strength)
        split = int(np.searchsorted(other, self._d))
        numbers, categories = other[:split], other[split:] - self._d
        plain = np.flatnonzero(one < self._d)
        some = self._numbers if len(numbers) == self._d else self._numbers.only(numbers)
        if len(plain) and len(numbers):
            r = correlations(self._numbers.only(one[plain]), some)
            strength[plain, :split], rows[plain, :split] = np.abs(r.share), r.rows
        for place, column in enumerate(one):
            if column >= self._d and len(numbers):
                eta = by_groups(some, self._codes[:, column - self._d])
                strength[place, :split], rows[place, :split] = np.sqrt(epsilon_squared(eta)), eta.rows
            if len(categories):
                strength[place, split:], rows[place, split:] = self._category(int(column), categories)
        return np.where(rows >= FEWEST, strength, 0.0), rows

    def _category(self, column: int, categories: Ints) -> tuple[Floats, Floats]:
        """How well a column tells categories."""
        code = self._as_codes(column)
        if code is None:
            eta = of_groups(self._numbers.only(np.array([column])), self._codes[:, categories])
            values = np.maximum(eta.levels - 1, 1)
            return np.sqrt(epsilon_squared(eta) / values), eta.rows
        tables = [crossed(code, self._codes[:, place]) for place in categories]
        strength = [_towards(table.phi2, table.shape, table.rows, len(table.size)) for table in tables]
        return np.array(strength), np.array([table.rows for table in tables], dtype=np.float64)

    def _as_codes(self, column: int) -> Ints | None:
        """A column as a category; None for numbers of many values."""
        if column >= self._d:
            return np.ascontiguousarray(self._codes[:, column - self._d])
        if column not in self._discrete:
            raw = self._raw[:, column]
            known = ~np.isnan(raw)
            values, code = np.unique(raw[known], return_inverse=True)
            if len(values) > _DISCRETE:
                self._discrete[column] = None
            else:
                out = np.full(len(raw), -1, dtype=np.int64)
                out[known] = code
                self._discrete[column] = out
        return self._discrete[column]


def _towards(phi2: float, shape: tuple[int, int], rows: int, cells: int) -> float:
    if cells == shape[0] == shape[1] and cells > 1:
        # The same column under other names.
        return 1.0
    told, one, other = corrected(phi2, *shape, rows)
    return float(np.sqrt(min(told / other, 1.0))) if min(one, other) > 0 else 0.0
