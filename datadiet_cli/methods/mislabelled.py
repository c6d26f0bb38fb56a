"""Which labels are wrong, how many, and what they should be."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.confident import blocks, check_probabilities, given_probability
from datadiet_cli.methods.noise import NORMAL, Noise, fit_noise, isolated, posterior

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Bools = NDArray[np.bool_]

ALIKE = 0.1
"""Share of neighbours that may have the same label as an isolated row: one may be wrong as well."""
DOUBTFUL = 0.5
"""Probability that a label is right below which it may be wrong, by Bayes' rule."""
JUDGED_FROM = 5
"""A class with fewer rows is left alone: of a class of one a model knows nothing once that one is held out."""


@dataclass(frozen=True, eq=False)
class Mislabelled:
    """Which labels are wrong.

    Attributes:
        wrong: (n,) whether a label is: its score is below its threshold.
        score: (n,) float64 in [0, 1], quality of the label, low is bad; 1 for a row without one.
        threshold: (n,) float64; 0 where a row cannot be judged.
        suggested: (n,) int64, the likeliest true class; another than the one given where that is wrong.
        given_p: (n,) float64, probability of the label given; NaN for a row without one.
        suggested_p: (n,) float64, probability of the class suggested.
        noise_rate: estimated share of wrong labels among the rows to learn from.
        interval: low and high, 95 %: what the surest rows show, and all rows that are predicted otherwise, widened
            by the error of sampling.
        noise_matrix: (K, K) float64, estimated share of rows by label given (row) and true class; adds up to 1.
        judged: (K,) classes whose labels could be judged.
    """

    wrong: Bools
    score: Wide
    threshold: Wide
    suggested: Ints
    given_p: Wide
    suggested_p: Wide
    noise_rate: float
    interval: tuple[float, float]
    noise_matrix: Wide
    judged: Bools


@dataclass(frozen=True, eq=False)
class _Judged:
    """What the noise model makes of every row.

    Attributes:
        right: (n,) float64, probability that the label is right; 1 where there is none.
        class_: (n,) int64, the likeliest true class.
        other: (n,) float64, the highest probability of another class than the label given.
        joint: (K, K) float64, sums of posteriors by label given, over rows to learn from.
    """

    right: Wide
    class_: Ints
    other: Wide
    joint: Wide


Score = Callable[[Floats, Ints, _Judged, Ints | None], Wide]


def confident_learning(probability: Floats, label: Ints, judged: _Judged, neighbours: Ints | None) -> Wide:
    """Probability that a label is right, by the noise that the surest rows show."""
    return judged.right


def knn(probability: Floats, label: Ints, judged: _Judged, neighbours: Ints | None) -> Wide:
    """Share of the nearest rows that have a row's own label.

    Raises:
        ValueError: there are no neighbours.
    """
    if neighbours is None:
        raise ValueError("knn needs the nearest neighbours, which come with probabilities that were worked out here")
    return _same(label, neighbours)


def _same(label: Ints, neighbours: Ints) -> Wide:
    there = (neighbours >= 0) & (label[neighbours] >= 0)
    same, count = (there & (label[neighbours] == label[:, None])).sum(axis=1), there.sum(axis=1)
    share: Wide = np.where(count > 0, same / np.maximum(count, 1), 1.0)
    return share


def self_confidence(probability: Floats, label: Ints, judged: _Judged, neighbours: Ints | None) -> Wide:
    """Probability of the label given."""
    return given_probability(probability, label)


def normalised_margin(probability: Floats, label: Ints, judged: _Judged, neighbours: Ints | None) -> Wide:
    """Probability of the label given less the highest of another, brought to [0, 1]."""
    score: Wide = (given_probability(probability, label) - judged.other + 1) / 2
    return score


BAYES = "confident-learning"
RULES: dict[str, Score] = {
    BAYES: confident_learning,
    "knn": knn,
    "self-confidence": self_confidence,
    "normalised-margin": normalised_margin,
}
"""Name of a method -> score of label quality, before it is brought to [0, 1] and set to 1 where there is no label."""


