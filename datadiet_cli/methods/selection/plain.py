"""What can be said of columns without a target: that they are constant, mostly missing, or hardly vary."""

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ranking, Target, ranks
from datadiet_cli.methods.selection.checks import checked, compact


def constant(columns: Columns, target: Target | None = None, **_: object) -> Ranking:
    """Tell columns that have more than one value.

    The score is the share of the known cells that do not have the column's commonest value. Missing cells are not a
    value; a column of these alone has no score, and is as good as constant.

    Args:
        columns: n rows.
        target: is not looked at.

    Raises:
        ValueError: see `checks.checked`.
    """
    checked(columns, target)
    score = np.concatenate([_unusual(columns.numbers), _unusual_codes(columns)])
    return Ranking(score, ranks(score), "share", chosen=np.nan_to_num(score) > 0)


def missing(columns: Columns, target: Target | None = None, *, threshold: float | None = None, **_: object) -> Ranking:
    """Tell columns that are mostly known; the score is the share of known cells.

    Args:
        columns: n rows.
        target: is not looked at.
        threshold: share of missing cells from which on a column is not chosen; half of them by default. A column
            without missing cells is always chosen.

    Raises:
        ValueError: see `checks.checked`.
    """
    checked(columns, target)
    n = max(len(columns), 1)
    gone = np.concatenate([np.isnan(columns.numbers).sum(axis=0), (columns.categories < 0).sum(axis=0)]) / n
    chosen = (gone == 0) | (gone < (0.5 if threshold is None else threshold))
    return Ranking(1 - gone, ranks(1 - gone), "known", chosen=chosen)


def variance(columns: Columns, target: Target | None = None, *, threshold: float | None = None, **_: object) -> Ranking:
    """Tell columns that vary; the score is the variance of the known cells, in a column's own unit squared.

    The variance of a category is that of Light and Margolin ("An analysis of variance for categorical data", JASA 66,
    1971): one half of the probability that two rows differ. For two values it is what they have as 0 and 1.

    Args:
        columns: n rows.
        target: is not looked at.
        threshold: columns of numbers with less are not chosen; nor is any that does not vary at all.

    Raises:
        ValueError: see `checks.checked`.
    """
    checked(columns, target)
    numbers, mixed = _variance(columns.numbers), _mixed(columns)
    score = np.concatenate([numbers, mixed])
    least = np.concatenate([np.full(len(numbers), threshold or 0.0), np.zeros(len(mixed))])
    filled = np.nan_to_num(score)
    return Ranking(score, ranks(score), "variance", chosen=(filled >= least) & (filled > 0))


def _unusual(numbers: Floats) -> Floats:
    """Share of the known cells that are not the commonest; NaN without known cells."""
    out = np.full(numbers.shape[1], np.nan)
    for place in range(numbers.shape[1]):
        column = numbers[:, place]
        column = np.sort(column[~np.isnan(column)])
        if len(column):
            starts = np.flatnonzero(np.concatenate([[True], column[1:] != column[:-1], [True]]))
            out[place] = 1 - np.diff(starts).max() / len(column)
    return out


def _unusual_codes(columns: Columns) -> Floats:
    out = np.full(columns.categories.shape[1], np.nan)
    for place, column in enumerate(columns.categories.T):
        known = column[column >= 0]
        if len(known):
            out[place] = 1 - np.bincount(compact(known)).max() / len(known)
    return out


def _variance(numbers: Floats) -> Floats:
    """Variance of each column by the number of its known cells; NaN without any."""
    known: Bools = ~np.isnan(numbers)
    everything = bool(known.all())
    filled = numbers if everything else np.where(known, numbers, 0.0)
    count = np.full(numbers.shape[1], len(numbers)) if everything else known.sum(axis=0)
    n = np.maximum(count, 1)
    # By the largest number first: then no square overflows.
    top = np.maximum(filled.max(axis=0, initial=0.0), -filled.min(axis=0, initial=0.0))
    gap = filled / np.where(top > 0, top, 1.0)
    gap -= gap.sum(axis=0) / n
    if not everything:
        gap[~known] = 0.0
    spread = np.sqrt(np.einsum("ij,ij->j", gap, gap) / n)
    # What rounding leaves of a constant column is not variance.
    spread = np.where(spread > 1e-14, spread, 0.0)
    # A root that is too large is cut: its square is the largest number there is, not infinity.
    root = np.minimum(spread * np.minimum(top, 1e300), 1e154)
    return np.where(count > 0, root**2, np.nan)


def _mixed(columns: Columns) -> Floats:
    out = np.full(columns.categories.shape[1], np.nan)
    for place, column in enumerate(columns.categories.T):
        known = column[column >= 0]
        if len(known):
            share = np.bincount(compact(known)) / len(known)
            out[place] = max((1 - share @ share) / 2, 0.0)
    return out
