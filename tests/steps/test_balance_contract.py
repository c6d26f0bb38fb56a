"""The contract every way of balancing keeps, run over each registered method on real files and rows."""

import csv
import io
import json
import random
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.changes import Workshop
from datadiet_cli.config.balance import Balance
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine
from datadiet_cli.methods.oversampling import OVER
from datadiet_cli.methods.undersampling import CLEANING, UNDER
from datadiet_cli.methods.weights import WEIGHTS
from datadiet_cli.outcome import Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.steps.balance import run
from datadiet_cli.steps.context import Context

SUFFIX = {"image": ".png", "text": ".txt", "audio": ".wav"}
KINDS = (*SUFFIX, "row")
WORDS = "red green blue over under tea milk dog cat moon sun river stone leaf wind fire".split()

UNDERS = [(kind, method) for kind in KINDS for method in UNDER]
OVERS = [
    *[(kind, method) for kind in SUFFIX for method in ("repeat", "augment")],
    *[("row", method) for method in (*OVER, "augment")],
]
SPLITS = {"train": {"cat": 14, "dog": 6, "owl": 2, "emu": 1}, "test": {"cat": 3, "dog": 5}}
FILES = [f"{s}/{c}/{c}{i}" for s, classes in SPLITS.items() for c, n in classes.items() for i in range(n)]


def content(kind, name, broken):
    """Bytes of a sample that resembles others of its class, or of one that cannot be read."""
    if broken:
        return b""
    rng = np.random.default_rng(list(name.encode()))
    tone = WORDS.index(name.split("/")[1]) if name.split("/")[1] in WORDS else 3
    if kind == "text":
        return " ".join(random.Random(name).choices(WORDS[: 6 + tone % 7], k=20)).encode()
    if kind == "audio":
        time = np.arange(2000) / 8000
        signal = 0.4 * np.sin(2 * np.pi * 150 * (tone + rng.uniform(1, 2)) * time) + rng.normal(0, 0.02, 2000)
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
        return buffer.getvalue()
    coarse = rng.integers(0, 90, (4, 4, 3), dtype=np.uint8) + np.uint8(10 * tone)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def record(name):
    split, label, stem = name.split("/")
    rng = np.random.default_rng(list(name.encode()))
    tone = WORDS.index(label) if label in WORDS else 3
    number, colour = rng.normal(tone, 2), rng.choice(["red", "blue"])
    gap = "" if stem == "cat3" else f"{rng.normal(50 * tone, 9):.1f}"
    told = " ".join(rng.choice(WORDS, 9))
    return [f"{split}-{stem}", split, label, f"{number:.2f}", gap, int(rng.integers(100)), colour, told]


@pytest.fixture
def build(tmp_path):
    """Write a dataset and open it; `broken` names samples that cannot be read."""

    def make(kind, files=FILES, name="data", broken=(), label=True):
        if kind == "row":
            path = tmp_path / f"{name}.csv"
            with path.open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["id", "split", "kind", "a", "b", "whole", "colour", "text"])
                writer.writerows(map(record, files))
            return open_dataset(str(path), Reading(label="kind", split="split", id_column="id"))
        root = tmp_path / name
        for place in files:
            file = root / (place + SUFFIX[kind])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content(kind, place, place in broken))
        return open_dataset(str(root))

    return make


def decide(dataset, engine="serial", workers=1, **settings):
    with Engine(engine, workers) as running:
        return run(dataset, Balance(**settings), Context(running))


def sizes(dataset):
    """Samples of each class for training."""
    labels = dataset.labels[dataset.training]
    return {name: int((labels == i).sum()) for i, name in enumerate(dataset.classes)}


def written(dataset, outcome, target):
    """Carry an outcome out, write it, and open it again."""
    with Workshop() as workshop, Engine("serial") as engine:
        after = workshop.apply(dataset, outcome.changes, engine, 10**7, None, lambda _label, _total: lambda _done: None)
        after = after.without(outcome.verdicts.dropped())
        if dataset.kind == "row":
            after.source.write(after.rows, str(target), "copy")
            again = open_dataset(str(target), Reading(label="kind", split="split", id_column="id"))
        else:
            target.mkdir()
            after.source.write(after.rows, str(target), "copy")
            again = open_dataset(str(target))
    assert again.ids == after.ids if dataset.kind == "row" else set(again.ids) == set(after.ids)
    assert sizes(again) == {name: n for name, n in sizes(after).items() if n or name in again.classes}
    return again


