"""`datadiet train` from the command line: every kind of data, what is written, and what its settings do."""

import json
import shutil

import jsonschema
import numpy as np
import polars as pl
import pytest

from datadiet_cli.data.table import TableSource
from datadiet_cli.nn.record import Record
from tests.conftest import Cli, names, report, table, tree_digest, write_pipeline
from tests.lessons import (
    CLASSES,
    FLAGS,
    KINDS,
    MODEL_FILES,
    QUICK,
    different,
    kept,
    learned,
    letters,
    made,
    pictures,
    rows_of_things,
    said,
    things,
    weights,
    without_program,
)


@pytest.fixture
def no_program():
    with without_program():
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data(kind, datadiet: Cli):
    """The files are there, the report keeps to its schema, and what is easy has been learned."""
    _, model, inputs = KINDS[kind]
    out = made(kind).folder
    assert names(out) >= MODEL_FILES | {"record", "record/record.json", "record/samples.parquet"}
    schema = json.loads(datadiet("schema", "report").out)
    jsonschema.Draft202012Validator(schema).validate(report(out))
    told = learned(out)
    assert (told["model"], told["inputs"]) == (model, inputs)
    assert len(told["history"]) == told["epochs"] == told["recipe"]["epochs"] == 10
    assert told["history"][-1]["loss"] < told["history"][0]["loss"]
    assert told["parameters"] == json.loads((out / "model.json").read_bytes())["parameters"]
    rows = pl.read_parquet(out / "record" / "samples.parquet")
    assert told["learned_from"] == len(rows)
    assert kept(out, "loss").shape == (10, len(rows))
    if kind == "prices":
        assert told["task"] == "numbers"
        assert told["test"]["r2"] > 0.9
    else:
        assert (told["task"], told["classes"]) == ("classes", list(CLASSES))
        assert told["test"]["accuracy"] == 1
        assert set(told["test"]["roc_curve"]) == {"fpr", "tpr", "of"}
        assert kept(out, "probability")[-1].astype(float).mean() > 0.55


@pytest.mark.usefixtures("no_program")
def test_the_record_lines_up_with_the_samples(tmp_path, datadiet: Cli):
    """The one sample whose label contradicts all that it shows is the one that is learned last."""
    rows = list(rows_of_things())
    rows[7][4] = "big"
    source = table(tmp_path / "in.csv", ["id", "size", "colour", "town", "kind", "part"], rows)
    out = tmp_path / "model"
    assert datadiet("train", source, out, *FLAGS, *QUICK, "--models", "2", "--record", "epoch").code == 0
    assert learned(out)["models"] == 2
    told = pl.read_parquet(out / "record" / "samples.parquet")
    assert told["id"].to_list() == [row[0] for row in rows if row[5] == "train"]
    assert told["label"].to_list() == [row[4] for row in rows if row[5] == "train"]
    for model in (0, 1):
        probability = kept(out, "probability", model).astype(float)
        assert np.isfinite(probability).all()
        assert probability.mean(axis=0).argmin() == told["id"].to_list().index("t7")
        assert not kept(out, "correct", model)[5:, told["id"].to_list().index("t7")].any()
    assert not np.array_equal(kept(out, "margin", 0), kept(out, "margin", 1))


