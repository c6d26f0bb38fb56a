"""An order of rows and columns that hangs on nothing but what is in them, so that files may name them in any."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target

Words = NDArray[np.uint64]

_ONE, _TWO, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Ordered:
    """A problem in its canonical order. Equal rows, and equal columns, are told apart by their position.

    Attributes:
        columns: n rows and p columns, in order.
        target: of these rows.
        rows: (n,) where each row came from.
        place: (p,) where each column came from.
    """

    columns: Columns
    target: Target
    rows: Ints
    place: Ints

    @property
    def hopeless(self) -> str | None:
        """Why nothing can be learned here, if so."""
        if not self.columns.count:
            return "there is no column to rank"
        if len(self.columns) < 2:
            return "with fewer than two rows columns cannot be ranked"
        if (self.target.values == self.target.values[0]).all():
            return "the target has one value only: columns cannot be ranked by how well they predict it"
        return None

    def back(self, ranking: Ranking) -> Ranking:
        """A ranking of the columns in order, of the columns as they came."""

        def put(values: "Floats | Ints | Bools | None") -> "Floats | Ints | Bools | None":
            if values is None:
                return None
            out = np.empty_like(values)
            out[self.place] = values
            return out

        parts = {name: put(getattr(ranking, name)) for name in ("score", "rank", "chosen", "frequency")}
        witness = ranking.witness
        if witness is not None:
            witness = np.where(witness >= 0, self.place[witness], witness)
        return replace(ranking, **parts, witness=put(witness))  # type: ignore[arg-type]


def ordered(columns: Columns, target: Target | None) -> Ordered:
    """Put rows and columns in canonical order.

    Args:
        columns: n rows.
        target: their values.

    Raises:
        ValueError: there is no target, it does not fit the columns, or a number is infinite.
    """
    if target is None:
        raise ValueError("this method needs a target to predict")
    _check(columns, target)
    cells = [_bits(columns.numbers), columns.categories.astype(np.uint64)]
    names = [_mixed(block).sum(axis=0, dtype=np.uint64) for block in cells]
    inside = [np.argsort(name, kind="stable") for name in names]
    place = np.concatenate([inside[0], inside[1] + columns.numbers.shape[1]]).astype(np.int64)
    row = np.zeros(len(columns), dtype=np.uint64)
    for block, name in zip(cells, names, strict=True):
        for column, own in zip(block.T, name, strict=True):
            row += _mixed(column ^ own)
    rows = np.lexsort((row, target.values))
    put = Columns(columns.numbers[rows][:, inside[0]], columns.categories[rows][:, inside[1]])
    return Ordered(put, target.rows(rows), rows, place)


def unranked(problem: Ordered, unit: str, note: str) -> Ranking:
    """What is said of columns where nothing can be learned: all score nothing, and come in their own order."""
    p = problem.columns.count
    return Ranking(np.zeros(p), np.arange(1, p + 1), unit, notes=(note,))


def _check(columns: Columns, target: Target) -> None:
    n = len(columns)
    if len(columns.categories) != n or target.values.shape != (n,):
        raise ValueError(
            f"{n} rows of numbers, {len(columns.categories)} of categories and {target.values.shape} of target "
            "do not fit together"
        )
    if np.isinf(columns.numbers).any():
        raise ValueError("a number is infinite")
    if columns.categories.size and columns.categories.min() < -1:
        raise ValueError("a category is below -1")
    if target.classes and n and not 0 <= target.values.min() <= target.values.max() < target.classes:
        raise ValueError(f"a class lies outside of 0 to {target.classes - 1}")
    if not target.classes and not np.isfinite(target.values).all():
        raise ValueError("a target is missing or infinite")


def _bits(numbers: Floats) -> Words:
    """Numbers as words; all that is missing is alike, and so are 0 and -0."""
    plain = np.where(np.isnan(numbers), np.nan, numbers) + 0.0
    return np.ascontiguousarray(plain, dtype=np.float64).view(np.uint64)


def _mixed(words: Words) -> Words:
    """Scrambled words: the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    words = words + _STEP
    words = (words ^ (words >> np.uint64(30))) * _ONE
    words = (words ^ (words >> np.uint64(27))) * _TWO
    return words ^ (words >> np.uint64(31))
