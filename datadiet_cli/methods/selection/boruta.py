"""Find all columns that say more of the target than the best of all shuffled columns."""

from collections import deque
from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.forest import by_column, instead
from datadiet_cli.methods.selection.order import Ordered, ordered, unranked
from datadiet_cli.methods.selection.trees import Material, grow, seconds

UNIT = "importance"
ROUNDS, FEWEST, TREES, DEPTH = 100, 15, 30, 10
ALPHA = 0.01
_FEWEST_SHADOWS = 5
_WARM, _MEMORY = 4, 10


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
    when its importance (decrease in impurity, of 30 trees no deeper than 10) is above that of all copies. Whose hits
    are more than by chance (binomial test at 1 %, times the number of columns: Bonferroni) is confirmed, whose are
    fewer is rejected and left out of the following rounds, with its copy. What is neither at the end is tentative.

    Unlike in the paper, importance counts from what a column's own copies have on average over the last 10 rounds: so
    a column of two values does not have to beat the noise that columns of many values make. 3 rounds go before to
    learn that.

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
        importance over what is noise, the mean over the rounds that a column was in.

    Raises:
        ValueError: there is no target, or it does not fit.
    """
    problem = ordered(columns, target)
    if problem.hopeless:
        return problem.back(unranked(problem, UNIT, problem.hopeless))
    material = Material.of(problem)
    if TREES * seconds(len(material.x), 2 * material.x.shape[1], DEPTH) * FEWEST > budget:
        note = f"boruta: fewer than {FEWEST} rounds fit into {budget:g} s, so columns are ranked by method forest"
        return instead(problem, material, seed, workers, budget, note)
    return problem.back(_judged(problem, _rounds(material, seed, workers, budget), budget))


class _Tally(NamedTuple):
    """How p columns fared.

    Attributes:
        hits: (p,) int64.
        total: (p,) float64, sum of importance over what noise has.
        rounds: (p,) int64, that each was in.
        confirmed: (p,) bool.
        rejected: (p,) bool.
        played: rounds in all.
        broke: whether the budget ended them.
    """

    hits: Ints
    total: Floats
    rounds: Ints
    confirmed: Bools
    rejected: Bools
    played: int
    broke: bool


def _rounds(material: Material, seed: int, workers: int, budget: float) -> _Tally:
    p = material.columns
    rng = np.random.default_rng([seed, p])
    hits, rounds, total = np.zeros(p, np.int64), np.zeros(p, np.int64), np.zeros(p)
    confirmed, rejected = np.zeros(p, np.bool_), np.zeros(p, np.bool_)
    noise: deque[Floats] = deque(maxlen=_MEMORY)
    spent, played = 0.0, 0
    while played < ROUNDS and not (confirmed | rejected).all():
        inside = np.flatnonzero(~rejected)
        some = material.only(inside)
        spent += TREES * seconds(len(some.x), 2 * some.x.shape[1], DEPTH)
        if spent > budget:
            break
        own, copies = _round(some, rng, workers)
        usual = np.zeros(p)
        usual[inside] = copies.mean(axis=0)
        noise.append(usual)
        if len(noise) < _WARM:
            continue
        played += 1
        level = np.mean(noise, axis=0)[inside]
        rounds[inside] += 1
        hits[inside] += own - level > (copies - level).max()
        total[inside] += own - level
        open_ = ~(confirmed | rejected)
        more, less = _tested(hits, played, p)
        confirmed |= open_ & more
        rejected |= open_ & less
    return _Tally(hits, total, rounds, confirmed, rejected, played, spent > budget)


def _round(some: Material, rng: np.random.Generator, workers: int) -> tuple[Floats, Floats]:
    """Importance of k columns, (k,), and of their shuffled copies, (copies, k)."""
    pair = some.with_shadows(rng)
    width, k = some.x.shape[1], some.columns
    # The best of few copies is easily beaten.
    for copy in range(2, -(-_FEWEST_SHADOWS // k) + 1):
        x = np.concatenate([pair.x, some.with_shadows(rng).x[:, width:]], axis=1)
        pair = Material(x, np.concatenate([pair.owner, some.owner + copy * k]), (copy + 1) * k, *some[3:])
    total = np.zeros(pair.columns)
    for own in grow(
        pair, rng.integers(1 << 62, size=TREES), lambda tree: tree.importance, depth=DEPTH, workers=workers
    ):
        total += by_column(own, pair)
    total /= TREES
    return total[:k], total[k:].reshape(-1, k)


def _tested(hits: Ints, played: int, p: int) -> tuple[Bools, Bools]:
    """Which hits are too many, and which too few, for a fair coin."""
    from scipy.stats import binom

    more = binom.sf(hits - 1, played, 0.5) * p < ALPHA
    less = binom.cdf(hits, played, 0.5) * p < ALPHA
    return more, less


def _judged(problem: Ordered, tally: _Tally, budget: float) -> Ranking:
    score = tally.total / np.maximum(tally.rounds, 1)
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