def find_mislabelled(
    probability: Floats,
    label: Ints,
    fit: Bools,
    method: str = BAYES,
    *,
    neighbours: Ints | None = None,
) -> Mislabelled:
    """Find wrong labels.

    How many there are comes from the data, for every method: the joint distribution of given and true labels is
    estimated from the rows of which the model is surest, see `noise.fit_noise`; then by Bayes' rule

        P(true = k | given = g, x)  ~  P(given = g | true = k) P(true = k | x)

    and a label is wrong if it is more likely so than right. Method `confident-learning` flags just these; the others
    flag as many, those with the lowest score of their own. It goes on where the confident joint of Northcutt, Jiang
    and Chuang (arXiv:1911.00068, see `confident`) would prune a number of rows for each two classes: where classes
    overlap without noise it flags fewer, and where labels are mixed up at random it misses fewer. Where the surest rows
    show no noise, as with one wrong label in small data, P(true = k | x) decides on those that `noise.isolated` finds.

    A label is never flagged in a class of less than 5 rows to learn from, nor in a class that the model tells from
    others no better than chance, as it does when it says the majority of everything; nor the best row of a class.

    Args:
        probability: (n, K) float32, rows sum to 1; out of fold, or every label looks right.
        label: (n,) int64 in [0, K), -1 for none.
        fit: (n,) labelled rows that the noise is learned from; all rows with a label are judged.
        method: one of `RULES`.
        neighbours: (n, k) int64 rows, -1 for none; `knn` needs them; an isolated label is rare among them.

    Raises:
        ValueError: the probabilities are none, or a label or the method does not exist.
    """
    if method not in RULES:
        raise ValueError(f"no method {method}; there are {', '.join(RULES)}")
    n, classes = len(label), probability.shape[1] if probability.ndim == 2 else 0
    check_probabilities(probability, n, classes)
    if n and (label.min() < -1 or label.max() >= classes):
        raise ValueError(f"a label lies outside of 0 to {classes - 1}")
    learned = np.where(fit, label, -1)
    noise = fit_noise(probability, learned)
    count = np.bincount(learned[learned >= 0], minlength=classes)
    able, has = (count >= JUDGED_FROM) & noise.recognised, label >= 0
    alone = np.zeros(n, dtype=bool) if noise.share else isolated(probability, label, learned) & able[label]
    if neighbours is not None and alone.any():
        alone &= _same(label, neighbours) <= ALIKE
    judged = _judge(noise, probability, label, learned, alone)
    score = np.where(has, np.clip(RULES[method](probability, label, judged, neighbours), 0, 1), 1.0)
    threshold = _thresholds(score, able[label] & has, judged, label, None if method == BAYES else fit)
    wrong = score < threshold
    given = np.where(has, given_probability(probability, label), np.nan)
    suggested = np.where(wrong & (judged.class_ == label), _second(probability, label, wrong), judged.class_)
    rate, interval = _rate(noise, judged, label, learned)
    total = judged.joint.sum()
    matrix = judged.joint / total if total else np.full_like(judged.joint, 1 / max(classes, 1) ** 2)
    said = probability[np.arange(n), suggested].astype(np.float64)
    return Mislabelled(wrong, score, threshold, suggested, given, said, rate, interval, matrix, able)


def _thresholds(score: Wide, open_: Bools, judged: _Judged, label: Ints, fit: Bools | None) -> Wide:
    """The score below which a label is wrong; 0 where it cannot be. With `fit`, as many as Bayes' rule has there."""
    doubtful = open_ & (judged.right < DOUBTFUL) & (judged.class_ != label)
    if fit is None:
        threshold = np.where(doubtful, DOUBTFUL, 0.0)
    else:
        threshold = np.where(open_, _cut(score[open_ & fit], int((doubtful & fit).sum())), 0.0)
    threshold[_best_of_class(score, label)] = 0
    return threshold


def _judge(noise: Noise, probability: Floats, label: Ints, learned: Ints, alone: Bools) -> _Judged:
    n, classes = probability.shape
    right, other = np.ones(n), np.zeros(n)
    class_, joint = np.zeros(n, dtype=np.int64), np.zeros((classes, classes))
    # Rows of one label after another, so that sums by label are sums of slices.
    order = np.argsort(label, kind="stable")
    for some in blocks(n, classes):
        rows = order[some]
        part, own = probability[rows], label[rows]
        class_[rows] = part.argmax(axis=1)
        has = own >= 0
        true = posterior(noise, part[has], own[has])
        rows, own, part = rows[has], own[has], part[has]
        # Whatever the noise is elsewhere, the label of these says nothing.
        true[alone[rows]] = part[alone[rows]]
        if not len(rows):
            continue
        here = np.arange(len(rows))
        right[rows] = true[here, own]
        class_[rows] = true.argmax(axis=1)
        true[learned[rows] < 0] = 0
        first = np.flatnonzero(np.diff(own, prepend=-1))
        joint[own[first]] += np.add.reduceat(true, first, axis=0)
        part[here, own] = 0
        other[rows] = part.max(axis=1)
    return _Judged(right, class_, other, joint)


