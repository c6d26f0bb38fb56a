"""The kernel sees only what is unknown; every file gets its row once; and nothing false is remembered."""

import os

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.encode import cached, filestates
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.cached import remembered
from datadiet_cli.encode.content import digest_files
from datadiet_cli.engine import Engine
from tests.data.trees import write

WIDTH = 16
SEEN: list[str] = []
READ: list[str] = []


def row_of(content: bytes) -> list[int]:
    return list(xxhash.xxh3_128_digest(content, seed=7))


def kernel(paths, *_):
    """A digest of each file; a file that cannot be read has a row that is not to be remembered."""
    SEEN.extend(os.path.basename(path) for path in paths)
    rows, keep = np.full((len(paths), WIDTH), 255, dtype=np.uint8), np.zeros(len(paths), dtype=bool)
    for i, path in enumerate(paths):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                rows[i], keep[i] = row_of(file.read()), True
    return rows, keep


def meddling(paths, victim, content):
    """A kernel during whose work a file changes."""
    made = kernel(paths)
    for path in paths:
        if os.path.basename(path) == victim:
            with open(path, "wb") as file:
                file.write(content)
    return made


def listening(paths):
    """Note which files are read for their digests."""
    READ.extend(os.path.basename(path) for path in paths)
    return digest_files(paths)


@pytest.fixture
def cache(tmp_path):
    with Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
        yield cache


@pytest.fixture
def _settled(monkeypatch):
    """As if all files were made long ago."""
    monkeypatch.setattr(filestates, "_RACY_NS", -(1 << 62))


@pytest.fixture(autouse=True)
def _listening(monkeypatch):
    monkeypatch.setattr(cached, "digest_files", listening)
    SEEN.clear()
    READ.clear()


def rows_of(paths, cache, *args, made=kernel, namespace="a", chunk=3, engine=None):
    """All rows, in order; and what the kernel saw and what was read meanwhile."""
    SEEN.clear()
    READ.clear()
    found, told = np.zeros((len(paths), WIDTH), dtype=np.uint8), []
    times = np.zeros(len(paths), dtype=int)
    made = remembered(
        [str(path) for path in paths],
        namespace,
        WIDTH,
        made,
        *args,
        cache=cache,
        engine=engine or Engine("serial"),
        chunk=chunk,
        progress=told.append,
    )
    for positions, rows in made:
        assert (np.diff(positions) > 0).all()
        times[positions] += 1
        found[positions] = rows
    assert (times == 1).all()
    assert sum(told) == len(paths)
    return found, made.digests


def tree(root, contents):
    write(root, contents)
    return [root / name for name in contents]


CONTENTS = {"a.txt": "one", "b.txt": "two", "c.txt": "one", "d.txt": "three", "e.txt": ""}
ROWS = [row_of(text.encode()) for text in CONTENTS.values()]
DIGESTS = [xxhash.xxh3_128_digest(text.encode()) for text in CONTENTS.values()]


def test_equal_files_are_made_once_and_known_files_never(tmp_path, cache):
    paths = tree(tmp_path / "in", CONTENTS)
    for expected in (["a.txt", "b.txt", "d.txt", "e.txt"], []):
        found, digests = rows_of(paths, cache)
        assert found.tolist() == ROWS
        assert [digest.tobytes() for digest in digests] == DIGESTS
        assert expected == SEEN
    assert rows_of(paths, cache, namespace="b")[0].tolist() == ROWS
    assert len(SEEN) == 4


def test_without_a_cache_nothing_is_digested(tmp_path):
    paths = tree(tmp_path / "in", CONTENTS)
    found, digests = rows_of(paths, NoCache())
    assert found.tolist() == ROWS
    assert sorted(CONTENTS) == SEEN
    assert READ == []
    assert not digests.any()


def test_a_cache_that_fails_is_done_without(tmp_path):
    paths = tree(tmp_path / "in", CONTENTS)
    (tmp_path / "cache").write_text("no folder")
    assert rows_of(paths, Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}))[0].tolist() == ROWS
    assert READ == []


@pytest.mark.usefixtures("_settled")
def test_an_unchanged_file_is_not_opened(tmp_path, cache):
    paths = tree(tmp_path / "in", CONTENTS)
    rows_of(paths, cache)
    assert sorted(CONTENTS) == READ
    found, digests = rows_of(paths, cache)
    assert found.tolist() == ROWS
    assert [digest.tobytes() for digest in digests] == DIGESTS
    assert READ == []


def test_a_file_just_changed_is_opened_again(tmp_path, cache):
    """Its next change might keep its size and time, as git knows."""
    paths = tree(tmp_path / "in", CONTENTS)
    rows_of(paths, cache)
    rows_of(paths, cache)
    assert sorted(CONTENTS) == READ
    assert SEEN == []


@pytest.mark.usefixtures("_settled")
def test_a_file_with_a_new_name_is_known_by_content(tmp_path, cache):
    paths = tree(tmp_path / "in", CONTENTS)
    rows_of(paths, cache)
    moved = paths[1].rename(tmp_path / "in" / "moved.txt")
    assert rows_of([paths[0], moved], cache)[0].tolist() == ROWS[:2]
    assert SEEN == []
    assert READ == ["moved.txt"]


