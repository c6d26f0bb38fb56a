"""WebDataset shards in object stores: read by parts, treated as on this machine."""

import http.server
import json
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from datadiet_cli.data import objectfile, transfer
from datadiet_cli.data.objectfile import open_object
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.places import fetch
from datadiet_cli.data.scan import Entry
from datadiet_cli.errors import OutputError
from tests.conftest import report
from tests.data.shards import listed, tar
from tests.data.trees import write
from tests.test_stores import files, held, told, upload


@pytest.fixture
def store():
    """A store that is empty before and after."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


@pytest.fixture
def asked(monkeypatch):
    """Bytes of the parts of objects that were asked for, of whole objects, and objects copied within the store."""
    seen = {"parts": [], "whole": [], "copied": []}
    cat, get, copy = MemoryFileSystem.cat_file, MemoryFileSystem.get_file, MemoryFileSystem.cp_file

    def cat_file(self, path, start=None, end=None, **options):
        seen["parts"].append((self._strip_protocol(path), start, end))
        return cat(self, path, start, end, **options)

    def get_file(self, path, *args, **options):
        seen["whole"].append(self._strip_protocol(path))
        return get(self, path, *args, **options)

    def cp_file(self, one, two, **options):
        seen["copied"].append(self._strip_protocol(two))
        return copy(self, one, two, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", cat_file)
    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    monkeypatch.setattr(MemoryFileSystem, "cp_file", cp_file)
    return seen


def _image(tmp_path, shade, i):
    picture = Image.new("RGB", (24, 24), (shade, 30 + 3 * i, 90))
    picture.paste((255 - shade, 9 * i, 10), (i, 4, i + 5, 12))
    picture.save(tmp_path / "one.png")
    return (tmp_path / "one.png").read_bytes()


@pytest.fixture
def shards(tmp_path):
    """Two classes in a shard each, a copy in the second, one shard to test, and a file beside them."""

    def sample(key, shade, i, label):
        return [(f"{key}.png", _image(tmp_path, shade, i)), (f"{key}.cls", label), (f"{key}.json", b'{"k": 1}')]

    dark = [sample(f"d{i:02d}", 20, i, b"dark\n") for i in range(14)]
    light = [sample(f"l{i:02d}", 230, i % 9, b"light\n") for i in range(10)]
    made = {
        "train-0.tar": tar(member for one in dark for member in one),
        "more/train-1.tar": tar(member for one in light for member in one),
        "test-0.tar": tar(sample("t", 20, 23, b"dark\n")),
        "README.md": "Pictures.\n",
    }
    return write(tmp_path / "in", made)


def test_are_treated_as_on_this_machine(store, asked, shards, datadiet, tmp_path):
    upload(store, shards, "/data/in")
    here = datadiet("dedup", shards, tmp_path / "out", "--method", "exact")
    there = datadiet("dedup", "memory://data/in", "memory://data/out", "--method", "exact")
    assert there.code == here.code == 0, there.err
    assert held(store, "/data/out") == files(tmp_path / "out")
    assert held(store, "/data/in") == files(shards)
    document = json.loads(store.cat_file("/data/out.report.json"))
    assert told(document) == told(report(tmp_path / "out"))
    assert document["input"]["layout"] == report(tmp_path / "out")["input"]["layout"]
    # What loses nothing is copied within the store; what does is read by parts.
    assert sorted(asked["copied"]) == ["/data/out/README.md", "/data/out/test-0.tar", "/data/out/train-0.tar"]
    assert datadiet("verify", "memory://data/out").code == 0
    assert datadiet("dedup", "memory://data/in", tmp_path / "mixed", "--method", "exact").code == 0
    assert files(tmp_path / "mixed") == files(tmp_path / "out")
    assert datadiet("restore", "memory://data/out.report.json", tmp_path / "back").code == 0
    assert files(tmp_path / "back") == files(tmp_path / "out")


def test_samples_are_read_together_and_no_second_time(store, asked, shards, datadiet):
    upload(store, shards, "/data/in")
    assert datadiet("dedup", "memory://data/in", "--dry-run").code == 0
    # Once for the headers, once for the samples.
    assert Counter(path for path, *_ in asked["parts"]) == {
        f"/data/in/{name}": 2 for name in ("train-0.tar", "more/train-1.tar", "test-0.tar")
    }
    assert not asked["whole"]
    asked["parts"].clear()
    assert datadiet("dedup", "memory://data/in", "memory://data/out", "--seed", 1, "--method", "phash").code == 0
    headers = {("/data/in/" + name, 0, len(data)) for name, data in files(shards).items() if name.endswith(".tar")}
    # ... and the rest of the one that changes.
    assert set(asked["parts"]) <= headers
    assert (
        "up to date" in datadiet("dedup", "memory://data/in", "memory://data/out", "--seed", 1, "--method", "phash").err
    )


def test_a_shard_that_changes_is_noticed(store, shards, datadiet, tmp_path):
    upload(store, shards, "/data/in")
    dataset = open_dataset("memory://data/in")
    places = dataset.source.paths(dataset.rows)
    # Of the same length, and other bytes.
    store.pipe_file("/data/in/train-0.tar", (shards / "train-0.tar").read_bytes()[::-1])
    wanted = {place: str(tmp_path / str(number)) for number, place in enumerate(places)}
    fetch(wanted)
    there = {name for name in dataset.ids if not name.startswith("train-0.tar/")}
    found = {name for name, target in zip(dataset.ids, wanted.values(), strict=True) if Path(target).exists()}
    assert found == there
    (tmp_path / "new").mkdir()
    with pytest.raises(OutputError, match=r"^memory:/+data/in/train-0\.tar: changed since it was read"):
        dataset.source.write(
            dataset.rows[dataset.rows != dataset.ids.index("train-0.tar/d03.png")], tmp_path / "new", "copy"
        )
    assert datadiet("dedup", "memory://data/in", "--dry-run").complaint.startswith("memory:///data/in/train-0.tar: ")
    store.pipe_file("/data/in/train-0.tar", tar([("a.png", _image(tmp_path, 1, 1)), ("a.cls", b"dark")]))
    assert "a.png" in datadiet("dedup", "memory://data/in", "--dry-run", "--list", "kept").out.decode()


def test_labels_and_new_samples_are_written_as_on_this_machine(store, shards, tmp_path):
    upload(store, shards, "/data/in")
    (tmp_path / "made.png").write_bytes(_image(tmp_path, 100, 3))
    for name, path in (("here", str(shards)), ("there", "memory://data/in")):
        dataset = open_dataset(path)
        one, other = dataset.ids.index("train-0.tar/d03.png"), dataset.ids.index("test-0.tar/t.png")
        source = dataset.source.with_labels({one: "odd", dataset.ids.index("more/train-1.tar/l05.png"): "dark"})
        # One of the same shard, one of another, and a file.
        contents = [*source.paths(np.array([one, other])), str(tmp_path / "made.png")]
        entries = [Entry(name, 9, 0) for name in source.free_names([one] * 3, [".png"] * 3)]
        source = source.with_samples(entries, contents, [one] * 3)
        rows = np.delete(np.arange(len(source.samples)), [0, one + 1])
        (tmp_path / name).mkdir()
        source.write(rows, str(tmp_path / name), "copy")
    found = files(tmp_path / "there")
    assert found == files(tmp_path / "here")
    assert dict(listed(found["more/train-1.tar"]))["l05.cls"] == b"dark\n"
    assert dict(listed(found["train-0.tar"]))["d03-new-2.png"] == _image(tmp_path, 20, 23)
    assert found["test-0.tar"] == (shards / "test-0.tar").read_bytes()


def test_one_shard_may_be_input(store, shards, datadiet, tmp_path):
    upload(store, shards, "/data")
    for name, shard in (("fewer", "more/train-1.tar"), ("same", "test-0.tar")):
        here = datadiet("dedup", shards / shard, tmp_path / f"{name}.tar", "--method", "exact")
        there = datadiet("dedup", f"memory://data/{shard}", f"memory://data/{name}.tar", "--method", "exact")
        assert there.code == here.code == 0, there.err
        assert store.cat_file(f"/data/{name}.tar") == (tmp_path / f"{name}.tar").read_bytes()
        document = json.loads(store.cat_file(f"/data/{name}.tar.report.json"))
        assert told(document) == told(report(tmp_path / f"{name}.tar"))
        assert datadiet("verify", f"memory://data/{name}.tar").code == 0
    assert store.cat_file("/data/same.tar") == (shards / "test-0.tar").read_bytes()


def test_workers_fetch_for_themselves(shards, datadiet, tmp_path):
    for name in ("serial", "processes"):
        how = ["--engine", name, "--no-cache", "--workers", 2, "--method", "exact"]
        assert datadiet("dedup", f"local://{shards}", f"local://{tmp_path}/{name}", *how).code == 0
    assert files(tmp_path / "serial") == files(tmp_path / "processes")
    assert listed(tmp_path / "serial" / "test-0.tar") == listed(shards / "test-0.tar")


def test_a_damaged_shard_is_named(store, shards, datadiet):
    upload(store, shards, "/data/in")
    store.pipe_file("/data/in/train-0.tar", (shards / "train-0.tar").read_bytes()[:5000])
    line = datadiet("dedup", "memory://data/in", "memory://data/out").complaint
    assert line.startswith("memory:///data/in/train-0.tar: ends in the middle of")
    assert not store.exists("/data/out")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Say nothing of a client that wants no more."""


