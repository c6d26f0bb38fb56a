"""Filters that look at several columns at once: relief, mRMR and collinearity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.feature_selection import (
    f_classif,
)

from datadiet_cli.methods.selection.base import NONE, Target
from datadiet_cli.methods.selection.filters import FILTERS
from tests.methods.selection_contract import plain


@pytest.fixture(scope="module")
def tumours():
    x, y = load_breast_cancer(return_X_y=True)
    return x, y.astype(np.int64)


# Relief ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["numbers", "categories"])
@pytest.mark.parametrize("classes", [2, 0])
def test_relief_finds_what_only_tells_together(kind, classes):
    """Exclusive or: no column tells anything alone, which no other filter sees through."""
    rng = np.random.default_rng(0)
    x = rng.random((500, 8)) if kind == "numbers" else rng.integers(0, 2, (500, 8))
    y = ((x[:, 2] > 0.5) ^ (x[:, 5] > 0.5)).astype(np.int64)
    columns = plain(x) if kind == "numbers" else plain(np.empty((500, 0)), x)
    found = FILTERS["relief"](columns, Target(y, 2) if classes else Target(y * 1.0, 0))
    assert set(np.argsort(found.rank)[:2]) == {2, 5}


def test_relief_by_hand():
    """The sums of figure 2 of the paper, row by row."""
    rng = np.random.default_rng(2)
    n, k = 60, 4
    y = np.sort(rng.integers(0, 3, n))
    x = np.round(rng.random((n, 4)) + y[:, None] * [0.5, 0, 0.2, 0], 3)
    low, high = np.quantile(x, [0.05, 0.95], axis=0)
    z = np.clip((x - low) / (high - low), 0, 1)
    share = np.bincount(y) / n
    weight = np.zeros(4)
    for row in range(n):
        gap = np.abs(z - z[row])
        for kind in range(3):
            others = [other for other in np.flatnonzero(y == kind) if other != row]
            near = sorted(others, key=lambda other: gap[other].sum())[:k]
            mean = gap[near].mean(axis=0) / n
            weight += -mean if kind == y[row] else share[kind] / (1 - share[y[row]]) * mean
    found = FILTERS["relief"](plain(x), Target(y, 3), neighbours=k)
    np.testing.assert_allclose(found.score, weight, atol=1e-9)


def test_relief_of_many_rows_takes_some_and_says_so(monkeypatch):
    monkeypatch.setattr("datadiet_cli.methods.selection.relief.BUDGET", 40_000)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    found = FILTERS["relief"](plain(x), Target((x[:, 1] > 0).astype(np.int64), 2), seed=1)
    assert "neighbours of 50 of 400 rows" in found.notes[0]
    assert found.rank.tolist() == [2, 1]


# mRMR -----------------------------------------------------------------------------------------------------------------


def test_mrmr_is_the_greedy_quotient(tumours):
    x, y = tumours
    f = f_classif(x, y)[0]
    r = np.abs(np.corrcoef(x.T))
    order = [int(f.argmax())]
    while len(order) < x.shape[1]:
        quotient = f / np.maximum(r[order].mean(axis=0), 0.001)
        quotient[order] = -1
        order.append(int(quotient.argmax()))
    found = FILTERS["mrmr"](plain(x), Target(y, 2))
    assert np.argsort(found.rank).tolist() == order
    some = FILTERS["mrmr"](plain(x), Target(y, 2), keep=5)
    assert np.argsort(some.rank)[:5].tolist() == order[:5]
    left = np.argsort(some.rank)[5:]
    assert (np.diff(f[left]) <= 0).all()
    assert (some.witness[order[:5]] == NONE).all()
    for column in np.flatnonzero(some.witness != NONE):
        assert r[column, some.witness[column]] == pytest.approx(r[column, order[:5]].max())
        assert r[column, order[:5]].max() > 0.9


def test_mrmr_leaves_copies_for_last():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    one = np.where(rng.random(600) < 0.8, y, rng.integers(0, 3, 600))
    other = y + rng.normal(size=600)
    columns = plain(np.column_stack([other, other * -2 + 1]), np.column_stack([one, 2 - one]))
    found = FILTERS["mrmr"](columns, Target(y, 3), keep=2)
    assert np.flatnonzero(found.rank <= 2).tolist() == [0, 2]
    assert found.witness.tolist() == [NONE, 0, NONE, 2]
    assert found.score[[1, 3]].tolist() == [0, 0]


# Collinearity ---------------------------------------------------------------------------------------------------------


def test_collinear_columns_go_with_a_witness():
    rng = np.random.default_rng(0)
    n = 400
    x = rng.normal(size=(n, 3))
    y = Target(x[:, 1] + 0.3 * rng.normal(size=n), 0)
    near = x[:, 1] + 0.15 * rng.normal(size=n)
    code = rng.integers(0, 6, n)
    columns = plain(
        np.column_stack([x, near, -x[:, 0], code * 1.5]), np.column_stack([code, (code * 5 + 1) % 7, code // 2])
    )
    found = FILTERS["collinearity"](columns, y)
    assert found.witness[[0, 1, 2, 3, 4]].tolist() == [NONE, NONE, NONE, 1, 0]
    # Category 0 (position 6), its copy under other names, and the number it comes from: one stays.
    assert (found.witness[[5, 6, 7]] == NONE).sum() == 1
    assert found.chosen.sum() == 4
    assert (found.chosen == (found.witness == NONE)).all()
    assert (FILTERS["collinearity"](columns, None).witness == [NONE, NONE, NONE, 1, 0, NONE, 5, 5, 5]).all()


def test_a_column_that_says_more_is_not_redundant():
    """Three groups are told by six values, not six values by three groups."""
    code = np.random.default_rng(0).integers(0, 6, 300)
    coarse = np.column_stack([code // 2, code])
    assert FILTERS["collinearity"](plain(np.empty((300, 0)), coarse), None).chosen.tolist() == [True, True]
    assert FILTERS["collinearity"](plain(np.empty((300, 0)), coarse[:, ::-1]), None).chosen.tolist() == [True, False]


def test_few_common_rows_are_no_reason_to_drop():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    x[:, 1] = 2 * x[:, 0]
    x[:160, 0] = np.nan
    assert FILTERS["collinearity"](plain(x), None).chosen.tolist() == [False, True]
    x[:140, 0], x[152:, 0] = x[:140, 1], np.nan
    x[:140, 1] = np.nan
    assert FILTERS["collinearity"](plain(x), None).chosen.tolist() == [True, True]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), least=st.sampled_from([0.5, 0.8, 0.95]))
def test_each_that_goes_has_its_own_witness(seed, least):
    """No chains: what goes is tied to one that stays; what stays is tied to none that stays."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(60, 4))
    x = base[:, rng.integers(0, 4, 14)] + rng.random(14) * rng.normal(size=(60, 14))
    found = FILTERS["collinearity"](plain(x), None, threshold=least)
    r = np.abs(np.corrcoef(x.T))
    gone = np.flatnonzero(found.witness != NONE)
    assert (r[gone, found.witness[gone]] >= least - 1e-9).all()
    assert (found.witness[found.witness[gone]] == NONE).all()
    stays = r[np.ix_(found.chosen, found.chosen)]
    assert (stays[~np.eye(len(stays), dtype=bool)] < least + 1e-9).all()


def test_many_columns_in_blocks():
    """More columns than a block holds, each three times over."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 150))
    x = np.hstack([base, -base, 3 * base])
    found = FILTERS["collinearity"](plain(x), None, threshold=0.99)
    assert found.witness.tolist() == [NONE] * 150 + list(range(150)) * 2
