"""`datadiet balance` from the command line: what people see, and what is in the files afterwards."""

import csv
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.report.bars import MOST, WIDTH, class_bars
from tests.conftest import Cli, class_folders, report, save, table, tree_digest, write_pipeline


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def counts(rows, column="y", split="train"):
    values = [row[column] for row in rows if split is None or row["s"] == split]
    return {value: values.count(value) for value in sorted(set(values))}


@pytest.fixture
def patients(tmp_path):
    """INPUT: 24 healthy and 6 ill for training, 10 for a test; numbers, a whole number, a category, free text."""
    rng = np.random.default_rng(0)
    header = ["id", "mass", "age", "clinic", "day", "note", "y", "s"]
    records = []
    for i in range(40):
        ill = i % 5 == 0
        mass = f"{rng.normal(80 if ill else 60, 5):.2f}" if i != 10 else ""
        words = " ".join(rng.choice("felt well tired slept ate ran rested coughed".split(), 8))
        day = f"2024-02-{i % 28 + 1:02}"
        label, split = ("ill" if ill else "well"), ("test" if i >= 30 else "train")
        records.append([f"p{i}", mass, rng.integers(20, 90), "north" if i % 3 else "south", day, words, label, split])
    return table(tmp_path / "patients.csv", header, records)


def test_rows_between_rows(patients, tmp_path, datadiet: Cli):
    """Every cell of a new row is one that its column may have, and lies between those of its parents."""
    out = tmp_path / "out.csv"
    ran = datadiet("balance", patients, out, "--label", "y", "--split", "s", "--id-column", "id", "--target", "max",
                   "--mark-column", "made", "--columns", "mass", "--columns", "age", "--columns", "clinic",
                   "--columns", "day")  # fmt: skip
    assert ran.code == 0
    assert "added 18 synthetic" in ran.err
    assert "balanced rows skew a model's probabilities" in ran.err
    before = {row["id"]: row for row in rows_of(patients)}
    rows = rows_of(out)
    assert counts(rows) == {"ill": 24, "well": 24}
    lines = patients.read_bytes().splitlines()
    assert out.read_bytes().splitlines()[1:41] == [line + b"," for line in lines[1:]]
    for row in rows[40:]:
        parent = row["id"].rpartition("-new-")[0]
        one, two = row["made"].removeprefix("smote-nc of ").split(" and ")
        assert one == parent
        assert {before[one]["y"], before[two]["y"]} == {"ill"}
        low, high = sorted((int(before[one]["age"]), int(before[two]["age"])))
        assert low <= int(row["age"]) <= high
        if before[one]["mass"] and before[two]["mass"]:
            low, high = sorted((float(before[one]["mass"]), float(before[two]["mass"])))
            assert low <= float(row["mass"]) <= high
            assert len(row["mass"].partition(".")[2]) == 2
        assert (row["mass"] == "") == (before[one]["mass"] == "")
        assert row["clinic"] in ("north", "south")
        assert (row["day"], row["note"]) == (before[one]["day"], before[one]["note"])
        assert row["s"] == "train"
    assert all(row["made"] == "" for row in rows[:40])
    assert len({row["id"] for row in rows}) == 58
    told = report(out)
    made = [v for v in told["verdicts"] if v["action"] == "add"]
    assert [v["id"] for v in made] == [row["id"] for row in rows[40:]]
    assert all(v["witness"] == v["evidence"]["parents"][0] for v in made)
    assert told["figures"]["added"] == 18
    step = told["steps"][-1]["metrics"]
    assert step["groups"] == {"ill": {"before": 6, "after": 24}, "well": {"before": 24, "after": 24}}
    assert (step["ratio_before"], step["ratio_after"], step["over"]) == (4, 1, "smote-nc")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_types_of_other_tables_stay(patients, tmp_path, datadiet: Cli, ending):
    frame = pl.read_csv(patients).with_columns(pl.col("day").str.to_date(), ill=pl.col("y") == "ill")
    source, out = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    frame.write_parquet(source) if ending == "parquet" else frame.write_ndjson(source)
    assert datadiet("balance", source, out, "--label", "y", "--split", "s", "--target", "12").code == 0
    after = pl.read_parquet(out) if ending == "parquet" else pl.read_ndjson(out, schema=pl.read_ndjson(source).schema)
    assert after.schema == (frame.schema if ending == "parquet" else pl.read_ndjson(source).schema)
    train = after.filter(pl.col("s") == "train")
    assert train["y"].value_counts().sort("y").rows() == [("ill", 12), ("well", 12)]
    assert train.filter(pl.col("ill") != (pl.col("y") == "ill")).is_empty()


