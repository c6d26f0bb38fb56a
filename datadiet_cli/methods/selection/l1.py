"""Rank columns by the order in which a lasso takes them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.folding import folds_of, subsample
from datadiet_cli.methods.selection.lasso import Path
from datadiet_cli.methods.selection.linear import Aim
from datadiet_cli.methods.selection.order import ordered, unranked

UNIT = "entry"
PENALTIES, LOWEST, FOLDS, PATIENCE = 25, 0.01, 5, 3
_CELL_SECONDS, _STEPS = 2.5e-9, 120
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
    """Rank columns by when a lasso takes them in as its penalty falls; logistic for classes.

    The penalty is on the norm of all coefficients of a column (`lasso.Path`), so a column is in or out, however many
    dimensions and classes there are. It falls in 25 steps to a hundredth of where the first column comes in, and is
    chosen by 5-fold cross-validation: the largest whose loss is within a standard error of the least (Breiman et al.,
    "Classification and Regression Trees", 1984, section 3.4.3). What is in there is `chosen`, and ranks by entry, of
    one step by the norm. All others follow by how much they tell by themselves: the slope of the loss where no column
    is in. That puts columns that others make redundant before noise, which enters sooner.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: not used.
        threshold: not used.
        seed: of the folds.
        workers: threads.
        budget: seconds, by estimate; fewer rows are taken when all would take longer.

    Returns:
        Scores above 1 for chosen columns (2 for the first), at most 1 for the others.

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
        entry, chosen, alone = _entries(x, Aim.of(some), design.owner, problem.columns.count, fold, workers)
    score = np.where(chosen, entry, alone)
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, len(score) + 1)
    return problem.back(Ranking(score, rank, UNIT, chosen=chosen, notes=tuple(notes)))


def _entries(x: Floats, aim: Aim, owner: Ints, p: int, fold: Ints, workers: int) -> tuple[Floats, Bools, Floats]:
    """Of each column: 1 to 2 for how soon it enters, whether it is chosen, and 0 to 1 for what it tells alone."""
    whole = Path.of(x, aim, owner, p)
    alone = whole.slopes()
    if alone.max(initial=0.0) <= 0:
        return np.zeros(p), np.zeros(p, dtype=np.bool_), np.zeros(p)
    alone = alone / alone.max()
    penalties = whole.highest() * np.geomspace(1, LOWEST, PENALTIES + 1)[1:]
    last = _chosen(x, aim, owner, p, fold, penalties, workers)
    entered = np.full(p, PENALTIES)
    size = np.zeros(p)
    for step, penalty in enumerate(penalties[: last + 1]):
        whole.down_to(penalty)
        norms = whole.norms()
        new = (norms > 0) & (entered == PENALTIES)
        entered[new] = step
        size[new] = norms[new] / (2 * norms.max())
    chosen = whole.norms() > 0
    return 2 - (entered + 0.5 - size) / PENALTIES, chosen, alone


def _chosen(x: Floats, aim: Aim, owner: Ints, p: int, fold: Ints, penalties: Floats, workers: int) -> int:
    """Which penalty cross-validation chooses. It goes on until the loss has grown a few times, in all folds at once."""
    inner = [np.flatnonzero(fold != f) for f in range(int(fold.max()) + 1)]
    outer = [np.flatnonzero(fold == f) for f in range(len(inner))]
    paths = [Path.of(x[rows], aim.rows(rows), owner, p) for rows in inner]
    losses: list[list[float]] = []

    def go(f: int, penalty: float) -> float:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            if penalty < paths[f].before:
                paths[f].down_to(penalty)
            score = paths[f].score(x[outer[f]])
            return aim.rows(outer[f]).loss(score)

    with ThreadPoolExecutor(max(1, min(workers, len(paths)))) as threads:
        for penalty in penalties:
            losses.append(list(threads.map(go, range(len(paths)), [penalty] * len(paths))))
            means = np.mean(losses, axis=1)
            if len(means) - 1 - int(means.argmin()) >= PATIENCE:
                break
    best = int(means.argmin())
    error = float(np.std(losses[best], ddof=1) / np.sqrt(len(paths)))
    return int(np.argmax(means <= means[best] + error))
