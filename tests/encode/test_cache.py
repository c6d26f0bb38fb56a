"""What is remembered is what was stored, or nothing; and no state of the cache stands in the way of a run."""

import fcntl
import multiprocessing
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datadiet_cli.encode import cachefile
from datadiet_cli.encode.cache import Cache, NoCache, pair_digests

HOUR = 3600.0


def opened(folder, **options) -> Cache:
    return Cache({"DATADIET_CACHE_DIR": str(folder)}, **options)


def digests(seed: int, n: int):
    return np.random.default_rng(seed).integers(1, 2**63, (n, 2), dtype=np.uint64)


def rows(seed: int, n: int, width: int = 50):
    return np.random.default_rng(seed).integers(0, 256, (n, width), dtype=np.uint8)


def known(cache: Cache, some, width: int = 50, namespace: str = "a"):
    return cache.recall(namespace, some, width)[0]


@given(
    stored=st.lists(
        st.tuples(st.sampled_from("ab\u00e9"), st.integers(0, 9), st.integers(1, 3), st.integers(0, 255)), max_size=30
    ),
    again=st.booleans(),
)
def test_what_was_stored_last_is_recalled(tmp_path_factory, stored, again):
    folder = tmp_path_factory.mktemp("cache")
    model: dict[tuple[str, int], dict[int, int]] = {}
    cache = opened(folder)
    for namespace, digest, width, value in stored:
        cache.store(namespace, np.array([[digest, 0]], dtype=np.uint64), np.full((1, width), value, dtype=np.uint8))
        if digest:
            model.setdefault((namespace, width), {})[digest] = value
    if again:
        cache.close()
    asked = np.array([[digest, 0] for digest in (*range(10), 3)], dtype=np.uint64)
    for namespace in "ab\u00e9":
        for width in (1, 2, 3):
            held = model.get((namespace, width), {})
            there, found = cache.recall(namespace, asked, width)
            assert there.tolist() == [digest in held for digest in (*range(10), 3)]
            assert found.tolist() == [[held.get(digest, 0)] * width for digest in (*range(10), 3)]
    assert cache.trouble is None
    cache.close()


def test_many_rows_in_one_call(tmp_path):
    """More than one query, and more than one transaction."""
    some, made = digests(1, 20_000), rows(1, 20_000, 3)
    with opened(tmp_path) as cache:
        cache.store("a", some, made)
    with opened(tmp_path) as cache:
        there, found = cache.recall("a", np.vstack([some[::-1], digests(2, 5)]), 3)
    assert there[:-5].all()
    assert not there[-5:].any()
    assert np.array_equal(found[:-5], made[::-1])


def test_unknown_contents_are_never_known(tmp_path):
    nothing = np.zeros((3, 2), dtype=np.uint64)
    with opened(tmp_path) as cache:
        cache.store("a", nothing, rows(1, 3))
        assert not known(cache, nothing).any()


def test_nothing_to_ask_or_store(tmp_path):
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 0), rows(1, 0))
        there, found = cache.recall("a", digests(1, 0), 50)
    assert there.shape == (0,)
    assert found.shape == (0, 50)


def test_no_cache_remembers_nothing():
    with NoCache() as cache:
        cache.store("a", digests(1, 3), rows(1, 3))
        there, found = cache.recall("a", digests(1, 3), 50)
    assert not cache.enabled
    assert not there.any()
    assert found.shape == (3, 50)


def test_what_was_used_least_recently_goes(tmp_path):
    clock, width = [HOUR], 4000
    old, used, new = digests(1, 100), digests(2, 100), digests(3, 100)
    with opened(tmp_path, limit=1_000_000, now=lambda: clock[0]) as cache:
        cache.store("a", old, rows(1, 100, width))
        cache.store("b", used, rows(2, 100, width))
        clock[0] += HOUR
        assert known(cache, used, width, "b").all()
        clock[0] += HOUR
        cache.store("a", new, rows(3, 100, width))
        assert known(cache, used, width, "b").all()
        assert known(cache, new, width).all()
        assert known(cache, old, width).sum() < 50


def test_the_file_does_not_grow_beyond_its_limit(tmp_path):
    limit = 500_000
    with opened(tmp_path, limit=limit) as cache:
        for seed in range(20):
            cache.store("a", digests(seed, 50), rows(seed, 50, 2000))
            assert known(cache, digests(seed, 50), 2000).sum() > 40
        assert os.path.getsize(cache.path) < limit + 150_000


def test_a_limit_smaller_than_a_row(tmp_path):
    with opened(tmp_path, limit=1) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
        assert not known(cache, digests(1, 10)).any()
        assert cache.trouble is None


def _write(folder: str, seed: int, ready, times: int) -> None:
    with opened(folder) as cache:
        ready.wait(60)
        for i in range(times):
            cache.store("a", digests(seed + i, 200), rows(seed + i, 200))
        assert cache.trouble is None


