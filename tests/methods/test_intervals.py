"""Intervals hold what they say: simulated, and against the textbook."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr
from sklearn.metrics import r2_score

from datadiet_cli.methods.intervals import bootstrap, crossed, paired, t_interval, wilson
from datadiet_cli.methods.noninferiority import r2_scores, verdict


def test_student_and_wilson_as_scipy_has_them():
    values = np.array([0.91, 0.93, 0.9, 0.95, 0.92])
    ours = t_interval(values, 0.9)
    theirs = stats.t.interval(0.9, 4, loc=values.mean(), scale=stats.sem(values))
    assert (ours.lower, ours.upper) == pytest.approx(theirs, rel=1e-12)
    assert paired(values, values + 0.01).lower == pytest.approx(0.01, abs=1e-12)
    for hits, n in ((0, 10), (3, 17), (540, 540)):
        theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
        ours = wilson(hits, n)
        assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_equal_seeds_have_no_spread():
    ours = t_interval([0.1, 0.1, 0.1])
    assert ours.lower == ours.mean == ours.upper


def test_a_bootstrap_is_seeded_and_does_not_hang_on_order_or_on_how_values_are_grouped():
    random = np.random.default_rng(0)
    few = random.integers(-1, 2, 3000).astype(float)
    assert bootstrap(few, seed=3) == bootstrap(few[::-1], seed=3)
    assert bootstrap(few, seed=3) != bootstrap(few, seed=4)
    many = random.normal(size=20_000)
    ours, error = bootstrap(many, 4000), many.std() / np.sqrt(len(many))
    assert (ours.lower - ours.mean) / error == pytest.approx(-1.96, abs=0.12)
    assert (ours.upper - ours.mean) / error == pytest.approx(1.96, abs=0.12)


def test_a_bootstrap_covers_the_truth():
    random = np.random.default_rng(1)
    tables = random.multinomial(400, [0.05, 0.87, 0.08], size=300)
    found = [bootstrap(np.repeat([1.0, 0.0, -1.0], table), 400, seed=i) for i, table in enumerate(tables)]
    covered = np.mean([one.lower <= -0.03 <= one.upper for one in found])
    assert 0.92 <= covered <= 0.98


def trainings(random, seeds, n, *, before, after, seed, noise, own):
    """Correctness of two kinds of models: samples have a difficulty, trainings a luck, and kinds differ by sample."""
    difficulty = random.normal(size=(1, n))

    def arm(level, shift):
        return (
            level + difficulty + shift + seed * random.normal(size=(seeds, 1)) + noise * random.normal(size=(seeds, n))
        )

    one, other = arm(before, 0) > 0, arm(after, own * random.normal(size=(1, n))) > 0
    spread = np.sqrt(1 + seed**2 + noise**2)
    return one, other, ndtr(after / np.hypot(spread, own)) - ndtr(before / spread)


@pytest.mark.parametrize(
    ("seeds", "n", "how"),
    [
        (5, 500, {"before": 1.5, "after": 1.4, "seed": 0.05, "noise": 0.3, "own": 0.3}),
        (5, 500, {"before": 0.5, "after": 0.5, "seed": 0.2, "noise": 0.5, "own": 0.2}),
        (3, 400, {"before": 1.2, "after": 1.1, "seed": 0.1, "noise": 0.3, "own": 0.3}),
        (10, 300, {"before": 1.5, "after": 1.4, "seed": 0.0, "noise": 0.3, "own": 0.3}),
        (1, 500, {"before": 1.5, "after": 1.4, "seed": 0.0, "noise": 0.3, "own": 0.3}),
    ],
)
def test_bounds_over_seeds_and_samples_have_their_coverage(seeds, n, how):
    random = np.random.default_rng(20)
    held = np.zeros((800, 3))
    for i in range(len(held)):
        one, other, truth = trainings(random, seeds, n, **how)
        found = crossed(other.astype(float) - one, within=1)
        held[i] = found.least <= truth, truth <= found.most, found.lower <= truth <= found.upper
    assert (held.mean(axis=0) >= 0.93).all(), held.mean(axis=0)
    assert (held.mean(axis=0) <= 0.98).all(), held.mean(axis=0)
    assert 0.93 <= held[:, :2].mean() <= 0.97, held.mean(axis=0)


def test_differences_that_were_not_met_may_exist():
    """Nearly perfect models: without an allowance the bound would hold in one run of three."""
    random = np.random.default_rng(2)
    held = 0
    for _ in range(300):
        one, other, truth = trainings(random, 5, 60, before=3.0, after=2.7, seed=0.05, noise=0.3, own=0.3)
        held += crossed(other.astype(float) - one, within=1).least <= truth
    assert held >= 0.93 * 300
    same = np.ones((5, 100))
    found = verdict(same, same, 0.01)
    assert not found.noninferior
    # Of n samples none differs with a chance of 5 % where 3 in n do.
    assert 2.5 / 100 < found.loss_bound < 3.2 / 100


def test_r2_has_its_mean_and_its_coverage():
    random = np.random.default_rng(3)
    slope, seeds, n = 2.0, 4, 300
    held = np.zeros((400, 2))
    for i in range(len(held)):
        x, rest = random.normal(size=n), random.normal(size=n)
        values = slope * x + rest
        learned = slope + 0.03 * random.normal(size=(2, seeds, 1))
        before, after = learned[0] * x, (learned[1] - 0.2) * x
        one, other = r2_scores(values, before), r2_scores(values, after)
        found = verdict(one, other, 0.01, unit="R2")
        held[i] = -found.loss_bound <= -(0.2**2) / 5, found.lower <= -(0.2**2) / 5 <= found.upper
    assert other.mean(axis=1) == pytest.approx([r2_score(values, row) for row in after], abs=1e-12)
    assert (held.mean(axis=0) >= 0.92).all()
    assert (held.mean(axis=0) <= 0.98).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    seeds=st.integers(1, 6),
    n=st.integers(1, 80),
    level=st.floats(0, 1),
    change=st.floats(-1, 1),
    margin=st.floats(0, 0.5),
)
def test_a_verdict_agrees_with_its_figures(seed, seeds, n, level, change, margin):
    random = np.random.default_rng(seed)
    before = random.random((seeds, n)) < level
    after = np.where(random.random((seeds, n)) < abs(change), change > 0, before)
    found = verdict(before, after, margin)
    assert -1 <= found.lower <= found.upper <= 1
    assert found.noninferior == (found.loss_bound <= margin)
    assert not (found.noninferior and found.inferior)
    assert found.words.startswith("not proved") == (not found.noninferior and not found.inferior)
    if found.words.startswith("at most "):
        assert float(found.words.split()[2]) / 100 == pytest.approx(min(found.loss_bound, margin), abs=1e-3)
        assert float(found.words.split()[2]) / 100 <= margin + 1e-9
    if found.resolution > margin and not found.noninferior and not found.inferior:
        assert "at best; give more test data" in found.words
    assert verdict(before[:, ::-1], after[:, ::-1], margin).loss_bound == pytest.approx(found.loss_bound, abs=1e-12)
    json.dumps(found.as_json(), allow_nan=False)


def correct(n, wrong):
    """(5, n): every seed gets the first `wrong` samples wrong, and one further each its own."""
    scores = np.ones((5, n))
    scores[:, :wrong] = 0
    scores[np.arange(5), wrong + np.arange(5)] = 0
    return scores


@pytest.mark.parametrize(
    ("n", "before", "after", "margin", "words"),
    [
        (10_000, 500, 510, 0.01, "at most 0.2 points lost (95 %)"),
        (10_000, 500, 300, 0.01, "nothing lost (95 %); 2.0 points gained on average, 1.7 points at least"),
        (10_000, 500, 500, 0.01, "at most 0.1 points lost (95 %)"),
        (10_000, 500, 900, 0.01, "worse: 4.0 points lost on average, at least 3.6 points (95 %)"),
        (
            10_000, 500, 590, 0.01,
            "not proved: 0.9 points lost on average, and up to 1.1 points may be lost (95 %), more than the 1.0 points "
            "allowed",
        ),
        (
            100, 10, 11, 0.01,
            "not proved: up to 2.9 points may be lost (95 %); 100 test samples and 5 seeds resolve 1.9 points at best; "
            "give more test data or seeds",
        ),
    ],
)  # fmt: skip
def test_words_say_what_is_proved(n, before, after, margin, words):
    assert verdict(correct(n, before), correct(n, after), margin).words == words


def test_two_models_without_seeds_are_told_of_without_seeds():
    one = np.ones((1, 1))
    assert verdict(one, one, 0.01).words == (
        "not proved: up to 100.0 points may be lost (95 %); 1 test sample resolves 100.0 points at best; "
        "give more test data"
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: t_interval([1.0]),
        lambda: t_interval([1.0, np.nan]),
        lambda: t_interval([1.0, 2.0], 1.0),
        lambda: paired([1.0, 2.0], [1.0]),
        lambda: wilson(3, 2),
        lambda: wilson(0, 0),
        lambda: bootstrap([]),
        lambda: bootstrap([np.inf]),
        lambda: crossed(np.zeros((0, 5)), within=1),
        lambda: crossed(np.zeros((5, 0)), within=1),
        lambda: crossed(np.zeros((2, 1))),
        lambda: crossed(np.full((2, 3), 2.0), within=1),
        lambda: verdict(np.ones((2, 3)), np.ones((2, 4)), 0.01),
        lambda: verdict(np.ones((2, 3)), np.ones((2, 3)), -0.01),
        lambda: verdict(np.ones((2, 3)), np.full((2, 3), 0.5), 0.01),
        lambda: r2_scores([1.0, 1.0], [[1.0, 2.0]]),
        lambda: r2_scores([1.0, 2.0], [[1.0, np.nan]]),
    ],
)
def test_what_cannot_be_told_is_refused(call):
    with pytest.raises(ValueError, match=r"\w{3}"):
        call()