def test_whole_ids_are_counted_on(tmp_path, datadiet: Cli):
    path = table(tmp_path / "in.csv", ["nr", "x", "y"], [[i * 3, i / 8, "a" if i < 6 else "b"] for i in range(8)])
    ran = datadiet("balance", path, tmp_path / "o.csv", "--label", "y", "--id-column", "nr", "--no-split",
                   "--target", "max")  # fmt: skip
    assert ran.code == 0
    assert [row["nr"] for row in rows_of(tmp_path / "o.csv")][8:] == ["22", "23", "24", "25"]


def test_without_a_split_nothing_is_made_or_dropped_unasked(pets, tmp_path, datadiet: Cli):
    ran = datadiet("balance", pets, tmp_path / "out")
    assert ran.code == 2
    assert ran.complaint.startswith("balance: nothing says which samples are for training")
    for word in ("--split COLUMN", "folders train/", "--no-split"):
        assert word in ran.complaint
    assert not (tmp_path / "out").exists()
    assert datadiet("balance", pets, tmp_path / "out", "--weights", "class").code == 0
    assert datadiet("balance", pets, tmp_path / "all", "--no-split", "--target", "max").code == 0
    assert len(list((tmp_path / "all/dog").glob("*-new.png"))) == 1


def test_groups_of_several_columns(tmp_path, datadiet: Cli):
    """Only a class among a speaker's sounds is even; what has no speaker is left alone."""
    names = [f"{i:02}" for i in range(18)]
    class_folders(tmp_path / "in", {f"{n}.png": i for i, n in enumerate(names)})
    cells = [
        [f"{n}.png", "cat" if i < 12 else "dog", "" if i == 0 else "ann" if i % 4 else "bob", "train" if i else "test"]
        for i, n in enumerate(names)
    ]
    table(tmp_path / "in/labels.csv", ["file", "label", "speaker", "split"], [*cells])
    cells[1][2] = ""
    table(tmp_path / "in/labels.csv", ["file", "label", "speaker", "split"], cells)
    ran = datadiet("balance", tmp_path / "in", tmp_path / "out", "--group-by", "label", "--group-by", "speaker",
                   "--target", "4")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "training samples with an empty cell in label, speaker: 1, which are left alone" in ran.err
    groups = report(tmp_path / "out")["steps"][-1]["metrics"]["groups"]
    assert set(groups) == {"cat / ann", "cat / bob", "dog / ann", "dog / bob"}
    assert {size["after"] for size in groups.values()} == {4}
    rows = rows_of(tmp_path / "out/labels.csv")
    assert {row["file"] for row in rows} | {"labels.csv"} == {p.name for p in (tmp_path / "out").iterdir()}
    said = [(row["label"], row["speaker"]) for row in rows if row["split"] == "train" and row["speaker"]]
    assert {said.count(group) for group in set(said)} == {4}


def test_groups_that_cut_through_classes_keep_the_floor(tmp_path, datadiet: Cli):
    records = [[i, "rare" if i < 3 else "usual", "ann" if i < 30 else "bob", "train"] for i in range(40)]
    path = table(tmp_path / "in.csv", ["x", "y", "who", "s"], records)
    ran = datadiet("balance", path, tmp_path / "o.csv", "--label", "y", "--split", "s", "--group-by", "who",
                   "--target", "min", "--min-per-class", "3")  # fmt: skip
    assert ran.code == 0
    assert counts(rows_of(tmp_path / "o.csv"))["rare"] == 3


def test_a_new_row_lies_between_rows_of_one_class(tmp_path, datadiet: Cli):
    """Groups may hold several classes; a row between two classes would have no label."""
    records = [[i + (1000 if i % 2 else 0), "ab"[i % 2], "ann" if i < 20 else "bob", "train"] for i in range(28)]
    path = table(tmp_path / "in.csv", ["x", "y", "who", "s"], records)
    ran = datadiet("balance", path, tmp_path / "o.csv", "--label", "y", "--split", "s", "--group-by", "who",
                   "--target", "max", "--over", "smote")  # fmt: skip
    assert ran.code == 0, ran.err
    rows = rows_of(tmp_path / "o.csv")
    assert counts(rows, "who") == {"ann": 20, "bob": 20}
    assert all((float(row["x"]) > 500) == (row["y"] == "b") for row in rows)


