"""Clusters against those of scikit-learn, which makes them from the matrix of all distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN, AgglomerativeClustering

from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.methods import clusters
from datadiet_cli.methods.clusters import TooLargeClusterError, completely_linked, connected
from datadiet_cli.methods.neighbours import cosines, pairs_above


def vectors(seed, n, spread):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(5, 12))
    return on_grid(middle[rng.integers(0, 5, n)] + spread * rng.normal(size=(n, 12)))


def distances(grid):
    n = len(grid)
    a, b = (index.ravel() for index in np.indices((n, n)))
    return (1 - cosines(grid, a, b)).reshape(n, n)


def partition(labels):
    """Who is with whom."""
    return {tuple(np.flatnonzero(labels == label)) for label in np.unique(labels)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 90), st.sampled_from([0.1, 0.3, 0.6]), st.sampled_from([0.7, 0.9, 0.97]))
def test_connected_is_dbscan(seed, n, spread, least):
    grid = vectors(seed, n, spread)
    ours = connected(n, pairs_above(grid, least))
    theirs = DBSCAN(eps=1 - least, min_samples=2, metric="precomputed").fit_predict(distances(grid))
    noise = theirs < 0
    theirs[noise] = n + np.flatnonzero(noise)
    assert partition(ours) == partition(theirs)
    first = [int(np.flatnonzero(ours == label)[0]) for label in range(ours.max() + 1)]
    assert first == sorted(first)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 70), st.sampled_from([0.1, 0.3, 0.6]), st.sampled_from([0.7, 0.9, 0.97]))
def test_complete_linkage_is_that_of_all_distances_and_keeps_its_diameter(seed, n, spread, least):
    grid = vectors(seed, n, spread)
    ours = completely_linked(grid, pairs_above(grid, least), least)
    apart = distances(grid)
    together = ours[:, None] == ours[None, :]
    assert apart[together].max() <= 1 - least + 1e-12
    if len(np.unique(apart)) == n * (n - 1) // 2 + 1:  # no ties, which may be settled either way
        theirs = AgglomerativeClustering(
            None, metric="precomputed", linkage="complete", distance_threshold=1 - least
        ).fit_predict(apart)
        assert partition(ours) == partition(theirs)


def test_nothing_and_one():
    none = np.empty((0, 2), dtype=np.int64)
    assert connected(0, none).tolist() == []
    assert connected(3, none).tolist() == [0, 1, 2]
    assert completely_linked(on_grid(np.eye(3)), none, 0.9).tolist() == [0, 1, 2]
    assert completely_linked(np.empty((0, 3), dtype=np.int16), none, 0.9).tolist() == []


def test_a_cluster_of_everything_is_refused(monkeypatch):
    monkeypatch.setattr(clusters, "LARGEST_LINKED", 10)
    grid = vectors(0, 40, 0.01)
    with pytest.raises(TooLargeClusterError, match="one cluster takes in"):
        completely_linked(grid, pairs_above(grid, 0.9), 0.9)
