"""Minimum redundancy, maximum relevance: columns chosen one by one."""

import numpy as np
from threadpoolctl import threadpool_limits

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
from datadiet_cli.methods.selection.base import NONE, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.checks import FEWEST, predicted, thinned
from datadiet_cli.methods.selection.redundancy import Redundancy

FLOOR = 0.001
"""No redundancy counts as less, nor as less than chance alone gives: else noise, which is tied to nothing, would win by
its low redundancy alone."""
COPY = 0.999
"""A column so strongly tied to a chosen one is as good as a copy of it, and comes after all that are not."""
REDUNDANT = 0.9
"""Ties from which on a column that was not chosen is said to be redundant."""
BUDGET = 40_000_000_000
"""Cells that chosen columns are compared with, at most; some ten seconds."""
_EXACT = 1e-15
_ALL = 512


def mrmr(columns: Columns, target: Target | None, *, keep: int | None = None, **_: object) -> Ranking:
    """Rank by relevance divided by redundancy with the columns chosen before.

    Ding and Peng, "Minimum redundancy feature selection from microarray gene expression data", JBCB 3(2), 2005: the
    F-test correlation quotient, FCQ (section 2.3). Relevance is F of the column and the target; for a category, the F
    that a column of numbers of the same bias-corrected strength would have (Kelley's epsilon squared, or the square of
    Cramer's V). Redundancy is the mean over the chosen columns of how well they tell the column, as in `redundancy`,
    and at least 0.001, and at least what two columns have in common by chance. A copy of a chosen column scores 0,
    however relevant. The score is the quotient at the time a column was chosen, and at the end for those that were
    not. The witness of a column that is not among the first `keep` is the one of these that tells it best, if by more
    than 0.9.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: choose so many; the others follow by relevance. By default all are chosen, or as many as a fixed number
            of comparisons allows for.

    Raises:
        ValueError: see `checks.predicted`.
    """
    target = predicted(columns, target)
    p = columns.count
    most = min(max(BUDGET // max(len(columns) * p, 1), 10), p)
    steps = min(p if keep is None else max(keep, 1), most)
    notes = (f"mrmr: the first {steps} columns are chosen one by one, the others follow by relevance",)
    with threadpool_limits(1):
        numbers = standardised(columns.numbers)
        relevant = relevance(columns, target, numbers)
        found = _Chosen(
            np.nan_to_num(relevant, nan=-1.0), Redundancy(columns, numbers), columns.numbers.shape[1], len(columns)
        )
        for _step in range(steps):
            found.choose()
    score = np.where(np.isnan(relevant), np.nan, found.score)
    order = np.concatenate([np.array(found.order, dtype=np.int64), found.rest()])
    rank = np.empty(p, dtype=np.int64)
    rank[order] = np.arange(1, p + 1)
    witness = found.witness if keep is None else np.where(rank <= keep, NONE, found.witness)
    return Ranking(score, rank, "F / correlation", witness=witness, notes=notes if steps < min(p, keep or p) else ())


class _Chosen:
    """Columns chosen so far.

    Attributes:
        order: these.
        score: (p,) quotients, of a chosen column when it was chosen.
        witness: (p,) which of those chosen before a column tells it best, by more than 0.9.
    """

    def __init__(self, relevant: Floats, ties: Redundancy, d: int, rows: int) -> None:
        p = len(relevant)
        self.order: list[int] = []
        self.score = relevant.copy()
        self.witness = np.full(p, NONE, dtype=np.int64)
        self._relevant, self._ties = relevant, ties
        # The mean of abs(r) of independent columns.
        self._floor = max(float(np.sqrt(2 / (np.pi * max(rows, 1)))), FLOOR)
        self._sum, self._most = np.zeros(p), np.full(p, REDUNDANT)
        self._open = np.ones(p, dtype=bool)
        self._everyone = np.arange(p)
        # Few columns are compared all at once.
        self._all = ties.told(np.arange(d), self._everyone)[0] if p == d <= _ALL else None

    def choose(self) -> None:
        """Choose the next."""
        best = int(np.where(self._open, self.score, -np.inf).argmax())
        self.order.append(best)
        self._open[best] = False
        told = self._ties.told(np.array([best]), self._everyone)[0][0] if self._all is None else self._all[best]
        self._sum += told
        better = self._open & (told > self._most)
        self.witness[better], self._most[better] = best, told[better]
        quotient = self._relevant / np.maximum(self._sum / len(self.order), self._floor)
        quotient = np.where(self._most >= COPY, np.minimum(quotient, 0.0), quotient)
        self.score[self._open] = quotient[self._open]

    def rest(self) -> Ints:
        """Columns that were not chosen, the most relevant first."""
        left = np.flatnonzero(self._open)
        return left[np.argsort(-self._relevant[left], kind="stable")]


def relevance(columns: Columns, target: Target, numbers: Numbers) -> Floats:
    """F of each column and the target, or what amounts to it.

    Args:
        columns: n rows.
        target: checked before.
        numbers: those of the columns, standardised.

    Returns:
        (p,) float64, not negative; NaN for a column with fewer than three known cells.
    """
    categories = thinned(columns.categories)
    values = standardised(np.asarray(target.values, dtype=np.float64)[:, None])
    if target.classes:
        code = np.asarray(target.values, dtype=np.int64)
        told = by_groups(numbers, code)
        tables = [crossed(column, code) for column in categories.T]
        strong = np.array([cramers_v(table) for table in tables]) ** 2
        rows = np.array([table.rows for table in tables], dtype=np.float64)
        levels = np.array([table.shape[1] for table in tables], dtype=np.float64)
    else:
        r = correlations(values, numbers)
        told = Linear(r.share[0] ** 2, r.rows[0], r.levels[0])
        eta = of_groups(values, categories)
        strong, rows, levels = epsilon_squared(eta), eta.rows, np.full(len(eta.rows), 2.0)
    above, below = np.maximum(told.levels - 1, 1), np.maximum(told.rows - told.levels, 0)
    plain = told.share / np.maximum(1 - told.share, _EXACT) * below / above
    free = np.maximum(rows - levels, 0) / np.maximum(levels - 1, 1)
    like = np.where(strong > 0, (1 + strong * free) / np.maximum(1 - strong, _EXACT), 0.0)
    known = np.concatenate([told.rows, rows]) >= FEWEST
    return np.where(known, np.concatenate([plain, like]), np.nan)
