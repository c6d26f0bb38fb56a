"""Wrong targets of regression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.engine import Engine
from datadiet_cli.methods.residuals import find_odd_targets


@pytest.fixture(scope="module")
def threads():
    with Engine("threads", 3) as engine:
        yield engine


def line(n=1200, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, 3 * x[:, 0] + x[:, 1] + noise * rng.normal(size=n)


def everything(x):
    return np.ones(len(x), bool)


@pytest.mark.parametrize("kind", ["even", "uneven", "heavy", "nothing to learn"])
def test_clean_noise_is_not_flagged(kind):
    rng = np.random.default_rng(1)
    x, y = line(noise=0)
    noise = {
        "even": rng.normal(size=len(x)),
        "uneven": rng.normal(size=len(x)) * np.exp(x[:, 2]),
        "heavy": rng.standard_t(3, len(x)),
        "nothing to learn": 100 * rng.normal(size=len(x)),
    }[kind]
    found = find_odd_targets(x, y + noise, everything(x))
    assert found.wrong.mean() <= 0.02
    assert found.interval[0] == pytest.approx(0, abs=0.01)


def test_planted_wrong_targets_are_found():
    x, y = line()
    rng = np.random.default_rng(2)
    wrong = rng.random(len(y)) < 0.05
    spoiled = y + wrong * rng.choice([-1, 1], len(y)) * 15
    found = find_odd_targets(x, spoiled, everything(x))
    assert (found.wrong & wrong).sum() >= 0.95 * wrong.sum()
    assert (found.wrong & wrong).sum() >= 0.9 * found.wrong.sum()
    assert found.interval[0] <= wrong.mean() <= found.interval[1]
    assert np.abs(found.suggested - y)[wrong].mean() < 2
    # The unit of the target is no matter, nor is where zero lies.
    again = find_odd_targets(x, spoiled * 1e6 - 3e6, everything(x))
    assert (again.wrong == found.wrong).mean() > 0.998


def test_rows_keep_their_answer_in_any_order_and_with_any_number_of_threads(threads):
    x, y = line(300)
    y[::50] += 20
    y[1::40] = np.nan
    fit = ~np.isnan(y) & (np.arange(300) % 5 > 0)
    first = find_odd_targets(x, y, fit)
    order = np.random.default_rng(0).permutation(300)
    again = find_odd_targets(x[order], y[order], fit[order], crew=threads)
    np.testing.assert_allclose(again.score, first.score[order], atol=1e-12)
    assert (again.wrong == first.wrong[order]).all()
    assert (first.score[np.isnan(y)] == 1).all()
    assert not first.wrong[np.isnan(y)].any()
    assert first.wrong[::50].sum() >= 5


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, 60), seed=st.integers(0, 999), power=st.integers(-200, 200), kinds=st.integers(1, 5))
def test_whatever_the_data(n, seed, power, kinds):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n, 2)).astype(np.float32)
    y = rng.integers(0, kinds, n) * 10.0**power
    found = find_odd_targets(x, y, everything(x), folds=2)
    assert np.isfinite(found.score).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (found.wrong == (found.score < found.threshold)).all()
    assert 0 <= found.interval[0] <= found.interval[1] <= 1


def test_all_equal_targets_but_one():
    x, _ = line(200)
    y = np.full(200, 5.0)
    assert not find_odd_targets(x, y, everything(x)).wrong.any()
    y[7] = 900
    assert np.flatnonzero(find_odd_targets(x, y, everything(x)).wrong).tolist() in ([7], [])


def test_bad_input_is_refused():
    x, y = line(50)
    with pytest.raises(ValueError, match="infinite"):
        find_odd_targets(x, np.where(y == y[3], np.inf, y), everything(x))
    with pytest.raises(ValueError, match="no target"):
        find_odd_targets(x, np.where(y == y[3], np.nan, y), everything(x))
    with pytest.raises(ValueError, match="do not fit"):
        find_odd_targets(x, y[:10], everything(x))
