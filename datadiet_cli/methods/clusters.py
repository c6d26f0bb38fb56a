"""Groups of near vectors, from the graph of those that are near: no matrix of all with all is ever made."""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.neighbours import Ints, cosines
from datadiet_cli.methods.shortening import Grid

LARGEST_LINKED = 4096
"""The largest part of a graph that is put in order by linkage: its distances take 64 MiB."""


class TooLargeClusterError(ValueError):
    """One cluster holds more vectors than can be compared with each other."""


def connected(n: int, pairs: Ints) -> Ints:
    """Clusters of DBSCAN with at least two samples to a core: whoever is joined by a chain of pairs is together.

    With `min_samples=2` every vector that has a neighbour is a core (Ester et al., "A density-based algorithm for
    discovering clusters in large spatial databases with noise", KDD 1996, definitions 1 to 6), so the clusters are the
    connected components of the graph, and its noise the vectors that stand alone.

    Args:
        n: number of vectors.
        pairs: (p, 2) int64, the vectors that are neighbours.

    Returns:
        (n,) int64 cluster numbers, in the order of their first vectors; a vector alone has one of its own.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph = csr_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return _in_order(connected_components(graph, directed=False)[1])


def completely_linked(grid: Grid, pairs: Ints, least: float) -> Ints:
    """Clusters of agglomeration with complete linkage: every two vectors of one are neighbours.

    Two vectors of a cluster are within reach of each other, hence in one connected component, so each component is
    put in order by itself. Agglomeration goes the way of nearest-neighbour chains (Murtagh, "A survey of recent
    advances in hierarchical clustering algorithms", The Computer Journal 26(4), 1983, section 3).

    Args:
        grid: (n, d) int16 vectors, as `neighbours` takes them.
        pairs: (p, 2) int64, all that have a cosine of `least` or more.
        least: smallest cosine of two vectors of a cluster.

    Returns:
        (n,) int64 cluster numbers, as `connected` gives them.

    Raises:
        TooLargeClusterError: a component is too large.
    """
    component = connected(len(grid), pairs)
    order = np.argsort(component, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(component))[:-1]) if len(order) else []
    cluster = component.copy()
    following = len(members)
    for some in members:
        if len(some) < 3:
            continue
        if len(some) > LARGEST_LINKED:
            raise TooLargeClusterError(f"one cluster takes in {len(some):,} different samples")
        own = _link(grid, some, least)
        cluster[some] = following + own
        following += int(own.max()) + 1
    return _in_order(cluster)


def _link(grid: Grid, members: Ints, least: float) -> Ints:
    from scipy.cluster.hierarchy import fcluster, linkage

    one, other = np.triu_indices(len(members), 1)
    distance = 1 - cosines(grid, members[one], members[other])
    # The very number that the farthest neighbours are apart, so that no rounding puts them asunder.
    within = distance[distance <= 1 - least]
    if not len(within):
        return np.arange(len(members), dtype=np.int64)
    numbers: NDArray[np.int32] = fcluster(linkage(distance, "complete"), float(within.max()), "distance")
    return numbers.astype(np.int64) - 1


def _in_order(cluster: NDArray[np.integer]) -> Ints:
    """Number clusters in the order of their first members."""
    _, first, number = np.unique(cluster, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number]
