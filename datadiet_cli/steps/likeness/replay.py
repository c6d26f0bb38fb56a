"""Copies told from the comparisons of an earlier run, without a look at any sample."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints
from datadiet_cli.outcome import FOREIGN, Comparisons, Outcome
from datadiet_cli.steps.likeness.base import Likeness, Measured
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.record import YES


def replayed(pool: Pool, settings: Dedup, outcome: Outcome) -> Likeness:
    """Decide by the settings' threshold on what an earlier run measured.

    Raises:
        ConfigError: the threshold is wider than the comparisons reach.
    """
    past = outcome.comparisons
    assert past is not None  # noqa: S101 - a replay starts from comparisons
    threshold, floor = _limits(settings, past)
    a, b = (_positions(pool, codes, outcome.foreign) for codes in (past.sample, past.other))
    n = len(pool)
    key = np.minimum(a, b) * n + np.maximum(a, b)
    order = np.argsort(key)
    key = key[order]
    rank = np.arange(n, dtype=np.int64) + int(max(past.sample_rank.max(initial=0), past.other_rank.max(initial=0)))
    rank[a], rank[b] = past.sample_rank, past.other_rank
    involved = np.unique(np.concatenate([a, b]), return_index=True)[0]
    node = np.full(n, ALONE, dtype=np.int64)
    node[involved] = np.arange(len(involved))
    edges = np.stack([node[np.minimum(a, b)], node[np.maximum(a, b)]], axis=1)

    def find(x: Ints, y: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        wanted = np.minimum(x, y) * n + np.maximum(x, y)
        place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        return order[place], key[place] == wanted

    def measure(x: Ints, y: Ints) -> Measured:
        place, there = find(x, y)
        measured = Measured.of(np.where(there, past.distance[place], np.nan))
        measured.agreement[:] = past.agreement[place]
        return measured

    def confirm(x: Ints, y: Ints) -> NDArray[np.bool_]:
        # A pair that nobody looked at closely is left alone: to keep too much does no harm.
        place, there = find(x, y)
        looked: NDArray[np.bool_] = past.confirmed[place] == YES
        return there & looked

    causes = np.full(n, None, dtype=object)
    unreadable = outcome.verdicts.reason == "unreadable"
    causes[_positions(pool, outcome.verdicts.sample[unreadable], ())] = outcome.verdicts.detail[unreadable]
    return Likeness(
        Candidates(node, edges),
        measure,
        threshold,
        [rank],
        causes,
        reach=past.reach,
        floor=floor,
        threshold_name=past.threshold_name,
        floor_name=past.floor_name,
        confirm=confirm,
        similar=past.similar,
    )


def _limits(settings: Dedup, past: Comparisons) -> tuple[float, float]:
    given = getattr(settings, past.threshold_name)
    threshold = past.threshold
    if given is not None:
        threshold = 1.0 - given if past.similar else float(given)
    floor = past.floor
    if past.floor_name and getattr(settings, past.floor_name) is not None:
        floor = float(getattr(settings, past.floor_name))
    # A last look was only given to what passed; where there is none, all that was found is known.
    limit = past.reach if (past.confirmed == YES).all() else past.threshold
    if threshold > limit + 1e-12:
        widest = 1.0 - limit if past.similar else limit
        raise ConfigError(
            f"{past.threshold_name}: the report knows pairs up to {widest:g} only; run dedup again for a wider search"
        )
    if floor < past.floor and not (past.confirmed == YES).all():
        raise ConfigError(
            f"{past.floor_name}: the report knows pairs from {past.floor:g} on only; run dedup again for a wider search"
        )
    return threshold, floor


def _positions(pool: Pool, codes: Ints, foreign: Sequence[str]) -> Ints:
    """Where in the pool the samples of these codes are.

    Raises:
        InputError: another dataset has changed since.
    """
    place = {name: len(pool.dataset) + i for i, name in enumerate(pool.names[len(pool.dataset) :])} if foreign else {}
    gone = [name for name in foreign if name not in place]
    if gone:
        raise InputError(f"{gone[0]}: is not there any more; run dedup again")
    elsewhere = np.array([place[name] for name in foreign] or [0], dtype=np.int64)
    inside = np.searchsorted(pool.dataset.rows, np.maximum(codes, 0))
    return np.where(codes <= FOREIGN, elsewhere[np.maximum(FOREIGN - codes, 0)], inside).astype(np.int64)
