"""INPUT and OUTPUT in object stores: what lies there is treated as on this machine, and nothing is half there."""

import http.server
import json
import os
import shutil
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from datadiet_cli.data import stores, transfer
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.places import Place
from datadiet_cli.errors import InputError
from tests.conftest import report, save

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "sample_data" / "images"


@pytest.fixture
def memory():
    """A store that is empty before and after."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture
def fetched(monkeypatch):
    """How often each object was fetched."""
    seen = Counter()
    real = MemoryFileSystem.get_file

    def counting(self, path, *args, **options):
        seen[self._strip_protocol(path)] += 1
        return real(self, path, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counting)
    return seen


def upload(store, source, name):
    """Put a folder or a file of this machine into a store."""
    for path in [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]:
        store.pipe_file(f"{name}/{path.relative_to(source)}" if path != source else name, path.read_bytes())


def held(store, name):
    """What there is in a store below a name."""
    return {path.removeprefix(f"{name}/"): store.cat_file(path) for path in store.find(f"{name}/")}


def files(root):
    """What there is in a folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def told(document):
    """Of a report what must not depend on where things lie."""
    fingerprints = document["input"]["fingerprint"], document["output"]["fingerprint"]
    return document["verdicts"], document["figures"], document["digests"], *fingerprints


