"""Labels that name several classes at once: which of them are most likely missing, and which too many."""

from typing import Any

import numpy as np

from datadiet_cli.data.changed import unchangeable
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.mislabelled import DOUBTFUL, MultiLabel, multi_label
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.outcome import Action
from datadiet_cli.steps.noise.base import LIKELY, Bools, Findings, Ints, Small, divided, nothing
from datadiet_cli.steps.noise.material import STEP, Material
from datadiet_cli.steps.noise.scored import Scored, scored
from datadiet_cli.steps.noise.weighing import weights_file

NEIGHBOURS = 5
"""Neighbours that a verdict names."""


def wrong_sets(material: Material) -> Findings:
    """Judge each class of each sample by itself, as a question of yes or no."""
    settings, dataset, context = material.settings, material.dataset, material.context
    if settings.pred_probs is not None:
        raise ConfigError(f"{STEP}: --pred-probs: labels name several classes here, for which no file is read")
    features = material.features
    left = features.usable & material.left[material.places]
    places, x = material.places[left], features.matrix[left]
    given, names = class_sets_of(dataset, settings.separator, places)
    labelled = dataset.labels[places] != UNKNOWN
    fit = labelled & dataset.training[places]
    if not fit.any():
        return nothing(notes=[material.featureless])
    probability = np.zeros(given.shape, dtype=np.float32)
    near: Ints = np.empty((len(places), 0), dtype=np.int64)
    tell = context.progress("predicting labels", len(names))
    for k in range(len(names)):
        label: Ints = np.where(labelled, given[:, k], -1).astype(np.int64)
        predicted = out_of_fold(x, label, fit, 2, folds=settings.folds, seed=context.seed, crew=context.engine)
        probability[:, k] = predicted.probability[:, 1]
        # Those of the last class will do: they differ in the parts only that the samples were divided into.
        near = predicted.neighbours
        tell(1)
    found = multi_label(probability, given, fit)
    # A sample without a label names no class, which is not to say that it shows none.
    wrong = np.flatnonzero(found.wrong & labelled)
    action, notes = _action(material, len(wrong))
    evidence, words = _told(names, given, probability, found.missing, found.superfluous, wrong)
    for facts, row in zip(evidence, near[wrong], strict=True):
        facts["neighbours"] = _neighbours(dataset, places[row[row >= 0][:NEIGHBOURS]])
    verdicts, certainty = divided(
        dataset, places[wrong], action, "wrong-label", LIKELY + 0.99 * (1 - found.score[wrong]),
        score=found.score[wrong], threshold=DOUBTFUL, detail=words, evidence=evidence,
    )  # fmt: skip
    rows = dataset.rows[places[wrong]].tolist()
    likely = (given | found.missing) & ~found.superfluous
    joined = {row: _joined(names, likely[i], settings.separator) for row, i in zip(rows, wrong.tolist(), strict=True)}
    relabelled = verdicts.sample[verdicts.action == Action.RELABEL].tolist()
    return Findings(
        verdicts,
        certainty,
        {
            "labels": {
                "by": "one class against the others",
                "noise_rates": {
                    name: round(rate, 5) for name, rate in zip(names, found.noise_rate.tolist(), strict=True)
                },
            }
        },
        notes,
        labels={row: joined[row] for row in relabelled},
        artefacts=weights_file(dataset, verdicts, dict(zip(rows, found.score[wrong].tolist(), strict=True))),
        scored=[_scored(dataset, places, found, labelled)],
    )


def _scored(dataset: Dataset, places: Ints, found: MultiLabel, labelled: Bools) -> Scored:
    score = np.where(labelled, found.score, np.nan)
    unit = "quality of the worst of its labels"
    return scored(dataset, "wrong-label", unit, places, score, DOUBTFUL, "below", found.wrong & labelled, labelled)[0]


def class_sets_of(dataset: Dataset, separator: str | None, places: Ints) -> tuple[Bools, list[str]]:
    """(m, K) bool, which classes each of some samples is said to show, and the names of the classes."""
    if separator is None:
        sets = [dataset.class_sets.get(label, (label,)) for label in dataset.classes]
    else:
        sets = [tuple(part.strip() for part in label.split(separator) if part.strip()) for label in dataset.classes]
    names = sorted({name for group in sets for name in group})
    number = {name: k for k, name in enumerate(names)}
    # The last row is that of a sample without a label.
    table = np.zeros((len(sets) + 1, len(names)), dtype=bool)
    for code, group in enumerate(sets):
        table[code, [number[name] for name in group]] = True
    return table[dataset.labels[places]], names


def _action(material: Material, found: int) -> tuple[Action, list[str]]:
    action = Action(material.settings.labels_action)
    if action is Action.RELABEL and found and (why := unchangeable(material.dataset)) is not None:
        return Action.FLAG, [f"labels: {why}; {found:,} flagged instead"]
    if action is Action.DROP and found and material.dataset.class_sets:
        words = "objects are too small a part of a picture to judge it by"
        return Action.FLAG, [f"labels: {words}; {found:,} flagged, not dropped"]
    return action, []


def _told(
    names: list[str], given: Bools, probability: Small, missing: Bools, superfluous: Bools, wrong: Ints
) -> tuple[list[Any], list[str | None]]:
    evidence: list[Any] = []
    words: list[str | None] = []
    for i in wrong.tolist():
        facts: dict[str, Any] = {"given": [names[k] for k in np.flatnonzero(given[i]).tolist()]}
        said = []
        for word, which in (("missing", missing[i]), ("superfluous", superfluous[i])):
            chosen = np.flatnonzero(which).tolist()
            facts[word] = {names[k]: round(float(probability[i, k]), 4) for k in chosen}
            said += [f"{names[k]} ({probability[i, k]:.0%}) is likely {word}" for k in chosen]
        evidence.append(facts)
        words.append(", ".join(said) or None)
    return evidence, words


def _neighbours(dataset: Dataset, near: Ints) -> list[dict[str, str]]:
    names = dataset.source.ids(dataset.rows[near])
    labels = [dataset.classes[code] for code in dataset.labels[near].tolist()]
    return [{"id": name, "label": label} for name, label in zip(names, labels, strict=True)]


def _joined(names: list[str], chosen: Bools, separator: str | None) -> str:
    return (separator or "+").join(names[k] for k in np.flatnonzero(chosen).tolist())
