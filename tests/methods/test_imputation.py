"""Values for missing cells, and columns on a common scale: against scikit-learn, brute force, and in odd cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from datadiet_cli.methods import imputation, scaling
from datadiet_cli.methods.imputation import STATISTICS, commonest, from_neighbours, typical

NO_CODES = np.empty((0, 0), dtype=np.int64)
FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)


def holes(shape, share, seed=0):
    return np.random.default_rng(seed).random(shape) < share


def numeric(numbers, teaching=None, **more):
    n = len(numbers)
    return from_neighbours(
        numbers, np.empty((n, 0), dtype=np.int64), np.ones(n, bool) if teaching is None else teaching, **more
    ).numbers


@pytest.mark.parametrize(("statistic", "strategy"), [("median", "median"), ("mean", "mean"), ("mode", "most_frequent")])
def test_statistics_are_those_of_scikit_learn(statistic, strategy):
    values = np.random.default_rng(0).integers(-5, 5, 200).astype(float)
    values[::7] = np.nan
    reference = SimpleImputer(strategy=strategy).fit(values[:, None]).statistics_[0]
    assert typical(values, statistic) == pytest.approx(reference)


@given(
    values=hnp.arrays(np.float64, st.integers(0, 30), elements=FLOATS), statistic=st.sampled_from(sorted(STATISTICS))
)
def test_a_statistic_lies_among_the_values_whatever_they_are(values, statistic):
    value = typical(values, statistic)
    finite = values[np.isfinite(values)]
    if np.isnan(value):
        assert not len(finite) or (statistic == "mode" and len(np.unique(finite)) == len(finite) > 1)
    else:
        slack = 1e-9 * np.abs(finite).max()
        assert finite.min() / 2 - slack <= value / 2 <= finite.max() / 2 + slack
        assert typical(values[::-1], statistic) == value


def test_what_is_common():
    assert commonest(np.array([2, 0, 2, 0, 1, -1, -1, -1])) == 0
    assert commonest(np.array([3])) == 3
    assert commonest(np.array([0, 1, 2])) == -1  # none is
    assert commonest(np.array([-1, -1])) == -1
    assert commonest(np.array([], dtype=np.int64)) == -1


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_neighbours_are_those_of_scikit_learn_on_numbers(share):
    """Where no value is wild, the distance is the same, on columns of the same scale."""
    numbers = np.random.default_rng(1).random((300, 6)) * [1, 10, 100, 1, 1, 0.1]
    numbers[holes(numbers.shape, share)] = np.nan
    spread = np.nanquantile(numbers, 0.95, axis=0) - np.nanquantile(numbers, 0.05, axis=0)
    reference = KNNImputer(n_neighbors=5).fit_transform(numbers / spread) * spread
    got, empty = numeric(numbers), np.isnan(numbers).all(axis=1)
    np.testing.assert_allclose(got[~empty], reference[~empty], rtol=1e-9)
    assert np.isnan(got[empty]).all()  # where the reference puts the mean


def by_hand(numbers, codes, teaching, k, rows=None):
    """The same, row by row and by Python's own arithmetic."""
    scaled = np.zeros(numbers.shape)
    for j, column in enumerate(numbers.T):
        known = column[teaching & np.isfinite(column)]
        low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
        scaled[:, j] = np.clip((column - middle) / (high - low), -1, 1)
    has = np.concatenate([~np.isnan(numbers), codes >= 0], axis=1)
    d = numbers.shape[1]
    filled = numbers.copy(), codes.copy()
    for i, column in zip(*np.nonzero(~has), strict=True):
        if rows is not None and i not in rows:
            continue
        near = []
        for other in np.flatnonzero(teaching & has[:, column]):
            shared = np.flatnonzero(has[i] & has[other])
            gaps = [
                (scaled[i, c] - scaled[other, c]) ** 2 if c < d else float(codes[i, c - d] != codes[other, c - d])
                for c in shared
            ]
            if gaps:
                near.append((round(sum(gaps) / len(gaps), 12), other))
        chosen = [other for _, other in sorted(near)[:k]]
        if column < d:
            filled[0][i, column] = numbers[chosen, column].mean() if chosen else np.nan
        elif chosen:
            votes = codes[chosen, column - d].tolist()
            filled[1][i, column - d] = max(votes, key=lambda vote: (votes.count(vote), -votes.index(vote)))
    return filled


@pytest.mark.parametrize("k", [1, 5, 500])
def test_neighbours_by_hand(k):
    rng = np.random.default_rng(3)
    numbers, codes = rng.normal(size=(120, 3)), rng.integers(0, 3, (120, 3))
    numbers[holes(numbers.shape, 0.3)] = np.nan
    codes[holes(codes.shape, 0.3, seed=1)] = -1
    teaching = rng.random(120) < 0.7
    filled = from_neighbours(numbers, codes, teaching, k)
    expected = by_hand(numbers, codes, teaching, k)
    np.testing.assert_allclose(filled.numbers, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(filled.codes, expected[1])


def test_where_few_have_a_cell_the_near_ones_are_found_all_the_same():
    """Only 20 of 2000 rows have the last column, and they are far down the list of neighbours."""
    rng = np.random.default_rng(4)
    numbers = rng.normal(size=(2000, 4))
    numbers[20:, 3] = np.nan
    codes = np.empty((2000, 0), dtype=np.int64)
    teaching = np.ones(2000, dtype=bool)
    some = np.r_[:20, 1000:1050]
    expected = by_hand(numbers, codes, teaching, 5, set(some.tolist()))[0]
    np.testing.assert_allclose(numeric(numbers)[some], expected[some], rtol=1e-12)


def test_neighbours_do_better_than_the_mean_where_columns_hang_together():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 8))
    gaps = holes(truth.shape, 0.1)
    numbers = np.where(gaps, np.nan, truth)
    means = np.where(gaps, np.nanmean(numbers, axis=0), truth)
    error = [np.sqrt(np.mean((guess - truth)[gaps] ** 2)) for guess in (numeric(numbers), means)]
    assert error[0] < 0.4 * error[1]


