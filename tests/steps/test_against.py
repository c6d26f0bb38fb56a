"""`--against`: what is in another dataset already goes from this one, and nothing is decided about the other."""

import json
import shutil

import pytest

from tests.conftest import class_folders, table, tree_digest
from tests.data.trees import write


def report_of(out):
    return json.loads(out.with_name(out.name + ".report.json").read_text())


def test_pictures_that_are_in_another_dataset_go(datadiet, tmp_path):
    raw = class_folders(tmp_path / "raw", {"train/cat/a.png": 1, "train/cat/b.png": 2, "test/cat/c.png": 3})
    known = class_folders(tmp_path / "known", {"x/one.png": 1, "x/again.png": 1, "x/three.png": 3})
    before = tree_digest(known)
    datadiet("dedup", raw, tmp_path / "out", "--against", known)
    assert tree_digest(known) == before
    assert not (tmp_path / "out/train/cat/a.png").exists()
    assert (tmp_path / "out/train/cat/b.png").exists()
    assert (tmp_path / "out/test/cat/c.png").exists(), "evaluation data is never dropped"
    document = report_of(tmp_path / "out")
    told = [(v["id"], v["action"], v["reason"], v["witness"]) for v in document["verdicts"]]
    assert told == [
        ("test/cat/c.png", "flag", "contamination", f"{known}/x/three.png"),
        ("train/cat/a.png", "drop", "contamination", f"{known}/x/one.png"),
    ]
    assert document["figures"]["contaminated"] == 2


def test_several_others_and_a_remembered_decision(datadiet, tmp_path):
    raw = write(tmp_path / "raw", {"a.bin": b"A", "b.bin": b"B", "c.bin": b"C"})
    one, other = write(tmp_path / "one", {"x.bin": b"A"}), write(tmp_path / "other", {"y.bin": b"B"})
    line = ("dedup", raw, "--against", one, "--against", other, "--dry-run", "--list", "dropped")
    assert datadiet(*line).ids == ["a.bin", "b.bin"]
    (other / "y.bin").write_bytes(b"C")
    assert datadiet(*line).ids == ["a.bin", "c.bin"], "another dataset that changed is looked at anew"


@pytest.mark.parametrize("method", ["exact", "near"])
def test_rows_that_are_in_another_table_go(datadiet, tmp_path, method):
    raw = table(tmp_path / "raw.csv", ["a", "b", "label"], [["1", "x", "p"], ["2", "y", "q"], ["3", "z", "p"]])
    # Other order of columns, no label, and a cell that makes a column of numbers one of words.
    known = table(tmp_path / "known.csv", ["b", "a"], [["y", "2"], ["w", "?"]])
    done = datadiet("dedup", raw, tmp_path / "out.csv", "--label", "label", "--against", known, "--method", method)
    assert done.code == 0, done.err
    assert (tmp_path / "out.csv").read_text().splitlines() == ["a,b,label", "1,x,p", "3,z,p"]
    assert report_of(tmp_path / "out.csv")["verdicts"][0]["witness"] == f"{known}/0"


def test_another_kind_a_missing_column_and_a_missing_folder_are_one_line_each(datadiet, tmp_path):
    raw = table(tmp_path / "raw.csv", ["a", "b"], [["1", "x"]])
    folder = write(tmp_path / "folder", {"a.txt": b"A"})
    narrow = table(tmp_path / "narrow.csv", ["a"], [["1"]])
    for other, words in ((folder, "--against needs the same kind"), (narrow, "no such column"), ("none", "not exist")):
        done = datadiet("dedup", raw, "--dry-run", "--against", other)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert words in done.err


def test_a_class_is_not_emptied_by_contamination(datadiet, tmp_path):
    raw = write(tmp_path / "raw", {"cat/a.txt": b"A", "cat/b.txt": b"A", "dog/c.txt": b"C", "dog/d.txt": b"D"})
    shutil.copytree(raw, tmp_path / "known")
    done = datadiet("dedup", raw, tmp_path / "out", "--method", "exact", "--against", tmp_path / "known")
    assert done.code == 0
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.txt")) == ["a.txt", "c.txt"]


def test_the_gate_on_contamination(datadiet, tmp_path):
    raw = write(tmp_path / "raw", {"a.bin": b"A", "b.bin": b"B"})
    known = write(tmp_path / "known", {"x.bin": b"A"})
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(f"input: {raw}\nsteps:\n  - dedup: {{against: [{known}]}}\nexpect: {{contaminated: '== 0'}}\n")
    assert datadiet("run", pipeline, "--dry-run").code == 1


@pytest.mark.parametrize("place", ["known", "known/out", "."])
def test_output_never_touches_another_dataset(datadiet, tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = write(tmp_path / "raw", {"a.bin": b"A", "b.bin": b"B"})
    known = write(tmp_path / "known", {"x.bin": b"A"})
    before = tree_digest(known)
    done = datadiet("dedup", raw, place, "--force", "--against", known)
    assert done.code == 2
    assert "OUTPUT" in done.complaint
    assert tree_digest(known) == before


def test_against_input_itself_is_a_mistake(datadiet, tmp_path):
    raw = write(tmp_path / "raw", {"a.bin": b"A", "b.bin": b"B"})
    (tmp_path / "link").symlink_to(raw)
    for path in (raw, tmp_path / "link"):
        done = datadiet("dedup", raw, "--dry-run", "--against", path)
        assert done.code == 2
        assert "INPUT itself" in done.complaint


def test_what_could_not_be_compared_is_said(datadiet, tmp_path):
    raw = class_folders(tmp_path / "raw", {"a.png": 1, "b.png": 2})
    known = class_folders(tmp_path / "known", {"x.png": 3})
    (known / "broken.png").write_bytes(b"no picture")
    done = datadiet("dedup", raw, tmp_path / "out", "--against", known)
    assert done.code == 0
    assert "1 sample of other datasets could not be read" in done.err
    assert report_of(tmp_path / "out")["steps"][1]["metrics"]["against_unreadable"] == 1


def test_a_cache_inside_input_is_done_without(datadiet, tmp_path, monkeypatch):
    raw = class_folders(tmp_path / "raw", {"a.png": 1, "b.png": 1})
    monkeypatch.setenv("DATADIET_CACHE_DIR", str(raw / ".cache"))
    before = tree_digest(raw)
    assert datadiet("dedup", raw, tmp_path / "out").code == 0
    assert tree_digest(raw) == before
