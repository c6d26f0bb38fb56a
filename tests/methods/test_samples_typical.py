"""Scores of features alone tell the far, the middle and the sparse."""

import numpy as np
import pytest

from datadiet_cli.methods.samples.base import Graph
from datadiet_cli.methods.samples.typical import TYPICAL

every = pytest.mark.parametrize("score", TYPICAL.values(), ids=TYPICAL.keys())


def nearest(x, k):
    """The graph, by brute force."""
    wide = np.asarray(x, dtype=np.float64)
    apart = np.sqrt(((wide[:, None] - wide) ** 2).sum(-1))
    np.fill_diagonal(apart, np.inf)
    neighbour = np.argsort(apart, axis=1, kind="stable")[:, : min(k, max(len(x) - 1, 0))]
    distance = np.take_along_axis(apart, neighbour, 1)
    return Graph(neighbour, np.minimum(distance, np.finfo(np.float32).max).astype(np.float32))


def blobs(seed=0, each=40, wide=1.0):
    rng = np.random.default_rng(seed)
    x = (10 * np.eye(3, 5)[:, None] + wide * rng.normal(size=(3, each, 5))).reshape(-1, 5)
    return x.astype(np.float32), np.repeat(np.arange(3), each)


@every
def test_the_order_of_samples_does_not_matter(score):
    x, label = blobs()
    order = np.random.default_rng(1).permutation(len(x))
    whole = score(x, label, 0, nearest(x, 5))
    assert whole.dtype == np.float64
    np.testing.assert_allclose(score(x[order], label[order], 0, nearest(x[order], 5)), whole[order], atol=1e-12)


@every
@pytest.mark.parametrize(
    "x",
    [
        np.empty((0, 3)),
        np.ones((1, 3)),
        np.zeros((1, 3)),
        np.zeros((7, 3)),
        np.full((7, 3), -2.5),
        np.empty((7, 0)),
        np.r_[np.full((3, 2), 3e38), np.full((4, 2), -3e38)],
        np.r_[np.full((3, 2), 1e-40), np.full((4, 2), -1e-42)],
        np.eye(7),
    ],
)
def test_degenerate_samples_have_finite_scores(score, x):
    x = x.astype(np.float32)
    label = np.where(np.arange(len(x)) == 3, 5, 0)
    found = score(x, label, 0, nearest(x, 3))
    assert found.shape == (len(x),)
    assert np.isfinite(found).all()


@every
def test_what_is_no_number_or_has_no_label_is_refused(score):
    x, label = blobs()
    with pytest.raises(ValueError, match="label"):
        score(x, label[1:], 0, nearest(x, 2))
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match="finite"):
        score(x, label, 0, None)


def test_prototypes_look_at_directions_alone():
    x, label = blobs(wide=0.3)
    found = TYPICAL["prototypes"](x, label, 0, None)
    np.testing.assert_allclose(TYPICAL["prototypes"](x * 100, label, 0, None), found, atol=1e-6)
    assert (found >= 0).all()
    assert found.max() < 0.01, "clusters are tight"


def test_prototypes_are_cosines_to_the_mean_of_a_cluster():
    """Two tight bundles of directions and k = 3 or fewer clusters of 4 samples each."""
    angle = np.deg2rad([0, 1, 2, 3, 90, 91, 92, 93, 200])
    x = np.c_[np.cos(angle), np.sin(angle)].astype(np.float32)
    expected = [1 - np.cos(np.deg2rad(off)) for off in (1.5, 0.5, 0.5, 1.5, 1.5, 0.5, 0.5, 1.5, 0)]
    found = TYPICAL["prototypes"](x * np.arange(1, 10, dtype=np.float32)[:, None], np.zeros(9, dtype=int), 3, None)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_moderate_keeps_the_middle_of_each_class():
    """Distances to the median point by hand: a class ten times as wide keeps as many."""
    x = np.r_[np.arange(-5, 6), 1000 + 10 * np.arange(-5, 6)].astype(np.float32)[:, None]
    label = np.repeat([0, 1], 11)
    found = TYPICAL["moderate"](x, label, 0, None)
    np.testing.assert_allclose(found[:11], found[11:])
    # Distances 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5: the middle rank is that of a 3.
    rank = np.array([9.5, 7.5, 5.5, 3.5, 1.5, 0, 1.5, 3.5, 5.5, 7.5, 9.5])
    np.testing.assert_allclose(found[:11], -np.abs((rank + 0.5) / 11 - 0.5))
    best = np.flatnonzero(found[:11] == found[:11].max())
    assert best.tolist() == [2, 8]


def test_moderate_agrees_with_a_window_around_the_median():
    x, label = blobs(3, each=41)
    found = TYPICAL["moderate"](x, label, 0, None)
    for c in range(3):
        own = x[label == c].astype(np.float64)
        away = np.linalg.norm(own - np.median(own, axis=0), axis=1)
        order = np.argsort(away)
        assert set(np.argsort(-found[label == c])[:11]) == set(order[15:26])


def test_density_is_the_mean_distance_to_neighbours():
    x, label = blobs()
    graph = nearest(x, 4)
    np.testing.assert_allclose(TYPICAL["density"](x, label, 0, graph), graph.distance.mean(axis=1), rtol=1e-6)
    graph.neighbour[0], graph.distance[0] = -1, np.inf
    graph.neighbour[1, 2:], graph.distance[1, 2:] = -1, np.inf
    found = TYPICAL["density"](x, label, 0, graph)
    np.testing.assert_allclose(found[1], graph.distance[1, :2].mean(), rtol=1e-6)
    assert found[0] == found[1:].max(), "nothing is near it at all"


def test_density_needs_the_graph_of_its_samples():
    x, label = blobs()
    with pytest.raises(ValueError, match="nearest others"):
        TYPICAL["density"](x, label, 0, None)
    with pytest.raises(ValueError, match="a row for each"):
        TYPICAL["density"](x, label, 0, nearest(x[1:], 3))
