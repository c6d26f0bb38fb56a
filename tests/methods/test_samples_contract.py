"""What holds of every choice of samples, by whatever method, rule and quota."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples.choose import choose
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.crowd import BELOW, COVERED, KEPT, NOT_DRAWN, WRONG, Crowd, Plan
from datadiet_cli.methods.samples.quotas import QUOTAS
from datadiet_cli.methods.samples.rules import RULES
from datadiet_cli.methods.samples.typical import TYPICAL

TRAINED = ("el2n", "aum")
"""Of the scores that a training tells any two will do: to a rule they are numbers."""
WAYS = [
    *product((*TRAINED, *TYPICAL), RULES),
    *product((*COVERAGE, "random", "composite"), ["top-k"]),
]
FIXED = [
    *product((*TRAINED, "prototypes", "density"), RULES),
    *product(("k-center", "herding"), ["top-k"]),
]
"""Those that hang on samples alone, if no two have the same score.

Not so what is drawn, k-means, composite's unit of distance, which comes from a draw, moderate, where two ranks are as
far from the middle, and facility location, where two samples that are each other's likest add the same.
"""
HOW = (*QUOTAS, "none")


def crowd_of(n=60, groups=3, seed=0, d=4):
    rng = np.random.default_rng(seed)
    # The first groups are large, and none is empty.
    group = np.sort(np.concatenate([np.arange(groups), (groups * rng.random(n - groups) ** 2).astype(int)]))
    scores = {name: rng.permutation(n) / n + rng.random(n) / (9 * n) for name in TRAINED}
    return Crowd(
        group=rng.permutation(group).astype(np.int64),
        label=np.zeros(n, dtype=np.int64),
        x=rng.normal(size=(n, d)).astype(np.float32),
        scores={**scores, "confidence": rng.random(n)},
        hardness=rng.permutation(n).astype(np.float64),
        wrong=rng.random(n) / 2,
        recall=rng.random(groups),
    )


def sound(crowd, plan, keep, found):
    """Exactly so many, of each group one at least and no less than its floor; each that goes has a reason."""
    assert found.kept.sum() == keep
    np.testing.assert_array_equal(found.why == KEPT, found.kept)
    assert np.isin(found.why[~found.kept], (BELOW, WRONG, NOT_DRAWN, COVERED)).all()
    counts = np.bincount(crowd.group)
    kept = np.bincount(crowd.group[found.kept], minlength=len(counts))
    assert ((kept > 0) == (counts > 0)).all()
    floor = np.floor(plan.floor * keep * counts / counts.sum() + 1e-9)
    if np.maximum(floor, 1).sum() <= keep:
        assert (kept >= floor).all()
    for values in (found.score, found.threshold):
        assert not np.isinf(values).any()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "rule"), WAYS)
def test_every_way(method, rule, how):
    crowd = crowd_of()
    for keep, beta, share in ((3, 0.0, 0.0), (17, 0.2, 0.25), (24, 0.6, 0.0), (60, 0.5, 0.5)):
        plan = Plan(method, rule, beta, how, random_share=share)
        found = choose(crowd, plan, keep, seed=5)
        sound(crowd, plan, keep, found)
        again = choose(crowd, plan, keep, seed=5)
        np.testing.assert_array_equal(found.kept, again.kept)
        np.testing.assert_array_equal(found.why, again.why)


@pytest.mark.parametrize(("method", "rule"), FIXED)
def test_the_order_of_samples_changes_nothing(method, rule):
    crowd = crowd_of()
    turn = np.random.default_rng(1).permutation(len(crowd))
    for how, beta in (*product(("proportional", "none"), (0.0, 0.2)),):
        plan = Plan(method, rule, beta, how)
        one, two = choose(crowd, plan, 20, seed=3), choose(crowd.some(turn), plan, 20, seed=3)
        np.testing.assert_array_equal(two.kept, one.kept[turn])
        np.testing.assert_array_equal(two.why, one.why[turn])


@settings(max_examples=80)
@given(
    way=st.sampled_from([way for way in WAYS if way[0] not in ("facility-location", "herding", "prototypes")]),
    how=st.sampled_from(HOW),
    n=st.integers(1, 40),
    groups=st.integers(1, 6),
    share=st.floats(0, 1),
    beta=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    floor=st.sampled_from([0.0, 0.5, 1.0]),
    random_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    equal=st.booleans(),
    seed=st.integers(0, 2**64),
)
def test_whatever_the_settings(way, how, n, groups, share, beta, floor, random_share, equal, seed):
    groups = min(groups, n)
    crowd = crowd_of(n, groups)
    if equal:
        # All samples the same: only draws are left.
        one = np.zeros(n, dtype=np.int64)
        crowd = Crowd(crowd.group, crowd.label, crowd.x[one], {k: v[one] for k, v in crowd.scores.items()},
                      crowd.hardness[one], crowd.wrong[one], np.full(groups, 0.5))  # fmt: skip
    keep = groups + round(share * (n - groups))
    plan = Plan(*way, beta, how, floor, random_share)
    sound(crowd, plan, keep, choose(crowd, plan, keep, seed))


@pytest.mark.parametrize(("method", "rule"), WAYS)
@pytest.mark.parametrize("beta", [0.1, 0.35])
def test_the_hardest_go_first(method, rule, beta):
    """So many as beta says, of all together, but for what groups need to keep their floor; of ccs by its own score."""
    crowd = crowd_of(groups=1)
    hardness = crowd.scores[method] if rule == "ccs" and method in crowd.scores else crowd.hardness
    found = choose(crowd, Plan(method, rule, beta), 20, seed=0)
    cut = np.flatnonzero(found.why == WRONG)
    assert len(cut) == round(beta * 60)
    assert hardness[cut].min() > np.delete(hardness, cut).max()
    np.testing.assert_array_equal(found.threshold[cut], hardness[cut].min())
    # No more can go than may go at all.
    found = choose(crowd, Plan(method, rule, 0.9), 20, seed=0)
    assert (found.why == WRONG).sum() == 40


def test_a_class_that_is_all_hard_keeps_its_floor():
    """Else the cut would take a class that is hard for all its samples."""
    crowd = crowd_of(groups=2)
    hardness = crowd.hardness + 100 * (crowd.group == 1)
    crowd = Crowd(crowd.group, crowd.label, crowd.x, crowd.scores, hardness)
    own = int((crowd.group == 1).sum())
    found = choose(crowd, Plan("el2n", "top-k", own / 60), 30, seed=0)
    kept = int((crowd.group[found.kept] == 1).sum())
    assert kept >= own // 4
    assert (found.why == WRONG).sum() == own


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_random_share(share):
    """As many of each group's quota as the share says are no choice of the score; the others are."""
    crowd = crowd_of(90, groups=3)
    plain = choose(crowd, Plan("el2n"), 30, seed=0)
    quota = np.bincount(crowd.group[plain.kept])
    rates = []
    for seed in range(30):
        found = choose(crowd, Plan("el2n", random_share=share), 30, seed=seed)
        np.testing.assert_array_equal(np.bincount(crowd.group[found.kept]), quota)
        for g, q in enumerate(quota.tolist()):
            scored = q - int(np.floor(q * share + 0.5))
            rows = np.flatnonzero(crowd.group == g)
            best = rows[np.argsort(-crowd.scores["el2n"][rows])][:scored]
            assert found.kept[best].all()
        rates.append(found.kept)
    often = np.mean(rates, axis=0)
    # What is not among the best is drawn about as often as any other.
    drawn = often[often < 1]
    assert (share == 0) == (not (drawn > 0).any())
    if share == 1.0:
        assert drawn.min() > 0.05
        assert drawn.max() < 0.75


