"""Keep what was compared: for the closest calls, and to decide again by another threshold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.duplicates import Candidates, Ints, pairs_between
from datadiet_cli.methods.histogram import Side, drawn
from datadiet_cli.outcome import FOREIGN, Comparisons
from datadiet_cli.steps.likeness.base import Likeness, Measured
from datadiet_cli.steps.likeness.pool import Pool

MOST_PAIRS = 200_000
"""Candidate pairs up to which all are measured and kept; a decision over more cannot be replayed."""
MOST_LOOKS = 500
"""Pairs that get a costly last look only so that another threshold finds them looked at."""
CLOSEST = 10
"""Pairs that the report shows on each side of the threshold."""
UNITS = {
    "max_distance": "bits in which the two of a compared pair differ",
    "similarity": "similarity of a compared pair",
    "tolerance": "relative difference of a compared pair",
}
"""Words for distances, by the setting that limits them."""
UNKNOWN, NO, YES = -1, 0, 1

_Looks = NDArray[np.int8]


class Recorder:
    """Decides pairs as a likeness says, and remembers them.

    Args:
        pool: the samples.
        likeness: how they are compared.
    """

    def __init__(self, pool: Pool, likeness: Likeness) -> None:
        self._pool, self._likeness = pool, likeness
        self._parts: list[tuple[Ints, Ints, Measured, _Looks]] = []
        # Where only equality counts there is no threshold to move, hence nothing to remember.
        self._total = _count(likeness.candidates)
        self._keeps = bool(likeness.threshold_name) and self._total <= MOST_PAIRS

    def accept(self, a: Ints, b: Ints) -> NDArray[np.float64]:
        """Distances of pairs, NaN where a pair is no copies."""
        likeness = self._likeness
        measured = likeness.measure(a, b)
        passed = passes(measured, likeness.threshold, likeness.floor)
        looks = self._look(a, b, passed)
        if self._keeps:
            self._parts.append((np.minimum(a, b), np.maximum(a, b), measured, looks))
        return np.where(passed & (looks == YES), measured.distance, np.nan)

    def words(self, a: Ints, b: Ints) -> list[str | None]:
        """What to say of pairs of copies beyond their distance."""
        likeness = self._likeness
        if not likeness.threshold_name or not len(a):
            return [None] * len(a)
        measured = likeness.measure(a, b)
        name = likeness.floor_name.removeprefix("min_")
        said: list[str | None] = []
        for agreement, words in zip(measured.agreement.tolist(), measured.words.tolist(), strict=True):
            second = f"{name} {agreement:.2f}" if agreement == agreement else None
            said.append("; ".join(part for part in (words, second) if part) or None)
        return said

    def finish(self) -> tuple[Comparisons | None, dict[str, Any]]:
        """The comparisons, if they are all there; for the report the closest calls, and how near all pairs are."""
        if not self._keeps:
            return None, {}
        complete = self._complete()
        a, b, measured, looks = self._joined()
        comparisons = self._comparisons(a, b, measured, looks, complete) if self._likeness.movable else None
        return comparisons, {**self._closest(a, b, measured, looks), **self._histogram(measured)}

    def _look(self, a: Ints, b: Ints, passed: NDArray[np.bool_]) -> _Looks:
        if self._likeness.confirm is None:
            return np.full(len(a), YES, dtype=np.int8)
        looks = np.full(len(a), UNKNOWN, dtype=np.int8)
        todo = np.flatnonzero(passed)
        if len(todo):
            looks[todo] = np.where(self._likeness.confirm(a[todo], b[todo]), YES, NO)
        return looks

    def _complete(self) -> bool:
        """Measure the candidates that no decision hung on, for another threshold may; whether all are measured now."""
        if self._total > self._likeness.affordable:
            return False
        everyone = np.ones(len(self._pool), dtype=bool)
        known = np.concatenate([self._key(a, b) for a, b, *_ in self._parts] or [np.empty(0, np.int64)])
        complete, left = True, MOST_LOOKS
        for a, b in pairs_between(self._likeness.candidates, everyone, everyone):
            new = (a < b) & ~(self._pool.foreign[a] & self._pool.foreign[b])
            new[new] = ~np.isin(self._key(a[new], b[new]), known)
            one, other = a[new], b[new]
            measured = self._likeness.measure(one, other)
            passed = passes(measured, self._likeness.threshold, self._likeness.floor)
            doubts = np.flatnonzero(self._doubtful(one, other, passed))
            if len(doubts) > left:
                complete = False
                passed[doubts] = False
            left -= len(doubts)
            self._parts.append((one, other, measured, self._look(one, other, passed)))
        return complete

    def _doubtful(self, a: Ints, b: Ints, passed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        doubts = passed.copy()
        if self._likeness.confirm is None:
            doubts[:] = False
        elif self._likeness.doubtful is not None:
            doubts[passed] = self._likeness.doubtful(a[passed], b[passed])
        return doubts

    def _key(self, a: Ints, b: Ints) -> Ints:
        return a * len(self._pool) + b

    def _joined(self) -> tuple[Ints, Ints, Measured, _Looks]:
        """Every pair once, in order; where one was asked for again, the entry that had the last look."""
        none = np.empty(0, dtype=np.int64)
        parts = self._parts or [(none, none, Measured.of(np.empty(0)), np.empty(0, dtype=np.int8))]
        a, b = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        measured = Measured(*(np.concatenate(column) for column in zip(*(part[2] for part in parts), strict=True)))
        looks = np.concatenate([part[3] for part in parts])
        order = np.lexsort((-looks, self._key(a, b)))
        key = self._key(a, b)[order]
        first = order[np.append(True, key[1:] != key[:-1])[: len(order)]]
        kept = Measured(*(column[first] for column in measured))
        return a[first], b[first], kept, looks[first]

    def _comparisons(self, a: Ints, b: Ints, measured: Measured, looks: _Looks, complete: bool) -> Comparisons:
        like, own = self._likeness, len(self._pool.dataset)
        rows = np.concatenate([self._pool.dataset.rows, FOREIGN - np.arange(len(self._pool) - own)])
        return Comparisons(
            sample=rows[a],
            other=rows[b],
            distance=measured.distance,
            agreement=measured.agreement,
            confirmed=looks,
            sample_rank=like.rank[a],
            other_rank=like.rank[b],
            threshold=like.threshold,
            reach=max(like.reach, like.threshold),
            floor=like.floor,
            threshold_name=like.threshold_name,
            floor_name=like.floor_name,
            similar=like.similar,
            complete=complete,
        )

    def _histogram(self, measured: Measured) -> dict[str, Any]:
        """How near all pairs are that were compared, whatever the second opinion; nothing if there are none."""
        like = self._likeness
        score = np.round(1.0 - measured.distance, 12) if like.similar else measured.distance
        side: Side = "above" if like.similar else "below"
        limit = shown(like.threshold, similar=like.similar)
        found = drawn("duplicate", UNITS[like.threshold_name], score, limit, side, inclusive=True)
        return {} if found is None else {"histograms": [found]}

    def _closest(self, a: Ints, b: Ints, measured: Measured, looks: _Looks) -> dict[str, Any]:
        like = self._likeness
        margin = _margin(measured, like.threshold, like.floor)
        copies = (margin >= 0) & (looks == YES)
        order = np.lexsort((b, a, np.abs(margin)))
        names, foreign = self._pool.names, self._pool.foreign

        # Samples of other datasets come last in the pool: of a pair only the second can be one.
        def told(chosen: NDArray[np.bool_]) -> list[dict[str, Any]]:
            return [
                {
                    "id": names[a[i]],
                    "other": names[b[i]],
                    "score": shown(float(measured.distance[i]), similar=like.similar),
                    "agreement": None if np.isnan(measured.agreement[i]) else round(float(measured.agreement[i]), 4),
                    **({"foreign": True} if foreign[b[i]] else {}),
                }
                for i in order[chosen[order]][:CLOSEST].tolist()
            ]

        beyond = ~copies & ~np.isnan(margin)
        return {"closest_calls": {"copies": told(copies), "no_copies": told(beyond)}}


def passes(measured: Measured, threshold: float, floor: float) -> NDArray[np.bool_]:
    """(k,) bool, whether pairs are near enough and agree enough."""
    near: NDArray[np.bool_] = measured.distance <= threshold
    return near & (np.isnan(measured.agreement) | (measured.agreement >= floor))


def shown(distance: float, *, similar: bool) -> float:
    """A distance as people are told it: as it is, or as a similarity."""
    return round(1.0 - distance, 12) if similar else distance


def _margin(measured: Measured, threshold: float, floor: float) -> NDArray[np.float64]:
    """How far pairs are from being decided otherwise, below 0 for no copies; NaN for pairs that cannot be copies."""
    room = (threshold - measured.distance) / (abs(threshold) + 1e-12)
    second = np.full(len(room), np.inf)
    if floor > -np.inf:
        second = (measured.agreement - floor) / (1.0 - floor + 1e-12)
        second[np.isnan(measured.agreement)] = np.inf
    margin: NDArray[np.float64] = np.minimum(room, second)
    return margin


def _count(candidates: Candidates) -> int:
    """How many pairs the candidates are."""
    size = np.bincount(candidates.node[candidates.node >= 0]).astype(np.int64)
    between = size[candidates.edges].prod(axis=1).sum() if len(candidates.edges) else 0
    return int((size * (size - 1) // 2).sum() + between)