def coco(root):
    """A folder with COCO annotations."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(4)]
    boxes = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [1, 1, 9, 9], "area": 81} for i in range(4)]
    for i, seed in enumerate((1, 2, 1, 3)):
        save(root / "images" / f"{i}.png", seed)
    (root / "labels").mkdir()
    kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    document = {"images": images, "annotations": boxes, "categories": kinds}
    (root / "annotations.json").write_text(json.dumps(document))
    return root


def yolo(root):
    """A folder with YOLO labels."""
    for i, seed in enumerate((1, 2, 1, 3)):
        save(root / "images" / "train" / f"{i}.png", seed)
    (root / "labels" / "train").mkdir(parents=True)
    for i in range(4):
        (root / "labels" / "train" / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n")
    (root / "notes.pdf").write_bytes(b"%PDF anything")
    return root


def texts(root):
    """A folder of texts in classes, with a copy."""
    for name in ("a/one", "a/two", "b/three"):
        path = root / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(f"{name}{number * number}" for number in range(40)))
    shutil.copy(root / "a" / "one.txt", root / "a" / "same.txt")
    return root


@pytest.mark.parametrize("make", [coco, yolo, texts, lambda root: shutil.copytree(IMAGES / "test", root)])
def test_a_folder_in_a_store_is_treated_as_on_this_machine(tmp_path, memory, datadiet, make):
    source = make(tmp_path / "in")
    upload(memory, source, "/data/in")
    before = held(memory, "/data/in")
    arguments = ["--method", "phash"] if make is not texts else []
    there = datadiet("dedup", "memory://data/in", "memory://data/out", *arguments)
    here = datadiet("dedup", source, tmp_path / "out", *arguments)
    assert there.code == here.code == 0, there.err
    assert held(memory, "/data/out") == files(tmp_path / "out")
    document = json.loads(memory.cat_file("/data/out.report.json"))
    assert told(document) == told(report(tmp_path / "out"))
    assert document["output"]["path"] == "memory://data/out"
    assert document["input"]["path"] == "memory://data/in"
    assert held(memory, "/data/in") == before
    assert datadiet("verify", "memory://data/out").code == 0
    assert datadiet("dedup", "memory://data/in", tmp_path / "mixed", *arguments).code == 0
    assert files(tmp_path / "mixed") == files(tmp_path / "out")


def test_a_table_in_a_store(tmp_path, memory, datadiet):
    upload(memory, ROOT / "sample_data" / "table.csv", "/data/table.csv")
    there = datadiet("dedup", "memory://data/table.csv", "memory://data/out.csv")
    here = datadiet("dedup", ROOT / "sample_data" / "table.csv", tmp_path / "out.csv")
    assert there.code == here.code == 0, there.err
    assert memory.cat_file("/data/out.csv") == (tmp_path / "out.csv").read_bytes()
    assert told(json.loads(memory.cat_file("/data/out.csv.report.json"))) == told(report(tmp_path / "out.csv"))
    again = datadiet("dedup", "memory://data/table.csv", "memory://data/out.csv")
    assert "up to date" in again.err
    assert datadiet("verify", "memory://data/out.csv").code == 0
    wrong = datadiet("dedup", "memory://data/table.csv", "memory://data/out.tsv")
    assert (
        wrong.complaint == "memory://data/out.tsv: OUTPUT keeps the format of INPUT; give it a name that ends in .csv"
    )
    memory.pipe_file("/data/bad.csv", b"a,b\n1,2,3\n")
    assert datadiet("dedup", "memory://data/bad.csv", "--dry-run").complaint.startswith("memory://data/bad.csv:2: ")


def test_every_object_is_fetched_once_and_no_second_time(tmp_path, memory, datadiet, fetched):
    for number in range(6):
        save(tmp_path / f"{number}.png", number)
    upload(memory, tmp_path, "/data/in")
    assert datadiet("dedup", "memory://data/in", "memory://data/out").code == 0
    assert {name: times for name, times in fetched.items() if name.endswith(".png")} == {
        f"/data/in/{number}.png": 1 for number in range(6)
    }
    fetched.clear()
    assert datadiet("dedup", "memory://data/in", "memory://data/other", "--seed", "1").code == 0
    assert not [name for name in fetched if name.endswith(".png")]
    save(tmp_path / "3.png", 2)
    memory.pipe_file("/data/in/3.png", (tmp_path / "3.png").read_bytes())
    changed = datadiet("dedup", "memory://data/in", "memory://data/third", "--list", "dropped")
    assert changed.ids == ["3.png"]
    assert [name for name in fetched if name.endswith(".png")] == ["/data/in/3.png"]
    assert "exists already" in datadiet("dedup", "memory://data/in", "memory://data/out").complaint


def test_an_object_that_vanishes_is_unreadable_and_named(memory, datadiet, tmp_path, monkeypatch):
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
    upload(memory, tmp_path, "/data/in")
    listed = stores.list_objects

    def then_gone(url):
        found = listed(url)
        memory.store.pop("/data/in/1.png", None)
        return found

    monkeypatch.setattr(stores, "list_objects", then_gone)
    ran = datadiet("dedup", "memory://data/in", "--dry-run", "--no-cache")
    assert ran.code == 3
    assert "1.png: unreadable: unreachable" in ran.err


@pytest.mark.parametrize("failure", [OSError(28, "No space left in the store"), KeyboardInterrupt()])
def test_what_cannot_be_sent_leaves_nothing(memory, datadiet, tmp_path, monkeypatch, failure):
    upload(memory, texts(tmp_path / "in"), "/data/in")
    real, calls = MemoryFileSystem.cp_file, []

    def failing(self, one, two, **options):
        calls.append(two)
        if len(calls) > 2:
            raise failure
        return real(self, one, two, **options)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", failing)
    ran = datadiet("dedup", "memory://data/in", "memory://data/out", "--html")
    assert ran.code == (2 if isinstance(failure, OSError) else 130)
    said = "No space left in the store" if isinstance(failure, OSError) else "interrupted"
    assert ran.complaint.endswith(f"{said}; nothing was published")
    assert not [path for path in memory.find("/") if path.startswith("/data/out")]
    assert not memory.exists("/data/out")


def test_force_replaces_and_clears_away_what_is_left_over(memory, datadiet, tmp_path):
    upload(memory, texts(tmp_path / "in"), "/data/in")
    memory.pipe_file("/data/out/stranger.txt", b"mine")
    refused = datadiet("dedup", "memory://data/in", "memory://data/out")
    assert refused.complaint == "memory://data/out: exists already; name another OUTPUT or pass --force to replace it"
    assert held(memory, "/data/out") == {"stranger.txt": b"mine"}
    assert datadiet("dedup", "memory://data/in", "memory://data/out", "--force").code == 0
    assert sorted(held(memory, "/data/out")) == ["a/one.txt", "a/two.txt", "b/three.txt"]
    memory.pipe_file("/data/out.weights.csv", b"somebody else's")
    memory.pipe_file("/data/outer/kept.txt", b"a neighbour")
    memory.rm_file("/data/in/a/two.txt")
    assert datadiet("dedup", "memory://data/in", "memory://data/out", "--force").code == 0
    assert sorted(held(memory, "/data/out")) == ["a/one.txt", "b/three.txt"]
    assert memory.cat_file("/data/out.weights.csv") == b"somebody else's"
    assert memory.exists("/data/outer/kept.txt")


def test_what_stands_beside_a_report_is_read_and_replaced_with_it(memory, datadiet, tmp_path):
    """Very many verdicts and digests are files of their own."""
    upload(memory, texts(tmp_path / "in"), "/data/in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datadiet_cli.report.build.INLINE_VERDICTS", 0)
        patch.setattr("datadiet_cli.digestfile.INLINE", 0)
        assert datadiet("dedup", "memory://data/in", "memory://data/out").code == 0
        there = {"/data/out.digests.parquet", "/data/out.verdicts.parquet", "/data/out.report.json"}
        assert there <= set(memory.find("/data/"))
        assert datadiet("verify", "memory://data/out").code == 0
        assert b"a copy" in datadiet("explain", "memory://data/out.report.json", "a/same.txt").out
        again = datadiet("dedup", "memory://data/in", "memory://data/out", "--json")
        assert [row["id"] for row in json.loads(again.out)["verdicts"]] == ["a/same.txt"]
        assert "up to date" in again.err
    assert datadiet("dedup", "memory://data/in", "memory://data/out", "--rerun").code == 0
    assert there & set(memory.find("/data/")) == {"/data/out.report.json"}


REFUSED = [
    (["memory://data/in", "memory://data/in/deeper"], "OUTPUT lies inside INPUT"),
    (["memory://data/in", "MEMORY://data//in/"], "name the folder or file itself"),
    (["memory://data/in", "Memory:///data/in"], "OUTPUT is INPUT"),
    (["memory://data/in", "memory://data"], "name the folder or file itself"),
    (["memory://data/in", "https://example.com/out"], "can only be read"),
    (["memory://data/in", "memory://data/out", "--link", "hardlink"], "use copy"),
    (["memory://data/in", "--dry-run", "--engine", "processes"], "--engine threads"),
    (["memory://data/none", "--dry-run"], "does not exist, or is empty"),
    (["memory://data/in/a/one.txt", "--dry-run"], "unknown kind of file"),
    (["nonsense://data/in", "--dry-run"], "nonsense"),
    (["ftp://me:secret@host/in", "--dry-run"], "password"),
]


@pytest.mark.parametrize(("arguments", "why"), REFUSED)
def test_what_is_refused(memory, datadiet, tmp_path, arguments, why):
    upload(memory, texts(tmp_path / "in"), "/data/in")
    before = dict(memory.store)
    ran = datadiet("dedup", *arguments)
    assert ran.code == 2
    assert why in ran.complaint
    assert "secret" not in ran.err
    assert memory.store.keys() == before.keys()


@pytest.mark.parametrize(
    ("scheme", "module", "package"),
    [("s3", "s3fs", "s3fs"), ("gs", "gcsfs", "gcsfs"), ("abfs", "adlfs", "adlfs"), ("https", "aiohttp", "aiohttp")],
)
def test_a_missing_package_is_one_line(datadiet, monkeypatch, scheme, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    line = datadiet("dedup", f"{scheme}://bucket/in", "--dry-run").complaint
    assert line.startswith(f"{scheme}://bucket/in: {scheme}:// needs {package}: pip install ")


def test_names_that_no_file_can_have_are_told_and_lead_nowhere(memory, datadiet, tmp_path):
    """The names of objects are any text; some would lead out of a folder, or hide each other."""
    good = ["a b/[x]*?.txt", "a b/::.txt", "ü/\u202e<img onerror>.txt", "c/" + "d" * 150 + ".txt"]
    bad = ["../out.txt", "a/../../b.txt", "x//y.txt", "./z.txt"]
    for number, name in enumerate([*good, *bad]):
        memory.pipe_file("/made", " ".join(f"{name}{number * i}" for i in range(40)).encode())
        memory.store[f"/data/in/{name}"] = memory.store.pop("/made")
    dataset = open_dataset("memory://data/in")
    causes = [dataset.ids[row] for row in dataset.source.causes()]
    assert sorted([*causes, *dataset.source.facts()["skipped"]]) == sorted(bad)
    ran = datadiet("dedup", "memory://data/in", tmp_path / "out")
    assert ran.code == 3, ran.err
    assert sorted(files(tmp_path / "out")) == sorted(good)
    assert sorted(os.listdir(tmp_path)) == ["out", "out.report.json"]


def test_an_object_with_others_below_it_is_told(monkeypatch, memory):
    """A store may hold both, and a folder cannot."""
    memory.pipe_file("/data/in/both.txt/below.txt", b"below")
    objects = stores.list_objects("memory://data/in")
    both = objects[0]._replace(name="both.txt", url="memory://data/in/both.txt")
    monkeypatch.setattr(stores, "list_objects", lambda _: [both, *objects])
    dataset = open_dataset("memory://data/in")
    assert dataset.source.causes() == {0: "no-file-name"}
    assert dataset.ids == ["both.txt", "both.txt/below.txt"]


def test_workers_fetch_for_themselves(tmp_path, datadiet):
    """The local protocol stands for a store that every worker sees."""
    source = shutil.copytree(IMAGES / "test", tmp_path / "in")
    found = [
        datadiet(
            "dedup", f"local://{source}", f"local://{tmp_path}/{name}", "--engine", name, "--no-cache", "--workers", 2
        )
        for name in ("serial", "processes")
    ]
    assert [ran.code for ran in found] == [0, 0], found[0].err
    assert files(tmp_path / "serial") == files(tmp_path / "processes")
    assert told(report(tmp_path / "serial")) == told(report(tmp_path / "processes"))


def test_a_pipeline_whose_steps_change_and_make_samples(memory, datadiet, tmp_path):
    """Made, moved and left samples come together, intermediate results and the page too."""
    for split, number in (("train", 9), ("test", 2)):
        for kind, count in (("digit_0", number), ("object", number // 2)):
            for path in sorted((IMAGES / split / kind).iterdir())[:count]:
                (tmp_path / "in" / split / kind).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / "in" / split / kind)
    upload(memory, tmp_path / "in", "/data/in")
    plan = tmp_path / "plan.yaml"
    steps = ["dedup: {method: phash}", "balance: {target: max, over: augment}", "balance: {target: 8, over: repeat}"]
    plan.write_text("steps:\n" + "".join(f"  - {step}\n" for step in steps))
    options = ["--keep-intermediate", "--html"]
    there = datadiet("run", plan, "--input", "memory://data/in", "--output", "memory://data/out", *options)
    here = datadiet("run", plan, "--input", tmp_path / "in", "--output", tmp_path / "out", *options)
    assert there.code == here.code == 0, there.err
    assert held(memory, "/data/out") == files(tmp_path / "out")
    assert held(memory, "/data/out.after-1-dedup") == files(tmp_path / "out.after-1-dedup")
    assert b"<html" in memory.cat_file("/data/out.report.html")
    assert datadiet("verify", "memory://data/out").code == 0
    assert datadiet("restore", "memory://data/out.report.json", tmp_path / "back").code == 0
    assert files(tmp_path / "back") == files(tmp_path / "out")
    memory.pipe_file(f"/data/out/{next(iter(held(memory, '/data/out')))}", b"other")
    assert datadiet("verify", "memory://data/out").code == 1


def test_force_replaces_what_lies_between_the_steps(memory, datadiet, tmp_path, monkeypatch):
    """A sample that is new in no earlier result would stay there for ever; and a failure takes back nothing old."""
    upload(memory, texts(tmp_path / "in"), "/data/in")
    memory.pipe_file("/data/out.after-1-dedup/a/old.txt", b"old")
    memory.pipe_file("/data/out.after-1-dedup/a/one.txt", b"old")
    plan = tmp_path / "plan.yaml"
    plan.write_text("steps: [{dedup: {}}, {denoise: {}}]\n")
    arguments = ["run", plan, "--input", "memory://data/in", "--output", "memory://data/out", "--keep-intermediate"]
    real = MemoryFileSystem.cp_file

    def failing(self, one, two, **options):
        if two.startswith("/data/out/"):
            raise OSError(28, "No space left in the store")
        return real(self, one, two, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "cp_file", failing)
        assert datadiet(*arguments, "--force").code == 2
    assert sorted(held(memory, "/data/out.after-1-dedup")) == ["a/old.txt", "a/one.txt"]
    ran = datadiet(*arguments, "--force")
    assert ran.code == 0, ran.err
    assert sorted(held(memory, "/data/out.after-1-dedup")) == ["a/one.txt", "a/two.txt", "b/three.txt"]


@pytest.mark.parametrize("inside", ["", "deeper"])
@pytest.mark.parametrize("output", [["--dry-run"], ["out"]])
def test_temporary_files_do_not_go_where_is_read(datadiet, tmp_path, monkeypatch, inside, output):
    monkeypatch.chdir(tmp_path)
    texts(tmp_path / "in")
    shutil.copytree(tmp_path / "in", tmp_path / "other")
    (tmp_path / "link").symlink_to("in")
    for shared, what in (("in", "INPUT"), ("link", "INPUT"), ("other", "other")):
        (tmp_path / shared / inside).mkdir(exist_ok=True)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        place = str(Path(shared, inside))
        ran = datadiet("dedup", "in", *output, "--against", "other", "--shared-dir", place, "--engine", "processes")
        assert ran.code == 2
        assert ran.complaint == f"--shared-dir {place}: lies in {what}, which is never written to; name another folder"
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_store_that_does_not_answer_is_not_empty(memory, datadiet, tmp_path, monkeypatch):
    """To take it for one would replace what is there."""
    source = texts(tmp_path / "in")
    memory.pipe_file("/data/out/mine.txt", b"mine")

    def refusing(self, path, **_):
        raise OSError(13, "the store refuses")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "info", refusing)
        ran = datadiet("dedup", source, "memory://data/out")
    assert ran.code == 2
    assert "the store refuses" in ran.complaint
    assert held(memory, "/data/out") == {"mine.txt": b"mine"}
    assert stores.kind_of("memory://data/out") == "folder"
    assert stores.kind_of("memory://data/out/mine.txt") == "file"
    assert stores.kind_of("memory://data/none") is None
    assert stores.kind_of(f"file://{source}/a/one.txt/below") is None


@pytest.mark.parametrize(("code", "ends"), [("AccessDenied", False), ("ExpiredToken", True)])
def test_an_object_of_s3_that_may_not_be_read_is_unreadable(memory, tmp_path, monkeypatch, code, ends):
    """The library of S3 calls both a PermissionError without a number; keys that are too old are all objects' fate."""

    class RefusedError(Exception):
        response = {"Error": {"Code": code}}  # noqa: RUF012 - as botocore has it

    def refusing(self, path, *_, **__):
        raise PermissionError(code) from RefusedError()

    memory.pipe_file("/data/one", b"0123456789")
    monkeypatch.setattr(MemoryFileSystem, "get_file", refusing)
    monkeypatch.setattr(MemoryFileSystem, "cat_file", refusing)
    wanted = [(transfer.Span("memory://data/one", offset, 4), str(tmp_path / str(offset))) for offset in (0, 3)]
    for span in wanted:
        if ends:
            with pytest.raises(OSError, match=code):
                transfer.fetch([span])
        else:
            transfer.fetch([span])
    assert not [path for path in files(tmp_path) if not ends]


