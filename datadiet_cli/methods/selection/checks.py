"""What every filter asks of its input, and how categories are thinned before they are compared with a target."""

import numpy as np
from scipy.stats import rankdata

from datadiet_cli.methods.selection.base import Columns, Floats, Ints, Target

FEW = 5
"""Values of a category that fewer rows have are taken together: too few to say what goes with each of them. Without
this an identifier would seem to tell everything."""
FEWEST = 3
"""With fewer rows a column has no score."""
BINS = 10


def checked(columns: Columns, target: Target | None) -> None:
    """Refuse what cannot be ranked.

    Raises:
        ValueError: a cell is infinite, or the target does not fit the columns.
    """
    n = len(columns)
    if len(columns.categories) != n:
        raise ValueError(f"{n} rows of numbers do not fit {len(columns.categories)} rows of categories")
    if np.isinf(columns.numbers).any():
        raise ValueError("a number is infinite")
    if columns.categories.size and columns.categories.min() < -1:
        raise ValueError("a category is below -1")
    if target is None:
        return
    if target.values.shape != (n,):
        raise ValueError(f"{len(target.values)} targets do not fit {n} rows")
    if not target.classes and not np.isfinite(target.values).all():
        raise ValueError("a target is missing or infinite")
    if target.classes and n and not 0 <= target.values.min() <= target.values.max() < target.classes:
        raise ValueError(f"a class lies outside of 0 to {target.classes - 1}")


def predicted(columns: Columns, target: Target | None) -> Target:
    """The target of a method that needs one.

    Raises:
        ValueError: there is none, or see `checked`.
    """
    checked(columns, target)
    if target is None:
        raise ValueError("this method needs a target to predict")
    return target


def thinned(categories: Ints) -> Ints:
    """Join the values of each column that fewer than five rows have.

    Args:
        categories: (n, c) int64 from 0 on, -1 for missing.

    Returns:
        (n, c) int64 from 0 on, -1 for missing; the joined ones are 0.
    """
    out = np.empty_like(categories)
    for place, column in enumerate(categories.T):
        code = compact(column)
        count = np.bincount(code[code >= 0], minlength=1)
        name = np.where(count >= FEW, np.cumsum(count >= FEW), 0)
        out[:, place] = np.where(code >= 0, name[code], -1)
    return out


def compact(column: Ints) -> Ints:
    """Number the values that occur from 0 on, so that a table of counts is no longer than the column."""
    if column.max(initial=-1) <= 4 * len(column) + 4096:
        return column
    values, code = np.unique(column, return_inverse=True)
    return code.astype(np.int64) - int(values[0] == -1)


def middle_ranks(numbers: Floats) -> Floats:
    """Ranks of each column, ties by their mean, missing cells left missing: (n, d) float64 from 1 on."""
    if not numbers.size:
        return numbers.astype(np.float64)
    ranks: Floats = rankdata(numbers, axis=0, nan_policy="omit" if np.isnan(numbers).any() else "propagate")
    return ranks


def binned(numbers: Floats) -> Ints:
    """Cut each column into at most ten bins of about as many rows, by ranks; equal numbers are never parted.

    Returns:
        (n, d) int64 from 0 on, -1 for missing.
    """
    ranks = middle_ranks(numbers)
    known = np.maximum((~np.isnan(ranks)).sum(axis=0), 1)
    bins = np.floor(BINS * (np.nan_to_num(ranks, nan=1.0) - 0.5) / known)
    return np.where(np.isnan(ranks), -1, bins).astype(np.int64)