@pytest.mark.usefixtures("no_program")
def test_again(tmp_path, datadiet: Cli):
    """Up to date, refused, replaced, computed again: the same bytes whatever shares out the work."""
    source, flags = letters(tmp_path)
    flags = [*flags, "--epochs", "2"]
    out, other = tmp_path / "model", tmp_path / "other"
    ran = datadiet("train", source, out, *flags)
    assert ran.code == 0
    assert "2 epochs on 20 samples; test accuracy" in ran.err
    before = tree_digest(out)
    assert "up to date" in datadiet("train", source, out, *flags).err
    assert tree_digest(out) == before
    assert "exists already" in datadiet("train", source, out, *flags, "--batch-size", "4").complaint
    assert tree_digest(out) == before

    moved = tmp_path / "again"
    for path in sorted(source.rglob("*.txt"), reverse=True):
        (moved / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        (moved / path.relative_to(source)).write_bytes(path.read_bytes())
    assert datadiet("train", moved, other, *flags, "--workers", "1", "--engine", "serial", "--no-cache").code == 0
    assert different(out, other) <= {"record/record.json"}
    ran = datadiet("train", source, out, *flags, "--rerun")
    assert ran.code == 0
    assert "up to date" not in ran.err
    assert different(out, other) <= {"record/record.json"}


@pytest.mark.usefixtures("no_program")
def test_settings_have_their_effect(tmp_path, datadiet: Cli):
    """L1 makes weights small, and dropout is in the model."""
    plain, out = made("things"), tmp_path / "model"
    more = ["--l1", "0.05", "--dropout", "0.5", "--record", "none"]
    assert datadiet("train", plain.source, out, *plain.flags, *QUICK, *more).code == 0
    with_l1, without = (
        sum(float(abs(held).sum()) for name, held in weights(folder).items() if name.endswith("weight"))
        for folder in (out, plain.folder)
    )
    assert with_l1 < without / 2
    assert json.loads((out / "model.json").read_bytes())["options"]["dropout"] == 0.5


@pytest.mark.usefixtures("no_program")
def test_texts_and_numbers_without_pictures(tmp_path, datadiet: Cli):
    """Joined columns are changed as suits their kinds, if any does."""
    rows = [[i % 7 / 2, said(i), CLASSES[i % 2]] for i in range(20)]
    source = table(tmp_path / "in.csv", ["amount", "words", "kind"], rows)
    out = tmp_path / "model"
    assert datadiet("train", source, out, "--label", "kind", "--epochs", "1", "--record", "none").code == 0
    assert (learned(out)["model"], learned(out)["recipe"]["augment"]) == ("joined", [])
    assert names(out) == MODEL_FILES


@pytest.mark.usefixtures("no_program")
def test_slim_makes_the_scales_of_batch_norms_small(tmp_path, datadiet: Cli):
    old = made("pictures")
    out = tmp_path / "model"
    assert datadiet("train", old.source, out, *old.flags, *QUICK, "--slim", "0.05", "--record", "none").code == 0
    before, after = weights(old.folder), weights(out)
    scales = [name.removesuffix("running_mean") + "weight" for name in before if name.endswith("running_mean")]
    assert scales
    small, large = (sum(float(abs(held[name]).sum()) for name in scales) for held in (after, before))
    assert small < 0.9 * large


@pytest.mark.usefixtures("no_program")
def test_stops_early(tmp_path, datadiet: Cli):
    """Labels of pure chance: the validation loss rises soon, and the weights are of the pass where it was lowest."""
    rng = np.random.default_rng(0)
    rows = [[*rng.normal(size=5).round(3), "ab"[i % 2], "valid" if i > 60 else "train"] for i in range(80)]
    source = table(tmp_path / "in.csv", [*"vwxyz", "kind", "split"], rows)
    out = tmp_path / "model"
    flags = ["--label", "kind", "--patience", "3", "--learning-rate", "0.02", "--epochs", "100"]
    assert datadiet("train", source, out, *flags).code == 0
    told = learned(out)
    assert told["epochs"] == len(told["history"]) == told["best_epoch"] + 3 < 100
    losses = [entry["validation_loss"] for entry in told["history"]]
    assert np.argmin(losses) + 1 == told["best_epoch"]
    assert told["validation"]["samples"] == 19
    assert told["validation"]["accuracy"] == told["history"][told["best_epoch"] - 1]["validation_accuracy"]
    held = Record.open(str(out / "record"), fingerprint=report(out)["input"]["fingerprint"]).read("loss", 0)
    assert held.shape == (told["epochs"], 61)
    assert np.isfinite(held).all()


@pytest.mark.usefixtures("no_program")
def test_odd_labels_and_cells_are_named(tmp_path, datadiet: Cli):
    """A class of one, a class that only the test has, no label, no value, no number: learned around, and said."""
    rows = list(rows_of_things())
    rows[0][4], rows[1][4], rows[2][4] = "lonely", "", "NA"
    rows[3][1], rows[4][1], rows[5][1:4] = "inf", "nan", ["", "", ""]
    rows[-1][4] = "unheard"
    source = table(tmp_path / "in.csv", ["id", "size", "colour", "town", "kind", "part"], rows)
    out = tmp_path / "model"
    ran = datadiet("train", source, out, *FLAGS, "--epochs", "2")
    assert ran.code == 0, ran.err
    told = learned(out)
    notes = "; ".join(told["notes"])
    assert "of classes that no training sample has (unheard): 1" in notes
    assert "classes of one sample, which is learned from and never judged: NA, lonely" in notes
    assert "because they cannot be read or hold nothing: 1" in notes
    assert "without a label: " in notes
    assert told["test"]["samples"] == 9
    assert told["classes"] == ["NA", "big", "lonely", "small"]
    assert not any(np.isnan(held).any() for held in weights(out).values())


@pytest.mark.usefixtures("no_program")
def test_names_are_asked_for_all_at_once(tmp_path, datadiet: Cli, monkeypatch):
    """Not once for each sample, which takes the square of their number."""
    asked = []
    ids = TableSource.ids
    monkeypatch.setattr(TableSource, "ids", lambda self, rows: asked.append(len(rows)) or ids(self, rows))
    source, flags = things(tmp_path)
    assert datadiet("train", source, tmp_path / "model", *flags, "--epochs", "1").code == 0
    assert len(asked) < 10


def test_what_cannot_be_read_is_left_out(tmp_path, datadiet: Cli):
    source, flags = pictures(tmp_path)
    (source / "train" / "big" / "00.png").write_bytes(b"no picture")
    out = tmp_path / "model"
    ran = datadiet("train", source, out, *flags, "--epochs", "1")
    assert ran.code == 3
    assert "big/00.png" in ran.err
    assert learned(out)["learned_from"] == 19
    assert [v["reason"] for v in report(out)["verdicts"]] == ["unreadable"]
    assert "train/big/00.png" not in pl.read_parquet(out / "record" / "samples.parquet")["id"].to_list()
    for path in source.rglob("train/*/*.png"):
        path.write_bytes(b"no picture")
    assert "no sample is left to learn from" in datadiet("train", source, tmp_path / "no", *flags).complaint


@pytest.mark.usefixtures("no_program")
def test_a_dry_run_writes_nothing(tmp_path, datadiet: Cli):
    source, flags = things(tmp_path)
    before = tree_digest(tmp_path)
    ran = datadiet("train", source, *flags, "--epochs", "1", "--dry-run", "--json", "--threads", "2")
    assert ran.code == 0
    told = json.loads(ran.out)["steps"][-1]["metrics"]
    assert (told["epochs"], told["recipe"]["threads"]) == (1, 2)
    assert tree_digest(tmp_path) == before


def test_as_a_step_of_a_pipeline(tmp_path, datadiet: Cli):
    """The model stands beside OUTPUT, is replaced with it, and goes when the step goes."""
    things(tmp_path)[0].rename(tmp_path / "in")
    common = "label: kind\nsplit: part\nid_column: id\n"
    steps = "steps:\n  - select-features: {method: constant}\n  - train: {epochs: EPOCHS}\n"
    plan = write_pipeline(tmp_path / "p.yaml", common + steps.replace("EPOCHS", "1"))
    plan.write_text(plan.read_text().replace("in\n", "in.csv\n", 1).replace("out\n", "out.csv\n", 1))
    (tmp_path / "in").rename(tmp_path / "in.csv")
    out, beside = tmp_path / "out.csv", tmp_path / "out.csv.model"
    beside.mkdir()
    (beside / "mine.txt").write_text("mine")
    assert "out.csv.model: exists already" in datadiet("run", plan).complaint
    assert names(tmp_path) == {"in.csv", "p.yaml", "out.csv.model", "out.csv.model/mine.txt"}
    shutil.rmtree(beside)
    assert datadiet("run", plan).code == 0
    assert names(beside) >= MODEL_FILES
    assert ".model" in report(out)["artefacts"]
    assert "up to date" in datadiet("run", plan).err
    first = (beside / "model.safetensors").read_bytes()
    assert datadiet("predict", beside, out, tmp_path / "said.csv", *FLAGS).code == 0
    plan.write_text(plan.read_text().replace("epochs: 1", "epochs: 2"))
    assert datadiet("run", plan, "--force").code == 0
    assert (beside / "model.safetensors").read_bytes() != first
    plan.write_text(plan.read_text().replace("  - train: {epochs: 2}\n", ""))
    assert datadiet("run", plan, "--force").code == 0
    assert not beside.exists()
    assert ".model" not in report(out)["artefacts"]
