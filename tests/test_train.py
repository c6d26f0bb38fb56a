"""`datadiet train` from the command line: every kind of data, what is written, how it goes on, and what is refused."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from safetensors.numpy import load_file

from datadiet_cli.__main__ import run
from datadiet_cli.nn.optimising import Stepper
from datadiet_cli.nn.record import Record
from tests.conftest import Cli, names, report, table, tree_digest, write_pipeline

CLASSES = ("big", "small")
FLAGS = ["--label", "kind", "--split", "part", "--id-column", "id"]
MODEL_FILES = {"model.pt2", "model.safetensors", "model.json"}


def part(number, n):
    """The last sixth of the samples are for testing."""
    return "test" if number >= n - n // 6 else "train"


def rows_of_things(n=60, seed=0):
    """A number and a colour that both tell the class; some of each are missing, never both."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        big = i % 2 == 0
        size = f"{rng.normal(6 * big, 1):.3f}" if i % 9 else ""
        colour = ("red" if big else "blue") if (i + 1) % 9 else ""
        yield [f"t{i}", size, colour, rng.choice(["north", "south"]), "big" if big else "small", part(i, n)]


def things(root):
    return table(root / "things.csv", ["id", "size", "colour", "town", "kind", "part"], rows_of_things()), FLAGS


def prices(root, n=60):
    """A price that is a straight line of a size, which one row does not tell."""
    rng = np.random.default_rng(1)
    sizes = rng.normal(50, 20, n)
    rows = [
        [f"t{i}", "" if i == 5 else f"{s:.2f}", "ab"[i % 2], f"{2000 * s + 30000 + rng.normal(0, 99):.2f}", part(i, n)]
        for i, s in enumerate(sizes)
    ]
    return table(root / "prices.csv", ["id", "size", "wing", "kind", "part"], rows), FLAGS


def shade(path, light, seed):
    """A bright or a dark picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 90, (12, 12, 3)) + (160 if light else 0)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def pictures(root, n=24):
    for i in range(n):
        light = i % 2 == 0
        shade(root / "photos" / part(i, n) / CLASSES[not light] / f"{i:02}.png", light, i)
    return root / "photos", ["--image-size", "12"]


def said(i):
    rng = np.random.default_rng(i)
    words = "prize cash winner claim free call".split() if i % 2 == 0 else "home dinner tired bus mum later".split()
    return " ".join(rng.choice(words, 7))


def messages(root, n=36):
    rows = [[f"t{i}", said(i), CLASSES[i % 2], part(i, n)] for i in range(n)]
    return table(root / "messages.csv", ["id", "words", "kind", "part"], rows), FLAGS


def letters(root, n=24):
    for i in range(n):
        path = root / "letters" / part(i, n) / CLASSES[i % 2] / f"{i:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said(i))
    return root / "letters", []


def sounds(root, n=24):
    rng = np.random.default_rng(3)
    for i in range(n):
        path = root / "sounds" / part(i, n) / CLASSES[i % 2] / f"{i:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        note = np.sin(2 * np.pi * (1800 if i % 2 else 300) * np.arange(2400) / 8000) / 2
        soundfile.write(path, note + rng.normal(0, 0.01, 2400), 8000)
    return root / "sounds", []


def mixed(root, n=36):
    """A table of a picture, a text, a number and a category."""
    rows = []
    for i in range(n):
        shade(root / "mixed" / "files" / f"{i}.png", i % 2 == 0, i)
        rows.append([f"t{i}", f"files/{i}.png", said(i), i % 5 + 0.5, "xyz"[i % 3], CLASSES[i % 2], part(i, n)])
    where = table(root / "mixed" / "in.csv", ["id", "file", "words", "amount", "group", "kind", "part"], rows)
    return where, [*FLAGS, "--image-size", "12"]


KINDS = {
    "things": (things, "mlp", ["numbers", "categories"]),
    "prices": (prices, "mlp", ["numbers", "categories"]),
    "pictures": (pictures, "small-cnn", ["image"]),
    "messages": (messages, "text", ["text:words"]),
    "letters": (letters, "text", ["text"]),
    "sounds": (sounds, "audio", ["audio"]),
    "mixed": (mixed, "joined", ["numbers", "categories", "image:file", "text:words"]),
}
QUICK = ["--epochs", "10", "--batch-size", "8"]
"""Enough to learn what is easy."""


@dataclass(frozen=True)
class Made:
    """A model, and what it was made of."""

    source: Path
    flags: list[str]
    folder: Path


@cache
def made(kind):
    """A trained model of a kind, once for all tests that only look at it or use it."""
    root = Path(tempfile.mkdtemp(prefix="datadiet-test-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    source, flags = KINDS[kind][0](root)
    before = tree_digest(source)
    assert run(["train", str(source), str(root / "model"), *flags, *QUICK, "--quiet"]) == 0
    assert tree_digest(source) == before
    return Made(source, flags, root / "model")


def learned(folder):
    """The figures of the training."""
    return report(folder)["steps"][-1]["metrics"]


def weights(folder):
    return load_file(folder / "model.safetensors")


def kept(folder, quantity, model=0):
    return np.load(folder / "record" / f"model-{model:03}" / f"{quantity}.npy")


def different(first, second):
    """The files of two models that are not the same to the last byte; programs hold names and times of their own."""
    one, two = ({n: (f / n).read_bytes() for n in names(f) if (f / n).is_file()} for f in (first, second))
    assert one.keys() == two.keys()
    return {name for name in one if one[name] != two[name]} - {"model.pt2"}


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
        assert kept(out, "probability")[-1].astype(float).mean() > 0.55


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


KILLED = """
import os, signal, sys
from datadiet_cli.__main__ import main
from datadiet_cli.nn.optimising import Stepper
step, steps = Stepper.step, []
def dying(*given):
    steps.append(1)
    if len(steps) == 23:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*given)
