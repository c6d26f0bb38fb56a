"""Facility location: samples such that every sample is like one of them.

Greedy maximisation of the sum over all samples of the similarity to the most similar chosen one (Nemhauser, Wolsey &
Fisher, "An analysis of approximations for maximizing submodular set functions I", Mathematical Programming 14, 1978,
section 4: no worse than 1 - 1/e of the best). What a sample would add only shrinks as others are chosen, so what it
would have added earlier is a bound, and hardly any has to be looked at again (Minoux, "Accelerated greedy algorithms
for maximizing submodular set functions", 1978).
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Floats, Ints, Picked, Small
from datadiet_cli.methods.samples.graph import knn_graph

DENSE = 4_096
"""Samples up to which all similarities are kept: 64 MiB."""
NEIGHBOURS = 32
"""Similarities that are kept of each sample beyond that; the others count as 0."""
_ONE = 1 << 18
"""Similarities are whole multiples of 1 / 2**18: their sums are exact in whatever order they are added up, so that
the lazy choice is the plain one, and `DENSE` of them fit 32 bits."""
_ROWS = 256

Whole = NDArray[np.int32]


def facility_location(x: Small, m: int, seed: int, crew: Crew = ALONE) -> Picked:
    """Choose samples one after the other, each the one that makes the samples most alike to the chosen ones.

    The similarity of two samples is (1 + cos) / 2, from 0 to 1; a sample of zeros is at an angle of 60 degrees to all
    others. Up to `DENSE` samples all similarities count, beyond that those of each sample with its `NEIGHBOURS`
    nearest (either way round) and with itself. The choice of fewer is the beginning of the choice of more. Ties go to
    the first. Samples that add nothing, being equal to chosen ones, come last, in their order.

    Memory beside the data is 64 MiB, or grows with n.

    Args:
        x: (n, d) float32, finite.
        m: how many to choose, from 0 to n.
        seed: for the neighbours of many samples.
        crew: finds these; the answer does not depend on it.

    Returns:
        The choice; gains never grow, and the sum of the first i is the value of the first i: the sum over all
        samples of the similarity to the most similar of them.

    Raises:
        ValueError: x is not a matrix of finite numbers, or m is not from 0 to n.
    """
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError("samples must be rows of finite numbers")
    if not 0 <= m <= len(x):
        raise ValueError(f"the number to choose must be from 0 to {len(x):,}, not {m:,}")
    unit = _unit(x)
    likeness = _dense(unit) if len(x) <= DENSE else _sparse(unit, seed, crew)
    return _greedy(likeness, len(x), m)


class _Likeness(NamedTuple):
    """Whom each sample is like, and how much.

    Attributes:
        first: (n,) int64, what the first one chosen would add.
        covered: position -> (k,) positions, or a slice for all, and their (k,) int32 similarities.
    """

    first: Ints
    covered: Callable[[int], tuple[Ints | slice, Whole]]


def _greedy(likeness: _Likeness, n: int, m: int) -> Picked:
    best = np.zeros(n, dtype=np.int32)
    order: list[int] = []
    gain: list[int] = []
    heap = list(zip((-likeness.first).tolist(), range(n), strict=True))
    heapq.heapify(heap)
    while len(order) < m and heap[0][0] < 0:
        one = heapq.heappop(heap)[1]
        whom, how = likeness.covered(one)
        more = how - best[whom]
        np.maximum(more, 0, out=more)
        bound = (-int(more.sum(dtype=np.int64)), one)
        if heap and bound > heap[0]:
            heapq.heappush(heap, bound)
            continue
        order.append(one)
        gain.append(-bound[0])
        best[whom] += more
    chosen = np.zeros(n, dtype=bool)
    chosen[order] = True
    rest = np.flatnonzero(~chosen)[: m - len(order)]
    gains = np.zeros(m)
    gains[: len(order)] = np.array(gain, dtype=np.float64) / _ONE
    return Picked(np.concatenate([np.array(order, dtype=np.int64), rest]), gains)


def _unit(x: Small) -> Small:
    """Samples divided by their lengths; zeros stay zeros."""
    out = np.zeros(x.shape, dtype=np.float32)
    for start in range(0, len(x), _ROWS):
        some = x[start : start + _ROWS].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", some, some))[:, None]
        np.divide(some, length, out=some, where=length > 0)
        out[start : start + _ROWS] = some
    return out


def _whole(distance: Floats | Small) -> Whole:
    """Similarities of samples of length 1 by their distances: the squares of these are 2 - 2 cos."""
    return np.rint((1 - (np.minimum(distance, 2) / 2) ** 2) * _ONE).astype(np.int32)


def _dense(unit: Small) -> _Likeness:
    n = len(unit)
    alike = np.empty((n, n), dtype=np.int32)
    square = np.einsum("ij,ij->i", unit, unit, dtype=np.float64)
    with threadpool_limits(1):
        for start in range(0, n, _ROWS):
            product = unit[start : start + _ROWS] @ unit.T
            gap = square[start : start + _ROWS, None] + square - 2 * product
            alike[start : start + _ROWS] = _whole(np.sqrt(np.maximum(gap, 0)))
    np.fill_diagonal(alike, _ONE)
    everyone = slice(None)
    return _Likeness(alike.sum(axis=1, dtype=np.int64), lambda one: (everyone, alike[one]))


def _sparse(unit: Small, seed: int, crew: Crew) -> _Likeness:
    from scipy.sparse import csr_array

    n = len(unit)
    k = min(NEIGHBOURS, n - 1)
    neighbour, distance = knn_graph(unit, k, seed=seed, crew=crew)
    column = np.hstack([np.arange(n, dtype=np.int32)[:, None], neighbour.astype(np.int32)]).ravel()
    del neighbour
    value = np.hstack([np.full((n, 1), _ONE, dtype=np.int32), _whole(distance)]).ravel()
    near = csr_array((value, column, np.arange(n + 1) * (k + 1)), shape=(n, n))
    near = near.maximum(near.T.tocsr())
    start, column, value = near.indptr, near.indices, near.data
    first = np.add.reduceat(value, start[:-1], dtype=np.int64)
    return _Likeness(first, lambda one: (column[start[one] : start[one + 1]], value[start[one] : start[one + 1]]))
