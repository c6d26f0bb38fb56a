"""Models of one kind and what they said of the test samples, and the figures of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods import metrics
from datadiet_cli.methods.intervals import Interval, t_interval
from datadiet_cli.methods.metrics_curves import drawn, roc_curve, thinned

CURVES = 20
"""Of more classes than this only those with the lowest areas have their ROC curve in the report."""
_DIGITS = 6

Truth = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arm:
    """Models of one kind, a seed each: trained on AFTER, on BEFORE, or on a control; or one model that was given.

    Attributes:
        name: ``after``, ``before``, ``random`` or ``cost``.
        probability: (S, n, K) float32 or float64 probabilities of the n test samples, or (S, n) predicted numbers.
        seconds: (S,) float64, of training by the clock; None for models that were given.
        inference: (S,) float64, seconds by the clock for all test samples; None likewise.
        samples_seen: (S,) int64, samples that the training looked at, each as often as it did; None likewise.
        samples: how many there were to train on; None likewise.
        bytes: size of what there was to train on, on disk; None if it is not known.
        epochs: passes over the samples; None likewise.
        steps: of the optimiser; None likewise.
    """

    name: str
    probability: NDArray[np.float32] | NDArray[np.float64]
    seconds: NDArray[np.float64] | None = None
    samples_seen: NDArray[np.int64] | None = None
    samples: int | None = None
    bytes: int | None = None
    epochs: int | None = None
    steps: int | None = None
    inference: NDArray[np.float64] | None = None

    @property
    def seeds(self) -> int:
        """How many models there are, S."""
        return len(self.probability)


def check(arms: Sequence[Arm], truth: Truth, classes: Sequence[str]) -> None:
    """Refuse arms that cannot be compared.

    Raises:
        ValueError: ``after`` or ``before`` is missing, names repeat, or shapes differ.
    """
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names) or not {"after", "before"} <= set(names):
        raise ValueError(f"arms must be after, before and others of different names, not {', '.join(names)}")
    shape = (arms[0].seeds, len(truth), *([len(classes)] if classes else []))
    for arm in arms:
        if arm.probability.shape != shape:
            raise ValueError(f"predictions of {arm.name} are {arm.probability.shape}, not {shape}")


def figures_of(
    arm: Arm, truth: Truth, classes: Sequence[str], confidence: float
) -> tuple[dict[str, Any], dict[str, list[float | None]]]:
    """What the report has of one arm, and its figures by seed.

    Args:
        arm: S models.
        truth: (n,) int64 classes, or float64 numbers.
        classes: K names; empty for numbers.
        confidence: of the t-intervals over seeds.
    """
    if not classes:
        numbers = [metrics.regression(truth, said) for said in arm.probability]
        by_seed = {name: [one[name] for one in numbers] for name in numbers[0]}
        return {"metrics": _spread(by_seed, confidence), "cost": _cost(arm)}, by_seed
    found = [metrics.classification(truth, said, classes) for said in arm.probability]
    by_seed = {name: [_flat(one)[name] for one in found] for name in _flat(found[0])}
    label = truth.astype(np.int64)
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for said in arm.probability:
        matrix += metrics.confusion(label, metrics.likeliest(said), len(classes))
    per_class = {name: _mean_by_class(found, name) for name in found[0]["per_class"] if name not in _SAME}
    block = {
        "metrics": _spread(by_seed, confidence),
        "per_class": {**{name: found[0]["per_class"][name] for name in _SAME}, **per_class},
        "confusion": matrix.tolist() if len(classes) <= metrics.MATRIX else None,
        "confused": metrics.confused(matrix, classes),
        "roc": _curves(arm, truth, classes),
        "cost": _cost(arm),
    }
    mean = drawn(label, list(arm.probability), classes)
    return block if mean is None else {**block, "roc_curve": mean}, by_seed


_SAME = ("class", "samples")


def _flat(found: dict[str, Any]) -> dict[str, float | None]:
    """The figures of a whole classification."""
    of_all = ("accuracy", "balanced_accuracy", "roc_auc", "average_precision")
    of_class = ("precision", "recall", "f1", "roc_auc", "average_precision")
    return {
        **{name: found[name] for name in of_all},
        **{f"{how}_{name}": found[how][name] for how in ("macro", "weighted") for name in of_class},
        "worst_class_recall": found["worst_class"]["recall"],
        **{name: found[name] for name in ("calibration_error", "brier", "log_loss")},
    }


def _spread(by_seed: dict[str, list[float | None]], confidence: float) -> dict[str, Any]:
    return {name: _interval(values, confidence) for name, values in by_seed.items()}


def _interval(values: Sequence[float | None], confidence: float) -> dict[str, Any] | None:
    """Mean and t-interval over seeds; no interval for one seed, and nothing where a seed has no value."""
    there = [float(value) for value in values if value is not None]
    if len(there) < len(values):
        return None
    if len(there) == 1:
        return {"mean": there[0], "lower": None, "upper": None, "by_seed": there}
    found: Interval = t_interval(there, confidence)
    return {**found.as_json(), "by_seed": there}


def _mean_by_class(found: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    columns = zip(*(one["per_class"][name] for one in found), strict=True)
    return [None if None in column else float(np.mean(column)) for column in columns]


def _curves(arm: Arm, truth: Truth, classes: Sequence[str]) -> list[dict[str, Any]]:
    """ROC curves of the mean probability over seeds, the positive class of two, the lowest areas of many."""
    count = np.bincount(truth.astype(np.int64), minlength=len(classes))
    there = np.flatnonzero((count > 0) & (count < len(truth))).tolist()
    if len(classes) == 2:
        there = [k for k in there if k == 1]
    curves = []
    for k in there:
        curve = roc_curve(truth == k, arm.probability[:, :, k].mean(axis=0, dtype=np.float64))
        few = thinned(curve)
        curves.append(
            {
                "class": classes[k],
                "area": curve.area,
                "false_positives": np.round(few.false_positives, _DIGITS).tolist(),
                "true_positives": np.round(few.true_positives, _DIGITS).tolist(),
            }
        )
    kept = sorted(range(len(curves)), key=lambda i: curves[i]["area"])[:CURVES]
    return [curves[i] for i in sorted(kept)]


def _cost(arm: Arm) -> dict[str, Any]:
    seen = None if arm.samples_seen is None else round(float(np.mean(arm.samples_seen)))
    return {
        "samples": arm.samples, "bytes": arm.bytes, "epochs": arm.epochs, "steps": arm.steps, "samples_seen": seen,
    }  # fmt: skip
