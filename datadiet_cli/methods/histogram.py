"""Histograms of scores to be drawn, with few bins at round numbers, and what came nearest to a threshold."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Side = Literal["above", "below"]

BINS = 40
"""Bins at most."""
CLOSEST = 10
"""Values that are named as the nearest to a threshold."""
_CORE = (0.01, 0.99)
_ROOM = 0.25
_NEAR = 0.25
_LARGEST, _FINEST = 1e300, 1e-9
_EXACT = 1e15
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)


class Histogram(NamedTuple):
    """How many values lie where.

    Attributes:
        edges: (k + 1,) float64, ascending, k from 1 to `BINS`; round numbers at equal steps, or halves between whole
            numbers. A bin takes in its lower edge and the last one its upper edge too.
        counts: (k,) int64. What lies beyond the edges counts in the outermost bins.
    """

    edges: Floats
    counts: Ints


def histogram(values: ArrayLike, threshold: float | None = None, *, lower: bool = False) -> Histogram | None:
    """Count values in bins of equal width.

    The bins reach from the 1st to the 99th percentile, widened to take in the threshold, and on each side by a quarter
    of that, as far as there are values. So a few values that are far off squeeze nothing; they count in the outermost
    bins. Where all values and the threshold are whole numbers, and few different ones, each has a bin of its own in
    whose middle it lies.

    Args:
        values: any number of them, in any order; those that are not finite are left out.
        threshold: what is drawn in; None, or one that is not finite, for none.
        lower: whether values that equal the threshold belong with the smaller ones. Where it is an edge they count in
            the bin below it then, if there is one.

    Returns:
        None if no value is finite.
    """
    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    known = np.clip(known, -_LARGEST, _LARGEST)
    low, high = _range(known, threshold)
    exact = max(abs(low), abs(high)) < _EXACT and high - low < BINS - 1
    # A threshold between whole numbers says that the values are none, even if all of them happen to be 0.
    whole = exact and bool((known == np.floor(known)).all()) and (threshold is None or not threshold % 1)
    edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5 if whole else _round_edges(low, high)
    place = np.searchsorted(edges, known, side="right") - 1
    if lower and threshold is not None:
        place[known == threshold] = np.searchsorted(edges, threshold, side="left") - 1
    counts = np.bincount(np.clip(place, 0, len(edges) - 2), minlength=len(edges) - 1)
    return Histogram(edges, counts.astype(np.int64))


def drawn(
    of: str, unit: str, values: ArrayLike, threshold: float | None, side: Side, *, inclusive: bool
) -> dict[str, Any] | None:
    """A histogram as the report has it.

    Args:
        of: code of the reason that the values are scores for.
        unit: words for the axis.
        values: as `histogram` takes them.
        threshold: likewise.
        side: where findings lie.
        inclusive: whether the threshold itself is found.

    Returns:
        JSON values: ``of``, ``unit``, ``edges``, ``counts``, and ``threshold``, ``side`` and ``inclusive``, all None
        without a threshold. None if no value is finite.
    """
    found = histogram(values, threshold, lower=(side == "below") == inclusive)
    if found is None:
        return None
    limit = None if threshold is None or not np.isfinite(threshold) else float(threshold)
    return {
        "of": of,
        "unit": unit,
        "edges": found.edges.tolist(),
        "counts": found.counts.tolist(),
        "threshold": limit,
        "side": None if limit is None else side,
        "inclusive": None if limit is None else inclusive,
    }


def closest(score: Floats, threshold: float, side: Side, open_: NDArray[np.bool_], most: int = CLOSEST) -> Ints:
    """Those that a threshold only just left out.

    That is, at most a quarter as far from the threshold as the median of all scores: what is as usual as anything else
    was no close call, however few others there are.

    Args:
        score: (n,) float64; those that are not finite are nobody's close call, nor part of the median.
        threshold: what they were held against.
        side: where findings lie.
        open_: (n,) bool, those that were not found, though they could have been.
        most: how many.

    Returns:
        (at most `most`,) int64 positions, the nearest first, ties by position.
    """
    finite = np.isfinite(score)
    if not np.isfinite(threshold) or not finite.any():
        return np.empty(0, dtype=np.int64)
    held = np.clip(np.where(finite, score, 0.0), -_LARGEST, _LARGEST)
    room = threshold - held if side == "above" else held - threshold
    near = finite & open_ & (room >= 0) & (room <= _NEAR * abs(float(np.median(held[finite])) - threshold))
    found = np.flatnonzero(near)
    if len(found) > most:
        # Only those up to the last one wanted need an order.
        found = found[room[found] <= np.partition(room[found], most - 1)[most - 1]]
    best: Ints = found[np.argsort(room[found], kind="stable")][:most]
    return best


def _range(known: Floats, threshold: float | None) -> tuple[float, float]:
    """From where to where there are bins."""
    least, most = float(known.min()), float(known.max())
    low, high = (float(value) for value in np.quantile(known, _CORE, method="inverted_cdf"))
    if threshold is not None and np.isfinite(threshold):
        limit = float(np.clip(threshold, -_LARGEST, _LARGEST))
        low, high, least, most = min(low, limit), max(high, limit), min(least, limit), max(most, limit)
    room = _ROOM * (high - low)
    return max(least, low - room), min(most, high + room)


def _round_edges(low: float, high: float) -> Floats:
    """Multiples of a round step around a range, as many as there may be."""
    span, size = high - low, max(abs(low), abs(high))
    if span <= _FINEST * size or size < 1 / _LARGEST:
        # What differs by so little cannot be told apart on an axis, nor have edges of its own.
        span = size / 10 if size > 1 / _LARGEST else 1.0
    power = 10.0 ** np.floor(np.log10(span / BINS))
    for step in (power * size for size in _STEPS):
        first, last = np.floor(low / step), np.ceil(high / step)
        last = max(last, first + 1)
        if last - first <= BINS:
            break
    digits = int(np.clip(2 - np.floor(np.log10(step)), 0, 323))
    edges: Floats = np.round(np.arange(first, last + 1) * step, digits)
    return edges
