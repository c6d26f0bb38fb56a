"""Columns ranked by models: what all of them hold, what each says of known data, and their budgets."""

import inspect
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, make_classification, make_regression
from sklearn.feature_selection import RFE
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from datadiet_cli.methods.selection import boruta, permutation
from datadiet_cli.methods.selection.base import Columns, Target
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.filters import FILTERS
from datadiet_cli.methods.selection.lasso import Path
from datadiet_cli.methods.selection.linear import Aim, ridge
from datadiet_cli.methods.selection.stability import stable
from datadiet_cli.methods.selection.wrappers import WRAPPERS
from tests.methods import selection_contract as contract

SOME = 1.5
"""Seconds, by estimate: enough for small data, and few rounds."""
QUICK = {name: partial(rank, budget=SOME) for name, rank in WRAPPERS.items()}
ALL = pytest.mark.parametrize("rank", QUICK.values(), ids=QUICK)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    """What holds of all rounds holds of few."""
    monkeypatch.setattr(boruta, "ROUNDS", 25)
    monkeypatch.setattr(boruta, "TREES", 8)
    monkeypatch.setattr(permutation, "TREES", 60)


def classes(values):
    return Target(np.asarray(values, dtype=np.int64), int(np.max(values)) + 1)


def planted(seed=0, n=500, p=24):
    """Six columns of 24, at known places, set three classes apart."""
    x, y = make_classification(
        n, p, n_informative=4, n_redundant=2, n_classes=3, n_clusters_per_class=1, shuffle=False, random_state=seed
    )
    place = np.random.default_rng(seed).permutation(p)
    return contract.plain(x[:, place]), classes(y), np.flatnonzero(place < 6)


@ALL
def test_the_contract_of_all_rankings(rank):
    contract.holds(rank)


@ALL
def test_what_tells_the_target_comes_first(rank):
    columns, target, true = planted()
    assert (rank(columns, target, keep=6).rank[true] <= 6).sum() >= 5
    x, y = make_regression(300, 15, n_informative=3, noise=1.0, shuffle=False, random_state=1)
    assert set(rank(contract.plain(x), Target(y, 0), keep=3).rank[:3]) == {1, 2, 3}


@ALL
def test_columns_keep_their_scores_in_any_order(rank):
    columns, target = contract.problem()
    numbers, categories = np.array([3, 1, 4, 0, 2]), np.array([2, 0, 3, 1])
    moved = Columns(columns.numbers[:, numbers], columns.categories[:, categories])
    first, second = rank(columns, target), rank(moved, target)
    place = np.concatenate([numbers, categories + 5])
    np.testing.assert_array_equal(second.score, first.score[place])
    np.testing.assert_array_equal(second.rank, first.rank[place])


@ALL
@pytest.mark.parametrize(
    ("n", "p", "of"),
    [(0, 3, 2), (1, 3, 2), (2, 1, 2), (6, 0, 2), (9, 3, 1), (9, 2, 9), (3, 40, 2), (2, 2, 0), (12, 3, 0)],
)
def test_next_to_nothing(rank, n, p, of):
    rng = np.random.default_rng(1)
    values = np.arange(n) % of if of else rng.normal(size=n)
    columns = contract.plain(rng.normal(size=(n, p)), rng.integers(-1, 2, (n, 1 if p else 0)))
    contract.check(rank(columns, Target(values, of)), columns)


@ALL
def test_skewed_columns(rank):
    n = 60
    y = np.arange(n) % 2
    x = np.column_stack(
        [np.full(n, 1e300), y * 1e308, y * 1e-300, np.where(y, np.nan, 1.0), np.full(n, np.nan), -1e300 * y]
    )
    columns = contract.plain(x, np.column_stack([np.arange(n), np.full(n, -1), y, np.zeros(n, dtype=int)]))
    for target in (classes(y), Target(y * 1e300, 0)):
        ranking = rank(columns, target)
        contract.check(ranking, columns)
        assert (ranking.rank[[1, 8]] < ranking.rank[[0]]).all()
        assert (ranking.rank[[1, 8]] < ranking.rank[[9]]).all()