def test_quotas_by_recall_and_for_nobody():
    crowd = crowd_of(80, groups=2)
    crowd = Crowd(np.repeat([0, 1], 40), crowd.label, crowd.x, crowd.scores, crowd.hardness, None, np.array([0.9, 0.7]))
    for method, rule in WAYS:
        if method == "composite":
            continue
        kept = choose(crowd, Plan(method, rule, quota="drop"), 20, seed=0).kept
        assert np.bincount(crowd.group[kept]).tolist() == [5, 15]
    # The score prefers one group: with quotas for nobody the other keeps its floor.
    scores = {"el2n": np.arange(80.0)}
    crowd = Crowd(crowd.group, crowd.label, crowd.x, scores)
    for floor, expected in ((0.5, [5, 15]), (0.0, [1, 19]), (1.0, [10, 10])):
        kept = choose(crowd, Plan("el2n", quota="none", floor=floor), 20, seed=0).kept
        assert np.bincount(crowd.group[kept]).tolist() == expected
        assert kept[61:].sum() == min(expected[1], 19)


@pytest.mark.parametrize(
    ("plan", "keep", "words"),
    [
        (Plan("el2n"), 0, "there are 60 samples to choose from, so 0 cannot be kept"),
        (Plan("el2n"), 61, "there are 60 samples to choose from, so 61 cannot be kept"),
        (Plan("el2n"), 2, "keep 2 leaves no sample of 1 of 3 groups"),
        (Plan("margin"), 9, "there is no score margin; there are: el2n, aum, confidence"),
    ],
)
def test_what_cannot_be_chosen(plan, keep, words):
    with pytest.raises(ValueError, match=words):
        choose(crowd_of(), plan, keep, seed=0)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan("random", beta=0.2), "nothing tells which labels are likely wrong, so none can go first; beta must be 0"),
        (Plan("el2n"), "there is no score el2n; there are: none"),
        (Plan("k-center"), "there are no features of the samples to choose by"),
        (Plan("density"), "there are no features of the samples to choose by"),
        (Plan("random", quota="drop"), "quotas by drop need the recall of each group"),
    ],
)
def test_what_a_choice_lacks(plan, words):
    group = np.zeros(60, dtype=np.int64)
    with pytest.raises(ValueError, match=words):
        choose(Crowd(group, group), plan, 9, seed=0)


