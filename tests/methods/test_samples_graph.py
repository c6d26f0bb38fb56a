"""Neighbours and witnesses against all distances; many samples by cells, which the sizes below are made small for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits, make_blobs
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.samples import cells as cells_
from datadiet_cli.methods.samples import graph
from datadiet_cli.methods.samples.graph import knn_graph, nearest_kept


@pytest.fixture
def cells(monkeypatch):
    """Samples are parted into cells from 500 on, and compared with some 400."""
    for name, value in {"EXACT": 500, "_LOOK": 400, "_PROBE": 100, "_PIECE": 1 << 16}.items():
        monkeypatch.setattr(graph, name, value)
    monkeypatch.setattr(cells_, "_CELL", 20)
    monkeypatch.setattr(cells_, "_LARGEST", 60)


def distances(x, group=None):
    apart = cdist(x, x)
    return apart if group is None else np.where(group[:, None] == group, apart, np.inf)


def by_brute_force(x, k, group=None):
    apart = distances(x, group)
    np.fill_diagonal(apart, np.inf)
    order = np.argsort(apart, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(apart, order, axis=1)
    order = np.where(np.isfinite(near), order, -1)
    spare = max(k - order.shape[1], 0)
    return np.pad(order, ((0, 0), (0, spare)), constant_values=-1), np.pad(
        near, ((0, 0), (0, spare)), constant_values=np.inf
    )


samples = st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([2, 5, 1000]))


def made(size):
    n, d, seed, values = size
    rng = np.random.default_rng(seed)
    # Few values make ties; whole ones make distances exact.
    return rng.integers(0, values, (n, d)).astype(np.float32), rng.integers(0, 3, n), rng.random(n) < 0.4


@settings(max_examples=40, deadline=None)
@given(samples, st.integers(0, 8), st.booleans())
def test_the_graph_is_that_of_all_distances(size, k, grouped):
    x, group, _ = made(size)
    group = group if grouped else None
    order, near = by_brute_force(x, k, group)
    found = knn_graph(x, k, group=group)
    np.testing.assert_array_equal(found.neighbour, order)
    np.testing.assert_allclose(found.distance, near, rtol=1e-6)
    assert found.neighbour.dtype == np.int64
    assert found.distance.dtype == np.float32


@settings(max_examples=40, deadline=None)
@given(samples, st.booleans())
def test_the_witness_is_the_nearest_kept(size, grouped):
    x, group, kept = made(size)
    apart = distances(x, group if grouped else None)
    apart[:, ~kept] = np.inf
    witness, distance = nearest_kept(x, kept, group=group if grouped else None)
    np.testing.assert_allclose(distance, apart.min(axis=1), rtol=1e-12)
    some = np.isfinite(apart.min(axis=1))
    np.testing.assert_array_equal(witness[~kept & some], apart.argmin(axis=1)[~kept & some])
    np.testing.assert_array_equal(witness[kept], np.flatnonzero(kept))
    assert (witness[~some] == -1).all()


def test_cells_find_nearly_all_neighbours_of_digits(cells):
    x = load_digits().data.astype(np.float32)
    order, near = by_brute_force(x, 10)
    found = knn_graph(x, 10)
    recall = np.mean([np.isin(some, all_).mean() for some, all_ in zip(found.neighbour, order, strict=True)])
    assert recall > 0.9
    assert found.distance.sum() < 1.01 * near.sum()
    kept = np.random.default_rng(0).random(len(x)) < 0.5
    apart = distances(x)[:, kept].min(axis=1)
    witness, distance = nearest_kept(x, kept)
    assert kept[witness].all()
    assert distance.sum() < 1.01 * apart.sum()
    np.testing.assert_allclose(distance, np.linalg.norm(x - x[witness], axis=1), rtol=1e-5)


def test_cells_find_all_neighbours_where_there_are_clusters(cells):
    x = make_blobs(2000, 8, centers=40, cluster_std=0.3, random_state=1)[0].astype(np.float32)
    np.testing.assert_array_equal(knn_graph(x, 5).neighbour, by_brute_force(x, 5)[0])


def test_cells_do_not_hang_on_the_order_of_samples(cells):
    x = np.random.default_rng(0).normal(size=(900, 6)).astype(np.float32)
    turn = np.random.default_rng(1).permutation(900)
    plain, turned = knn_graph(x, 4, seed=3), knn_graph(x[turn], 4, seed=3)
    np.testing.assert_array_equal(turn[turned.neighbour], plain.neighbour[turn])


@pytest.mark.parametrize("distinct", [1, 2, 30])
def test_equal_samples_by_the_thousand(cells, distinct):
    """They make no cell larger than it may be, and are their own nearest."""
    n = 3000
    x = np.zeros((n, 3), dtype=np.float32)
    x[:, 0] = np.random.default_rng(0).integers(0, distinct, n)
    x[0] = 100
    parts = cells_.cells_of(x, 0)
    assert parts.size.max() <= cells_._LARGEST
    np.testing.assert_array_equal(np.sort(parts.order), np.arange(n))
    found = knn_graph(x, 5)
    assert (found.distance[1:] == 0).all()
    assert all(len(set(row)) == 5 for row in found.neighbour.tolist())
    assert (found.neighbour != np.arange(n)[:, None]).all()
    np.testing.assert_allclose(found.distance[0], np.linalg.norm([100 - x[1:, 0].max(), 100, 100]), rtol=1e-6)


def test_threads_of_linear_algebra_settle_no_ties():
    """Equal centres are equally far, but for last digits; and those depend on how many threads multiply."""
    some = np.random.default_rng(0).normal(size=(100, 32))
    centre, count = np.concatenate([np.repeat(some[:1], 90, axis=0), some]), np.full(190, 100)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append([around.tolist() for _, around in cells_.around_each(centre, count, 3000)])
    assert found[0] == found[1]


def test_few_kept_among_many(cells):
    """Where the nearest cells hold none of the kept, farther ones are looked into."""
    x = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    kept = np.zeros(3000, dtype=bool)
    kept[np.argsort(x[:, 0])[:600]] = True
    witness, distance = nearest_kept(x, kept)
    assert kept[witness].all()
    assert np.isfinite(distance).all()
    assert nearest_kept(x, np.zeros(3000, dtype=bool))[0].max() == -1


def test_large_offsets_and_large_numbers():
    rng = np.random.default_rng(0)
    x = (1e6 + rng.integers(0, 1000, (300, 3))).astype(np.float32)
    np.testing.assert_array_equal(knn_graph(x, 3).neighbour, by_brute_force(x, 3)[0])
    huge = rng.choice([-3e38, 3e38], (50, 20)).astype(np.float32)
    assert np.isfinite(knn_graph(huge, 3).distance).all()
    assert np.isfinite(nearest_kept(huge, np.arange(50) < 2)[1]).all()


@pytest.mark.parametrize(("n", "d"), [(0, 3), (1, 3), (4, 0)])
def test_hardly_anything(n, d):
    x = np.zeros((n, d), dtype=np.float32)
    found = knn_graph(x, 2)
    assert found.neighbour.shape == (n, 2)
    assert (found.distance == (0 if n > 2 else np.inf)).all()
    assert nearest_kept(x, np.zeros(n, dtype=bool))[0].tolist() == [-1] * n


def test_what_cannot_be_compared():
    x = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="finite"):
        knn_graph(np.full((3, 2), np.nan, dtype=np.float32), 1)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        knn_graph(x, -1)
    with pytest.raises(ValueError, match="3 samples, but 2 groups"):
        knn_graph(x, 1, group=np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="3 samples, but 2 marks"):
        nearest_kept(x, np.zeros(2, dtype=bool))
