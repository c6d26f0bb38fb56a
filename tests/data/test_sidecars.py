"""Tables beside files that speak of them: what they say counts, and their records go with the files."""

import csv

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.conftest import Cli, report
from tests.data.trees import json_lines, labels_of, lines, parquet, read, without, write

FILES = {"a.png": "A", "b.png": "B", "c.png": "A", "d.png": "A", "e.png": "E"}
RECORDS = [("a.png", "cat", "1.50"), ("c.png", "cat", "007"), ("zz.png", "cat", ""), ("d.png", "dog", "x"),
           ("b.png", "dog", "1e5"), ("e.png", "dog", " ")]  # fmt: skip
"""`c` is a copy of `a`; `d` too, but bears another label; `zz` is not there."""


HEADER = ("file", "label", "extra")
BARE = [(name.removesuffix(".png"), *rest) for name, *rest in RECORDS]
STYLES = {
    "file names": ("labels.csv", lines, HEADER, RECORDS, {}),
    "stems": ("train_labels.csv", lines, ("id", "class", "x"), BARE, {}),
    "semicolons": ("labels.csv", lines, HEADER, RECORDS, {"delimiter": ";"}),
    "windows": ("LABELS.CSV", lines, HEADER, RECORDS, {"end": "\r\n", "quoting": csv.QUOTE_ALL}),
    "name not first": ("y.csv", lines, ("n", "image", "category"), [(n, f, y) for f, y, n in RECORDS], {}),
    "tabs": ("labels.tsv", lines, HEADER, RECORDS, {"delimiter": "\t"}),
    "json": ("labels.jsonl", json_lines, HEADER, RECORDS, {}),
    "only two columns": ("a.csv", lines, ("id", "breed"), [record[:2] for record in BARE], {}),
}


@pytest.mark.parametrize("style", STYLES)
def test_flat_folder_with_a_table_of_labels(tmp_path, datadiet: Cli, style):
    name, make, header, records, how = STYLES[style]
    files = {**FILES, name: make(header, records, **how)}
    root = write(tmp_path / "in", files)
    assert labels_of(root) == {"a.png": "cat", "b.png": "dog", "c.png": "cat", "d.png": "dog", "e.png": "dog"}
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    kept = make(header, [records[0], *records[2:]], **how)
    assert read(tmp_path / "out") == without({**files, name: kept}, "c.png")
    told = report(tmp_path / "out")
    assert told["input"]["layout"] == "flat folder with a table of labels"
    assert told["input"]["tables"] == {name: 6}
    assert told["input"]["missing_files"] == 1
    assert told["output"]["classes"] == {"cat": 1, "dog": 3}
    assert {(v["id"], v["reason"]) for v in told["verdicts"] if v["action"] == "flag"} == {
        ("a.png", "conflict"), ("d.png", "conflict"),
    }  # fmt: skip


def test_flat_folder_with_a_parquet_of_labels(tmp_path, datadiet: Cli):
    root = write(tmp_path / "in", {**FILES, "labels.parquet": parquet(HEADER, RECORDS)})
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    kept = pl.read_parquet(tmp_path / "out/labels.parquet")
    assert_frame_equal(kept, pl.read_parquet(root / "labels.parquet").filter(pl.col("file") != "c.png"))
    assert set(read(tmp_path / "out")) == {"a.png", "b.png", "d.png", "e.png", "labels.parquet"}


def test_the_columns_are_those_that_were_named(tmp_path, datadiet: Cli):
    header = ("file", "label", "species", "fold")
    records = [("a.png", "x", "one", "train"), ("b.png", "y", "two", "train"), ("c.png", "y", "one", "train"),
               ("d.png", "x", "one", "Test"), ("e.png", "x", "one", "train")]  # fmt: skip
    root = write(tmp_path / "in", {**FILES, "l.csv": lines(header, records)})
    assert labels_of(root, label="species") == dict(zip(FILES, ["one", "two", "one", "one", "one"], strict=True))
    flags = ["--method", "exact", "--label", "species", "--split", "fold"]
    ran = datadiet("dedup", root, tmp_path / "out", *flags, "--list", "dropped")
    assert ran.ids == ["a.png", "c.png"]
    assert report(tmp_path / "out")["figures"]["leaks"] == 2
    assert (tmp_path / "out/l.csv").read_text() == lines(header, [records[1], *records[3:]])


