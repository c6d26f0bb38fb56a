"""Histograms are whole, round and few-binned whatever the scores; close calls are those nearest to the threshold."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datadiet_cli.methods.histogram import BINS, closest, drawn, histogram

ANY = arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_subnormal=True))
WHOLE = arrays(np.int64, st.integers(1, 60), elements=st.integers(-3, 40)).map(lambda a: a.astype(np.float64))
LIMIT = st.none() | st.floats()


@settings(max_examples=150, deadline=None)
@given(values=ANY | WHOLE, threshold=LIMIT)
def test_every_finite_value_is_counted_once_in_ascending_bins(values, threshold):
    found = histogram(values, threshold)
    known = values[np.isfinite(values)]
    if found is None:
        assert not len(known)
        return
    edges, counts = found
    assert counts.sum() == len(known)
    assert 1 <= len(counts) <= BINS == 40
    assert len(edges) == len(counts) + 1
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    if threshold is not None and abs(threshold) < 1e300:
        wide = 1e-9 * np.abs(edges).max()
        assert edges[0] - wide <= threshold <= edges[-1] + wide, "the threshold can be drawn in"
    again = histogram(values[::-1], threshold)
    np.testing.assert_array_equal(again.counts, counts)
    json.dumps(drawn("outlier", "score", values, threshold, "above", inclusive=False), allow_nan=False)


def test_bins_within_the_range_are_those_of_numpy():
    values = np.random.default_rng(0).normal(size=2000)
    edges, counts = histogram(values, 2.5)
    inner, _ = np.histogram(values, edges)
    np.testing.assert_array_equal(counts[1:-1], inner[1:-1])
    assert counts[0] == (values < edges[1]).sum()
    assert counts[-1] == (values >= edges[-2]).sum()
    assert all(len(repr(edge)) <= 5 for edge in edges.tolist()), "round numbers"


def test_values_far_off_squeeze_nothing():
    values = np.append(np.linspace(0, 1, 999), 1e12)
    edges, counts = histogram(values)
    assert edges[-1] < 2
    assert np.count_nonzero(counts) > 20
    assert counts.sum() == 1000


def test_whole_numbers_lie_in_the_middle_of_bins_of_their_own():
    edges, counts = histogram(np.array([0, 0, 3, 6, 7.0]), 6.0)
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert counts.tolist() == [2, 0, 0, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("value", [0.0, 3.7, -1e-30, 1e9, 1e300])
def test_equal_values_are_one_bin(value):
    edges, counts = histogram(np.full(7, value))
    assert counts.sum() == counts.max() == 7
    assert edges[0] <= value * (1 + np.sign(value) * 1e-12)
    assert edges[-1] >= value * (1 - np.sign(value) * 1e-12)


def test_a_threshold_that_is_none_has_no_side():
    shown = drawn("dark", "brightness", [0.1, 0.2], np.inf, "below", inclusive=False)
    assert (shown["threshold"], shown["side"], shown["inclusive"]) == (None, None, None)
    assert drawn("dark", "brightness", [0.1, 0.2], 0.15, "below", inclusive=False)["side"] == "below"
    assert drawn("dark", "brightness", [np.nan], 0.15, "below", inclusive=False) is None


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("side", ["above", "below"])
def test_what_equals_the_threshold_counts_on_the_side_where_it_belongs(side, inclusive):
    values = [0.1, 0.3, 0.5, 0.5, 0.5, 0.7, 0.9]
    found = drawn("any", "score", values, 0.5, side, inclusive=inclusive)
    assert 0.5 in found["edges"]
    middle = found["edges"].index(0.5)
    beyond = found["counts"][middle:] if side == "above" else found["counts"][:middle]
    assert sum(beyond) == (5 if inclusive else 2)
    assert found["inclusive"] is inclusive


def test_a_range_just_above_a_round_number_of_steps_has_no_bin_too_many():
    assert len(histogram([-1.0, 3.9e218]).counts) <= BINS


@settings(max_examples=100, deadline=None)
@given(score=ANY, threshold=st.floats(-100, 100), side=st.sampled_from(["above", "below"]), data=st.data())
def test_close_calls_are_the_nearest_that_were_left_out(score, threshold, side, data):
    score = np.clip(score, -1e6, 1e6)
    finite = np.isfinite(score)
    taken = score > threshold if side == "above" else score < threshold
    open_ = ~taken & data.draw(arrays(bool, len(score)))
    chosen = closest(score, threshold, side, open_).tolist()
    if not finite.any():
        assert chosen == []
        return
    reach = abs(np.median(score[finite]) - threshold) / 4
    gaps = np.abs(score - threshold)
    expected = sorted((gaps[i], i) for i in np.flatnonzero(open_ & finite & (gaps <= reach)).tolist())
    assert chosen == [i for _, i in expected[:10]]


def test_a_million_equal_scores_are_no_close_calls():
    score = np.zeros(1_000_000)
    assert not len(closest(score, 1.0, "above", np.ones(len(score), dtype=bool)))
    score[:600_000] = np.arange(600_000) / 600_000
    assert closest(score, 2.0, "above", np.ones(len(score), dtype=bool), 3).tolist() == []
    assert closest(score, 1.0, "above", np.ones(len(score), dtype=bool), 2).tolist() == [599_999, 599_998]


def test_shares_that_are_all_zero_are_no_whole_numbers():
    found = histogram(np.zeros(24), 0.001)
    assert found.counts.sum() == 24
    assert np.diff(found.edges).max() < 0.001
    assert found.edges[0] <= 0 <= 0.001 <= found.edges[-1]
