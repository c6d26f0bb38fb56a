import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.engine import Engine
from datadiet_cli.methods import hamming, hamming_join, hamming_plan
from datadiet_cli.methods.crew import ALONE
from datadiet_cli.methods.hamming import distances, pairs_between, pairs_within


@pytest.fixture(scope="module")
def threads():
    with Engine("threads", 3) as engine:
        yield engine


def bit_by_bit(a, b):
    return [sum((int(x) ^ int(y)).bit_count() for x, y in zip(p, q, strict=True)) for p, q in zip(a, b, strict=True)]


def compared_one_by_one(hashes, radius):
    rows = hashes if hashes.ndim == 2 else hashes[:, None]
    pairs = []
    for i in range(len(rows) - 1):
        apart = np.bitwise_count(rows[i + 1 :] ^ rows[i]).sum(axis=1, dtype=np.int64)
        pairs += [(i, i + 1 + int(j)) for j in np.flatnonzero(apart <= radius)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def near_copies(rng, n, copies, flips, words=1):
    """`n` random hashes, the last `copies` of them an earlier one with up to `flips` bits turned."""
    hashes = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    hashes[n - copies :] = hashes[rng.integers(0, n - copies, copies)]
    for _ in range(flips):
        bit = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        hashes[np.arange(n - copies, n), rng.integers(0, words, copies)] ^= bit
    return hashes if words > 1 else hashes[:, 0]


@st.composite
def clustered(draw):
    """A few centres, and hashes that share most bits with one of them, some of them everything."""
    words = draw(st.sampled_from([0, 1, 2, 5]))
    n = draw(st.integers(0, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (n, words) if words else (n,)
    centres = rng.integers(0, 2**64, (draw(st.integers(1, 4)), *shape[1:]), dtype=np.uint64)
    noise = np.full(shape, 2**64 - 1, dtype=np.uint64)
    for _ in range(draw(st.integers(0, 5))):  # each turn halves the share of bits that differ
        noise &= rng.integers(0, 2**64, shape, dtype=np.uint64)
    return centres[rng.integers(0, len(centres), n)] ^ (noise & draw(st.sampled_from([2**64 - 1, 0xFFFF, 0])))


def planned(hashes, radius):
    return hamming.planned(hamming.sets_within(hashes, radius))


@pytest.fixture(params=["as planned", "always by chunks"])
def planning(request, monkeypatch):
    if request.param == "always by chunks":
        monkeypatch.setattr(hamming, "WORTH_A_PLAN", 0.0)
        monkeypatch.setattr(hamming_plan, "_BRUTE_PAIR", 1e6)


class TestDistances:
    @given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 6), max_size=20))
    def test_counts_differing_bits(self, rows):
        table = np.array(rows, dtype=np.uint64).reshape(-1, 6)
        a, b = table[:, :3], table[:, 3:]
        expected = bit_by_bit(a, b)
        assert distances(a, b).tolist() == expected
        if rows:
            assert distances(a[:, 0], b[:, 0]).tolist() == bit_by_bit(a[:, :1], b[:, :1])

    def test_more_than_255_bits(self):
        a = np.zeros((2, 5), dtype=np.uint64)
        found = distances(a, ~a)
        assert found.tolist() == [320, 320]
        assert found.dtype == np.int64

    def test_refuses_different_shapes(self):
        with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
            distances(np.zeros(2, dtype=np.uint64), np.zeros(3, dtype=np.uint64))