@pytest.mark.usefixtures("_settled")
@pytest.mark.parametrize("how", ["times restored", "another file renamed over it", "link turned"])
def test_a_changed_file_is_made_again(tmp_path, cache, how):
    """The same size and times do not make it the same file."""
    paths = tree(tmp_path / "in", CONTENTS)
    other = tree(tmp_path, {"other.txt": "new"})[0]
    link = tmp_path / "in" / "link.txt"
    link.symlink_to(paths[0])
    rows_of([link], cache)
    status = os.stat(paths[0])
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    if how == "times restored":
        paths[0].write_text("new")
        os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "link turned":
        link.unlink()
        link.symlink_to(other)
    else:
        other.rename(paths[0])
    assert rows_of([link], cache)[0].tolist() == [row_of(b"new")]
    assert SEEN == ["link.txt"]


@pytest.mark.parametrize("settled", [False, True])
def test_a_file_that_changes_meanwhile_is_not_remembered(tmp_path, cache, settled, monkeypatch):
    """The row belongs to the old bytes, or the new ones: nobody knows. Nor do its equals get it."""
    if settled:
        monkeypatch.setattr(filestates, "_RACY_NS", -(1 << 62))
    paths = tree(tmp_path / "in", CONTENTS)
    _, digests = rows_of(paths, cache, "a.txt", b"changed", made=meddling, chunk=1)
    assert SEEN == ["a.txt", "b.txt", "d.txt", "e.txt", "c.txt"]
    assert digests.any(axis=1).tolist() == [False, True, True, True, True]
    found, _ = rows_of(paths, cache)
    assert found.tolist() == [row_of(b"changed"), *ROWS[1:]]
    assert SEEN == ["a.txt"]


def test_a_change_that_stat_cannot_show_is_seen(tmp_path, cache, monkeypatch):
    """Two changes within a tick of the file system's clock: a file so new is read again."""
    paths = tree(tmp_path / "in", CONTENTS)
    real = filestates._state
    monkeypatch.setattr(filestates, "_state", lambda path: (os.path.basename(path).encode().ljust(16), *real(path)[1:]))
    rows_of(paths, cache, "b.txt", b"owt", made=meddling)
    assert rows_of(paths, cache)[0].tolist() == [ROWS[0], row_of(b"owt"), *ROWS[2:]]
    assert SEEN == ["b.txt"]


def test_a_file_that_cannot_be_read_goes_to_the_kernel(tmp_path, cache):
    paths = tree(tmp_path / "in", CONTENTS)
    for _ in range(2):
        found, digests = rows_of([*paths, tmp_path / "none", tmp_path], cache)
        assert found.tolist() == [*ROWS, [255] * WIDTH, [255] * WIDTH]
        assert not digests[-2:].any()
        assert SEEN[-2:] == ["none", tmp_path.name]
    assert len(SEEN) == 2


def test_names_are_the_same_from_anywhere(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(filestates, "_RACY_NS", -(1 << 62))
    paths = tree(tmp_path / "in", {"a\udcff.txt": "one", "b.txt": "two"})
    rows_of(paths, cache)
    monkeypatch.chdir(tmp_path)
    assert rows_of(["in/a\udcff.txt", "./in/b.txt"], cache)[0].tolist() == ROWS[:2]
    assert (SEEN, READ) == ([], [])


@pytest.mark.parametrize("name", ["serial", "threads", "processes"])
def test_every_engine_gives_the_same(tmp_path, cache, name):
    paths = tree(tmp_path / "in", {f"{i}.txt": str(i % 37) for i in range(200)})
    with Engine(name, 2) as engine:
        for _ in range(2):
            found, _ = rows_of(paths, cache, engine=engine)
            assert found.tolist() == [row_of(str(i % 37).encode()) for i in range(200)]


@settings(max_examples=40)
@given(
    files=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=25),
    known=st.sets(st.integers(0, 5)),
    chunk=st.integers(1, 7),
    block=st.integers(1, 9),
    portion=st.integers(1, 20),
    piece=st.integers(1, 64),
)
def test_every_position_once_however_it_is_cut(tmp_path_factory, files, known, chunk, block, portion, piece):
    """A content is a letter, 0 to 12 times; none of the sizes changes what comes out, nor how often the kernel runs."""
    root = tmp_path_factory.mktemp("root")
    contents = [bytes([97 + letter]) * times for letter, times in files]
    paths = [root / f"{i}.txt" for i in range(len(files))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    before = [i for i, (letter, _) in enumerate(files) if letter in known]
    with pytest.MonkeyPatch.context() as patch, Cache({"DATADIET_CACHE_DIR": str(root / "cache")}) as cache:
        names = ("_BLOCK", "_PORTION_BYTES", "_PIECE_BYTES", "_PENDING_BYTES", "_DIGESTS_AT_ONCE", "_LOOKS_AT_ONCE")
        for name, value in zip(names, (block, portion, piece, piece, chunk, chunk), strict=True):
            patch.setattr(cached, name, value)
        rows_of([paths[i] for i in before], cache)
        assert len(SEEN) == len({contents[i] for i in before})
        found, digests = rows_of(paths, cache, chunk=chunk)
        assert found.tolist() == [row_of(content) for content in contents]
        assert [digest.tobytes() for digest in digests] == [xxhash.xxh3_128_digest(content) for content in contents]
        assert len(SEEN) == len(set(contents) - {contents[i] for i in before})