def test_names_that_are_too_long_for_a_file(memory, datadiet, tmp_path):
    memory.pipe_file("/data/in/a/good.txt", b"some words that stand here")
    for name in ("n" * 256 + ".txt", "ü" * 130 + "/x.txt"):
        memory.store[f"/data/in/{name}"] = memory.store["/data/in/a/good.txt"]
    ran = datadiet("dedup", "memory://data/in", tmp_path / "out")
    assert ran.code == 3, ran.err
    assert sorted(files(tmp_path / "out")) == ["a/good.txt"]
    memory.pipe_file("/data/" + "t" * 300 + ".csv", b"x,y\n1,2\n1,2\n")
    assert datadiet("dedup", "memory://data/" + "t" * 300 + ".csv", tmp_path / "out.csv").code == 0


@pytest.mark.parametrize(
    ("url", "same", "other"),
    [
        ("memory://data/in", "Memory:///data//in/", "memory://other/in"),
        ("hosted://me@HostA/x", "hosted://hosta//x/", "hosted://hostB/x"),
        ("http://host/x.csv", "HTTP://host/x.csv", "http://other/x.csv"),
    ],
)
def test_places_on_two_hosts_are_two(memory, monkeypatch, url, same, other):
    """Of the stores whose paths are without their host."""

    class Hosted(MemoryFileSystem):
        protocol = "hosted"

        @classmethod
        def _strip_protocol(cls, path):
            return "/" + path.partition("://")[2].partition("/")[2].strip("/")

    pytest.importorskip("aiohttp")
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "hosted", Hosted)
    assert stores.canonical(url) == stores.canonical(same) != stores.canonical(other)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def send_head(self):
        """Refuse some."""
        if "refused" in self.path:
            return self.send_error(503, "busy")
        return super().send_head()


