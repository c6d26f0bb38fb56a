"""What a user gets wrong: one clear line, exit code 2, and nothing on the disk is any different."""

import os
from pathlib import Path

import pytest

from tests.conftest import Cli, class_folders, names, table, tree_digest


@pytest.fixture
def refused(datadiet, tmp_path):
    """Run a command that must be refused; give its line. Everything below tmp_path must stay as it was."""

    def call(*arguments: object) -> str:
        before = tree_digest(tmp_path)
        ran = datadiet(*arguments)
        assert ran.code == 2, ran.err
        assert ran.out == b""
        assert tree_digest(tmp_path) == before
        return ran.complaint

    return call


@pytest.fixture
def rows(tmp_path) -> Path:
    return table(tmp_path / "rows.csv", ["name", "mood"], [["a", "good"], ["b", "bad"]])


class TestCommandLine:
    def test_input_missing(self, refused):
        assert "INPUT" in refused("dedup")

    def test_output_missing_names_the_ways_out(self, refused, pets):
        line = refused("dedup", pets)
        assert "OUTPUT is missing" in line
        assert "--dry-run" in line
        assert "--check" in line

    def test_unknown_flag_suggests_one(self, refused, pets, tmp_path):
        line = refused("dedup", pets, tmp_path / "out", "--metod", "phash")
        assert "--metod" in line
        assert "--method" in line

    def test_unknown_command_suggests_one(self, refused, pets, tmp_path):
        assert "dedup" in refused("dedpu", pets, tmp_path / "out").replace("dedpu", "")

    def test_json_and_list_both_want_stdout(self, refused, pets, tmp_path):
        said = "{} and --list both print to stdout; choose one"
        for flags, named in ((["--json"], "--json (--format json)"), (["--format", "sarif"], "--format sarif")):
            assert said.format(named) in refused("dedup", pets, tmp_path / "out", *flags, "--list", "kept")

    def test_cuda_without_a_device(self, refused, pets, tmp_path, monkeypatch):
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        line = refused("dedup", pets, tmp_path / "out", "--device", "cuda")
        assert "--device cuda" in line
        assert "cpu" in line

    def test_method_for_another_kind_of_data(self, refused, rows, tmp_path):
        line = refused("dedup", rows, tmp_path / "out.csv", "--method", "phash")
        assert "phash" in line
        assert "exact, near" in line

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--max-distance", "65"], "--max-distance: must be at most 64, not 65"),
            (["--max-distance", "six"], "--max-distance: must be a whole number, not 'six'"),
            (["--max-removed", "110%"], "--max-removed: must be a percentage"),
            (["--workers", "0"], "--workers: must be at least 1"),
            (["--method", "phsah"], "did you mean 'phash'?"),
        ],
    )
    def test_value_out_of_range(self, refused, pets, tmp_path, flags, said):
        assert said in refused("dedup", pets, tmp_path / "out", *flags)

    def test_environment_is_held_to_the_same_rules(self, refused, pets, tmp_path, monkeypatch):
        monkeypatch.setenv("DATADIET_DEDUP_MAX_DISTANCE", "65")
        line = refused("dedup", pets, tmp_path / "out")
        assert line == "environment DATADIET_DEDUP_MAX_DISTANCE: must be at most 64, not 65"

    def test_newlines_in_a_path_cannot_forge_a_line(self, refused, tmp_path):
        line = refused("dedup", tmp_path / "no\ndatadiet: all is well", tmp_path / "out")
        assert "\\n" in line


class TestInput:
    def test_missing_suggests_the_neighbour(self, refused, pets, tmp_path):
        line = refused("dedup", tmp_path / "inn", tmp_path / "out")
        assert "does not exist" in line
        assert f"did you mean '{pets}'?" in line

    def test_unknown_kind_of_file(self, refused, tmp_path):
        (tmp_path / "letter.docx").write_bytes(b"PK\x03\x04")
        line = refused("dedup", tmp_path / "letter.docx", tmp_path / "out")
        assert "letter.docx: unknown kind of file" in line
        assert ".csv" in line

    @pytest.mark.parametrize("made", ["in", "in/class/deeper"])
    def test_empty_folder(self, refused, tmp_path, made):
        (tmp_path / made).mkdir(parents=True)
        assert "the folder is empty" in refused("dedup", tmp_path / "in", tmp_path / "out")

    def test_fifo(self, refused, tmp_path):
        os.mkfifo(tmp_path / "pipe.csv")
        assert "neither a folder nor a file" in refused("dedup", tmp_path / "pipe.csv", tmp_path / "out.csv")

    def test_one_class_is_no_mistake(self, datadiet: Cli, tmp_path):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/b.png": 2})
        assert datadiet("dedup", root, tmp_path / "out").code == 0
        assert names(tmp_path / "out") == {"cat", "cat/a.png", "cat/b.png"}