def contents(dataset):
    """id -> the bytes of a file, or of a record's line."""
    if dataset.kind == "row":
        lines = Path(dataset.source.path).read_bytes().splitlines()[1:]
        return dict(zip(dataset.ids, lines, strict=True))
    paths = dataset.source.paths(dataset.rows)
    return {name: Path(path).read_bytes() for name, path in zip(dataset.ids, paths, strict=True)}


def told(dataset, outcome):
    v = outcome.verdicts
    last = len(dataset.source.sizes())
    names = [dataset.source.ids(np.array([row]))[0] if row < last else "new" for row in v.sample.tolist()]
    witness = [None if row < 0 else dataset.source.ids(np.array([row]))[0] for row in v.witness.tolist()]
    rows = zip(names, v.action, v.reason, v.score.round(9), witness, v.detail, v.evidence, strict=True)
    return sorted((n, str(a), r, str(s), str(w), str(d), json.dumps(e)) for n, a, r, s, w, d, e in rows)


@pytest.mark.parametrize(("kind", "method"), UNDERS)
def test_under_reaches_the_target_and_leaves_the_rest_as_it_is(build, tmp_path, kind, method):
    dataset = build(kind)
    outcome = decide(dataset, under=method, over="none", target="4")
    v = outcome.verdicts
    gone = v.dropped()
    assert set(v.action) <= {Action.DROP}
    assert set(v.reason) <= {"undersampled"}
    assert np.isin(gone, dataset.rows[dataset.training]).all(), "evaluation samples are never dropped"
    assert np.isfinite(v.score).all()
    known = v.witness[v.witness >= 0]
    assert np.isin(known, dataset.rows).all()
    assert not np.isin(known, gone).any(), "a witness stays"
    assert (known.size > 0) == (method not in ("random", "hardness")) or method in CLEANING
    left = sizes(dataset.without(gone))
    assert (left["owl"], left["emu"]) == (2, 1)
    if method in CLEANING:
        assert 4 <= left["cat"] <= 14
        assert 4 <= left["dog"] <= 6
    else:
        assert (left["cat"], left["dog"]) == (4, 4)
    assert {name: both["after"] for name, both in outcome.metrics["groups"].items()} == left
    again = written(dataset, outcome, tmp_path / ("out.csv" if kind == "row" else "out"))
    before = contents(dataset)
    assert contents(again) == {name: before[name] for name in again.ids}


@pytest.mark.parametrize(("kind", "method"), OVERS)
def test_over_reaches_the_target_and_leaves_the_rest_as_it_is(build, tmp_path, kind, method):
    dataset = build(kind)
    outcome = decide(dataset, under="none", over=method, target="max")
    v = outcome.verdicts
    first = len(dataset.source.sizes())
    assert set(v.action) == {Action.ADD}
    assert set(v.reason) <= {"augmented", "synthetic", "repeated"} <= reasons_of("balance").keys()
    assert v.sample.tolist() == list(range(first, first + 33))
    assert np.isin(v.witness, dataset.rows[dataset.training]).all(), "nothing is made of evaluation samples"
    assert [a.template for a in outcome.changes.additions] == v.witness.tolist()
    parents = dataset.source.ids(v.witness)
    assert [facts["parents"][0] for facts in v.evidence] == parents
    again = written(dataset, outcome, tmp_path / ("out.csv" if kind == "row" else "out"))
    assert sizes(again) == dict.fromkeys(("cat", "dog", "emu", "owl"), 14)
    assert len(set(again.ids)) == len(again)
    before, after = contents(dataset), contents(again)
    assert {name: after[name] for name in before} == before
    assert (~again.training).sum() == (~dataset.training).sum()
    if method not in ("repeat", "augment"):
        assert {"synthetic", "repeated"} == set(v.reason), "the only emu has no other"
    elif kind != "row":
        made = {name: data for name, data in after.items() if name not in before}
        copies = sum(data in before.values() for data in made.values())
        assert copies == (33 if method == "repeat" else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", WEIGHTS)
def test_weights_change_nothing(build, kind, scheme):
    dataset = build(kind)
    outcome = decide(dataset, weights=scheme)
    assert not outcome.changes
    assert not len(outcome.verdicts)
    rows = list(csv.DictReader(io.StringIO(outcome.artefacts[".weights.csv"].decode())))
    assert [row["id"] for row in rows] == dataset.keep(dataset.training).ids
    assert np.mean([float(row["weight"]) for row in rows]) == pytest.approx(1, abs=1e-4)
    table = json.loads(outcome.artefacts[".class_weights.json"])
    assert table["counts"] == {"cat": 14, "dog": 6, "emu": 1, "owl": 2}
    assert sorted(table["weights"], key=table["weights"].get) == ["cat", "dog", "owl", "emu"]
    assert table["thresholds"]["cat"] == pytest.approx(14 / 23, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(kind, {"under": method, "over": "none"}) for kind, method in UNDERS]
    + [(kind, {"over": method, "target": "max"}) for kind, method in OVERS],
)
def test_engine_workers_and_the_order_of_files_change_nothing(build, kind, settings):
    dataset = build(kind)
    # A record's place is part of what it is.
    other = build(kind, FILES if kind == "row" else FILES[::-1], "other")
    assert told(other, decide(other, "threads", 4, **settings)) == told(dataset, decide(dataset, **settings))