def _cut(score: Wide, k: int) -> float:
    """A threshold with k scores below it, or fewer where several are equal."""
    return float(np.partition(score, k)[k]) if 0 < k < len(score) else 0.0


def _best_of_class(score: Wide, label: Ints) -> Ints:
    """The row of each class with the best score."""
    has = np.flatnonzero(label >= 0)
    order = has[np.lexsort((-score[has], label[has]))]
    return order[np.flatnonzero(np.diff(label[order], prepend=-1))]


def _second(probability: Floats, label: Ints, rows: Bools) -> Ints:
    """The most probable class other than the one given."""
    out = np.zeros(len(label), dtype=np.int64)
    chosen = np.flatnonzero(rows)
    for some in blocks(len(chosen), probability.shape[1]):
        part = probability[chosen[some]]
        part[np.arange(len(part)), label[chosen[some]]] = -1
        out[chosen[some]] = part.argmax(axis=1)
    return out


def _rate(noise: Noise, judged: _Judged, label: Ints, learned: Ints) -> tuple[float, tuple[float, float]]:
    rows = learned >= 0
    n = int(rows.sum())
    if not n:
        return 0.0, (0.0, 1.0)
    doubt = 1 - judged.right[rows]
    rate = float(doubt.mean())
    error = float(np.hypot(noise.error, np.sqrt(rate * (1 - rate) / n)))
    low, high = min(noise.low, rate - NORMAL * error), max(noise.high, rate + NORMAL * error)
    return rate, (max(low, 0.0), min(high, 1.0))


@dataclass(frozen=True, eq=False)
class MultiLabel:
    """Which labels of samples with any number of them are wrong.

    Attributes:
        wrong: (n,) whether any is.
        missing: (n, K) classes that ought to be among the labels.
        superfluous: (n, K) classes that ought not to be.
        score: (n,) float64 in [0, 1], quality of the worst of a row's labels.
        noise_rate: (K,) float64, estimated share of rows on which a class is wrongly given or left out.
        interval: (K, 2) float64, low and high of these, 95 %.
    """

    wrong: Bools
    missing: Bools
    superfluous: Bools
    score: Wide
    noise_rate: Wide
    interval: Wide


def multi_label(probability: Floats, given: Bools, fit: Bools) -> MultiLabel:
    """Find wrong labels where a sample has any number of them: each class against the rest by `find_mislabelled`.

    Args:
        probability: (n, K) float32 in [0, 1]; rows need not add up to 1.
        given: (n, K) the labels given.
        fit: (n,) rows that noise is learned from.

    Raises:
        ValueError: shapes do not fit, or a probability lies outside of 0 to 1.
    """
    n, classes = given.shape
    if probability.shape != given.shape:
        shape = " x ".join(str(size) for size in probability.shape)
        raise ValueError(f"probabilities are {shape}; {n} samples and {classes} classes need {n} x {classes}")
    missing, superfluous = np.zeros((2, n, classes), dtype=bool)
    score, rate, interval = np.ones(n), np.zeros(classes), np.zeros((classes, 2))
    for class_ in range(classes):
        own = probability[:, class_].astype(np.float64)
        if not ((own >= 0) & (own <= 1)).all():
            raise ValueError(f"probabilities of class {class_}: one is missing or lies outside of 0 to 1")
        both = np.column_stack([1 - own, own]).astype(np.float32)
        found = find_mislabelled(both, given[:, class_].astype(np.int64), fit)
        missing[:, class_] = found.wrong & ~given[:, class_]
        superfluous[:, class_] = found.wrong & given[:, class_]
        score = np.minimum(score, found.score)
        rate[class_], interval[class_] = found.noise_rate, found.interval
    return MultiLabel(np.asarray((missing | superfluous).any(axis=1)), missing, superfluous, score, rate, interval)
