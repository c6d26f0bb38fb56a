"""Every way to cut and to raise groups: what all must hold, and how they compare with the papers and other tools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances

from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.oversampling import OVER, oversample
from datadiet_cli.methods.targets import apportion, target_sizes
from datadiet_cli.methods.undersampling import BLIND, CLEANING, NOBODY, UNDER, undersample

ALL_UNDER = pytest.mark.parametrize("method", UNDER)
ALL_OVER = pytest.mark.parametrize("method", OVER)


def samples(seed, n=120, d=4, shares=(0.6, 0.3, 0.1)):
    """Classes that overlap."""
    rng = np.random.default_rng(seed)
    group = rng.choice(len(shares), n, p=shares)
    x = rng.normal(size=(n, d)) + group[:, None]
    return x.astype(np.float32), group.astype(np.int64), rng.random(n)


def cut(x, group, quota, method, seed=0, **other):
    difficulty = other.pop("difficulty", np.linspace(0, 1, len(x)))
    return undersample(x, group, quota, method, difficulty=difficulty, seed=seed, **other)


def grow(x, group, quota, method, categories=None, **other):
    if categories is None:
        categories = np.empty((len(x), 0), dtype=np.int64)
    return oversample(x, categories, group, quota, method, **other)


# What every rule must hold -------------------------------------------------------------------------------------------


@ALL_UNDER
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 60), data=st.data())
def test_never_below_the_quota(method, seed, n, data):
    x, group, difficulty = samples(seed, n)
    x = np.round(x) if seed % 2 else x
    quota = np.array(data.draw(st.lists(st.integers(1, 40), min_size=3, max_size=3)))
    counts = np.bincount(group, minlength=3)
    before = x.copy()
    gone = cut(x, group, quota, method, seed, difficulty=difficulty)
    again = cut(x, group, quota, method, seed, difficulty=difficulty)
    assert all((one == other).all() for one, other in zip(gone, again, strict=True))
    assert (x == before).all()
    assert (np.diff(gone.row) > 0).all()
    left = counts - np.bincount(group[gone.row], minlength=3)
    floor = np.minimum(counts, quota)
    assert (left >= floor).all()
    if method not in CLEANING:
        assert (left == floor).all()
    assert np.isfinite(gone.score).all()
    known = gone.witness[gone.witness != NOBODY]
    assert ((known >= 0) & (known < n)).all()
    assert (gone.witness != gone.row).all()
    if method in BLIND:
        assert (gone.witness == NOBODY).all()


@ALL_UNDER
def test_as_many_go_in_any_order(method):
    x, group, difficulty = samples(3, 300)
    order = np.random.default_rng(0).permutation(300)
    one = cut(x, group, [60, 60, 10], method, difficulty=difficulty)
    other = cut(x[order], group[order], [60, 60, 10], method, difficulty=difficulty[order])
    assert (np.bincount(group[one.row]) == np.bincount(group[order][other.row])).all()
    if method not in {"random", "cluster"}:
        assert (np.sort(order[other.row]) == one.row).all()


@ALL_UNDER
@pytest.mark.parametrize(
    "x", [np.zeros((40, 3)), np.zeros((40, 0)), np.full((40, 1), 3e38)], ids=["same", "none", "big"]
)
def test_samples_that_are_all_the_same(method, x):
    group = np.repeat([0, 1], [34, 6])
    gone = cut(x.astype(np.float32), group, [10, 10], method)
    assert len(gone.row) == 24 or (method in CLEANING and len(gone.row) <= 24)
    assert (group[gone.row] == 0).all()


@ALL_UNDER
def test_one_group_only(method):
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    gone = cut(x, np.zeros(30, dtype=int), [10], method)
    assert len(gone.row) == (0 if method in CLEANING else 20)


@ALL_UNDER
def test_whoever_takes_no_part_makes_no_difference(method):
    x, group, difficulty = samples(5, 200)
    out = np.random.default_rng(1).random(200) < 0.3
    group[out] = -1
    one = cut(x, group, [20, 20, 20], method, difficulty=difficulty)
    assert not out[one.row].any()
    assert not out[one.witness[one.witness != NOBODY]].any()
    x[out] = 1000
    other = cut(x, group, [20, 20, 20], method, difficulty=difficulty)
    assert (one.row == other.row).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "smote"}, "none of random, cluster"),
        ({"x": np.full((4, 1), np.nan, dtype=np.float32)}, "not finite"),
        ({"x": np.zeros(4, dtype=np.float32)}, "matrix"),
        ({"group": [0, 0, 0]}, "a group for each"),
        ({"group": [0, 0, 0, 7]}, "numbered from 0 to 0"),
        ({"quota": [0]}, "would empty"),
        ({"label": [0]}, "a label for each"),
        ({"method": "hardness", "difficulty": None}, "how difficult"),
        ({"method": "hardness", "difficulty": [0, 0, np.nan, 0]}, "finite difficulty"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(change, words):
    given = {"x": np.zeros((4, 1), dtype=np.float32), "group": [0, 0, 0, 0], "quota": [2], "method": "cluster"} | change
    with pytest.raises(ValueError, match=words):
        undersample(given.pop("x"), given.pop("group"), given.pop("quota"), given.pop("method"), **given)


# What every way to make rows must hold -------------------------------------------------------------------------------


@ALL_OVER
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 40), data=st.data())
def test_exactly_the_quota_and_every_cell_between_its_parents(method, seed, n, data):
    rng = np.random.default_rng(seed)
    x, group, _ = samples(seed, n)
    x = x.astype(np.float64) * data.draw(st.sampled_from([1.0, 1e-300, 1e300]))
    x[:, 0] = rng.integers(-5, 5, n)
    x[rng.random(x.shape) < data.draw(st.sampled_from([0, 0.3, 1]))] = np.nan
    codes = rng.integers(-1, 3, (n, 2))
    quota = np.array(data.draw(st.lists(st.integers(1, 60), min_size=3, max_size=3)))
    whole = np.array([True, False, False, False])
    counts = np.bincount(group, minlength=3)
    new = grow(x, group, quota, method, codes, seed=seed, whole=whole)
    again = grow(x, group, quota, method, codes, seed=seed, whole=whole)
    assert all(np.array_equal(one, two, equal_nan=True) for one, two in zip(new, again, strict=True))
    made = np.bincount(new.group, minlength=3)
    assert (made == np.where(counts > 0, np.maximum(quota - counts, 0), 0)).all()
    assert (group[new.parent] == new.group).all()
    assert (group[new.other] == new.group).all()
    assert ((new.weight >= 0) & (new.weight < 1)).all()
    assert not np.isinf(new.numbers).any()
    one = x[new.parent]
    assert (np.isnan(new.numbers) == np.isnan(one)).all()
    two = np.where(np.isnan(x[new.other]), one, x[new.other])
    there = ~np.isnan(one)
    assert (new.numbers >= np.minimum(one, two))[there].all()
    assert (new.numbers <= np.maximum(one, two))[there].all()
    wholes = new.numbers[:, 0][there[:, 0]]
    assert (wholes == np.rint(wholes)).all()
    assert ((new.categories == -1) == (codes[new.parent] == -1)).all()
    if method != "smote-nc":
        assert (new.categories == codes[new.parent]).all()


@ALL_OVER
def test_as_many_are_made_in_any_order_and_each_group_for_itself(method):
    x, group, _ = samples(2, 90)
    order = np.random.default_rng(0).permutation(90)
    one = grow(x, group, [80, 80, 80], method)
    other = grow(x[order], group[order], [80, 80, 80], method)
    assert (one.group == other.group).all()
    alone = grow(x, group, [1, 1, 80], method)
    assert np.array_equal(one.numbers[one.group == 2], alone.numbers)


@ALL_OVER
def test_small_groups(method):
    x = np.array([[0.0], [1.0], [5.0], [9.0]])
    new = grow(x, [0, 0, 1, 2], [4, 4, 1], method)
    assert new.group.tolist() == [0, 0, 1, 1, 1]
    assert (new.parent[2:] == 2).all()
    assert (new.other[2:] == 2).all()
    assert (new.weight[2:] == 0).all()
    assert (new.numbers[2:] == 5).all()
    assert not len(grow(x[:0], [], [3], method).parent)


@ALL_OVER
def test_equal_rows_make_equal_rows(method):
    x = np.full((30, 2), 0.1)
    new = grow(x, np.repeat([0, 1], [22, 8]), [22, 22], method)
    assert (new.numbers == 0.1).all()
    assert len(new.parent) == 14


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "tomek"}, "none of repeat, smote"),
        ({"numbers": [[np.inf], [0], [0]]}, "infinite"),
        ({"numbers": [[0], [0]]}, "as many rows"),
        ({"group": [0, 0, -2]}, "numbered from 0"),
        ({"neighbours": 0}, "neighbours"),
        ({"whole": [True, False]}, "each column"),
        ({"label": [0]}, "a label for each"),
    ],
)
def test_bad_tables_are_refused_in_a_sentence(change, words):
    given = {"numbers": [[0], [1], [2]], "categories": np.empty((3, 0)), "group": [0] * 3, "quota": [5]} | change
    with pytest.raises(ValueError, match=words):
        oversample(**({"method": "smote"} | given))


# Against the papers and imbalanced-learn -----------------------------------------------------------------------------


def standardised(seed, n=200, shares=(0.8, 0.2)):
    x, group, _ = samples(seed, n, 3, shares)
    x = x.astype(np.float64)
    return (x - x.mean(axis=0)) / x.std(axis=0), group


@pytest.mark.parametrize("seed", range(3))
def test_smote_goes_to_one_of_the_nearest_of_the_class(seed):
    x, group = standardised(seed)
    small = np.flatnonzero(group == 1)
    new = grow(x, group, [1, 300], "smote", seed=seed)
    distance = pairwise_distances(x[small])
    np.fill_diagonal(distance, np.inf)
    near = {row: set(small[np.argsort(line)[:5]]) for row, line in zip(small.tolist(), distance, strict=True)}
    assert all(other in near[parent] for parent, other in zip(new.parent.tolist(), new.other.tolist(), strict=True))
    line = x[new.parent] + new.weight[:, None] * (x[new.other] - x[new.parent])
    assert np.allclose(new.numbers, line, atol=1e-12)
    times = np.bincount(new.parent)[small]
    assert times.max() - times.min() <= 1
    assert {row: set(new.other[new.parent == row]) <= near[row] for row in small.tolist()}
    assert 0.4 < new.weight.mean() < 0.6


@pytest.mark.parametrize("seed", range(3))
def test_adasyn_allots_as_imbalanced_learn_does(seed):
    imblearn = pytest.importorskip("imblearn.over_sampling")
    x, group = standardised(seed)
    counts = np.bincount(group)
    new = grow(x, group, [1, counts[0]], "adasyn", neighbours=5)
    theirs = imblearn.ADASYN(n_neighbors=5, random_state=0).fit_resample(x, group)[0][len(x) :]
    # Theirs come in the order of their parents, and lie on a line with one of the five nearest.
    made = np.bincount(new.parent, minlength=len(x))
    small = np.flatnonzero(group == 1)
    distance = pairwise_distances(x)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :5]
    share = (group[near[small]] != 1).mean(axis=1)
    exact = share / share.sum() * (counts[0] - counts[1])
    assert (np.abs(made[small] - np.rint(exact)) <= 1).all()
    assert made.sum() == counts[0] - counts[1]
    assert abs(len(theirs) - made.sum()) <= len(small) / 2
    edge = np.repeat(small, np.rint(exact).astype(int))
    assert len(edge) == len(theirs)
    off = np.linalg.norm(theirs - x[edge], axis=1)
    kin = distance[np.ix_(small, small)]
    reach = dict(zip(small.tolist(), np.sort(kin, axis=1)[:, 4], strict=True))
    assert (off <= [reach[row] + 1e-9 for row in edge.tolist()]).all()


@pytest.mark.parametrize("seed", range(3))
def test_borderline_takes_those_in_danger_as_imbalanced_learn_does(seed):
    imblearn = pytest.importorskip("imblearn.over_sampling")
    x, group = standardised(seed)
    theirs = imblearn.BorderlineSMOTE(random_state=0, m_neighbors=10)
    theirs.fit_resample(x, group)
    new = grow(x, group, [1, 500], "borderline")
    assert set(new.parent) == set(theirs.in_danger_indices[1])


def test_without_a_border_all_are_parents():
    x = np.r_[np.random.default_rng(0).normal(size=(60, 2)), 100 + np.random.default_rng(1).normal(size=(20, 2))]
    group = np.repeat([0, 1], [60, 20])
    for method in ("borderline", "adasyn"):
        assert set(grow(x, group, [60, 60], method).parent) == set(range(60, 80))


def test_smote_nc_of_the_paper():
    """The example of section 6.1: the distance counts two differing categories as twice the median's square."""
    numbers = np.array([[1.0, 2, 3], [4, 6, 5], [3, 5, 6]])
    codes = np.array([[0, 1, 2], [0, 3, 4], [0, 1, 5]])
    spread = numbers.std(axis=0)
    scaled = numbers / spread
    first = np.sqrt(((scaled[0] - scaled[1]) ** 2).sum() + 2 * 1.0)
    last = np.sqrt(((scaled[0] - scaled[2]) ** 2).sum() + 1.0)
    nearest_of_first = 1 if first < last else 2
    new = oversample(numbers, codes, [0, 0, 0], [30], "smote-nc", neighbours=1)
    assert set(new.other[new.parent == 0]) == {nearest_of_first}
    assert (new.categories[:, 0] == 0).all()


