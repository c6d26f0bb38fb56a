"""The nearest samples of some among others, by Euclidean distance; block by block, and with cells missing."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.pieces import one_thread, spread

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_SPARE = 3
"""So many more are found than are asked for, so that ties at the border are settled by position, not by rounding."""
_ROWS = 1024
_CELLS = 1 << 22
_PIECE = 1 << 13
"""Samples at least that neighbours are sought of as one piece of work. A multiple of what scikit-learn and `_ROWS` take
at once, so that it is multiplied as if it were one with the others."""
_WORTH = 1 << 25
"""Comparisons that are worth to be handed out."""


class Near(NamedTuple):
    """The nearest samples, the nearest first, ties by position.

    Attributes:
        row: (q, k) int64.
        distance: (q, k) float64.
    """

    row: Ints
    distance: NDArray[np.float64]


def nearest(x: Floats, rows: Ints, among: Ints, k: int, known: Bools | None = None, *, crew: Crew = ALONE) -> Near:
    """Find the nearest others of some samples; no sample is a neighbour of itself.

    With all cells known, distances are Euclidean. Else those of the first columns are taken over the cells that both
    samples have, and scaled to all of them (Dixon, "Pattern recognition with partly missing data", IEEE SMC 9(10),
    1979); a pair that shares none is as far apart as two random samples of standardised columns are on average.

    Each piece runs on one thread: then the answer does not depend on how many there are.

    Args:
        x: (n, w) float32, finite; 0 where a cell is missing.
        rows: (q,) int64, samples that neighbours are wanted of.
        among: (m,) int64 ascending, samples that may be neighbours.
        k: neighbours wanted; as many as there are, if there are fewer.
        known: (n, d) bool, cells of the first d columns that are known; None for all.
        crew: compares samples; the answer does not depend on it.

    Returns:
        Arrays (q, k).
    """
    inside = np.zeros(len(x), dtype=bool)
    inside[among] = True
    own = int(inside[rows].any())
    width = min(k, len(among) - own)
    if width <= 0 or not len(rows):
        return Near(np.empty((len(rows), max(width, 0)), dtype=np.int64), np.empty((len(rows), max(width, 0))))
    if not x.shape[1]:
        x = np.zeros((len(x), 1), dtype=np.float32)
    ask = min(width + own + _SPARE, len(among))
    if len(rows) * len(among) < _WORTH:
        crew = ALONE
    ends = [*range(0, max(len(rows) - _PIECE, 0) + 1, _PIECE), len(rows)]
    parts = list(spread(crew, _sought, (x, rows, among, known, ask, width), pairwise(ends)))
    return Near(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _sought(data: tuple[Floats, Ints, Ints, Bools | None, int, int], span: tuple[int, int]) -> Near:
    x, rows, among, known, ask, width = data
    some = rows[slice(*span)]
    with one_thread():
        if known is None:
            search = NearestNeighbors(n_neighbors=ask, algorithm="brute").fit(x[among])
            found = among[search.kneighbors(x[some], return_distance=False)]
        else:
            found = among[_roughly(x, known, some, among, ask)]
    distance = _exactly(x, known, some, found)
    distance[found == some[:, None]] = np.inf
    order = np.lexsort((found, distance), axis=-1)[:, :width]
    return Near(np.take_along_axis(found, order, axis=1), np.take_along_axis(distance, order, axis=1))


def _roughly(x: Floats, known: Bools, rows: Ints, among: Ints, ask: int) -> Ints:
    """Places among the others of the nearest ones, in no order: squares by products of matrices."""
    d = known.shape[1]
    right, has = x[among], known[among].astype(np.float32)
    square = right * right
    out = np.empty((len(rows), ask), dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        left, had = x[some], known[some].astype(np.float32)
        gap = (left[:, :d] ** 2) @ has.T + had @ square[:, :d].T - 2 * (left[:, :d] @ right[:, :d].T)
        gap = _scaled(gap, had @ has.T, d)
        gap += square[:, d:].sum(axis=1) - 2 * (left[:, d:] @ right[:, d:].T)
        # A category takes the same from all others of a row, so the square of the row itself may be left out.
        out[start : start + _ROWS] = np.argpartition(gap, ask - 1, axis=1)[:, :ask]
    return out


def _exactly(x: Floats, known: Bools | None, rows: Ints, found: Ints) -> NDArray[np.float64]:
    """Distances of pairs by differences: equal samples are equally far from any other, to the last bit."""
    out = np.empty(found.shape)
    step = max(_CELLS // max(found.shape[1] * x.shape[1], 1), 1)
    for start in range(0, len(rows), step):
        some, others = rows[start : start + step], found[start : start + step]
        gap = (x[some][:, None].astype(np.float64) - x[others]) ** 2
        if known is None:
            square = gap.sum(axis=2)
        else:
            d = known.shape[1]
            both = known[some][:, None] & known[others]
            square = _scaled((gap[..., :d] * both).sum(axis=2), both.sum(axis=2), d) + gap[..., d:].sum(axis=2)
        out[start : start + step] = np.sqrt(square)
    return out


def _scaled(square: NDArray[Any], shared: NDArray[Any], d: int) -> NDArray[Any]:
    return np.where(shared > 0, square * (d / np.maximum(shared, 1)), 2.0 * d)