Stepper.step = dying
main(sys.argv[1:])
"""
"""The command line, killed in the middle of a pass."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A training of two models, four passes of four batches each."""
    root = tmp_path_factory.mktemp("undisturbed")
    source, flags = things(root)
    flags = [*flags, "--epochs", "4", "--batch-size", "15", "--models", "2"]
    assert run(["train", str(source), str(root / "model"), *flags, "--no-cache", "--quiet"]) == 0
    return Made(source, flags, root / "model")


def goes_on(undisturbed, arguments, taken, datadiet: Cli):
    """Run it again: no pass is done twice, and what comes of it is the same to the last bit."""
    out = Path(arguments[2])
    assert names(out.parent) == set()
    assert datadiet(*arguments).code == 0
    assert different(out, undisturbed.folder) == set()
    assert learned(out) == learned(undisturbed.folder)
    assert os.listdir(Path(os.environ["DATADIET_CACHE_DIR"]) / "training") == []
    return len(taken)


def test_an_interrupted_training_goes_on(undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    """Ctrl-C in the third pass of the first model."""
    arguments = ["train", str(undisturbed.source), str(tmp_path / "model"), *undisturbed.flags]
    with monkeypatch.context() as patch:
        count_steps(patch, fail=11)
        ran = datadiet(*arguments, "--quiet")
    assert ran.code == 130
    assert ran.complaint == "interrupted; nothing was published; the same command goes on from the last full epoch"
    assert goes_on(undisturbed, arguments, count_steps(monkeypatch), datadiet) == 32 - 8


def test_a_killed_training_goes_on(undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    """The power fails in the second pass of the second model: the first is not trained again."""
    arguments = ["train", str(undisturbed.source), str(tmp_path / "model"), *undisturbed.flags]
    ran = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=200, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert goes_on(undisturbed, arguments, count_steps(monkeypatch), datadiet) == 32 - 20


def count_steps(monkeypatch, fail=None):
    """A list that grows with each step of an optimiser; the step of a number is interrupted."""
    step, taken = Stepper.step, []

    def counted(*given):
        taken.append(1)
        if len(taken) == fail:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*given)

    monkeypatch.setattr(Stepper, "step", counted)
    return taken


@pytest.mark.parametrize("flag", ["--no-cache", "--rerun"])
def test_nobody_is_told_to_go_on_with_what_is_not_there(flag, undisturbed, tmp_path, datadiet: Cli, monkeypatch):
    count_steps(monkeypatch, fail=9)
    ran = datadiet("train", undisturbed.source, tmp_path / "model", *undisturbed.flags, flag, "--quiet")
    assert (ran.code, ran.complaint) == (130, "interrupted; nothing was published")
    assert names(tmp_path) == set()


def test_other_content_does_not_go_on_with_a_checkpoint(tmp_path, datadiet: Cli, monkeypatch):
    """A training of other pictures of the same names starts from the beginning."""
    source, flags = letters(tmp_path)
    arguments = ["train", source, tmp_path / "model", *flags, "--epochs", "3"]
    with monkeypatch.context() as patch:
        count_steps(patch, fail=3)
        assert datadiet(*arguments).code == 130
    path = source / "train" / "big" / "00.txt"
    path.write_text(path.read_text() + " prize")
    taken = count_steps(monkeypatch)
    assert datadiet(*arguments).code == 0
    assert len(taken) == 3


def test_from_a_model(tmp_path, datadiet: Cli):
    """Frozen, nothing changes but the head; of other classes the head is new, and the rest is what was learned."""
    old, out = made("pictures"), tmp_path / "model"
    flags = ["--epochs", "1", "--from-model", old.folder, "--freeze"]
    assert datadiet("train", old.source, out, *flags).code == 0
    before, after = weights(old.folder), weights(out)
    assert before.keys() == after.keys()
    assert {"head.weight"} <= changed(before, after) <= {"head.weight", "head.bias"}
    assert abs(before["head.weight"] - after["head.weight"]).max() < 0.1
    for path in list(old.source.rglob("*.png")):
        other = "abc"[int(path.stem) % 3]
        shade(tmp_path / "in" / other / path.name, other == "a", int(path.stem))
    assert datadiet("train", tmp_path / "in", tmp_path / "new", *flags).code == 0
    after = weights(tmp_path / "new")
    assert learned(tmp_path / "new")["classes"] == ["a", "b", "c"]
    assert after["head.weight"].shape[0] == 3
    assert changed(before, after) == {"head.weight", "head.bias"}


def test_from_a_program(tmp_path, datadiet: Cli):
    """A .pt2 file goes on learning, and what comes of it can be used and gone on with."""
    old, out = made("pictures"), tmp_path / "model"
    flags = ["--from-model", old.folder / "model.pt2", "--freeze", "--epochs", "1"]
    assert datadiet("train", old.source, out, *flags).code == 0
    assert learned(out)["test"]["accuracy"] == 1
    assert learned(out)["model"] == "program"
    assert "backbone.pt2" in names(out)
    ran = datadiet("predict", out, old.source, "-")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 25
    again = ["--from-model", out, "--freeze", "--epochs", "1", "--record", "none"]
    assert datadiet("train", old.source, tmp_path / "second", *again).code == 0
    assert changed(weights(out), weights(tmp_path / "second")) <= {"head.weight", "head.bias"}


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


FACTORY = """
from torch import nn

def network(classes, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, width), nn.Dropout(0.1),
                         nn.ReLU(), nn.Linear(width, classes))

def broken(classes):
    raise RuntimeError("it is" + chr(10) + "too late")

def number(classes):
    return 3

def soft(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(432, classes), nn.Softmax(1))
"""


def test_a_network_of_ones_own(tmp_path, datadiet: Cli, monkeypatch):
    """It is found in the current folder, however the command was started, and used to predict."""
    name = f"mine_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    source, flags = made("pictures").source, ["--image-size", "12", "--epochs", "3"]
    own = ["--factory", f"{name}:network", "--factory-args", "width=6"]
    ran = datadiet("train", source, "model", *flags, *own, "--augment", "none")
    assert ran.code == 0, ran.err
    assert learned(tmp_path / "model")["model"] == "factory"
    assert (tmp_path / "model" / "model.pt2").exists()
    assert [v.shape for n, v in weights(tmp_path / "model").items() if n == "head.weight"] == [(2, 6)]
    # A model from elsewhere must not choose what runs.
    refused = datadiet("predict", "model", source, "out.csv")
    assert (refused.code, f"--factory {name}:network allows" in refused.complaint) == (2, True)
    assert datadiet("predict", "model", source, "out.csv", "--factory", f"{name}:network").code == 0
    again = datadiet("train", source, "more", "--epochs", "1", "--from-model", "model", "--factory", f"{name}:network")
    assert again.code == 0, again.err
    (tmp_path / f"{name}.py").write_text(FACTORY + "\n# edited\n")
    ran = datadiet("train", source, "model", *flags, *own, "--augment", "none")
    assert (ran.code, "exists already" in ran.complaint) == (2, True), "an edited network is not up to date"
    for what, words in {
        f"{name}:broken": "RuntimeError: it is",
        f"{name}:number": "it must give a torch.nn.Module",
        f"{name}:soft": "without a softmax",
        f"{name}:nothing": "has no attribute 'nothing'",
        "no_such_module:x": "No module named 'no_such_module'",
        name: "must be package.module:callable",
    }.items():
        ran = datadiet("train", source, "no", *flags, "--factory", what)
        assert (ran.code, words in ran.complaint) == (2, True), ran.err
        assert ran.complaint.startswith("train: factory")
    bad = datadiet("train", source, "no", *flags, "--factory", f"{name}:network", "--factory-args", "width")
    assert "must be NAME=VALUE" in bad.complaint
    assert not (tmp_path / "no").exists()


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


def test_texts_and_numbers_without_pictures(tmp_path, datadiet: Cli):
    """Joined columns are changed as suits their kinds, if any does."""
    rows = [[i % 7 / 2, said(i), CLASSES[i % 2]] for i in range(20)]
    source = table(tmp_path / "in.csv", ["amount", "words", "kind"], rows)
    out = tmp_path / "model"
    assert datadiet("train", source, out, "--label", "kind", "--epochs", "1", "--record", "none").code == 0
    assert (learned(out)["model"], learned(out)["recipe"]["augment"]) == ("joined", [])
    assert names(out) == MODEL_FILES


def test_slim_makes_the_scales_of_batch_norms_small(tmp_path, datadiet: Cli):
    old = made("pictures")
    out = tmp_path / "model"
    assert datadiet("train", old.source, out, *old.flags, *QUICK, "--slim", "0.05", "--record", "none").code == 0
    before, after = weights(old.folder), weights(out)
    scales = [name.removesuffix("running_mean") + "weight" for name in before if name.endswith("running_mean")]
    assert scales
    small, large = (sum(float(abs(held[name]).sum()) for name in scales) for held in (after, before))
    assert small < 0.9 * large


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


def numbered(label, n=40):
    """A column of numbers, and a label made of each number and the row."""
    return [[f"{(i * 7919) % 101 / 10}", label(i)] for i in range(n)]


@pytest.mark.parametrize(
    ("rows", "flags", "words"),
    [
        (numbered(lambda i: "ab"[i % 2]), [], "there is no label to learn; --label names its column"),
        (numbered(lambda i: "a"), ["--label", "y"], "of one class, 'a'"),
        (numbered(lambda i: "2.5"), ["--label", "y"], "of one class, '2.5'"),
        (numbered(lambda i: f"n{i}"), ["--label", "y"], "no two samples have the same"),
        (numbered(lambda i: f"n{i}"), ["--label", "y", "--batch-size", "2"], "is another column the label?"),
        (numbered(lambda i: "", 3), ["--label", "y"], "--label y: the column is empty"),
        ([], ["--label", "y"], ""),
        ([["1", "a"]], ["--label", "y"], "of one class"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "z"], "--label"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--columns", "w"], "--columns"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--augment", "flip"], "--augment flip is for image data"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--model", "small-cnn"], "--model small-cnn"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--model", "small-cmm"], "did you mean 'small-cnn'?"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--freeze"], "--from-model"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--from-model", "nowhere"], "nowhere"),
        (
            numbered(lambda i: f"{i * 1.37}"),
            ["--label", "y", "--optimiser", "sgd", "--learning-rate", "100", "--weight-decay", "50"],
            "training diverged",
        ),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--device", "cuda"], "--device cuda"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--patience", "1", "--validation", "0"], "--validation"),
        (numbered(lambda i: f"{i * 1.37e200}"), ["--label", "y"], "too large to be learned"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--factory", "a:b", "--model", "mlp"], "both name"),
        (numbered(lambda i: "ab"[i % 2]), ["--label", "y", "--from-model", __file__, "--columns", "x"], "--columns"),
    ],
)  # fmt: skip
def test_one_line_for_what_cannot_be(rows, flags, words, tmp_path, datadiet: Cli, monkeypatch):
    """Nothing is written, and nothing but the line is said."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    source = table(tmp_path / "in.csv", ["x", "y"], rows)
    ran = datadiet("train", source, tmp_path / "model", *flags, "--quiet")
    assert ran.code == 2, ran.err
    assert words in ran.complaint
    assert names(tmp_path) == {"in.csv"}


def test_places_that_are_taken(tmp_path, datadiet: Cli):
    source, flags = pictures(tmp_path)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    before = tree_digest(tmp_path)
    assert "exists already" in datadiet("train", source, taken, *flags, "--quiet").complaint
    assert datadiet("train", source, source / "model", *flags, "--quiet").code == 2
    assert datadiet("train", source, source, *flags, "--force", "--quiet").code == 2
    assert "MODEL_DIR is missing" in datadiet("train", source, *flags, "--quiet").complaint
    assert tree_digest(tmp_path) == before


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