def test_samples_without_a_score():
    crowd = crowd_of()
    crowd.scores["el2n"][7] = np.nan
    with pytest.raises(ValueError, match="1 samples have no score el2n"):
        choose(crowd, Plan("el2n"), 9, seed=0)


@pytest.mark.parametrize("floor", [0.0, 0.5, 1.0])
def test_composite_keeps_the_floor_of_a_class_that_looks_wrong(floor):
    """A class whose labels all look wrong, and whose samples are all alike, would have one sample left."""
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [180, 20])
    x = rng.normal(0, 1, (200, 3)).astype(np.float32)
    x[group == 1] *= 0.01
    wrong = np.where(group == 1, 0.9, 0.05)
    crowd = Crowd(group, group, x, {"el2n": rng.random(200)}, None, wrong)
    kept = choose(crowd, Plan("composite", floor=floor), 40, seed=0).kept
    assert kept.sum() == 40
    assert kept[group == 1].sum() >= max(1, int(4 * floor))


@pytest.mark.parametrize("method", ["el2n", "composite", "k-center"])
def test_a_random_share_of_many_small_groups_is_that_share(method):
    """Rounded group by group it would be none of it, or all."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(50), 8)
    crowd = Crowd(group, group, rng.normal(0, 1, (400, 3)).astype(np.float32), {"el2n": rng.random(400)})
    plain = choose(crowd, Plan(method), 100, seed=0).kept
    some = choose(crowd, Plan(method, random_share=0.2), 100, seed=0).kept
    assert some.sum() == 100
    assert 0 < (plain & ~some).sum() <= (60 if method == "composite" else 20)


def test_as_it_comes_balance_is_no_worth():
    """Without quotas composite counts for nothing what a class has already."""
    crowd = crowd_of(groups=3)
    one, other = (
        choose(crowd, Plan("composite", quota="none", floor=0.0, weights=(1, 1, b, 1)), 20, 0).kept for b in (0, 9)
    )
    np.testing.assert_array_equal(one, other)


def test_no_verdict_contradicts_its_threshold_where_a_floor_was_mended():
    group = np.repeat([0, 1], [90, 10])
    score = np.r_[np.linspace(5, 6, 90), np.linspace(0, 1, 10)]
    found = choose(Crowd(group, group, None, {"el2n": score}), Plan("el2n", quota="none"), 40, seed=0)
    assert found.kept[group == 1].sum() == 2
    told = ~np.isnan(found.threshold)
    assert (found.kept[told] == (score[told] >= found.threshold[told])).all()


def test_equally_hard_samples_are_cut_by_a_draw():
    crowd = Crowd(np.zeros(100, int), np.zeros(100, int), None, {"el2n": np.arange(100.0)}, np.ones(100))
    cut = np.flatnonzero(choose(crowd, Plan("el2n", beta=0.2), 50, seed=0).why == WRONG)
    assert len(cut) == 20
    assert cut.max() > 50
