"""Every filter: what all must hold, and how their figures compare with scikit-learn, scipy and brute force."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import association
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.feature_selection import (
    VarianceThreshold,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.feature_selection import chi2 as sklearn_chi2
from sklearn.metrics import mutual_info_score

from datadiet_cli.methods.selection import relevance
from datadiet_cli.methods.selection.base import Columns, Target
from datadiet_cli.methods.selection.filters import FILTERS, UNSUPERVISED
from tests.methods import selection_contract as contract
from tests.methods.selection_contract import plain

ALL = pytest.mark.parametrize("name", FILTERS)
SUPERVISED = [name for name in FILTERS if name not in UNSUPERVISED]


@pytest.fixture(scope="module")
def tumours():
    x, y = load_breast_cancer(return_X_y=True)
    return x, y.astype(np.int64)


@pytest.fixture(scope="module")
def price():
    """Numbers and a number they tell more or less of."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 6))
    return x, x @ [3.0, 1.0, 0.3, 0.1, 0, 0] + rng.normal(size=400)


# What every filter must hold ------------------------------------------------------------------------------------------


@ALL
def test_ranks_the_same_whatever_the_order_of_rows_and_the_workers(name):
    contract.holds(FILTERS[name])


@ALL
def test_odd_shapes_and_skewed_columns(name):
    contract.survives(FILTERS[name])


@pytest.mark.parametrize("name", SUPERVISED)
def test_what_tells_the_target_comes_first(name):
    contract.informative(FILTERS[name])


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_column_that_is_all_missing_comes_last(name):
    columns, target = contract.problem()
    assert set(FILTERS[name](columns, target).rank[[4, 8]]) == {8, 9}


@pytest.mark.parametrize("name", SUPERVISED)
def test_an_identifier_tells_nothing(name):
    """Every row has a value of its own: no later row will have it."""
    rng = np.random.default_rng(0)
    n = 300
    target = Target(rng.integers(0, 2, n), 2)
    told = np.where(rng.random(n) < 0.7, target.values, 1 - target.values)
    columns = Columns(np.empty((n, 0)), np.column_stack([rng.permutation(n), told]))
    found = FILTERS[name](columns, target)
    # All rows are as near as can be by the second column: Relief sees no difference in either.
    assert found.rank.tolist() == [2, 1] if name != "relief" else found.score[0] == pytest.approx(0, abs=1e-12)


@ALL
def test_columns_may_come_in_any_order(name):
    columns, target = contract.problem()
    moved = Columns(columns.numbers[:, [2, 0, 4, 1, 3]], columns.categories[:, [1, 3, 0, 2]])
    at = np.array([2, 0, 4, 1, 3, 6, 8, 5, 7])
    before, after = FILTERS[name](columns, target).score, FILTERS[name](moved, target).score
    np.testing.assert_allclose(before[at], after, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SUPERVISED)
def test_bad_input_is_refused_in_words(name):
    columns, target = contract.problem()
    with pytest.raises(ValueError, match="needs a target"):
        FILTERS[name](columns, None)
    with pytest.raises(ValueError, match="do not fit"):
        FILTERS[name](columns, target.rows(np.arange(3)))
    with pytest.raises(ValueError, match="infinite"):
        FILTERS[name](Columns(np.where(columns.numbers == 7.25, np.inf, columns.numbers), columns.categories), target)
    with pytest.raises(ValueError, match="missing or infinite"):
        FILTERS[name](columns, Target(np.full(len(columns), np.nan), 0))


@pytest.mark.parametrize("name", ["pearson", "spearman", "chi2", "anova", "mutual-information", "relief", "mrmr"])
def test_units_of_the_numbers_do_not_matter(name):
    columns, target = contract.problem()
    scaled = Columns(columns.numbers * 0.0254 - 40, columns.categories)
    one, other = (FILTERS[name](each, target).score for each in (columns, scaled))
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


# Figures of others ----------------------------------------------------------------------------------------------------


