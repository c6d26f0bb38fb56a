"""What the parts of `select-features` share: the methods by what they need, and the units that are chosen from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import ColumnVerdict, Transform
from datadiet_cli.config.select_features import SelectFeatures
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.methods.selection.base import Columns, Target
from datadiet_cli.outcome import Changes, Verdicts
from datadiet_cli.steps.context import Context

STEP = "select-features"

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

COMPRESSION = {"pca": "pca", "lda": "lda", "random-projection": "rp"}
"""Methods that make new columns, with how the names of those begin."""
RULES = {"constant": None, "missing": "max_missing", "variance": "min_variance", "collinearity": "max_correlation"}
"""Methods that need no ranking to decide, each with the setting that it decides by."""
OWN = frozenset({*RULES, "l1", "boruta"})
"""Methods that say by themselves how many columns stay."""
WITHOUT_LABELS = frozenset({*RULES, "pca", "random-projection"})
BUDGETED = frozenset({"rfe", "permutation", "l1", "forest", "boruta"})
"""Methods by models, which take long."""


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        dataset: what the step was given.
        settings: its settings.
        context: the run around it.
    """

    dataset: Dataset
    settings: SelectFeatures
    context: Context


@dataclass(frozen=True, eq=False)
class Goal:
    """What columns shall predict, as far as the data says.

    Attributes:
        rows: (m,) int64 positions of the samples to learn from; one with several classes stands there for each.
        target: of these samples; None without labels.
        task: ``classification`` or ``regression``; None without labels.
        notes: what people should know.
    """

    rows: Ints
    target: Target | None
    task: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Choice:
    """What is chosen from: p columns, or dimensions of vectors.

    Attributes:
        names: of the p units, in the order of `columns`.
        columns: the cells to learn from.
        goal: what they shall predict.
        always: (p,) bool, those that stay whatever is said of them.
        unit: ``column`` or ``dimension``.
    """

    names: tuple[str, ...]
    columns: Columns
    goal: Goal
    always: Bools
    unit: str


@dataclass(frozen=True, eq=False)
class Part:
    """What came of it.

    Attributes:
        columns: a verdict for each column.
        transform: for new data; None if there is nothing to do.
        metrics: figures for the report.
        notes: what people should be told.
        changes: of the table.
        verdicts: on samples that cannot be read.
        artefacts: further files to stand beside OUTPUT.
    """

    columns: Sequence[ColumnVerdict]
    transform: Transform | None
    metrics: Mapping[str, Any]
    notes: Sequence[str] = ()
    changes: Changes = field(default_factory=Changes)
    verdicts: Verdicts = field(default_factory=lambda: Verdicts.join([]))
    artefacts: Mapping[str, bytes] = field(default_factory=dict)
