"""How well scores rank samples of a class above the others: areas under curves, and the curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scores = NDArray[np.float32] | NDArray[np.float64]

POINTS = 200
DRAWN = 51
"""Points of a mean curve that is drawn."""
MANY = 1000
"""Of more classes than this no mean curve is worked out: each costs another sort of all scores."""
_DIGITS = 4
_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class Curve:
    """A receiver operating characteristic.

    Attributes:
        false_positives: (m,) float64, ascending from 0 to 1: share of the others at or above a threshold.
        true_positives: (m,) float64, ascending from 0 to 1: share of the class at or above it.
        thresholds: (m,) float64, descending from infinity.
    """

    false_positives: Floats
    true_positives: Floats
    thresholds: Floats

    @property
    def area(self) -> float:
        """Under the straight lines from point to point."""
        return float(np.trapezoid(self.true_positives, self.false_positives))


def ranking(labels: Ints, probability: Scores) -> tuple[Floats, Floats]:
    """Area under the ROC curve, and average precision, of each class against the rest.

    The first is the share of pairs, one sample of the class and one of the others, that are ranked rightly; equal
    scores count half (the Mann-Whitney statistic). Average precision is the mean over the samples of the class of the
    precision at their score, all samples of equal score taken together, as scikit-learn has it. Only the samples of a
    class are looked up among all scores, so many classes cost a sort of plain numbers each.

    Args:
        labels: (n,) int64 in [0, K).
        probability: (n, K) scores, not NaN.

    Returns:
        two (K,) float64; NaN for a class that no samples have, and the area also for one that all have.
    """
    n, classes = probability.shape
    area, precision = np.full(classes, np.nan), np.full(classes, np.nan)
    by_class = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=classes))
    step = max(1, _CELLS // max(n, 1))
    for k in range(classes):
        if k % step == 0:
            columns = np.sort(probability[:, k : k + step].T, axis=1)
        members = by_class[(ends[k - 1] if k else 0) : ends[k]]
        if not len(members):
            continue
        every = columns[k % step]
        own = np.sort(probability[members, k])
        below, upto = np.searchsorted(every, own, "left"), np.searchsorted(every, own, "right")
        at_or_above = len(own) - np.searchsorted(own, own, "left")
        precision[k] = (at_or_above / (n - below)).mean()
        if len(own) < n:
            # Twice the ranks, ties averaged, are whole numbers.
            twice = int((below + upto + 1).sum()) - len(own) * (len(own) + 1)
            area[k] = twice / (2 * len(own) * (n - len(own)))
    return area, precision


def roc_curve(positive: Bools, score: Scores) -> Curve:
    """The whole curve: a point for each different score, those in the midst of equal steps left out.

    Args:
        positive: (n,) bool, of the class; some must be and some not.
        score: (n,), not NaN; the higher the more likely of the class.

    Raises:
        ValueError: all samples are of the class, or none.
    """
    count = int(np.count_nonzero(positive))
    if not 0 < count < len(positive):
        raise ValueError("a ROC curve takes samples of the class and others")
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(positive[order])[last]
    misses = last + 1 - hits
    corner = np.ones(len(last), dtype=bool)
    corner[:-1] = (np.diff(hits, 2, prepend=0) != 0) | (np.diff(misses, 2, prepend=0) != 0) if len(last) > 1 else True
    hits, misses, last = hits[corner], misses[corner], last[corner]
    return Curve(
        np.append(0.0, misses / (len(positive) - count)),
        np.append(0.0, hits / count),
        np.append(np.inf, ordered[last].astype(np.float64)),
    )


def thinned(curve: Curve, points: int = POINTS) -> Curve:
    """A curve of few points and of almost the same area, to be drawn and to be kept in a report.

    Points at equal steps along `false + true positives` are kept, each the one before or after the step by which the
    error of the area so far is smaller: a straight line over a stair errs to one side, over the next to the other.

    Args:
        curve: of any number of points.
        points: how many to keep at most, at least 2.
    """
    m = len(curve.thresholds)
    if m <= points:
        return curve
    x, y = curve.false_positives, curve.true_positives
    way = x + y
    under = np.append(0.0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    after = np.searchsorted(way, np.linspace(0, way[-1], points)[1:-1])
    kept, error = [0], 0.0
    for place in after.tolist():
        here = kept[-1]
        best: tuple[float, int] | None = None
        for other in (place, place - 1):
            if here < other < m - 1:
                off = error + (x[other] - x[here]) * (y[other] + y[here]) / 2 - (under[other] - under[here])
                if best is None or abs(off) < abs(best[0]):
                    best = (off, other)
        if best is not None:
            error = best[0]
            kept.append(best[1])
    at = np.array([*kept, m - 1])
    return Curve(x[at], y[at], curve.thresholds[at])


def drawn(labels: Ints, probabilities: Sequence[Scores], classes: Sequence[str]) -> dict[str, Any] | None:
    """The mean ROC curve of one or several models as the report has it.

    Args:
        labels: (n,) int64 in [0, K).
        probabilities: of each model, (n, K).
        classes: K names; with two the curve is that of the last, the positive one, else the macro average.

    Returns:
        JSON values: ``fpr`` and ``tpr``, at most `DRAWN` shares each, and in words what the curve is ``of``. None where
        no area is defined, and for more than `MANY` classes.
    """
    binary = len(classes) == 2
    curve = mean_curve(labels, probabilities, [1] if binary else range(len(classes))) if len(classes) <= MANY else None
    if curve is None:
        return None
    few = thinned(curve, DRAWN)
    return {
        "fpr": np.round(few.false_positives, _DIGITS).tolist(),
        "tpr": np.round(few.true_positives, _DIGITS).tolist(),
        "of": f"class {classes[1]}" if binary else "macro average, one class against the rest",
    }


def mean_curve(labels: Ints, probabilities: Sequence[Scores], chosen: Sequence[int]) -> Curve | None:
    """The vertical average of the ROC curves of classes and models (Fawcett, "An introduction to ROC analysis", 2006).

    At each share of false positives it is the mean of what the curves have there, by straight lines from point to
    point; so its area is the mean of their areas. Every curve is a sum of steps and of changes of slope, and so is the
    mean: they are sorted once, whatever the number of curves.

    Args:
        labels: (n,) int64.
        probabilities: of each model, (n, K) scores, not NaN.
        chosen: classes; those that no samples have, or all, have no curve.

    Returns:
        The thresholds, of which a mean has none, are NaN; None where there is no curve at all.
    """
    count = np.bincount(labels, minlength=max(chosen, default=0) + 1)
    there = [k for k in chosen if 0 < count[k] < len(labels)]
    if not there:
        return None
    members = [np.flatnonzero(labels == k) for k in there]
    parts = [_bends(said[:, k], own) for said in probabilities for k, own in zip(there, members, strict=True)]
    place, step, bend = (np.concatenate(column) for column in zip(*parts, strict=True))
    x, where = np.unique(place, return_inverse=True)
    rise = np.bincount(where, weights=step) / len(parts)
    slope = np.cumsum(np.bincount(where, weights=bend)) / len(parts)
    after = np.cumsum(rise + np.append(0.0, slope[:-1] * np.diff(x)))
    # Before and after each step. The last digits of long sums must not lead out of the square, nor down.
    y = np.maximum.accumulate(np.clip(np.column_stack([after - rise, after]).ravel(), 0.0, 1.0))
    y[-1] = 1.0
    return Curve(np.repeat(x, 2), y, np.full(2 * len(x), np.nan))


def _bends(score: Scores, members: Ints) -> tuple[Floats, Floats, Floats]:
    """The ROC curve of one class as places, how far it steps up there, and how its slope changes."""
    every = np.sort(score)
    lowered: Floats = np.sort(-score[members].astype(np.float64))
    n, k = len(every), len(lowered)
    value, first = np.unique(lowered, return_index=True)
    upto = np.append(first[1:], k)
    # Others above each score, and those at it too; between scores of the class the curve runs level.
    above = n - np.searchsorted(every, -value, "right") - first
    at = n - np.searchsorted(every, -value, "left") - upto
    start, end, gain = above / (n - k), at / (n - k), (upto - first) / k
    level = start == end
    slope = np.divide(gain, end - start, out=np.zeros(len(gain)), where=~level)
    corners = np.array([0.0, 1.0])
    return (
        np.concatenate([corners, start, end]),
        np.concatenate([np.zeros(2), np.where(level, gain, 0.0), np.zeros(len(end))]),
        np.concatenate([np.zeros(2), slope, -slope]),
    )
