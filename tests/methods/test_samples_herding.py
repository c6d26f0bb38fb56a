"""Herding is what a search over all samples at each step would choose, whatever the order, ties and sizes."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples import herding as module
from datadiet_cli.methods.samples.herding import herding


def searched(x, m):
    """Try every sample at each step; distances in exact whole numbers: n * sum of the chosen - t * sum of all."""
    whole = [[int(cell) for cell in row] for row in x]
    everything, total, left, order, gain = np.sum(x, axis=0), np.zeros(x.shape[1]), list(range(len(x))), [], []
    for t in range(1, m + 1):
        apart = [
            sum(int(len(x) * (s + c) - t * e) ** 2 for s, c, e in zip(total, whole[i], everything, strict=True))
            for i in left
        ]
        best = left.pop(int(np.argmin(apart)))
        total += x[best]
        order.append(best)
        gain.append(-np.linalg.norm(total / t - everything / len(x)))
    return order, gain


grids = st.tuples(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 4), st.sampled_from([1, 3, 1000]))


def cloud(seed, n, d, most):
    return np.random.default_rng(seed).integers(-most, most + 1, (n, d)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(grids, st.sampled_from([5, 1 << 14]))
def test_choices_are_those_of_a_search_and_bring_the_means_as_near_as_they_say(given_, rows):
    x = cloud(*given_)
    # Whole numbers and as many samples as a power of two: the mean is exact, and so are ties.
    x = np.repeat(x, 2, axis=0)[: 1 << (2 * len(x)).bit_length() - 1]
    order, gain = searched(x, len(x))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", rows)
        picked = herding(x, len(x), 0)
    assert picked.order.tolist() == order
    assert picked.gain == pytest.approx(gain, abs=1e-6 * float(np.abs(x).max()))


@settings(max_examples=40, deadline=None)
@given(grids, st.randoms(use_true_random=False))
def test_choice_depends_on_the_samples_not_on_their_order(given_, random):
    assume(given_[1] != 2)  # Two are equally far from their mean: a tie, which goes to the first.
    x = cloud(*given_) + np.random.default_rng(given_[0]).normal(size=given_[1:3]).astype(np.float32)
    turn = np.array(random.sample(range(len(x)), len(x)))
    assert turn[herding(x[turn], len(x)).order].tolist() == herding(x, len(x)).order.tolist()


def test_fewer_are_the_first_of_more_and_the_seed_does_not_matter():
    x = np.random.default_rng(5).normal(size=(300, 7)).astype(np.float32)
    many = herding(x, 90, 0)
    for m in (0, 1, 30):
        few = herding(x, m, 8)
        assert (few.order.tolist(), few.gain.tolist()) == (many.order[:m].tolist(), many.gain[:m].tolist())
    assert (many.order.dtype, many.gain.dtype, len(set(many.order.tolist()))) == (np.int64, np.float64, 90)


def test_mean_comes_much_nearer_than_that_of_samples_at_random():
    rng = np.random.default_rng(7)
    x = (rng.normal(size=(2000, 16)) ** 3).astype(np.float32)
    by_chance = [np.linalg.norm(x[rng.choice(2000, 100, replace=False)].mean(0) - x.mean(0)) for _ in range(20)]
    herd = herding(x, 100)
    assert np.linalg.norm(x[herd.order].mean(0) - x.mean(0)) < min(by_chance) / 10
    assert -herd.gain[-1] == pytest.approx(np.linalg.norm(x[herd.order].mean(0) - x.mean(0)), rel=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-42, 1e-20, 1e38])
@pytest.mark.parametrize("shape", [(1, 3), (6, 1), (40, 5)])
def test_equal_tiny_and_huge_samples_are_chosen_without_a_warning(scale, shape):
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32) * np.float32(scale)
    picked = herding(x, len(x))
    assert sorted(picked.order.tolist()) == list(range(len(x)))
    assert np.isfinite(picked.gain).all()
    if scale == 0:
        assert picked.order.tolist() == list(range(len(x)))
        assert not picked.gain.any()


def test_no_samples():
    assert len(herding(np.empty((0, 4), dtype=np.float32), 0).order) == 0


@pytest.mark.parametrize(
    ("x", "m", "said"),
    [
        (np.zeros(3), 1, "two dimensions"),
        (np.zeros((3, 2)), 4, "from 0 to 3 samples, not 4"),
        (np.zeros((3, 2)), -1, "from 0 to 3 samples, not -1"),
        (np.array([[0, np.nan]]), 1, "finite"),
        (np.array([[0, np.inf], [1, 1]]), 1, "finite"),
    ],
)
def test_bad_input_is_one_clear_line(x, m, said):
    with pytest.raises(ValueError, match=said):
        herding(x.astype(np.float32), m, 0)
