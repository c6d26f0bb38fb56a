"""Near hashes through bucket files: the pairs that comparing one by one finds, on every engine."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.engine import Engine, Exchange, Limits
from datadiet_cli.errors import DatadietError
from datadiet_cli.grouping import hamming as grouped
from datadiet_cli.methods import hamming, hamming_plan
from tests.methods.test_hamming import clustered, compared_one_by_one, near_copies


def any_plan(sets, count):
    """Chunks as they are dealt, whatever they cost."""
    least, more = divmod(sets.radius + 1 - count, count)
    differ = hamming_plan.sample_differences(sets.one, None if sets.within else sets.other)
    return hamming_plan._deal(differ, [least + (c < more) for c in range(count)])[0]


@pytest.fixture(scope="module")
def serial():
    with Engine("serial") as engine:
        yield engine


@pytest.fixture(scope="module", params=["threads", "processes", "dask"])
def engine(request):
    limits = Limits(scheduler="inproc") if request.param == "dask" else Limits()
    with Engine(request.param, 2, limits) as engine:
        yield engine


@pytest.fixture
def small_steps(monkeypatch):
    """Several pieces and portions even of few hashes."""
    monkeypatch.setattr(grouped, "_AT_ONCE", 13)
    monkeypatch.setattr(grouped, "_TOGETHER", 2)


@given(hashes=clustered().filter(lambda h: len(h) > 1), radius=st.integers(0, 12), data=st.data())
@settings(max_examples=15)
def test_equals_brute_force(serial, hashes, radius, data):
    count = data.draw(st.integers(1 + radius // 3, radius + 1))
    sets = hamming.sets_within(hashes, radius)
    found = grouped.in_buckets(sets, any_plan(sets, count), data.draw(st.integers(0, 4)), serial)
    assert found.tolist() == compared_one_by_one(hashes, radius).tolist()


@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("words", [1, 3])
def test_two_sets(serial, small_steps, words, first):
    hashes = near_copies(np.random.default_rng(first), 300, 150, 6, words)
    sets = hamming.sets_between(hashes[:100], hashes[80:], 5)
    expected = hamming.search(sets, None, serial)
    assert len(expected) > 20
    assert np.array_equal(grouped.in_buckets(sets, any_plan(sets, 3), first, serial), expected)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("empty", [False, True])
def test_all_in_one_bucket_or_none_at_all(serial, between, empty):
    hashes = np.full(0 if empty else 30, 5, dtype=np.uint64)
    sets = hamming.sets_between(hashes, hashes, 3) if between else hamming.sets_within(hashes, 3)
    chunks = [hamming_plan.Chunk(tuple(range(start, start + 16)), 0) for start in range(0, 64, 16)]
    found = grouped.in_buckets(sets, chunks, 2, serial)
    assert found.tolist() == [[i, j] for i in range(len(hashes)) for j in range(0 if between else i + 1, len(hashes))]


def test_every_engine_with_and_without_a_limit(engine):
    """Large enough for a plan: what is found in memory, by whoever works, is found through files."""
    hashes = near_copies(np.random.default_rng(1), 24_000, 4000, 5)
    sets = hamming.sets_within(hashes, 4)
    chunks = hamming.planned(sets)
    assert chunks is not None
    expected = hamming.pairs_within(hashes, 4)
    assert np.array_equal(hamming.pairs_within(hashes, 4, engine), expected)
    assert np.array_equal(grouped.in_buckets(sets, chunks, 2, engine), expected)


@pytest.mark.parametrize("between", [False, True])
def test_the_memory_limit_decides(monkeypatch, between):
    hashes = near_copies(np.random.default_rng(2), 20_000, 4000, 5)
    taken = []
    kept = grouped.in_buckets
    monkeypatch.setattr(grouped, "in_buckets", lambda *args: taken.append(args[2]) or kept(*args))
    with Engine("serial", limits=Limits(memory=1 << 20)) as small, Engine("serial") as large:
        ask = (grouped.pairs_between, hashes[:9000]) if between else (grouped.pairs_within,)
        expected = ask[0](*ask[1:], hashes, 4, large)
        assert not taken
        assert np.array_equal(ask[0](*ask[1:], hashes, 4, small), expected)
    assert len(taken) == 1
    assert taken[0] > 0
    assert len(expected) > 500


def test_a_piece_done_twice_changes_nothing(serial, monkeypatch):
    """A worker that was thought dead may write its piece once more."""
    hashes = near_copies(np.random.default_rng(3), 200, 100, 3)
    sets = hamming.sets_within(hashes, 3)
    expected = compared_one_by_one(hashes, 3)
    once = grouped.deal
    monkeypatch.setattr(grouped, "deal", lambda how, piece: [once(how, piece) for _ in range(2)][1])
    assert np.array_equal(grouped.in_buckets(sets, any_plan(sets, 2), 2, serial), expected)


@pytest.mark.parametrize("harm", ["gone", "cut", "changed"])
def test_a_damaged_bucket_is_noticed(serial, monkeypatch, harm):
    def damaged(how, piece):
        path = how[0]._path(piece[0])
        done = once(how, piece)
        content = bytearray(Path(path).read_bytes())
        content[3] ^= 1
        if harm == "gone":
            os.unlink(path)
        else:
            with open(path, "wb") as file:
                file.write(content if harm == "changed" else content[:-9])
        return done

    once = grouped.deal
    monkeypatch.setattr(grouped, "deal", damaged)
    sets = hamming.sets_within(near_copies(np.random.default_rng(4), 50, 20, 3), 3)
    with pytest.raises(DatadietError, match="missing or damaged"):
        grouped.in_buckets(sets, any_plan(sets, 2), 1, serial)


def test_bucket_files_go_when_their_turn_is_over(serial, monkeypatch):
    made = []
    exchange = serial.exchange
    monkeypatch.setattr(serial, "exchange", lambda *args: made.append(exchange(*args)) or made[-1])
    sets = hamming.sets_within(near_copies(np.random.default_rng(5), 50, 20, 3), 3)
    grouped.in_buckets(sets, any_plan(sets, 2), 1, serial)
    assert len(made) == 2
    assert all(isinstance(one, Exchange) and not os.path.exists(one.folder) for one in made)