def test_only_teaching_rows_are_asked():
    numbers = np.array([[0.0, 1.0], [0.1, 2.0], [0.0, np.nan], [0.0, 99.0]])
    assert numeric(numbers, np.array([True, True, True, False]), k=1)[2, 1] == 1
    assert np.isnan(numeric(numbers, np.zeros(4, dtype=bool))[2, 1])


def test_equal_rows_and_ties_go_by_place():
    numbers = np.array([[1.0, 7.0], [1.0, 8.0], [1.0, 9.0], [1.0, np.nan]])
    assert numeric(numbers, k=1)[3, 1] == 7
    codes = np.array([[0, 1], [0, 0], [0, 0], [0, 1], [0, -1]])
    assert from_neighbours(np.empty((5, 0)), codes, np.ones(5, bool), 4).codes[4, 1] == 1


def test_permuted_rows_are_filled_alike():
    rng = np.random.default_rng(6)
    numbers, codes = rng.normal(size=(200, 4)), rng.integers(0, 9, (200, 2))
    numbers[holes(numbers.shape, 0.2)] = np.nan
    codes[holes(codes.shape, 0.2)] = -1
    order = rng.permutation(200)
    one = from_neighbours(numbers, codes, np.ones(200, bool))
    other = from_neighbours(numbers[order], codes[order], np.ones(200, bool))
    np.testing.assert_array_equal(one.numbers[order], other.numbers)
    np.testing.assert_array_equal(one.codes[order], other.codes)


def test_many_rows_are_drawn_from(monkeypatch):
    monkeypatch.setattr(imputation, "MOST_DONORS", 50)
    rng = np.random.default_rng(7)
    numbers = np.repeat(rng.normal(size=(300, 1)), 2, axis=1)
    gaps = np.arange(0, 300, 3)
    numbers[gaps, 1] = np.nan
    filled = numeric(numbers, seed=1)
    np.testing.assert_array_equal(filled, numeric(numbers, seed=1))
    assert np.abs(filled[gaps, 1] - numbers[gaps, 0]).mean() < 0.25


@given(
    numbers=hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(3)), elements=FLOATS),
    seed=st.integers(0, 9),
)
def test_nothing_infinite_is_put_in_and_nothing_known_changes(numbers, seed):
    n = len(numbers)
    codes = np.random.default_rng(seed).integers(-1, 3, (n, 2))
    teaching = np.random.default_rng(seed).random(n) < 0.7
    filled = from_neighbours(numbers, codes, teaching)
    gaps = np.isnan(numbers)
    np.testing.assert_array_equal(filled.numbers[~gaps], numbers[~gaps])
    np.testing.assert_array_equal(filled.codes[codes >= 0], codes[codes >= 0])
    assert not np.isinf(filled.numbers[gaps]).any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        from_neighbours(np.zeros((3, 2)), NO_CODES, np.ones(3, bool))
    with pytest.raises(ValueError, match="at least 1"):
        numeric(np.zeros((3, 2)), k=0)
    with pytest.raises(ValueError, match="median, mean, mode"):
        typical(np.zeros(3), "average")
    with pytest.raises(ValueError, match="zscore, minmax, robust"):
        scaling.fit("max", np.zeros(3))


SCALERS = {"zscore": StandardScaler(), "minmax": MinMaxScaler(), "robust": RobustScaler()}
KINDS = pytest.mark.parametrize("kind", scaling.SCALINGS)


@KINDS
def test_scales_are_those_of_scikit_learn(kind):
    rng = np.random.default_rng(8)
    learn, other = rng.gamma(2, size=101) * 1e3, rng.gamma(2, size=50) * 1e3
    learned = scaling.fit(kind, np.r_[learn, np.nan, np.inf])
    reference = SCALERS[kind].fit(learn[:, None])
    for values in (learn, other):
        np.testing.assert_allclose(
            scaling.apply(learned, values), reference.transform(values[:, None])[:, 0], atol=1e-12
        )


@KINDS
def test_columns_without_spread_become_nothing(kind):
    assert scaling.fit(kind, np.array([0.1] * 3 + [np.nan])) == (0.1, 1.0)
    assert (scaling.apply(scaling.fit(kind, np.full(9, 0.1)), np.full(9, 0.1)) == 0).all()
    assert scaling.fit(kind, np.array([np.nan, np.inf])) == (0.0, 1.0)
    assert scaling.fit(kind, np.array([])) == (0.0, 1.0)


def test_a_column_that_hardly_varies_is_scaled_by_its_deviation():
    values = np.array([0.0] * 9 + [10.0])
    assert scaling.fit("robust", values) == (0.0, 3.0)


@given(
    kind=st.sampled_from(sorted(scaling.SCALINGS)),
    learn=hnp.arrays(np.float64, st.integers(0, 20), elements=FLOATS),
    values=hnp.arrays(np.float64, st.integers(0, 20), elements=FLOATS),
)
def test_scaled_numbers_are_finite_and_in_order(kind, learn, values):
    learned = scaling.fit(kind, learn)
    assert np.isfinite(learned).all()
    assert learned.scale > 0
    scaled = scaling.apply(learned, values)
    np.testing.assert_array_equal(np.isfinite(scaled), np.isfinite(values))
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(np.clip(scaled[known][order], -1e308, 1e308)) >= 0).all()
    assert scaling.fit(kind, learn[::-1]) == learned
