"""What an engine puts into files: shared objects, large arrays, and folders that outlive a failure."""

import os
import time
from contextlib import suppress

import numpy as np
import pytest

from datadiet_cli.encode import cached
from datadiet_cli.encode.cache import Cache
from datadiet_cli.encode.cached import remembered
from datadiet_cli.engine import Engine, Exchange, Limits, sharing
from datadiet_cli.engine import exchange as exchanging
from datadiet_cli.engine.kept import WEEK
from datadiet_cli.engine.sharing import Files, share
from datadiet_cli.errors import DatadietError


@pytest.fixture
def files(tmp_path):
    """A way to share into a folder of its own."""
    numbers = iter(range(99))
    yield Files(lambda word: str(tmp_path / f"{word}-{next(numbers)}"))
    sharing.forget(str(tmp_path))


def same(a, b):
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def mapped(folder):
    values = np.memmap(folder / "mapped", np.int32, "w+", shape=(1000, 200))
    values[:] = np.arange(200_000).reshape(1000, 200)
    return values


class TestShared:
    @pytest.mark.parametrize(
        "make",
        [
            lambda _: (np.arange(5), "small"),
            lambda _: np.arange(100_000),
            lambda _: (np.arange(100_000, dtype=np.int16), np.zeros(0), np.asfortranarray(np.ones((300, 70)))),
            lambda _: [f"text {i} \udcff" for i in range(20_000)],
            lambda folder: mapped(folder),
            lambda folder: (mapped(folder)[10:500], 7),
            lambda folder: mapped(folder).view(np.ndarray)[:, 3:5],
        ],
    )
    def test_arrives_as_it_was(self, make, files, tmp_path):
        data = make(tmp_path)
        found = share(data, files).open()
        assert same(data if not isinstance(data, np.memmap) else data.view(np.ndarray), found) or same(
            tuple(np.asarray(part) for part in data), tuple(map(np.asarray, found))
        )

    def test_what_is_in_a_file_is_not_written_again(self, files, tmp_path):
        whole = mapped(tmp_path).view(np.ndarray)
        shared = share((whole, whole[5:]), files)
        assert shared.own is None
        assert len(os.listdir(tmp_path)) == 1
        whole[5] = -1
        assert (shared.open()[1][0] == -1).all()

    def test_what_nobody_writes_to_is_written_once(self, files, tmp_path):
        data = np.arange(100_000)
        data.flags.writeable = False
        first, second = share((data, 1), files), share((data, np.ones(50_000)), files)
        assert first.spans[0] == second.spans[0]
        second.close()
        assert same(first.open()[0], data)
        assert len(os.listdir(tmp_path)) == 1
        del data
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize("make", [np.asfortranarray, lambda data: data[5:], lambda data: data.view(data.dtype)])
    def test_what_others_may_write_to_is_written_anew(self, make, files, tmp_path):
        """And what is made to be pickled is not in a file that goes with it."""
        whole = np.arange(60_000.0).reshape(300, 200)
        data = make(whole)
        data.flags.writeable = False
        first = share((data, 1), files)
        assert same(first.open()[0], data)
        whole[:] = -1
        assert same(share((data, 2), files).open()[0], data)
        assert len(os.listdir(tmp_path)) == 2

    def test_a_header_that_was_tampered_with_is_not_opened(self, files):
        shared = share(["word"] * 50_000, files)
        with open(shared.own, "r+b") as file:
            file.seek(100)
            file.write(b"X")
        with pytest.raises(OSError, match="not what was written there"):
            shared.open()


def test_large_arrays_lie_on_disk(tmp_path):
    with Engine("threads", 1, Limits(shared_dir=str(tmp_path), memory=1 << 20)) as engine:
        small, large = engine.zeros((100,), np.int64), engine.zeros((1000, 1000), np.float32)
        assert type(small) is type(large) is np.ndarray
        assert isinstance(large.base, np.memmap)
        assert not isinstance(small.base, np.memmap)
        assert not large.any()
        large[3] = 1
        assert type(large + 1) is np.ndarray
        assert large.sum() == 1000
    assert not list(tmp_path.iterdir())


def of_many(paths, table):
    return np.full((len(paths), 1), table[1], np.uint8), np.zeros(len(paths), bool)


@pytest.mark.parametrize("number", [0, 1, 9])
def test_what_all_blocks_of_files_need_is_shared_once(tmp_path, monkeypatch, number):
    monkeypatch.setattr(cached, "_BLOCK", 2)
    shared, seen = tmp_path / "shared", set()
    shared.mkdir()
    paths = [str(tmp_path / f"{i}.txt") for i in range(number)]
    for path in paths:
        with open(path, "w") as file:
            file.write(path)
    limits = Limits(scheduler="inproc", shared_dir=str(shared))
    with Engine("dask", 1, limits) as engine, Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
        rows = remembered(paths, "name", 1, of_many, np.arange(99_999), cache=cache, engine=engine, chunk=1)
        for _, made in rows:
            assert (made == 1).all()
            seen |= {path.name for path in shared.rglob("shared-*")}
        assert not list(shared.rglob("shared-*"))
    assert len(seen) == min(number, 1)


