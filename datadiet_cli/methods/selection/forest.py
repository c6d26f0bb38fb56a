"""Rank columns by what they add to a forest, over what their shuffled copies add."""

from dataclasses import replace

import numpy as np

from datadiet_cli.methods.selection.base import Columns, Floats, Ranking, Target, ranks
from datadiet_cli.methods.selection.order import Ordered, ordered, unranked
from datadiet_cli.methods.selection.trees import Material, grow, seconds

UNIT = "importance"
TREES, SHUFFLES, FEWEST = 100, 10, 20


def forest(
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    workers: int = 1,
    budget: float = 120.0,
) -> Ranking:
    """Rank columns by their decrease in impurity in a forest (Breiman, 2001), less that of a shuffled copy.

    A column with many different values decreases impurity though it says nothing of the target. So does its shuffled
    copy, and the difference has no such bias (Sandri and Zuccolotto, "A bias correction algorithm for the Gini
    variable importance measure in classification trees", JCGS 17(3), 2008). 100 trees; copies are shuffled anew for
    every 10 of them.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: not used.
        threshold: not used.
        seed: of what is drawn.
        workers: threads.
        budget: seconds, by estimate; there are fewer trees, but not below 20, when all would take longer.

    Returns:
        Scores about 0 for columns that say nothing; all of them add up to at most 1.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    return problem.back(ranked(problem, Material.of(problem), seed, workers, budget))


def ranked(problem: Ordered, material: Material, seed: int, workers: int, budget: float) -> Ranking:
    """The ranking of a problem in canonical order."""
    p = problem.columns.count
    afford = int(budget / seconds(len(material.x), 2 * material.x.shape[1]))
    trees = max(FEWEST, min(TREES, afford))
    rng = np.random.default_rng([seed, p])
    total = np.zeros(2 * p)
    for part in np.array_split(rng.integers(1 << 62, size=trees), SHUFFLES):
        pair = material.with_shadows(rng)
        for own in grow(pair, part, lambda tree: tree.importance, workers=workers):
            total += by_column(own, pair)
    score = (total[:p] - total[p:]) / trees
    notes = (f"forest: {trees} instead of {TREES} trees, to stay within {budget:g} s",) if trees < TREES else ()
    return Ranking(score, ranks(score), UNIT, notes=notes)


def instead(problem: Ordered, material: Material, seed: int, workers: int, budget: float, why: str) -> Ranking:
    """The ranking of `forest` where another method is too dear, with a note that says so."""
    found = ranked(problem, material, seed, workers, budget)
    return problem.back(replace(found, notes=(why, *found.notes)))


def by_column(importance: Floats, material: Material) -> Floats:
    """(p,) the sum over the dimensions of each column."""
    return np.bincount(material.owner, importance, material.columns).astype(np.float64)
