"""Rank columns by what trees lose of rows they have not seen when a column is shuffled."""

import numpy as np

from datadiet_cli.methods.selection.base import Columns, Floats, Ints, Ranking, Target, ranks
from datadiet_cli.methods.selection.forest import instead
from datadiet_cli.methods.selection.order import ordered, unranked
from datadiet_cli.methods.selection.trees import Material, Singles, Tree, grow, seconds

UNIT = "loss"
TREES, FEWEST, DEEPEST = 200, 20, 20
_MOST_HELD_OUT = 2000
_VISIT_SECONDS = 1e-7


def permutation(
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    workers: int = 1,
    budget: float = 120.0,
) -> Ranking:
    """Rank columns by what 200 trees lose when their cells are shuffled (Breiman, "Random forests", 2001, section 10).

    Each tree is asked for the rows that it did not draw, at most 2,000, so that nothing counts that is learned by
    heart. What is lost is probability of the true class, or share of the variance explained. Only columns that a tree
    splits by have to be shuffled for it.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: not used.
        threshold: not used.
        seed: of what is drawn.
        workers: threads.
        budget: seconds, by estimate; there are fewer trees when all would take longer, and when not even 20 are
            possible the ranking is that of `forest`.

    Returns:
        Scores about 0 for columns that say nothing.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    material = Material.of(problem)
    n, width = material.x.shape
    # A tree splits by no more columns than it has splits.
    used = min(material.columns, n // 4 + 1)
    each = seconds(n, width, DEEPEST) + used * min(n * 0.37 + 1, _MOST_HELD_OUT) * _VISIT_SECONDS
    trees = min(TREES, int(budget / each))
    if trees < FEWEST:
        note = f"permutation: fewer than {FEWEST} trees fit into {budget:g} s, so columns are ranked by method forest"
        return instead(problem, material, seed, workers, budget, note)
    notes = (f"permutation: {trees} instead of {TREES} trees, to stay within {budget:g} s",) if trees < TREES else ()
    rng = np.random.default_rng([seed, material.columns])
    seeds = rng.integers(1 << 62, size=trees)
    total = np.zeros(material.columns)
    for loss in grow(material, seeds, lambda tree: _losses(tree, material), depth=DEEPEST, workers=workers):
        total += loss
    return problem.back(Ranking(total / trees, ranks(total), UNIT, notes=notes))


def _losses(tree: Tree, material: Material) -> Floats:
    """(p,) what a tree loses by each column."""
    out = np.zeros(material.columns)
    rng = np.random.default_rng(tree.seed)
    rows = np.flatnonzero(tree.weight == 0)
    if len(rows) > _MOST_HELD_OUT:
        rows = np.sort(rng.choice(rows, _MOST_HELD_OUT, replace=False))
    if len(rows) < 2:
        return out
    x, values = material.x[rows], material.values[rows]
    before = _merit(tree, x, values, material.classes)
    for column in np.unique(material.owner[np.unique(tree.inner.feature[tree.inner.feature >= 0])]):
        own = np.flatnonzero(material.owner == column)
        cells = x[:, own]
        x[:, own] = cells[rng.permutation(len(rows))]
        out[column] = before - _merit(tree, x, values, material.classes)
        x[:, own] = cells
    return out


def _merit(tree: Tree, x: Singles, values: Ints | Floats, classes: bool) -> float:
    """What a tree is worth on some rows: mean probability of their classes, or less squared error."""
    predicted = tree.inner.predict(x)
    if classes:
        return float(np.take_along_axis(predicted, values.astype(np.int64)[:, None], axis=1).mean())
    return -float(((predicted[:, 0] - values) ** 2).mean())
