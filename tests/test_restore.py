"""`datadiet restore`: what a run was given, had in between or dropped comes back, byte for byte or not at all."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.data.open import open_dataset
from tests.conftest import class_folders, names, picture, report, save, table, tree_digest, write_pipeline
from tests.data.trees import read, write

ROWS = [[number % 7, (number * 37) % 11, "yes" if number % 3 else "no"] for number in range(60)]


def restored(datadiet, output, dest, *flags):
    """Restore without trouble, and give the place."""
    done = datadiet("restore", f"{output}.report.json", dest, *flags)
    assert done.code == 0, done.err
    return dest


def make(datadiet, *line, code=0):
    done = datadiet(*line)
    assert done.code == code, done.err


def as_table(path):
    """The same rows as CSV, JSONL or Parquet."""
    frame = pl.DataFrame(ROWS, schema=["a", "b", "label"], orient="row")
    if path.suffix == ".csv":
        return table(path, frame.columns, ROWS)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
        return path
    frame.write_parquet(path)
    return path


def yolo(root):
    """Three pictures, two of them the same, each with its file of labels."""
    files = {
        f"labels/train/{name}.txt": f"{number} 0.5 0.5 0.2 0.2\n" for name, number in {"a": 0, "b": 1, "c": 0}.items()
    }
    write(root, {**files, "data.yaml": "train: images/train\nnames: [x, y, z]\n"})
    for name, seed in {"a": 1, "b": 2, "c": 1}.items():
        save(root / f"images/train/{name}.png", seed)
    return root


def sick(root):
    """A table with a gap and a wrong label, and a pipeline that fills, drops, balances and drops columns."""
    rows = [[f"{x / 10:.1f}", f"{x * 7 % 5}", "1.0", "up" if x >= 30 else "down"] for x in range(60)]
    rows += [rows[3], ["", "2", "1.0", "up"]]
    table(root / "in.csv", ["x", "y", "same", "label"], rows)
    path = root / "p.yaml"
    path.write_text(
        f"input: {root / 'in.csv'}\noutput: {root / 'out.csv'}\nlabel: label\nsteps:\n"
        "  - dedup\n"
        "  - denoise: {missing: median, labels: none, outliers: none}\n"
        "  - balance: {over: repeat, target: max, no_split: true}\n"
    )
    return path


class TestTheLastState:
    @pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
    def test_is_output_of_a_table(self, ending, tmp_path, datadiet):
        source = as_table(tmp_path / f"in{ending}")
        make(datadiet, "dedup", source, tmp_path / f"out{ending}")
        back = restored(datadiet, tmp_path / f"out{ending}", tmp_path / f"back{ending}")
        assert back.read_bytes() == (tmp_path / f"out{ending}").read_bytes()
        first = restored(datadiet, tmp_path / f"out{ending}", tmp_path / f"first{ending}", "--after", "open")
        assert open_dataset(str(first)).source.file.texts().equals(open_dataset(str(source)).source.file.texts())
        if ending != ".parquet":
            assert first.read_bytes() == source.read_bytes()

    def test_is_output_of_a_folder_with_its_labels(self, tmp_path, datadiet):
        yolo(tmp_path / "in")
        make(datadiet, "dedup", tmp_path / "in", tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "back")) == read(tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "all", "--after", "0")) == read(tmp_path / "in")
        gone = restored(datadiet, tmp_path / "out", tmp_path / "gone", "--only", "dropped")
        assert names(gone) == {
            "images", "images/train", "images/train/c.png", "labels", "labels/train", "labels/train/c.txt", "data.yaml",
        }  # fmt: skip

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(copies=st.lists(st.integers(0, 5), min_size=2, max_size=9))
    def test_whatever_was_dropped(self, copies, tmp_path_factory, datadiet):
        root = tmp_path_factory.mktemp("any")
        write(root / "in", {f"{'ab'[n % 2]}/{n}.txt": f"the text of {seed}\n" * 9 for n, seed in enumerate(copies)})
        make(datadiet, "dedup", root / "in", root / "out")
        everything, out = read(root / "in"), read(root / "out")
        assert read(restored(datadiet, root / "out", root / "back")) == out
        assert read(restored(datadiet, root / "out", root / "all", "--after", "open")) == everything
        gone = read(restored(datadiet, root / "out", root / "gone", "--only", "dropped"))
        assert gone.keys().isdisjoint(out)
        assert {**gone, **out} == everything

    def test_broken_links_cannot_come_back_and_are_told(self, tmp_path, datadiet):
        class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 1, "dog/c.png": 2})
        (tmp_path / "in/dog/gone.png").symlink_to("nowhere.png")
        make(datadiet, "dedup", tmp_path / "in", tmp_path / "out", code=3)
        done = datadiet("restore", tmp_path / "out.report.json", tmp_path / "gone", "--only", "dropped")
        assert done.code == 0, done.err
        assert ": 1 sample that was dropped" in done.err
        assert "1 sample more that cannot be copied" in done.err
        assert [name for name in names(tmp_path / "gone") if name.endswith(".png")] == ["cat/b.png"]


class TestChanges:
    def test_every_state_of_a_table_comes_back(self, tmp_path, datadiet):
        pipeline = sick(tmp_path)
        make(datadiet, "run", pipeline, "--keep-intermediate")
        document = report(tmp_path / "out.csv")
        assert document["changes"]["count"] > 0
        assert document["changes"]["file"] == "out.csv.changes.json"
        for step, place in (("1", "out.csv.after-1-dedup.csv"), ("denoise", "out.csv.after-2-denoise.csv")):
            back = restored(datadiet, tmp_path / "out.csv", tmp_path / f"{step}.csv", "--after", step)
            assert back.read_bytes() == (tmp_path / place).read_bytes()
        assert (
            restored(datadiet, tmp_path / "out.csv", tmp_path / "back.csv").read_bytes()
            == (tmp_path / "out.csv").read_bytes()
        )
        gone = restored(datadiet, tmp_path / "out.csv", tmp_path / "gone.csv", "--only", "dropped")
        assert gone.read_text() == "x,y,same,label\n0.3,1,1.0,down\n"

    def test_made_pictures_are_made_again(self, tmp_path, datadiet):
        class_folders(tmp_path / "in", {**{f"cat/{n}.png": n for n in range(5)}, "dog/x.png": 9, "dog/y.png": 10})
        make(
            datadiet, "balance", tmp_path / "in", tmp_path / "out", "--over", "augment", "--target", "max", "--no-split"
        )
        assert len(read(tmp_path / "out")) == 10
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "back")) == read(tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "all", "--after", "0")) == read(tmp_path / "in")

    def test_files_that_changed_their_class_move_again(self, tmp_path, datadiet):
        files = {f"{name}/{i:02}.png": 100 * k + i for k, name in enumerate(("cat", "dog")) for i in range(20)}
        class_folders(tmp_path / "in", files)
        sure = [[0.97, 0.03] if name.startswith("cat") != (name == "cat/03.png") else [0.03, 0.97] for name in files]
        np.save(tmp_path / "p.npy", np.array(sure))
        flags = ("--invalid", "none", "--quality", "none", "--outliers", "none", "--labels-action", "relabel")
        make(datadiet, "denoise", tmp_path / "in", tmp_path / "out", *flags, "--pred-probs", tmp_path / "p.npy")
        assert "dog/03-2.png" in names(tmp_path / "out")
        (tmp_path / "p.npy").unlink()
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "back")) == read(tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "all", "--after", "0")) == read(tmp_path / "in")

    def test_the_file_of_changes_must_be_what_was_written(self, tmp_path, datadiet):
        make(datadiet, "run", sick(tmp_path))
        place = tmp_path / "out.csv.changes.json"
        content = place.read_bytes()
        place.write_bytes(content.replace(b"up", b"UP", 1).replace(b"1", b"2", 1))
        done = datadiet("restore", tmp_path / "out.csv.report.json", tmp_path / "back.csv")
        assert (done.code, "is damaged" in done.complaint) == (2, True)
        place.unlink()
        done = datadiet("restore", tmp_path / "out.csv.report.json", tmp_path / "back.csv")
        assert (done.code, "is missing" in done.complaint) == (2, True)
        assert not (tmp_path / "back.csv").exists()

    def test_go_with_the_output_they_speak_of(self, tmp_path, datadiet):
        pipeline = sick(tmp_path)
        make(datadiet, "run", pipeline)
        make(datadiet, "dedup", tmp_path / "in.csv", tmp_path / "out.csv", "--force", "--label", "label")
        assert not (tmp_path / "out.csv.changes.json").exists()
        assert report(tmp_path / "out.csv")["changes"] is None


class TestAnotherInput:
    @pytest.fixture
    def out(self, pets, tmp_path, datadiet):
        make(datadiet, "dedup", pets, tmp_path / "out")
        return tmp_path / "out"

    def test_that_moved_is_named(self, pets, out, tmp_path, datadiet):
        pets.rename(tmp_path / "elsewhere")
        assert datadiet("restore", f"{out}.report.json", tmp_path / "back").code == 2
        back = restored(datadiet, out, tmp_path / "back", "--from", tmp_path / "elsewhere", "--after", "open")
        assert read(back) == read(tmp_path / "elsewhere")

    def test_that_changed_is_refused_by_name(self, pets, out, tmp_path, datadiet):
        before = (pets / "cat/b.png").read_bytes()
        (pets / "cat/b.png").write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        done = datadiet("restore", f"{out}.report.json", tmp_path / "back")
        assert done.code == 2
        assert "has changed since" in done.complaint
        assert "1 changed (cat/b.png)" in done.complaint
        (pets / "cat/b.png").rename(pets / "cat/bb.png")
        done = datadiet("restore", f"{out}.report.json", tmp_path / "back")
        assert "1 missing (cat/b.png); 1 added (cat/bb.png)" in done.complaint
        assert names(tmp_path) & {"back"} == set()
        assert [name for name in os.listdir(tmp_path) if name.endswith(".partial")] == []

    def test_that_is_a_changed_table_is_refused(self, tmp_path, datadiet):
        source = as_table(tmp_path / "in.csv")
        make(datadiet, "dedup", source, tmp_path / "out.csv")
        source.write_text(source.read_text().replace("yes", "yEs"))
        done = datadiet("restore", tmp_path / "out.csv.report.json", tmp_path / "back.csv", "--after", "0")
        assert (done.code, "has changed since" in done.complaint) == (2, True)

    def test_that_is_a_table_is_compared_before_it_is_read(self, tmp_path, datadiet):
        source = as_table(tmp_path / "in.csv")
        make(datadiet, "dedup", source, tmp_path / "out.csv")
        for content in (b"a,b,label\n1,2\n", b'a,b,"label\n', b"", b"a,a\n1,2\n"):
            source.write_bytes(content)
            done = datadiet("restore", tmp_path / "out.csv.report.json", tmp_path / "back.csv", "--after", "0")
            assert (done.code, "has changed since" in done.complaint) == (2, True)

    def test_is_never_written_to_and_dest_never_replaced(self, pets, out, tmp_path, datadiet):
        before = tree_digest(pets), tree_digest(out)
        for place in (pets, pets / "in", out, tmp_path, out.parent / "gone" / "x"):
            assert len(datadiet("restore", f"{out}.report.json", place).complaint) > 0
        assert "would go with it" in datadiet("restore", f"{out}.report.json", out, "--force").complaint
        assert (tree_digest(pets), tree_digest(out)) == before
        restored(datadiet, out, tmp_path / "back")
        restored(datadiet, out, tmp_path / "back", "--force", "--after", "0", "--link", "hardlink")
        assert (tmp_path / "back/cat/a.png").samefile(pets / "cat/a.png")


class TestReports:
    def test_of_runs_that_wrote_nothing_say_so(self, pets, tmp_path, datadiet):
        printed = datadiet("dedup", pets, "--dry-run", "--json").out
        (tmp_path / "dry.json").write_bytes(printed)
        assert json.loads(printed)["digests"] is None
        assert "wrote nothing" in datadiet("restore", tmp_path / "dry.json", tmp_path / "back").complaint

    def test_of_earlier_versions_say_so_and_stay_up_to_date(self, pets, tmp_path, datadiet):
        make(datadiet, "dedup", pets, tmp_path / "out")
        document = report(tmp_path / "out")
        del document["digests"], document["changes"]
        (tmp_path / "out.report.json").write_text(json.dumps(document))
        assert "up to date" in datadiet("dedup", pets, tmp_path / "out").err
        for line in (["restore", tmp_path / "out.report.json", tmp_path / "back"], ["verify", tmp_path / "out"]):
            done = datadiet(*line)
            assert (done.code, "earlier version" in done.complaint) == (2, True)

    def test_name_their_steps(self, tmp_path, datadiet):
        pipeline = write_pipeline(tmp_path / "p.yaml", "steps: [dedup, dedup: {method: exact}]\n")
        class_folders(tmp_path / "in", {"a.png": 1, "b.png": 1})
        picture(1).resize((40, 40), Image.Resampling.BOX).resize((64, 64)).save(tmp_path / "in/c.png")
        make(datadiet, "run", pipeline)
        done = datadiet("restore", tmp_path / "out.report.json", tmp_path / "back", "--after", "denoise")
        assert "0 (open), 1 (dedup), 2 (dedup)" in done.complaint
        assert (
            "no such step"
            in datadiet("restore", tmp_path / "out.report.json", tmp_path / "b", "--after", "3").complaint
        )

    @pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../b", "", ".", "x\0y"])
    def test_cannot_lead_out_of_dest(self, name, tmp_path, datadiet):
        class_folders(tmp_path / "deep/in", {"cat/a.png": 1, "dog/b.png": 2})
        make(datadiet, "dedup", tmp_path / "deep/in", tmp_path / "deep/out")
        forged = {"cells": {}, "labels": {"0": name}, "columns": {}, "additions": []}
        forged |= {"dropped_columns": [], "new_features": []}
        self._forge(tmp_path / "deep/out", forged)
        before = names(tmp_path)
        done = datadiet("restore", tmp_path / "deep/out.report.json", tmp_path / "deep/back")
        assert (done.code, "is damaged" in done.complaint) == (2, True)
        assert names(tmp_path) == before

    @pytest.mark.parametrize(
        "forged",
        [
            {"labels": {"7": "cat"}},
            {"labels": {"x": "cat"}},
            {"labels": {"0": None}},
            {"additions": [[0, {"kind": "image", "crop": ["x"]}]]},
            {"additions": [[9, None]]},
            {"additions": [[0, "flip"]]},
            {"cells": [1]},
            {"dropped_columns": [1]},
            {"more": 1},
        ],
        ids=str,
    )
    def test_that_are_forged_are_refused_in_a_line(self, forged, tmp_path, datadiet):
        class_folders(tmp_path / "in", {"cat/a.png": 1, "dog/b.png": 2})
        make(datadiet, "dedup", tmp_path / "in", tmp_path / "out")
        empty = {"cells": {}, "labels": {}, "columns": {}, "additions": [], "dropped_columns": [], "new_features": []}
        self._forge(tmp_path / "out", {**empty, **forged})
        done = datadiet("restore", tmp_path / "out.report.json", tmp_path / "back")
        assert done.code == 2
        assert done.complaint
        assert not (tmp_path / "back").exists()

    @staticmethod
    def _forge(output: Path, changes) -> None:
        """A report whose file of changes holds something else, with the digest that goes with it."""
        from datadiet_cli.digests import digest_of

        content = json.dumps({"datadiet_changes": 1, "steps": [None, changes]}).encode()
        Path(f"{output}.changes.json").write_bytes(content)
        document = report(output)
        document["changes"] = {"count": 1, "file": f"{output.name}.changes.json", "check": digest_of(content)}
        Path(f"{output}.report.json").write_text(json.dumps(document))

    @pytest.mark.parametrize("path", [["digests", "files", 0, "path"], ["digests", "count"], ["steps", 1], ["output"]])
    def test_that_are_damaged_are_refused_in_a_line(self, path, pets, tmp_path, datadiet):
        make(datadiet, "dedup", pets, tmp_path / "out")
        document = report(tmp_path / "out")
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = 12345
        (tmp_path / "out.report.json").write_text(json.dumps(document))
        done = datadiet("restore", tmp_path / "out.report.json", tmp_path / "back")
        assert done.code == 2
        assert done.complaint

    def test_know_names_that_are_not_utf_8(self, tmp_path, datadiet):
        root = os.fsencode(tmp_path / "in")
        for name, content in {
            b"a\xff.txt": b"one " * 9,
            b"b\\udcff.txt": b"one " * 9,
            b"c\n<b>.txt": b"two " * 9,
        }.items():
            os.makedirs(root, exist_ok=True)
            Path(os.fsdecode(os.path.join(root, name))).write_bytes(content)
        make(datadiet, "dedup", tmp_path / "in", tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "back")) == read(tmp_path / "out")
        assert read(restored(datadiet, tmp_path / "out", tmp_path / "all", "--after", "0")) == read(tmp_path / "in")
        assert datadiet("verify", tmp_path / "out").code == 0
