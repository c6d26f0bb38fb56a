"""`datadiet train` from the command line: every kind of data, what is written, how it goes on, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from safetensors.numpy import load_file

from tests.conftest import Cli, command, names, report, table, tree_digest, write_pipeline

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
    "messages": (messages, "text", ["words"]),
    "letters": (letters, "text", ["text"]),
    "sounds": (sounds, "audio", ["audio"]),
    "mixed": (mixed, "joined", ["numbers", "categories", "file", "words"]),
}


def learned(folder):
    """The figures of the training."""
    return report(folder)["steps"][-1]["metrics"]


def weights(folder):
    return load_file(folder / "model.safetensors")


def row_of(folder, name):
    """The row of a sample in the record."""
    return pl.read_parquet(folder / "record" / "samples.parquet")["id"].to_list().index(name)


def kept(folder, quantity, model=0):
    return np.load(folder / "record" / f"model-{model:03}" / f"{quantity}.npy")


def same_training(first, second):
    """Whether two runs left the same weights and the same record, to the last bit."""
    one, two = ({n: (f / n).read_bytes() for n in names(f) if (f / n).is_file()} for f in (first, second))
    assert one.keys() == two.keys()
    return [name for name in one if one[name] != two[name] and not name.endswith(".pt2")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data(kind, tmp_path, datadiet: Cli):
    """The files are there, the report keeps to its schema, and what is easy has been learned."""
    make, model, inputs = KINDS[kind]
    source, flags = make(tmp_path)
    before = tree_digest(source)
    out = tmp_path / "model"
    ran = datadiet("train", source, out, *flags)
    assert ran.code == 0, ran.err
    assert names(out) >= MODEL_FILES | {"record", "record/record.json", "record/samples.parquet"}
    assert tree_digest(source) == before
    schema = json.loads(datadiet("schema", "report").out)
    jsonschema.Draft202012Validator(schema).validate(report(out))
    told = learned(out)
    assert (told["model"], told["inputs"]) == (model, inputs)
    assert len(told["history"]) == told["epochs"] == told["recipe"]["epochs"]
    assert told["history"][-1]["loss"] < told["history"][0]["loss"]
    assert told["parameters"] == json.loads((out / "model.json").read_bytes())["parameters"]
    if kind == "prices":
        assert told["task"] == "numbers"
        assert told["test"]["r2"] > 0.9
        assert set(names(out / "record" / "model-000")) == {"loss.npy", "error.npy", "part.json"}
    else:
        assert told["task"] == "classes"
        assert told["classes"] == list(CLASSES)
        assert told["test"]["accuracy"] == 1
        assert "test accuracy 100.0%" in ran.err
        assert kept(out, "probability")[-1].astype(float).min() > 0.5
    assert told["learned_from"] == len(pl.read_parquet(out / "record" / "samples.parquet"))
