"""Rank columns by leaving out, again and again, those that a linear model needs least."""

import numpy as np

from datadiet_cli.methods.selection.base import Columns, Floats, Ints, Ranking, Target, ranks
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.folding import subsample
from datadiet_cli.methods.selection.forest import instead
from datadiet_cli.methods.selection.linear import Aim, column_norms, ridge
from datadiet_cli.methods.selection.order import Ordered, ordered, unranked
from datadiet_cli.methods.selection.trees import Material

UNIT = "round"
STEP = 0.2
_CELL_SECONDS, _LOGISTIC_STEPS = 2.5e-9, 20
_FEWEST_ROWS = 500


def rfe(
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    workers: int = 1,
    budget: float = 120.0,
) -> Ranking:
    """Recursive feature elimination (Guyon et al., Machine Learning 46, 2002), by a logistic or linear ridge model.

    Each round leaves out the fifth of the columns with the smallest coefficients (norm over dimensions and classes),
    and stops at `keep` columns on its way to one.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: a number of columns that a round ends at.
        threshold: not used.
        seed: of the rows that are taken where all are too many.
        workers: threads, of `forest`.
        budget: seconds, by estimate; fewer rows are taken when all would take longer, and when 500 do, the ranking is
            that of `forest`.

    Returns:
        Scores are the rounds that a column stayed, and within a round how its coefficients compare to the largest.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    design = Design.fit(problem.columns)
    n, width = len(problem.rows), len(design.owner)
    afford = int(budget / _seconds(problem, width))
    if afford < min(n, _FEWEST_ROWS):
        note = f"rfe: {_FEWEST_ROWS} rows do not fit into {budget:g} s, so columns are ranked by method forest"
        return instead(problem, Material.of(problem), seed, workers, budget, note)
    rows = subsample(problem.target, afford, seed)
    notes = (f"rfe: {len(rows)} of {n} rows, to stay within {budget:g} s",) if len(rows) < n else ()
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        x = design.matrix(problem.columns.rows(rows))
        score = _eliminated(x, Aim.of(problem.target.rows(rows)), design.owner, problem.columns.count, keep)
    return problem.back(Ranking(score, ranks(score), UNIT, notes=notes))


def _seconds(problem: Ordered, width: int) -> float:
    """An estimate of what a row costs in all rounds, which together are five first ones."""
    if problem.target.classes:
        classes = len(np.unique(problem.target.values))
        return width * classes * _LOGISTIC_STEPS * 2 * _CELL_SECONDS / STEP
    return width * min(width, len(problem.rows)) * _CELL_SECONDS / STEP


def _eliminated(x: Floats, aim: Aim, owner: Ints, p: int, keep: int | None) -> Floats:
    score = np.zeros(p)
    inside = np.arange(p)
    played = 0
    while len(inside):
        dims = np.isin(owner, inside)
        some = x[:, dims]
        beta, _ = ridge(some - some.mean(axis=0), aim, 1 / len(x))
        norm = column_norms(beta, np.searchsorted(inside, owner[dims]), len(inside))
        score[inside] = played + norm / (2 * max(float(norm.max()), 1e-300))
        left = len(inside) - max(1, int(STEP * len(inside)))
        if keep is not None and left < keep < len(inside):
            left = keep
        order = np.argsort(-norm, kind="stable")
        inside = np.sort(inside[order[:left]])
        played += 1
    return score
