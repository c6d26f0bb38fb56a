"""Real samples that stand for a cloud of samples: one near each centre of k-means, for small and for large k.

Many centres are not sought at once, which takes time with samples x centres: the cloud is parted into about sqrt(k)
clusters first, each of which gets its share of the centres, as in hierarchical k-means (Nister & Stewenius, "Scalable
recognition with a vocabulary tree", CVPR 2006, section 3).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.targets import apportion

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_AT_ONCE = 256
_ROUNDS = 20
_PER_CENTRE = 128
"""Samples to a centre that it is learned from; with more, centres hardly move."""
_CELLS = 1 << 22


class Representatives(NamedTuple):
    """Which samples stand for the others.

    Attributes:
        kept: (k,) int64 ascending.
        witness: (n,) int64, for each sample the kept one of its cluster; itself for a kept one.
        distance: (n,) float64, Euclidean distance to the witness.
    """

    kept: Ints
    witness: Ints
    distance: NDArray[np.float64]


def representatives(x: Floats, k: int, seed: int) -> Representatives:
    """Choose the sample nearest to each of k centres.

    Where there are fewer different samples than centres, or a cluster ran empty, those farthest from the chosen ones
    make up the number.

    Args:
        x: (n, d) float32, finite.
        k: how many to keep, 1 or more; all where there are not more.
        seed: for the first centres.

    Returns:
        Exactly min(k, n) kept samples. Ties go to the first.
    """
    n = len(x)
    if k >= n:
        everyone = np.arange(n, dtype=np.int64)
        return Representatives(everyone, everyone, np.zeros(n))
    # By the largest number, so that no square overflows.
    unit = float(np.abs(x).max(initial=0.0)) or 1.0
    x = (x / unit).astype(np.float32)
    with threadpool_limits(1):
        cluster, off = _clusters(x, k, np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF))
    order = np.lexsort((off, cluster))
    first = np.r_[True, np.diff(cluster[order]) > 0]
    witness = np.empty(n, dtype=np.int64)
    witness[order] = order[first][np.cumsum(first) - 1]
    kept = order[first]
    distance = _apart(x, x[witness])
    if len(kept) < k:
        apart = distance.copy()
        apart[kept] = -1
        more = np.argsort(-apart, kind="stable")[: k - len(kept)]
        kept = np.concatenate([kept, more])
        witness[more], distance[more] = more, 0
    return Representatives(np.sort(kept), witness, distance.astype(np.float64) * unit)


def _clusters(x: Floats, k: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Number the cluster of each sample, at most k of them, and say how far it is from the centre."""
    cluster = np.empty(len(x), dtype=np.int64)
    off = np.zeros(len(x), dtype=np.float32)
    ready = 0
    waiting = [(np.arange(len(x), dtype=np.int64), k)]
    while waiting:
        rows, some = waiting.pop()
        if some >= len(rows):
            cluster[rows] = ready + np.arange(len(rows))
            ready += len(rows)
            continue
        parts = some if some <= _AT_ONCE else min(int(np.ceil(np.sqrt(some))), _AT_ONCE)
        label, apart = _k_means(x[rows], parts, rng)
        order = np.argsort(label, kind="stable")
        sizes = np.bincount(label)
        sizes = sizes[sizes > 0]
        if parts == some or len(sizes) == 1:
            cluster[rows[order]] = ready + np.repeat(np.arange(len(sizes)), sizes)
            off[rows] = apart
            ready += len(sizes)
            continue
        shares = 1 + apportion(sizes - 1, some - len(sizes))
        pieces = np.split(rows[order], np.cumsum(sizes)[:-1])
        waiting += list(zip(pieces, shares.tolist(), strict=True))
    return cluster, off


def _k_means(x: Floats, k: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Lloyd's algorithm from the seeds of k-means++; label of each sample, and distance to its centre."""
    sample = x if len(x) <= k * _PER_CENTRE else x[np.sort(rng.choice(len(x), k * _PER_CENTRE, replace=False))]
    centre = sample[_seeds(sample, k, rng)]
    label = np.full(len(sample), -1, dtype=np.int64)
    for _ in range(_ROUNDS if len(centre) > 1 else 1):
        before, label = label, _assigned(sample, centre)
        if (before == label).all():
            break
        order = np.argsort(label, kind="stable")
        sizes = np.bincount(label, minlength=len(centre))
        there = sizes > 0
        sums = np.add.reduceat(sample[order], (np.cumsum(sizes) - sizes)[there], axis=0, dtype=np.float64)
        # A cluster that ran empty keeps its centre.
        centre = centre.copy()
        centre[there] = sums / sizes[there, None]
    label = _assigned(x, centre)
    return label, _apart(x, centre[label])


def _seeds(x: Floats, k: int, rng: np.random.Generator) -> Ints:
    """Seeds of k-means++ (Arthur & Vassilvitskii, SODA 2007, section 2.2); fewer than k if the samples are."""
    chosen = [int(rng.integers(len(x)))]
    near = _squares(x - x[chosen[0]])
    for _ in range(k - 1):
        heap = np.cumsum(near, dtype=np.float64)
        if not heap[-1] > 0:
            break
        place = int(np.searchsorted(heap, rng.random() * heap[-1], side="right"))
        chosen.append(min(place, len(x) - 1))
        near = np.minimum(near, _squares(x - x[chosen[-1]]))
    return np.array(chosen, dtype=np.int64)


def _assigned(x: Floats, centre: Floats) -> Ints:
    length = _squares(centre)
    step = max(_CELLS // len(centre), 1)
    label = np.empty(len(x), dtype=np.int64)
    for start in range(0, len(x), step):
        gap = x[start : start + step] @ centre.T
        gap *= -2
        gap += length
        label[start : start + step] = gap.argmin(axis=1)
    return label


def _apart(one: Floats, other: Floats) -> Floats:
    return np.sqrt(_squares(one - other))


def _squares(x: Floats) -> Floats:
    squares: Floats = np.einsum("ij,ij->i", x, x)
    return squares
