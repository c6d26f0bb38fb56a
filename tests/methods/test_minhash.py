"""MinHash against counted similarities, and the search for pairs against all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.minhash import MISSED, Bands, band_keys, plan_bands, signatures
from datadiet_cli.methods.minhash_pairs import likely_pairs
from datadiet_cli.methods.minhash_room import ROOM
from datadiet_cli.methods.minhash_survey import CROWD
from datadiet_cli.methods.shingles import jaccard, mixed


def as_sets(sets):
    """Members of 48 random bits, each set sorted."""
    rows = [np.sort(mixed(np.array(sorted(one), dtype=np.uint64) + np.uint64(1)) >> np.uint64(16)) for one in sets]
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    return (np.concatenate(rows) if rows else np.empty(0, dtype=np.uint64)), sizes


def sketched(sets, bands):
    members, sizes = as_sets(sets)
    signature = signatures(members, sizes, bands.hashes)
    return band_keys(signature, bands), signature.astype(np.uint8)


def found(sets, threshold, group=None, rank=None):
    bands = plan_bands(threshold)
    n = len(sets)
    return likely_pairs(
        *sketched(sets, bands),
        bands,
        np.arange(n) if rank is None else rank,
        np.zeros(n, dtype=np.int64) if group is None else group,
    )


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 0.9999, 1.0])
def test_a_pair_at_the_threshold_is_hardly_ever_missed(threshold):
    bands = plan_bands(threshold)
    assert 0 <= bands.missed <= MISSED
    assert bands.hashes <= 256 or bands.rows == 1
    assert 0 <= bands.least <= threshold * bands.hashes


def test_a_tiny_threshold_says_what_it_misses():
    bands = plan_bands(1e-6)
    assert bands.count == 1024
    assert bands.missed > 0.99


def test_the_miss_is_that_of_the_formula_and_the_binomial():
    from scipy.stats import binom

    bands = Bands(0.7, 51, 5)
    tail = binom.cdf(bands.least - 1, 255, 0.7 + 0.3 / 256)
    assert bands.missed == pytest.approx((1 - 0.7**5) ** 51 + tail, rel=1e-9)


@pytest.mark.parametrize("shared", [0, 100, 300, 600, 900, 990])
def test_signatures_estimate_the_similarity(shared):
    """Within four standard errors of a binomial, over 2048 hashes."""
    one, other = set(range(1000)), set(range(1000 - shared, 2000 - shared))
    signature = signatures(*as_sets([one, other]), 2048)
    expected = len(one & other) / len(one | other)
    error = np.sqrt(expected * (1 - expected) / 2048)
    assert abs((signature[0] == signature[1]).mean() - expected) <= 4 * error + 1e-9


def test_the_company_of_a_set_is_no_matter_and_empty_ones_are_all_ones():
    rng = np.random.default_rng(0)
    sets = [set(rng.integers(0, 10**6, size).tolist()) for size in (3, 0, 70_000, 1, 0, 500)]
    together = signatures(*as_sets(sets), 32)
    alone = np.concatenate([signatures(*as_sets([one]), 32) for one in sets])
    assert (together == alone).all()
    assert (together[[1, 4]] == 2**32 - 1).all()


@settings(derandomize=True)
@given(
    sets=st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=10), max_size=40),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 0.85, 1.0]),
)
def test_every_pair_at_or_above_the_threshold_is_found(sets, threshold):
    sets = list(dict.fromkeys(map(frozenset, sets)))
    pairs, unpaired = found(sets, threshold)
    assert unpaired == 0
    told = {tuple(pair) for pair in pairs.tolist()}
    assert len(told) == len(pairs)
    assert (np.diff(pairs[:, 0]) >= 0).all()
    n = len(sets)
    expected = {
        (i, j)
        for i in range(n)
        for j in range(i + 1, n)
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    }
    assert expected <= told


def test_pairs_far_below_the_threshold_are_left_out():
    """Documents of one template share a lot, and are no candidates."""
    template = set(range(60))
    sets = [template | set(range(1000 * i, 1000 * i + 40)) for i in range(1, 61)]
    pairs, _ = found(sets, 0.85)
    assert len(pairs) == 0


def near_copies(n, seed=0):
    """Sets that share 190 or so of 200 members with each other."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 10**9, 200)
    for i in range(n):
        row = base.copy()
        row[rng.integers(0, 200, 5)] = 10**9 + 10 * i + np.arange(5)
        yield set(row.tolist())


def test_a_crowd_meets_its_best_and_not_itself():
    n = 20 * CROWD
    sets = list(near_copies(n))
    rank = np.random.default_rng(1).permutation(n)
    pairs, _ = found(sets, 0.8, rank=rank)
    best = int(np.argmin(rank))
    members, sizes = as_sets(sets)
    with_best = {int(p.sum() - best) for p in pairs if best in p}
    close = jaccard(members, sizes, np.full(n, best), np.arange(n)) >= 0.8
    assert set(np.flatnonzero(close).tolist()) - {best} <= with_best
    assert len(pairs) < 2 * sum(ROOM) * n, "far fewer than n * n / 2"


def test_each_group_of_a_crowd_has_a_best_of_its_own():
    """Copies of one label must find each other, though the best of all bears another label."""
    n = 10 * CROWD
    sets = list(near_copies(n))
    group = np.arange(n) % 2
    pairs, _ = found(sets, 0.8, group=group)
    told = {tuple(pair) for pair in pairs.tolist()}
    members, sizes = as_sets(sets)
    odd = np.arange(3, n, 2)
    close = odd[jaccard(members, sizes, np.full(len(odd), 1), odd) >= 0.8]
    assert {(1, int(i)) for i in close} <= told


def test_a_crowd_that_is_no_crowd_of_copies_stays_linear():
    """One member in common is enough for a bucket of all, where a band has one row."""
    n = 8 * CROWD
    sets = [{0, *range(10 * i, 10 * i + 4)} for i in range(1, n + 1)]
    pairs, unpaired = found(sets, 0.3)
    assert len(pairs) <= 2 * CROWD * n
    assert unpaired > 0


def test_thousands_of_one_template_cost_little():
    """They meet in every band, and are somewhat below the threshold: each is counted with some of the others only."""
    rng = np.random.default_rng(0)
    n = 3000
    sets = [set(range(130)) | set(rng.integers(10**6, 10**9, 25).tolist()) for _ in range(n)]
    pairs, left = found(sets, 0.8)
    assert len(pairs) <= 2 * sum(ROOM) * n
    assert left > 0


def test_no_sets_and_one():
    assert found([], 0.8)[0].shape == (0, 2)
    assert found([{1, 2, 3}], 0.8)[0].shape == (0, 2)
