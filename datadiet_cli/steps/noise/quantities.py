"""Labels that are numbers to predict, and those among them that are most likely wrong."""

from dataclasses import replace
from typing import Any

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.folds import standardised
from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.residuals import OddTargets, find_odd_targets
from datadiet_cli.outcome import Action
from datadiet_cli.steps.noise.base import LIKELY, Bools, Findings, Floats, Ints, Small, divided, nothing
from datadiet_cli.steps.noise.material import STEP, Material
from datadiet_cli.steps.noise.scored import Scored, calls_of, scored
from datadiet_cli.steps.noise.weighing import weights_file

MANY = 20
"""Different numbers from which on labels are quantities, if there are many samples to none of them in particular."""
FEW_EACH = 10
NEIGHBOURS = 5
"""Neighbours that a verdict names."""
LEAST = 1e-300
UNIT = "how unlikely it is for a right label to be so far off: powers of ten"


def quantities_of(dataset: Dataset, task: str) -> Floats | None:
    """(n,) float64 labels as numbers, NaN for none; None if they name classes.

    Raises:
        ConfigError: they are to be numbers, and one is none.
    """
    if task == "classification":
        return None
    try:
        values = np.array([float(name) for name in dataset.classes] + [np.nan])
        if not np.isfinite(values[:-1]).all():
            raise ValueError
    except ValueError:
        if task == "regression":
            wrong = next(name for name in dataset.classes if not _is_number(name))
            raise ConfigError(f"{STEP}: task regression needs labels that are numbers, not {wrong!r}") from None
        return None
    labelled = int((dataset.labels != UNKNOWN).sum())
    whole = bool((values[:-1] == np.floor(values[:-1])).all())
    # Many different numbers are quantities if they hardly repeat, or if there are parts of a whole among them.
    if task == "auto" and (len(dataset.classes) <= MANY or (whole and labelled > FEW_EACH * len(dataset.classes))):
        return None
    return values[dataset.labels]


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def wrong_quantities(material: Material, numbers: Floats) -> Findings:
    """Find samples whose number is far from what those that are like them have."""
    settings, dataset, context = material.settings, material.dataset, material.context
    if settings.pred_probs is not None:
        raise ConfigError(
            f"{STEP}: --pred-probs: labels are numbers here; --task classification takes them for classes"
        )
    features = material.features
    left = features.usable & material.left[material.places]
    places = material.places[left]
    target = numbers[places]
    fit = ~np.isnan(target) & dataset.training[places]
    if not fit.any():
        return nothing(notes=[material.featureless])
    x = features.matrix[left]
    found = find_odd_targets(x, target, fit, folds=settings.folds, seed=context.seed, crew=context.engine)
    wrong = np.flatnonzero(found.wrong)
    evidence: list[Any] = [
        {
            "given": float(target[i]),
            "suggested": float(f"{found.suggested[i]:.6g}"),
            "residual": round(float(found.residual[i]), 3),
            "neighbours": near,
        }
        for i, near in zip(wrong.tolist(), _neighbours(dataset, places, x, target, fit, wrong), strict=True)
    ]
    words = [
        f"is {fact['given']:g}, {abs(fact['residual']):.1f} standard deviations from the {fact['suggested']:g} expected"
        for fact in evidence
    ]
    verdicts, certainty = divided(
        dataset,
        places[wrong],
        Action(settings.labels_action),
        "wrong-label",
        LIKELY + 0.99 * (1 - found.score[wrong]),
        score=found.score[wrong],
        threshold=found.threshold,
        detail=words,
        evidence=evidence,
    )
    rows = dataset.rows[places[wrong]].tolist()
    suggested = {row: f"{fact['suggested']:g}" for row, fact in zip(rows, evidence, strict=True)}
    metrics = {
        "labels": {
            "by": "residuals",
            "noise_rate": round(found.noise_rate, 5),
            "noise_rate_interval": [round(end, 5) for end in found.interval],
        }
    }
    labels = {row: suggested[row] for row in verdicts.sample[verdicts.action == Action.RELABEL].tolist()}
    weights = weights_file(dataset, verdicts, dict.fromkeys(rows, 0.0))
    shown = _scored(dataset, places, found, ~np.isnan(target))
    return Findings(verdicts, certainty, metrics, labels=labels, artefacts=weights, scored=[shown])


def _neighbours(
    dataset: Dataset, places: Ints, x: Small, target: Floats, fit: Bools, wrong: Ints
) -> list[list[dict[str, str]]]:
    """For each wrong one the nearest samples that were learned from, and their numbers."""
    if not len(wrong):
        return []
    near = nearest(standardised(x), wrong, np.flatnonzero(fit), NEIGHBOURS).row
    names = dataset.source.ids(dataset.rows[places[near.ravel()]])
    told = [{"id": name, "label": f"{target[i]:g}"} for name, i in zip(names, near.ravel().tolist(), strict=True)]
    return [told[k * near.shape[1] : (k + 1) * near.shape[1]] for k in range(len(wrong))]


def _scored(dataset: Dataset, places: Ints, found: OddTargets, known: Bools) -> Scored:
    """What all residuals score: as the threshold is a tiny probability, by powers of ten."""
    score = np.where(known & ~np.isnan(found.residual), -np.log10(np.maximum(found.score, LEAST)), np.nan)
    threshold = -float(np.log10(max(found.threshold, LEAST))) if found.threshold > 0 else None
    one, chosen = scored(dataset, "wrong-label", UNIT, places, score, threshold, "above", found.wrong)
    rows, limits = dataset.rows[places[chosen]], np.full(len(chosen), found.threshold)
    return replace(one, calls=calls_of(dataset, "wrong-label", rows, found.score[chosen], limits))
