"""How well scores rank samples of a class above the others: areas under curves, and the curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scores = NDArray[np.float32] | NDArray[np.float64]

POINTS = 200
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