def test_smote_nc_takes_the_category_of_most_neighbours():
    rng = np.random.default_rng(0)
    numbers = np.r_[rng.normal(size=(6, 2)) * 0.01, 5 + rng.normal(size=(30, 2))]
    codes = np.r_[[[0], [1], [1], [1], [1], [1]], np.full((30, 1), 2)]
    group = np.repeat([1, 0], [6, 30])
    new = oversample(numbers, codes, group, [30, 30], "smote-nc", neighbours=5)
    assert (new.categories == 1).all()
    copied = oversample(numbers, codes, group, [30, 30], "smote", neighbours=5)
    assert (copied.categories == codes[copied.parent]).all()


def test_missing_cells_do_not_move_the_neighbours_far():
    """A row that lacks a cell is still near its like."""
    x = np.r_[
        np.random.default_rng(0).normal(size=(10, 3)) * 0.1, 9 + np.random.default_rng(1).normal(size=(10, 3)) * 0.1
    ]
    x[0, 1] = x[12, 0] = np.nan
    new = grow(x, np.zeros(20, dtype=int), [200], "smote", neighbours=5)
    assert ((new.parent < 10) == (new.other < 10)).all()


def test_near_miss_keeps_what_imbalanced_learn_keeps():
    imblearn = pytest.importorskip("imblearn.under_sampling")
    for seed in range(3):
        x, group, _ = samples(seed, 150, shares=(0.5, 0.3, 0.2))
        quota = np.full(3, np.bincount(group).min())
        theirs = imblearn.NearMiss(version=1, n_neighbors=3)
        theirs.fit_resample(x, group)
        gone = cut(x, group, quota, "near-miss")
        assert set(range(150)) - set(gone.row) == set(theirs.sample_indices_)


