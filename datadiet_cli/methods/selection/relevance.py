"""How well each column alone tells the target: correlations, F and chi squared, for numbers and categories alike.

Rows in which a column's cell is missing do not count for that column. Values of a category that fewer than five rows
have are taken together. A column without three known cells has no score; one that does not vary tells nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.selection.association import (
    Linear,
    Numbers,
    by_groups,
    correlations,
    cramers_v,
    crossed,
    epsilon_squared,
    of_groups,
    standardised,
)
from datadiet_cli.methods.selection.base import Columns, Floats, Ints, Ranking, Target, ranks
from datadiet_cli.methods.selection.checks import FEWEST, binned, middle_ranks, predicted, thinned
from datadiet_cli.methods.selection.tails import log_tail_of_chi2, log_tail_of_f

_EXACT = 1e-15
"""Least share of the variance that is left over: a column that tells everything has a finite score all the same."""


class Statistic(NamedTuple):
    """A test of each column against the target.

    Attributes:
        value: (p,) F, or chi squared; 0 where nothing can be tested.
        above: (p,) degrees of freedom; 0 where nothing can be tested.
        below: (p,) degrees of freedom of F's denominator; 0 for chi squared.
        log_p: (p,) natural logarithm of the p-value.
        rows: (p,) rows with a known cell.
    """

    value: Floats
    above: Floats
    below: Floats
    log_p: Floats
    rows: Floats


def pearson(columns: Columns, target: Target | None, **_: object) -> Ranking:
    """Rank by linear correlation, whatever the kinds.

    Numbers with a number: Pearson's abs(r). Numbers with classes: the correlation ratio eta, the root of the R2 of the
    class means. Categories with a number: the same by the category's values, bias-corrected (Kelley's epsilon).
    Categories with classes: bias-corrected Cramer's V (Bergsma 2013).

    Args:
        columns: n rows.
        target: what they shall predict.

    Raises:
        ValueError: see `checks.predicted`.
    """
    target = predicted(columns, target)
    score = correlation(columns, target)
    return Ranking(score, ranks(score), "correlation")


def spearman(columns: Columns, target: Target | None, **_: object) -> Ranking:
    """Rank by monotone correlation: as `pearson`, with ranks in the place of numbers, ties by their mean.

    Args:
        columns: n rows.
        target: what they shall predict.

    Raises:
        ValueError: see `checks.predicted`.
    """
    target = predicted(columns, target)
    ranked = Columns(middle_ranks(columns.numbers), columns.categories)
    if target.classes:
        score = correlation(ranked, target)
    else:
        score = _spearman(ranked, np.asarray(target.values, dtype=np.float64))
    return Ranking(score, ranks(score), "rank correlation")


def anova(columns: Columns, target: Target | None, **_: object) -> Ranking:
    """Rank by the p-value of a test of means: the score is -log10 p, which is comparable between kinds of columns.

    Numbers with classes: one-way analysis of variance. Numbers with a number: F of the linear regression. Categories
    with a number: analysis of variance of the target by the category. Categories with classes: chi squared of
    independence, there being no means. `tested` has the statistics.

    Args:
        columns: n rows.
        target: what they shall predict.

    Raises:
        ValueError: see `checks.predicted`.
    """
    return _by_p(columns, target, tested)


def chi2(columns: Columns, target: Target | None, **_: object) -> Ranking:
    """Rank by the p-value of chi squared of independence: the score is -log10 p.

    Numbers, and a target of numbers, are cut into at most ten bins of about as many rows: then the score depends
    neither on a column's unit nor on its sign. `independence` has the statistics.

    Args:
        columns: n rows.
        target: what they shall predict.

    Raises:
        ValueError: see `checks.predicted`.
    """
    return _by_p(columns, target, independence)


def correlation(columns: Columns, target: Target) -> Floats:
    """Strength of each column's tie with the target, as `pearson` has it.

    Args:
        columns: n rows.
        target: checked before.

    Returns:
        (p,) float64 between 0 and 1, NaN for a column with fewer than three known cells.
    """
    categories = thinned(columns.categories)
    told = of_numbers(standardised(columns.numbers), target)
    numbers = np.abs(told.share) if not target.classes else np.sqrt(told.share)
    if target.classes:
        tables = [crossed(column, _codes(target)) for column in categories.T]
        others = np.array([cramers_v(table) for table in tables])
        rows = np.array([table.rows for table in tables])
    else:
        kelley = of_groups(_alone(target.values), categories)
        others, rows = np.sqrt(epsilon_squared(kelley)), kelley.rows
    score = np.concatenate([numbers, others])
    return np.where(np.concatenate([told.rows, rows]) >= FEWEST, score, np.nan)


def of_numbers(numbers: Numbers, target: Target) -> Linear:
    """R2 of columns of numbers by classes, or signed r with a number."""
    if target.classes:
        return by_groups(numbers, _codes(target))
    told = correlations(_alone(target.values), numbers)
    return Linear(told.share[0], told.rows[0], told.levels[0])


def tested(columns: Columns, target: Target) -> Statistic:
    """F of each column; chi squared of independence for categories with classes. See `anova`.

    Args:
        columns: n rows.
        target: checked before.
    """
    told = of_numbers(standardised(columns.numbers), target)
    share = told.share if target.classes else told.share**2
    numbers = _f(Linear(share, told.rows, told.levels))
    categories = thinned(columns.categories)
    if target.classes:
        return _joined(numbers, _independence(categories, _codes(target)))
    return _joined(numbers, _f(of_groups(_alone(target.values), categories)))


def independence(columns: Columns, target: Target) -> Statistic:
    """Chi squared of each column with the target, both in bins where they are numbers. See `chi2`.

    Args:
        columns: n rows.
        target: checked before.
    """
    code = _codes(target) if target.classes else binned(np.asarray(target.values, dtype=np.float64)[:, None])[:, 0]
    return _joined(_independence(binned(columns.numbers), code), _independence(thinned(columns.categories), code))


def _by_p(columns: Columns, target: Target | None, test: Callable[[Columns, Target], Statistic]) -> Ranking:
    target = predicted(columns, target)
    found = test(columns, target)
    score = np.where(found.rows >= FEWEST, -found.log_p / np.log(10), np.nan)
    return Ranking(score, ranks(score), "-log10 p")


def _f(told: Linear) -> Statistic:
    """F and its p-value from shares of the variance."""
    above, below = told.levels - 1, told.rows - told.levels
    fit = (above > 0) & (below > 0) & (told.share > 0)
    above, below = np.where(fit, above, 0.0), np.where(fit, below, 0.0)
    left = np.maximum(1 - told.share, _EXACT)
    value = np.divide((1 - left) / left * below, above, out=np.zeros_like(left), where=fit)
    log_p = np.zeros_like(left)
    log_p[fit] = log_tail_of_f(left[fit], above[fit], below[fit])
    return Statistic(value, above, below, log_p, told.rows)


def _independence(categories: Ints, code: Ints) -> Statistic:
    tables = [crossed(column, code) for column in categories.T]
    rows = np.array([table.rows for table in tables], dtype=np.float64)
    value = np.array([table.phi2 for table in tables]) * rows
    above = np.array([(table.shape[0] - 1) * (table.shape[1] - 1) for table in tables], dtype=np.float64)
    fit = above > 0
    value, above = np.where(fit, value, 0.0), np.where(fit, above, 0.0)
    log_p = np.zeros_like(value)
    log_p[fit] = log_tail_of_chi2(value[fit], above[fit])
    return Statistic(value, above, np.zeros_like(above), log_p, rows)


def _joined(one: Statistic, other: Statistic) -> Statistic:
    return Statistic(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))


def _spearman(ranked: Columns, values: Floats) -> Floats:
    """Rank correlation with a number; where cells are missing the target is ranked among the rows that are left."""
    holes = np.isnan(ranked.numbers).any(axis=0)
    score = correlation(ranked, Target(middle_ranks(values[:, None])[:, 0], 0))
    for place in np.flatnonzero(holes):
        some = ~np.isnan(ranked.numbers[:, place])
        few = Columns(ranked.numbers[some, place : place + 1], ranked.categories[some, :0])
        score[place] = correlation(few, Target(middle_ranks(values[some, None])[:, 0], 0))[0]
    for place in np.flatnonzero((ranked.categories < 0).any(axis=0)):
        some = ranked.categories[:, place] >= 0
        few = Columns(ranked.numbers[some, :0], ranked.categories[some, place : place + 1])
        at = ranked.numbers.shape[1] + place
        score[at] = correlation(few, Target(middle_ranks(values[some, None])[:, 0], 0))[0]
    return score


def _alone(values: Floats | Ints) -> Numbers:
    return standardised(np.asarray(values, dtype=np.float64)[:, None])


def _codes(target: Target) -> Ints:
    return np.asarray(target.values, dtype=np.int64)