def test_a_table_from_a_web_server(tmp_path, datadiet):
    pytest.importorskip("aiohttp")
    proving = ["--seeds", "2", "--bootstrap", "100", "--model", "linear", "--label", "label"]
    shutil.copy(ROOT / "sample_data" / "table.csv", tmp_path / "table.csv")
    points = "".join(f"{i * i % 31 / 7:.3f},{'ab'[i * i % 31 > 12]}\n" for i in range(60))
    (tmp_path / "points.csv").write_text(f"x,label\n{points}")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/table.csv?token=a%2Fsecret"
        ran = datadiet("dedup", url, tmp_path / "out.csv")
        gone = datadiet("dedup", url.replace("table", "nothing"), "--dry-run")
        busy = datadiet("dedup", url.replace("table", "refused"), "--dry-run")
        held = datadiet("dedup", tmp_path / "table.csv", tmp_path / "rest.csv", "--against", url, "--html")
        before = url.replace("table", "points")
        proof = datadiet("evaluate", tmp_path / "points.csv", tmp_path / "proof.json", "--against", before, *proving)
        server.shutdown()
    silent = datadiet("dedup", url, "--dry-run")
    assert ran.code == 0, ran.err
    assert datadiet("dedup", tmp_path / "table.csv", tmp_path / "same.csv").code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "same.csv").read_bytes()
    assert "secret" not in (tmp_path / "out.csv.report.json").read_text() + ran.err + gone.err
    assert (gone.code, busy.code, silent.code) == (2, 2, 2)
    assert "does not exist" in gone.complaint
    assert "503" in busy.complaint
    assert "does not exist" not in busy.complaint + silent.complaint
    assert "secret" not in busy.err + silent.err
    assert (held.code, proof.code) == (0, 0), held.err + proof.err
    made = [path for path in tmp_path.iterdir() if path.name.startswith(("rest", "proof"))]
    assert {"rest.csv.report.json", "rest.csv.report.html", "proof.json"} <= {path.name for path in made}
    assert not [path.name for path in made if b"secret" in path.read_bytes()]
    assert "secret" not in held.err + proof.err