def test_tomek_links_are_those_of_imbalanced_learn():
    imblearn = pytest.importorskip("imblearn.under_sampling")
    for seed in range(3):
        x, group, _ = samples(seed, 300, shares=(0.5, 0.3, 0.2))
        theirs = imblearn.TomekLinks()
        theirs.fit_resample(x, group)
        gone = cut(x, group, np.array([1, 1, 300]), "tomek")
        assert set(range(300)) - set(gone.row) == set(theirs.sample_indices_)
        assert (group[gone.row] != group[gone.witness]).all()


def test_edited_neighbours_are_those_of_imbalanced_learn():
    imblearn = pytest.importorskip("imblearn.under_sampling")
    for seed in range(3):
        x, group, _ = samples(seed, 300, shares=(0.8, 0.2))
        theirs = imblearn.EditedNearestNeighbours(kind_sel="mode")
        theirs.fit_resample(x, group)
        gone = cut(x, group, np.array([1, 300]), "enn")
        assert set(range(300)) - set(gone.row) == set(theirs.sample_indices_)
        assert (group[gone.witness] == 1).all()


def test_edited_neighbours_never_empty_a_group():
    """Ten among ninety are all outvoted; imbalanced-learn removes them all."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    gone = cut(x, np.repeat([0, 1], [90, 10]), [50, 3], "enn")
    assert np.bincount(np.repeat([0, 1], [90, 10])[gone.row], minlength=2)[1] <= 7


def test_hardness_keeps_the_most_probable_of_the_class():
    x, group, difficulty = samples(0, 200, shares=(0.7, 0.3))
    gone = cut(x, group, [50, 200], "hardness", difficulty=difficulty)
    own = np.flatnonzero(group == 0)
    assert set(own[np.argsort(difficulty[own])[:50]]) == set(own) - set(gone.row)


def test_a_larger_quota_keeps_all_that_a_smaller_one_does():
    x, group, _ = samples(0, 200)
    few, many = (set(cut(x, group, [quota] * 3, "random").row) for quota in (10, 20))
    assert many < few


def test_clusters_keep_one_near_each_centre():
    """Twelve tight clouds: one of each stays, and whoever goes names the one of its cloud."""
    rng = np.random.default_rng(0)
    cloud = np.repeat(np.arange(12), 15)
    x = (np.eye(12)[cloud] * 10 + rng.normal(size=(180, 12)) * 0.01).astype(np.float32)
    gone = cut(x, np.zeros(180, dtype=int), [12], "cluster")
    kept = np.setdiff1d(np.arange(180), gone.row)
    assert sorted(cloud[kept]) == list(range(12))
    assert (cloud[gone.row] == cloud[gone.witness]).all()
    assert set(gone.witness) <= set(kept)
    assert np.allclose(gone.score, np.linalg.norm(x[gone.row] - x[gone.witness], axis=1), rtol=1e-3)


def test_many_clusters_cover_about_as_well_as_k_means():
    x = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    gone = cut(x, np.zeros(2000, dtype=int), [400], "cluster")
    kept = np.setdiff1d(np.arange(2000), gone.row)
    assert len(kept) == 400

    def cover(rows):
        return (pairwise_distances(x, x[rows]).min(axis=1) ** 2).mean()

    whole = KMeans(400, n_init=1, random_state=0).fit(x)
    best = np.unique(pairwise_distances(whole.cluster_centers_, x).argmin(axis=1))
    drawn = np.random.default_rng(0).choice(2000, 400, replace=False)
    assert cover(kept) < 1.15 * cover(best)
    assert cover(kept) < 0.8 * cover(drawn)


def test_finer_groups_compare_classes():
    """Two speakers of one class are no Tomek link, and no danger to each other."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=(80, 2)), 50 + rng.normal(size=(20, 2))].astype(np.float32)
    group = np.r_[np.tile([0, 1], 40), np.full(20, 2)]
    label = np.repeat([0, 1], [80, 20])
    assert len(cut(x, group, [1, 1, 1], "tomek").row)
    assert not len(cut(x, group, [1, 1, 1], "tomek", label=label).row)
    assert not len(cut(x, group, [1, 1, 1], "enn", label=label).row)
    gone = cut(x, group, [5, 40, 20], "near-miss", label=label)
    assert (gone.witness >= 80).all()
    new = grow(x, group, [80, 40, 20], "borderline", label=label)
    assert set(new.parent) == set(range(0, 80, 2))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 8), st.booleans())
