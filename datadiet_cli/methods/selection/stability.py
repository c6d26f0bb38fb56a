"""How often a method keeps each column when it sees half of the rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.folding import folds_of
from datadiet_cli.methods.selection.order import ordered

OFTEN = 0.6
"""Share of the halves from which on a column is chosen, of methods with a rule of their own."""


def stable(
    rank: Callable[..., Ranking],
    columns: Columns,
    target: Target | None,
    *,
    keep: int | None,
    bootstraps: int,
    seed: int = 0,
    workers: int = 1,
    **options: Any,
) -> Ranking:
    """Stability selection: Meinshausen and Buehlmann, "Stability selection", JRSS B 72(4), 2010.

    The method is asked again and again about one half of the rows, drawn anew, with the same share of every class.
    Columns rank by the share of the halves in which they were kept, equal ones by their mean score.

    Args:
        rank: a method of `FILTERS` or `WRAPPERS`.
        columns: n rows.
        target: what they shall predict; None for methods that need none.
        keep: how many columns a half keeps, its first; None for those that the method chooses by a rule of its own.
        bootstraps: how many halves, at least 1.
        seed: of the halves, and of what the method draws.
        workers: threads; one for each half.
        options: of the method. Of a `budget` each half gets its share.

    Returns:
        A ranking with `frequency`. If the method has a rule of its own, the columns are chosen that were so in 60 %
        of the halves: the least share that the paper advises.

    Raises:
        ValueError: there are no halves; or neither `keep` is given nor has the method a rule of its own; or the method
            refuses the data.
    """
    if bootstraps < 1:
        raise ValueError(f"{bootstraps} bootstraps: at least 1 is needed")
    if keep is not None and keep < 1:
        raise ValueError(f"{keep} columns to keep: at least 1 is needed")
    known = Target(np.zeros(len(columns), dtype=np.int64), 1) if target is None else target
    problem = ordered(columns, known)
    if "budget" in options:
        options["budget"] = options["budget"] / bootstraps

    def half(number: int) -> Ranking:
        rows = _half(problem.target, [seed, number])
        some = None if target is None else problem.target.rows(rows)
        return rank(problem.columns.rows(rows), some, keep=keep, seed=seed + number, workers=1, **options)

    from threadpoolctl import threadpool_limits

    # Set once for all: methods that set it in several threads would put it back in the order they end.
    with threadpool_limits(1), ThreadPoolExecutor(max(1, min(workers, bootstraps))) as threads:
        found = list(threads.map(half, range(bootstraps)))
    frequency = np.mean([_kept(ranking, keep) for ranking in found], axis=0)
    score = _mean([ranking.score for ranking in found])
    order = np.lexsort((-np.where(np.isnan(score), -np.inf, score), -frequency))
    rank_ = np.empty(len(order), dtype=np.int64)
    rank_[order] = np.arange(1, len(order) + 1)
    chosen = None if any(ranking.chosen is None for ranking in found) else _often(found)
    notes = tuple(dict.fromkeys(note for ranking in found for note in ranking.notes))
    return problem.back(Ranking(score, rank_, found[0].unit, chosen=chosen, frequency=frequency, notes=notes))


def _half(target: Target, seed: list[int]) -> Ints:
    """Half of the rows, ascending, of every class about half; the only row, if there is one."""
    drawn = int(np.random.default_rng(seed).integers(1 << 31))
    if len(target.values) < 2:
        return np.arange(len(target.values))
    return np.flatnonzero(folds_of(target, 2, drawn) == 0)


def _kept(ranking: Ranking, keep: int | None) -> Bools:
    if keep is not None:
        return ranking.rank <= keep
    if ranking.chosen is None:
        raise ValueError("a method without a rule of its own has to be told how many columns to keep")
    return ranking.chosen


def _often(found: list[Ranking]) -> Bools:
    share: Floats = np.mean([_kept(ranking, None) for ranking in found], axis=0)
    return np.asarray(share >= OFTEN)


def _mean(scores: list[Floats]) -> Floats:
    """Mean over the halves that have a score; NaN where none has."""
    table = np.array(scores)
    seen = ~np.isnan(table)
    count = seen.sum(axis=0)
    total = np.where(seen, table, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
