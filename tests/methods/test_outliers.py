"""Detectors of outliers agree with independent implementations, bear any input, and find what is odd, and no more."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.covariance import MinCovDet
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from datadiet_cli.methods import calibration, outliers, outliers_distance
from datadiet_cli.methods.calibration import without_tails
from datadiet_cli.methods.outliers import DETECTORS, Cells, find_outliers

RATE = 0.01
detectors = pytest.mark.parametrize("detector", DETECTORS)


def cells(numbers, categories=None):
    numbers = np.asarray(numbers, dtype=float)
    return Cells(numbers, np.zeros((len(numbers), 0), np.int64) if categories is None else np.asarray(categories))


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def spreads(numbers):
    """Numbers from the median, in the spreads that detectors use; for columns without far values."""
    centre = np.median(numbers, axis=0)
    quartiles = np.diff(np.percentile(numbers, [25, 75], axis=0), axis=0)[0] / 1.349
    return (numbers - centre) / np.maximum(quartiles, 1.2533 * np.abs(numbers - centre).mean(axis=0))


def correlation(one, other):
    return np.corrcoef(np.argsort(np.argsort(one)), np.argsort(np.argsort(other)))[0, 1]


@pytest.fixture(autouse=True)
def less_work(monkeypatch):
    monkeypatch.setattr(calibration, "COPIES", 3000)
    monkeypatch.setattr(outliers, "_GUARD", 1000)
    monkeypatch.setattr(outliers_distance, "TREES", 50)


# Against others


def test_marginal_detectors_are_what_their_names_say():
    numbers = normal(300, 4) * [1, 50, 0.01, 3] + 7
    low, middle, high = np.percentile(numbers, [25, 50, 75], axis=0)
    expected = {
        "zscore": np.abs(numbers - numbers.mean(axis=0)) / numbers.std(axis=0),
        "mad": np.abs(numbers - middle) / (1.4826 * np.median(np.abs(numbers - middle), axis=0)),
        "iqr": np.maximum(low - numbers, numbers - high) / (high - low),
    }
    for name, part in expected.items():
        found = DETECTORS[name](cells(numbers), 0)
        np.testing.assert_allclose(found.score, part.max(axis=1), rtol=1e-9)
        np.testing.assert_allclose(found.part, np.maximum(part, 0), rtol=1e-9, atol=1e-12)


def test_mad_where_most_are_equal_takes_the_mean_deviation():
    column = np.r_[np.zeros(70), np.arange(1, 31)]
    found = DETECTORS["mad"](cells(column[:, None]), 0)
    np.testing.assert_allclose(found.score, column / (1.2533 * column.mean()), rtol=1e-9)


def test_ecod_is_that_of_the_paper():
    rng = np.random.default_rng(3)
    numbers = np.column_stack([rng.normal(size=200), rng.exponential(size=200), -rng.exponential(size=200)])
    numbers[:50, 0] = numbers[50:100, 0]  # ties
    left = np.array([[(column <= x).mean() for x in column] for column in numbers.T]).T
    right = np.array([[(column >= x).mean() for x in column] for column in numbers.T]).T
    skewness = ((numbers - numbers.mean(axis=0)) ** 3).mean(axis=0)
    fitting = np.where(skewness < 0, left, right)
    sums = [-np.log(tail).sum(axis=1) for tail in (left, right, fitting)]
    found = DETECTORS["ecod"](cells(numbers), 0)
    np.testing.assert_allclose(found.score, np.max(sums, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.part.sum(axis=1), found.score, rtol=1e-9)


def test_hbos_is_the_sum_over_histograms():
    numbers = np.random.default_rng(5).uniform(size=(400, 3))
    expected = np.zeros(400)
    for column in numbers.T:
        height, edges = np.histogram(column, 10)
        place = np.clip(np.searchsorted(edges, column, "right") - 1, 0, 9)
        expected -= np.log2((height[place] / height.max() + 0.1) / 1.1)
    np.testing.assert_allclose(DETECTORS["hbos"](cells(numbers), 0).score, expected, rtol=1e-6)


def test_knn_and_its_neighbours_are_those_of_scikit_learn():
    numbers = normal(400, 5)
    distance, place = NearestNeighbors(n_neighbors=20).fit(spreads(numbers)).kneighbors()
    found = DETECTORS["knn"](cells(numbers), 0)
    np.testing.assert_allclose(found.score, distance.mean(axis=1), rtol=1e-4)
    np.testing.assert_array_equal(found.neighbours, place)


def test_lof_is_that_of_scikit_learn():
    numbers = np.r_[normal(200, 3), 0.3 * normal(200, 3, 1) + 3]
    expected = -LocalOutlierFactor(20).fit(spreads(numbers)).negative_outlier_factor_
    np.testing.assert_allclose(DETECTORS["lof"](cells(numbers), 0).score, expected, rtol=1e-4)


def test_isolation_forest_ranks_as_that_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(outliers_distance, "TREES", 200)
    numbers = np.random.default_rng(2).standard_t(4, size=(600, 4))
    expected = -IsolationForest(n_estimators=200, random_state=9).fit(numbers).score_samples(numbers)
    assert correlation(DETECTORS["isolation-forest"](cells(numbers), 0).score, expected) > 0.96


def test_mahalanobis_is_robust_as_the_minimum_covariance_determinant_is():
    numbers = normal(500, 3) @ np.array([[1, 0.9, 0.2], [0, 1, 0.5], [0, 0, 0.3]])
    numbers[:50] = numbers.mean(axis=0) + [4, -4, 2] + 0.1 * normal(50, 3, 1)
    expected = MinCovDet(random_state=0).fit(numbers).mahalanobis(numbers)
    found = DETECTORS["mahalanobis"](cells(numbers), 0)
    assert found.score[:50].min() > found.score[50:].max()
    assert correlation(found.score[50:], expected[50:]) > 0.97


# Whatever comes

SIZES = [
    (0, 0, 0),
    (0, 3, 1),
    (1, 0, 0),
    (1, 2, 1),
    (2, 1, 0),
    (2, 0, 1),
    (3, 3, 3),
    (19, 2, 0),
    (40, 0, 0),
    (40, 0, 2),
]


def sound(found, n, width):
    assert found.odd.shape == found.score.shape == (n,)
    assert found.part.shape == (n, width)
    assert np.isfinite(found.score).all()
    assert np.isfinite(found.part).all()
    assert (found.part >= 0).all()
    assert np.isfinite(found.threshold)
    np.testing.assert_array_equal(found.odd, found.score > found.threshold)
    if found.neighbours is not None:
        assert (found.neighbours != np.arange(n)[:, None]).all()
        assert ((found.neighbours >= 0) & (found.neighbours < n)).all()


@detectors
@pytest.mark.parametrize(("n", "d", "c"), SIZES)
def test_any_size(detector, n, d, c):
    rng = np.random.default_rng(n)
    found = find_outliers(cells(rng.normal(size=(n, d)), rng.integers(-1, 3, (n, c))), detector, RATE, 0)
    sound(found, n, d + c)
    assert not found.odd.any() or n >= outliers.FEW


def spoiled(kind):
    n = 120
    numbers, categories = normal(n, 4), np.random.default_rng(1).integers(0, 3, (n, 1))
    match kind:
        case "equal":
            numbers[:], categories[:] = 3.7, 2
        case "missing":
            numbers[:, 1], categories[:] = np.nan, -1
        case "collinear":
            numbers = np.c_[numbers, numbers @ normal(4, 6, 2), numbers[:, 0], np.full(n, -5)]
        case "huge":
            numbers[0, 0], numbers[1, 1], numbers[:, 2] = 1.7e308, -1.7e308, np.linspace(-8e307, 8e307, n)
        case "infinite":
            numbers[0, 0], numbers[1, 1], numbers[:, 2] = np.inf, -np.inf, np.copysign(np.inf, numbers[:, 2])
        case "tiny":
            numbers *= 1e-300
            numbers[:, 0] = np.where(numbers[:, 0] > 0, 5e-324, 0)
        case "binary":
            numbers = (numbers > 2).astype(float)
        case "unique":
            categories = np.arange(n)[:, None]
    return cells(numbers, categories)


@detectors
@pytest.mark.parametrize("kind", ["equal", "missing", "collinear", "huge", "infinite", "tiny", "binary", "unique"])
def test_any_values(detector, kind):
    given = spoiled(kind)
    found = find_outliers(given, detector, RATE, 0)
    sound(found, len(given.numbers), given.numbers.shape[1] + 1)
    assert found.odd.mean() <= 0.1
    if kind == "equal":
        assert not found.odd.any()


@detectors
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=hnp.arrays(float, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(width=64)),
    seed=st.integers(0, 5),
)
def test_any_floats(detector, numbers, seed):
    categories = np.where(np.nan_to_num(numbers[:, :1]) > 0, 1, -1).astype(np.int64)
    sound(find_outliers(cells(numbers, categories), detector, RATE, seed), len(numbers), 4)


@detectors
def test_the_order_of_rows_does_not_matter(detector, monkeypatch):
    monkeypatch.setattr(outliers_distance, "REFERENCES", 150)
    rng = np.random.default_rng(4)
    numbers, categories = rng.normal(size=(300, 3)).round(1), rng.integers(-1, 4, (300, 2))
    numbers[rng.random((300, 3)) < 0.1] = np.nan
    numbers[:30], categories[:30] = numbers[0], categories[0]
    numbers[-1] = 25
    order = rng.permutation(300)
    one = find_outliers(cells(numbers, categories), detector, RATE, 7)
    other = find_outliers(cells(numbers[order], categories[order]), detector, RATE, 7)
    assert one.threshold == other.threshold
    np.testing.assert_array_equal(one.odd[order], other.odd)
    if detector not in {"knn", "lof", "auto"}:  # of equal rows only some are references, and others see them
        np.testing.assert_array_equal(one.score[order], other.score)
        np.testing.assert_array_equal(one.part[order], other.part)


@pytest.mark.parametrize("detector", ["lof", "knn", "auto", "mad", "isolation-forest"])
def test_a_heap_of_equal_rows_does_not_make_the_others_odd(detector):
    numbers = np.r_[np.full((60, 4), 0.3), normal(40, 4)]
    assert find_outliers(cells(numbers), detector, RATE, 0).odd[60:].sum() <= 8


@pytest.mark.parametrize("jitter", [0.0, 1e-12, 1e-6])
def test_lof_beside_a_heap_is_about_one(jitter):
    numbers = np.r_[np.full((60, 4), 0.3), normal(40, 4)]
    numbers[:60] += jitter * normal(60, 4, 1)
    assert np.median(DETECTORS["lof"](cells(numbers), 0).score[60:]) < (3 if jitter == 0 else 100)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (cells(normal(5, 2), np.zeros((4, 1), np.int64)), "not tables of the same rows"),
        (Cells(np.zeros(5), np.zeros((5, 0), np.int64)), "not tables of the same rows"),
        (cells(normal(5, 2), np.full((5, 1), -2)), "below -1"),
        (cells(normal(5, 2), np.full((5, 1), 0.5)), "codes"),
    ],
)
def test_bad_tables_are_refused(bad, complaint):
    with pytest.raises(ValueError, match=complaint):
        find_outliers(bad, "auto", RATE, 0)


@pytest.mark.parametrize("rate", [0, -1, 0.5, 3, np.nan])
def test_bad_settings_are_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        find_outliers(cells(normal(30, 2)), "auto", rate, 0)
    with pytest.raises(ValueError, match="unknown detector 'svm'"):
        find_outliers(cells(normal(30, 2)), "svm", RATE, 0)


# How many

CLEAN = {
    "one column": lambda r: r.normal(size=(800, 1)),
    "four columns": lambda r: r.normal(size=(800, 4)),
    "fifty columns": lambda r: r.normal(size=(800, 50)),
    "correlated": lambda r: r.normal(size=(800, 10)) @ r.normal(size=(10, 10)),
    "log-normal": lambda r: np.exp(r.normal(size=(800, 4))),
    "exponential": lambda r: r.exponential(size=(800, 4)),
    "counts": lambda r: r.poisson([0.1, 0.5, 1, 5], size=(800, 4)).astype(float),
    "many zeros": lambda r: r.exponential(size=(800, 4)) * (r.random((800, 4)) < [0.05, 0.1, 0.3, 0.8]),
    "uniform": lambda r: r.random((800, 4)),
    "two modes": lambda r: r.normal(size=(800, 3)) + 6 * (r.random((800, 3)) < [0.5, 0.2, 0.7]),
    "t with 5 degrees": lambda r: r.standard_t(5, size=(800, 5)),
}


@pytest.mark.parametrize("detector", ["auto", "knn", "mad", "mahalanobis", "hbos"])
@pytest.mark.parametrize("kind", CLEAN)
def test_little_is_odd_in_clean_data(detector, kind):
    found = find_outliers(cells(CLEAN[kind](np.random.default_rng(11))), detector, RATE, 0)
    strict = detector == "auto" and kind in {"one column", "four columns", "fifty columns", "correlated"}
    assert found.odd.mean() <= (0.02 if strict else 0.035)


@detectors
@pytest.mark.parametrize("share", [0.01, 0.05])
def test_gross_outliers_are_found_and_explained(detector, share):
    numbers = normal(1000, 6)
    planted = np.arange(int(1000 * share))
    sign = np.where(normal(len(planted), 2, 5) > 0, 1, -1)
    numbers[planted, 1:3] += 15 * sign
    numbers[:, 5] *= 1e5
    found = find_outliers(cells(numbers), detector, RATE, 0)
    # Ranks and histograms do not know how far out a value is, and fifty such rows are neighbours of each other.
    coarse = {"hbos", "ecod", "lof", "knn", "isolation-forest"}
    assert found.odd[planted].mean() >= ((0.3 if share > 0.02 else 0.6) if detector in coarse else 0.99)
    assert found.odd[len(planted) :].mean() <= 0.02
    named = np.argsort(-found.part[planted], axis=1)[:, :2]
    assert np.isin(named, [1, 2]).mean() > (0.7 if detector == "ecod" else 0.9)


def test_what_only_the_columns_together_tell_is_found():
    one = normal(1000, 1)
    numbers = np.c_[one, one + 0.1 * normal(1000, 1, 1), normal(1000, 2, 2)]
    numbers[:5, :2] = [[2, -2]] * 5
    for detector in ("mahalanobis", "auto"):
        found = find_outliers(cells(numbers), detector, RATE, 0)
        assert found.odd[:5].all()
        assert set(np.argsort(-found.part[0])[:2]) == {0, 1}


def test_one_absurd_value_does_not_hide_the_others():
    numbers = normal(500, 3)
    numbers[0, 0], numbers[1, 0], numbers[2, 1] = 1e300, 30, -30
    for detector in ("mad", "iqr", "knn", "mahalanobis", "auto"):
        assert find_outliers(cells(numbers), detector, RATE, 0).odd[:3].all(), detector


@detectors
def test_missing_cells_by_themselves_are_not_odd(detector):
    rng = np.random.default_rng(0)
    numbers, categories = normal(800, 4), rng.integers(0, 3, (800, 2))
    rows = np.arange(80)
    numbers[rows, rows % 4], categories[rows, rows % 2] = np.nan, -1
    found = find_outliers(cells(numbers, categories), detector, RATE, 0)
    assert found.odd[rows].mean() <= 0.04
    assert (found.part[rows, rows % 4] == 0).all()
    assert (found.part[rows, 4 + rows % 2] <= 1e-9).all()


@pytest.mark.parametrize("detector", ["zscore", "mad", "iqr", "ecod", "hbos", "isolation-forest"])
def test_a_rare_category_is_odder_than_a_common_one_and_unique_ones_are_not(detector):
    categories = np.c_[np.r_[7, 7, np.arange(998) % 3], np.arange(1000)]
    found = find_outliers(cells(np.zeros((1000, 0)), categories), detector, RATE, 0)
    assert found.score[:2].min() > found.score[2:].max()
    assert (found.part[:2, 0] > 0).all()
    np.testing.assert_allclose(found.part[:, 1], 0, atol=1e-9)


def test_among_few_only_what_lies_far_off_is_odd():
    column = np.r_[normal(15, 1), [[9.0]]]
    assert not find_outliers(cells(column), "auto", RATE, 0).odd.any()
    column[-1] = 1000
    for detector in DETECTORS:
        found = find_outliers(cells(column), detector, RATE, 0)
        assert found.odd[-1] or detector in {"hbos", "ecod", "lof"}
        assert not found.odd[:-1].any()


def test_a_larger_rate_flags_no_fewer():
    numbers = normal(1000, 5)
    counts = [find_outliers(cells(numbers), "auto", rate, 0).odd.sum() for rate in (0.002, 0.01, 0.2)]
    assert counts == sorted(counts)
    assert counts[0] <= 8
    assert 100 <= counts[-1] <= 300


def test_wide_points_are_judged_too(monkeypatch):
    monkeypatch.setattr(outliers_distance, "WIDEST", 30)
    monkeypatch.setattr(outliers_distance, "_NARROWED", 20)
    numbers = normal(300, 60)
    numbers[0] *= 5
    found = find_outliers(cells(numbers), "mahalanobis", RATE, 0)
    sound(found, 300, 60)
    assert found.odd[0]
    assert found.odd[1:].mean() <= 0.04


@settings(max_examples=60)
@given(hnp.arrays(float, st.integers(0, 200), elements=st.floats(-1e300, 1e300)))
def test_taming_only_pulls_tails_in(values):
    ordered = np.sort(values)
    tamed = without_tails(ordered)
    assert (np.diff(tamed) >= 0).all()
    middle = np.median(ordered) if len(ordered) else 0
    assert (np.abs(tamed - middle) <= np.abs(ordered - middle)).all()


def test_a_column_keeps_the_tail_that_its_middle_suggests():
    at = (np.arange(5000) + 0.5) / 5000
    for ordered in (np.sqrt(at), -np.log(1 - at), np.exp(np.sort(normal(5000, 1)[:, 0]))):
        np.testing.assert_allclose(without_tails(ordered), ordered)
    spoiled = np.sort(np.r_[normal(950, 1)[:, 0], np.full(50, 40.0)])
    assert without_tails(spoiled).max() < 15