def test_a_picture_that_nothing_changes_is_repeated(tmp_path, datadiet: Cli):
    """A picture of one colour has no other side to be mirrored to."""
    for i in range(4):
        save(tmp_path / f"in/train/cat/{i}.png", i)
    (tmp_path / "in/train/wall").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "in/train/wall/w.png")
    save(tmp_path / "in/test/cat/t.png", 9)
    ran = datadiet("balance", tmp_path / "in", tmp_path / "out", "--target", "max", "--augment", "flip")
    assert ran.code == 0, ran.err
    made = [v for v in report(tmp_path / "out")["verdicts"] if v["action"] == "add"]
    assert {v["reason"] for v in made} == {"repeated"}
    assert made[0]["detail"] == "a copy of train/wall/w.png, which nothing changes"
    assert len({p.read_bytes() for p in (tmp_path / "out/train/wall").iterdir()}) == 1


def test_texts_in_another_encoding(tmp_path, datadiet: Cli):
    for i in range(5):
        path = tmp_path / f"in/train/{'ham' if i else 'spam'}/{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("käse über brücke früh grün " * 4, encoding="latin-1")
    ran = datadiet("balance", tmp_path / "in", tmp_path / "out", "--target", "max", "--over", "augment",
                   "--encoding", "latin-1")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "brücke" in (tmp_path / "out/train/spam/0-new.txt").read_text(encoding="latin-1")


def test_weights_as_files_and_as_a_column(patients, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    ran = datadiet("balance", patients, out, "--label", "y", "--split", "s", "--id-column", "id", "--weights", "class",
                   "--weight-column", "w")  # fmt: skip
    assert ran.code == 0
    assert "weights from 0.625 (well) to 2.5 (ill)" in ran.err
    rows = rows_of(out)
    assert {(row["y"], row["s"], row["w"]) for row in rows} == {
        ("ill", "train", "2.5"), ("well", "train", "0.625"), ("ill", "test", ""), ("well", "test", "")
    }  # fmt: skip
    assert rows_of(tmp_path / "out.csv.weights.csv") == [
        {"id": row["id"], "weight": row["w"]} for row in rows if row["s"] == "train"
    ]
    classes = json.loads((tmp_path / "out.csv.class_weights.json").read_bytes())
    assert classes["weights"] == {"ill": 2.5, "well": 0.625}
    assert classes["thresholds"] == {"ill": 0.2, "well": 0.8}
    assert set(report(out)["artefacts"]) == {".weights.csv", ".class_weights.json"}


def test_pictures_of_several_classes_are_weighed_but_not_changed(tmp_path, datadiet: Cli):
    for i in range(6):
        save(tmp_path / f"in/images/train/{i}.png", i)
        label = tmp_path / f"in/labels/train/{i}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 .5 .5 .1 .1\n" + ("1 .2 .2 .1 .1\n" if i == 0 else ""))
    (tmp_path / "in/data.yaml").write_text("train: images/train\nval: images/train\nnames: [cat, owl]\n")
    before = tree_digest(tmp_path / "in")
    ran = datadiet("balance", tmp_path / "in", tmp_path / "out")
    assert ran.code == 2
    assert "labels for objects in images, which datadiet never changes; use --weights class" in ran.complaint
    assert datadiet("balance", tmp_path / "in", tmp_path / "out", "--weights", "class").code == 0
    rows = rows_of(tmp_path / "out.weights.csv")
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(6, abs=1e-3)
    assert float(rows[0]["weight"]) > 3 * float(rows[1]["weight"])
    assert tree_digest(tmp_path / "in") == before


def test_a_ratio_is_met_from_either_side(patients, tmp_path, datadiet: Cli):
    common = ("--label", "y", "--split", "s", "--id-column", "id", "--target", "ratio 2:1")
    assert datadiet("balance", patients, tmp_path / "cut.csv", *common).code == 0
    assert counts(rows_of(tmp_path / "cut.csv")) == {"ill": 6, "well": 12}
    assert "without 40% of its rows a model learns less" in " ".join(
        report(tmp_path / "cut.csv")["steps"][-1]["metrics"]["notes"]
    )
    assert datadiet("balance", patients, tmp_path / "raised.csv", *common, "--under", "none").code == 0
    assert counts(rows_of(tmp_path / "raised.csv")) == {"ill": 12, "well": 24}


