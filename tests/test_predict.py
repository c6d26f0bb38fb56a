"""`datadiet predict` from the command line: of every kind of data what the model of `train` said of it."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, r2_score

from tests.conftest import Cli, names, table, tree_digest
from tests.lessons import FLAGS, KINDS, learned, made, rows_of_things, things


def told(content):
    """Predictions as rows by column."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def truth(kind):
    """The label and the part of each sample, by id, in order."""
    source = made(kind).source
    if source.is_dir():
        paths = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
        return {str(path): (path.parts[1], path.parts[0]) for path in paths}
    with source.open(newline="") as file:
        return {row["id"]: (row["kind"], row["part"]) for row in csv.DictReader(file)}


def reading(kind):
    """The flags of a kind that say how a dataset is read."""
    return FLAGS if made(kind).source.is_file() else []


@pytest.mark.parametrize("kind", KINDS)
def test_says_what_the_report_of_the_training_says(kind, tmp_path, datadiet: Cli):
    """The figures of the test split, computed again from the file, are those of the report to the last digit."""
    out = tmp_path / "out.csv"
    ran = datadiet("predict", made(kind).folder, made(kind).source, out, *reading(kind))
    assert ran.code == 0, ran.err
    known = truth(kind)
    rows = told(out.read_bytes())
    assert [row["id"] for row in rows] == list(known)
    judged = [(known[row["id"]][0], row["predicted"]) for row in rows if known[row["id"]][1] == "test"]
    right, said = zip(*judged, strict=True)
    figures = learned(made(kind).folder)["test"]
    assert len(judged) == figures["samples"]
    if kind == "prices":
        assert r2_score(np.array(right, float), np.array(said, float)) == pytest.approx(figures["r2"], abs=1e-12)
        assert list(rows[0]) == ["id", "predicted"]
        return
    assert accuracy_score(right, said) == figures["accuracy"]
    for row in rows:
        shares = [float(row[f"probability of {name}"]) for name in ("big", "small")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert max(shares) == float(row["probability"]) == float(row[f"probability of {row['predicted']}"])
    assert f"predictions for {len(rows)} samples" in ran.err


def test_a_table_of_another_order_without_labels(tmp_path, datadiet: Cli):
    """Columns are found by name; a label is not asked for, and unknown words and further columns do no harm."""
    model = made("things").folder
    header, rows = ["id", "size", "colour", "town", "kind", "part"], list(rows_of_things())
    whole = told(datadiet("predict", model, made("things").source, "-", *FLAGS).out)
    order = [3, 2, 0, 1]
    other = table(
        tmp_path / "new.csv",
        [*(header[j] for j in order), "further"],
        [[*(row[j] for j in order), "x"] for row in rows[::-1]],
    )
    ran = datadiet("predict", model, other, "-", "--id-column", "id")
    assert ran.code == 0
    assert ran.err == ""
    assert told(ran.out)[::-1] == whole
    strange = table(tmp_path / "strange.csv", header[:4], [["a", "5.5", "mauve", "east"], ["b", "-0.2", "", ""]])
    first, second = told(datadiet("predict", model, strange, "-", "--id-column", "id").out)
    assert (first["id"], first["predicted"], second["predicted"]) == ("a", "big", "small")


def test_one_row_and_rows_of_nothing(tmp_path, datadiet: Cli):
    model = made("things").folder
    header = ["id", "size", "colour", "town"]
    one = table(tmp_path / "one.csv", header, [["a", "6.1", "red", "north"]])
    (row,) = told(datadiet("predict", model, one, "-", "--id-column", "id").out)
    assert row["predicted"] == "big"
    rows = [["a", "6.1", "red", "north"], ["b", "", "", ""], ["c", "-1", "blue", "south"]]
    blank = table(tmp_path / "blank.csv", header, rows)
    ran = datadiet("predict", model, blank, tmp_path / "out.csv", "--id-column", "id")
    _, middle, last = told((tmp_path / "out.csv").read_bytes())
    assert set(middle.values()) == {"b", ""}
    assert last["predicted"] == "small"
    assert ran.code == 3
    assert "predictions for 2 samples; 1 could not be read, and have no prediction" in ran.err


def test_a_missing_column_is_named(tmp_path, datadiet: Cli):
    narrow = table(tmp_path / "in.csv", ["id", "size", "kind"], [["a", "1", "big"], ["b", "2", "small"]])
    ran = datadiet("predict", made("things").folder, narrow, tmp_path / "out.csv")
    assert ran.code == 2
    assert "colour" in ran.complaint
    assert not (tmp_path / "out.csv").exists()


def test_other_data_than_the_model_takes(tmp_path, datadiet: Cli):
    for kind, other in (("pictures", "things"), ("things", "letters"), ("letters", "sounds")):
        ran = datadiet("predict", made(kind).folder, made(other).source, tmp_path / "out.csv")
        assert ran.code == 2, ran.err
        assert ran.complaint.startswith("predict: ")


def test_files_that_cannot_be_read(tmp_path, datadiet: Cli):
    """Empty cells, exit code 3, and the rest as if they were not there; a folder without classes will do."""
    root = tmp_path / "in"
    root.mkdir()
    for i, light in enumerate([200, 20]):
        Image.fromarray(np.full((12, 12, 3), light, np.uint8)).save(root / f"{i}.png")
    (root / "bad.png").write_bytes(b"no picture")
    ran = datadiet("predict", made("pictures").folder, root, "-")
    assert ran.code == 3
    rows = {row.pop("id"): row for row in told(ran.out)}
    assert set(rows["bad.png"].values()) == {""}
    assert (rows["0.png"]["predicted"], rows["1.png"]["predicted"]) == ("big", "small")


def test_places(tmp_path, datadiet: Cli):
    """What is there is replaced only with --force, and what is read never is."""
    model, source, out = made("things").folder, tmp_path / "in.csv", tmp_path / "out.csv"
    shutil.copy(made("things").source, source)
    out.write_text("mine")
    before = tree_digest(model), tree_digest(source)
    ran = datadiet("predict", model, source, out, "--id-column", "id")
    assert "exists already" in ran.complaint
    assert out.read_text() == "mine"
    assert datadiet("predict", model, source, out, "--id-column", "id", "--force", "--quiet").err == ""
    assert out.read_text().startswith("id,predicted,probability,probability of big,probability of small\n")
    for place in (source, model / "out.csv", model / "model.json", model, tmp_path / "nowhere" / "out.csv"):
        ran = datadiet("predict", model, source, place, "--force")
        assert ran.code == 2, place
        assert str(place) in ran.complaint
    assert (tree_digest(model), tree_digest(source)) == before
    shutil.copytree(made("pictures").source, tmp_path / "photos")
    ran = datadiet("predict", made("pictures").folder, tmp_path / "photos", tmp_path / "photos" / "out.csv")
    assert "OUTPUT lies inside INPUT" in ran.complaint


def test_no_device_of_that_name(tmp_path, datadiet: Cli, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    ran = datadiet("predict", made("things").folder, made("things").source, "-", "--device", "cuda")
    assert ran.code == 2
    assert "--device cuda" in ran.complaint


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    path.write_bytes(b"\0" * 8 + path.read_bytes()[8:])


DAMAGE = {
    "no description": lambda folder: (folder / "model.json").unlink(),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "weights cut off": lambda folder: cut(folder / "model.safetensors"),
    "weights of no length": lambda folder: flip(folder / "model.safetensors"),
    "description cut off": lambda folder: cut(folder / "model.json"),
    "other description": lambda folder: (folder / "model.json").write_text('{"steps": [1, 2]}'),
    "a list": lambda folder: (folder / "model.json").write_text("[]"),
    "no text": lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe\0"),
    "deep": lambda folder: (folder / "model.json").write_text("[" * 100_000),
    "unknown model": lambda folder: altered(folder, model="transformer"),
    "another class": lambda folder: altered(folder, classes=["a", "b", "c"]),
    "classes of another sort": lambda folder: altered(folder, classes=[1, 2]),
    "no fields": lambda folder: altered(folder, fields=[]),
    "fields of another sort": lambda folder: altered(folder, fields=[{"kind": "numbers"}]),
    "other options": lambda folder: altered(folder, options={"dropout": "much"}),
}


def altered(folder, **values):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_model_is_one_line(what, tmp_path, datadiet: Cli):
    folder = tmp_path / "model"
    shutil.copytree(made("things").folder, folder)
    DAMAGE[what](folder)
    ran = datadiet("predict", folder, made("things").source, tmp_path / "out.csv", *FLAGS)
    assert ran.code == 2, ran.err
    assert str(folder) in ran.complaint
    assert names(tmp_path) == {"model"} | {f"model/{name}" for name in names(folder)}


def test_what_is_no_model(tmp_path, datadiet: Cli):
    source, flags = things(tmp_path)
    for model in (tmp_path / "nothing", source, tmp_path):
        ran = datadiet("predict", model, source, "-", *flags)
        assert ran.code == 2
        assert str(model) in ran.complaint
    assert datadiet("predict", made("things").folder, tmp_path / "nothing", "-").code == 2


def test_of_many_classes_only_the_likeliest_is_told(tmp_path, datadiet: Cli):
    """More than a hundred classes; names of all sorts stay what they are."""
    kinds = [f'{i}, "x" é' for i in range(101)]
    rows = [[i % 101, (i % 101) ** 2, kinds[i % 101]] for i in range(303)]
    source = table(tmp_path / "in.csv", ["x", "y", "kind"], rows)
    flags = ["--label", "kind", "--epochs", "1", "--record", "none"]
    assert datadiet("train", source, tmp_path / "model", *flags).code == 0
    rows = told(datadiet("predict", tmp_path / "model", source, "-", "--label", "kind").out)
    assert len(rows) == 303
    assert list(rows[0]) == ["id", "predicted", "probability"]
    assert {row["predicted"] for row in rows} <= set(kinds)
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
