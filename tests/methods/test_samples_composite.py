"""The composite worth is what its terms say, and the choice is that of the plain greedy rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples import farthest
from datadiet_cli.methods.samples.composite import composite

WEIGHTS = [(1, 1, 1, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0.5, 0, 20, 1), (2, 1, 0, 0.1)]


def made(n, g, seed, *, d=3, grains=None):
    """Samples of g groups of unequal size; with few grains there are many ties and copies."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) if grains is None else rng.integers(0, grains, (n, d))
    wrong = rng.random(n) ** 3 if grains is None else rng.integers(0, grains, n) / grains
    score = rng.normal(size=n) if grains is None else rng.integers(0, grains, n).astype(float)
    group = np.minimum(rng.integers(0, g, n), rng.integers(0, g, n))
    return {"x": x.astype(np.float32), "wrong": wrong, "score": score, "group": group}


def check_is_greedy(found, m, *, x, wrong, score, group, quota, weights):
    """Follow the choice with all worths computed anew at each step."""
    n = len(wrong)
    info = np.array([
        (np.sum(score[group == group[i]] < score[i]) + np.sum(score[group == group[i]] <= score[i])) / 2
        / np.sum(group == group[i])
        for i in range(n)
    ])  # fmt: skip
    chosen: list[int] = []
    terms = np.empty((n, 4))
    for row in [*found.order.tolist(), None]:
        vacant = ~np.isin(np.arange(n), chosen)
        count = np.array([np.sum(group[chosen] == c) for c in range(len(quota))], dtype=float)
        apart = np.sqrt(((x[:, None].astype(float) - x[chosen]) ** 2).sum(axis=2)).min(axis=1, initial=np.inf)
        unlike = np.minimum(apart / found.unit, 1) if found.unit else (apart > 0).astype(float)
        lacking = np.array([max(0.0, 1 - a / b) if b else 0.0 for a, b in zip(count, quota, strict=True)])[group]
        now = np.stack([unlike, 1 - wrong, lacking, info], axis=1)
        terms[vacant] = now[vacant]
        if row is None:
            break
        missing = {*group.tolist()} - {*group[chosen].tolist()}
        may = vacant & np.isin(group, list(missing)) if m - len(chosen) == len(missing) else vacant
        worth = now @ np.array(weights, dtype=float)
        assert may[row]
        assert worth[row] >= worth[may].max() - 1e-9
        chosen.append(row)
    np.testing.assert_allclose(found.terms, terms, atol=1e-5)
    np.testing.assert_allclose(found.worth, terms @ np.array(weights, dtype=float), atol=1e-4)
    np.testing.assert_array_equal(found.worth_at_choice, found.worth[found.order])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 6),
    st.sampled_from([1, 2, 5]),
    st.sampled_from(WEIGHTS),
    st.sampled_from([1, 4, 1024]),
    st.data(),
)
def test_the_choice_is_that_of_the_plain_greedy_rule(seed, n, g, grains, weights, block, data):
    about = made(n, g, seed, grains=grains)
    m = data.draw(st.integers(0, n))
    quota = np.array(data.draw(st.lists(st.integers(0, 12), min_size=g, max_size=g)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest, "_BLOCK", block)
        found = composite(m=m, **about, quota=quota, weights=weights, seed=seed)
    assert len({*found.order.tolist()}) == m
    check_is_greedy(found, m, **about, quota=quota, weights=weights)
    assert (found.terms >= 0).all()
    assert (found.terms <= 1).all()
    if m >= len({*about["group"].tolist()}):
        assert {*about["group"][found.order].tolist()} == {*about["group"].tolist()}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_blocks_change_nothing_on_numbers_without_ties(weights, monkeypatch):
    about = made(300, 5, 0)
    quota = np.bincount(about["group"], minlength=5) // 2
    one = composite(m=150, **about, quota=quota, weights=weights)
    check_is_greedy(one, 150, **about, quota=quota, weights=weights)
    monkeypatch.setattr(farthest, "_BLOCK", 16)
    for left, right in zip(one, composite(m=150, **about, quota=quota, weights=weights), strict=True):
        np.testing.assert_array_equal(left, right)


def test_each_term_chooses_what_it_stands_for():
    x = np.array([[0], [0], [0], [9], [9], [18]], dtype=np.float32)
    about = {
        "x": x,
        "wrong": np.array([0.9, 0.1, 0.5, 0.4, 0.3, 0.2]),
        "score": np.array([1.0, 2, 3, 1, 2, 3]),
        "group": np.array([0, 0, 0, 0, 1, 1]),
        "quota": np.array([2, 2]),
    }
    assert composite(m=6, **about, weights=(1, 0, 0, 0)).order.tolist() == [0, 3, 5, 1, 2, 4]
    assert composite(m=5, **about, weights=(0, 1, 0, 0)).order.tolist() == [1, 5, 4, 3, 2]
    assert composite(m=4, **about, weights=(0, 0, 1, 0)).order.tolist() == [0, 4, 1, 5]
    # Ranks within the groups: 1 and 1 of 4 share 1/4, then 5/8 and 7/8; 1/4 and 3/4 in the group of two.
    found = composite(m=3, **about, weights=(0, 0, 0, 1))
    assert found.terms[:, 3].tolist() == [0.25, 0.625, 0.875, 0.25, 0.25, 0.75]
    assert found.order.tolist() == [2, 5, 1]


def test_groups_that_nothing_speaks_for_get_a_sample_each():
    about = made(200, 1, 0)
    about["group"][:3] = 1, 2, 3
    about["wrong"][:3] = 1
    found = composite(m=5, **about, quota=np.array([5, 0, 0, 0]), weights=(0, 1, 0, 0))
    assert sorted(about["group"][found.order]) == [0, 0, 1, 2, 3]
    assert found.order[2:].tolist() == [0, 1, 2], "at the end, when no choice is left for another"
    few = composite(m=2, **about, quota=np.array([5, 0, 0, 0]), weights=(0, 1, 0, 0))
    assert about["group"][few.order].tolist() == [0, 0], "there are not enough choices for all groups"


def test_without_features_the_other_terms_decide():
    about = made(100, 3, 0)
    quota = np.array([10, 10, 10])
    with_them = composite(m=30, **about, quota=quota, weights=(0, 1, 2, 1))
    without = composite(m=30, **{**about, "x": None}, quota=quota, weights=(5, 1, 2, 1))
    np.testing.assert_array_equal(with_them.order, without.order)
    assert not without.terms[:, 0].any()


def test_an_outlier_is_worth_no_more_than_a_sample_in_a_gap():
    about = made(300, 1, 0)
    about["x"][7] = 1000
    about["score"][:], about["wrong"][:] = 0, 0
    about["wrong"][7] = 0.01
    found = composite(m=20, **about, quota=np.array([300]))
    assert found.unit < 10
    assert 7 not in found.order


def test_copies_do_not_make_up_the_unit():
    about = made(200, 1, 0)
    about["x"][10:] = 0
    unit = composite(m=50, **about, quota=np.array([50])).unit
    assert unit > 0.1, "that of the samples that differ"
    assert composite(m=50, **{**about, "x": np.ones((200, 3), np.float32)}, quota=np.array([50])).unit == 0


def test_a_great_need_of_many_groups_is_still_chosen_for_by_blocks(monkeypatch):
    """Else each choice would end a block, as another group has become the neediest."""
    about = made(3000, 20, 0)
    blocks, plain = [], farthest._from_block

    def counted(*given):
        blocks.append(given)
        return plain(*given)

    monkeypatch.setattr(farthest, "_from_block", counted)
    monkeypatch.setattr(farthest, "_BLOCK", 256)
    composite(m=1500, **about, quota=np.bincount(about["group"]) // 2, weights=(0, 0, 1, 0))
    assert len(blocks) <= 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"m": 11}, "11 of 10 samples"),
        ({"wrong": np.full(10, 1.5)}, "probabilities of being wrong"),
        ({"wrong": np.full(10, np.nan)}, "probabilities of being wrong"),
        ({"score": np.full(10, np.nan)}, "scores must be finite"),
        ({"score": np.zeros(9)}, "as many"),
        ({"group": np.full(10, 2)}, "a quota for each"),
        ({"group": np.full(10, -1)}, "a quota for each"),
        ({"quota": np.array([1, -1])}, "quotas must be"),
        ({"weights": (1, -1, 0, 0)}, "weights must be"),
        ({"weights": (0, 0, 0, 0)}, "no term"),
        ({"x": None, "weights": (1, 0, 0, 0)}, "no term"),
        ({"x": np.full((10, 1), np.inf, dtype=np.float32)}, "finite"),
    ],
)
def test_bad_input_is_named(changed, message):
    given = {"m": 5, **made(10, 2, 0), "quota": np.array([2, 2]), **changed}
    with pytest.raises(ValueError, match=message):
        composite(**given)


@pytest.mark.parametrize("given", [{"n": 0, "m": 0}, {"n": 1, "m": 1}, {"n": 1, "m": 0}])
def test_few_samples_are_no_problem(given):
    found = composite(m=given["m"], **made(given["n"], 1, 0), quota=np.array([1]))
    assert len(found.order) == given["m"]
    assert np.isfinite(found.worth).all()