@pytest.mark.parametrize("settings", [{"under": "cluster"}, {"over": "augment", "target": "max"}])
@pytest.mark.parametrize("kind", KINDS)
def test_processes_decide_like_threads(build, kind, settings):
    dataset = build(kind)
    assert told(dataset, decide(dataset, "processes", 2, **settings)) == told(dataset, decide(dataset, **settings))


@pytest.mark.parametrize("kind", SUFFIX)
@pytest.mark.parametrize(
    "settings",
    [*({"under": m, "over": "none", "target": "4"} for m in UNDER if m != "random"),
     *({"over": m, "under": "none", "target": "max"} for m in ("repeat", "augment"))],
)  # fmt: skip
def test_what_cannot_be_read_is_flagged_and_nothing_is_made_of_it(build, tmp_path, kind, settings):
    broken = {"train/cat/cat0", "train/cat/cat7", "train/owl/owl1", "train/dog/dog0"}
    dataset = build(kind, broken=broken)
    outcome = decide(dataset, **settings)
    v = outcome.verdicts
    flagged = dataset.source.ids(v.sample[v.reason == "unreadable"])
    assert set(v.action[v.reason == "unreadable"]) == {Action.FLAG}
    looked_at = (
        broken
        if "over" not in settings or settings["over"] == "none"
        else broken - {"train/cat/cat0", "train/cat/cat7"}
    )
    assert flagged == sorted(name + SUFFIX[kind] for name in looked_at)
    assert not set(dataset.source.ids(v.witness[v.witness >= 0])) & {name + SUFFIX[kind] for name in broken}
    again = written(dataset, outcome, tmp_path / "out")
    assert {name + SUFFIX[kind] for name in broken} <= set(again.ids)
    left = sizes(again)
    if settings["target"] == "max":
        assert set(left.values()) == {14}
    elif settings["under"] not in CLEANING:
        assert (left["cat"], left["dog"]) == (4, 4)


@pytest.mark.parametrize(("kind", "method"), UNDERS)
def test_all_alike_and_tiny(build, kind, method):
    """Copies of one content, and classes of one sample."""
    dataset = build(kind, ["train/cat/cat1", "train/dog/dog1", "test/cat/cat2"])
    assert not len(decide(dataset, under=method, target="min").verdicts)
    if kind == "row":
        return
    alike = build(kind, [f"train/{c}/{i}" for c in ("cat", "dog") for i in range(7)] + ["train/dog/x"], "alike")
    for path in alike.source.paths(alike.rows):
        Path(path).write_bytes(content(kind, "train/cat/0", broken=False))
    outcome = decide(alike, under=method, over="none", target="3")
    left = sizes(alike.without(outcome.verdicts.dropped()))
    assert min(left.values()) >= 3
    assert method in CLEANING or left == {"cat": 3, "dog": 3}
