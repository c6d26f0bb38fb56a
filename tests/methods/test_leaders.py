"""Leaders are what the greedy rule keeps when it is asked about all pairs, one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.engine import Engine
from datadiet_cli.methods import leaders
from datadiet_cli.methods.crew import ALONE
from datadiet_cli.methods.leaders import led_by, nearest_of
from datadiet_cli.methods.neighbours import cosines


@pytest.fixture(scope="module")
def threads():
    with Engine("threads", 3) as engine:
        yield engine


def blobs(seed, n, spread):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(4, 9))
    return on_grid(middle[rng.integers(0, 4, n)] + spread * rng.normal(size=(n, 9)))


def all_cosines(grid):
    a, b = (index.ravel() for index in np.indices((len(grid), len(grid))))
    return cosines(grid, a, b).reshape(len(grid), len(grid))


many = (
    st.integers(0, 1000),
    st.integers(0, 60),
    st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from([0.7, 0.95, 0.999]),
    st.booleans(),
    st.sampled_from([4, 2048]),
)


@settings(max_examples=50, deadline=None)
@given(*many)
def test_leaders_are_those_of_the_greedy_rule(threads, seed, n, spread, least, alone, block):
    grid = blobs(seed, n, spread)
    order = np.random.default_rng(seed).permutation(n).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaders, "_BLOCK", block)
        patch.setattr(leaders, "_WIDE", 3)
        patch.setattr(leaders, "_ACROSS", 2)
        leader = led_by(grid, least, order, crew=ALONE if alone else threads)
    cosine, kept = all_cosines(grid), []
    for row, led in zip(order.tolist(), leader.tolist(), strict=True):
        near = [other for other in kept if cosine[row, other] >= least]
        assert (led == -1) == (not near)
        assert led == -1 or led in near, "a leader is preferred to those it leads, and near them"
        if led == -1:
            kept.append(row)


@settings(max_examples=50, deadline=None)
@given(*many)
def test_the_nearest_is_that_of_all(threads, seed, n, spread, least, alone, block):
    grid = blobs(seed, n, spread)
    order = np.random.default_rng(seed).permutation(n).astype(np.int64)
    rows, others = order[: n // 3], order[n // 3 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaders, "_BLOCK", block)
        patch.setattr(leaders, "_WIDE", 3)
        patch.setattr(leaders, "_ACROSS", 2)
        found = nearest_of(grid, least, rows, others, crew=ALONE if alone else threads)
    cosine = all_cosines(grid)
    for row, nearest in zip(rows.tolist(), found.tolist(), strict=True):
        best = max(others.tolist(), key=lambda other: cosine[row, other], default=-1)
        assert nearest == (best if best >= 0 and cosine[row, best] >= least else -1)
