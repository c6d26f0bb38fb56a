"""The digests of a run: those of the bytes, whichever way they were come by, and read back as they were written."""

import json
import os

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.digestfile import (
    BESIDE,
    BOTH,
    INPUT,
    OUTPUT,
    as_json,
    as_parquet,
    contents_in,
    from_json,
    from_parquet,
    rows_of,
)
from datadiet_cli.digests import Content, Differences, compare, contents_at, escaped
from datadiet_cli.encode import filestates
from datadiet_cli.engine import Engine
from tests.conftest import class_folders, report
from tests.data.trees import read, write

NAMES = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=9)
CONTENTS = st.dictionaries(
    NAMES, st.builds(Content, st.integers(0, 9), st.sampled_from(["0" * 32, "1" * 32])), max_size=6
)


def test_are_those_of_the_bytes(tmp_path):
    files = {"a/b.txt": b"one", "c": b"", "d/e/f.bin": bytes(3 << 20)}
    with Engine("threads", 2) as engine:
        found = contents_at(str(write(tmp_path / "in", files)), engine)
        alone = contents_at(str(tmp_path / "in/c"), engine)
        assert contents_at(str(tmp_path / "nothing"), engine) == {}
    assert found == {path: Content(len(b), xxhash.xxh3_128_hexdigest(b)) for path, b in files.items()}
    assert alone == {".": found["c"]}


def test_of_what_is_no_file_there_are_none(tmp_path):
    write(tmp_path / "in", {"a": b"1"})
    os.mkfifo(tmp_path / "in/pipe")
    (tmp_path / "in/nowhere").symlink_to("gone")
    (tmp_path / "in/up").symlink_to("..")
    (tmp_path / "in/same").symlink_to("a")
    with Engine("serial") as engine:
        found = contents_at(str(tmp_path / "in"), engine)
    assert {path for path, content in found.items() if content.digest is None} == {"pipe", "nowhere", "up"}
    assert found["same"] == found["a"]


@given(inside=CONTENTS, published=CONTENTS, beside=CONTENTS)
def test_come_back_as_they_were_written(inside, published, beside):
    rows = rows_of(inside, published, beside)
    if len({(escaped(row[0]), row[3]) for row in rows}) < len(rows) or not rows:
        return
    for told in (from_json(json.loads(json.dumps(as_json(rows)))), from_parquet(as_parquet(rows))):
        for places, files in (((INPUT, BOTH), inside), ((OUTPUT, BOTH), published), ((BESIDE,), beside)):
            assert compare(contents_in(told, *places), files) == Differences([], [], [])


@given(before=CONTENTS, after=CONTENTS)
def test_every_difference_is_of_one_sort(before, after):
    expected = {escaped(path): content for path, content in before.items()}
    found = {escaped(path): content for path, content in after.items()}
    missing, changed, added = compare(expected, after)
    assert set(missing) == expected.keys() - found.keys()
    assert set(added) == found.keys() - expected.keys()
    assert set(changed) == {path for path in expected.keys() & found.keys() if expected[path] != found[path]}


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_that_are_remembered_are_those_that_are_read(link, tmp_path, datadiet, monkeypatch):
    monkeypatch.setattr(filestates, "_RACY_NS", -1)
    source = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 1, "dog/c.png": 2})
    (source / "notes.md").write_text("kept")
    assert datadiet("dedup", source, tmp_path / "read", "--link", link, "--no-cache").code == 0
    # The first run fills what is remembered; linking changes the state of the files, so that it does so again.
    for name in ("first", "second"):
        assert datadiet("dedup", source, tmp_path / name, "--link", link).code == 0
        assert report(tmp_path / name)["digests"] == report(tmp_path / "read")["digests"]
    hashed = {path: xxhash.xxh3_128_hexdigest(content) for path, content in read(source).items()}
    assert {file["path"]: file["digest"] for file in report(tmp_path / "second")["digests"]["files"]} == hashed
