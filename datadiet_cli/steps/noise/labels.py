"""Wrong labels: what the features of a sample, or the user's own model, say about the label it was given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from datadiet_cli.data.changed import unchangeable
from datadiet_cli.data.dataset import UNKNOWN
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.mislabelled import BAYES, DOUBTFUL, Mislabelled, find_mislabelled
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.trust import LESS, Trust, trust
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.noise.base import LIKELY, Findings, Floats, Ints, Small, divided, nothing
from datadiet_cli.steps.noise.material import STEP, Material
from datadiet_cli.steps.noise.pred_probs import read_pred_probs
from datadiet_cli.steps.noise.quantities import quantities_of, wrong_quantities
from datadiet_cli.steps.noise.scored import Scored, calls_of, scored
from datadiet_cli.steps.noise.several import wrong_sets
from datadiet_cli.steps.noise.weighing import weights_file

REASON = "wrong-label"
NEIGHBOURS = 5
"""Neighbours that a verdict names."""
MANY = 0.1
"""Share of the labels; when more look wrong than are wrong as a rule, that is said."""
PAIRS = 20
"""Confusions of classes that the report tells, the most frequent first; the matrix whole up to so many classes."""


def wrong_labels(material: Material) -> Findings:
    """Find samples whose label is most likely wrong.

    Raises:
        ConfigError: there are no labels, though they were asked for.
        InputError: the file of probabilities does not fit.
    """
    settings, dataset = material.settings, material.dataset
    if (why := _without_labels(material)) is not None:
        if settings.labels == "auto" and settings.pred_probs is None:
            return nothing(notes=[f"labels: {why}"])
        raise ConfigError(f"{STEP}: labels: {why}")
    if dataset.class_sets or settings.separator is not None:
        return wrong_sets(material)
    numbers = quantities_of(dataset, settings.task)
    if numbers is not None:
        return wrong_quantities(material, numbers)
    return _wrong_classes(material)


def _without_labels(material: Material) -> str | None:
    """Why there is nothing to judge."""
    dataset = material.dataset
    if not len(dataset.classes):
        return "there are none; --label names their column"
    if len(dataset.classes) < 2:
        return f"all samples are of one class, {dataset.classes[0]}"
    if material.settings.pred_probs is None:
        return material.skipped("auto", "labels")
    return None


def _wrong_classes(material: Material) -> Findings:
    settings, dataset, context = material.settings, material.dataset, material.context
    method = "confident-learning" if settings.labels == "auto" else settings.labels
    classes = len(dataset.classes)
    if settings.pred_probs is not None:
        places = np.flatnonzero(material.left)
        probability = read_pred_probs(settings.pred_probs, dataset)[places]
        neighbours: Ints = np.empty((len(places), 0), dtype=np.int64)
        label = dataset.labels[places].astype(np.int64)
        fit = (label != UNKNOWN) & dataset.training[places]
        known, source = None, settings.pred_probs
    else:
        places, x = _judged(material)
        label = dataset.labels[places].astype(np.int64)
        fit = (label != UNKNOWN) & dataset.training[places]
        if not fit.any():
            return nothing(notes=[material.featureless])
        tell = context.progress("predicting labels", settings.folds)
        predicted = out_of_fold(x, label, fit, classes, folds=settings.folds, seed=context.seed, crew=context.engine)
        tell(settings.folds)
        probability, neighbours = predicted.probability, predicted.neighbours
        known = trust(x, label, fit, probability, neighbours, floor=settings.min_trust, seed=context.seed)
        source = " + ".join(predicted.members)
    known_neighbours = neighbours if neighbours.shape[1] else None
    try:
        found = find_mislabelled(probability, label, fit, method, neighbours=known_neighbours)
    except ValueError as error:
        raise ConfigError(f"{STEP}: labels {method}: {error}") from None
    wrong = np.flatnonzero(found.wrong)
    pictures = _scored(material, places, label, neighbours, found, method)
    action, notes = _action(material, known, len(wrong), int((label != UNKNOWN).sum()))
    evidence, words = _told(material, places, label, neighbours, found, wrong)
    verdicts, certainty = divided(
        dataset,
        places[wrong],
        action,
        REASON,
        LIKELY + 0.99 * (1 - found.score[wrong]),
        score=found.score[wrong],
        threshold=_thresholds(found, wrong),
        detail=words,
        evidence=evidence,
        witness=_witness(dataset.rows[places], label, neighbours, wrong),
    )
    suggested = {int(dataset.rows[places[i]]): dataset.classes[int(found.suggested[i])] for i in wrong.tolist()}
    return Findings(
        verdicts,
        certainty,
        {
            "labels": {"by": method, "probabilities": source, **_metrics(material, found, known)},
            **(material.told if known is not None else {}),
        },
        notes,
        labels=_new_labels(verdicts, suggested),
        artefacts=weights_file(
            dataset, verdicts, {int(dataset.rows[places[i]]): float(found.given_p[i]) for i in wrong.tolist()}
        ),
        scored=[pictures],
    )


def _judged(material: Material) -> tuple[Ints, Small]:
    """Positions and features of the samples that are still there and have some."""
    features = material.features
    left = features.usable & material.left[material.places]
    return material.places[left], features.matrix[left]


def _action(material: Material, known: Trust | None, found: int, judged: int) -> tuple[Action, list[str]]:
    """What becomes of wrong labels: what the user said, unless the features do not deserve it."""
    action = Action(material.settings.labels_action)
    floor = material.settings.min_trust
    if action is Action.FLAG or not found:
        return action, []
    if known is not None and not known.trusted:
        words = _distrust(known, floor)
        return Action.FLAG, [f"labels: {words}; {found:,} flagged instead (--min-trust sets the floor)"]
    if action is Action.RELABEL and (why := unchangeable(material.dataset)) is not None:
        return Action.FLAG, [f"labels: {why}; {found:,} flagged instead"]
    if judged and found / judged > MANY:
        words = "where so many do, the features may not decide the class; --labels-action flag only names them"
        return action, [f"labels: {found / judged:.0%} look wrong: {words}"]
    return action, []


def _distrust(known: Trust, floor: float) -> str:
    """Which figure is too low, and its floor."""
    if known.agreement < floor:
        return f"models that learned from different samples agree by {known.agreement:.3f} only, less than {floor:g}"
    return f"models agree with the labels by {known.kappa:.3f} only (kappa), less than {LESS * floor:.2g}"


def _thresholds(found: Mislabelled, wrong: Ints) -> Any:
    threshold = np.asarray(found.threshold, dtype=np.float64)
    return threshold[wrong] if threshold.ndim else float(threshold)


def _scored(material: Material, places: Ints, label: Ints, neighbours: Ints, found: Mislabelled, method: str) -> Scored:
    """What all labels score. In a class that could not be judged none was nearly wrong."""
    dataset = material.dataset
    cut = DOUBTFUL if method == BAYES else float(np.max(found.threshold, initial=0.0))
    threshold = cut if cut > 0 and found.judged.any() else None
    labelled = label != UNKNOWN
    score = np.where(labelled, found.score, np.nan)
    words = f"quality of the label, by {method}"
    open_ = labelled & found.judged[label]
    one, chosen = scored(dataset, REASON, words, places, score, threshold, "below", found.wrong, open_)
    witness = _witness(dataset.rows[places], label, neighbours, chosen)
    rows, limits = dataset.rows[places[chosen]], np.full(len(chosen), cut)
    return replace(one, calls=calls_of(dataset, REASON, rows, score[chosen], limits, witness))


def _witness(rows: Ints, label: Ints, neighbours: Ints, wrong: Ints) -> Ints:
    """The nearest sample that has another label; none where all agree."""
    witness = np.full(len(wrong), -1, dtype=np.int64)
    if neighbours.shape[1]:
        near = neighbours[wrong]
        other = (near >= 0) & (label[near] != label[wrong][:, None])
        first = other.argmax(axis=1)
        some = other.any(axis=1)
        witness[some] = rows[near[some, first[some]]]
    return witness


def _told(
    material: Material, places: Ints, label: Ints, neighbours: Ints, found: Mislabelled, wrong: Ints
) -> tuple[list[Any], list[str | None]]:
    """What each verdict rests on: both labels with their probabilities, and the neighbours that disagree."""
    dataset, classes = material.dataset, material.dataset.classes
    evidence: list[Any] = []
    words: list[str | None] = []
    near = neighbours[wrong] if neighbours.shape[1] else np.empty((len(wrong), 0), dtype=np.int64)
    disagree = (near >= 0) & (label[near] != label[wrong][:, None])
    for i, row, other in zip(wrong.tolist(), near, disagree, strict=True):
        given, likely = classes[int(label[i])], classes[int(found.suggested[i])]
        facts: dict[str, Any] = {
            "given": given,
            "suggested": likely,
            "given_probability": round(float(found.given_p[i]), 4),
            "suggested_probability": round(float(found.suggested_p[i]), 4),
        }
        if len(row):
            chosen = row[other][:NEIGHBOURS]
            ids = dataset.source.ids(dataset.rows[places[chosen]])
            names = [classes[code] for code in label[chosen].tolist()]
            facts["neighbours"] = [{"id": name, "label": said} for name, said in zip(ids, names, strict=True)]
            facts["disagreeing"] = f"{int(other.sum())} of {int((row >= 0).sum())}"
        evidence.append(facts)
        words.append(
            f"labelled {given} ({found.given_p[i]:.0%}), more likely {likely} ({found.suggested_p[i]:.0%})"
            + (f"; {facts['disagreeing']} neighbours disagree" if "disagreeing" in facts else "")
        )
    return evidence, words


def _metrics(material: Material, found: Mislabelled, known: Trust | None) -> dict[str, Any]:
    rate, (low, high) = found.noise_rate, found.interval
    told: dict[str, Any] = {
        "noise_rate": round(rate, 5),
        "noise_rate_interval": [round(low, 5), round(high, 5)],
        "noise_matrix": _matrix(np.asarray(found.noise_matrix), material.dataset.classes),
    }
    if known is not None:
        told["trust"] = {
            **{name: _rounded(getattr(known, name)) for name in ("accuracy", "purity", "chance", "kappa", "agreement")},
            "trusted": known.trusted,
            "floor": material.settings.min_trust,
            "encoder": material.features.encoder,
        }
    return told


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def _matrix(joint: Floats, classes: Sequence[str]) -> dict[str, Any]:
    """The share of samples of each given and each likely class, and the most frequent confusions by name."""
    off = joint.copy()
    np.fill_diagonal(off, 0)
    flat = np.argsort(-off, axis=None, kind="stable")[:PAIRS]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(flat, off.shape), strict=True) if off[i, j] > 0]
    told: dict[str, Any] = {
        "confusions": [
            {"given": classes[i], "likely": classes[j], "share": round(float(off[i, j]), 6)} for i, j in pairs
        ]
    }
    if len(classes) <= PAIRS:
        told |= {"classes": list(classes), "joint": np.round(joint, 6).tolist()}
    return told


def _new_labels(verdicts: Verdicts, suggested: dict[int, str]) -> dict[int, str]:
    return {row: suggested[row] for row in verdicts.sample[verdicts.action == Action.RELABEL].tolist()}
