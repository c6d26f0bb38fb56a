"""How good predictions are: the figures of classification and of regression, as scikit-learn defines them."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datadiet_cli.methods.metrics_curves import ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Probabilities = NDArray[np.float32] | NDArray[np.float64]

BINS = 15
"""Of the expected calibration error."""
MATRIX = 50
"""Of more classes than this the report has no confusion matrix, but the pairs that are confused most often."""
CONFUSED = 20
_CELLS = 1 << 22
_OFF = 1e-3


def classification(labels: ArrayLike, probability: Probabilities, classes: Sequence[str]) -> dict[str, Any]:
    """Every figure of a classification.

    A prediction is the likeliest class, the first of equals. As in scikit-learn a share of nothing is 0, and averages
    are over the classes that occur among labels or predictions; balanced accuracy and the recall of the worst class
    are over those that occur among labels. ROC-AUC and average precision are one-vs-rest, of the classes that have
    both samples and others among the labels; ``absent`` names those without samples. With two classes the last is the
    positive one, and ``roc_auc`` and ``average_precision`` are its; with more they are macro averages.

    Args:
        labels: (n,) int64 in [0, K), n at least 1.
        probability: (n, K) float32 or float64, rows from 0 to 1 that sum to 1.
        classes: K names.

    Returns:
        JSON values; None for what is not defined. ``accuracy``, ``balanced_accuracy``, ``macro`` and ``weighted``
        (each with ``precision``, ``recall``, ``f1``, ``roc_auc``, ``average_precision``), ``roc_auc``,
        ``average_precision``, ``calibration_error``, ``brier``, ``log_loss``, ``worst_class`` (``name``, ``recall``),
        ``positive``, ``absent``, ``per_class`` (lists by class), ``confusion`` (rows are labels; None for more than
        `MATRIX` classes) and ``confused`` (label, prediction, how often).

    Raises:
        ValueError: there are no samples, shapes do not fit, a label is no class, or rows are no probabilities.
    """
    label = check(labels, probability, len(classes))
    predicted = likeliest(probability)
    matrix = confusion(label, predicted, len(classes))
    support, chosen, right = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    precision, recall, f1 = precision_recall_f1(matrix)
    area, average = ranking(label, probability)
    there, met = support > 0, (support + chosen) > 0
    positive = len(classes) - 1 if len(classes) == 2 else None
    per_class = {"precision": precision, "recall": recall, "f1": f1, "roc_auc": area, "average_precision": average}
    worst = int(np.where(there, recall, np.inf).argmin())
    return {
        "accuracy": float(right.sum() / len(label)),
        "balanced_accuracy": float(recall[there].mean()),
        "macro": {name: _mean(values[met]) for name, values in per_class.items()},
        "weighted": {name: _mean(values[met], support[met]) for name, values in per_class.items()},
        "roc_auc": _mean(area) if positive is None else _value(area[positive]),
        "average_precision": _mean(average) if positive is None else _value(average[positive]),
        "calibration_error": calibration_error(label, probability),
        "brier": brier(label, probability),
        "log_loss": log_loss(label, probability),
        "worst_class": {"name": classes[worst], "recall": float(recall[worst])},
        "positive": None if positive is None else classes[positive],
        "absent": [classes[k] for k in np.flatnonzero(~there).tolist()],
        "per_class": {
            "class": list(classes),
            "samples": support.tolist(),
            "predicted": chosen.tolist(),
            **{name: [_value(value) for value in values.tolist()] for name, values in per_class.items()},
        },
        "confusion": matrix.tolist() if len(classes) <= MATRIX else None,
        "confused": confused(matrix, classes),
    }


def regression(values: ArrayLike, predicted: ArrayLike) -> dict[str, float | None]:
    """The figures of a regression.

    Args:
        values: (n,) finite numbers to predict, n at least 1.
        predicted: (n,) finite predictions.

    Returns:
        ``r2``, ``mae``, ``rmse``. Of a single sample there is no R2: None. Where all values are equal it is 1 for
        predictions without an error, else 0, as in scikit-learn.

    Raises:
        ValueError: there are no samples, shapes differ, or numbers are not finite.
    """
    y, p = np.asarray(values, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise ValueError(f"{y.shape} values and {p.shape} predictions; both must be a row of one at least")
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise ValueError("values and predictions must be finite")
    error = float(((y - p) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - error / spread if spread > 0 else float(error == 0)
    mae, rmse = float(np.abs(y - p).mean()), float(np.sqrt(error / len(y)))
    return {"r2": r2 if len(y) > 1 else None, "mae": mae, "rmse": rmse}


def check(labels: ArrayLike, probability: Probabilities, classes: int) -> Ints:
    """The labels as (n,) int64, if these are labels and probabilities of so many classes.

    Raises:
        ValueError: they are not, as `classification` says.
    """
    label = np.asarray(labels)
    if label.ndim != 1 or not len(label):
        raise ValueError("there are no test samples")
    if probability.shape != (len(label), classes):
        raise ValueError(f"probabilities are {probability.shape}, not {(len(label), classes)}")
    if label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= classes:
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}")
    for rows in _blocks(len(label), classes):
        part = probability[rows]
        total = part.sum(axis=1, dtype=np.float64)
        # Written so that NaN fails.
        if not (part.min() >= 0 and part.max() <= 1 + _OFF and np.abs(total - 1).max() <= _OFF):
            raise ValueError("probabilities must be from 0 to 1, and those of a sample sum to 1")
    return label.astype(np.int64)


def likeliest(probability: Probabilities) -> Ints:
    """(n,) int64, the class of each row that has the largest probability; the first of equals."""
    best: Ints = probability.argmax(axis=1).astype(np.int64)
    return best


def confusion(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """(K, K) int64: how many samples of the row's class were taken for the column's.

    Args:
        labels: (n,) int64 in [0, classes).
        predicted: (n,) int64 in [0, classes).
        classes: K.
    """
    pairs: Ints = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def precision_recall_f1(matrix: Ints) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class, (K,) float64; a share of nothing is 0.

    Args:
        matrix: (K, K) int64, as `confusion` gives it.
    """
    right, support, chosen = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return _share(right, chosen), _share(right, support), _share(2 * right, support + chosen)