def test_f_is_that_of_scikit_learn(tumours, price):
    x, y = tumours
    found = relevance.tested(plain(x), Target(y, 2))
    f, p = f_classif(x, y)
    np.testing.assert_allclose(found.value, f, rtol=1e-9)
    np.testing.assert_allclose(np.exp(found.log_p), p, rtol=1e-8)
    x, y = price
    found = relevance.tested(plain(x), Target(y, 0))
    f, p = f_regression(x, y)
    np.testing.assert_allclose(found.value, f, rtol=1e-9)
    np.testing.assert_allclose(np.exp(found.log_p), p, rtol=1e-8)


def test_f_of_the_rows_that_have_the_cell(price):
    x, y = price
    x = np.where(np.random.default_rng(0).random(x.shape) < 0.3, np.nan, x)
    for place, value in enumerate(relevance.tested(plain(x), Target(y, 0)).value):
        known = ~np.isnan(x[:, place])
        assert value == pytest.approx(f_regression(x[known, place : place + 1], y[known])[0][0], rel=1e-9)
    y = (y > 0).astype(np.int64)
    for place, value in enumerate(relevance.tested(plain(x), Target(y, 2)).value):
        known = ~np.isnan(x[:, place])
        assert value == pytest.approx(f_classif(x[known, place : place + 1], y[known])[0][0], rel=1e-9)


def test_chi_squared_is_that_of_scikit_learn_over_the_values():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    codes = np.column_stack([(y + rng.integers(0, 3, 300)) % 4, rng.integers(0, 5, 300)])
    found = relevance.independence(plain(np.empty((300, 0)), codes), Target(y, 3))
    for place in (0, 1):
        marks = codes[:, place, None] == np.arange(5)
        marks = marks[:, marks.any(axis=0)]
        assert found.value[place] == pytest.approx(sklearn_chi2(marks, y)[0].sum(), rel=1e-9)
        count = stats.contingency.crosstab(codes[:, place], y).count
        assert np.exp(found.log_p[place]) == pytest.approx(stats.chi2_contingency(count, False)[1], rel=1e-9)


def test_the_tails_do_not_run_out():
    """Columns that a p-value of 0 could not tell apart still have an order."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    x = y[:, None] + rng.normal(size=(4000, 4)) * [0.02, 0.05, 0.1, 0.2]
    codes = np.where(rng.random((4000, 3)) < [0.01, 0.03, 0.05], 1 - y[:, None], y[:, None])
    for name in ("anova", "chi2"):
        found = FILTERS[name](plain(x, codes), Target(y, 2))
        assert np.isfinite(found.score).all()
        assert (found.score > 300).all()
        assert (np.diff(found.score[4:]) < 0).all()
    assert (np.diff(FILTERS["anova"](plain(x), Target(y, 2)).score) < 0).all()


def test_correlations_are_those_of_scipy(price):
    x, y = price
    x = np.where(np.random.default_rng(0).random(x.shape) < [0.2, 0, 0.4, 0, 0.1, 0], np.nan, np.round(x, 1))
    for name, theirs in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        score = FILTERS[name](plain(x), Target(y, 0)).score
        for place in range(6):
            known = ~np.isnan(x[:, place])
            assert score[place] == pytest.approx(abs(theirs(x[known, place], y[known])[0]), abs=1e-12)


def test_eta_is_what_the_class_means_tell(tumours):
    x, y = tumours
    told = np.stack([x[y == each].mean(axis=0) for each in (0, 1)])[y]
    eta = np.sqrt(((told - x.mean(axis=0)) ** 2).sum(axis=0) / ((x - x.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(FILTERS["pearson"](plain(x), Target(y, 2)).score, eta, rtol=1e-9)


def test_v_is_near_that_of_scipy_and_corrected():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 3000)
    codes = np.column_stack([np.where(rng.random(3000) < 0.5, y, rng.integers(0, 3, 3000)), rng.integers(0, 30, 3000)])
    found = FILTERS["pearson"](plain(np.empty((3000, 0)), codes), Target(y, 3)).score
    theirs = [association(stats.contingency.crosstab(column, y).count) for column in codes.T]
    assert found[0] == pytest.approx(theirs[0], abs=0.005)
    assert found[1] < 0.05 < theirs[1]


def test_mutual_information_is_that_of_scikit_learn(tumours, price):
    x, y = tumours
    jittered = x * (1 + 1e-5 * np.random.default_rng(0).random(x.shape))
    found = FILTERS["mutual-information"](plain(jittered), Target(y, 2)).score
    np.testing.assert_allclose(found, mutual_info_classif(jittered, y, random_state=0), atol=1e-6)
    x, y = price
    found = FILTERS["mutual-information"](plain(x), Target(y, 0)).score
    np.testing.assert_allclose(found, mutual_info_regression(x, y, random_state=0), atol=1e-9)


def test_mutual_information_of_numbers_that_are_counts():
    """Equal numbers are what they are, not noise: as many nats as by counting."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 3000)
    x = (y[:, None] + rng.integers(0, [2, 4, 9], (3000, 3))).astype(np.float64)
    by_hand = [mutual_info_score(column, y) for column in x.T]
    found = FILTERS["mutual-information"]
    np.testing.assert_allclose(found(plain(x), Target(y, 3)).score, by_hand, atol=0.01)
    np.testing.assert_allclose(found(plain(x), Target(y.astype(float), 0)).score, by_hand, atol=0.01)
    codes = found(plain(np.empty((3000, 0)), x.astype(np.int64)), Target(y, 3)).score
    np.testing.assert_allclose(codes, by_hand, atol=0.01)


