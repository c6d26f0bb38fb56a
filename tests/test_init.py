"""`init` writes a pipeline that runs as it stands."""

import os
import re
from pathlib import Path

import polars as pl
import pytest

from datadiet_cli.config.load import load_pipeline
from datadiet_cli.config.registry import STEPS, settings_of
from tests.conftest import Cli, class_folders, names, report, table, tree_digest
from tests.data.trees import read, write

TABLES = {"csv": pl.DataFrame.write_csv, "jsonl": pl.DataFrame.write_ndjson, "parquet": pl.DataFrame.write_parquet}


class TestStarter:
    def test_for_pictures_runs(self, pets, tmp_path, datadiet: Cli):
        before = tree_digest(pets)
        said = datadiet("init", pets, tmp_path / "p.yaml")
        assert (said.code, said.out) == (0, b"")
        assert f"datadiet run {tmp_path / 'p.yaml'}" in said.err
        assert tree_digest(pets) == before
        assert datadiet("run", tmp_path / "p.yaml").code == 0
        assert names(tmp_path / "in-diet") == names(pets) - {"cat/copy-of-a.png"}
        assert report(tmp_path / "in-diet")["steps"][1]["settings"]["method"] == "phash"

    @pytest.mark.parametrize("suffix", TABLES)
    def test_for_tables_runs(self, tmp_path, datadiet: Cli, suffix):
        frame = pl.DataFrame({"a": [1, 1, 2], "b": ["x", "x", "y"]})
        TABLES[suffix](frame, tmp_path / f"in.{suffix}")
        assert datadiet("init", tmp_path / f"in.{suffix}", tmp_path / "p.yaml").code == 0
        assert datadiet("run", tmp_path / "p.yaml").code == 0
        assert report(tmp_path / f"in-diet.{suffix}")["figures"]["removed"] == 1

    @pytest.mark.parametrize("suffix", ["txt", "wav", "bin"])
    def test_for_other_files_runs(self, tmp_path, datadiet: Cli, suffix):
        write(tmp_path / "in", {f"x/a.{suffix}": "A", f"x/b.{suffix}": "A", f"y/c.{suffix}": "C"})
        assert datadiet("init", tmp_path / "in", tmp_path / "p.yaml").code == 0
        # None of these is a sound; the last sample of a class stays even so.
        assert datadiet("run", tmp_path / "p.yaml").code == (3 if suffix == "wav" else 0)
        assert len(read(tmp_path / "in-diet")) == 2

    def test_runs_from_where_it_was_made(self, pets, tmp_path, monkeypatch, datadiet: Cli):
        monkeypatch.chdir(tmp_path)
        said = datadiet("init", "in/")
        assert "datadiet.yaml: written" in said.err
        assert 'input: "in"\n' in Path("datadiet.yaml").read_text()
        assert datadiet("run", "datadiet.yaml").code == 0
        assert (tmp_path / "in-diet/cat/a.png").exists()

    def test_says_what_input_is_and_gates_hold(self, pets, tmp_path, datadiet: Cli):
        datadiet("init", pets, tmp_path / "p.yaml")
        assert "5 samples, class folders." in (tmp_path / "p.yaml").read_text().splitlines()[0]
        datadiet("run", tmp_path / "p.yaml")
        assert [gate["passed"] for gate in report(tmp_path / "in-diet")["gates"]] == [True]

    def test_what_is_a_comment_is_a_setting(self, pets, tmp_path, datadiet: Cli):
        """Each is there once, with its default: without the number sign it says the same."""
        datadiet("init", pets, tmp_path / "p.yaml")
        text = (tmp_path / "p.yaml").read_text()
        # A step that sleeps is a comment as a whole.
        awake = re.sub(r"^  # (- |    )", r"  \1", text, flags=re.MULTILINE)
        bare = re.sub(r"^( *)# (\w+: (?:\[.*\]|\S+(?: \S+)?))( +#.*)?$", r"\1\2", awake, flags=re.MULTILINE)
        (tmp_path / "all.yaml").write_text(bare)
        steps = load_pipeline(tmp_path / "all.yaml", {}, {}).steps
        assert [step.name for step in steps] == list(STEPS)
        spoken = {"dedup": {"method": "phash"}, "denoise": {"quality_action": "flag", "labels_action": "flag"}}
        for step in steps:
            assert step.settings == settings_of(step.name)(**spoken.get(step.name, {}))
        blocks = re.split(r"^  - ", bare, flags=re.MULTILINE)[1:]
        for step, block in zip(steps, blocks, strict=True):
            for name in settings_of(step.name).model_fields:
                assert len(re.findall(rf"^      {name}:", block, re.MULTILINE)) == 1, name
        for metric in ("removed", "leaks", "unreadable"):
            assert re.search(rf"^  {metric}: ", bare, re.MULTILINE)


