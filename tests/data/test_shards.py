import io
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.data.changed import NewFile, free_names, relabelled, with_files
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.places import Place, here, stamp_of
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.shardscan import Asked, index_shard
from datadiet_cli.data.tarindex import TarError, members
from datadiet_cli.encode.content import digest_files
from datadiet_cli.errors import InputError, OutputError
from tests.data.shards import keys, listed, tar
from tests.data.trees import labels_of, read, write

_NAMES = st.text(st.characters(codec=None, exclude_characters="\0/"), min_size=1, max_size=120)
_FORMS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


def _written(folder, rows, out):
    """The shards of a dataset with some of its samples, written to a new folder."""
    dataset = open_dataset(str(folder))
    os.mkdir(out)
    dataset.source.write(dataset.rows[rows], str(out), "copy")
    return dataset


def _pax(**headers):
    """A member with headers of an extension that may be false."""
    info = tarfile.TarInfo("0.jpg")
    info.pax_headers = headers
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)


_FETCHING = """
import os, signal, sys
from datadiet_cli.data.places import Place, here, stamp_of
status = os.stat(sys.argv[1])
place = Place(sys.argv[1], ".txt", 0, status.st_size, stamp_of(status.st_size, status.st_mtime_ns))
with here([place.text()], open) as (path,):
    print(os.path.dirname(path), flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _grown(dataset, out):
    """The only shard of a dataset that was changed, written to a new folder."""
    os.mkdir(out)
    dataset.source.write(dataset.rows, str(out), "copy")
    return out / "s.tar"


def _copied(dataset, rows):
    """The dataset with copies of some of its samples."""
    paths = dict(zip(dataset.rows.tolist(), dataset.source.paths(dataset.rows), strict=True))
    names = free_names(dataset, rows, [os.path.splitext(dataset.source.samples[row].path)[1] for row in rows])
    return with_files(dataset, [NewFile(row, name, paths[row]) for row, name in zip(rows, names, strict=True)])


class TestMembers:
    @given(
        st.lists(st.tuples(_NAMES.filter(lambda n: n.strip("/.")), st.one_of(st.none(), st.binary(max_size=1100)))),
        _FORMS,
    )
    def test_are_those_that_tarfile_sees(self, content, form):
        # tarfile itself cannot write what is no text in any encoding that it was told of.
        content = [(os.fsdecode(name.encode("utf-8", "replace")), data) for name, data in content]
        shard = tar(content, form)
        with tarfile.open(fileobj=io.BytesIO(shard)) as archive:
            expected = [(m.name, m.isreg(), m.offset, m.offset_data, m.size) for m in archive]
        found = list(members(io.BytesIO(shard)))
        assert [(m.name.rstrip("/"), m.regular, m.start, m.offset, m.size) for m in found] == [
            (name.rstrip("/"), *rest) for name, *rest in expected
        ]

    def test_names_need_not_be_utf8(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo("\xe9.jpg"))
        (member,) = members(io.BytesIO(buffer.getvalue()))
        assert os.fsencode(member.name) == b"\xe9.jpg"

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda shard: b"", "has no bytes"),
            (lambda shard: b"\x1f\x8b" + shard[2:], "compressed (gzip)"),
            (lambda shard: b"no tar file at all", "ends in the middle of a header"),
            (lambda shard: b"x" * 1024, "is no tar file"),
            (lambda shard: shard[:700], "ends in the middle of 0.jpg"),
            (lambda shard: shard[:1100], "ends in the middle of a header"),
            (lambda shard: shard[:1030] + b"\1" + shard[1031:], "is damaged at byte 1,024"),
            (lambda shard: shard + shard, "goes on after its end of archive"),
            (lambda shard: _pax(size="9" * 5000), "is damaged at byte"),
        ],
    )
    def test_what_is_spoilt_is_refused(self, spoil, words):
        shard = tar([("0.jpg", bytes(300)), ("1.jpg", b"1")])
        with pytest.raises(TarError, match=words.replace("(", r"\(").replace(")", r"\)")):
            list(members(io.BytesIO(spoil(shard))))

    def test_an_archive_may_lack_its_end(self):
        shard = tar([("0.jpg", b"0")])[:1024]
        assert [member.name for member in members(io.BytesIO(shard))] == ["0.jpg"]

    def test_sparse_members_are_refused(self):
        header = tarfile.TarInfo("0.jpg")
        header.type = tarfile.GNUTYPE_SPARSE
        with pytest.raises(TarError, match="sparse"):
            list(members(io.BytesIO(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))))


class TestKeys:
    def test_go_up_to_the_first_dot_of_the_last_part(self):
        shard = tar([("a.b/c.v2.jpg", b""), ("a.b/c.cls", b"1"), ("a.b/d.jpg", b""), ("e", b""), (".f.jpg", b"")])
        index = index_shard(io.BytesIO(shard), Asked())
        assert index.keys == ["a.b/c", "a.b/d"]
        assert index.sample.tolist() == [0, 0, 1, -1, -1]

    def test_what_lies_between_members_of_a_sample_does_not_part_them(self):
        shard = tar([("a.jpg", b""), ("folder", None), ("__meta__/x.json", b"{}"), ("a.cls", b"1")])
        assert index_shard(io.BytesIO(shard), Asked()).keys == ["a"]

    def test_that_come_again_are_other_samples(self, tmp_path):
        shard = tar([("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3"), ("a.jpg", b"4")])
        folder = write(tmp_path / "in", {"s.tar": shard})
        dataset = open_dataset(str(folder))
        assert dataset.ids == ["s.tar/a.jpg", "s.tar/b.jpg", "s.tar/a~2.jpg", "s.tar/a~3.jpg"]
        _written(folder, [0, 1, 3], tmp_path / "out")
        assert listed(tmp_path / "out" / "s.tar") == [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"4")]

    def test_a_key_and_a_number_may_be_the_key_of_another(self, tmp_path):
        keys = ["a", "a~2", "a", "a", "a~2", "a"]
        shard = tar(pair for key in keys for pair in ((f"{key}.jpg", key.encode()), ("b.jpg", b"b")))
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})))
        assert dataset.ids[::2] == [f"s.tar/{key}.jpg" for key in ("a", "a~2", "a~3", "a~4", "a~2~2", "a~5")]
        assert dataset.ids[-1] == "s.tar/b~6.jpg"


class TestSamples:
    def test_labels_are_those_of_cls_or_of_the_json(self, tmp_path):
        shard = tar(
            [
                *[("a.jpg", b"1"), ("a.cls", b" cat\n"), ("a.json", b'{"label": "dog"}')],
                *[("b.json", b'{"label": 7}'), ("b.jpg", b"2")],
                *[("c.jpg", b"3"), ("c.json", b"{")],
            ]
        )
        folder = write(tmp_path / "in", {"s.tar": shard})
        assert labels_of(folder) == {"s.tar/a.jpg": "cat", "s.tar/b.jpg": "7", "s.tar/c.jpg": None}
        assert open_dataset(str(folder)).source.facts()["unclear_labels"] == 1

    def test_labels_and_splits_may_be_named(self, tmp_path):
        shard = tar(
            [
                *[("a.jpg", b"1"), ("a.kind.txt", b"cat"), ("a.json", b'{"part": "test", "kind": "x"}')],
                *[("b.jpg", b"2"), ("b.json", b'{"part": "train", "kind": "y"}')],
            ]
        )
        folder = write(tmp_path / "in", {"s.tar": shard})
        assert labels_of(folder, label="kind") == {"s.tar/a.jpg": "x", "s.tar/b.jpg": "y"}
        assert labels_of(folder, label=".kind.txt") == {"s.tar/a.jpg": "cat", "s.tar/b.jpg": None}
        assert open_dataset(str(folder), Reading(split="part")).training.tolist() == [False, True]
        for wrong in (Reading(label="nothing"), Reading(split="nothing"), Reading(label_pattern="(z)")):
            with pytest.raises(InputError, match="no sample"):
                open_dataset(str(folder), wrong)

    def test_splits_are_those_of_the_names_of_shards_and_folders(self, tmp_path):
        shard = tar([("a.jpg", b"1")])
        names = ("x-train-000000.tar", "x-val-000000.tar", "test/000.tar", "000.tar")
        dataset = open_dataset(str(write(tmp_path / "in", dict.fromkeys(names, shard))))
        told = dict(zip(dataset.ids, dataset.splits.tolist(), strict=True))
        named = {name: (*dataset.split_names, None)[code] for name, code in told.items()}
        assert named == {
            "000.tar/a.jpg": None,
            "test/000.tar/a.jpg": "test",
            "x-train-000000.tar/a.jpg": "train",
            "x-val-000000.tar/a.jpg": "val",
        }

    @pytest.mark.parametrize(
        ("endings", "kind", "content"),
        [
            (["txt", "JPG", "json"], "image", "JPG"),
            (["seg.png", "jpg"], "image", "jpg"),
            (["flac", "txt"], "audio", "flac"),
            (["txt", "json"], "text", "txt"),
            (["npy", "cls"], "file", "npy"),
        ],
    )
    def test_content_is_an_image_before_a_sound_before_a_text(self, tmp_path, endings, kind, content):
        shard = tar([(f"{key}.{ending}", b"1") for key in "ab" for ending in endings])
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})))
        assert (dataset.kind, dataset.ids) == (kind, [f"s.tar/a.{content}", f"s.tar/b.{content}"])

    @pytest.mark.parametrize(
        ("endings", "label", "kind", "content"),
        [
            (["npy", "txt"], "txt", "file", "npy"),
            (["jpg", "txt"], ".JPG", "text", "txt"),
            (["jpg", "seg.png"], "jpg", "image", "seg.png"),
            (["cls", "json"], None, "file", "json"),
            (["cls", "txt"], "txt", "file", "cls"),
            (["txt"], "txt", "text", "txt"),
        ],
    )
    def test_what_says_labels_is_content_only_where_nothing_else_is(self, tmp_path, endings, label, kind, content):
        shard = tar([(f"{key}.{ending}", b"1") for key in "ab" for ending in endings])
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})), Reading(label=label))
        assert (dataset.kind, dataset.ids) == (kind, [f"s.tar/a.{content}", f"s.tar/b.{content}"])

    def test_labels_need_not_be_utf8(self, tmp_path):
        said = {"a": b"caf\xe9\n", "b": b" \n", "c": bytes(8), "d": b"x" * 70_000}
        shard = tar(pair for key, label in said.items() for pair in ((f"{key}.jpg", b"1"), (f"{key}.cls", label)))
        folder = write(tmp_path / "in", {"s.tar": shard})
        assert list(labels_of(folder).values()) == ["caf\udce9", None, None, None]
        assert open_dataset(str(folder)).source.facts()["unclear_labels"] == 3

    @pytest.mark.parametrize("seconds", [2**70, -(2**70), 2**40, -(2**40)])
    def test_may_be_of_any_time(self, tmp_path, seconds):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name in ("a.jpg", "a.cls"):
                info = tarfile.TarInfo(name)
                info.mtime, info.size = seconds, 1
                archive.addfile(info, io.BytesIO(b"1"))
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": buffer.getvalue()})))
        assert (dataset.source.modified(dataset.rows) > 0).tolist() == [seconds > 0]
        assert listed(_grown(relabelled(dataset, {0: "2"}), tmp_path / "out")) == [("a.jpg", b"1"), ("a.cls", b"2")]
        with tarfile.open(tmp_path / "out" / "s.tar") as archive:
            assert [member.mtime for member in archive] == [seconds] * 2

    def test_keys_without_content_are_carried_along(self, tmp_path):
        shard = tar([("a.jpg", b"1"), ("b.json", b"{}"), ("c.jpg", b"2")])
        folder = write(tmp_path / "in", {"s.tar": shard})
        dataset = _written(folder, [1], tmp_path / "out")
        assert dataset.source.facts()["keys_without_content"] == 1
        assert listed(tmp_path / "out" / "s.tar") == [("b.json", b"{}"), ("c.jpg", b"2")]

    def test_archives_beside_more_images_are_no_shards(self, tmp_path):
        files = {"backup.tar": tar([("a.jpg", b"1")]), "b.jpg": b"2", "c.jpg": b"3"}
        assert "WebDataset" not in open_dataset(str(write(tmp_path / "in", files))).source.layout

    def test_compressed_shards_beside_others_are_refused(self, tmp_path):
        files = {"0.tar": tar([("a.jpg", b"1")]), "1.tar.gz": b"\x1f\x8b"}
        with pytest.raises(InputError, match=r"1\.tar\.gz is compressed"):
            open_dataset(str(write(tmp_path / "in", files)))

    def test_are_fetched_for_whoever_opens_them_and_gone_if_the_shard_changed(self, tmp_path):
        folder = write(tmp_path / "in", {"s.tar": tar([("a.txt", b"one"), ("b.txt", b"two" * 1000)])})
        dataset = open_dataset(str(folder))
        paths = dataset.source.paths(dataset.rows)
        direct, _ = digest_files(paths)
        with here(paths, open) as files:
            assert [Path(file).read_bytes() for file in files] == [b"one", b"two" * 1000]
            assert (digest_files(files)[0] == direct).all()
        os.utime(folder / "s.tar", ns=(0, 0))
        assert digest_files(paths)[1].tolist() == [False, False]
        with here(paths, open) as files:
            assert not any(map(os.path.exists, files))
        (tmp_path / "out").mkdir()
        with pytest.raises(OutputError, match="changed since it was read"):
            dataset.source.write(dataset.rows[:1], str(tmp_path / "out"), "copy")

    @pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no folder in memory")
    def test_that_were_fetched_by_whoever_was_killed_go(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"one")
        command = [sys.executable, "-c", _FETCHING, tmp_path / "a.txt"]
        killed = subprocess.run([*command, "die"], capture_output=True, text=True, check=False)
        orphan = killed.stdout.strip()
        assert (killed.returncode, os.listdir(orphan)) == (-signal.SIGKILL, ["0.txt"])
        status = os.stat(tmp_path / "a.txt")
        place = Place(str(tmp_path / "a.txt"), ".txt", 0, 3, stamp_of(3, status.st_mtime_ns))
        with here([place.text()], open) as (mine,):
            other = subprocess.run([*command, "live"], capture_output=True, text=True, check=True).stdout.strip()
            assert Path(mine).read_bytes() == b"one"
        assert not any(map(os.path.exists, (orphan, other, mine)))

    def test_the_stamp_does_not_depend_on_the_machine(self, tmp_path):
        folder = write(tmp_path / "in", {"s.tar": tar([("a.txt", b"one")])})
        os.utime(folder / "s.tar", ns=(0, 10**18))
        place = Place.of(open_dataset(str(folder)).source.samples[0].place)
        assert (place.offset, place.size, place.suffix) == (512, 3, ".txt")
        assert place.stamp == "1adcb14a43df5204a31c5f0d9e47863f"


class TestWriting:
    @given(st.data())
    def test_what_stays_is_as_it_was_and_where_it_was(self, tmp_path_factory, data):
        root = tmp_path_factory.mktemp("shards")
        endings = st.lists(st.sampled_from(["jpg", "cls", "json", "v2.txt"]), min_size=1, unique=True)
        shapes = data.draw(st.lists(st.lists(endings, max_size=6), min_size=1, max_size=3))
        form = data.draw(_FORMS)
        content = [
            [
                (f"{'d' * 90}/{i:03d}.{e}", bytes([s, i, k]) * 200)
                for i, es in enumerate(shape)
                for k, e in enumerate(es)
            ]
            for s, shape in enumerate(shapes)
        ]
        if not any(content):
            return
        folder = write(root / "in", {f"{s}.tar": tar(shard, form) for s, shard in enumerate(content)})
        dataset = open_dataset(str(folder))
        keep = data.draw(st.lists(st.booleans(), min_size=len(dataset), max_size=len(dataset)))
        _written(folder, np.flatnonzero(keep), root / "out")
        gone = {name.rpartition(".")[0] for name, stays in zip(dataset.ids, keep, strict=True) if not stays}
        gone = {name.partition(".tar/")[0] + ".tar/" + keys([(name.partition(".tar/")[2], b"")])[0] for name in gone}
        for number, shard in enumerate(content):
            left = [m for m in shard if f"{number}.tar/{keys([m])[0]}" not in gone]
            written = (root / "out" / f"{number}.tar").read_bytes()
            assert listed(written) == left
            assert len(written) % 10240 == 0
            if left == shard:
                assert written == (folder / f"{number}.tar").read_bytes()

    def test_headers_stay_as_they_are(self, tmp_path):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in ("a", "b"):
                info = tarfile.TarInfo(f"{name * 120}.jpg")
                info.size, info.mtime, info.uname, info.mode = 1, 1.5, "grüße", 0o640
                info.pax_headers = {"comment": name}
                archive.addfile(info, io.BytesIO(b"x"))
        folder = write(tmp_path / "in", {"s.tar": buffer.getvalue()})
        _written(folder, [1], tmp_path / "out")
        with tarfile.open(tmp_path / "out" / "s.tar") as archive:
            (member,) = archive
            assert (member.mtime, member.uname, member.mode) == (1.5, "grüße", 0o640)
            assert member.pax_headers["comment"] == "b"

    def test_a_shard_that_loses_all_is_an_empty_one(self, tmp_path):
        folder = write(tmp_path / "in", {"0.tar": tar([("a.jpg", b"1")]), "1.tar": tar([("b.jpg", b"2")])})
        _written(folder, [1], tmp_path / "out")
        assert read(tmp_path / "out")["0.tar"] == bytes(10240)
        with tarfile.open(tmp_path / "out" / "0.tar") as archive:
            assert archive.getnames() == []

    def test_a_copy_keeps_the_label_that_it_was_made_with(self, tmp_path):
        shard = tar([("a.jpg", b"1"), ("a.cls", b"cat"), ("b.jpg", b"2"), ("b.cls", b"cat")])
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})))
        grown = _copied(relabelled(_copied(dataset, [0]), {0: "dog", 1: "cow"}), [0, 1, 2])
        again = relabelled(grown, {0: "owl", 1: "owl", 4: "fox"})
        assert [again.classes[code] for code in again.labels] == ["owl", "owl", "cat", "dog", "fox", "cat"]
        members = listed(_grown(again, tmp_path / "out"))
        assert [content.decode() for _, content in members[1::2]] == ["owl", "owl", "cat", "dog", "fox", "cat"]
        names = ["a", "b", "a-new", "a-new-2", "b-new", "a-new-new"]
        assert [name for name, _ in members] == [f"{name}.{ending}" for name in names for ending in ("jpg", "cls")]

    def test_a_label_that_is_no_text_is_not_written(self, tmp_path):
        half, odd = b'{"label": "\\ud800"}', b'{"label": "\\udcff"}'
        shard = tar(
            [("a.jpg", b""), ("a.cls", b"x"), ("b.jpg", b""), ("b.json", half), ("c.jpg", b""), ("c.json", odd)]
        )
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})))
        with pytest.raises(InputError, match="is no text"):
            relabelled(dataset, {0: "\ud800"})
        assert listed(_grown(relabelled(dataset, {0: "\udcff"}), tmp_path / "out"))[1] == ("a.cls", b"\xff")

    def test_copies_go_into_the_shards_of_what_they_are_made_of(self, tmp_path):
        files = {f"{s}.tar": tar((f"{s}{i}.jpg", b"%d%d" % (s, i)) for i in range(s)) for s in (1, 0, 2, 3)}
        files["4.tar"] = tar([("only.json", b"{}")])
        dataset = open_dataset(str(write(tmp_path / "in", files)))
        copied = _copied(dataset, [5, 0, 2, 5, 3])
        _grown(copied, tmp_path / "out")
        added = {
            path.name: listed(path)[len(listed(tmp_path / "in" / path.name)) :]
            for path in sorted((tmp_path / "out").glob("*.tar"))
        }
        assert added == {
            "0.tar": [],
            "1.tar": [("10-new.jpg", b"10")],
            "2.tar": [("21-new.jpg", b"21")],
            "3.tar": [("32-new.jpg", b"32"), ("32-new-2.jpg", b"32"), ("30-new.jpg", b"30")],
            "4.tar": [],
        }

    def test_new_content_takes_the_name_of_no_other_member(self, tmp_path):
        shard = tar([("a.bmp", b"1"), ("a.PNG", b"mask"), ("a.new.png", b"2"), ("b.bmp", b"3")])
        dataset = open_dataset(str(write(tmp_path / "in", {"s.tar": shard})))
        (tmp_path / "new.png").write_bytes(b"made")
        for _ in range(2):
            last = int(dataset.rows[-1])
            rows = [0, 1, last] if last > 1 else [0, 1]
            names = free_names(dataset, rows, [".png"] * len(rows))
            made = [NewFile(row, name, str(tmp_path / "new.png")) for row, name in zip(rows, names, strict=True)]
            dataset = with_files(dataset, made)
        members = listed(_grown(dataset, tmp_path / "out"))
        assert members[:4] == listed(shard)
        names = [name for name, _ in members]
        assert len({name.lower() for name in names}) == len(names)
        assert names[4:7] == ["a-new.new.new.png", "a-new.PNG", "a-new.new.png"]
        assert sum(content == b"made" for _, content in members) == 5
        assert sum(content == b"mask" for _, content in members) == 3


def test_only_heads_of_objects_are_fetched_where_they_suffice(tmp_path, monkeypatch):
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    content = np.random.default_rng(0).bytes(100_000)
    urls, paths = [], []
    for i, size in enumerate((0, 10, 64, 65, 100_000)):
        paths.append(str(tmp_path / str(i)))
        Path(paths[-1]).write_bytes(content[:size])
        urls.append(f"memory://heads-{tmp_path.name}/{i}")
        memory().pipe_file(urls[-1], content[:size])
    places = [Place(url, "", 0, os.path.getsize(path), "").text() for url, path in zip(urls, paths, strict=True)]
    gone = Place(urls[-1] + "x", "", 0, 1000, "").text()
    got = []
    fetch = memory.get_file
    monkeypatch.setattr(memory, "get_file", lambda self, path, *a, **k: got.append(path) or fetch(self, path, *a, **k))
    digests, readable = digest_files([*places, gone], 64)
    assert readable.tolist() == [True] * 5 + [False]
    assert (digests[:5] == digest_files(paths, 64)[0]).all()
    assert {path.rpartition("/")[2] for path in got} <= {"0", "1", "2", "4x"}
