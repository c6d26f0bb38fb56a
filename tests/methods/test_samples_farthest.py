"""The farthest-first traversal is that of the plain loop, for any data, and covers what it promises."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples import farthest
from datadiet_cli.methods.samples.farthest import k_center


def plainly(x, m, first):
    """The loop of Gonzalez: m passes over all samples; the first of several that are farthest."""
    x = x.astype(np.float64)
    near, order, gain = np.full(len(x), np.inf), [], []
    for _ in range(m):
        row = int(np.where(np.isin(np.arange(len(x)), order), -1.0, near).argmax()) if order else first
        order.append(row)
        gain.append(near[row])
        near = np.minimum(near, np.sqrt(((x - x[row]) ** 2).sum(axis=1)))
    return order, gain


def by_blocks_of(size, x, m):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest, "_BLOCK", size)
        return k_center(x, m)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("block", [3, 40, 1024])
@pytest.mark.parametrize(("n", "d"), [(400, 2), (400, 30), (1100, 5)])
def test_choices_are_those_of_the_plain_loop(n, d, block):
    x = normal(n, d)
    found = by_blocks_of(block, x, n // 2)
    middle = ((x - x.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1)
    order, gain = plainly(x, n // 2, int(middle.argmin()))
    assert found.order.tolist() == order
    np.testing.assert_allclose(found.gain[1:], gain[1:], rtol=1e-5)
    np.testing.assert_allclose(found.gain[0], np.sqrt(middle.min()), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(0, 3), st.sampled_from([1, 2, 7, 1024]))
def test_ties_and_copies_are_settled_by_position(data, n, d, block):
    cells = st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d)
    x = np.array(data.draw(cells), dtype=np.float32).reshape(n, d)
    m = data.draw(st.integers(1, n))
    found = by_blocks_of(block, x, m)
    middle = np.sqrt(((x - x.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1))
    assert middle[found.order[0]] <= middle.min() + 1e-5
    order, gain = plainly(x, m, int(found.order[0]))
    assert found.order.tolist() == order
    assert found.order.dtype == np.int64
    np.testing.assert_allclose(found.gain[1:], gain[1:], rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 4))
def test_no_choice_covers_more_than_twice_as_well(seed, n, m):
    x = np.random.default_rng(seed).integers(0, 30, (n, 2)).astype(np.float32)
    m = min(m, n)
    apart = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))
    best = min(apart[:, list(some)].min(axis=1).max() for some in combinations(range(n), m))
    assert apart[:, k_center(x, m).order].min(axis=1).max() <= 2 * best + 1e-6


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=20),
    st.integers(0, 20),
)
def test_any_finite_numbers_give_a_nested_choice(rows, m):
    x = np.array(rows, dtype=np.float32)
    m = min(m, len(x))
    everyone, some = k_center(x, len(x)), k_center(x, m)
    assert sorted(everyone.order) == list(range(len(x)))
    np.testing.assert_array_equal(some.order, everyone.order[:m])
    np.testing.assert_array_equal(some.gain, everyone.gain[:m])
    assert np.isfinite(everyone.gain).all()
    assert (np.diff(everyone.gain[1:]) <= 0).all()


@pytest.mark.parametrize("size", [2.0**100, 2.0**-100])
def test_the_size_of_the_numbers_changes_nothing(size):
    x = normal(200, 4)
    one, other = k_center(x, 100), k_center(x * np.float32(size), 100)
    np.testing.assert_array_equal(one.order, other.order)
    np.testing.assert_array_equal(one.gain * size, other.gain)


def test_the_order_of_the_rows_changes_nothing():
    x = normal(300, 6)
    mixed = np.random.default_rng(1).permutation(300)
    np.testing.assert_array_equal(mixed[k_center(x[mixed], 200).order], k_center(x, 200).order)


def test_a_sample_far_from_zero_is_as_near_to_others():
    """Around a mean of a thousand spreads, single precision would lose what distances are made of."""
    x = np.random.default_rng(0).integers(0, 50, (200, 3)).astype(np.float32)
    np.testing.assert_array_equal(k_center(x + 50_000, 100), k_center(x, 100))


def test_memory_is_not_that_of_all_pairs():
    x = normal(20_000, 4)
    tracemalloc.start()
    try:
        k_center(x, 2000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000 * 2000  # a byte for each pair of a sample and a choice


@pytest.mark.parametrize(
    ("x", "m", "message"),
    [
        (np.zeros((3, 2)), 4, "4 of 3 samples"),
        (np.zeros((3, 2)), -1, "-1 of 3 samples"),
        (np.zeros(3), 1, "two dimensions"),
        (np.array([[0.0], [np.nan]]), 1, "finite"),
    ],
)
def test_bad_input_is_named(x, m, message):
    with pytest.raises(ValueError, match=message):
        k_center(x.astype(np.float32), m)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (5, 0)])
def test_nothing_is_chosen_where_nothing_is_asked_for(n, m):
    assert [len(part) for part in k_center(normal(n, 3), m)] == [0, 0]
