"""Quotas add up to the budget, keep within what groups have, and follow their rule where no bound is met."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples.quotas import QUOTAS, quotas, repaired
from datadiet_cli.methods.targets import apportion

sizes = st.lists(st.integers(0, 40) | st.sampled_from([1, 10**6]), min_size=1, max_size=12)


def ints(*values):
    return np.array(values, dtype=np.int64)


@settings(max_examples=200, deadline=None)
@given(sizes, st.floats(0, 1), st.sampled_from(QUOTAS), st.floats(0, 1), st.data())
def test_quotas_keep_within_bounds_and_add_up(counts, share, how, floor, data):
    counts = np.array(counts, dtype=np.int64)
    some = int((counts > 0).sum())
    keep = some + round(share * (int(counts.sum()) - some))
    assume(keep)
    one = st.floats(0, 1) | st.sampled_from([0.0, 1.0, np.nan])
    recall = np.array(data.draw(st.lists(one, min_size=len(counts), max_size=len(counts))))
    quota = quotas(counts, keep, how, floor=floor, recall=recall)
    assert quota.dtype == np.int64
    assert quota.sum() == keep
    assert ((quota >= (counts > 0)) & (quota <= counts)).all()
    least = np.maximum(np.floor(floor * counts * keep / counts.sum() - 1e-6), counts > 0)
    if least.sum() <= keep:
        assert (quota >= least).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=10), st.floats(0, 1))
def test_proportional_quotas_are_largest_remainders(counts, share):
    counts = np.array(counts, dtype=np.int64)
    keep = round(share * int(counts.sum()))
    expected = apportion(counts, keep)
    assume((expected >= 1).all())
    np.testing.assert_array_equal(quotas(counts, keep, "proportional"), expected)


@settings(max_examples=100, deadline=None)
@given(sizes, st.floats(0, 1))
def test_balanced_quotas_are_as_equal_as_counts_allow(counts, share):
    counts = np.array(counts, dtype=np.int64)
    some = int((counts > 0).sum())
    keep = some + round(share * (int(counts.sum()) - some))
    quota = quotas(counts, keep, "balanced", floor=0.0)
    short = quota < counts
    assert not short.any() or quota[short].min() + 1 >= quota.max()


def drop(counts, keep, recall):
    """Algorithm 1 of the paper, in shares of samples."""
    counts, hard = np.array(counts, dtype=float), 1 - np.array(recall)
    density, open_, excess = np.zeros(len(counts)), np.ones(len(counts), dtype=bool), float(keep)
    while excess > 1e-9:
        z = (counts * hard)[open_].sum() / excess
        density[open_] += hard[open_] / z
        over = open_ & (density > 1)
        excess = float((counts * (density - 1))[over].sum())
        density[over], open_[over] = 1, False
    return density * counts


@pytest.mark.parametrize(
    ("counts", "keep", "recall"),
    [
        ((100, 100, 100), 90, (0.9, 0.8, 0.4)),
        ((500, 100, 50), 200, (0.9, 0.5, 0.1)),
        ((400, 30, 20, 60), 120, (0.95, 0.2, 0.05, 0.9)),
        ((1000, 10, 10), 100, (0.99, 0.01, 0.01)),
    ],
)
def test_drop_quotas_are_those_of_the_paper(counts, keep, recall):
    quota = quotas(ints(*counts), keep, "drop", floor=0.0, recall=np.array(recall))
    assert (np.abs(quota - drop(counts, keep, recall)) < 1).all()


def test_a_full_group_passes_on_no_more_than_it_cannot_take():
    """Where the whole budget is dealt out again after a group is full, the sum exceeds it."""
    quota = quotas(ints(5, 200, 200), 100, "drop", floor=0.0, recall=np.array([0.0, 0.8, 0.9]))
    assert quota.tolist() == [5, 63, 32]


def test_an_unknown_recall_counts_as_the_mean():
    told = quotas(ints(90, 90, 90), 60, "drop", recall=np.array([0.9, np.nan, 0.5]))
    np.testing.assert_array_equal(told, quotas(ints(90, 90, 90), 60, "drop", recall=np.array([0.9, 0.7, 0.5])))
    nothing = quotas(ints(90, 30), 40, "drop", recall=np.full(2, np.nan))
    assert nothing.tolist() == [30, 10]


def test_classes_that_are_always_right_take_what_others_cannot():
    assert quotas(ints(90, 10, 30), 70, "drop", floor=0.0, recall=np.array([1.0, 0.5, 1.0])).tolist() == [45, 10, 15]


def test_the_floor_holds_against_the_way():
    assert quotas(ints(900, 50, 50), 100, "balanced", floor=0.0).tolist() == [34, 33, 33]
    assert quotas(ints(900, 50, 50), 100, "balanced", floor=0.5).tolist() == [45, 28, 27]
    assert quotas(ints(100, *[1] * 10), 12, "proportional", floor=1.0).tolist() == [2, *[1] * 10]


def test_no_groups_need_nothing():
    assert quotas(ints(0, 0), 0, "balanced").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("counts", "keep", "how", "more", "told"),
    [
        ([3] * 10, 5, "balanced", {}, "keep 5 leaves no sample of 5 of 10 groups"),
        ([3, 0, 3], 1, "proportional", {}, "keep 1 leaves no sample of 1 of 2 groups"),
        ([3, 3], 7, "proportional", {}, "6 samples to choose from"),
        ([3, 3], -1, "proportional", {}, "-1"),
        ([3, -3], 0, "proportional", {}, "negative"),
        ([3, 3], 4, "none", {}, "not none"),
        ([3, 3], 4, "balanced", {"floor": 2.0}, "floor"),
        ([3, 3], 4, "drop", {}, "recall of each group"),
        ([3, 3], 4, "drop", {"recall": np.array([0.5])}, "recall of each group"),
        ([3, 3], 4, "drop", {"recall": np.array([0.5, 1.5])}, "from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_said(counts, keep, how, more, told):
    with pytest.raises(ValueError, match=told):
        quotas(np.array(counts), keep, how, **more)


def test_a_group_below_its_floor_is_raised_by_its_best():
    score = np.array([9.0, 8, 7, 6, 5, 3, 2, 1, 4, 0])
    group = ints(0, 0, 0, 0, 1, 2, 2, 2, 1, 1)
    kept = np.array([1, 1, 1, 1, 1, 0, 0, 0, 1, 0], dtype=bool)
    after = repaired(kept, score, group, ints(2, 1, 2), 0)
    assert np.flatnonzero(after).tolist() == [0, 1, 2, 4, 5, 6], "the lowest of the others go, down to their floor"
    np.testing.assert_array_equal(repaired(kept, score, group, ints(2, 1, 0), 0), kept)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans()), max_size=50), st.data())
def test_repairs_keep_the_budget_and_every_floor(samples, data):
    group, score, kept = (np.array(column) for column in (zip(*samples, strict=True) if samples else ([], [], [])))
    group, kept, score = group.astype(np.int64), kept.astype(bool), score.astype(np.float64)
    counts = np.bincount(group, minlength=5)
    floor = np.array([data.draw(st.integers(0, int(count))) for count in counts], dtype=np.int64)
    assume(floor.sum() <= kept.sum())
    after = repaired(kept, score, group, floor, 3)
    assert after.sum() == kept.sum()
    had, has = np.bincount(group[kept], minlength=5), np.bincount(group[after], minlength=5)
    assert (has >= floor).all()
    assert (has[had < floor] == floor[had < floor]).all(), "no more than is needed is raised"
    for g in range(5):
        own = group == g
        came, stayed_out = own & after & ~kept, own & ~after & ~kept
        if came.any() and stayed_out.any():
            assert score[came].min() >= score[stayed_out].max()
        went, stayed = own & kept & ~after, own & kept & after
        if went.any() and stayed.any():
            assert score[went].max() <= score[stayed].min()


@pytest.mark.parametrize(("floor", "told"), [(ints(3, 0), "at most"), (ints(2, 1), "more than the 2 kept")])
def test_floors_that_cannot_be_met_are_refused(floor, told):
    with pytest.raises(ValueError, match=told):
        repaired(np.array([True, True, False]), np.zeros(3), ints(0, 0, 1), floor, 0)
