"""Groups of columns that say the same, and the one of each group that stays."""

import numpy as np
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.selection.base import NONE, Bools, Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.checks import checked
from datadiet_cli.methods.selection.redundancy import Redundancy
from datadiet_cli.methods.selection.relevance import correlation

THRESHOLD = 0.95
_BLOCK = 128
_REST = 8192
_COVERED = 0.5
"""A column that goes shares so much of its known cells with the one that stays, at least."""


def collinearity(
    columns: Columns,
    target: Target | None = None,
    *,
    threshold: float | None = None,
    favoured: Bools | None = None,
    **_: object,
) -> Ranking:
    """Drop columns that another one tells, as `redundancy` measures it.

    The leader algorithm (Hartigan, "Clustering Algorithms", 1975, chapter 3): in order of preference a column stays if
    no column that stays tells it, so each that goes is redundant to its own witness, not through a chain. A favoured
    column is preferred, then the one that is most strongly tied to the target (see `relevance.correlation`), then the
    one with the fewest missing cells, then the first. The score is 1 less the strength of the tie with the witness, or
    with the column that stays and tells it best.

    Args:
        columns: n rows.
        target: what they shall predict, if anything.
        threshold: strength of the tie from which on a column is redundant; 0.95 by default.
        favoured: (p,) bool, columns that stay anyway, so that it is their copies that go; none by default.

    Raises:
        ValueError: see `checks.checked`.
    """
    checked(columns, target)
    least = THRESHOLD if threshold is None else threshold
    p = columns.count
    score = np.ones(p)
    witness = np.full(p, NONE, dtype=np.int64)
    with threadpool_limits(1):
        preferred = order = _preference(columns, target, favoured)
        known = np.concatenate([(~np.isnan(columns.numbers)).sum(axis=0), (columns.categories >= 0).sum(axis=0)])
        sieve = _Sieve(Redundancy(columns), known, least, score, witness)
        while len(order):
            head, order = order[:_BLOCK], order[_BLOCK:]
            sieve.within(head)
            leaders = head[witness[head] == NONE]
            for start in range(0, len(order), _REST):
                sieve.against(leaders, np.sort(order[start : start + _REST]))
            order = order[witness[order] == NONE]
    stays = witness == NONE
    place = np.empty(p, dtype=np.int64)
    place[preferred] = np.arange(p)
    rank = np.empty(p, dtype=np.int64)
    # Those that stay first, in order of preference; then the others, the least redundant first.
    rank[np.lexsort((place, np.where(stays, 0, -np.round(score, 12)), ~stays))] = np.arange(1, p + 1)
    return Ranking(score, rank, "1 - correlation", chosen=stays, witness=witness)


class _Sieve:
    """Decides on columns, the preferred first."""

    def __init__(self, ties: Redundancy, known: Ints, least: float, score: Floats, witness: Ints) -> None:
        self._ties, self._known, self._least = ties, known, least
        self._score, self._witness = score, witness

    def within(self, head: Ints) -> None:
        """Decide on some columns in order of preference, none of which any leader before them tells."""
        places = np.sort(head)
        strength = self._strength(head, places)[:, np.searchsorted(places, head)]
        for one in range(len(head)):
            if self._witness[head[one]] == NONE:
                later = np.arange(one + 1, len(head))
                later = later[self._witness[head[later]] == NONE]
                self._drop(int(head[one]), head[later], strength[one, later])

    def against(self, leaders: Ints, others: Ints) -> None:
        """Drop what leaders tell; the most preferred of them is the witness."""
        strength = self._strength(leaders, others)
        told = strength >= self._least
        gone = told.any(axis=0)
        first = told.argmax(axis=0)[gone]
        self._witness[others[gone]] = leaders[first]
        self._score[others[gone]] = 1 - strength[first, np.flatnonzero(gone)]
        left = others[~gone]
        self._score[left] = np.minimum(self._score[left], 1 - strength[:, ~gone].max(axis=0, initial=0.0))

    def _strength(self, one: Ints, other: Ints) -> Floats:
        strength, rows = self._ties.told(one, other)
        return np.where(rows >= _COVERED * self._known[other], strength, 0.0)

    def _drop(self, leader: int, others: Ints, strength: Floats) -> None:
        gone = strength >= self._least
        self._witness[others[gone]] = leader
        self._score[others[gone]] = 1 - strength[gone]
        self._score[others[~gone]] = np.minimum(self._score[others[~gone]], 1 - strength[~gone])


def _preference(columns: Columns, target: Target | None, favoured: Bools | None) -> Ints:
    """Positions, the preferred first."""
    missing = np.concatenate([np.isnan(columns.numbers).sum(axis=0), (columns.categories < 0).sum(axis=0)])
    tie = np.zeros(columns.count) if target is None else np.nan_to_num(correlation(columns, target), nan=-1.0)
    # Rounding must not settle which of two copies stays.
    last = np.zeros(columns.count, dtype=np.bool_) if favoured is None else ~favoured
    return np.lexsort((missing, -np.round(tie, 10), last))