@ALL
@pytest.mark.parametrize(
    ("columns", "target", "words"),
    [
        (contract.plain(np.ones((3, 1))), None, "needs a target"),
        (contract.plain(np.ones((3, 1))), Target(np.array([0, 1]), 2), "do not fit"),
        (contract.plain(np.ones((2, 1))), Target(np.array([0, 2]), 2), "outside"),
        (contract.plain(np.ones((2, 1))), Target(np.array([0, np.nan]), 0), "missing or infinite"),
        (contract.plain(np.array([[1.0], [np.inf]])), Target(np.array([0, 1]), 2), "infinite"),
        (contract.plain(np.ones((2, 1)), np.full((2, 1), -2)), Target(np.array([0, 1]), 2), "below -1"),
    ],
)
def test_bad_input_is_refused(rank, columns, target, words):
    with pytest.raises(ValueError, match=words):
        rank(columns, target)


@pytest.mark.parametrize("name", ["rfe", "permutation", "l1", "forest", "boruta"])
def test_a_budget_is_kept_by_doing_less_and_that_is_said(name):
    columns, target, _ = planted(n=1000)
    ranking = WRAPPERS[name](columns, target, budget=1e-4)
    contract.check(ranking, columns)
    assert any("0.0001 s" in note for note in ranking.notes)
    contract.same(ranking, WRAPPERS[name](columns, target, budget=1e-4, workers=2))


def test_all_take_the_same_arguments():
    assert len({tuple(inspect.signature(rank).parameters) for rank in WRAPPERS.values()}) == 1


def test_forests_see_columns_that_mean_something_only_together(monkeypatch):
    monkeypatch.setattr(boruta, "TREES", 25)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12))
    target = classes((x[:, 3] > 0) ^ (x[:, 8] > 0))
    found = {name: WRAPPERS[name](contract.plain(x), target) for name in ("forest", "permutation", "boruta")}
    assert all(set(ranking.rank[[3, 8]]) == {1, 2} for ranking in found.values())
    assert np.flatnonzero(found["boruta"].chosen).tolist() == [3, 8]