class TestFile:
    def test_is_not_replaced_unasked(self, pets, tmp_path, datadiet: Cli):
        (tmp_path / "p.yaml").write_text("mine")
        before = tree_digest(tmp_path)
        ran = datadiet("init", pets, tmp_path / "p.yaml")
        assert ran.code == 2
        assert "exists already" in ran.complaint
        assert tree_digest(tmp_path) == before
        assert datadiet("init", pets, tmp_path / "p.yaml", "--force").code == 0
        assert "dedup" in (tmp_path / "p.yaml").read_text()

    def test_a_dangling_link_exists(self, pets, tmp_path, datadiet: Cli):
        (tmp_path / "p.yaml").symlink_to("elsewhere.yaml")
        assert "exists already" in datadiet("init", pets, tmp_path / "p.yaml").complaint
        assert not (tmp_path / "elsewhere.yaml").exists()

    def test_a_folder_that_is_not_there(self, pets, tmp_path, datadiet: Cli):
        ran = datadiet("init", pets, tmp_path / "none/p.yaml")
        assert ran.code == 2
        assert str(tmp_path / "none") in ran.complaint

    def test_to_stdout(self, pets, tmp_path, datadiet: Cli):
        before = tree_digest(tmp_path)
        ran = datadiet("init", pets, "-")
        assert (ran.code, ran.err) == (0, "")
        assert tree_digest(tmp_path) == before
        datadiet("init", pets, tmp_path / "p.yaml")
        assert (tmp_path / "p.yaml").read_bytes() == ran.out

    def test_no_dataset_no_file(self, tmp_path, datadiet: Cli):
        (tmp_path / "empty").mkdir()
        ran = datadiet("init", tmp_path / "empty", tmp_path / "p.yaml")
        assert ran.code == 2
        assert "the folder is empty" in ran.complaint
        assert not (tmp_path / "p.yaml").exists()


HOSTILE = [
    'say "hi"',
    "it's: #1 {a} [b] & *c !d %e @f `g",
    "- dash",
    "back\\slash\\n",
    "tab\tand\nline",
    "end\r",
    " blanks ",
    "ünïcödé 漢字",
    "\N{PARTY POPPER}",
    "\N{LINE SEPARATOR}\x85\N{ZERO WIDTH NO-BREAK SPACE}",
    "\x7f\x1b[31m",
    "${HOME}",
    "null",
    "...",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_can_be_written_down(tmp_path, monkeypatch, datadiet: Cli, name):
    monkeypatch.chdir(tmp_path)
    class_folders(Path(name), {"a.png": 1, "b.png": 1, "c.png": 2})
    assert datadiet("init", "--", name, "p.yaml").code == 0
    printed = datadiet("init", "--", name, "-")
    assert printed.code == 0
    assert printed.out == Path("p.yaml").read_bytes()
    ran = datadiet("run", "p.yaml")
    assert ran.code == 0, ran.err
    assert sorted(os.listdir()) == sorted([name, f"{name}-diet", f"{name}-diet.report.json", "p.yaml"])
    assert names(Path(f"{name}-diet")) == {"a.png", "c.png"}


@pytest.mark.parametrize("file", ["p.yaml", "-"])
def test_a_name_that_is_not_utf_8_is_refused(tmp_path, monkeypatch, datadiet: Cli, file):
    """YAML has no way to write it."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"latin-\xe9")
    class_folders(Path(name), {"a.png": 1})
    ran = datadiet("init", name, file)
    assert (ran.code, ran.out) == (2, b"")
    assert "UTF-8" in ran.complaint
    assert os.listdir() == [name]


def test_a_table_in_a_folder_with_a_dot(tmp_path, monkeypatch, datadiet: Cli):
    monkeypatch.chdir(tmp_path)
    Path("v1.0").mkdir()
    table(Path("v1.0/in.csv"), ["a"], [["x"], ["x"]])
    class_folders(Path("v1.0/set.d"), {"a.png": 1})
    for source, output in (("v1.0/in.csv", "v1.0/in-diet.csv"), ("v1.0/set.d", "v1.0/set.d-diet")):
        assert datadiet("init", source, "p.yaml", "--force").code == 0
        assert datadiet("run", "p.yaml").code == 0
        assert Path(output).exists()
