"""Columns of numbers and categories as one matrix in which every column weighs the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints

MANY_MISSING = 0.05
"""Share of missing cells from which on a column of numbers has a dimension for its gaps."""
ONE_HOT = 32
"""Values of a category that have a dimension each, the commonest; the others share one."""


@dataclass(frozen=True, eq=False)
class Number:
    """How a column of numbers becomes dimensions.

    Attributes:
        median: takes the place of missing cells.
        mean: of the column, so completed.
        scale: its standard deviation; 0 for a column that does not vary.
        gap: mean and standard deviation of the dimension that says what is missing; None for no such dimension.
    """

    median: float
    mean: float
    scale: float
    gap: tuple[float, float] | None

    @property
    def width(self) -> int:
        """How many dimensions it has."""
        return 1 if self.gap is None else 2


@dataclass(frozen=True, eq=False)
class Category:
    """How a column of categories becomes dimensions.

    Attributes:
        codes: values with a dimension of their own, ascending; -1 among them where gaps have one.
        others: the other values that were seen, ascending; they share a dimension.
        share: share of the rows in each dimension, `codes` first.
        scale: what each dimension is divided by: all together have a variance of 1. 0 if it does not vary.
    """

    codes: tuple[int, ...]
    others: tuple[int, ...]
    share: tuple[float, ...]
    scale: float

    @property
    def width(self) -> int:
        """How many dimensions it has."""
        return len(self.share)


@dataclass(frozen=True, eq=False)
class Design:
    """How columns become a matrix; fitted on some rows, and good for others.

    Numbers are completed by their median and standardised, and where 5 % or more were missing a second, standardised
    dimension says so. Categories have a dimension for each of at most 32 values, one for the rest, and one for gaps
    if those are 5 % or more; their dimensions are centred, and divided by one number such that their variances add up
    to 1, as that of a number is. So no column weighs more than another (Escofier and Pages, "Multiple factor
    analysis", 1994). A category that was never seen, or is rarely missing, is at the mean: all zeros.

    Attributes:
        numbers: of each column of numbers.
        categories: of each column of categories.
    """

    numbers: Sequence[Number]
    categories: Sequence[Category]

    @classmethod
    def fit(cls, columns: Columns) -> "Design":
        """Learn medians, scales and values from rows, of which there is at least one."""
        return cls(
            tuple(_number(column) for column in columns.numbers.T),
            tuple(_category(column) for column in columns.categories.T),
        )

    @property
    def owner(self) -> Ints:
        """(D,) the column that each dimension belongs to."""
        widths = [number.width for number in self.numbers] + [category.width for category in self.categories]
        return np.repeat(np.arange(len(widths), dtype=np.int64), widths)

    def matrix(self, columns: Columns) -> Floats:
        """The (n, D) float64 matrix of any rows; finite, and within 1e6 of 0.

        Raises:
            ValueError: there are more or fewer columns than were fitted.
        """
        have = (columns.numbers.shape[1], columns.categories.shape[1])
        if have != (len(self.numbers), len(self.categories)):
            raise ValueError(
                f"{have[0]} columns of numbers and {have[1]} of categories, "
                f"not {len(self.numbers)} and {len(self.categories)}"
            )
        out = np.zeros((len(columns), len(self.owner)))
        at = 0
        for number, cells in zip(self.numbers, columns.numbers.T, strict=True):
            _write_number(number, cells, out[:, at : at + number.width])
            at += number.width
        for category, codes in zip(self.categories, columns.categories.T, strict=True):
            _write_category(category, codes, out[:, at : at + category.width])
            at += category.width
        return out

    def as_json(self) -> dict[str, Any]:
        """A document of plain lists and numbers. Categories are the codes they came as."""
        return {
            "numbers": [
                {"median": n.median, "mean": n.mean, "scale": n.scale, "gap": n.gap and list(n.gap)}
                for n in self.numbers
            ],
            "categories": [
                {"codes": list(c.codes), "others": list(c.others), "share": list(c.share), "scale": c.scale}
                for c in self.categories
            ],
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Design":
        """The design that a document describes.

        Raises:
            ValueError: the document describes none.
        """
        try:
            numbers = tuple(
                Number(float(n["median"]), float(n["mean"]), float(n["scale"]), _pair(n["gap"]))
                for n in document["numbers"]
            )
            categories = tuple(
                Category(
                    tuple(map(int, c["codes"])), tuple(map(int, c["others"])), tuple(map(float, c["share"])),
                    float(c["scale"]),
                )
                for c in document["categories"]
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"not the description of a design matrix: {why}") from error
        if not _sound(numbers, categories):
            raise ValueError("not the description of a design matrix: a number in it is none that can be")
        if any(c.width != len(c.codes) + bool(c.others) for c in categories):
            raise ValueError("not the description of a design matrix: a category has not a share for each dimension")
        return cls(numbers, categories)


def _sound(numbers: Sequence[Number], categories: Sequence[Category]) -> bool:
    """Whether numbers are finite, and spreads no less than 0; that of gaps is divided by, whatever it is."""
    gaps = [number.gap for number in numbers if number.gap is not None]
    every = [value for number in numbers for value in (number.median, number.mean, number.scale)]
    every += [value for gap in gaps for value in gap]
    every += [value for category in categories for value in (category.scale, *category.share)]
    spreads = [number.scale for number in numbers] + [category.scale for category in categories]
    return all(map(math.isfinite, every)) and min(spreads, default=0) >= 0 and all(gap[1] > 0 for gap in gaps)


def _pair(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    first, second = values
    return float(first), float(second)


def _spread(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; 0 for one that is nothing but rounding. Whatever the size, nothing overflows."""
    peak = float(np.abs(values).max())
    if peak == 0:
        return 0.0, 0.0
    small = values / peak
    mean, scale = float(small.mean()), float(small.std())
    return mean * peak, scale * peak if scale > 1e-12 and scale * peak > 0 else 0.0


def _number(column: Floats) -> Number:
    missing = np.isnan(column)
    seen = column[~missing]
    median = float(np.quantile(seen, 0.5, method="lower")) if len(seen) else 0.0
    mean, scale = _spread(np.where(missing, median, column))
    share = float(missing.mean())
    gap = (share, float(np.sqrt(share * (1 - share)))) if MANY_MISSING <= share < 1 else None
    return Number(median, mean, scale, gap)


def _category(column: Ints) -> Category:
    values, count = np.unique(column, return_counts=True)
    n = len(column)
    gaps = int(count[values == -1].sum())
    seen, often = values[values >= 0], count[values >= 0]
    common = np.sort(np.argsort(-often, kind="stable")[:ONE_HOT])
    codes, shares = list(seen[common]), list(often[common] / n)
    if MANY_MISSING * n <= gaps < n:
        codes.append(-1)
        shares.append(gaps / n)
    others = np.delete(seen, common)
    if len(others):
        shares.append(int(np.delete(often, common).sum()) / n)
    share = np.array(shares)
    total = float((share * (1 - share)).sum())
    scale = float(np.sqrt(total)) if total > 1e-12 else 0.0
    return Category(tuple(map(int, codes)), tuple(map(int, others)), tuple(map(float, share)), scale)


def _write_number(number: Number, cells: Floats, out: Floats) -> None:
    missing = np.isnan(cells)
    if number.scale:
        # Divided first, so that the difference of two huge numbers cannot overflow.
        out[:, 0] = np.clip(
            np.where(missing, number.median, cells) / number.scale - number.mean / number.scale, -1e6, 1e6
        )
    if number.gap is not None:
        mean, scale = number.gap
        out[:, 1] = (missing - mean) / scale


def _write_category(category: Category, codes: Ints, out: Floats) -> None:
    if not category.scale:
        return
    known: Bools = np.zeros(len(codes), dtype=np.bool_)
    for at, code in enumerate(category.codes):
        own = codes == code
        out[own, at] = 1.0
        known |= own
    if category.others:
        own = np.isin(codes, category.others)
        out[own, -1] = 1.0
        known |= own
    out[known] -= np.array(category.share)
    out /= category.scale
