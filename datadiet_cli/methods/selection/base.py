"""Columns to choose from, what they shall predict, and how a method ranks them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NONE = -1


@dataclass(frozen=True, eq=False)
class Columns:
    """The cells of n rows: p columns, the d of numbers first, then the c of categories.

    Attributes:
        numbers: (n, d) float64, finite or NaN, for a missing cell.
        categories: (n, c) int64 from 0 on, -1 for a missing cell.
    """

    numbers: Floats
    categories: Ints

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def count(self) -> int:
        """How many columns there are, p."""
        return int(self.numbers.shape[1] + self.categories.shape[1])

    def rows(self, rows: Ints | Bools) -> "Columns":
        """Some of the rows."""
        return Columns(self.numbers[rows], self.categories[rows])

    def only(self, chosen: Ints) -> "Columns":
        """Some of the columns, by sorted position."""
        d = self.numbers.shape[1]
        return Columns(self.numbers[:, chosen[chosen < d]], self.categories[:, chosen[chosen >= d] - d])


@dataclass(frozen=True, eq=False)
class Target:
    """What the columns shall predict.

    Attributes:
        values: (n,) int64 classes from 0 on, all rows labelled; or float64 numbers, finite.
        classes: how many classes there are, K; 0 for numbers.
    """

    values: Ints | Floats
    classes: int

    def rows(self, rows: Ints | Bools) -> "Target":
        """Some of the rows."""
        return Target(self.values[rows], self.classes)


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a method says of p columns.

    Attributes:
        score: (p,) float64, the higher the more worth keeping; NaN where a method has no score for a column.
        rank: (p,) int64, a permutation of 1 to p: the first m are what the method keeps of m.
        chosen: (p,) bool, the columns that the method keeps by a rule of its own; None for a method that only ranks.
        witness: (p,) int64, position of the column that makes this one redundant; `NONE` for none.
        frequency: (p,) float64, share of bootstraps that kept the column; None without bootstraps.
        unit: what the score is, in a word or two: ``F``, ``bits``, ``|r|``, ``importance``.
        notes: what a reader of the report should know.
    """

    score: Floats
    rank: Ints
    unit: str
    chosen: Bools | None = None
    witness: Ints | None = None
    frequency: Floats | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def ranks(score: Floats) -> Ints:
    """Ranks by score, the highest first; ties by position, NaN last."""
    rank = np.empty(len(score), dtype=np.int64)
    order = np.argsort(-np.where(np.isnan(score), -np.inf, score), kind="stable")
    rank[order] = np.arange(1, len(score) + 1)
    return rank
