"""The interval of a mean over folds with trainings of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.methods.folded import folded
from datadiet_cli.methods.intervals import crossed


def test_of_one_fold_it_is_the_crossed_one():
    """Where trainings differ by much more than samples, nothing else is wider."""
    rng = np.random.default_rng(0)
    x = rng.normal(0.1, 0.2, (4, 60)) + rng.normal(0, 0.2, (4, 1)) + rng.normal(0, 0.1, 60)
    found, expected = folded([x]), crossed(x)
    assert (found.lower, found.mean, found.upper) == pytest.approx((expected.lower, expected.mean, expected.upper))


def test_it_holds_what_it_should():
    """Of 400 experiments about 95 % cover the truth, though there are only three trainings of each fold."""
    rng = np.random.default_rng(1)
    covered, wide, crossed_wide = 0, [], []
    for _ in range(400):
        folds = [
            0.02 + rng.normal(0, 0.3, (3, 40)) + rng.normal(0, 0.2, 40) + rng.normal(0, 0.03, (3, 1)) for _ in range(5)
        ]
        found = folded(folds)
        covered += found.lower <= 0.02 <= found.upper
        wide.append(found.upper - found.lower)
        whole = crossed(np.concatenate(folds, axis=1))
        crossed_wide.append(whole.upper - whole.lower)
    assert 0.92 <= covered / 400 <= 0.99
    # All folds at once as if each row was of one training wastes most of what they tell.
    assert np.mean(wide) < 0.9 * np.mean(crossed_wide)


@given(
    seed=st.integers(0, 2**32 - 1),
    folds=st.integers(1, 5),
    trainings=st.integers(2, 4),
    share=st.sampled_from([0, 0.2, 1]),
)
def test_differences_of_correctness(seed, folds, trainings, share):
    """It lies around the mean, and no equal outcomes are taken for proof; the order of samples does not matter."""
    rng = np.random.default_rng(seed)
    tables = [
        rng.integers(-1, 2, (trainings, m)) * (rng.random((trainings, m)) < share) for m in rng.integers(2, 9, folds)
    ]
    found = folded(tables, 0.9, within=1.0)
    mean = np.concatenate(tables, axis=1).mean()
    assert found.lower <= found.mean + 1e-12
    assert found.mean == pytest.approx(mean)
    assert found.lower < 0.999 * mean or mean < 1
    if share == 0:
        assert found.lower < 0 < found.upper
    again = folded([table[::-1, ::-1] for table in tables], 0.9, within=1.0)
    assert (again.lower, again.upper) == pytest.approx((found.lower, found.upper), abs=1e-9)


@pytest.mark.parametrize(
    "scores", [[], [np.zeros((1, 5))], [np.zeros((2, 1))], [np.zeros(4)], [np.zeros((2, 3)), np.zeros((3, 3))]]
)
def test_too_little(scores):
    with pytest.raises(ValueError, match=r"at least|same number"):
        folded(scores)


def test_what_is_no_number():
    with pytest.raises(ValueError, match="finite"):
        folded([np.array([[np.nan, 1.0], [0.0, 1.0]])])
    with pytest.raises(ValueError, match="beyond"):
        folded([np.full((2, 3), 2.0)], within=1.0)
