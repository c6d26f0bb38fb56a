"""`datadiet verify`: whether a published copy is what its report says, by every byte."""

import json
import os
import shutil

import pytest

from datadiet_cli import digestfile
from tests.conftest import class_folders, names, report, table
from tests.data.trees import write
from tests.lessons import made


@pytest.fixture
def out(pets, tmp_path, datadiet):
    """OUTPUT of a run."""
    assert datadiet("dedup", pets, tmp_path / "out").code == 0
    return tmp_path / "out"


class TestACopy:
    def test_that_is_whole(self, out, tmp_path, datadiet):
        done = datadiet("verify", out)
        assert (done.code, done.err) == (0, "")
        assert done.out.decode() == f"{out}: whole; 4 files as {out}.report.json says\n"
        assert datadiet("verify", out, "--quiet").out == b""
        # Neither its place nor times and modes are part of it.
        out.rename(tmp_path / "moved")
        os.utime(tmp_path / "moved/cat/a.png", (1, 1))
        done = datadiet("verify", tmp_path / "moved", "--report", tmp_path / "out.report.json")
        assert done.code == 0, done.out

    def test_that_differs_says_where(self, out, datadiet):
        content = (out / "cat/a.png").read_bytes()
        (out / "cat/a.png").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        (out / "dog/c.png").rename(out / "dog/\x1b[31m.png")
        done = datadiet("verify", out)
        assert done.code == 1
        assert done.out.decode().splitlines()[1:] == [
            "  1 missing", "    out/dog/c.png", "  1 changed", "    out/cat/a.png",
            "  1 not of this run", "    out/dog/\\x1b[31m.png",
        ]  # fmt: skip
        told = json.loads(datadiet("verify", out, "--json").out)
        assert told["whole"] is False
        assert (told["missing"], told["added"]) == (["out/dog/c.png"], ["out/dog/\x1b[31m.png"])

    def test_that_is_gone_is_missing(self, out, tmp_path, datadiet):
        out.rename(tmp_path / "elsewhere")
        done = datadiet("verify", out)
        assert (done.code, b"4 missing" in done.out) == (1, True)

    def test_whose_links_lead_nowhere_is_changed(self, pets, tmp_path, datadiet):
        assert datadiet("dedup", pets, tmp_path / "links", "--link", "symlink").code == 0
        assert datadiet("verify", tmp_path / "links").code == 0
        (pets / "dog/c.png").unlink()
        done = datadiet("verify", tmp_path / "links")
        assert (done.code, b"out/dog" in done.out or b"links/dog/c.png" in done.out) == (1, True)

    def test_that_names_ten(self, tmp_path, datadiet):
        class_folders(tmp_path / "in", {f"{n:02}.png": n for n in range(14)})
        assert datadiet("dedup", tmp_path / "in", tmp_path / "out").code == 0
        for path in (tmp_path / "out").iterdir():
            path.unlink()
        lines = datadiet("verify", tmp_path / "out").out.decode().splitlines()
        assert (lines[2].strip(), lines[-1].strip(), len(lines)) == ("out/00.png", "and 4 more", 13)


