"""Rules choose exactly as many as they are asked for, and what their papers say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples.base import Graph, Pool
from datadiet_cli.methods.samples.rules import RULES

every = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def nearest(x, k):
    """The graph, by brute force."""
    apart = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    np.fill_diagonal(apart, np.inf)
    k = min(k, max(len(x) - 1, 0))
    neighbour = np.argsort(apart, axis=1, kind="stable")[:, :k]
    return Graph(neighbour.astype(np.int64), np.take_along_axis(apart, neighbour, 1).astype(np.float32))


def pool(score, keep, seed=0, **other):
    score = np.asarray(score, dtype=np.float64)
    x = np.random.default_rng(99).normal(size=(len(score), 3))
    easiness = np.random.default_rng(98).random(len(score))
    return replace(Pool(score, keep, seed, graph=nearest(x, 4), easiness=easiness), **other)


def shuffled(some, order):
    place = np.argsort(order)
    graph = Graph(place[some.graph.neighbour[order]], some.graph.distance[order])
    return replace(some, score=some.score[order], graph=graph, easiness=some.easiness[order])


@every
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([-1e308, -3.0, 0.0, 1e-310, 0.25, 1.0, 1.7e308]) | st.floats(-1e6, 1e6), max_size=40),
    st.floats(0, 1),
    st.integers(0, 2**64),
)
def test_the_budget_is_exact_and_the_choice_repeatable(rule, score, share, seed):
    some = pool(score, round(share * len(score)), seed)
    chosen = rule(some)
    assert chosen.kept.dtype == bool
    assert chosen.kept.sum() == some.keep
    assert chosen.stratum.shape == chosen.threshold.shape == chosen.kept.shape
    again = rule(some)
    for one, other in zip(chosen, again, strict=True):
        np.testing.assert_array_equal(one, other)


@every
@pytest.mark.parametrize("seed", range(5))
def test_where_scores_differ_the_order_of_samples_does_not_matter(rule, seed):
    rng = np.random.default_rng(seed)
    some = pool(rng.random(60), 20, seed)
    order = rng.permutation(60)
    np.testing.assert_array_equal(rule(shuffled(some, order)).kept, rule(some).kept[order])


@every
def test_equal_scores_are_settled_by_a_draw(rule):
    alike = pool(np.ones(30), 10, graph=nearest(np.zeros((30, 1)), 0), easiness=np.full(30, 0.5))
    kept = [rule(replace(alike, seed=seed)).kept for seed in range(200)]
    assert not (kept[0] == kept[1]).all()
    often = np.mean(kept, axis=0)
    assert often.max() < 0.5, "no place is favoured"
    assert often.min() > 0.18


@pytest.mark.parametrize("rule", ["top-k", "d2"])
def test_a_seed_changes_nothing_that_is_not_drawn(rule):
    score = np.random.default_rng(0).random(50)
    kept = [RULES[rule](pool(score, 17, seed)).kept for seed in range(5)]
    assert (np.array(kept) == kept[0]).all()


@every
@pytest.mark.parametrize("n", [0, 1, 7])
def test_nothing_and_everything(rule, n):
    assert not rule(pool(np.arange(n), 0)).kept.any()
    assert rule(pool(np.arange(n), n)).kept.all()


@every
@pytest.mark.parametrize(
    ("score", "keep", "told"),
    [([0.0, np.nan], 1, "finite"), ([[0.0], [1.0]], 1, "finite"), ([0.0, 1.0], 3, "2 samples"), ([0.0], -1, "-1")],
)
def test_what_cannot_be_chosen_from_is_refused(rule, score, keep, told):
    with pytest.raises(ValueError, match=told):
        rule(Pool(np.array(score), keep, graph=nearest(np.zeros((2, 1)), 1), easiness=np.ones(2)))


@pytest.mark.parametrize(
    ("rule", "missing", "told"),
    [
        ("ccs", {"strata": 0}, "stratum"),
        ("d2", {"graph": None}, "nearest others"),
        ("d2", {"graph": nearest(np.zeros((2, 1)), 1)}, "a row for each"),
        ("d2", {"graph": Graph(np.full((3, 1), 3), np.ones((3, 1), np.float32))}, "finite distance"),
        ("d2", {"gamma": -1.0}, "gamma"),
        ("dual-beta", {"easiness": None}, "probability"),
        ("dual-beta", {"easiness": np.array([0.5, 2.0, np.nan])}, "from 0 to 1"),
        ("dual-beta", {"pruned": 1.5}, "pruned share"),
    ],
)
def test_what_a_rule_lacks_is_said(rule, missing, told):
    with pytest.raises(ValueError, match=told):
        RULES[rule](pool([1.0, 2.0, 3.0], 2, **missing))


def test_top_k_keeps_the_highest_and_says_from_where_on():
    chosen = RULES["top-k"](pool([0.1, 5.0, -2.0, 3.0], 2))
    assert chosen.kept.tolist() == [False, True, False, True]
    assert (chosen.threshold == 3.0).all()
    assert np.isnan(RULES["top-k"](pool([1.0], 0)).threshold).all()


def test_ccs_by_hand():
    """Sizes 1, 2, 12, 5 and a budget of 11: 1 of 11 // 4, 2 of 10 // 3, 4 of 8 // 2, 4 of 4."""
    score = np.repeat([0.0, 1.0, 2.0, 4.0], [1, 2, 12, 5])
    chosen = RULES["ccs"](pool(score, 11, strata=4))
    assert np.unique(chosen.stratum, return_counts=True)[1].tolist() == [1, 2, 12, 5]
    assert chosen.stratum.max() == 3, "as many strata as were asked for"
    assert np.bincount(chosen.stratum[chosen.kept]).tolist() == [1, 2, 4, 4]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(1, 20), st.floats(0, 1))
