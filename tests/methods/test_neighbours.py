"""The search for near vectors finds exactly the pairs that a comparison of all with all finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.encode.vectors.grid import LENGTH, MOST_DIMENSIONS, on_grid
from datadiet_cli.engine import Engine
from datadiet_cli.methods import neighbours
from datadiet_cli.methods.crew import ALONE
from datadiet_cli.methods.neighbours import TooManyPairsError, cosines, pairs_above


@pytest.fixture(scope="module")
def threads():
    with Engine("threads", 3) as engine:
        yield engine


def brute_force(grid, least):
    """All pairs, in whole numbers and float64."""
    whole = grid.astype(np.int64)
    product = whole @ whole.T
    square = np.diag(product).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = product / np.sqrt(np.outer(square, square))
    i, j = np.nonzero(np.triu(cosine >= least, 1))
    return np.column_stack([i, j])


def blobs(seed, n, d, spread, centres=6):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, d))
    return middle[rng.integers(0, centres, n)] + spread * rng.normal(size=(n, d))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 180),
    d=st.sampled_from([1, 2, 3, 17, 150, 400]),
    spread=st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0]),
    least=st.sampled_from([-0.5, 0.0, 0.3, 0.8, 0.95, 0.999, 1.0]),
    buckets=st.booleans(),
    alone=st.booleans(),
)
def test_it_finds_what_brute_force_finds(threads, seed, n, d, spread, least, buckets, alone):
    vectors = blobs(seed, n, d, spread)
    vectors[:: max(n // 5, 7)] = 0
    grid = on_grid(vectors)
    crew = ALONE if alone else threads
    found = pairs_above(grid, least, crew=crew, seed=seed, buckets_from=2 if buckets else 10**9)
    np.testing.assert_array_equal(found, brute_force(grid, least))


@pytest.mark.parametrize("buckets_from", [2, 10**9])
def test_many_tiles(monkeypatch, buckets_from):
    monkeypatch.setattr(neighbours, "_TILE", 16)
    grid = on_grid(blobs(3, 300, 60, 0.4))
    found = pairs_above(grid, 0.85, buckets_from=buckets_from)
    assert len(found) > 500
    np.testing.assert_array_equal(found, brute_force(grid, 0.85))


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_vectors_of_any_length_get_the_same_place(scale):
    vectors = blobs(1, 20, 30, 1.0)
    np.testing.assert_array_equal(on_grid(vectors * scale), on_grid(vectors))
    length = np.linalg.norm(on_grid(vectors).astype(float), axis=1)
    assert np.abs(length - LENGTH).max() < 4


def test_what_is_no_direction_has_no_neighbour():
    grid = on_grid(np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1.0, 0.0], [2.0, 0.0]]))
    assert not grid[:3].any()
    np.testing.assert_array_equal(pairs_above(grid, -1.0), [[3, 4]])
    assert np.isnan(cosines(grid, np.array([0]), np.array([3]))).all()


@given(seed=st.integers(0, 1000), d=st.sampled_from([2, 100, 2000]))
@settings(max_examples=20, deadline=None)
def test_the_grid_hardly_moves_a_cosine_and_equal_vectors_are_entirely_alike(seed, d):
    vectors = blobs(seed, 30, d, 0.5)
    grid = on_grid(vectors)
    a, b = (index.ravel() for index in np.indices((30, 30)))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = cosines(grid, a, b)
    assert np.abs(found - np.einsum("ij,ij->i", unit[a], unit[b])).max() < 1e-3
    assert (found[a == b] == 1).all()
    np.testing.assert_array_equal(found.reshape(30, 30), found.reshape(30, 30).T)


def test_products_on_the_grid_are_whole_numbers_in_any_order():
    """The promise behind decisions that do not depend on a library: every partial sum is exact in float32."""
    rng = np.random.default_rng(0)
    for d in (3, 1280, MOST_DIMENSIONS):
        grid = on_grid(rng.uniform(0.5, 1, size=(4, d))).astype(np.float32)
        exact = grid.astype(np.int64) @ grid.astype(np.int64).T
        assert exact.max() < 2**24
        for _ in range(3):
            order = rng.permutation(d)
            np.testing.assert_array_equal(grid[:, order] @ grid[:, order].T, exact)


def test_too_much_of_one_kind_is_refused():
    grid = on_grid(blobs(0, 300, 8, 0.01, centres=1))
    with pytest.raises(TooManyPairsError, match=r"more than 1,000 pairs have a similarity of 0\.9"):
        pairs_above(grid, 0.9, limit=1000)
    with pytest.raises(ValueError, match="longer"):
        pairs_above(np.full((2, 2), 4000, dtype=np.int16), 0.9)
    with pytest.raises(ValueError, match="32768"):
        on_grid(np.zeros((1, 40_000)))
