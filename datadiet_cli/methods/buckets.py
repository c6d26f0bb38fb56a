"""Buckets of vectors, and what of two buckets may be near each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_TILE = 2048
_FIT = 65_536
"""Vectors that the centres are made from."""


@dataclass(frozen=True, eq=False)
class Buckets:
    """Vectors dealt out to the centre they have the largest product with.

    Attributes:
        rows: for each bucket its rows.
        gaps: for each bucket (its rows, buckets) float32: the distance of a vector to the plane halfway between its
            own centre and another one; every vector of that other bucket is beyond it.
    """

    rows: list[Ints]
    gaps: list[Floats]


def deal(plane: Floats, seed: int) -> Buckets:
    """Deal vectors out, to some hundred buckets at most.

    Args:
        plane: (n, p) float32 vectors, none longer than 1.
        seed: for k-means.
    """
    n = len(plane)
    centres = _centres(plane, max(2, min(256, int(np.sqrt(n) / 2))), seed)
    nearest = np.empty(n, dtype=np.int64)
    for start in range(0, n, _TILE):
        nearest[start : start + _TILE] = (plane[start : start + _TILE] @ centres.T).argmax(axis=1)
    order = np.argsort(nearest, kind="stable")
    rows = np.split(order, np.searchsorted(nearest[order], np.arange(1, len(centres))))
    gaps = []
    for own, members in enumerate(rows):
        apart = np.linalg.norm(centres[own] - centres, axis=1)
        product = plane[members] @ centres.T
        gap = product[:, own : own + 1] - product
        gaps.append(np.divide(gap, apart, out=np.zeros_like(gap), where=apart > 0))
    return Buckets(rows, gaps)


def _centres(plane: Floats, k: int, seed: int) -> Floats:
    """Unit centres of k-means. They decide how fast the search is, not what it finds."""
    import warnings

    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(seed)
    sample = plane[np.sort(rng.choice(len(plane), min(len(plane), _FIT), replace=False))]
    means = MiniBatchKMeans(k, random_state=seed, n_init=1, max_iter=10, batch_size=4096, compute_labels=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than centres
        centres: Floats = means.fit(sample).cluster_centers_.astype(np.float32)
    length = np.linalg.norm(centres, axis=1, keepdims=True)
    np.divide(centres, length, out=centres, where=length > 0)
    return centres


def meetings(buckets: Buckets, reach: float) -> Iterator[tuple[Ints, Ints | None]]:
    """Each bucket with itself, and what of two buckets may be within reach of each other.

    The way from x to y crosses the plane halfway between their centres, so it is no shorter than the gap between x
    and that plane and the gap between the plane and y together.

    Args:
        buckets: all vectors.
        reach: the largest distance of two vectors of a pair; for a cosine c of unit vectors it is sqrt(2 - 2 c).
    """
    for i, rows in enumerate(buckets.rows):
        yield rows, None
        for j in range(i + 1, len(buckets.rows)):
            others = buckets.rows[j]
            if not len(rows) or not len(others):
                continue
            gap, other_gap = buckets.gaps[i][:, j], buckets.gaps[j][:, i]
            near = rows[gap + other_gap.min() <= reach]
            other_near = others[other_gap + gap.min() <= reach]
            if len(near) and len(other_near):
                yield near, other_near
