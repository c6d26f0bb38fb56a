"""Faults by measures: limits hold where they should, and move where the data says that they mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datadiet_cli.methods.quality import CHECKS, ENOUGH, Bounds, Check, bounds_of, explain, find_faults

ALL = [check for checks in CHECKS.values() for check in checks.values()]
RELATIVE = [check for check in ALL if check.rule in ("outlying", "odd")]
MEASURES = sorted({check.measure for check in ALL})
NUMBERS = st.floats(-1e6, 1e6) | st.just(np.nan) | st.sampled_from([check.limit for check in ALL])


def check(rule, limit=10.0, above=True):
    return Check("fault", "measure", limit, above, "{value:.1f} against {limit:.1f}", rule)


def faulty(values, rule, limit=10.0, above=True):
    found = find_faults({"measure": np.array(values, dtype=float)}, [check(rule, limit, above)])
    return np.flatnonzero(found["fault"]).tolist()


@pytest.mark.parametrize("given", ALL, ids=lambda check: check.name)
def test_every_check_says_the_value_and_the_limit_in_one_sentence(given):
    worse = given.limit * 1.5 + 1 if given.above else given.limit - abs(given.limit) / 2
    words = explain(given, worse, Bounds(-np.inf, given.limit) if given.above else Bounds(given.limit, np.inf))
    assert "{" not in words
    assert "inf" not in words
    assert "\n" not in words
    assert given.name == given.name.lower().replace("_", "-")


@pytest.mark.parametrize("given", [one for one in ALL if one not in RELATIVE], ids=lambda check: check.name)
def test_a_value_on_the_limit_is_good_and_one_beyond_is_not(given):
    usual = given.limit * 0.5 if given.above == (given.limit > 0) else given.limit * 1.5
    beyond = np.nextafter(given.limit, np.inf if given.above else -np.inf)
    values = {given.measure: np.array([usual] * 20 + [given.limit, beyond])}
    assert np.flatnonzero(find_faults(values, [given])[given.name]).tolist() == [21]


def test_a_limit_holds_for_few_samples_and_for_a_quarter_of_many():
    assert faulty([20], "typical") == [0]
    assert faulty([20, 20, 20], "typical") == [0, 1, 2]
    assert faulty([1] * 75 + [20] * 25, "typical") == list(range(75, 100))
    assert faulty([20, 1, -20], "typical", above=False, limit=0.0) == [2]


def test_what_most_samples_show_is_no_fault_but_what_is_far_out_still_is():
    usual = np.linspace(20, 24, 50).tolist()
    assert faulty(usual, "typical") == []
    assert faulty([*usual, 50], "typical") == [50]
    assert faulty([-value for value in usual] + [-50], "typical", limit=-10.0, above=False) == [50]
    assert faulty([20] * 50 + [20.1], "typical") == []
    assert faulty([20] * 50, "fixed") == list(range(50))


def test_a_minority_is_faulty_and_a_large_part_is_not():
    assert faulty([0] * 10 + [1] * 40, "minority", 0.5, above=False) == list(range(10))
    assert faulty([0] * 20 + [1] * 40, "minority", 0.5, above=False) == []
    assert faulty([0], "minority", 0.5, above=False) == []


def test_sizes_are_odd_by_what_is_usual():
    assert faulty([100] * 20 + [401, 400, 25, 24], "odd", 4.0) == [20, 23]
    assert faulty([*np.geomspace(10, 1000, 50), 10_000], "odd", 4.0) == []
    assert faulty([100] * 20 + [900, 10], "outlying", 4.0) == [20]
    assert faulty([100] * 20 + [900, 10, 0], "outlying", 4.0, above=False) == [21, 22]


@pytest.mark.parametrize("given", RELATIVE, ids=lambda check: check.name)
@given(count=st.integers(0, ENOUGH - 1), data=st.data())
def test_too_few_samples_have_nothing_unusual(given, count, data):
    values = data.draw(arrays(float, count, elements=st.floats(0, 1e9)))
    assert not find_faults({given.measure: values}, [given])[given.name].any()


@given(arrays(float, st.tuples(st.just(len(MEASURES)), st.integers(0, 40)), elements=NUMBERS), st.randoms())
def test_order_does_not_matter_and_no_measure_is_no_fault(table, random):
    order = list(range(table.shape[1]))
    random.shuffle(order)
    values = dict(zip(MEASURES, table, strict=True))
    turned = {name: column[order] for name, column in values.items()}
    for kind in CHECKS.values():
        checks = list(kind.values())
        found, again = find_faults(values, checks), find_faults(turned, checks)
        for one in checks:
            assert found[one.name].dtype == bool
            assert np.array_equal(found[one.name][order], again[one.name])
            assert not found[one.name][np.isnan(values[one.measure])].any()


@given(arrays(float, st.integers(0, 40), elements=NUMBERS))
def test_faulty_is_what_is_beyond_the_bounds(values):
    for rule in ("fixed", "typical", "minority", "odd", "outlying"):
        one = check(rule)
        low, high = bounds_of({"measure": values}, [one])["fault"]
        assert low <= high
        assert not np.isnan([low, high]).any()
        assert np.array_equal(find_faults({"measure": values}, [one])["fault"], (values < low) | (values > high))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no measure"),
        ({"measure": np.zeros((2, 2))}, "no row of finite"),
        ({"measure": np.zeros(2, dtype=int)}, "no row of finite"),
        ({"measure": np.array([1.0, np.inf])}, "no row of finite"),
    ],
)
def test_wrong_measures_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        find_faults(values, [check("typical")])


def test_wrong_checks_are_refused():
    with pytest.raises(ValueError, match="the same name"):
        find_faults({"measure": np.zeros(2)}, [check("typical"), check("fixed")])
    other = Check("other", "another", 1.0, True, "")
    with pytest.raises(ValueError, match="different lengths"):
        find_faults({"measure": np.zeros(2), "another": np.zeros(3)}, [check("typical"), other])