def test_in_a_pipeline(tmp_path, datadiet: Cli):
    """Copies go first, so that they are not counted; what was made stays; a second balance finds nothing to do."""
    files = {f"train/cat/{i}.png": i for i in range(8)} | {"train/cat/again.png": 1, "train/dog/d.png": 20}
    class_folders(tmp_path / "in", files | {"train/dog/e.png": 21, "test/dog/t.png": 22, "test/cat/u.png": 23})
    path = write_pipeline(
        tmp_path / "p.yaml", "steps:\n  - dedup\n  - balance: {target: 5}\n  - balance: {target: max, under: cluster}\n"
    )
    assert datadiet("run", path).code == 0
    told = report(tmp_path / "out")
    assert [step["samples_out"] for step in told["steps"]] == [13, 12, 12, 12]
    assert len(list((tmp_path / "out/train/cat").iterdir())) == len(list((tmp_path / "out/train/dog").iterdir())) == 5
    assert told["steps"][-1]["metrics"]["notes"] == ["nothing to do: every group has the size that target max asks for"]
    again = datadiet("run", path)
    assert again.code == 0
    assert "up to date" in again.err


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (("--group-by", "clinc"), "--group-by clinc: no such column; did you mean 'clinic'?"),
        (("--label", "y", "--columns", "mss"), "--columns mss: no such column; did you mean 'mass'?"),
        (("--label", "y", "--columns", "y"), "label, split and id say nothing"),
        (
            ("--label", "y", "--columns", "note", "--over", "smote"),
            "over smote varies numbers, and no column holds any",
        ),
        (("--label", "y", "--columns", "mass", "--over", "augment"), "over augment changes texts, and no column holds"),
        (("--label", "y", "--mark-column", "age"), "has a column of this name already"),
        (("--label", "y", "--weight-column", "w"), "--weight-column needs --weights"),
        (
            ("--label", "y", "--over", "augment", "--augment", "flip"),
            "the operations on text samples are dropout, swap",
        ),
        (("--label", "y", "--target", "99999999999"), "at most 10,000,000 are made"),
        (("--label", "id"), "which are numbers to predict and no classes"),
        ((), "there are no labels; --label names their column"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(patients, tmp_path, datadiet: Cli, said, complaint):
    ran = datadiet("balance", patients, tmp_path / "out.csv", "--split", "s", "--target", "max", *said)
    assert ran.code == 2
    assert complaint in ran.complaint
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (("--over", "smote"), "over smote makes rows of a table; for files use augment or repeat"),
        (("--augment", "wobble"), "the operations on image samples are flip, rotate, crop, colour, noise"),
        (("--mark-column", "m"), "--mark-column needs a table"),
        (("--columns", "m"), "--columns needs a table"),
        (("--group-by", "who"), "--group-by who: no such column"),
        (("--weights", "class", "--weight-column", "w"), "--weight-column needs a table"),
    ],
)
def test_what_cannot_be_done_with_files(pets, tmp_path, datadiet: Cli, said, complaint):
    ran = datadiet("balance", pets, tmp_path / "out", "--no-split", "--target", "max", *said)
    assert ran.code == 2
    assert complaint in ran.complaint


def test_bars():
    sizes = {"cat": (60, 30), "dog": (15, 30), "owl": (30, 30), "a name that is far too long": (1, 30)}
    lines = class_bars({"groups": {name: {"before": b, "after": a} for name, (b, a) in sizes.items()}})
    assert lines == [
        "cat                      60 -> 30 ###############---------------",
        "a name that is far to...  1 -> 30 #++++++++++++++",
        "dog                      15 -> 30 ########+++++++",
        "owl                      30 -> 30 ###############",
    ]
    assert class_bars({}) == []
    assert class_bars({"groups": 3}) == []


@given(st.dictionaries(st.text(max_size=40), st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=30))
def test_bars_of_any_groups(sizes):
    lines = class_bars({"groups": {name: {"before": b, "after": a} for name, (b, a) in sizes.items()}})
    if all(b == a for b, a in sizes.values()):
        assert lines == []
        return
    assert len(lines) == min(len(sizes), MOST + 1)
    for line in lines[:MOST]:
        bar = line.rpartition(" ")[2]
        assert len(bar) <= WIDTH
        assert set(bar) <= set("#+-0123456789,")
    assert (len(sizes) > MOST) == (lines[-1] == f"and {len(sizes) - MOST:,} more")
