"""Weights instead of samples that go or are made: nothing of the data changes."""

import json
from typing import Any

import numpy as np

from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.weights import class_weights, prior_threshold, sample_weights
from datadiet_cli.outcome import Changes, Outcome, Verdicts
from datadiet_cli.steps.balancing.base import STEP, Floats, Task
from datadiet_cli.steps.features import features_of, meanings
from datadiet_cli.steps.groups import Groups
from datadiet_cli.steps.weights_file import ENDING, shown, weights_csv

CLASSES_ENDING = ".class_weights.json"
USE = (
    "either train with the weights (of classes, or those of samples in the .weights.csv) and decide as usual, "
    "or train without them and divide the probability of each class by its threshold before taking the largest; "
    "with two classes: call it positive from the threshold on; not both"
)


def weighed(task: Task) -> Outcome:
    """Weigh training samples by how frequent their group is.

    Raises:
        ConfigError: the settings do not fit the data.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    dataset, settings = task.dataset, task.settings
    parts: list[Verdicts] = []
    if dataset.class_sets and settings.group_by is None:
        groups, counts, weight, of_sample = _of_sets(task)
    else:
        groups, counts = task.groups, task.groups.counts
        weight = class_weights(counts, settings.weights)
        quality = None
        if settings.weights == "sample":
            quality, flags = _quality(task)
            parts.append(flags)
        of_sample = sample_weights(groups.code, weight, quality)
    names = groups.names
    table: dict[str, Any] = {
        "scheme": settings.weights,
        "weights": _by(names, np.round(weight, 6)),
        "counts": _by(names, counts),
        "thresholds": _thresholds(task),
        "how to use": USE,
    }
    training = dataset.keep(dataset.training)
    values = of_sample[dataset.training].tolist()
    column = {row: shown(value) for row, value in zip(training.rows.tolist(), values, strict=True)}
    both = {name: {"before": n, "after": n} for name, n in _by(names, counts).items()}
    metrics = {
        "groups": both, "target": None, "scheme": settings.weights,
        "weights": table["weights"], "thresholds": table["thresholds"],
    }  # fmt: skip
    return Outcome(
        Verdicts.join(parts),
        {**metrics, "notes": _notes(task, names, weight)},
        changes=Changes(columns={settings.weight_column: column}) if settings.weight_column else Changes(),
        artefacts={
            ENDING: weights_csv(training.ids, values),
            CLASSES_ENDING: json.dumps(table, indent=2, ensure_ascii=True).encode("ascii") + b"\n",
        },
    )


def _by(names: tuple[str, ...], values: Any) -> dict[str, Any]:
    return dict(zip(names, values.tolist(), strict=True))


def _of_sets(task: Task) -> tuple[Groups, Any, Floats, Floats]:
    """Where a picture shows several classes: each counts, and the picture weighs as much as its weightiest."""
    dataset = task.dataset
    if task.settings.weights == "sample":
        raise ConfigError(f"{STEP}: weights sample needs one class for each sample; use weights class")
    place, label, names = dataset.memberships()
    mine = dataset.training[place] & (label >= 0)
    counts = np.bincount(label[mine], minlength=len(names)).astype(np.int64)
    weight = class_weights(counts, task.settings.weights)
    of_sample = np.zeros(len(dataset))
    np.maximum.at(of_sample, place[mine], weight[label[mine]])
    some = of_sample > 0
    if some.any():
        of_sample[some] /= of_sample[some].mean()
    of_sample[~some] = 1.0
    return Groups(dataset.labels.astype(np.int64), names, 0), counts, weight, of_sample


def _quality(task: Task) -> tuple[Floats, Verdicts]:
    """(n,) how probable its label is to models that have not seen a sample, NaN where nobody knows."""
    dataset, settings, context = task.dataset, task.settings, task.context
    quality = np.full(len(dataset), np.nan)
    members = task.members[dataset.labels[task.members] >= 0]
    if len(np.unique(dataset.labels[members])) < 2:
        raise ConfigError(f"{STEP}: weights sample needs samples of two classes; use weights class")
    mask = np.zeros(len(dataset), dtype=bool)
    mask[members] = True
    features = features_of(dataset.keep(mask), settings.encoder, settings.columns, context, STEP)
    readable = np.asarray(features.causes == None, dtype=np.bool_)  # noqa: E711 - elementwise
    blind = np.flatnonzero(~readable)
    words = meanings(dataset.kind, context)
    flags = task.unreadable(members[blind], features.causes[blind].tolist(), words)
    label = dataset.labels[members].astype(np.int64)
    if features.matrix.shape[1] and len(np.unique(label[readable])) > 1:
        predicted = out_of_fold(
            features.matrix, label, readable, len(dataset.classes), seed=context.seed, crew=context.engine
        )
        own = predicted.probability[np.arange(len(label)), label].astype(np.float64)
        quality[members[readable]] = np.clip(own, 0, 1)[readable]
    return quality, flags


def _thresholds(task: Task) -> dict[str, float]:
    """Where to cut the probabilities of a model that was trained without weights, by class."""
    dataset = task.dataset
    if not dataset.classes or dataset.class_sets:
        return {}
    mine = dataset.training & (dataset.labels >= 0)
    counts = np.bincount(dataset.labels[mine], minlength=len(dataset.classes))
    return _by(dataset.classes, np.round(prior_threshold(counts), 6))


def _notes(task: Task, names: tuple[str, ...], weight: Floats) -> list[str]:
    some = np.flatnonzero(weight > 0)
    if not len(some):
        return ["no training sample has a group; all weigh the same"]
    least, most = (int(some[pick(weight[some])]) for pick in (np.argmin, np.argmax))
    where = f"{ENDING} and {CLASSES_ENDING} beside the output"
    ends = [f"{weight[i]:.3g} ({names[i]})" for i in (least, most)]
    notes = [f"weights from {ends[0]} to {ends[1]}, and thresholds, are in {where}"]
    if weight[least] == weight[most]:
        notes = ["all groups have the same size, and weigh the same"]
    if task.settings.mark_column is not None:
        notes.append("mark_column has no effect with weights, since no sample is made")
    if task.settings.weight_column is not None and not isinstance(task.dataset.source, TableSource):
        raise ConfigError(f"{STEP}: --weight-column needs a table; for files the weights stand in OUTPUT{ENDING}")
    return notes