def confused(matrix: Ints, classes: Sequence[str]) -> list[list[Any]]:
    """The pairs of different classes that are confused most often; ties in the order of classes.

    Args:
        matrix: (K, K) int64, as `confusion` gives it.
        classes: K names.

    Returns:
        at most `CONFUSED`, each the class, what it was taken for, and how often.
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    flat = wrong.ravel()
    # Of the pairs of a thousand classes hardly any are met.
    met = np.flatnonzero(flat)
    worst = met[np.argsort(-flat[met], kind="stable")[:CONFUSED]]
    pairs = [(divmod(int(at), len(classes)), int(flat[at])) for at in worst]
    return [[classes[one], classes[other], count] for (one, other), count in pairs]


def calibration_error(labels: Ints, probability: Probabilities, bins: int = BINS) -> float:
    """Expected calibration error of the likeliest class (Guo et al., On Calibration of Modern Neural Networks, 2017).

    Confidences are put into bins of equal width, closed at their upper end; the error is the mean over samples of the
    gap between mean confidence and accuracy of their bin.

    Args:
        labels: (n,) int64 in [0, K).
        probability: (n, K).
        bins: how many.
    """
    confidence = probability.max(axis=1).astype(np.float64)
    right = likeliest(probability) == labels
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def brier(labels: Ints, probability: Probabilities) -> float:
    """Mean squared distance of probabilities from the truth; as in scikit-learn half of it with two classes.

    Args:
        labels: (n,) int64 in [0, K).
        probability: (n, K).
    """
    n, classes = probability.shape
    total = 0.0
    for rows in _blocks(n, classes):
        off = probability[rows].astype(np.float64)
        off[np.arange(len(off)), labels[rows]] -= 1
        total += float((off**2).sum())
    return total / len(labels) / (2 if classes <= 2 else 1)


def log_loss(labels: Ints, probability: Probabilities) -> float:
    """Mean of -log of the probability of the label, which is held off 0 and 1 by the machine epsilon of its type.

    Args:
        labels: (n,) int64 in [0, K).
        probability: (n, K).
    """
    own = probability[np.arange(len(labels)), labels]
    least = float(np.finfo(own.dtype).eps)
    return float(-np.log(np.clip(own.astype(np.float64), least, 1 - least)).mean())


def _blocks(n: int, classes: int) -> list[slice]:
    step = max(1, _CELLS // max(classes, 1))
    return [slice(start, start + step) for start in range(0, n, step)]


def _share(part: Ints, whole: Ints) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))


def _mean(values: Floats, weights: Ints | None = None) -> float | None:
    """Mean of those that are defined."""
    there = ~np.isnan(values)
    if weights is not None:
        there &= weights > 0
    if not there.any():
        return None
    return float(np.average(values[there], weights=None if weights is None else weights[there]))


def _value(number: float) -> float | None:
    return None if isnan(number) else float(number)
