"""How many columns are enough."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from datadiet_cli.methods.selection import enough as judging
from datadiet_cli.methods.selection.base import Columns, Ranking, Target
from datadiet_cli.methods.selection.enough import enough
from datadiet_cli.methods.selection.filters import FILTERS
from tests.methods import selection_contract as contract


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    """What holds of a forest holds of a small one."""
    monkeypatch.setattr(judging, "TREES", 8)


def in_order(p):
    return Ranking(-np.arange(p, dtype=float), np.arange(1, p + 1), "test")


def apart(n=300, p=10, seed=0):
    """Numbers 0 and 1 tell the class well, together better than each alone; the others say nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    y = (x[:, 0] + x[:, 1] + 0.2 * rng.normal(size=n) > 0).astype(np.int64)
    return contract.plain(x), Target(y, 2)


def test_two_columns_are_enough():
    columns, target = apart()
    found = enough(columns, target, in_order(10), max_drop=0.03, seed=1)
    assert found.m == 2
    assert found.measure == "accuracy"
    by = {point.m: point for point in found.table}
    assert by[1].bound > 0.03 >= by[2].bound
    assert by[10].difference == by[10].bound == 0
    assert by[2].difference == pytest.approx(found.score - by[2].score)
    assert found.interval[0] < found.score < found.interval[1]
    assert [point.m for point in found.table] == sorted(by)
    assert "has seen the rows" in found.notes[-1]


def test_numbers_as_well():
    columns, _ = apart()
    y = 1e6 * columns.numbers[:, 0] - 1e6 * columns.numbers[:, 1]
    found = enough(columns, Target(y, 0), in_order(10), max_drop=0.02)
    assert (found.m, found.measure) == (2, "R2")
    assert 0.9 < found.score <= 1


def test_columns_that_mean_something_only_together_are_seen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)
    found = enough(contract.plain(x), Target(y, 2), in_order(6), max_drop=0.05)
    assert found.m == 2
    assert found.score > 0.7


def test_ranked_anew_in_every_fold_noise_does_not_look_good():
    """Of columns picked for how well they fit the rows they are judged by, noise seems to tell something."""
    rng = np.random.default_rng(0)
    columns = contract.plain(rng.normal(size=(60, 300)))
    target = Target(rng.integers(0, 2, 60), 2)
    ranking = FILTERS["anova"](columns, target)
    flattered = enough(columns, target, ranking, max_drop=0.5, folds=3)
    honest = enough(columns, target, ranking, max_drop=0.5, folds=3, rank=FILTERS["anova"])
    best = {name: max(p.score for p in found.table) for name, found in (("seen", flattered), ("anew", honest))}
    assert best["seen"] > best["anew"]
    assert not any("has seen" in note for note in honest.notes)


def test_neither_workers_nor_the_order_of_rows_and_columns_matter():
    columns, target = contract.problem(n=80)
    ranking = FILTERS["anova"](columns, target)
    first = enough(columns, target, ranking, max_drop=0.05, folds=3, rank=FILTERS["anova"])
    assert enough(columns, target, ranking, max_drop=0.05, folds=3, rank=FILTERS["anova"], workers=3) == first
    rows = np.random.default_rng(0).permutation(80)
    order = np.array([4, 0, 3, 1, 2])
    moved = Columns(columns.numbers[rows][:, order], columns.categories[rows])
    same = target.rows(rows)
    again = enough(moved, same, FILTERS["anova"](moved, same), max_drop=0.05, folds=3, rank=FILTERS["anova"])
    assert again == first


def test_few_rows_cannot_show_a_small_loss():
    x, y = load_iris(return_X_y=True)
    found = enough(contract.plain(x), Target(y.astype(np.int64), 3), in_order(4), max_drop=0.0)
    assert found.m == 4
    assert "all are kept" in found.notes[-1]


def test_large_data_is_judged_by_a_sample_and_that_is_said():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9000, 2))
    found = enough(contract.plain(x), Target((x[:, 0] > 0).astype(np.int64), 2), in_order(2), max_drop=0.05, folds=2)
    assert found.m == 1
    assert found.notes[0] == "cross-validated on 5,000 of 9,000 rows"


@pytest.mark.parametrize(
    ("n", "p", "of", "m"), [(0, 3, 2, 3), (1, 3, 2, 3), (6, 3, 2, 3), (40, 1, 2, 1), (40, 3, 1, 1), (40, 0, 2, 0)]
)
def test_next_to_nothing(n, p, of, m):
    columns = contract.plain(np.random.default_rng(0).normal(size=(n, p)))
    assert enough(columns, Target(np.arange(n) % of, of), in_order(p), max_drop=0.01).m == m


def test_classes_of_one():
    columns, target = apart(n=60)
    values = target.values.copy()
    values[:3] = [2, 3, 5]
    found = enough(columns, Target(values, 7), in_order(10), max_drop=0.05)
    assert 1 <= found.m <= 10
    assert np.isfinite(found.score)


@pytest.mark.parametrize(
    ("options", "words"), [({"max_drop": -0.1}, "at least 0"), ({"max_drop": 0.1, "folds": 1}, "at least 2")]
)
def test_bad_settings_are_refused(options, words):
    columns, target = apart(n=30)
    with pytest.raises(ValueError, match=words):
        enough(columns, target, in_order(10), **options)
    with pytest.raises(ValueError, match="not of 10"):
        enough(columns, target, in_order(9), max_drop=0.1)
