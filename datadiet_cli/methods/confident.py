"""Confident learning: what the labels given and the true ones have in common, counted where a model is confident.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021,
arXiv:1911.00068: the confident joint (section 3.1, equations 1 and 2), its calibration (equation 3), and pruning by
noise rate (section 3.2).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Bools = NDArray[np.bool_]

SUM = 1e-3
"""How far from 1 the probabilities of a row may add up."""
_SLACK = 1e-6
_NUMBERS = 1 << 20


def check_probabilities(probability: NDArray[np.floating], n: int, classes: int) -> None:
    """Refuse what are no probabilities.

    Args:
        probability: to be (n, classes), at least 0, with rows that add up to 1 within 0.001.
        n: number of rows there must be.
        classes: number of columns there must be.

    Raises:
        ValueError: they are not; the first row at fault is named, counted from 0.
    """
    if probability.shape != (n, classes):
        shape = " x ".join(str(size) for size in probability.shape)
        raise ValueError(f"probabilities are {shape}; {n} samples and {classes} classes need {n} x {classes}")
    for some in blocks(n, classes):
        part = probability[some]
        for wrong, what in (
            (~np.isfinite(part).all(axis=1), "has a missing or infinite probability"),
            ((part < 0).any(axis=1), "has a negative probability"),
            (np.abs(part.sum(axis=1, dtype=np.float64) - 1) > SUM, "does not add up to 1"),
        ):
            if wrong.any():
                raise ValueError(f"probabilities: row {some.start + int(wrong.argmax())} {what}")


def blocks(n: int, width: int) -> Iterator[slice]:
    """Rows to work on at once, so that a temporary of all of them is never needed."""
    step = max(1, _NUMBERS // max(width, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def given_probability(probability: Floats, label: Ints) -> Wide:
    """Self-confidence: what a row's own label is given; 1 for a row without one.

    Args:
        probability: (n, K) float32.
        label: (n,) int64, -1 for none.

    Returns:
        (n,) float64.
    """
    own: Wide = np.ones(len(label))
    has = label >= 0
    own[has] = probability[has, label[has]]
    return own


def thresholds(probability: Floats, label: Ints) -> Wide:
    """What counts as confident: the mean self-confidence of a class (equation 2).

    Args:
        probability: (n, K) float32.
        label: (n,) int64; rows with -1 do not count.

    Returns:
        (K,) float64; infinite for a class without rows.
    """
    has = label >= 0
    classes = probability.shape[1]
    count = np.bincount(label[has], minlength=classes)
    total = np.bincount(label[has], given_probability(probability, label)[has], classes)
    mean: Wide = np.divide(total, count, out=np.full(classes, np.inf), where=count > 0)
    return mean


def confident_joint(probability: Floats, label: Ints) -> Ints:
    """Count rows by the label they have and the one that they confidently ought to have (equation 1).

    Args:
        probability: (n, K) float32, out of fold.
        label: (n,) int64; rows with -1 do not count.

    Returns:
        (K, K) int64, rows are labels given; at least 1 on the diagonal.
    """
    classes = probability.shape[1]
    least = (thresholds(probability, label) - _SLACK).astype(np.float64)
    count = np.zeros(classes * classes, dtype=np.int64)
    for some in blocks(len(label), classes):
        part, own = probability[some], label[some]
        sure = np.where(part >= least, part, np.float32(-1))
        guess = sure.argmax(axis=1)
        counts = (own >= 0) & (sure[np.arange(len(own)), guess] >= 0)
        count += np.bincount(own[counts] * classes + guess[counts], minlength=classes * classes)
    joint = count.reshape(classes, classes)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return joint


def calibrated(joint: Ints, count: Ints) -> Wide:
    """Scale a confident joint so that each label has as many rows as were given it (equation 3).

    Args:
        joint: (K, K) int64 of `confident_joint`.
        count: (K,) int64 rows of each label.

    Returns:
        (K, K) float64 that adds up to all rows.
    """
    scaled: Wide = joint / joint.sum(axis=1, keepdims=True) * count[:, None]
    return scaled


def prune_by_noise_rate(probability: Floats, label: Ints, joint: Wide) -> Bools:
    """The rows that are most clearly of another class, for each two classes as many as their joint says.

    Args:
        probability: (n, K) float32.
        label: (n,) int64; rows with -1 are left alone.
        joint: (K, K) float64, calibrated counts.

    Returns:
        (n,) rows whose label is wrong; one that is more probable than all others never is.
    """
    wrong = np.zeros(len(label), dtype=bool)
    most = np.rint(joint).astype(np.int64)
    np.fill_diagonal(most, 0)
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(len(joint) + 1))
    for given in range(len(joint)):
        rows, others = order[bounds[given] : bounds[given + 1]], np.flatnonzero(most[given])
        # Of a single row nobody can say that its class does not fit.
        if len(rows) < 2 or not len(others):
            continue
        own = probability[rows]
        margin = own[:, others] - own[:, [given]]
        rank = np.minimum(most[given, others], len(rows))
        least = np.take_along_axis(np.sort(margin, axis=0), (len(rows) - rank)[None], axis=0)
        wrong[rows] = ((margin >= least) & (margin > 0)).any(axis=1)
    return wrong
