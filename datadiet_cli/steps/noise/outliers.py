"""Odd samples: unlike the others, or unlike those of their class. How many there are is found out from the data."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN
from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.outliers import Cells, Found, find_outliers
from datadiet_cli.outcome import NO_WITNESS, Action
from datadiet_cli.steps.features import Features
from datadiet_cli.steps.noise.base import LIKELY, Findings, Floats, Ints, divided, gathered, nothing
from datadiet_cli.steps.noise.material import Material

NAMED = 3
"""Columns, or neighbours, that a verdict names."""


def odd_samples(material: Material) -> Findings:
    """Find outliers among the training samples.

    Columns of a table are looked at one by one and together; of all else, the vectors of an encoder.
    """
    settings, dataset = material.settings, material.dataset
    if (why := material.skipped(settings.outliers, "outliers")) is not None:
        return nothing(notes=[why])
    features = material.features
    chosen = np.flatnonzero(features.usable & dataset.training[material.places])
    cells = _cells(features)
    action = settings.outliers_action
    if action == "auto":
        # What the columns of a row say is plain; what a vector says is not, and not worth a sample.
        action = "drop" if _has_columns(features) else "flag"
    parts, counts = [], []
    for name, members in _groups(material, chosen):
        found = find_outliers(cells.take(members), settings.outliers, settings.false_flags, material.context.seed)
        odd = np.flatnonzero(found.odd)
        counts.append({"of": name, "samples": len(members), "odd": len(odd), "threshold": _number(found.threshold)})
        if len(odd):
            parts.append(_verdicts(material, members, found, odd, Action(action)))
    metrics: dict[str, Any] = {"outlier_groups": counts, "encoder": features.encoder}
    return gathered(parts, metrics=metrics)


def _groups(material: Material, chosen: Ints) -> Iterator[tuple[str | None, Ints]]:
    """The samples that are compared with each other: all, or those of each class."""
    dataset = material.dataset
    if not material.settings.per_class:
        yield None, chosen
        return
    labels = dataset.labels[material.places[chosen]]
    for code in np.unique(labels).tolist():
        yield (None if code == UNKNOWN else dataset.classes[code]), chosen[labels == code]


def _has_columns(features: Features) -> bool:
    cells = features.cells
    return cells is not None and cells.numbers.shape[1] + cells.categories.shape[1] > 0


def _cells(features: Features) -> Cells:
    if features.cells is not None and _has_columns(features):
        return Cells(features.cells.numbers, features.cells.categories)
    matrix = features.matrix.astype(np.float64)
    return Cells(matrix, np.empty((len(matrix), 0), dtype=np.int64))


def _verdicts(material: Material, members: Ints, found: Found, odd: Ints, action: Action) -> tuple[Any, Floats]:
    dataset, features = material.dataset, material.features
    places = material.places[members[odd]]
    spread = max(float(np.ptp(found.score[odd])), 1e-12)
    certainty = LIKELY + 0.5 + 0.4 * (found.score[odd] - found.score[odd].min()) / spread
    witness: Any = NO_WITNESS
    by_columns = features.cells is not None and found.part.shape[1] == len(_columns(features))
    near = dataset.rows[material.places[_nearest(features, members, found, odd, by_columns)]]
    if near.shape[1]:
        witness = near[:, 0]
    if by_columns:
        evidence, words = _by_columns(features, members[odd], members, found.part[odd])
    else:
        evidence, words = _by_neighbours(material, near)
    return divided(
        dataset, places, action, "outlier", certainty,
        score=found.score[odd], threshold=found.threshold, witness=witness, detail=words, evidence=evidence,
    )  # fmt: skip


def _columns(features: Features) -> list[str]:
    cells = features.cells
    return [] if cells is None else [*cells.number_names, *cells.category_names]


def _by_columns(features: Features, odd: Ints, members: Ints, part: Floats) -> tuple[list[Any], list[str | None]]:
    """Name the columns that made rows odd, with their values and what is usual."""
    cells = features.cells
    assert cells is not None  # noqa: S101 - the caller knows
    names, numbers = _columns(features), cells.numbers.shape[1]
    with np.errstate(all="ignore"):
        usual = np.nanquantile(cells.numbers[members], [0.05, 0.95], axis=0) if numbers else np.empty((2, 0))
    best = np.argsort(-part, axis=1, kind="stable")[:, :NAMED]
    evidence: list[Any] = []
    words: list[str | None] = []
    for row, columns, parts in zip(odd.tolist(), best.tolist(), part.tolist(), strict=True):
        facts, said = [], []
        for column in columns:
            if parts[column] <= 0:
                continue
            fact: dict[str, Any] = {"column": names[column], "part": round(parts[column], 4)}
            if column < numbers:
                fact["value"] = _number(cells.numbers[row, column])
                fact["usual"] = [_number(end) for end in usual[:, column].tolist()]
                said.append(
                    f"{names[column]} is {fact['value']:g} (usual {usual[0, column]:.4g} to {usual[1, column]:.4g})"
                    if fact["value"] is not None
                    else f"{names[column]} is missing"
                )
            else:
                code = int(cells.categories[row, column - numbers])
                fact["value"] = cells.category_values[column - numbers][code] if code >= 0 else None
                said.append(f"{names[column]} is {fact['value']!r}")
            facts.append(fact)
        evidence.append({"columns": facts})
        words.append(", ".join(said) or None)
    return evidence, words


def _nearest(features: Features, members: Ints, found: Found, odd: Ints, by_columns: bool) -> Ints:
    """(k, 0 to `NAMED`) the nearest members of odd ones: those the detector went by, or, where no columns tell, any."""
    if found.neighbours is not None and found.neighbours.shape[1]:
        return members[found.neighbours[odd, :NAMED]]
    if by_columns:
        return np.empty((len(odd), 0), dtype=np.int64)
    return nearest(features.matrix, members[odd], members, NAMED).row


def _by_neighbours(material: Material, near: Ints) -> tuple[list[Any], list[str | None]]:
    """Name the nearest samples: what an odd one is least unlike."""
    ids = material.dataset.source.ids
    evidence = [{"neighbours": ids(row)} for row in near]
    return evidence, [
        f"far even from the nearest, {facts['neighbours'][0]}" if facts["neighbours"] else None for facts in evidence
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
