"""What the families of noise have in common: findings with how certain they are, and the samples still looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.outcome import Action, Cells, Verdicts
from datadiet_cli.steps.noise.scored import Scored

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Small = NDArray[np.float32]

BROKEN, IMPOSSIBLE, POOR, LIKELY = 4.0, 3.0, 2.0, 0.0
"""How certain findings of a family are, from what cannot be read to what is only likely; a score adds less than one."""


@dataclass(frozen=True, eq=False)
class Findings:
    """What a family found.

    Attributes:
        verdicts: by row of the source.
        certainty: (v,) float64, the larger the surer; see `BROKEN`.
        metrics: figures for the report.
        notes: what people should be told.
        cells: new texts of cells.
        labels: new labels.
        artefacts: further files to stand beside OUTPUT.
        transform: what was learned for new data.
        scored: what all samples scored that something was looked for in, for pictures in the report.
    """

    verdicts: Verdicts
    certainty: Floats
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    cells: Cells = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    artefacts: Mapping[str, bytes] = field(default_factory=dict)
    transform: Transform | None = None
    scored: Sequence[Scored] = ()


def nothing(metrics: Mapping[str, Any] | None = None, notes: Sequence[str] = ()) -> Findings:
    """No finding."""
    return Findings(Verdicts.join([]), np.empty(0), metrics or {}, notes)


def divided(
    dataset: Dataset, found: Ints, action: Action, reason: str, certainty: Floats, **columns: Any
) -> tuple[Verdicts, Floats]:
    """Verdicts for training samples, and flags for evaluation samples, which are never dropped or relabelled.

    Args:
        dataset: the dataset.
        found: (k,) positions.
        action: for training samples.
        reason: the code.
        certainty: (k,) float64.
        columns: as `Verdicts.of` takes them, each with k entries or a scalar.
    """
    training = dataset.training[found]
    parts = []
    order = np.concatenate([np.flatnonzero(training), np.flatnonzero(~training)])
    for part, what in ((training, action), (~training, Action.FLAG)):
        mine = {name: _at(value, np.flatnonzero(part)) for name, value in columns.items()}
        parts.append(Verdicts.of(dataset.rows[found[part]], what, reason, **mine))
    joined = Verdicts.join(parts)
    # `join` sorts by sample, and keeps the order given among equal ones.
    sorting = np.argsort(dataset.rows[found[order]], kind="stable")
    return joined, certainty[order][sorting]


def _at(value: Any, part: Ints) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return value[part]
    return [value[i] for i in part.tolist()] if isinstance(value, list) else value


def gathered(parts: Sequence[tuple[Verdicts, Floats]], **more: Any) -> Findings:
    """Findings of several parts as one."""
    if not parts:
        return Findings(Verdicts.join([]), np.empty(0), **more)
    certainty = np.concatenate([part for _, part in parts])
    order = np.argsort(np.concatenate([v.sample for v, _ in parts]), kind="stable")
    return Findings(Verdicts.join([v for v, _ in parts]), certainty[order], **more)