def test_nearest_against_all_distances(seed, n, k, missing):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (n, 3)).astype(np.float32)
    known = rng.random((n, 2)) < 0.6 if missing else None
    if known is not None:
        x[:, :2] *= known
    both = np.ones((n, n, 2), dtype=bool) if known is None else known[:, None] & known[None]
    square = (x[:, None] - x[None]).astype(float) ** 2
    shared = both.sum(axis=2)
    first = np.where(shared > 0, (square[..., :2] * both).sum(axis=2) * 2 / np.maximum(shared, 1), 4.0)
    distance = np.sqrt(first + square[..., 2])
    np.fill_diagonal(distance, np.inf)
    near = nearest(x, np.arange(n), np.arange(n), k, known)
    assert near.row.shape == (n, min(k, n - 1))
    assert np.allclose(near.distance, np.sort(distance, axis=1)[:, : near.row.shape[1]])
    assert np.allclose(np.take_along_axis(distance, near.row, axis=1), near.distance)
    assert (near.row != np.arange(n)[:, None]).all()


# How large ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "sizes"),
    [
        ("min", [2, 2, 2, 0, 2]),
        ("max", [10, 10, 10, 0, 10]),
        ("median", [4, 4, 4, 0, 4]),
        ("mean", [5, 5, 5, 0, 5]),
        ("7", [7, 7, 7, 0, 7]),
        ("ratio 3:1", [6, 3, 2, 0, 6]),
        (" ratio 2.5:1 ", [5, 3, 2, 0, 5]),
        ("ratio 1:1", [2, 2, 2, 0, 2]),
        ("ratio 9:1", [10, 3, 2, 0, 6]),
    ],
)
def test_target_sizes(target, sizes):
    assert target_sizes([10, 3, 2, 0, 6], target).tolist() == sizes


def test_a_ratio_may_raise_instead():
    assert target_sizes([10, 3, 2, 0, 6], "ratio 3:1", raise_small=True).tolist() == [10, 4, 4, 0, 6]
    assert target_sizes([21, 7], "ratio 3:1", raise_small=True).tolist() == [21, 7]
    assert target_sizes([0, 0], "max").tolist() == [0, 0]


@pytest.mark.parametrize("target", ["", "most", "-3", "0", "1.5", "ratio 1:3", "ratio 1:0", "ratio 3", "9" * 17, "1e3"])
def test_what_is_no_target(target):
    with pytest.raises(ValueError, match="target"):
        target_sizes([1, 2], target)


@given(st.lists(st.floats(0, 1e308), min_size=1, max_size=20), st.integers(0, 10**6))
def test_shares_are_within_one_of_exact(weight, total):
    dealt = apportion(weight, total)
    assert dealt.sum() == total
    share = np.array(weight) / max(weight) if max(weight) else np.ones(len(weight))
    assert (np.abs(dealt - share / share.sum() * total) < 1 + 1e-6).all()