class TestTables:
    @pytest.fixture
    def line_for(self, refused, tmp_path):
        """Give the line about a CSV of these bytes."""

        def call(content: bytes, *flags: str) -> str:
            (tmp_path / "in.csv").write_bytes(content)
            return refused("dedup", tmp_path / "in.csv", tmp_path / "out.csv", *flags)

        return call

    def test_zero_bytes(self, line_for):
        assert "in.csv: the file is empty" in line_for(b"")

    def test_blank_lines_only(self, line_for):
        assert "in.csv: holds no header" in line_for(b"\n\n\n")

    def test_no_header(self, line_for):
        line = line_for(b"1.5,2\n2.5,3\n")
        assert "looks like data" in line
        assert "--header none" in line

    def test_ragged_record_is_named_by_its_line(self, line_for):
        line = line_for(b'a,b\n"two\nlines",2\n3\n4,5\n')
        assert "in.csv:4: 1 cell, expected 2" in line

    def test_open_quote(self, line_for):
        assert "in.csv:2: a quoted cell" in line_for(b'a,b\n"1,2\n3,4\n')

    def test_wrong_encoding_is_named_by_its_line(self, line_for):
        line = line_for("name,city\nx,Köln\n".encode("latin-1"))
        assert "in.csv:2: byte 0xF6 is not UTF-8" in line
        assert "--encoding latin-1" in line

    def test_utf_16(self, line_for):
        line = line_for("a,b\n1,2\n".encode("utf-16"))
        assert "UTF-16" in line
        assert "iconv" in line

    def test_binary(self, line_for):
        assert "in.csv:1: a NUL byte" in line_for(bytes(range(256)) * 100)

    def test_two_million_columns(self, line_for):
        assert "2,000,001 columns" in line_for(b"a," * 2_000_000)

    @pytest.mark.parametrize("flag", ["--label", "--split", "--id-column", "--columns"])
    def test_column_that_is_not_there(self, line_for, flag):
        line = line_for(b"name,mood\nx,good\n", flag, "moood")
        assert f"{flag} moood: no such column" in line
        assert "did you mean 'mood'?" in line

    def test_unknown_encoding(self, line_for):
        assert "--encoding: must be a text encoding" in line_for(b"a\n1\n", "--encoding", "utf-9")

    def test_broken_parquet(self, refused, tmp_path):
        (tmp_path / "in.parquet").write_bytes(b"PAR1 and then nothing of the kind PAR1")
        assert "in.parquet: " in refused("dedup", tmp_path / "in.parquet", tmp_path / "out.parquet")

    def test_broken_json_is_named_by_its_line(self, refused, tmp_path):
        (tmp_path / "in.jsonl").write_bytes(b'{"a": 1}\n{"a": \n')
        assert "in.jsonl:2" in refused("dedup", tmp_path / "in.jsonl", tmp_path / "out.jsonl")

    @pytest.mark.parametrize("cell", ["../../etc/passwd", "/etc/passwd", "b/../../a.png"])
    def test_metadata_may_not_name_files_outside(self, refused, tmp_path, cell):
        class_folders(tmp_path / "in", {"a.png": 1})
        table(tmp_path / "in/metadata.csv", ["file_name", "label"], [["a.png", "x"], [cell, "y"]])
        line = refused("dedup", tmp_path / "in", tmp_path / "out")
        assert cell in line
        assert "leads out of INPUT" in line


