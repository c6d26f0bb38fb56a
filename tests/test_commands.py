"""The commands that change nothing: `inspect` and `schema`."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Cli, class_folders, save, table, tree_digest
from tests.data.trees import write

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture
def inspect(datadiet: Cli):
    """Look at INPUT in words and as JSON; it and all beside it must stay as they are."""

    def call(path, *flags, code=0):
        before = tree_digest(path.parent)
        words, facts = datadiet("inspect", path, *flags), datadiet("inspect", path, "--json", *flags)
        assert (words.code, facts.code) == (code, code)
        assert (words.err, facts.err) == ("", "")
        assert tree_digest(path.parent) == before
        return words.out.decode(), json.loads(facts.out)

    return call


class TestInspect:
    def test_pictures(self, tmp_path, inspect):
        files = {"train/cat/a.png": 1, "train/cat/b.JPG": 2, "train/dog/c.png": 3, "test/dog/d.webp": 4}
        root = class_folders(tmp_path / "in", files)
        (root / "README.md").write_text("about")
        (root / "train/dog/extra.csv").write_text("a,b\n1,2\n")
        words, facts = inspect(root)
        size = sum((root / name).stat().st_size for name in files)
        assert facts == {
            "path": str(root),
            "kind": "image",
            "layout": "class folders with splits",
            "samples": 4,
            "bytes": size,
            "classes": {"cat": 2, "dog": 2},
            "splits": {"test": 1, "train": 3},
            "unlabelled": 0,
            "formats": {".png": 2, ".jpg": 1, ".webp": 1},
            "other_files": 2,
            "unreadable": {},
        }
        for said in (
            f"{root}: class folders with splits",
            "samples     4 (image)",
            "splits      2: test 1, train 3",
            "classes     2: cat 2, dog 2",
            "formats     3: .png 2, .jpg 1, .webp 1",
            "other files 2, carried along",
        ):
            assert said in words
        assert "unreadable" not in words
        assert "unlabelled" not in words

    def test_unreadable_are_named(self, tmp_path, inspect):
        root = class_folders(tmp_path / "in", {"cat/a.png": 1, "cat/cut.png": 2})
        (root / "cat/cut.png").write_bytes((root / "cat/cut.png").read_bytes()[:900])
        write(root, {"cat/empty.png": "", "cat/text.jpg": "dear reader"})
        (root / "cat/gone.png").symlink_to("nothing.png")
        causes = {"empty.png": "empty", "gone.png": "dangling-symlink"}
        quick = {f"cat/{name}": cause for name, cause in causes.items()}
        every = {**quick, "cat/cut.png": "truncated", "cat/text.jpg": "not-an-image"}
        words, facts = inspect(root, code=3)
        assert facts["unreadable"] == every
        assert "  unreadable  4\n" in words
        for name in every:
            assert f"    {name}: " in words
        words, facts = inspect(root, "--quick", code=3)
        assert facts["unreadable"] == quick
        assert facts["samples"] == 5
        assert "cut.png" not in words

    def test_quick_does_not_decode(self, tmp_path, inspect):
        save(tmp_path / "in/a.png", 1)
        write(tmp_path / "in", {"text.jpg": "dear reader"})
        _, facts = inspect(tmp_path / "in", "--quick")
        assert (facts["samples"], facts["unreadable"]) == (2, {})

    def test_labels_beside_files(self, tmp_path, inspect):
        files = {"a.txt": "A", "b.txt": "B", "c.txt": "C", "labels.csv": "id,label\na,x\nb,x\nz,y\n"}
        words, facts = inspect(write(tmp_path / "in", files))
        assert facts["layout"] == "flat folder with a table of labels"
        assert (facts["kind"], facts["samples"], facts["unlabelled"]) == ("text", 3, 1)
        assert (facts["classes"], facts["tables"], facts["missing_files"]) == ({"x": 2}, {"labels.csv": 3}, 1)
        for said in ("unlabelled  1\n", "tables      1: labels.csv 3\n", "missing     1 files that a table names"):
            assert said in words

    @pytest.mark.parametrize(("suffix", "kind"), [("wav", "audio"), ("bin", "file"), ("txt", "text")])
    def test_other_files(self, tmp_path, inspect, suffix, kind):
        words, facts = inspect(write(tmp_path / "in", {f"x/a.{suffix}": "A", f"y/b.{suffix}": "BB"}))
        assert (facts["kind"], facts["bytes"], facts["formats"]) == (kind, 3, {f".{suffix}": 2})
        assert f"samples     2 ({kind})" in words

    @pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
    def test_tables(self, tmp_path, inspect, suffix):
        path = tmp_path / f"in.{suffix}"
        frame = pl.DataFrame({"x": [1, 2, 3], "y": ["b", "a", "b"], "split": ["train", "test", "train"]})
        if suffix in ("csv", "tsv"):
            frame.write_csv(path, separator="\t" if suffix == "tsv" else ",")
        else:
            (frame.write_ndjson if suffix == "jsonl" else frame.write_parquet)(path)
        words, facts = inspect(path)
        assert (facts["kind"], facts["samples"], facts["layout"]) == ("row", 3, f"{suffix.upper()} table")
        assert facts["columns"] == ["x", "y", "split"]
        assert facts["splits"] == {"test": 1, "train": 2}
        assert facts["classes"] == {}
        assert "columns     3: x, y, split\n" in words
        assert "unlabelled" not in words
        words, facts = inspect(path, "--label", "split", "--split", "split")
        assert facts["classes"] == facts["splits"] == {"test": 1, "train": 2}

    def test_how_to_read_a_table(self, tmp_path, inspect):
        path = tmp_path / "in.csv"
        path.write_bytes("é,1\né,2\n".encode("latin-1"))
        _, facts = inspect(path, "--encoding", "latin-1", "--header", "none")
        assert facts["samples"] == 2
        assert inspect(path, "--encoding", "latin-1", "--header", "first-row")[1]["columns"] == ["é", "1"]

    def test_reads_as_the_other_commands_do(self, tmp_path, inspect, monkeypatch):
        """The same flags and the same environment, since they are the same settings."""
        path = tmp_path / "in.csv"
        path.write_text("x;y,z\n1;a\n")
        assert inspect(path, "--delimiter", ";")[1]["columns"] == ["x", "y,z"]
        monkeypatch.setenv("DATADIET_DELIMITER", ";")
        assert inspect(path)[1]["columns"] == ["x", "y,z"]
        root = class_folders(tmp_path / "in", {"cat/a.png": 1})
        assert inspect(root, "--max-pixels", "100", code=3)[1]["unreadable"] == {"cat/a.png": "bomb"}

    def test_many_classes_and_columns_are_cut_short_in_words_only(self, tmp_path, inspect):
        rows = [[f"class {i:02}", *range(30)] for i in range(25)]
        path = table(tmp_path / "in.csv", ["y", *(f"c{i}" for i in range(30))], rows)
        words, facts = inspect(path, "--label", "y")
        assert (len(facts["classes"]), len(facts["columns"])) == (25, 31)
        assert "class 19 1 ..." in words
        assert "class 20" not in words
        assert "columns     31: y, c0" in words
        assert "c29" not in words

    def test_a_label_that_is_not_there(self, tmp_path, datadiet: Cli):
        path = table(tmp_path / "in.csv", ["label", "x"], [["a", 1]])
        ran = datadiet("inspect", path, "--label", "lable")
        assert (ran.code, ran.out) == (2, b"")
        assert "did you mean 'label'?" in ran.complaint


class TestSchema:
    @pytest.mark.parametrize("name", ["pipeline", "dedup", "report"])
    def test_those_in_configs_are_current(self, datadiet: Cli, name):
        """`make schemas` writes them."""
        ran = datadiet("schema", name)
        assert (ran.code, ran.err) == (0, "")
        assert (CONFIGS / f"{name}.schema.json").read_bytes() == ran.out

    def test_every_schema_in_configs_is_one_that_is_printed(self, datadiet: Cli):
        for path in CONFIGS.glob("*.schema.json"):
            assert datadiet("schema", path.name.removesuffix(".schema.json")).code == 0

    def test_pipeline_is_what_one_gets_unasked(self, datadiet: Cli):
        assert datadiet("schema").out == datadiet("schema", "pipeline").out

    @pytest.mark.parametrize(
        ("name", "hint"), [("dedpu", "did you mean 'dedup'?"), ("x", "there are pipeline, report")]
    )
    def test_there_is_no_other(self, datadiet: Cli, name, hint):
        ran = datadiet("schema", name)
        assert (ran.code, ran.out) == (2, b"")
        assert hint in ran.complaint