@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
def test_a_named_column_that_tells_no_split_is_refused(tmp_path, datadiet: Cli, name):
    records = [("a.png", "x", "one"), ("b.png", "y", "two"), ("c.png", "y", "one"), ("d.png", "x", "one")]
    root = write(tmp_path / "in", {**FILES, name: lines(("file_name", "label", "fold"), records)})
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--split", "fold")
    assert ran.code == 2
    assert "in: --split fold: names neither train nor test; it says 'one', 'two'; known are" in ran.complaint


@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
def test_a_split_column_is_found(tmp_path, datadiet: Cli, name):
    header = ("file_name", "label", "split")
    records = [("a.png", "x", "train"), ("b.png", "x", "train"), ("c.png", "x", "test"), ("d.png", "x", "test")]
    root = write(tmp_path / "in", {**FILES, name: lines(header, records)})
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact", "--list", "dropped")
    assert ran.ids == ["a.png"]
    assert (tmp_path / "out" / name).read_text() == lines(header, records[1:])


@pytest.mark.parametrize(("folder", "gone"), [("images", "c"), ("train", "c"), ("test", None)])
def test_a_table_beside_the_only_folder(tmp_path, datadiet: Cli, folder, gone):
    """As competitions hand their data out: the files in one folder, the table of labels beside it."""
    header, records = ("id", "breed"), [record[:2] for record in BARE]
    files = {f"{folder}/{name}": content for name, content in FILES.items()}
    root = write(tmp_path / "in", {**files, "labels.csv": lines(header, records)})
    assert labels_of(root) == {f"{folder}/{name}": "cat" if name in ("a.png", "c.png") else "dog" for name in FILES}
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    kept = lines(header, [record for record in records if record[0] != gone])
    assert read(tmp_path / "out") == without({**files, "labels.csv": kept}, f"{folder}/{gone}.png")


def test_a_table_about_something_else_stays_untouched(tmp_path, datadiet: Cli):
    """Its records are equal to each other, and one happens to name a file."""
    other = "day,label\nmonday,x\nmonday,x\na,y\n"
    files = {**FILES, "log.csv": other, "notes.jsonl": '{"a": 1}\n{"a": 1}\n'}
    assert datadiet("dedup", write(tmp_path / "in", files), tmp_path / "out", "--method", "exact").code == 0
    assert read(tmp_path / "out") == without(files, "c.png", "d.png")
    assert report(tmp_path / "out")["input"]["layout"] == "flat folder"


