"""The contract every way of finding noise keeps, run over each registered method on real files and rows."""

import csv
import functools
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
MISSING = ("drop", "median", "mean", "mode", "knn")
DETECTORS = [name for name in get_args(Detector) if name != "none"]
OFF = {"invalid": "none", "quality": "none", "outliers": "none", "labels": "none"}
"""All families switched off."""

OUTLIERS = [(kind, {"outliers": detector}) for kind in KINDS for detector in DETECTORS]
# Data as small as here earn no trust.
LABELS = [(kind, {"labels": rule, "min_trust": 0}) for kind in KINDS for rule in ("auto", *RULES)]
ROWS = [
    *[("row", {"invalid": "auto", "missing": by}) for by in MISSING],
    *[("row", {"standardise": scale}) for scale in ("zscore", "minmax", "robust")],
    ("row", {"invalid": "auto", "ranges": ["a=-9..50"], "allowed": ["colour=r"], "missing": "median"}),
]
OTHERS = [
    *[(kind, {"labels": "auto", "labels_action": what, "min_trust": 0})
      for kind in KINDS for what in ("flag", "relabel", "weigh")],
    *[(kind, {"outliers": "mad", "per_class": True, "outliers_action": "drop"}) for kind in KINDS],
    *[(kind, {"invalid": "auto", "quality": "auto", "quality_action": "drop"}) for kind in KINDS],
]  # fmt: skip
METHODS = [*OUTLIERS, *LABELS, *ROWS, *OTHERS]
FEW = [m for m in METHODS if "labels" not in m[1] or m[1]["labels"] in ("auto", "knn")]
"""The same without rules that only rank in another way what the others know."""


def named(value):
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


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
    *(f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(22)),
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


def decide(dataset, settings, engine="serial", workers=1, seed=0):
    with Engine(engine, workers) as running:
        return run(dataset, Denoise(**{**OFF, **settings}), Context(running, seed=seed))


def told(dataset, outcome):
    """The verdicts by id."""
    v = outcome.verdicts
    rows = zip(dataset.source.ids(v.sample), v.action, v.reason, strict=True)
    return sorted((name.rpartition(".")[0] or name, str(action), reason) for name, action, reason in rows)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The mixed dataset of each kind, and the same made in the other order."""
    root = tmp_path_factory.mktemp("mixed")
    return functools.cache(
        lambda kind, turned=False: make(root / f"{kind}{turned}", kind, MIXED[::-1] if turned else MIXED)
    )


@pytest.fixture(scope="module")
def decided(mixed):
    """What was decided on the mixed dataset, serially; each once."""
    past = {}

    def look(kind, settings):
        key = (kind, named(settings))
        if key not in past:
            past[key] = decide(mixed(kind), settings)
        return past[key]

    return look


def keeps_the_contract(dataset, outcome, settings):
    """Whatever is asked for, this holds."""
    v = outcome.verdicts
    gone = v.dropped()
    training, position = dataset.training, np.full(int(dataset.rows.max(initial=-1)) + 1, -1)
    position[dataset.rows] = np.arange(len(dataset))
    assert (np.diff(v.sample) >= 0).all()
    assert (np.diff(gone) > 0).all()
    assert np.isin(v.sample, dataset.rows).all()
    assert set(v.reason) <= REASONS.keys()
    assert set(v.action) <= {Action.DROP, Action.FLAG, Action.RELABEL, Action.IMPUTE, Action.WEIGH}
    outside = v.action[~training[position[v.sample]]]
    assert set(outside) <= {Action.FLAG, Action.IMPUTE}, "evaluation samples are never dropped or relabelled"
    assert all(v.detail), "every verdict says something"
    assert np.isin(v.witness[v.witness >= 0], dataset.rows).all()
    assert (v.witness != v.sample).all()
    on_the_right_side(v)
    json.dumps([v.evidence.tolist(), dict(outcome.metrics)], allow_nan=False)

    after = dataset.without(gone)
    before = {(s, c) for s, c in zip(dataset.splits.tolist(), dataset.labels.tolist(), strict=True) if c >= 0}
    assert before <= set(zip(after.splits.tolist(), after.labels.tolist(), strict=True)), "no class is ever emptied"
    relabelled = v.sample[v.action == Action.RELABEL].tolist()
    assert set(outcome.changes.labels) == set(relabelled)
    assert not set(relabelled) & set(gone.tolist())
    for row, name in outcome.changes.labels.items():
        assert name in dataset.classes
        assert name != dataset.classes[dataset.labels[position[row]]]
    for texts in outcome.changes.cells.values():
        assert not set(texts) & set(gone.tolist())
    imputed = set(v.sample[v.action == Action.IMPUTE].tolist())
    changed = set().union(*outcome.changes.cells.values()) if outcome.changes.cells else set()
    assert imputed <= changed
    assert (".weights.csv" in outcome.artefacts) == (Action.WEIGH in set(v.action))
    assert not outcome.brakes


def on_the_right_side(v):
    """Scores are beyond the thresholds they are told with."""
    known = ~(np.isnan(v.score) | np.isnan(v.threshold))
    limits = np.isin(v.reason.astype(str), FIGURES["poor"])
    wrong = v.reason == "wrong-label"
    assert (v.score[known & wrong] < v.threshold[known & wrong]).all()
    assert known[wrong].all()
    above = known & ~wrong & ~limits
    assert (v.score[above] > v.threshold[above]).all()
    assert known[v.reason == "outlier"].all()
    assert (v.score[known & limits] != v.threshold[known & limits]).all()


def test_every_check_is_a_figure_that_gates_know():
    checks = {name for kind in CHECKS.values() for name in kind}
    assert checks == set(FIGURES["poor"])
    assert {reason for reasons in FIGURES.values() for reason in reasons} >= checks
    assert checks <= REASONS.keys()


@pytest.mark.parametrize(("kind", "settings"), METHODS, ids=named)
def test_every_verdict_keeps_the_contract(mixed, decided, kind, settings):
    keeps_the_contract(mixed(kind), decided(kind, settings), settings)


@pytest.mark.parametrize(("kind", "settings"), FEW, ids=named)
def test_engine_workers_and_the_order_of_files_and_rows_change_nothing(mixed, decided, kind, settings):
    other = mixed(kind, turned=True)
    assert told(other, decide(other, settings, "threads", 4)) == told(mixed(kind), decided(kind, settings))


@pytest.mark.parametrize("kind", KINDS)
def test_processes_decide_like_threads(mixed, kind):
    settings = {"invalid": "auto", "quality": "auto", "outliers": "mad", "labels": "none", "quality_action": "drop"}
    one, other = decide(mixed(kind), settings, "processes", 2), decide(mixed(kind), settings)
    assert told(mixed(kind), one) == told(mixed(kind), other)
    for name in ("score", "threshold", "witness"):
        assert np.array_equal(getattr(one.verdicts, name), getattr(other.verdicts, name), equal_nan=True)
    assert one.metrics == other.metrics
