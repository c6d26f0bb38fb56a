"""Rank columns by what they are to a lasso along its path."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.folding import folds_of, subsample
from datadiet_cli.methods.selection.lasso import Path
from datadiet_cli.methods.selection.linear import Aim
from datadiet_cli.methods.selection.order import ordered, unranked

UNIT = "share of the coefficients"
PENALTIES, LOWEST, FOLDS, PATIENCE = 20, 0.03, 5, 3
_CELL_SECONDS, _STEPS = 2.5e-9, 6
_FEWEST_ROWS = 500


def l1(
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    workers: int = 1,
    budget: float = 120.0,
) -> Ranking:
    """Rank columns by their part in a lasso, logistic for classes, while its penalty falls.

    The penalty is on the norm of all coefficients of a column (`lasso.Path`), so a column is in or out, however many
    dimensions and classes there are. It falls in up to 20 steps, to 3 % of where the first column comes in at most, and
    ends where 5-fold cross-validation says: at the largest penalty whose loss is within a standard error of the least
    (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3). What is in there is `chosen`.

    A column's score is its share of the norms of all columns, on average over the path: it is large for one that comes
    in early and stays large. Columns that never come in score 0, and rank by the slope of the loss where no column is
    in, which is what each tells by itself: that puts what others make redundant before noise.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: not used.
        threshold: not used.
        seed: of the folds.
        workers: threads.
        budget: seconds, by estimate; fewer rows are taken when all would take longer.

    Returns:
        Scores that add up to 1.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        design = Design.fit(problem.columns)
        aim = Aim.of(problem.target)
        each = len(design.owner) * aim.y.shape[1] * PENALTIES * _STEPS * (FOLDS + 1) * _CELL_SECONDS
        rows = subsample(problem.target, max(_FEWEST_ROWS, int(budget / max(each, 1e-12))), seed)
        notes = []
        if len(rows) < len(problem.rows):
            notes.append(f"l1: {len(rows)} of {len(problem.rows)} rows, to stay within {budget:g} s")
        x = design.matrix(problem.columns.rows(rows))
        some = problem.target.rows(rows)
        fold = folds_of(some, FOLDS, seed)
        score, chosen, alone = _along(x, Aim.of(some), design.owner, problem.columns.count, fold, workers)
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.lexsort((-alone, -score))] = np.arange(1, len(score) + 1)
    return problem.back(Ranking(score, rank, UNIT, chosen=chosen, notes=tuple(notes)))


def _along(x: Floats, aim: Aim, owner: Ints, p: int, fold: Ints, workers: int) -> tuple[Floats, Bools, Floats]:
    """Of each column: its share along the path, whether it is chosen, and what it tells alone."""
    whole = Path.of(x, aim, owner, p)
    alone = whole.slopes()
    score = np.zeros(p)
    if whole.highest() <= 0:
        return score, np.zeros(p, dtype=np.bool_), alone
    penalties = whole.highest() * np.geomspace(1, LOWEST, PENALTIES + 1)[1:]
    choice = _chosen(x, aim, owner, p, fold, penalties, workers)
    for penalty in penalties[: choice + 1]:
        whole.down_to(penalty)
        norms = whole.norms()
        score += norms / max(float(norms.sum()), 1e-300) / (choice + 1)
    return score, whole.norms() > 0, alone


def _chosen(x: Floats, aim: Aim, owner: Ints, p: int, fold: Ints, penalties: Floats, workers: int) -> int:
    """Which penalty cross-validation chooses. It goes on until the loss has grown a few times, in all folds at once."""
    inner = [np.flatnonzero(fold != f) for f in range(int(fold.max()) + 1)]
    outer = [np.flatnonzero(fold == f) for f in range(len(inner))]
    paths = [Path.of(x[rows], aim.rows(rows), owner, p) for rows in inner]
    losses: list[list[float]] = []

    def go(f: int, penalty: float) -> float:
        if penalty < paths[f].before:
            paths[f].down_to(penalty)
        return aim.rows(outer[f]).loss(paths[f].score(x[outer[f]]))

    with ThreadPoolExecutor(max(1, min(workers, len(paths)))) as threads:
        for penalty in penalties:
            losses.append(list(threads.map(go, range(len(paths)), [penalty] * len(paths))))
            means = np.mean(losses, axis=1)
            if len(means) - 1 - int(means.argmin()) >= PATIENCE:
                break
    best = int(means.argmin())
    error = float(np.std(losses[best], ddof=1) / np.sqrt(len(paths)))
    return int(np.argmax(means <= means[best] + error))
