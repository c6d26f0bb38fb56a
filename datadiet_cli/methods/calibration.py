"""How odd clean rows would be: copies of the data without its outliers, to cut scores by.

A copy of a row starts from a row that is not odd itself, and is moved about within the dependence of the columns (a
smoothed bootstrap, Silverman & Young, Biometrika 74(3), 1987, in normal scores, so that with full smoothing it is a
Gaussian copula). Its columns then are given the distribution of the data's, except that no tail is longer than what
the middle of the column leads one to expect, with an allowance. A column whose own long tail is the continuation of
its middle, such as a log-normal one, so keeps it; a column with a few values far out loses these.
"""

import numpy as np
from scipy.special import ndtri

from datadiet_cli.methods.outliers_cells import LARGEST, Cells, Fitted, Floats, Ints

COPIES, MOST_COPIES = 6000, 50_000
CORE = 0.9
"""Share of the rows, the least odd, that copies start from."""
SMOOTHING = 0.85
"""How far a copy is moved from the row it starts from: 0 not at all, 1 to anywhere."""
ALLOWANCE = 2.0
"""How many times as long as expected a tail may be."""
SHOULDER = (0.5, 0.75, 0.9)
"""Quantiles that say what to expect of a tail."""
STEEPEST = 1.5
"""Most that a tail may grow: the slope of quantiles over normal quantiles grows by this power of e a unit. A
log-normal column with a standard deviation of 1 in logarithms has 1."""
HEAP = 0.25
"""A value that makes up this share of a column, such as the zero of counts, is no part of its tails."""
LEAST = 20
"""Values that it takes to say anything about a tail."""
_ROWS_OF_SHAPE = 2000


def threshold_of(fitted: Fitted, cells: Cells, rate: float, seed: int) -> float:
    """Find the score that so small a share of clean rows exceed.

    Args:
        fitted: a detector that has learned from `cells`.
        cells: n rows in random order, one at least.
        rate: share of clean rows, above 0, below 1, that one accepts to be above it.
        seed: of what is drawn.
    """
    copies = min(max(COPIES, int(20 / rate)), MOST_COPIES)
    scores = fitted.score(clean_copies(cells, core_of(fitted.own.score), copies, seed))
    threshold = float(np.quantile(scores, 1 - rate, method="higher"))
    # Equal rows have equal scores but for the last digits, and so have their copies.
    return threshold + 1e-9 * abs(threshold)


def core_of(score: Floats) -> Ints:
    """The rows, (k,) int64, that are not among the oddest."""
    return np.flatnonzero(score <= np.quantile(score, CORE))


def clean_copies(cells: Cells, core: Ints, m: int, seed: int) -> Cells:
    """Make rows such as the data would have without outliers.

    Args:
        cells: n rows in random order.
        core: (k,) int64, the rows to start from, one at least.
        m: how many copies to make.
        seed: of what is drawn.

    Returns:
        m rows. Which of its cells are missing and its categories a copy has from the row that it starts from.
    """
    random = np.random.default_rng(seed)
    numbers = np.clip(cells.numbers, -LARGEST, LARGEST)
    ordered = [np.sort(column[~np.isnan(column)]) for column in numbers.T]
    drawn = cells.take(core[random.integers(0, len(core), m)])
    if not numbers.shape[1]:
        # Nothing of a copy is drawn anew, and rows that were held back for being odd would all be above the others.
        drawn = cells.take(random.integers(0, len(numbers), m))
    shape = _normal_scores(numbers[core[:_ROWS_OF_SHAPE]], ordered)
    shape -= shape.mean(axis=0)
    moved = random.normal(size=(m, len(shape))) @ shape / np.sqrt(len(shape))
    start = _normal_scores(drawn.numbers, ordered)
    moved = np.sqrt(1 - SMOOTHING**2) * start + SMOOTHING * moved
    copied = np.full((m, len(ordered)), np.nan)
    share = (np.arange(m) + 0.5) / m
    for j, own in enumerate(ordered):
        if len(own):
            copied[np.argsort(moved[:, j], kind="stable"), j] = _quantiles(own, share)
    copied[np.isnan(drawn.numbers)] = np.nan
    return Cells(copied, drawn.categories)


def without_tails(ordered: Floats) -> Floats:
    """Pull in what is farther out than the middle of a column leads one to expect.

    Args:
        ordered: (n,) float64, ascending, finite.

    Returns:
        (n,) float64, ascending; unchanged where there are too few values to tell.
    """
    upper = _without_upper_tail(ordered)
    lowered: Floats = -_without_upper_tail(-upper[::-1])[::-1]
    return lowered


def _quantiles(ordered: Floats, share: Floats) -> Floats:
    """Quantiles of the tamed column: between values where these differ, values themselves where many are equal."""
    tamed, n = without_tails(ordered), len(ordered)
    if (ordered[1:] > ordered[:-1]).sum() < n / 2:
        return tamed[np.minimum((share * n).astype(np.int64), n - 1)]
    quantiles: Floats = np.interp(share, (np.arange(n) + 0.5) / n, tamed)
    return quantiles


def _normal_scores(numbers: Floats, ordered: list[Floats]) -> Floats:
    """Each number's place in its column as the normal quantile of the same rank; 0 for missing."""
    scores = np.zeros_like(numbers)
    for j, own in enumerate(ordered):
        if len(own):
            column = numbers[:, j]
            rank = (np.searchsorted(own, column, "left") + np.searchsorted(own, column, "right")) / (2 * len(own))
            edge = 0.5 / len(own)
            scores[:, j] = np.where(np.isnan(column), 0.0, ndtri(np.clip(rank, edge, 1 - edge)))
    return scores


def _without_upper_tail(ordered: Floats) -> Floats:
    values, first, count = np.unique(ordered, return_index=True, return_counts=True)
    heap = int(count.argmax()) if len(count) else 0
    above = int(first[heap] + count[heap]) if len(count) and count[heap] > HEAP * len(ordered) else 0
    bulk = ordered[above:]
    if len(bulk) < LEAST:
        return ordered
    tamed = ordered.copy()
    tamed[above:] = np.minimum(bulk, _expected(bulk, values[values >= bulk[0]]))
    return tamed


def _expected(bulk: Floats, values: Floats) -> Floats:
    """The largest that each of the sorted values may be; without bound up to the last of the quantiles looked at.

    Over normal quantiles, the slope is measured between the first two and the last two, and goes on to grow beyond as
    it does between them (the g of Tukey's g-and-h distributions; 0 for a normal one), or stays as it is.
    """
    low, middle, high = np.quantile(bulk, SHOULDER)
    z_low, z_middle, z_high = ndtri(np.array(SHOULDER))
    # Whole numbers and the like have steps where a slope cannot be seen.
    grain = float(np.median(np.diff(values))) if 1 < len(values) < len(bulk) / 4 else 0.0
    inner = max((middle - low) / (z_middle - z_low), grain)
    outer = max((high - middle) / (z_high - z_middle), inner / 4, grain)
    growth = 0.0
    if inner > 0:
        growth = min(max(np.log(outer / inner) / ((z_high - z_low) / 2), 0.0), STEEPEST)
    beyond = ndtri((np.arange(len(bulk)) + 0.5) / len(bulk)) - z_high
    rise = np.expm1(growth * beyond) / growth if growth > 1e-6 else beyond
    slope = outer * np.exp(growth * (z_high - z_middle) / 2)
    allowed: Floats = np.where(beyond > 0, high + ALLOWANCE * slope * rise, np.inf)
    return allowed
