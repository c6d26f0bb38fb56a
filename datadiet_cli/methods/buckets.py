"""Buckets of vectors, and which two of them may hold vectors that are near each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import Crew
from datadiet_cli.methods.pieces import one_thread, spread
from datadiet_cli.methods.shortening import Floats, Grid, Short, unit_vectors

Ints = NDArray[np.int64]
Room = Callable[[tuple[int, ...], Any], NDArray[Any]]
"""Makes an array of zeros of a shape and a type, in memory or on disk."""

_ROWS = 16_384
"""Vectors that are shortened and dealt out as one piece of work."""

_FIT = 65_536
"""Vectors that the centres are made from."""
_MOST = 256
_ROUNDING = 2.0**-24


@dataclass(frozen=True, eq=False)
class Plan:
    """Shortened vectors, bucket by bucket.

    Attributes:
        bound: (n, width) float32, as `Short.bound` gives them, in that order.
        order: (n,) int64, the row of each.
        start: (k + 1,) int64, where each bucket begins.
        middle: (k, width) float32, centres of the buckets.
        least: (k, k) float32, as `_dealt` gives it.
    """

    bound: Floats
    order: Ints
    start: Ints
    middle: Floats
    least: Floats


def all_in_one(grid: Grid, short: Short, crew: Crew, room: Room) -> Plan:
    """Shortened vectors in one bucket, in their own order; arguments as those of `dealt_out`."""
    bound = room((len(grid), short.width), np.float32)
    spans = _spans(len(grid))
    for (start, stop), part in zip(spans, spread(crew, _shortened, (grid, short), spans), strict=True):
        bound[start:stop] = part
    one = np.zeros((1, 1), dtype=np.float32)
    ends = np.array([0, len(grid)], dtype=np.int64)
    return Plan(np.asarray(bound), np.arange(len(grid)), ends, np.zeros((1, short.width), dtype=np.float32), one)


def dealt_out(grid: Grid, short: Short, crew: Crew, room: Room, seed: int) -> Plan:
    """Shorten vectors and deal them out to the nearest of some hundred centres.

    Args:
        grid: (n, d) int16.
        short: how they are shortened.
        crew: does it.
        room: makes the large arrays.
        seed: for the centres.
    """
    n = len(grid)
    with one_thread():
        plane = unit_vectors(grid[_fitting(n, seed)]) @ short.basis
        middle = short.middle(_centres(plane, n, seed))
    bound, bucket = room((n, short.width), np.float32), np.empty(n, dtype=np.int16)
    least = np.full((len(middle), len(middle)), np.inf, dtype=np.float32)
    spans = _spans(n)
    made = spread(crew, _placed, (grid, short, middle), spans)
    for (start, stop), (part, own, gaps) in zip(spans, made, strict=True):
        bound[start:stop], bucket[start:stop] = part, own
        np.minimum(least, gaps, out=least)
    order = np.argsort(bucket, kind="stable")
    ends = np.searchsorted(bucket[order], np.arange(len(middle) + 1))
    by_bucket = room((n, short.width), np.float32)
    for start, stop in spans:
        by_bucket[start:stop] = bound[order[start:stop]]
    return Plan(np.asarray(by_bucket), order, ends, middle, least)


def _spans(n: int) -> list[tuple[int, int]]:
    return [(start, min(start + _ROWS, n)) for start in range(0, n, _ROWS)]


def _shortened(data: tuple[Grid, Short], span: tuple[int, int]) -> Floats:
    grid, short = data
    with one_thread():
        return short.bound(grid[slice(*span)])


def _placed(data: tuple[Grid, Short, Floats], span: tuple[int, int]) -> tuple[Floats, Ints, Floats]:
    """Shortened vectors, their buckets, and gaps as `_dealt` gives them."""
    grid, short, middle = data
    with one_thread():
        bound = short.bound(grid[slice(*span)])
        return bound, *_dealt(bound, middle)


def _fitting(n: int, seed: int) -> Ints:
    """The rows of n that centres are made from."""
    rows = np.random.default_rng(seed).choice(n, min(n, _FIT), replace=False)
    return np.sort(rows).astype(np.int64)


def _centres(sample: Floats, n: int, seed: int) -> Floats:
    """Unit centres of k-means. They decide how fast the search is, not what it finds.

    Args:
        sample: (m, p) float32 vectors, none longer than 1: those of `_fitting`.
        n: number of all vectors.
        seed: for k-means.

    Returns:
        (k, p) float32, some hundred at most.
    """
    import warnings

    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    k = max(2, min(_MOST, int(np.sqrt(n) / 2)))
    means = MiniBatchKMeans(k, random_state=seed, n_init=1, max_iter=10, batch_size=4096, compute_labels=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than centres
        made: Floats = means.fit(sample).cluster_centers_.astype(np.float32)
    length = np.linalg.norm(made, axis=1, keepdims=True)
    np.divide(made, length, out=made, where=length > 0)
    return made


def _dealt(vectors: Floats, middle: Floats) -> tuple[Ints, Floats]:
    """Deal vectors out to the centre they have the largest product with.

    Args:
        vectors: (n, p) float32, none longer than 1.
        middle: (k, p) float32 centres.

    Returns:
        (n,) int64 buckets; and (k, k) float32 gaps, [i, j] no larger than that of any of the vectors of bucket i to the
        plane halfway between its centre and that of j (see `gap`), infinite for a bucket without any.
    """
    product = vectors @ middle.T
    bucket = product.argmax(axis=1)
    apart = np.stack([np.linalg.norm(centre - middle, axis=1) for centre in middle])
    away = product[np.arange(len(bucket)), bucket][:, None] - product
    order = np.argsort(bucket, kind="stable")
    there, first = np.unique(bucket[order], return_index=True)
    least = np.full((len(middle), len(middle)), np.inf, dtype=np.float32)
    if len(there):
        smallest = np.minimum.reduceat(away[order], first, axis=0)
        # The difference of two products has lost more digits the nearer the centres are.
        smallest -= np.float32(2 * vectors.shape[1] * _ROUNDING)
        least[there] = np.divide(smallest, apart[there], out=np.zeros_like(smallest), where=apart[there] > 0)
    return bucket, least


def gap(vectors: Floats, own: Floats, other: Floats) -> Floats:
    """How far vectors are on their own side of the plane halfway between two centres.

    The way from a vector to one of the other bucket crosses that plane, so it is no shorter than the gaps of both.

    Args:
        vectors: (n, p) float32.
        own: (p,) float32, the centre of their bucket.
        other: (p,) float32, that of another one.

    Returns:
        (n,) float32, below 0 on the other side.
    """
    way = own - other
    apart = np.linalg.norm(way)
    if not apart > 0:
        return np.zeros(len(vectors), dtype=np.float32)
    found: Floats = vectors @ (way / apart)
    return found