def test_many_values_are_no_merit():
    """An impurity favours noise of many values over a column of two that says something."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 400)
    weak = np.where(rng.random(400) < 0.7, y, 1 - y)
    columns = contract.plain(np.insert(rng.normal(size=(400, 8)), 3, weak, axis=1))
    assert WRAPPERS["forest"](columns, classes(y)).rank[3] == 1
    ranking = QUICK["boruta"](columns, classes(y))
    assert ranking.chosen[3]
    assert ranking.chosen.sum() == 1


def test_boruta_confirms_nothing_in_noise():
    rng = np.random.default_rng(4)
    ranking = QUICK["boruta"](contract.plain(rng.normal(size=(300, 10))), classes(rng.integers(0, 2, 300)))
    assert not ranking.chosen.any()


def test_rfe_keeps_what_that_of_scikit_learn_does():
    x, y = load_breast_cancer(return_X_y=True)
    z = StandardScaler().fit_transform(x)
    # Theirs leaves out one by one, ours a fifth of what is left: of nine columns both do the same.
    # A coefficient for each of two classes costs half of what one for their difference does.
    binary = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000)
    for model, target in ((binary, classes(y)), (Ridge(alpha=1.0), Target(y.astype(float), 0))):
        theirs = RFE(model, n_features_to_select=4, step=1).fit(z[:, 10:19], target.values).support_
        ours = WRAPPERS["rfe"](contract.plain(x[:, 10:19]), target, keep=4).rank <= 4
        assert (ours == theirs).all()


def test_a_ridge_is_that_of_scikit_learn():
    columns, target, _ = planted()
    x = columns.numbers - columns.numbers.mean(axis=0)
    beta, bias = ridge(x, Aim.of(target), 1 / len(x))
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(x, target.values)
    np.testing.assert_allclose(beta.T, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=2e-3)
    wide = np.random.default_rng(0).normal(size=(20, 50))
    wide -= wide.mean(axis=0)
    aim = Aim.of(Target(wide[:, 0] + 2, 0))
    np.testing.assert_allclose(
        ridge(wide, aim, 0.1)[0].ravel(), Ridge(alpha=2.0).fit(wide, aim.y.ravel()).coef_, atol=1e-10
    )


def test_a_lasso_is_that_of_scikit_learn():
    x, y = make_regression(120, 30, n_informative=5, noise=5.0, random_state=2)
    x = StandardScaler().fit_transform(x)
    aim = Aim.of(Target(y, 0))
    path = Path.of(x, aim, np.arange(30), 30)
    path.near = 1e-7
    top = path.highest()
    for share in (0.5, 0.2, 0.05):
        path.down_to(top * share)
        theirs = Lasso(alpha=top * share, tol=1e-10).fit(x, aim.y.ravel()).coef_
        np.testing.assert_allclose(path.beta.ravel(), theirs, atol=2e-3)


def test_a_path_of_classes_is_where_no_step_is_to_be_won():
    """The conditions of Karush, Kuhn and Tucker hold for whole columns, of categories too."""
    columns, target = contract.problem()
    design = Design.fit(columns)
    path = Path.of(design.matrix(columns), Aim.of(target), design.owner, columns.count)
    path.near = 1e-6
    penalty = path.highest() * 0.15
    path.down_to(path.highest() * 0.5)
    path.down_to(penalty)
    inside, slopes = path.norms() > 0, path.slopes()
    assert inside.any()
    assert not inside.all()
    np.testing.assert_allclose(slopes[inside], penalty, rtol=0.02)
    assert (slopes[~inside] <= penalty * 1.001).all()


def test_l1_takes_one_of_two_that_say_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))
    x[:, 5] = x[:, 0] + 0.01 * rng.normal(size=400)
    y = (x[:, 0] + 0.7 * x[:, 2] + 0.3 * rng.normal(size=400) > 0).astype(int)
    ranking = WRAPPERS["l1"](contract.plain(x), classes(y))
    first = np.argsort(ranking.rank)
    assert set(first[:2]) in ({0, 2}, {5, 2})
    assert ranking.chosen[2]


METHODS = {**FILTERS, **QUICK}
NEED_NO_TARGET = ("constant", "missing", "variance", "collinearity")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_asked_about_halves(name):
    columns, target = contract.problem(n=80)
    options = {"keep": 3, "bootstraps": 2, "seed": 1}
    ranking = stable(METHODS[name], columns, target, **options)
    contract.check(ranking, columns)
    assert ranking.frequency.sum() == pytest.approx(3)
    again = stable(METHODS[name], columns, target, workers=2, **options)
    assert (again.frequency == ranking.frequency).all()
    assert (again.rank == ranking.rank).all()
    assert (np.diff(ranking.frequency[np.argsort(ranking.rank)]) <= 0).all()


@pytest.mark.parametrize("name", NEED_NO_TARGET)
def test_halves_need_no_target_where_the_method_needs_none(name):
    columns, _ = contract.problem(n=80)
    assert stable(METHODS[name], columns, None, keep=2, bootstraps=2).frequency.sum() == pytest.approx(2)


def test_halves_agree_on_what_is_true_and_not_on_noise():
    columns, target, true = planted(n=200)
    ranking = stable(WRAPPERS["l1"], columns, target, keep=None, bootstraps=6, budget=100.0)
    assert ranking.frequency[true].max() == 1
    assert (ranking.chosen == (ranking.frequency >= 0.6)).all()
    noise = np.setdiff1d(np.arange(24), true)
    assert ranking.frequency[noise].mean() < 0.3


def test_halves_that_make_no_sense():
    columns, target, _ = planted(n=60)
    for words, method, options in (
        ("at least 1", "l1", {"keep": 3, "bootstraps": 0}),
        ("at least 1", "l1", {"keep": 0, "bootstraps": 3}),
        ("rule of its own", "forest", {"keep": None, "bootstraps": 1}),
    ):
        with pytest.raises(ValueError, match=words):
            stable(WRAPPERS[method], columns, target, **options)