def test_ccs_spreads_its_budget(score, strata, share):
    some = pool(score, round(share * len(score)), strata=strata)
    chosen = RULES["ccs"](some)
    had = np.bincount(chosen.stratum, minlength=strata)
    got = np.bincount(chosen.stratum[chosen.kept], minlength=strata)
    assert len(had) == strata
    span = np.ptp(score)
    exact = [min((value - min(score)) * strata // span, strata - 1) if span else 0 for value in score]
    assert chosen.stratum.tolist() == exact
    short = had > got
    assert not short.any() or got[short].min() + 1 >= got.max(), "who is cut has about as many as any other"


def dense_d2(score, graph, keep, gamma):
    """As the paper says it: all weights looked at for each sample that is chosen."""
    weight = (score - score.min()) / np.ptp(score) + 1e-3
    there = graph.neighbour >= 0
    distance = graph.distance.astype(np.float64) / np.median(graph.distance[there & (graph.distance > 0)])
    distance = (distance / 4) ** 2
    base = weight.copy()
    for i, j in zip(*np.nonzero(there), strict=True):
        weight[i] += np.exp(-distance[i, j]) * base[graph.neighbour[i, j]]
    chosen = []
    for _ in range(keep):
        i = int(np.argmax(weight))
        chosen.append(i)
        for j, away in zip(graph.neighbour[i], distance[i], strict=True):
            if j >= 0:
                weight[j] -= np.exp(-gamma * away) * max(weight[i], 0)
        weight[i] = -np.inf
    return sorted(chosen)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 8), st.floats(0, 1), st.sampled_from([0.0, 0.1, 2.0]))
def test_d2_chooses_what_a_dense_reference_chooses(seed, n, k, share, gamma):
    rng = np.random.default_rng(seed)
    graph = nearest(rng.normal(size=(n, 2)), k)
    gone = rng.random(graph.neighbour.shape) < 0.1
    gone[0, 0] = False
    graph = Graph(np.where(gone, -1, graph.neighbour), np.where(gone, np.inf, graph.distance).astype(np.float32))
    score, keep = rng.random(n), round(share * n)
    kept = RULES["d2"](pool(score, keep, graph=graph, gamma=gamma)).kept
    assert np.flatnonzero(kept).tolist() == dense_d2(score, graph, keep, gamma)


def test_d2_bears_distances_and_gammas_of_any_size():
    graph = Graph(np.array([[1, 2], [0, 2], [1, 0]]), np.array([[1e-45, 3e38]] * 3, dtype=np.float32))
    for gamma in (0.0, 1e308):
        assert RULES["d2"](pool([1.0, 2.0, 3.0], 2, graph=graph, gamma=gamma)).kept.sum() == 2


def test_d2_spreads_where_top_k_does_not():
    """Two heaps of samples, one of them scored higher throughout."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=(20, 2)), 50 + rng.normal(size=(20, 2))]
    score = np.r_[2 + rng.random(20), 1 + rng.random(20)]
    some = pool(score, 8, graph=nearest(x, 5))
    assert RULES["top-k"](some).kept[20:].sum() == 0
    assert RULES["d2"](replace(some, keep=12)).kept[20:].sum() >= 3
    farther = replace(some, graph=Graph(some.graph.neighbour, some.graph.distance * 1000))
    np.testing.assert_array_equal(RULES["d2"](some).kept, RULES["d2"](farther).kept)


def test_dual_beta_turns_to_easy_samples_as_more_goes():
    rng = np.random.default_rng(0)
    easiness, score = rng.random(4000), rng.random(4000)
    means = [
        easiness[RULES["dual-beta"](Pool(score, 400, easiness=easiness, pruned=pruned)).kept].mean()
        for pruned in (0.0, 0.8, 0.9, 1.0)
    ]
    assert (np.diff(means) > 0).all()
    assert means[-1] > 0.9


def test_dual_beta_draws_by_the_product_of_density_and_score():
    from scipy.stats import beta

    easiness = np.array([0.2, 0.5, 0.8, 0.5])
    score = np.array([1.0, 1.0, 0.5, 0.0])
    b = 15 * (1 - easiness.mean()) * (1 - 0.5**4)
    weight = beta.pdf(easiness, 16 - b, b) * score
    first = [
        int(np.flatnonzero(RULES["dual-beta"](Pool(score, 1, seed, easiness=easiness, pruned=0.5)).kept)[0])
        for seed in range(2000)
    ]
    got = np.bincount(first, minlength=4) / len(first)
    np.testing.assert_allclose(got, weight / weight.sum(), atol=4 * np.sqrt(0.25 / len(first)))
    assert not RULES["dual-beta"](pool(score, 3, easiness=easiness)).kept[3], "a score of 0 comes last"


def test_dual_beta_bears_the_ends_of_easiness():
    easiness = np.tile([0.0, 1.0], 20)
    for score in (np.zeros(40), np.full(40, 1e-300), np.arange(40) - 20.0):
        for pruned in (0.0, 1.0):
            chosen = RULES["dual-beta"](pool(score, 15, easiness=easiness, pruned=pruned))
            assert chosen.kept.sum() == 15


def test_few_of_many_strata_are_not_all_of_one_end():
    """Strata of one size are taken in a drawn order, where the budget is not enough for each to give one."""
    kept = [np.flatnonzero(RULES["ccs"](Pool(np.arange(100.0), 25, seed)).kept) for seed in range(8)]
    assert all((rows < 50).any() and (rows >= 50).any() for rows in kept)
    assert 40 < np.mean(np.concatenate(kept)) < 60
