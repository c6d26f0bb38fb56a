"""Rules that choose samples by their scores: the best, all strata, spread over a graph, or by a draw with weights.

Draws are dealt out in the order of the scores, not of the samples, so that where scores differ the order of samples
changes nothing.
"""

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush

import numpy as np

from datadiet_cli.methods.samples.base import Bools, Chosen, Floats, Graph, Ints, Pool

_HUGE = 1e280
_FORWARD = 1.0
_LEAST = 1e-3
_EDGE = 1e-3
_FLEXIBLE = 15.0
_BEND = 4
_TOP = 10
_WIDE = 4.0


def top_k(pool: Pool) -> Chosen:
    """Those with the highest scores.

    Args:
        pool: n samples.

    Returns:
        `Chosen.threshold` is the score of the last one kept.

    Raises:
        ValueError: scores are not finite numbers, or more are to be kept than there are.
    """
    rng = _checked(pool)
    kept = _first(pool.keep, -pool.score, _drawn(pool.score, rng))
    least = float(pool.score[kept].min()) if pool.keep else np.nan
    return Chosen(kept, _none(pool), np.full(len(pool), least))


def ccs(pool: Pool) -> Chosen:
    """Some of every stratum (Zheng et al., "Coverage-centric coreset selection", ICLR 2023, algorithm 1).

    The range of the scores is cut into strata of equal width. Beginning with the smallest, each gets an equal part of
    what is left of the budget, or all its samples go in where it has fewer; within a stratum samples are drawn. That
    the hardest are cut before is the caller's part.

    Args:
        pool: n samples; `Pool.strata` is used.

    Returns:
        `Chosen.stratum` is from 0 to `Pool.strata` - 1; some may have no samples. With all scores equal it is 0.

    Raises:
        ValueError: as for `top_k`, or there are no strata.
    """
    rng = _checked(pool)
    if pool.strata < 1:
        raise ValueError(f"ccs draws from one stratum or more, not from {pool.strata}")
    stratum = _strata(pool.score, pool.strata)
    quota = _even(np.bincount(stratum, minlength=pool.strata), pool.keep, rng)
    order = np.lexsort((_drawn(pool.score, rng), stratum))
    sizes = np.bincount(stratum, minlength=pool.strata)
    turn = np.arange(len(pool)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.zeros(len(pool), dtype=bool)
    kept[order[turn < quota[stratum[order]]]] = True
    return Chosen(kept, stratum, np.full(len(pool), np.nan))


def d2(pool: Pool) -> Chosen:
    """High scores spread over a graph (Maharana et al., "D2 pruning", ICLR 2024, section 3).

    Forward message passing: the weight of a sample is its score, from 0 to 1 and 0.001 more, plus exp(-d) of that of
    each neighbour at distance d. Then the sample of the largest weight w is chosen again and again, and each time the
    weights of its neighbours fall by exp(-gamma d) w. Below 0 that would raise them, so nothing falls there.

    d is the square of the distance in units of four median lengths of the graph's edges, those of length 0 left aside:
    gamma then means the same for features of any scale, and a typical neighbour counts for exp(-1/16), as it does among
    features of unit length. In a narrower kernel a single wrong label stands out from the neighbours that refute it.
    Edges are directed, from a sample to its neighbours.

    Args:
        pool: n samples; `Pool.graph` and `Pool.gamma` are used.

    Raises:
        ValueError: as for `top_k`, there is no graph, it is not one of these samples, or gamma is below 0.
    """
    rng = _checked(pool)
    graph = _graph(pool)
    if not 0 <= pool.gamma < np.inf:
        raise ValueError(f"gamma of d2 is a number from 0 on, not {pool.gamma:g}")
    kept = np.zeros(len(pool), dtype=bool)
    if pool.keep and len(pool):
        draw = _drawn(pool.score, rng)
        unit = _width(graph)
        weight = _forward(_scaled(pool.score) + _LEAST, graph, unit)
        kept[_lowering(weight, draw, pool, graph, unit)] = True
    return Chosen(kept, _none(pool), np.full(len(pool), np.nan))


def dual_beta(pool: Pool) -> Chosen:
    """A draw in proportion to score and easiness (Cho et al., "Lightweight dataset pruning", ICML 2025, section 4).

    A sample weighs its score times the density of Beta(16 - b, b) at its easiness, with b = 15 (1 - m) (1 - r^4), m the
    mean easiness of the ten highest scores and r the pruned share: the more goes, the easier are those that stay.
    Scores that go below 0 are counted from the lowest on. Easiness is held 0.001 off 0 and 1, where the density has no
    finite value. Samples are drawn without replacement (Efraimidis & Spirakis, "Weighted random sampling with a
    reservoir", Information Processing Letters 97, 2006), in logarithms, so that no weight is too small to count; those
    of score 0 come last.

    Args:
        pool: n samples; `Pool.easiness` and `Pool.pruned` are used.

    Raises:
        ValueError: as for `top_k`, there is no easiness, or it or the pruned share is not from 0 to 1.
    """
    rng = _checked(pool)
    easiness = pool.easiness
    if easiness is None:
        raise ValueError("dual-beta needs the mean probability of each sample's own label in training")
    if easiness.shape != pool.score.shape or not ((easiness >= 0) & (easiness <= 1)).all():
        raise ValueError("the easiness that dual-beta takes is a number from 0 to 1 for each sample")
    if not 0 <= pool.pruned <= 1:
        raise ValueError(f"the pruned share is from 0 to 1, not {pool.pruned:g}")
    draw = _drawn(pool.score, rng)
    late = -np.log(np.maximum(draw, 2.0**-54))
    top = _first(min(_TOP, len(pool)), -pool.score, draw)
    mean = float(easiness[top].mean()) if len(pool) else 0.5
    b = _FLEXIBLE * (1 - mean) * (1 - pool.pruned**_BEND)
    inside = np.clip(easiness, _EDGE, 1 - _EDGE)
    density = (_FLEXIBLE - b) * np.log(inside) + (b - 1) * np.log1p(-inside)
    low, _, worth = _range(pool.score)
    worth = worth - min(low, 0.0)
    some = worth > 0
    key = np.full(len(pool), np.inf)
    key[some] = np.log(late[some]) - density[some] - np.log(worth[some])
    return Chosen(_first(pool.keep, key, late), _none(pool), np.full(len(pool), np.nan))


RULES: dict[str, Callable[[Pool], Chosen]] = {"top-k": top_k, "ccs": ccs, "d2": d2, "dual-beta": dual_beta}
"""Name of a rule -> what chooses by it."""


def _checked(pool: Pool) -> np.random.Generator:
    if pool.score.ndim != 1 or not np.isfinite(pool.score).all():
        raise ValueError("each sample must have one score, a finite number")
    if not 0 <= pool.keep <= len(pool):
        raise ValueError(f"there are {len(pool):,} samples to choose from, so {pool.keep:,} cannot be kept")
    return np.random.default_rng(pool.seed & 0xFFFFFFFFFFFFFFFF)


def _none(pool: Pool) -> Ints:
    return np.full(len(pool), -1, dtype=np.int64)


def _drawn(score: Floats, rng: np.random.Generator) -> Floats:
    """A number in [0, 1) for each sample, dealt out by rank of score; equal scores are ranked by a draw."""
    drawn = np.empty(len(score))
    drawn[np.lexsort((rng.random(len(score)), score))] = rng.random(len(score))
    return drawn


def _first(m: int, key: Floats, draw: Floats) -> Bools:
    """The m of the smallest keys, ties by draw."""
    kept = np.zeros(len(key), dtype=bool)
    kept[np.lexsort((draw, key))[:m]] = True
    return kept


def _strata(score: Floats, parts: int) -> Ints:
    """Number of each score's part of the range."""
    low, span, score = _range(score)
    if not span > 0:
        return np.zeros(len(score), dtype=np.int64)
    # Multiplied first: a score on the border of two parts, such as 3 of 0 to 10, is then on the right side of it.
    return np.minimum((score - low) * parts / span, parts - 1).astype(np.int64)


def _scaled(score: Floats) -> Floats:
    """From 0 to 1; all 0 if they are equal."""
    low, span, score = _range(score)
    return (score - low) / span if span > 0 else np.zeros(len(score))


def _range(score: Floats) -> tuple[float, float, Floats]:
    """Lowest, length of the range, and the scores, made smaller by a power of two where that would overflow."""
    if np.abs(score).max(initial=0) > _HUGE:
        score = score * 2.0**-100
    low = float(score.min()) if len(score) else 0.0
    return low, float(score.max()) - low if len(score) else 0.0, score


def _even(sizes: Ints, keep: int, rng: np.random.Generator) -> Ints:
    """Spread a budget over strata, the smallest first; ties as drawn, so that few samples are not all of one end."""
    quota = np.zeros(len(sizes), dtype=np.int64)
    filled = np.flatnonzero(sizes)
    left = keep
    for turn, place in enumerate(filled[np.lexsort((rng.random(len(filled)), sizes[filled]))].tolist()):
        quota[place] = min(int(sizes[place]), left // (len(filled) - turn))
        left -= int(quota[place])
    return quota


def _graph(pool: Pool) -> Graph:
    graph = pool.graph
    if graph is None:
        raise ValueError("d2 needs the nearest others of each sample")
    if graph.neighbour.ndim != 2 or len(graph.neighbour) != len(pool) or graph.distance.shape != graph.neighbour.shape:
        raise ValueError(f"the graph of d2 must have a row for each of the {len(pool):,} samples")
    there = graph.neighbour >= 0
    if int(graph.neighbour.max(initial=-1)) >= len(pool) or not np.isfinite(graph.distance[there]).all():
        raise ValueError("the neighbours in the graph of d2 must be samples at a finite distance")
    return graph


def _width(graph: Graph) -> float:
    """What distances are measured in: some median lengths of the edges, without those of length 0."""
    lengths = graph.distance[(graph.neighbour >= 0) & (graph.distance > 0)]
    return _WIDE * float(np.median(lengths)) if len(lengths) else 1.0


def _forward(score: Floats, graph: Graph, unit: float) -> Floats:
    """Add to each score those of its neighbours, the less the farther; column by column, to take little memory."""
    weight = score.copy()
    for column in range(graph.neighbour.shape[1]):
        rows = np.flatnonzero(graph.neighbour[:, column] >= 0)
        away = graph.distance[rows, column].astype(np.float64) / unit
        weight[rows] += np.exp(-_FORWARD * away * away) * score[graph.neighbour[rows, column]]
    return weight


def _lowering(weight: Floats, draw: Floats, pool: Pool, graph: Graph, unit: float) -> list[int]:
    """Choose the heaviest again and again, lowering its neighbours each time.

    A heap holds each weight as it was when it was put in. Weights only fall, so what comes out first is the heaviest
    if it is up to date; if not, it goes in again as it is now.
    """
    now = weight.tolist()
    ties = np.argsort(np.argsort(draw, kind="stable"), kind="stable").tolist()
    heap = [(-value, tie, row) for row, (value, tie) in enumerate(zip(now, ties, strict=True))]
    heapify(heap)
    taken = np.zeros(len(now), dtype=bool).tolist()
    chosen: list[int] = []
    while len(chosen) < pool.keep:
        value, tie, row = heappop(heap)
        if -value != now[row]:
            heappush(heap, (-now[row], tie, row))
            continue
        chosen.append(row)
        taken[row] = True
        own = now[row]
        if own <= 0:
            continue
        for other, away in zip(graph.neighbour[row].tolist(), graph.distance[row].tolist(), strict=True):
            if other >= 0 and not taken[other]:
                far = away / unit
                now[other] -= math.exp(-pool.gamma * far * far) * own
    return chosen
