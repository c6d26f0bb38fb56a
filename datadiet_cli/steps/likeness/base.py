"""What a way of recognising copies hands to `dedup`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.methods.duplicates import Accept, Candidates, Ints
from datadiet_cli.steps.context import Context

NO_EDGES = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Likeness:
    """What a way of recognising copies found out, by position in the dataset.

    Attributes:
        candidates: who may be a copy of whom.
        accept: decides pairs; its distance is the verdict's score.
        threshold: the largest distance of a copy.
        better: keys of preference, most important first, each (n,), smaller is better.
        causes: (n,) object, why a sample could not be read, or None.
        metrics: figures for the report.
    """

    candidates: Candidates
    accept: Accept
    threshold: float
    better: Sequence[NDArray[np.generic]]
    causes: NDArray[np.object_]
    metrics: Mapping[str, int] = field(default_factory=dict)

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


Finder = Callable[[Dataset, Dedup, Context, ExitStack], Likeness]
