"""Find all columns that say more of the target than the best of all shuffled columns."""

from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.forest import by_column, ranked
from datadiet_cli.methods.selection.order import Ordered, ordered, unranked
from datadiet_cli.methods.selection.trees import Material, grow, seconds

UNIT = "importance over the best shuffled column's"
ROUNDS, FEWEST, TREES, DEPTH = 100, 15, 40, 10
ALPHA = 0.01
_FEWEST_SHADOWS = 5


def boruta(
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    workers: int = 1,
    budget: float = 120.0,
) -> Ranking:
    """Boruta: Kursa and Rudnicki, "Feature selection with the Boruta package", Journal of Statistical Software, 2010.

    In each of up to 100 rounds a forest learns from the columns and a shuffled copy of each. A column scores a hit
    when its importance (decrease in impurity, of 40 trees no deeper than 10) is above that of all copies. Whose hits
    are more than by chance (binomial test at 1 %, times the number of columns: Bonferroni) is confirmed, whose are
    fewer is rejected and left out of the following rounds, with its copy. What is neither at the end is tentative.

    Args:
        columns: n rows.
        target: what they shall predict.
        keep: not used.
        threshold: not used.
        seed: of what is drawn.
        workers: threads.
        budget: seconds, by estimate of every round; the rounds end there. Where fewer than 15 rounds of all columns
            are within it, the ranking is that of `forest`.

    Returns:
        `chosen` are the confirmed columns. They rank first, then come the tentative and the rejected ones, by score:
        the mean over the rounds that a column was in of its importance divided by that of the best copy.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    material = Material.of(problem)
    if TREES * seconds(len(material.x), 2 * material.x.shape[1], DEPTH) * FEWEST > budget:
        note = f"boruta: fewer than {FEWEST} rounds fit into {budget:g} s, so columns are ranked by method forest"
        fallback = ranked(problem, material, seed, workers, budget)
        return problem.back(Ranking(fallback.score, fallback.rank, fallback.unit, notes=(note, *fallback.notes)))
    return problem.back(_judged(problem, _rounds(material, seed, workers, budget), budget))


class _Tally(NamedTuple):
    """How p columns fared: hits, rounds that each was in, sum of its importance over the best copy's; what is decided.

    Attributes:
        hits: (p,) int64.
        ratio: (p,) float64.
        rounds: (p,) int64.
        confirmed: (p,) bool.
        rejected: (p,) bool.
        played: rounds in all.
        broke: whether the budget ended them.
    """

    hits: Ints
    ratio: Floats
    rounds: Ints
    confirmed: Bools
    rejected: Bools
    played: int
    broke: bool


def _rounds(material: Material, seed: int, workers: int, budget: float) -> _Tally:
    p = material.columns
    rng = np.random.default_rng([seed, p])
    hits, rounds, ratio = np.zeros(p, np.int64), np.zeros(p, np.int64), np.zeros(p)
    confirmed, rejected = np.zeros(p, np.bool_), np.zeros(p, np.bool_)
    spent, played = 0.0, 0
    while played < ROUNDS and not (confirmed | rejected).all():
        inside = np.flatnonzero(~rejected)
        some = material.only(inside)
        spent += TREES * seconds(len(some.x), 2 * some.x.shape[1], DEPTH)
        if spent > budget:
            break
        own, best = _round(some, material, rng, workers)
        played += 1
        rounds[inside] += 1
        hits[inside] += own > best
        ratio[inside] += np.minimum(own / best, 1e6) if best > 0 else np.where(own > 0, 1e6, 0.0)
        open_ = ~(confirmed | rejected)
        more, less = _tested(hits, played, p)
        confirmed |= open_ & more
        rejected |= open_ & less
    return _Tally(hits, ratio, rounds, confirmed, rejected, played, spent > budget)


def _round(some: Material, material: Material, rng: np.random.Generator, workers: int) -> tuple[Floats, float]:
    """Importance of each column, and the best one of a shuffled copy."""
    pair = some.with_shadows(rng)
    if some.columns < _FEWEST_SHADOWS:
        # The best of two copies is easily beaten.
        more = some.with_shadows(rng)
        x, owner = [pair.x], [pair.owner]
        for extra in range(-(-_FEWEST_SHADOWS // some.columns) - 1):
            x.append((more if extra == 0 else some.with_shadows(rng)).x[:, some.x.shape[1] :])
            owner.append(some.owner + (2 + extra) * some.columns)
        count = (1 + len(x)) * some.columns
        pair = Material(np.concatenate(x, axis=1), np.concatenate(owner), count, material.values, material.classes)
    total = np.zeros(pair.columns)
    for own in grow(
        pair, rng.integers(1 << 62, size=TREES), lambda tree: tree.importance, depth=DEPTH, workers=workers
    ):
        total += by_column(own, pair)
    return total[: some.columns], float(total[some.columns :].max())


def _tested(hits: Ints, played: int, p: int) -> tuple[Bools, Bools]:
    """Which hits are too many, and which too few, for a fair coin."""
    from scipy.stats import binom

    more = binom.sf(hits - 1, played, 0.5) * p < ALPHA
    less = binom.cdf(hits, played, 0.5) * p < ALPHA
    return more, less


def _judged(problem: Ordered, tally: _Tally, budget: float) -> Ranking:
    score = tally.ratio / np.maximum(tally.rounds, 1)
    level = np.where(tally.confirmed, 0, np.where(tally.rejected, 2, 1))
    # Of those that were rejected the last one was the closest.
    stayed = np.where(tally.rejected, -tally.rounds, 0)
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.lexsort((-score, stayed, level))] = np.arange(1, len(score) + 1)
    notes = []
    if tally.broke:
        notes.append(f"boruta: {tally.played} instead of {ROUNDS} rounds, to stay within {budget:g} s")
    tentative = int((level == 1).sum())
    if tentative:
        notes.append(f"boruta: {tentative} of {len(score)} columns are tentative after {tally.played} rounds")
    return Ranking(score, rank, UNIT, chosen=tally.confirmed, notes=tuple(notes))