class TestPairsWithin:
    @settings(max_examples=150)
    @given(hashes=clustered(), radius=st.integers(0, 64))
    def test_small_sets_equal_brute_force(self, hashes, radius):
        found = pairs_within(hashes, radius)
        assert found.dtype == np.int64
        assert found.tolist() == compared_one_by_one(hashes, radius).tolist()

    @settings(max_examples=20, deadline=None)
    @given(hashes=clustered().filter(lambda h: len(h) > 1), radius=st.integers(0, 14), data=st.data())
    def test_any_chunks_equal_brute_force(self, hashes, radius, data):
        """The search by chunks is exact for every plan, not only for those that are cheap."""
        count = data.draw(st.integers(1 + radius // 3, radius + 1))
        least, more = divmod(radius + 1 - count, count)
        sets = hamming.sets_within(hashes, radius)
        differ = hamming_plan.sample_differences(sets.one)
        plan, _ = hamming_plan._deal(differ, [least + (c < more) for c in range(count)])
        assert hamming.search(sets, plan, ALONE).tolist() == compared_one_by_one(hashes, radius).tolist()

    @pytest.mark.parametrize("n", [0, 1])
    @pytest.mark.parametrize("words", [None, 1, 3])
    def test_nothing_to_compare(self, n, words, planning):
        shape = (n,) if words is None else (n, words)
        found = pairs_within(np.zeros(shape, dtype=np.uint64), 64)
        assert found.shape == (0, 2)
        assert found.dtype == np.int64

    @pytest.mark.parametrize("radius", [0, 3, 64, 1000])
    def test_all_the_same(self, radius, planning):
        hashes = np.full(40, 0x1234, dtype=np.uint64)
        assert pairs_within(hashes, radius).tolist() == [[i, j] for i in range(40) for j in range(i + 1, 40)]

    @pytest.mark.parametrize("words", [1, 4])
    @pytest.mark.parametrize("radius", [0, 1, 5, 10, 24])
    def test_medium_sets_equal_brute_force(self, words, radius, planning):
        hashes = near_copies(np.random.default_rng(radius), 3000, 1000, radius + 2, words)
        expected = compared_one_by_one(hashes, radius)
        assert len(expected)
        assert np.array_equal(pairs_within(hashes, radius), expected)

    def test_a_large_set_loses_no_planted_pair(self):
        rng = np.random.default_rng(3)
        hashes = np.unique(near_copies(rng, 150_000, 15_000, 6))
        rng.shuffle(hashes)
        assert planned(hashes, 6) is not None
        found = pairs_within(hashes, 6)
        assert distances(hashes[found[:, 0]], hashes[found[:, 1]]).max() <= 6
        assert np.array_equal(found, np.unique(found, axis=0))
        some = rng.integers(0, len(hashes), 200)
        for i in some:
            partners = np.flatnonzero(np.bitwise_count(hashes ^ hashes[i]) <= 6)
            mine = np.concatenate([found[found[:, 0] == i, 1], found[found[:, 1] == i, 0]])
            assert np.sort(mine).tolist() == partners[partners != i].tolist()

    def test_a_constant_chunk_of_bits_does_not_mean_comparing_all(self):
        """200 000 hashes in one bucket of 16 bits would be 2e10 candidates, and memory for none of them."""
        hashes = np.unique(near_copies(np.random.default_rng(4), 200_000, 20_000, 4) & ~np.uint64(0xFFFF << 16))
        plan = planned(hashes, 4)
        used = {bit for chunk in plan for bit in chunk.bits}
        assert not used & set(range(16, 32))
        found = pairs_within(hashes, 4)
        assert distances(hashes[found[:, 0]], hashes[found[:, 1]]).max() <= 4
        # Without the constant bits they are hashes of 48 bits, in which another plan finds the same.
        squeezed = (hashes >> np.uint64(32) << np.uint64(16)) | (hashes & np.uint64(0xFFFF))
        assert np.array_equal(found, pairs_within(squeezed, 4))

    def test_most_hashes_in_one_bucket_stay_within_blocks(self, monkeypatch):
        """Blocks end inside a bucket, and even inside the partners of one hash."""
        monkeypatch.setattr(hamming_join, "BLOCK", 64)
        rng = np.random.default_rng(5)
        hashes = rng.integers(0, 2**64, 400, dtype=np.uint64)
        hashes[:300] &= np.uint64(0xFFF)
        columns = hamming_join.columns_of(hashes)
        buckets = hamming_join.sort_into_buckets(columns, tuple(range(40, 56)))
        rule = hamming_join.rule_of(2, [], 0, 1, len(hashes), within=True)
        for mask in (0, 1 << 3):
            blocks = list(hamming_join.candidates(hamming_join.Join(rule, buckets, None), mask, 0, len(hashes)))
            assert all(len(one) == len(other) <= 64 for one, other in blocks)
            found = {tuple(sorted(pair)) for one, other in blocks for pair in zip(one, other, strict=True)}
            assert sum(len(one) for one, _ in blocks) == len(found)
            differ = buckets.key[:, None] ^ buckets.key
            i, j = np.nonzero(np.triu(differ == mask, 1))
            assert found == set(zip(i, j, strict=True))

    def test_workers_do_not_change_the_answer(self, threads):
        hashes = near_copies(np.random.default_rng(6), 60_000, 6000, 5)
        assert np.array_equal(pairs_within(hashes, 7), pairs_within(hashes, 7, threads))

    @given(st.permutations(range(30)), st.integers(0, 40))
    def test_order_of_hashes_only_renames_them(self, order, radius):
        hashes = near_copies(np.random.default_rng(7), 30, 10, 20)
        direct = {frozenset(pair) for pair in pairs_within(hashes, radius).tolist()}
        shuffled = pairs_within(hashes[order], radius).tolist()
        assert {frozenset((order[i], order[j])) for i, j in shuffled} == direct

    def test_the_input_is_left_as_it_was(self, planning):
        hashes = near_copies(np.random.default_rng(8), 500, 100, 2)
        before = hashes.copy()
        hashes.flags.writeable = False
        pairs_within(hashes, 4)
        assert np.array_equal(hashes, before)

    def test_refuses_what_makes_no_sense(self):
        with pytest.raises(ValueError, match="negative"):
            pairs_within(np.zeros(3, dtype=np.uint64), -1)
        for shape in [(), (3, 0), (2, 2, 2)]:
            with pytest.raises(ValueError, match="shape"):
                pairs_within(np.zeros(shape, dtype=np.uint64), 1)


class TestPairsBetween:
    def compared(self, one, other, radius):
        rows, others = (h if h.ndim == 2 else h[:, None] for h in (one, other))
        apart = np.bitwise_count(rows[:, None] ^ others[None]).sum(axis=2, dtype=np.int64)
        return np.argwhere(apart <= radius)

    @given(clustered(), st.integers(0, 70), st.integers(0, 70), st.integers(0, 20))
    @settings(max_examples=60)
    def test_equal_brute_force(self, hashes, cut, start, radius):
        one, other = hashes[:cut], hashes[start:]
        assert pairs_between(one, other, radius).tolist() == self.compared(one, other, radius).tolist()

    @pytest.mark.parametrize("words", [1, 3])
    @pytest.mark.parametrize("radius", [0, 3, 10])
    @pytest.mark.parametrize("alone", [True, False])
    def test_medium_sets_equal_brute_force(self, words, radius, alone, planning, threads):
        hashes = near_copies(np.random.default_rng(radius), 2500, 1000, radius + 2, words)
        one, other = hashes[:1000], hashes[800:]
        expected = self.compared(one, other, radius)
        assert len(expected) > 200
        assert np.array_equal(pairs_between(one, other, radius, ALONE if alone else threads), expected)

    def test_nothing_to_compare(self, planning):
        none, some = np.empty(0, dtype=np.uint64), np.zeros(3, dtype=np.uint64)
        assert pairs_between(none, some, 5).shape == (0, 2)
        assert pairs_between(some, none, 5).shape == (0, 2)
        assert len(pairs_between(some, some, 0)) == 9, "with itself, too: these are two sets"

    def test_refuses_what_is_no_pair_of_sets(self):
        with pytest.raises(ValueError, match="negative"):
            pairs_between(np.zeros(2, np.uint64), np.zeros(2, np.uint64), -1)
        with pytest.raises(ValueError, match="words"):
            pairs_between(np.zeros((2, 2), np.uint64), np.zeros(2, np.uint64), 1)