UNREADABLE = {
    "empty": b"",
    "ragged": b"x,y\n1,2,3\n",
    "latin-1": "café,n\n".encode("latin-1"),
    "open": b'x\n"y\n',
    "binary": b"x\0",
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_a_table_about_something_else_need_not_be_readable(tmp_path, datadiet: Cli, content):
    files = {**FILES, "notes.csv": content}
    ran = datadiet("dedup", write(tmp_path / "in", files), tmp_path / "out", "--method", "exact")
    assert ran.code == 0, ran.err
    assert read(tmp_path / "out") == without(files, "c.png", "d.png")


@pytest.mark.parametrize("naming", ["a.png,café\n", "a;café\n", '"a"\tcafé\n'])
def test_a_table_about_the_files_must_be_readable(tmp_path, datadiet: Cli, naming):
    """Its labels would be lost."""
    root = write(tmp_path / "in", {**FILES, "labels.csv": f"x\n{naming}".encode("latin-1")})
    ran = datadiet("dedup", root, tmp_path / "out", "--method", "exact")
    assert ran.code == 2
    assert "labels.csv:2: byte 0xE9 is not UTF-8" in ran.complaint


@pytest.mark.parametrize(
    ("kept", "gone", "other", "tables"),
    [
        ("train/1.png", "train/2.png", "test/3.png", {"train.csv": "id,y\n1,x\n2,x\n", "test.csv": "id\n3\n"}),
        ("1.png", "2.png", "3.png", {"l.csv": "id,label\n1,x\n2,x\n3,x\n", "s.csv": "id,area\n1,5\n2,5\n3,7\n"}),
        ("cat/1.png", "cat/2.png", "dog/3.png", {"sizes.csv": "file,n\ncat/1.png,5\ncat/2.png,5\ndog/3.png,5\n"}),
    ],
    ids=["a folder each for train and test", "two tables", "class folders"],
)
def test_every_table_of_the_files_loses_their_records(tmp_path, datadiet: Cli, kept, gone, other, tables):
    files = {kept: "A", gone: "A", other: "C"}
    assert (
        datadiet("dedup", write(tmp_path / "in", {**files, **tables}), tmp_path / "out", "--method", "exact").code == 0
    )
    mark = ("2", gone)
    left = {
        name: "".join(line for line in text.splitlines(keepends=True) if line.strip().split(",")[0] not in mark)
        for name, text in tables.items()
    }
    assert read(tmp_path / "out") == without({**files, **left}, gone)


def test_files_that_no_record_names_are_unlabelled(tmp_path, datadiet: Cli):
    files = {**FILES, "f.png": "F", "g.png": "F", "labels.csv": lines(HEADER, RECORDS[:2])}
    root = write(tmp_path / "in", files)
    assert labels_of(root) == {**dict.fromkeys(files.keys() - {"labels.csv"}), "a.png": "cat", "c.png": "cat"}
    assert datadiet("dedup", root, "--method", "exact", "--dry-run", "--list", "dropped").ids == [
        "c.png",
        "d.png",
        "g.png",
    ]


def test_several_records_of_a_file_go_with_it(tmp_path, datadiet: Cli):
    records = [("a.png", "cat", "1"), ("b.png", "dog", "2"), ("a.png", "cat", "3"), ("c.png", "cat", "4"),
               ("c.png", "cat", "5"), ("c.png", "cat", "6")]  # fmt: skip
    root = write(tmp_path / "in", {"a.png": "A", "b.png": "B", "c.png": "A", "l.csv": lines(HEADER, records)})
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    assert (tmp_path / "out/l.csv").read_text() == lines(HEADER, records[:3])


def test_a_stem_of_two_files_names_neither(tmp_path, datadiet: Cli):
    files = {"a.png": "A", "a.jpg": "A2", "b.png": "B", "c.png": "B", "d.png": "D"}
    table = lines(("id", "label"), [("a", "x"), ("b", "y"), ("c", "y"), ("d", "x")])
    root = write(tmp_path / "in", {**files, "l.csv": table})
    assert labels_of(root) == {"a.jpg": None, "a.png": None, "b.png": "y", "c.png": "y", "d.png": "x"}
    assert datadiet("dedup", root, tmp_path / "out", "--method", "exact").code == 0
    assert (tmp_path / "out/l.csv").read_text() == table.replace("c,y\n", "")
    assert report(tmp_path / "out")["input"]["missing_files"] == 1


def test_a_column_that_is_not_there_is_named(tmp_path, datadiet: Cli):
    root = write(tmp_path / "in", {**FILES, "labels.csv": lines(HEADER, RECORDS)})
    ran = datadiet("dedup", root, tmp_path / "out", "--label", "specie")
    assert ran.code == 2
    assert "labels.csv: no column 'specie'" in ran.complaint