def test_a_server_that_gives_no_parts_is_refused(shards, datadiet):
    pytest.importorskip("aiohttp")
    (shards / "long.tar").write_bytes(tar([("a.txt", b"x" * 600_000), ("b.txt", b"y")]))
    with _Server(("127.0.0.1", 0), partial(_Quiet, directory=shards)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ran = datadiet("inspect", f"http://127.0.0.1:{server.server_port}/long.tar?token=secret")
        server.shutdown()
    assert ran.code == 2
    assert ran.complaint.endswith("the server gives whole files, and no parts of them; copy it here")
    assert "secret" not in ran.err


def test_an_object_is_read_by_growing_parts_and_long_members_are_left_out(store, asked, monkeypatch):
    monkeypatch.setattr(objectfile, "_FIRST", 1000)
    monkeypatch.setattr(objectfile, "_LONGEST", 4000)
    monkeypatch.setattr(objectfile, "_NEAR", 500)
    content = bytes(np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8))
    store.pipe_file("/data/object", content)
    with open_object("memory://data/object", len(content)) as file:
        assert file.read(14_000) == content[:14_000]
        grown = [end - start for _, start, end in asked["parts"]]
        assert grown == sorted(grown)
        assert max(grown) == 4000
        asked["parts"].clear()
        file.seek(30_000)
        assert file.read(10) == content[30_000:30_010]
        assert asked["parts"] == [("/data/object", 30_000, 31_000)]
        assert file.seek(0, 2) == len(content)
        assert file.read(5) == b""


def test_spans_that_lie_near_each_other_are_fetched_together(store, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "_NEAR", 10)
    monkeypatch.setattr(transfer, "_RUN", 100)
    content = bytes(range(250))
    store.pipe_file("/data/object", content)
    spans = [(200, 45), (1, 30), (40, 20), (65, 0), (65, 40), (150, 5), (106, 3)]
    wanted = [transfer.Span("memory://data/object", *span) for span in spans]
    transfer.fetch([(span, str(tmp_path / str(number))) for number, span in enumerate(wanted)])
    for number, (start, size) in enumerate(spans):
        assert (tmp_path / str(number)).read_bytes() == content[start : start + size]
    assert sorted((start, end) for _, start, end in asked["parts"]) == [(1, 65), (65, 109), (150, 155), (200, 245)]
    asked["parts"].clear()
    transfer.fetch([(transfer.Span("memory://data/object", 10, 235), str(tmp_path / "long"))])
    assert (tmp_path / "long").read_bytes() == content[10:245]
    assert len(asked["parts"]) == 3
