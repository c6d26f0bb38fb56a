"""What a way of recognising copies hands to `dedup`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.methods.duplicates import Candidates, Ints
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.pool import Pool

NO_EDGES = np.empty((0, 2), dtype=np.int64)


class Measured(NamedTuple):
    """How alike k pairs are.

    Attributes:
        distance: (k,) float64, in the unit of the threshold; NaN where a pair can be no copies at all.
        agreement: (k,) float64, a second opinion, the larger the more alike; NaN where there is none.
        words: (k,) object, how the two differ (``mirrored``), or None.
    """

    distance: NDArray[np.float64]
    agreement: NDArray[np.float64]
    words: NDArray[np.object_]

    @classmethod
    def of(cls, distance: NDArray[np.float64]) -> "Measured":
        """Distances alone."""
        return cls(distance, np.full(len(distance), np.nan), np.full(len(distance), None, dtype=object))


Measure = Callable[[Ints, Ints], Measured]
Confirm = Callable[[Ints, Ints], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Likeness:
    """What a way of recognising copies found out, by position in the pool.

    Two samples are copies if their distance is at most the threshold, their agreement (where there is one) at least
    the floor, and `confirm` (where there is one) says so too.

    Attributes:
        candidates: who may be a copy of whom. They should reach a little beyond the threshold, so that the report
            can show what was just not taken.
        measure: compares pairs, cheaply; symmetric.
        threshold: the largest distance of copies; the score of a verdict is the distance.
        better: keys of preference, most important first, each (n,), smaller is better.
        causes: (n,) object, why a sample could not be read, or None.
        reach: the distance up to which all candidates are there; the threshold if it is less.
        floor: the least agreement of copies.
        floor_name: the setting that `floor` comes from, and `threshold_name` that of the threshold.
        confirm: the last word on pairs that passed, costly; asked only for pairs that a decision hangs on.
        doubtful: tells, (k,) bool, for which pairs that is so; for all of them if not given.
        affordable: candidate pairs up to which all are measured, so that another threshold can be tried; beyond, only
            those that a decision hangs on.
        movable: whether another threshold would be decided on the same candidates.
        similar: whether scores are told as similarities, one less the distance.
        metrics: figures for the report.
    """

    candidates: Candidates
    measure: Measure
    threshold: float
    better: Sequence[NDArray[np.generic]]
    causes: NDArray[np.object_]
    reach: float = 0.0
    floor: float = -np.inf
    threshold_name: str = ""
    floor_name: str = ""
    confirm: Confirm | None = None
    doubtful: Confirm | None = None
    affordable: int = 200_000
    movable: bool = True
    similar: bool = False
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def rank(self) -> Ints:
        """(n,) int64, 0 for the sample to keep before all others; ties go to the first in order."""
        n = len(self.causes)
        if not self.better:
            return np.arange(n, dtype=np.int64)
        order = np.lexsort((np.arange(n), *reversed(self.better)))
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        return rank


Finder = Callable[[Pool, Dedup, Context, ExitStack], Likeness]