class TestOutput:
    def test_exists(self, refused, pets, tmp_path):
        class_folders(tmp_path / "out", {"precious.png": 9})
        line = refused("dedup", pets, tmp_path / "out")
        assert "exists already" in line
        assert "--force" in line

    @pytest.mark.parametrize("force", [[], ["--force"], ["--rerun", "--force"]])
    @pytest.mark.parametrize(
        ("place", "said"), [("in", "OUTPUT is INPUT"), ("in/new", "inside INPUT"), (".", "OUTPUT holds INPUT")]
    )
    def test_would_endanger_input(self, refused, pets, tmp_path, place, said, force):
        assert said in refused("dedup", pets, tmp_path / place, *force)

    def test_leads_into_input_by_a_link(self, refused, pets, tmp_path):
        (tmp_path / "alias").symlink_to("in/cat")
        assert "inside INPUT" in refused("dedup", pets, tmp_path / "alias/new")

    def test_is_a_link(self, refused, pets, tmp_path):
        class_folders(tmp_path / "elsewhere", {"precious.png": 9})
        (tmp_path / "out").symlink_to("elsewhere")
        assert "symbolic link" in refused("dedup", pets, tmp_path / "out", "--force")

    def test_is_a_fifo(self, refused, pets, tmp_path):
        os.mkfifo(tmp_path / "out")
        assert "out: " in refused("dedup", pets, tmp_path / "out", "--force")

    def test_folder_missing(self, refused, pets, tmp_path):
        line = refused("dedup", pets, tmp_path / "no/such/out")
        assert f"mkdir -p {tmp_path / 'no/such'}" in line

    def test_below_a_file(self, refused, pets, rows):
        assert "rows.csv/out: " in refused("dedup", pets, rows / "out")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_folder_unwritable(self, refused, pets, tmp_path):
        (tmp_path / "locked").mkdir(mode=0o555)
        assert "cannot be written" in refused("dedup", pets, tmp_path / "locked/out")

    def test_another_suffix_for_a_table(self, refused, rows, tmp_path):
        assert "a name that ends in .csv" in refused("dedup", rows, tmp_path / "out.parquet")

    @pytest.mark.parametrize("name", ["x" * 240, "漢" * 80, "x" * 256])
    def test_name_too_long_for_its_companions(self, refused, pets, tmp_path, name):
        assert "too long" in refused("dedup", pets, tmp_path / name)


class TestConfig:
    def test_all_mistakes_at_once_each_with_its_place(self, datadiet: Cli, pets, tmp_path):
        config = tmp_path / "c.yaml"
        config.write_text("method: phsah\nseeed: 3\nmax_distance:\n  - 1\n")
        before = tree_digest(tmp_path)
        ran = datadiet("dedup", pets, tmp_path / "out", "-c", config)
        assert ran.code == 2
        first, second, third = ran.err.splitlines()
        assert first.startswith(f"datadiet: {config}:1:1: method: must be one of ")
        assert first.endswith("did you mean 'phash'?")
        assert second == f"datadiet: {config}:2:1: seeed: unknown setting; did you mean 'seed'?"
        assert third == f"datadiet: {config}:3:1: max_distance: must be a whole number, not a list"
        assert tree_digest(tmp_path) == before

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("input: in\n", ":1:1: steps: must be given"),
            ("steps: [dedpu]\n", ":1:9: steps[0]: unknown step 'dedpu'; did you mean 'dedup'?"),
            ("steps:\n  - dedup: {tolerence: 1}\n", ":2:13: steps[0].dedup.tolerence: unknown setting"),
            ("steps: [dedup]\nexpect: {removed: few}\n", ":2:10: expect.removed: must compare with"),
            ("steps: [dedup]\nsteps: [dedup]\n", ":2:1: 'steps' is set twice"),
            ("steps: &a [dedup]\n", ":1:8: anchors"),
            ("steps: [dedup\n", ":2:1: not YAML"),
            ("steps: [dedup]\n", ": no input"),
        ],
    )
    def test_pipeline(self, refused, tmp_path, text, said):
        path = tmp_path / "p.yaml"
        path.write_text(text)
        assert f"{path}{said}" in refused("run", path)

    def test_no_such_file(self, refused, tmp_path):
        assert "p.yaml: cannot be read" in refused("run", tmp_path / "p.yaml")

    def test_pipeline_without_output(self, refused, pets, tmp_path):
        (tmp_path / "p.yaml").write_text(f"input: {pets}\nsteps: [dedup]\n")
        assert "no output" in refused("run", tmp_path / "p.yaml")
