"""Odd samples: unlike the others, or unlike those of their class. How many there are is found out from the data."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from datadiet_cli.config.base import percentage
from datadiet_cli.data.dataset import UNKNOWN
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.outliers import Cells, Found, find_outliers
from datadiet_cli.outcome import NO_WITNESS, Action
from datadiet_cli.steps.features import Features
from datadiet_cli.steps.noise import oddities
from datadiet_cli.steps.noise.base import LIKELY, Findings, Floats, Ints, divided, gathered, nothing
from datadiet_cli.steps.noise.material import STEP, Material
from datadiet_cli.steps.noise.outliers_scored import Group, has_columns, nearest_of, scored_groups

MOST = 0.1
"""With a larger share of the samples odd, that is how the data is; it is said."""
TIMES_OVERALL, ENOUGH = 3.0, 3
"""A class so many times as odd as all samples, with so many odd ones, is odd for what it is; it is said."""
FEW_NOTES = 3


def odd_samples(material: Material) -> Findings:
    """Find outliers among the training samples.

    Columns of a table are looked at one by one and together; of all else, the vectors of an encoder.

    Raises:
        ConfigError: the share of false flags is none that a threshold could be found for.
    """
    settings, dataset = material.settings, material.dataset
    if not 0 < settings.false_flags < 0.5:
        raise ConfigError(
            f"{STEP}: --false-flags: must be above 0% and below 50%, not {percentage(settings.false_flags)}"
        )
    if (why := material.skipped(settings.outliers, "outliers")) is not None:
        return nothing(notes=[why])
    features = material.features
    chosen = np.flatnonzero(features.usable & dataset.training[material.places])
    cells = _cells(features)
    parts, counts, notes = [], [], []
    groups: list[Group] = []
    for name, members in _groups(material, chosen):
        found = find_outliers(cells.take(members), settings.outliers, settings.false_flags, material.context.seed)
        odd = np.flatnonzero(found.odd)
        counts.append({"of": name, "samples": len(members), "odd": len(odd), "threshold": _number(found.threshold)})
        notes += _said(material, name, members, odd)
        groups.append(Group(members, found.score, found.threshold, found.odd, found.neighbours))
        if len(odd):
            parts.append(_verdicts(material, members, found, odd))
    metrics: dict[str, Any] = {"outlier_groups": counts, **material.told}
    return gathered(parts, metrics=metrics, notes=notes, scored=[scored_groups(material, groups)])


def _said(material: Material, name: str | None, members: Ints, odd: Ints) -> list[str]:
    """What people should know before odd samples go: that very many are odd, or most of a class that is rare."""
    dataset = material.dataset
    share = len(odd) / max(len(members), 1)
    if share > MOST:
        of = "samples" if name is None else f"samples of class {name}"
        return [f"outliers: {share:.0%} of the {of} are odd; where so many are, that is how the data is"]
    if material.settings.per_class or not len(dataset.classes) or len(dataset.classes) * 2 > len(dataset):
        return []
    labels = dataset.labels[material.places[members]]
    sizes, counts = (np.bincount(part + 1, minlength=len(dataset.classes) + 1)[1:] for part in (labels, labels[odd]))
    lopsided = (counts >= ENOUGH) & (counts > TIMES_OVERALL * share * sizes)
    return [
        f"outliers: {counts[k]:,} of {sizes[k]:,} samples of class {dataset.classes[k]} are odd, far more than of the "
        "others; --per-class compares within classes"
        for k in np.flatnonzero(lopsided).tolist()
    ][:FEW_NOTES]


def _groups(material: Material, chosen: Ints) -> Iterator[tuple[str | None, Ints]]:
    """The samples that are compared with each other: all, or those of each class."""
    dataset = material.dataset
    if not material.settings.per_class:
        yield None, chosen
        return
    labels = dataset.labels[material.places[chosen]]
    for code in np.unique(labels).tolist():
        yield (None if code == UNKNOWN else dataset.classes[code]), chosen[labels == code]


def _cells(features: Features) -> Cells:
    if features.cells is not None and has_columns(features):
        return Cells(features.cells.numbers, features.cells.categories)
    matrix = features.matrix.astype(np.float64)
    return Cells(matrix, np.empty((len(matrix), 0), dtype=np.int64))


def _verdicts(material: Material, members: Ints, found: Found, odd: Ints) -> tuple[Any, Floats]:
    dataset, features = material.dataset, material.features
    places = material.places[members[odd]]
    spread = max(float(np.ptp(found.score[odd])), 1e-12)
    certainty = LIKELY + 0.5 + 0.4 * (found.score[odd] - found.score[odd].min()) / spread
    witness: Any = NO_WITNESS
    by_columns = features.cells is not None and found.part.shape[1] == len(oddities.columns_of(features.cells))
    engine = material.context.engine
    near = dataset.rows[material.places[nearest_of(features, members, found.neighbours, odd, by_columns, engine)]]
    if near.shape[1]:
        witness = near[:, 0]
    if by_columns and features.cells is not None:
        evidence, words = oddities.by_columns(features.cells, members[odd], members, found.part[odd])
    else:
        evidence, words = oddities.by_neighbours(dataset, near)
    return divided(
        dataset, places, Action(material.settings.outliers_action), "outlier", certainty,
        score=found.score[odd], threshold=found.threshold, witness=witness, detail=words, evidence=evidence,
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