COLUMNS = {
    "one": np.arange(20),
    "rows": np.arange(60, dtype=np.float32).reshape(20, 3),
    "none": np.empty((20, 0), dtype=np.uint8),
}


class TestExchange:
    """Bucket files: what was written comes back, or one line."""

    @pytest.fixture
    def exchange(self, tmp_path):
        made = Exchange(str(tmp_path), 4)
        made.write(0, np.arange(20) % 3, COLUMNS)
        made.write(1, np.full(20, 1), COLUMNS)
        return made

    def test_comes_back_in_order(self, exchange):
        for bucket, found in enumerate(exchange.read_some(range(4), 0)):
            for name, values in COLUMNS.items():
                assert same(values[np.arange(20) % 3 == bucket], found[name])
        both = exchange.read(1, [0, 1])
        assert both["one"].tolist() == [*range(1, 20, 3), *range(20)]
        assert both["rows"].shape == (27, 3)

    def test_only_a_bucket_and_what_is_said_of_it_is_read(self, tmp_path, monkeypatch):
        exchange = Exchange(str(tmp_path), 3000)
        exchange.write(0, np.arange(9000) % 3000, {"value": np.arange(9000)})
        read, once = [], exchanging._span
        monkeypatch.setattr(exchanging, "_span", lambda file, *span: read.append(span[1]) or once(file, *span))
        assert exchange.read(2999, [0])["value"].tolist() == [2999, 5999, 8999]
        assert sum(read) < 250

    @pytest.mark.parametrize("damage", ["turned", "cut", "none"])
    def test_any_damage_is_noticed(self, exchange, damage):
        """Whichever byte it hits: of the records, the index, the columns or the end."""
        whole = exchange.read_some(range(4), 0)
        path = exchange._path(0)
        with open(path, "rb") as file:
            good = file.read()
        for place in range(len(good)):
            bad = {"cut": good[:place], "turned": bytearray(good), "none": b""}[damage]
            if damage == "turned":
                bad[place] ^= 1 << place % 8
            with open(path, "wb") as file:
                file.write(bad)
            with pytest.raises(DatadietError, match="missing or damaged"):
                exchange.read_some(range(4), 0)
            if damage == "none":
                break
        with open(path, "wb") as file:
            file.write(good)
        for one, again in zip(whole, exchange.read_some(range(4), 0), strict=True):
            assert all(same(one[name], again[name]) for name in one)

    def test_there_is_no_such_piece_or_bucket(self, exchange):
        for bucket, piece in ((0, 2), (4, 0), (-1, 0)):
            with pytest.raises(DatadietError, match="missing or damaged"):
                exchange.read(bucket, [piece])


class TestKept:
    """A folder that a run which went wrong leaves for the next."""

    @pytest.fixture
    def engine(self, tmp_path):
        with Engine("serial", 1, Limits(shared_dir=str(tmp_path))) as made:
            yield made

    def fail(self, engine, key="k", value=1):
        with suppress(KeyboardInterrupt), engine.kept_exchange(key, 2) as exchange:
            exchange.write(0, np.array([0, 1]), {"value": np.array([value, value])})
            raise KeyboardInterrupt

    def test_is_found_again_and_then_gone(self, engine, tmp_path):
        self.fail(engine)
        with engine.kept_exchange("another", 2) as exchange:
            assert not exchange.has(0)
        with engine.kept_exchange("k", 3) as exchange:
            assert not exchange.has(0)
        with engine.kept_exchange("k", 2) as exchange:
            assert exchange.read(0, [0])["value"].tolist() == [1]
        assert not list(tmp_path.glob("datadiet-kept-*"))

    def test_is_begun_anew_when_asked(self, engine):
        self.fail(engine)
        with engine.kept_exchange("k", 2, fresh=True) as exchange:
            assert not exchange.has(0)

    def test_is_for_one_run_at_a_time(self, engine, tmp_path):
        self.fail(engine)
        with engine.kept_exchange("k", 2) as first:
            with engine.kept_exchange("k", 2) as second:
                assert second.folder != first.folder
                assert not second.has(0)
            assert not os.path.exists(second.folder)
            assert first.has(0)

    def test_of_a_stranger_is_not_believed(self, engine, tmp_path):
        self.fail(engine)
        (kept,) = tmp_path.glob("datadiet-kept-*")
        kept.chmod(0o777)
        with engine.kept_exchange("k", 2) as exchange:
            assert not exchange.has(0)
        kept.rename(tmp_path / "elsewhere")
        kept.symlink_to(tmp_path / "elsewhere")
        with engine.kept_exchange("k", 2) as exchange:
            assert not exchange.has(0)

    def test_is_swept_after_a_week(self, engine, tmp_path):
        self.fail(engine, "old")
        (old,) = tmp_path.glob("datadiet-kept-*")
        self.fail(engine, "new")
        (tmp_path / "datadiet-kept-mine").mkdir()
        for each in (old, tmp_path / "datadiet-kept-mine"):
            os.utime(each, (time.time() - WEEK - 9, time.time() - WEEK - 9))
        self.fail(engine, "third")
        left = {path.name for path in tmp_path.glob("datadiet-kept-*")}
        assert old.name not in left
        assert "datadiet-kept-mine" in left
        assert len(left) == 3
