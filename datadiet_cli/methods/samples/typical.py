"""How typical a sample is, by features alone: no training."""

from collections.abc import Callable

import numpy as np

from datadiet_cli.methods.centres import representatives
from datadiet_cli.methods.samples.base import Floats, Graph, Ints, Small

_ROWS = 1 << 14


def prototypes(x: Small, label: Ints, seed: int, graph: Graph | None = None) -> Floats:
    """Distance to the prototype of the own cluster (Sorscher et al., "Beyond neural scaling laws", NeurIPS 2022, s. 5).

    Features of length 1 are parted by k-means into about sqrt(n) clusters, which is what the paper took for ImageNet
    (1,000 for 1.3 million); it found the number to matter little. The score is 1 - cosine to the mean of the cluster:
    samples far from their prototype are hard, those near it redundant. Labels are not looked at. A feature vector of
    zeros has no direction: its cosine is 0.

    Args:
        x: (n, d) float32, finite.
        label: (n,) int64, not used.
        seed: of the first centres.
        graph: not used.

    Returns:
        (n,) float64 in [0, 2].

    Raises:
        ValueError: features are not finite, or there is not one label for each sample.
    """
    _check(x, label)
    n = len(x)
    if not n:
        return np.zeros(0)
    unit = _unit(x)
    # In an order of their own, so that clusters do not depend on that of the samples.
    order = _standing(unit)
    unit = unit[order]
    witness = representatives(unit, int(np.ceil(np.sqrt(n))), seed).witness
    middle, cluster = np.unique(witness, return_inverse=True)
    by_cluster = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster, minlength=len(middle))
    centre = np.add.reduceat(unit[by_cluster], np.cumsum(sizes) - sizes, axis=0, dtype=np.float64)
    score = np.empty(n)
    score[order] = _gaps(unit, centre, cluster)
    return np.clip(score, 0.0, 2.0)


def moderate(x: Small, label: Ints, seed: int, graph: Graph | None = None) -> Floats:
    """Nearness to the middle of a class's distances (Xia et al., "Moderate coreset", ICLR 2023, section 3).

    The distance of a sample is that to the median point of its class. Neither the nearest (redundant) nor the farthest
    (often wrong) are worth most, but those around the median distance. Samples are ranked within their class: distances
    of a wide class are all large, so among all together it would lose its own middle, and a class in the middle of all
    would keep everything.

    Args:
        x: (n, d) float32, finite.
        label: (n,) int64 classes; all 0 where there are none.
        seed: not used.
        graph: not used.

    Returns:
        (n,) float64: minus how far the rank is from the middle, in shares of the class, from 0 down to above -0.5;
        equal distances share a rank.

    Raises:
        ValueError: features are not finite, or there is not one label for each sample.
    """
    _check(x, label)
    n = len(x)
    if not n:
        return np.zeros(0)
    x = _tamed(x)
    _, own = np.unique(label, return_inverse=True)
    sizes = np.bincount(own)
    away = np.empty(n)
    for rows in np.split(np.argsort(own, kind="stable"), np.cumsum(sizes)[:-1]):
        off = x[rows] - np.median(x[rows], axis=0)
        away[rows] = np.sqrt(np.einsum("ij,ij->i", off, off, dtype=np.float64))
    order = np.lexsort((away, own))
    fresh = np.r_[True, (np.diff(away[order]) > 0) | (np.diff(own[order]) > 0)]
    start = np.flatnonzero(fresh)
    stop = np.r_[start[1:], n] - 1
    score = np.empty(n)
    rank = ((start + stop) / 2)[np.cumsum(fresh) - 1] - (np.cumsum(sizes) - sizes)[own[order]]
    score[order] = -np.abs((rank + 0.5) / sizes[own[order]] - 0.5)
    return score


def density(x: Small, label: Ints, seed: int, graph: Graph | None = None) -> Floats:
    """Mean distance to the nearest others: in sparse regions each sample is worth more.

    This is what density-based pruning (Abbas et al., "Effective pruning of web-scale data based on complexity of
    concept clusters", ICLR 2024, section 3) says of clusters, said of each sample; quotas of clusters are apart.

    Args:
        x: (n, d) float32, finite; only the number of samples is looked at.
        label: (n,) int64, not used.
        seed: not used.
        graph: the nearest others.

    Returns:
        (n,) float64, 0 or more. A sample without a neighbour gets the largest value of the others.

    Raises:
        ValueError: there is no graph, or it is not one of these samples.
    """
    _check(x, label)
    if graph is None:
        raise ValueError("density needs the nearest others of each sample")
    if graph.neighbour.ndim != 2 or len(graph.neighbour) != len(x) or graph.distance.shape != graph.neighbour.shape:
        raise ValueError(f"the graph of density must have a row for each of the {len(x):,} samples")
    there = graph.neighbour >= 0
    number = there.sum(axis=1)
    total = np.where(there, graph.distance, np.float32(0)).sum(axis=1, dtype=np.float64)
    score = total / np.maximum(number, 1)
    filled: Floats = np.where(number > 0, score, score.max(initial=0.0))
    return filled


Typical = Callable[[Small, Ints, int, Graph | None], Floats]
TYPICAL: dict[str, Typical] = {"prototypes": prototypes, "moderate": moderate, "density": density}
"""Name of a score -> (features, label, seed, graph) -> score."""


def _check(x: Small, label: Ints) -> None:
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError("each sample must have features that are finite numbers")
    if label.shape != (len(x),):
        raise ValueError(f"there must be a label for each of the {len(x):,} samples")


def _tamed(x: Small) -> Small:
    """By a power of two, which changes no digit, so that no square overflows, and few become 0."""
    tamed = np.empty_like(x)
    np.ldexp(x, -int(np.frexp(float(np.abs(x).max(initial=0.0)))[1]), out=tamed)
    return tamed


def _unit(x: Small) -> Small:
    unit = _tamed(x)
    length = np.sqrt(np.einsum("ij,ij->i", unit, unit))
    unit /= np.where(length > 0, length, np.float32(1))[:, None]
    return unit


def _standing(x: Small) -> Ints:
    """An order that depends on the samples alone: by how far they lie along one direction."""
    along = np.random.default_rng(0).standard_normal(x.shape[1:], dtype=np.float32)
    return np.argsort(np.einsum("ij,j->i", x, along), kind="stable")


def _gaps(unit: Small, centre: Floats, cluster: Ints) -> Floats:
    """1 - cosine of each sample to the centre of its cluster; 1 where one of them has no direction."""
    length = np.sqrt(np.einsum("ij,ij->i", centre, centre))
    centre = centre / np.where(length > 0, length, 1)[:, None]
    gap = np.empty(len(unit))
    for start in range(0, len(unit), _ROWS):
        some = slice(start, start + _ROWS)
        off = unit[some] - centre[cluster[some]]
        # Half the square of the chord: what is near 0 is not lost in 1 - 1.
        gap[some] = np.einsum("ij,ij->i", off, off) / 2
    gap[(length[cluster] == 0) | ~unit.any(axis=1)] = 1.0
    return gap
