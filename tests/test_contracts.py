"""What a run promises: nothing unasked, nothing twice, gates that hold, and a copy that is a copy."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import CATS_AND_DOGS, Cli, class_folders, names, report, save, table, tree_digest, write_pipeline


class TestAgain:
    @pytest.mark.parametrize("broken", [False, True])
    def test_up_to_date(self, pets, tmp_path, datadiet: Cli, broken):
        if broken:
            (pets / "cat/empty.png").touch()
        first = datadiet("dedup", pets, tmp_path / "out", "--list", "kept")
        assert first.code == (3 if broken else 0)
        before = tree_digest(tmp_path)
        second = datadiet("dedup", pets, tmp_path / "out", "--list", "kept")
        assert "up to date" in second.err
        assert (second.code, second.out) == (first.code, first.out)
        assert tree_digest(tmp_path) == before

    def test_a_new_gate_is_heeded(self, pets, tmp_path, datadiet: Cli):
        assert datadiet("dedup", pets, tmp_path / "out").code == 0
        before = tree_digest(tmp_path)
        ran = datadiet("dedup", pets, tmp_path / "out", "--max-removed", "1%")
        assert ran.code == 1
        assert "max_removed <= 1%: FAILED" in ran.err
        assert tree_digest(tmp_path) == before
        assert datadiet("dedup", pets, tmp_path / "out", "--max-removed", "20%").code == 0

    def test_a_new_expectation_is_heeded(self, pets, tmp_path, datadiet: Cli):
        path = write_pipeline(tmp_path / "p.yaml", "steps: [dedup]\n")
        assert datadiet("run", path).code == 0
        write_pipeline(path, 'steps: [dedup]\nexpect: {removed: "< 1"}\n')
        assert datadiet("run", path).code == 1

    def test_ids_of_a_column_are_listed_the_same(self, tmp_path, datadiet: Cli):
        source = table(tmp_path / "in.csv", ["id", "x"], [["p", 1], ["r", 1], ["q", 2]])
        arguments = ["dedup", source, tmp_path / "out.csv", "--id-column", "id", "--list"]
        assert datadiet(*arguments, "kept").ids == ["p", "q"]
        assert datadiet(*arguments, "kept").ids == ["p", "q"]
        assert datadiet(*arguments, "dropped").ids == ["r"]

    @pytest.mark.parametrize("change", ["input", "output", "setting"])
    def test_a_change_is_noticed(self, pets, tmp_path, datadiet: Cli, change):
        assert datadiet("dedup", pets, tmp_path / "out").code == 0
        if change == "input":
            save(pets / "cat/new.png", 8)
        elif change == "output":
            (tmp_path / "out/cat/b.png").unlink()
        flags = ["--max-distance", "5"] if change == "setting" else []
        ran = datadiet("dedup", pets, tmp_path / "out", *flags)
        assert ran.code == 2
        assert "exists already" in ran.complaint
        assert datadiet("dedup", pets, tmp_path / "out", "--force", *flags).code == 0
        assert (tmp_path / "out/cat/b.png").exists()
        assert (tmp_path / "out/cat/new.png").exists() == (change == "input")

    def test_rerun_gives_the_same_report(self, pets, tmp_path, datadiet: Cli):
        assert datadiet("dedup", pets, tmp_path / "out").code == 0
        first, inode = report(tmp_path / "out"), os.stat(tmp_path / "out").st_ino
        digest = tree_digest(tmp_path / "out")
        ran = datadiet("dedup", pets, tmp_path / "out", "--rerun")
        assert ran.code == 0
        assert os.stat(tmp_path / "out").st_ino != inode
        assert tree_digest(tmp_path / "out") == digest
        second = report(tmp_path / "out")
        del first["run"], second["run"]
        assert second == first

    def test_a_remembered_step_decides_the_same(self, pets, tmp_path, datadiet: Cli):
        (pets / "cat/cut.png").write_bytes((pets / "cat/a.png").read_bytes()[:500])
        for name in ("one", "two"):
            assert datadiet("dedup", pets, tmp_path / name).code == 3
        one, two = report(tmp_path / "one"), report(tmp_path / "two")
        assert [step["resumed"] for step in one["run"]["steps"]] == [False, False]
        assert [step["resumed"] for step in two["run"]["steps"]] == [False, True]
        assert two["verdicts"] == one["verdicts"]
        assert two["steps"] == one["steps"]
        assert names(tmp_path / "two") == names(tmp_path / "one")

    def test_a_damaged_memory_is_no_memory(self, pets, tmp_path, datadiet: Cli):
        assert datadiet("dedup", pets, tmp_path / "one").code == 0
        files = [path for path in Path(os.environ["DATADIET_CACHE_DIR"]).rglob("*") if path.is_file()]
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:100])
        assert datadiet("dedup", pets, tmp_path / "two").code == 0
        assert report(tmp_path / "two")["verdicts"] == report(tmp_path / "one")["verdicts"]


class TestNothingToRemove:
    def test_folder_is_copied_as_it_is(self, tmp_path, datadiet: Cli):
        files = {name: seed for seed, name in enumerate(CATS_AND_DOGS)}
        root = class_folders(tmp_path / "in", files)
        (root / "README.md").write_text("about\r\n")
        (root / "cat/.hidden").write_bytes(b"\0")
        (root / "empty/deeper").mkdir(parents=True)
        (root / "cat/a.png").chmod(0o640)
        os.utime(root / "cat/a.png", ns=(1, 981_173_106_123_456_789))
        (root / "cat").chmod(0o750)
        assert datadiet("dedup", root, tmp_path / "out").code == 0
        before = tree_digest(root)
        root.rename(tmp_path / "was")
        (tmp_path / "out").rename(root)
        assert tree_digest(root) == before

    @pytest.mark.parametrize(
        "content",
        [
            b'\xef\xbb\xbfa;b\r\n007;"x;\r\ny"\r\n1e5;""\r\n0.10;\r\n',
            b"a,b\n1,2\n\n3,4",
            b"a\n1\n",
            b"a,b\n",
            'a\tb\n"x"\t\u2028\n'.encode(),
        ],
    )
    def test_table_is_copied_as_it_is(self, tmp_path, datadiet: Cli, content):
        (tmp_path / "in.csv").write_bytes(content)
        assert datadiet("dedup", tmp_path / "in.csv", tmp_path / "out.csv").code == 0
        assert (tmp_path / "out.csv").read_bytes() == content


class TestGates:
    def test_check(self, pets, tmp_path, datadiet: Cli):
        before = tree_digest(tmp_path)
        assert datadiet("dedup", pets, "--check").code == 1
        ran = datadiet("dedup", pets, "--check", "--max-removed", "20%")
        assert (ran.code, ran.err.count("  gate  ")) == (0, 1)
        assert datadiet("dedup", pets, tmp_path / "out", "--check", "--scope", "within-class").code == 1
        assert tree_digest(tmp_path) == before
        (pets / "cat/copy-of-a.png").unlink()
        assert datadiet("dedup", pets, "--check").code == 0

    @pytest.mark.parametrize(
        "command",
        [
            ["denoise", "--missing", "median", "--quality", "none", "--outliers", "none", "--labels", "none"],
            ["select-features", "--method", "constant"],
            ["balance", "--over", "repeat", "--no-split"],
        ],
    )
    def test_check_with_a_limit_of_what_goes_refuses_all_other_changes(self, tmp_path, datadiet: Cli, command):
        rows = [["a" if i % 4 else "b", i * i % 97, "" if i == 7 else i % 13, 1] for i in range(40)]
        source = table(tmp_path / "in.csv", ["label", "x", "y", "same"], rows)
        step, *flags = command
        line = [step, source, "--label", "label", *flags, "--max-removed", "50%"]
        ran = datadiet(*line, "--check")
        assert ran.code == 1, ran.err
        assert "max_removed <= 50%: passed" in ran.err
        assert "check == 0: FAILED" in ran.err
        assert datadiet(*line, "--dry-run").code == 0

    @pytest.mark.parametrize(("limit", "code"), [("19.9%", 1), ("20%", 0), ("0.2", 0), ("0", 1), ("1", 0)])
    def test_max_removed(self, pets, tmp_path, datadiet: Cli, limit, code):
        before = tree_digest(tmp_path)
        ran = datadiet("dedup", pets, tmp_path / "out", "--max-removed", limit)
        assert ran.code == code
        assert (tmp_path / "out").exists() == (tmp_path / "out.report.json").exists() == (code == 0)
        if code:
            assert "FAILED" in ran.err
            assert tree_digest(tmp_path) == before

    @pytest.mark.parametrize(
        ("expect", "code"),
        [
            ("removed: <= 20%", 0),
            ("removed: < 20%", 1),
            ("samples: == 4", 0),
            ("samples: '> 4'", 1),
            ("leaks: == 0", 0),
        ],
    )
    def test_expectations(self, pets, tmp_path, datadiet: Cli, expect, code):
        metric, _, limit = expect.partition(": ")
        expect = f'{metric}: "{limit.strip(chr(39))}"'
        path = write_pipeline(tmp_path / "p.yaml", f"steps: [dedup]\nexpect:\n  {expect}\n")
        before = tree_digest(tmp_path)
        assert datadiet("run", path).code == code
        assert (tmp_path / "out").exists() == (code == 0)
        if code:
            assert tree_digest(tmp_path) == before

    def test_failed_gate_leaves_no_intermediate(self, pets, tmp_path, datadiet: Cli):
        path = write_pipeline(tmp_path / "p.yaml", 'steps: [dedup, dedup]\nexpect: {removed: "< 1"}\n')
        before = tree_digest(tmp_path)
        assert datadiet("run", path, "--keep-intermediate").code == 1
        assert tree_digest(tmp_path) == before


class TestStreams:
    def test_dry_run_writes_nothing(self, pets, tmp_path, datadiet: Cli):
        before = tree_digest(tmp_path)
        ran = datadiet("dedup", pets, tmp_path / "out", "--dry-run")
        assert ran.code == 0
        assert ran.out == b""
        assert "nothing was written; 4 samples would remain" in ran.err
        assert tree_digest(tmp_path) == before

    def test_lists_go_to_stdout_and_words_to_stderr(self, pets, datadiet: Cli):
        dropped = datadiet("dedup", pets, "--dry-run", "--list", "dropped")
        assert dropped.out == b"cat/copy-of-a.png\n"
        assert "1 duplicate" in dropped.err
        kept = datadiet("dedup", pets, "--dry-run", "--list", "kept", "-0")
        assert kept.out == b"cat/a.png\0cat/b.png\0dog/c.png\0dog/d.png\0"

    def test_quiet(self, pets, tmp_path, datadiet: Cli):
        for _ in range(2):
            ran = datadiet("dedup", pets, tmp_path / "out", "--quiet")
            assert (ran.code, ran.out, ran.err) == (0, b"", "")
        assert datadiet("dedup", pets, tmp_path / "out", "--quiet", "--seed", "-1").complaint

    def test_json_is_the_report(self, pets, tmp_path, datadiet: Cli):
        printed = json.loads(datadiet("dedup", pets, tmp_path / "out", "--json").out)
        assert printed == report(tmp_path / "out")
        assert json.loads(datadiet("dedup", pets, tmp_path / "out", "--json").out) == printed