def test_two_runs_write_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    # Each has rows of its own, and some that the other stores too.
    runs = [context.Process(target=_write, args=(str(tmp_path), seed, ready, 20)) for seed in (0, 10)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(100)
    assert [run.exitcode for run in runs] == [0, 0]
    with opened(tmp_path) as cache:
        for seed in range(30):
            there, found = cache.recall("a", digests(seed, 200), 50)
            assert there.all()
            assert np.array_equal(found, rows(seed, 200))


def damaged_files() -> dict[str, bytes]:
    return {"empty": b"", "words": b"no database, but words\n" * 500, "zeros": bytes(50_000)}


@pytest.mark.parametrize("content", damaged_files().values(), ids=damaged_files())
def test_a_file_that_is_no_database_is_replaced(tmp_path, content):
    (tmp_path / cachefile.FILE).write_bytes(content)
    with opened(tmp_path) as cache:
        assert not known(cache, digests(1, 10)).any()
        cache.store("a", digests(1, 10), rows(1, 10))
        assert known(cache, digests(1, 10)).all()
        assert cache.trouble is None


def test_another_database_is_replaced(tmp_path):
    with sqlite3.connect(tmp_path / cachefile.FILE) as db:
        db.execute("CREATE TABLE keys (something TEXT)")
    db.close()
    with opened(tmp_path) as cache:
        assert not known(cache, digests(1, 10)).any()
        cache.store("a", digests(1, 10), rows(1, 10))
        cache.store("a", digests(1, 10), rows(1, 10))
        assert known(cache, digests(1, 10)).all()


@settings(max_examples=40)
@given(at=st.integers(0, 10**6), bits=st.integers(1, 255), long=st.booleans())
@example(at=3731, bits=128, long=False)  # the statement that made a table, quoted in SQLite's message
def test_damage_anywhere_gives_nothing_false(tmp_path_factory, at, bits, long):
    """Whatever bytes are changed, in the file or in the middle of it: rows are right or not known."""
    folder = tmp_path_factory.mktemp("cache")
    some, made = digests(1, 60), rows(1, 60, 300)
    with opened(folder) as cache:
        cache.store("a", some, made)
    path = Path(cache.path)
    content = bytearray(path.read_bytes())
    start = at % len(content)
    for i in range(start, min(start + (2000 if long else 1), len(content))):
        content[i] ^= bits
    path.write_bytes(content)
    with opened(folder) as cache:
        there, found = cache.recall("a", some, 300)
        assert np.array_equal(found[there], made[there])
        cache.store("a", some, made)
        there, found = cache.recall("a", some, 300)
        assert np.array_equal(found[there], made[there])


def test_a_row_that_was_exchanged_is_not_trusted(tmp_path):
    """Sound to SQLite, but another content's: as where two hosts write to a network folder."""
    some, made = digests(1, 10), rows(1, 10)
    with opened(tmp_path) as cache:
        cache.store("a", some, made)
    db = sqlite3.connect(cache.path)
    db.execute("UPDATE contents SET row = (SELECT row FROM contents WHERE id = 1)")
    db.execute("UPDATE contents SET row = 'words' WHERE id = 2")
    db.commit()
    db.close()
    with opened(tmp_path) as cache:
        assert known(cache, some).sum() == 1
        cache.store("a", some, made)
        there, found = cache.recall("a", some, 50)
    assert there.all()
    assert np.array_equal(found, made)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "cache").write_text("mine")
    with opened(tmp_path / "cache") as cache:
        assert not cache.enabled
        cache.store("a", digests(1, 10), rows(1, 10))
        assert not known(cache, digests(1, 10)).any()
        assert cache.trouble
    assert (tmp_path / "cache").read_text() == "mine"


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / cachefile.FILE).mkdir()
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
        assert not known(cache, digests(1, 10)).any()
        assert not cache.enabled
    assert (tmp_path / cachefile.FILE).is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_read(tmp_path):
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
    os.chmod(cache.path, 0o400)
    os.chmod(tmp_path, 0o500)
    try:
        with opened(tmp_path) as cache:
            cache.store("a", digests(2, 10), rows(2, 10))
            assert known(cache, digests(1, 10)).all()
            assert not known(cache, digests(2, 10)).any()
            assert cache.trouble
    finally:
        os.chmod(tmp_path, 0o700)


def test_a_cache_that_somebody_else_writes_is_read(tmp_path, monkeypatch):
    """Another run that never ends its transaction costs one wait; what is there already is still recalled."""
    monkeypatch.setattr(cachefile, "_PATIENCE_S", 0.05)
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
    other = sqlite3.connect(cache.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with opened(tmp_path) as cache:
        cache.store("a", digests(2, 10), rows(2, 10))
        assert "locked" in (cache.trouble or "")
        assert known(cache, digests(1, 10)).all()
    other.close()


def test_a_cache_that_is_being_cleared_is_done_without(tmp_path):
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
        assert not known(cache, digests(1, 10)).any()
    os.close(lock)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_costs_only_what_is_new(tmp_path):
    with opened(tmp_path) as cache:
        cache.store("a", digests(1, 10), rows(1, 10))
        db = cache._open()
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        cache.store("a", digests(2, 1000), rows(2, 1000))
        assert "full" in (cache.trouble or "")
        assert known(cache, digests(1, 10)).all()
        assert not known(cache, digests(2, 1000)).any()


@given(
    st.lists(
        st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2**64 - 1) | st.integers(0, 1))] * 2),
        min_size=1,
        max_size=20,
    )
)
def test_pairs_have_digests_without_order(pairs):
    a, b = (np.array([pair[side] for pair in pairs], dtype=np.uint64) for side in (0, 1))
    one = pair_digests(a, b)
    assert np.array_equal(one, pair_digests(b, a))
    seen: dict[bytes, frozenset[tuple[int, int]]] = {}
    for pair, digest in zip(pairs, one, strict=True):
        assert digest.any() == ((0, 0) not in pair)
        if digest.any():
            assert seen.setdefault(digest.tobytes(), frozenset(pair)) == frozenset(pair)


def test_no_pairs():
    nothing = np.empty((0, 2), dtype=np.uint64)
    assert pair_digests(nothing, nothing).shape == (0, 2)
