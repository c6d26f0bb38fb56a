"""Hugging Face metadata tables: at the root or in each split, in three formats."""

import io

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.conftest import Cli, report
from tests.data.trees import json_lines, labels_of, lines, parquet, read, without, write

METADATA = {"csv": lines, "jsonl": json_lines, "parquet": parquet}


def same_table(path, content):
    """Equal bytes; a Parquet file that lost rows is compressed anew, so its frame."""
    if path.suffix == ".parquet":
        assert_frame_equal(pl.read_parquet(path), pl.read_parquet(io.BytesIO(content)))
    else:
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("suffix", METADATA)
def test_metadata_at_the_root_names_files_in_folders(tmp_path, datadiet: Cli, suffix):
    make, header = METADATA[suffix], ("file_name", "label", "text")
    records = [
        ("train/0001.png", "cat", "a cat, sitting"), ("train/more/0002.png", "cat", 'a "cat"'),
        ("train/0003.png", "dog", "a dog"), ("test/0001.png", "dog", "ein Hündchen"), ("train/none.png", "dog", ""),
        ("train/0004.png", "dog", "\N{DOG FACE}"),
    ]  # fmt: skip
    files = {"train/0001.png": "A", "train/more/0002.png": "A", "train/0003.png": "T", "train/0004.png": "D",
             "test/0001.png": "T", f"metadata.{suffix}": make(header, records)}  # fmt: skip
    root = write(tmp_path / "in", files)
    assert labels_of(root)["train/more/0002.png"] == "cat"
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
    assert ran.ids == ["train/0003.png", "train/more/0002.png"]
    left = [record for record in records if record[0] not in ran.ids]
    same_table(tmp_path / f"out/metadata.{suffix}", make(header, left))
    told = report(tmp_path / "out")
    assert told["input"]["layout"] == "files with metadata tables"
    assert told["input"]["splits"] == {"test": 1, "train": 4}
    assert (told["input"]["missing_files"], told["figures"]["leaks"]) == (1, 1)


@pytest.mark.parametrize("suffix", METADATA)
def test_metadata_in_each_split(tmp_path, datadiet: Cli, suffix):
    """Both tables name a file 0.png, and mean different ones."""
    make, header = METADATA[suffix], ("file_name", "label", "x")
    train = [("0.png", "cat", "1"), ("1.png", "cat", "2"), ("deep/2.png", "cat", "3"), ("3.png", "dog", "4")]
    test = [("0.png", "dog", "5"), ("1.png", "dog", "6")]
    files = {"train/0.png": "A", "train/1.png": "A", "train/deep/2.png": "A", "train/3.png": "D",
             "test/0.png": "T", "test/1.png": "T",
             f"train/metadata.{suffix}": make(header, train),
             f"test/metadata.{suffix}": make(header, test)}  # fmt: skip
    root = write(tmp_path / "in", files)
    assert labels_of(root) == {
        "test/0.png": "dog", "test/1.png": "dog", "train/0.png": "cat", "train/1.png": "cat", "train/3.png": "dog",
        "train/deep/2.png": "cat",
    }  # fmt: skip
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
    assert ran.ids == ["train/1.png", "train/deep/2.png"]
    same_table(tmp_path / f"out/train/metadata.{suffix}", make(header, [train[0], train[3]]))
    assert (tmp_path / f"out/test/metadata.{suffix}").read_bytes() == (root / f"test/metadata.{suffix}").read_bytes()
    assert report(tmp_path / "out")["input"]["tables"] == {f"test/metadata.{suffix}": 2, f"train/metadata.{suffix}": 4}


def test_metadata_without_labels_leaves_the_class_folders(tmp_path, datadiet: Cli):
    records = [("cat/a.png", "3", "x"), ("cat/b.png", "4", "y"), ("dog/c.png", "5", "z")]
    files = {"cat/a.png": "A", "cat/b.png": "A", "dog/c.png": "A"}
    root = write(tmp_path / "in", {**files, "metadata.csv": lines(("file_name", "size", "by"), records)})
    assert labels_of(root) == {"cat/a.png": "cat", "cat/b.png": "cat", "dog/c.png": "dog"}
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    kept = lines(("file_name", "size", "by"), [records[0], records[2]])
    assert read(tmp_path / "out") == without({**files, "metadata.csv": kept}, "cat/b.png")


def test_captions_are_no_classes(tmp_path, datadiet: Cli):
    """Two columns, file_name and text, are the usual form of a captioned set."""
    records = [("train/a.png", "one"), ("train/b.png", "two"), ("train/c.png", "three"), ("test/t.png", "four")]
    files = {"train/a.png": "A", "train/b.png": "A", "train/c.png": "T", "test/t.png": "T"}
    root = write(tmp_path / "in", {**files, "metadata.csv": lines(("file_name", "text"), records)})
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
    assert ran.ids == ["train/b.png", "train/c.png"]
    assert (tmp_path / "out/metadata.csv").read_text() == lines(("file_name", "text"), [records[0], records[3]])


def test_metadata_of_sounds_and_texts(tmp_path, datadiet: Cli):
    for suffix in ("wav", "txt"):
        records = [(f"a.{suffix}", "x", "1"), (f"b.{suffix}", "x", "2")]
        files = {f"a.{suffix}": "A", f"b.{suffix}": "A", "metadata.csv": lines(("file_name", "label", "n"), records)}
        root, output = write(tmp_path / suffix, files), tmp_path / f"{suffix}-out"
        assert datadiet("dedup", root, output).code == 0
        kept = lines(("file_name", "label", "n"), records[:1])
        assert read(output) == without({**files, "metadata.csv": kept}, f"b.{suffix}")


def test_metadata_that_names_no_files_is_refused(tmp_path, datadiet: Cli):
    root = write(tmp_path / "in", {"a.png": "A", "metadata.csv": "image,label\na.png,x\n"})
    assert "has no column 'file_name'" in datadiet("dedup", root, tmp_path / "out").complaint


def test_a_hidden_metadata_table_is_none(tmp_path, datadiet: Cli):
    files = {
        "cat/a.png": "A",
        "cat/b.png": "A",
        ".cache/metadata.csv": "n\n1\n",
        ".cache/labels.csv": "f,y\na,x\nb,x\n",
    }
    assert datadiet("dedup", write(tmp_path / "in", files), tmp_path / "out", "--method", "exact").code == 0
    assert read(tmp_path / "out") == without(files, "cat/b.png")
    assert report(tmp_path / "out")["input"]["classes"] == {"cat": 2}
