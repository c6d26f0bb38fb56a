"""The contract every way of finding noise keeps, run over each registered method on real files and rows."""

import csv
import io
import json
import random
import wave
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.config.denoise import Denoise, Detector
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine
from datadiet_cli.methods.mislabelled import RULES
from datadiet_cli.methods.quality import CHECKS
from datadiet_cli.outcome import FIGURES, Action
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.denoise import REASONS, run

SUFFIX = {"image": ".png", "text": ".txt", "audio": ".wav"}
KINDS = (*SUFFIX, "row")
DETECTORS = [name for name in get_args(Detector) if name != "none"]
OUTLIERS = [(kind, detector) for kind in KINDS for detector in DETECTORS]
LABELS = [(kind, rule) for kind in KINDS for rule in ("auto", *RULES)]
OFF = {"invalid": "none", "quality": "none", "outliers": "none", "labels": "none"}

VOCABULARY = {
    "cat": "purr mouse milk whisker nap sofa claw paw meow kitten".split(),
    "dog": "bark bone leash park fetch tail wag puppy howl stick".split(),
    "odd": "quantum ledger tariff invoice audit yield bond asset".split(),
}
HUE = {"cat": (200, 70, 40), "dog": (30, 60, 190), "odd": (20, 250, 20)}
TONE = {"cat": 300, "dog": 1500, "odd": 3500}


def content(kind, stem):
    """Bytes of a sample that is like all those whose name begins with the same word."""
    what = stem.rpartition("/")[2].rstrip("0123456789")
    rng = np.random.default_rng(list(stem.encode()))
    if what == "broken":
        return b""
    if kind == "text":
        return " ".join(random.Random(stem).choices(VOCABULARY[what], k=40)).encode()
    buffer = io.BytesIO()
    if kind == "audio":
        time = np.arange(4000) / 8000
        signal = 0.4 * np.sin(2 * np.pi * TONE[what] * rng.uniform(0.95, 1.05) * time) + rng.normal(0, 0.01, 4000)
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
        return buffer.getvalue()
    ramp = np.sin(np.arange(48) * {"cat": 0.3, "dog": 0.8, "odd": 2.5}[what] + rng.uniform(0, 6))
    shape = ramp[:, None] if what == "dog" else ramp[None, :]
    pixels = np.array(HUE[what]) + 40 * shape[..., None] + rng.normal(0, 12, (48, 48, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def record(place):
    """A row of a table: id, split, label, two numbers, a gap here and there, a category."""
    split, label, stem = place.split("/")
    what = stem.rstrip("0123456789")
    rng = np.random.default_rng(list(stem.encode()))
    if what == "broken":
        return [place, split, label, "", "", "", ""]
    middle = {"cat": 0, "dog": 9, "odd": 400}[what]
    gap = "" if stem.endswith("5") else f"{rng.normal(3 - middle, 1):.3f}"
    return [place, split, label, f"{rng.normal(middle, 1):.3f}", gap, f"{rng.normal(0, 5):.1f}", "rb"[what == "cat"]]


HEADER = ["id", "split", "kind", "a", "b", "c", "colour"]
READING = Reading(label="kind", split="split", id_column="id")

MIXED = [
    *(f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(16)),
    "train/cat/dog90", "train/dog/cat91", "train/cat/odd1", "train/dog/broken1",
    *(f"test/{c}/{c}{100 + i}" for c in ("cat", "dog") for i in range(5)),
    "test/cat/dog92", "test/dog/odd2", "test/dog/broken2",
]  # fmt: skip
"""Two classes, each with a sample of the other, one unlike all, one broken; the same in evaluation data."""


def make(root, kind, places):
    """Write a dataset and open it."""
    if kind == "row":
        root.mkdir(parents=True, exist_ok=True)
        path = root / "in.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(map(record, places))
        return open_dataset(str(path), READING)
    for place in places:
        file = root / (place + SUFFIX[kind])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content(kind, place.rpartition("/")[2]))
    return open_dataset(str(root))


def decide(dataset, engine="serial", workers=1, seed=0, **settings):
    with Engine(engine, workers) as running:
        return run(dataset, Denoise(**settings), Context(running, seed=seed))
