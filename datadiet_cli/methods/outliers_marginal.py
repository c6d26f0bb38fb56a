"""Detectors that look at each column by itself. What each column adds to a score is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from datadiet_cli.methods.outliers_cells import (
    HUGE,
    Cells,
    Fitted,
    Floats,
    Oddity,
    ruler,
    shares,
    squashed,
)

BINS = 10
"""Bins of a histogram."""
EMPTY = 0.1
"""Height added to every bin, as a share of the highest: an empty one is odd, not infinitely odd."""


_CELLS_AT_ONCE = 1 << 21


class Usual(NamedTuple):
    """What is usual in one column: from `low` to `high`, and the unit in which the distance from there is measured."""

    low: float
    high: float
    unit: float


def zscore(cells: Cells, seed: int) -> Fitted:
    """Largest distance of a number from the mean of its column, in standard deviations."""
    return _farthest(cells, lambda known: Usual(known.mean(), known.mean(), known.std()))


def mad(cells: Cells, seed: int) -> Fitted:
    """Largest distance of a number from the median of its column, in median absolute deviations, times 1.4826.

    Where more than half of a column is one value, so that this deviation is 0, the mean absolute deviation times
    1.2533 takes its place (Iglewicz & Hoaglin, "How to Detect and Handle Outliers", 1993, section 3).
    """

    def usual(known: Floats) -> Usual:
        centre = np.median(known)
        far = np.abs(known - centre)
        return Usual(centre, centre, np.median(far) * 1.4826 or far.mean() * 1.2533)

    return _farthest(cells, usual)


def iqr(cells: Cells, seed: int) -> Fitted:
    """Largest distance of a number from the quartiles of its column, in interquartile ranges: Tukey's fences.

    Inside the box it is negative. Where the quartiles are equal, the unit is what would lie between them in a normal
    distribution of the same mean absolute deviation.
    """

    def usual(known: Floats) -> Usual:
        low, middle, high = np.percentile(known, [25, 50, 75])
        return Usual(low, high, (high - low) or np.abs(known - middle).mean() * 1.2533 * 1.349)

    return _farthest(cells, usual)


def ecod(cells: Cells, seed: int) -> Fitted:
    """Sum over columns of the negative logarithm of how many values are as far out, in the tail that fits best.

    Left tails of all columns, right tails of all, or of each column the one that its skewness points to: the largest
    of the three sums counts (Li et al., "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution
    Functions", TKDE 2022, arXiv:2201.00382, section 3.3 and algorithm 1). A category's tail is the share of cells of
    categories as rare or rarer. A missing cell adds what a cell of its column adds on average.
    """
    scale = ruler(cells.numbers)
    tails = [_tails(column) for column in scale.measure(cells.numbers).T]
    counted = [shares(codes) for codes in cells.categories.T]

    def judge(cells: Cells) -> tuple[Floats, Floats]:
        scaled = scale.measure(cells.numbers)
        n, d = scaled.shape
        # Three sums over all columns, and each column's share in them.
        added = np.zeros((3, n, d + len(counted)))
        for j, tail in enumerate(tails):
            added[:, :, j] = tail.of(scaled[:, j])
        for j, share in enumerate(counted):
            added[:, :, d + j] = -np.log(share.rarity_of(cells.categories[:, j]))
        sums = added.sum(axis=2)
        best = sums.argmax(axis=0)
        part = np.take_along_axis(added, best[None, :, None], axis=0)[0]
        part[:, :d][np.isnan(scaled)] = 0.0
        return sums.max(axis=0), part

    def judge_all(cells: Cells) -> tuple[Floats, Floats]:
        total, part = np.zeros(len(cells.numbers)), np.zeros((len(cells.numbers), len(tails) + len(counted)))
        rows = max(1, _CELLS_AT_ONCE // max(part.shape[1], 1))
        for start in range(0, len(total), rows):
            some = slice(start, start + rows)
            total[some], part[some] = judge(Cells(cells.numbers[some], cells.categories[some]))
        return total, part

    total, part = judge_all(cells)
    return Fitted(Oddity(total, part, None), lambda cells: judge_all(cells)[0])


def hbos(cells: Cells, seed: int) -> Fitted:
    """Sum over columns of the negative logarithm of the height of a value's bin in a histogram of equal widths.

    Goldstein & Dengel, "Histogram-based Outlier Score (HBOS)", KI 2012, section 3; the highest bin of a column has
    height 1. What is more than a few spreads from the centre is squashed first, or one value far out would push all
    others into one bin. A category is its own bin; a missing cell adds nothing.
    """
    scale = ruler(cells.numbers)
    histograms = [_histogram(column) for column in _without_missing(scale.measure(cells.numbers))]
    counted = [shares(codes) for codes in cells.categories.T]

    def judge(cells: Cells) -> Floats:
        scaled = scale.measure(cells.numbers)
        missing = np.isnan(scaled)
        squashed(scaled)
        part = np.zeros((len(scaled), len(histograms) + len(counted)))
        for j, (edges, added) in enumerate(histograms):
            part[:, j] = added[np.searchsorted(edges, scaled[:, j], "right")]
        part[:, : len(histograms)][missing] = 0.0
        for j, share in enumerate(counted):
            codes = cells.categories[:, j]
            height = share.shares_of(codes) / share.share.max(initial=0.0) if len(share.share) else 1.0
            part[:, len(histograms) + j] = np.where(codes < 0, 0.0, -np.log2((height + EMPTY) / (1 + EMPTY)))
        return part

    part = judge(cells)
    return Fitted(Oddity(part.sum(axis=1), part, None), lambda cells: judge(cells).sum(axis=1))


def rarity_in_spreads(cells: Cells) -> Callable[[Cells], Floats]:
    """Learn how rare categories are: a function from cells to (m, c) distances as rare in a normal distribution."""
    counted = [shares(codes) for codes in cells.categories.T]

    def measure(cells: Cells) -> Floats:
        out = np.zeros(cells.categories.shape)
        for j, share in enumerate(counted):
            out[:, j] = -ndtri(share.rarity_of(cells.categories[:, j]) / 2)
        return out

    return measure


def _farthest(cells: Cells, usual: Callable[[Floats], Usual]) -> Fitted:
    """A detector whose score is the largest distance of a cell of the row from what is usual in its column."""
    scale, rarity = ruler(cells.numbers), rarity_in_spreads(cells)
    columns = _without_missing(scale.measure(cells.numbers))
    low, high, unit = (
        np.array([usual(known) if len(known) else Usual(0.0, 0.0, 1.0) for known in columns]).reshape(-1, 3).T
    )

    def judge(cells: Cells) -> tuple[Floats, Floats]:
        scaled = scale.measure(cells.numbers)
        missing = np.isnan(scaled)
        np.nan_to_num(scaled, copy=False)
        with np.errstate(over="ignore"):
            far = np.maximum(low - scaled, scaled - high) / np.where(unit > 0, unit, 1.0)
        np.minimum(far, HUGE, out=far)
        score = np.concatenate([far, rarity(cells)], axis=1)
        part = np.maximum(score, 0.0)
        part[:, : far.shape[1]][missing] = 0.0
        return (score.max(axis=1) if score.shape[1] else np.zeros(len(score))), part

    score, part = judge(cells)
    return Fitted(Oddity(score, part, None), lambda cells: judge(cells)[0])


def _without_missing(scaled: Floats) -> list[Floats]:
    return [column[~np.isnan(column)] for column in scaled.T]


class _Tails(NamedTuple):
    """The distribution of one column: its known values, sorted; the sign of their skewness; what a cell adds."""

    ordered: Floats
    skewness: float
    mean: Floats

    def of(self, column: Floats) -> Floats:
        """(3, m) what cells add to the sum of left tails, of right tails, and of tails by skewness."""
        n = len(self.ordered)
        if not n:
            return np.zeros((3, len(column)))
        left = np.searchsorted(self.ordered, column, "right") / n
        right = 1 - np.searchsorted(self.ordered, column, "left") / n
        left, right = (-np.log(np.clip(tail, 0.5 / n, 1.0)) for tail in (left, right))
        fitting = left + right if self.skewness == 0 else left if self.skewness < 0 else right
        added = np.stack([left, right, fitting])
        missing = np.isnan(column)
        added[:, missing] = self.mean[:, None]
        return added


def _tails(column: Floats) -> _Tails:
    known = np.sort(column[~np.isnan(column)])
    skewness = float(((known - known.mean()) ** 3).mean()) if len(known) else 0.0
    tails = _Tails(known, skewness, np.zeros(3))
    return tails._replace(mean=tails.of(known).mean(axis=1)) if len(known) else tails


def _histogram(known: Floats) -> tuple[Floats, Floats]:
    """Edges between the bins of one column, and what a value adds that lies below the first, between two, beyond."""
    known = squashed(known.copy())
    if not len(known) or known.min() == known.max():
        return np.zeros(0), np.zeros(1)
    edges = np.linspace(known.min(), known.max(), BINS + 1)
    # Beyond the last value nothing was seen; that value itself belongs to the last bin.
    edges[-1] = np.nextafter(edges[-1], np.inf)
    height = np.bincount(np.searchsorted(edges, known, "right"), minlength=BINS + 2).astype(np.float64)
    height /= height.max()
    return edges, -np.log2((height + EMPTY) / (1 + EMPTY))