class TestReports:
    def test_that_are_missing(self, pets, tmp_path, datadiet):
        done = datadiet("verify", pets)
        assert (done.code, "cannot be read" in done.complaint) == (2, True)

    def test_of_very_many_files_stand_in_a_file_beside(self, pets, tmp_path, datadiet, monkeypatch):
        monkeypatch.setattr(digestfile, "INLINE", 3)
        assert datadiet("dedup", pets, tmp_path / "out").code == 0
        block = report(tmp_path / "out")["digests"]
        assert (block["file"], block["count"], block["files"]) == ("out.digests.parquet", 5, [])
        assert datadiet("verify", tmp_path / "out").code == 0
        assert datadiet("restore", tmp_path / "out.report.json", tmp_path / "back", "--after", "0").code == 0
        assert "up to date" in datadiet("dedup", pets, tmp_path / "out").err
        place = tmp_path / "out.digests.parquet"
        content = place.read_bytes()
        place.write_bytes(content[:40] + b"\0" + content[41:])
        for line in (["verify", tmp_path / "out"], ["restore", tmp_path / "out.report.json", tmp_path / "x"]):
            done = datadiet(*line)
            assert (done.code, "is damaged" in done.complaint) == (2, True)
        place.unlink()
        assert "is missing" in datadiet("verify", tmp_path / "out").complaint
        monkeypatch.setattr(digestfile, "INLINE", 10)
        place.write_bytes(b"")
        assert datadiet("dedup", pets, tmp_path / "out", "--force", "--method", "exact").code == 0
        assert "out.digests.parquet" not in names(tmp_path), "it goes with the report that named it"

    def test_name_the_digest_of_everything(self, out, datadiet, pets):
        files = {file["path"]: file for file in report(out)["digests"]["files"]}
        assert {path for path, file in files.items() if file["where"] == "input"} == {"cat/copy-of-a.png"}
        assert files["cat/copy-of-a.png"]["digest"] == files["cat/a.png"]["digest"]
        assert files["cat/a.png"]["bytes"] == (pets / "cat/a.png").stat().st_size
        assert len({file["digest"] for file in files.values()}) == 4

    @pytest.mark.parametrize(
        "block",
        [1, {}, {"files": 1, "count": 1}, {"files": [], "count": 1}, {"files": [{}], "count": 1},
         {"files": [], "count": 0, "file": "../x"}, {"files": [], "count": 0, "file": "gone.parquet", "check": "0"},
         {"files": [{"path": "a", "bytes": "1", "digest": None, "where": "output"}], "count": 1},
         {"files": [{"path": "a", "bytes": 1, "digest": None, "where": "output"}] * 2, "count": 2}],
        ids=str,
    )  # fmt: skip
    def test_that_are_damaged_are_refused_in_a_line(self, block, out, datadiet):
        document = {**report(out), "digests": block}
        (out.parent / "out.report.json").write_text(json.dumps(document))
        done = datadiet("verify", out)
        assert (done.code, bool(done.complaint)) == (2, True)


def test_what_stands_beside_counts_too(tmp_path, datadiet):
    rows = [[n % 9, n % 2] for n in range(40)]
    table(tmp_path / "in.csv", ["x", "label"], rows)
    line = [
        "balance",
        tmp_path / "in.csv",
        tmp_path / "out.csv",
        "--label",
        "label",
        "--weights",
        "class",
        "--no-split",
    ]
    assert datadiet(*line, "--over", "none", "--under", "none").code == 0
    assert datadiet("verify", tmp_path / "out.csv").code == 0
    beside = sorted(path for path in tmp_path.iterdir() if "weights" in path.name)
    assert beside
    for path in beside:
        path.write_bytes(path.read_bytes() + b"\n")
    done = datadiet("verify", tmp_path / "out.csv")
    assert (done.code, done.out.count(b"weights")) == (1, len(beside))


def test_a_model_is_verified_with_all_that_is_in_it(tmp_path, datadiet):
    model = made("things").folder
    assert datadiet("verify", model).code == 0
    assert {file["where"] for file in report(model)["digests"]["files"]} == {"output"}
    copy = shutil.copytree(model, tmp_path / "model")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    done = datadiet("verify", copy, "--report", f"{model}.report.json", "--workers", "1")
    assert (done.code, b"1 changed\n    model/model.safetensors" in done.out) == (1, True)
    done = datadiet("restore", f"{model}.report.json", tmp_path / "back.csv")
    assert (done.code, "made no dataset" in done.complaint) == (2, True)


def test_a_folder_of_any_names(tmp_path, datadiet):
    write(tmp_path / "in", {"<img onerror=x>.txt": "one " * 9, "[/]|.txt": "two " * 9, "line\nbreak.txt": "three " * 9})
    (tmp_path / "in/other.bin").write_bytes(b"x")
    assert datadiet("dedup", tmp_path / "in", tmp_path / "out").code == 0
    assert datadiet("verify", tmp_path / "out").code == 0
    (tmp_path / "out/line\nbreak.txt").unlink()
    assert b"    out/line\\nbreak.txt\n" in datadiet("verify", tmp_path / "out").out
