"""Grouping around a kept sample, against the sequential rule it promises to equal."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.duplicates import (
    ALONE,
    Candidates,
    distinct,
    divided,
    nearest,
    pairs_between,
    star_groups,
)


@st.composite
def problems(draw):
    """Random nodes, edges, ranks and a symmetric relation that only holds within a node or along an edge."""
    n = draw(st.integers(0, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    node = rng.integers(-1, max(n // 2, 1), n)
    used = np.unique(node[node >= 0])
    compact = np.full(n, ALONE, dtype=np.int64)
    compact[node >= 0] = np.searchsorted(used, node[node >= 0])
    i, j = np.triu_indices(len(used), 1)
    chosen = rng.random(len(i)) < draw(st.floats(0, 1))
    edges = np.stack([i[chosen], j[chosen]], axis=1).astype(np.int64)
    near = np.zeros((n, n), dtype=bool)
    for a in range(n):
        for b in range(n):
            if compact[a] >= 0 and compact[b] >= 0 and a != b:
                linked = ((edges == sorted((compact[a], compact[b]))).all(axis=1)).any()
                near[a, b] = compact[a] == compact[b] or linked
    distance = np.round(rng.random((n, n)), 1)
    distance = np.minimum(distance, distance.T)
    similar = near & (np.triu(rng.random((n, n)) < 0.7, 1) | np.triu(rng.random((n, n)) < 0.7, 1).T)
    similar &= similar.T
    return Candidates(compact, edges), rng.permutation(n).astype(np.int64), distance, similar


def relation(distance, similar, asked=None):
    def accept(a, b):
        if asked is not None:
            asked.extend(zip(a.tolist(), b.tolist(), strict=True))
        return np.where(similar[a, b], distance[a, b], np.nan)

    return accept


@given(problems())
@settings(max_examples=300, deadline=None)
def test_star_groups_keeps_whom_the_sequential_rule_keeps(problem):
    candidates, rank, distance, similar = problem
    witness, found = star_groups(candidates, rank, relation(distance, similar))
    kept: list[int] = []
    for sample in np.argsort(rank).tolist():
        if not any(similar[sample, other] for other in kept):
            kept.append(sample)
    assert sorted(np.flatnonzero(witness == ALONE).tolist()) == sorted(kept)
    for sample in np.flatnonzero(witness != ALONE).tolist():
        assert witness[witness[sample]] == ALONE, "a witness is kept, never a link in a chain"
        assert similar[sample, witness[sample]], "every member was compared with its own witness"
        assert found[sample] == distance[sample, witness[sample]]
        first_kept = min((k for k in kept if similar[sample, k]), key=lambda k: rank[k])
        assert witness[sample] == first_kept, "whatever other candidates there are"


@given(problems())
@settings(max_examples=100, deadline=None)
def test_only_candidate_pairs_are_asked_and_blocks_do_not_matter(problem):
    import datadiet_cli.methods.duplicates as module

    candidates, rank, distance, similar = problem
    asked: list[tuple[int, int]] = []
    whole = star_groups(candidates, rank, relation(distance, similar, asked))
    allowed = {frozenset(p) for a, b in pairs_between(candidates, rank >= 0, rank >= 0) for p in zip(a, b, strict=True)}
    assert {frozenset(pair) for pair in asked} <= allowed
    before, module.BLOCK = module.BLOCK, 2
    try:
        cut = star_groups(candidates, rank, relation(distance, similar))
    finally:
        module.BLOCK = before
    assert (whole[0] == cut[0]).all()


@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_nearest_is_the_brute_force_nearest(problem, seed):
    candidates, rank, distance, similar = problem
    part = np.random.default_rng(seed).random(len(rank)) < 0.5
    witness, found = nearest(candidates, rank, relation(distance, similar), part, ~part)
    for sample in range(len(rank)):
        others = [o for o in np.flatnonzero(~part).tolist() if part[sample] and similar[sample, o]]
        best = min(others, key=lambda o: (distance[sample, o], rank[o]), default=ALONE)
        assert witness[sample] == best
        assert np.isnan(found[sample]) == (best == ALONE)


@given(problems(), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_divided_candidates_meet_only_within_their_group(problem, groups):
    candidates, rank, _, _ = problem
    group = (rank * 7 % groups).astype(np.int64)
    everyone = np.ones(len(rank), dtype=bool)
    whole = {(x, y) for a, b in pairs_between(candidates, everyone, everyone) for x, y in zip(a, b, strict=True)}
    parts = divided(candidates, group)
    met = [(x, y) for a, b in pairs_between(parts, everyone, everyone) for x, y in zip(a, b, strict=True)]
    assert sorted(met) == sorted((x, y) for x, y in whole if group[x] == group[y])


def test_distinct_numbers_equal_keys_alike():
    assert distinct(np.array([5, 3, 5, 9])).tolist() == [1, 0, 1, 2]
    assert distinct(np.array([5, 3, 5, 9]), shared_only=True).tolist() == [0, -1, 0, -1]
    assert distinct(np.array([[1, 2], [1, 3], [1, 2]], dtype=np.uint64), shared_only=True).tolist() == [0, -1, 0]
    assert distinct(np.empty(0, dtype=np.uint64)).tolist() == []


def test_a_chain_is_not_one_group():
    """A ~ B ~ C but not A ~ C: dropping both B and C because of A would lose C."""
    candidates = Candidates(np.array([0, 1, 2]), np.array([[0, 1], [1, 2]]))
    witness, _ = star_groups(candidates, np.array([0, 1, 2]), lambda a, b: np.zeros(len(a)))
    assert witness.tolist() == [ALONE, 0, ALONE]