def test_spans_of_objects_and_what_is_no_longer_as_long(memory, tmp_path):
    for name in ("one", "two", "three"):
        memory.pipe_file(f"/data/{name}", b"0123456789")
    transfer.fetch(
        [
            (transfer.Span("memory://data/one", 3, 4), str(tmp_path / "part")),
            (transfer.Span("memory://data/two", 0, 10), str(tmp_path / "whole")),
            (transfer.Span("memory://data/three", 0, 9), str(tmp_path / "changed")),
            (transfer.Span("memory://data/none", 2, 9), str(tmp_path / "gone")),
        ]
    )
    assert files(tmp_path) == {"part": b"3456", "whole": b"0123456789"}


def test_a_place_says_the_store_s_own_stamp(memory):
    memory.pipe_file("/data/in/a.txt", b"one")
    (one,) = stores.list_objects("memory://data/in")
    memory.pipe_file("/data/in/a.txt", b"two")
    (two,) = stores.list_objects("memory://data/in")
    assert one.name == two.name == "a.txt"
    assert one.stamp != two.stamp
    dataset = open_dataset("memory://data/in")
    assert Place.of(dataset.source.paths(dataset.rows)[0]).stamp == two.stamp
    with pytest.raises(InputError, match="does not exist"):
        open_dataset("memory://data/other")
