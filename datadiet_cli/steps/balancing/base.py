"""What removing and making samples have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.balance import Balance
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.methods.targets import target_sizes
from datadiet_cli.outcome import Action, Addition, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.groups import Groups

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

STEP = "balance"


@dataclass(frozen=True, eq=False)
class Task:
    """What a step was given, and how large each group shall be."""

    dataset: Dataset
    settings: Balance
    context: Context
    groups: Groups

    @cached_property
    def target(self) -> Ints:
        """(g,) int64."""
        settings = self.settings
        raises = settings.under == "none" and settings.over != "none"
        return target_sizes(self.groups.counts, settings.target, raise_small=raises)

    @cached_property
    def members(self) -> Ints:
        """(m,) int64 positions of the samples that have a group."""
        return np.flatnonzero(self.groups.code >= 0)

    @property
    def first_new(self) -> int:
        """The row of the first sample that is made."""
        return len(self.dataset.source.sizes())

    def ids(self, positions: Ints) -> list[str]:
        """The ids of samples at some positions."""
        return self.dataset.source.ids(self.dataset.rows[positions])

    def unreadable(self, positions: Ints, causes: Sequence[str], words: Mapping[str, str]) -> Verdicts:
        """Flags for samples that cannot be read."""
        said = [f"{cause}: {words[cause]}" if cause in words else cause for cause in causes]
        return Verdicts.of(self.dataset.rows[positions], Action.FLAG, "unreadable", detail=said)


@dataclass(frozen=True, eq=False)
class Part:
    """What removing, or making, comes to.

    Attributes:
        verdicts: by row of the source.
        notes: what people should be told.
        additions: new samples, in the order of their rows.
        cells: new texts of their cells.
        marks: what each new row is made of, in words: row -> text.
        group: (k,) int64, the group of each new sample.
        metrics: figures for the report.
    """

    verdicts: Verdicts
    notes: Sequence[str] = ()
    additions: Sequence[Addition] = ()
    cells: Mapping[str, Mapping[int, str | None]] = field(default_factory=dict)
    marks: Mapping[int, str | None] = field(default_factory=dict)
    group: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    metrics: Mapping[str, Any] = field(default_factory=dict)


def nothing() -> Part:
    """No change."""
    return Part(Verdicts.join([]))