def test_rounding_adds_and_takes_no_information():
    """Whole numbers, however many are equal, tell no more of what they are independent of than fine ones do."""
    rng = np.random.default_rng(0)
    y = Target(rng.integers(0, 2, 2000), 2)
    x = np.round(rng.normal(size=(2000, 5)) * [3, 10, 30, 300, 1e6]) + 0.0
    assert FILTERS["mutual-information"](plain(x), y).score.max() < 0.03
    told = x + np.array([3, 10, 30, 300, 1e6]) * y.values[:, None]
    assert np.ptp(FILTERS["mutual-information"](plain(told), y).score) < 0.05


def test_whole_numbers_tell_nothing_of_a_whole_number_they_are_independent_of():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, most, 2000) for most in (2, 5, 20, 58, 200, 2000)]).astype(np.float64)
    for most in (10, 200, 2000):
        y = Target(rng.integers(0, most, 2000).astype(np.float64), 0)
        assert FILTERS["mutual-information"](plain(x), y).score.max() < 0.03


def test_mutual_information_of_rounded_numbers_is_near_that_of_scikit_learn():
    data = load_diabetes()
    x = np.delete(data.data, 1, axis=1)
    found = FILTERS["mutual-information"](plain(x), Target(data.target, 0)).score
    np.testing.assert_allclose(found, mutual_info_regression(x, data.target, random_state=0), atol=0.04)


def test_variance_is_that_of_scikit_learn(tumours):
    x = tumours[0]
    found = FILTERS["variance"](plain(x), None, threshold=0.1)
    np.testing.assert_allclose(found.score, x.var(axis=0), rtol=1e-9)
    assert (found.chosen == VarianceThreshold(0.1).fit(x).get_support()).all()
    x = np.column_stack([x[:, :3], np.full(len(x), 0.1), np.full(len(x), np.nan)])
    found = FILTERS["variance"](plain(x, np.column_stack([np.arange(len(x)) % 2, np.zeros(len(x))])), None)
    assert found.chosen.tolist() == [True, True, True, False, False, True, False]
    assert found.score[5] == pytest.approx(0.25, abs=1e-5)


# Constant and missing -------------------------------------------------------------------------------------------------


def test_constant_columns_and_missing_cells():
    x = np.array([[1.0, 5, np.nan, np.nan], [2, 5, np.nan, 3], [2, 5, np.nan, np.nan], [2, np.nan, np.nan, 3]])
    codes = np.array([[0, 3], [0, 3], [1, -1], [0, 3]])
    found = FILTERS["constant"](plain(x, codes), None)
    assert found.chosen.tolist() == [True, False, False, False, True, False]
    assert found.score[:2].tolist() == [0.25, 0]
    found = FILTERS["missing"](plain(x, codes), None, threshold=0.5)
    assert found.chosen.tolist() == [True, True, False, False, True, True]
    assert found.score.tolist() == [1, 0.75, 0, 0.5, 1, 0.75]
    assert FILTERS["missing"](plain(x, codes), None, threshold=0.0).chosen.tolist() == [True, *[False] * 3, True, False]
