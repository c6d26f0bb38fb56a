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
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.mislabelled import RULES
from datadiet_cli.methods.quality import CHECKS
from datadiet_cli.outcome import FIGURES, Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.denoise import run
from datadiet_cli.steps.noise.quality import UNITS

SUFFIX = {"image": ".png", "text": ".txt", "audio": ".wav"}
KINDS = (*SUFFIX, "row")
MISSING = ("drop", "median", "mean", "mode", "knn")
DETECTORS = [name for name in get_args(Detector) if name != "none"]
OFF = {"invalid": "none", "quality": "none", "outliers": "none", "labels": "none"}
"""All families switched off. Two folds are enough here, and quick."""

OUTLIERS = [(kind, {"outliers": detector}) for kind in KINDS for detector in DETECTORS]
# Data as small as here earn no trust.
LABELS = [(kind, {"labels": rule, "min_trust": 0}) for kind in KINDS for rule in RULES]
ROWS = [
    *[("row", {"invalid": "auto", "missing": by}) for by in MISSING],
    *[("row", {"standardise": scale}) for scale in ("zscore", "minmax", "robust")],
    ("row", {"invalid": "auto", "ranges": ["a=-9..50"], "allowed": ["colour=b|r"], "missing": "median"}),
    *[("row", {"labels": "auto", "labels_action": what}) for what in ("drop", "flag", "relabel", "weigh")],
    ("row", {"invalid": "auto", "quality": "auto", "outliers": "auto", "labels": "auto", "missing": "knn",
             "standardise": "robust", "labels_action": "relabel", "per_class": True}),
]  # fmt: skip
FILES = [
    ("image", {"labels": "auto", "labels_action": "relabel", "min_trust": 0}),
    ("text", {"labels": "auto", "labels_action": "weigh", "min_trust": 0}),
    ("audio", {"labels": "auto", "labels_action": "flag", "min_trust": 0}),
    *[(kind, {"outliers": "mad", "per_class": True, "outliers_action": "drop"}) for kind in KINDS],
    *[(kind, {"invalid": "auto", "quality": "auto", "quality_action": "drop"}) for kind in KINDS],
]
METHODS = [*OUTLIERS, *LABELS, *ROWS, *FILES]
TWICE = [m for m in METHODS if m[0] == "row" or m[1].get("labels") == "auto" or m[1].get("outliers") in ("auto", "knn")]
"""Rules only rank in another way, and all detectors see the same numbers: for files some of them are enough."""


def named(value):
    return "-".join(f"{name}={said}" for name, said in value.items()) if isinstance(value, dict) else str(value)


VOCABULARY = {
    "cat": "purr mouse milk whisker nap sofa claw paw meow kitten".split(),
    "dog": "bark bone leash park fetch tail wag puppy howl stick".split(),
    "odd": "quantum ledger tariff invoice audit yield bond asset".split(),
}
HUE = {"cat": (200, 70, 40), "dog": (30, 60, 190), "odd": (20, 250, 20)}
TONE = {"cat": 300, "dog": 1500, "odd": 3500}


def content(kind, stem):
    """Bytes of a sample that is like all those whose name begins with the same word."""
    what, rng = stem.rstrip("0123456789"), np.random.default_rng(list(stem.encode()))
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
    what, rng = stem.rstrip("0123456789"), np.random.default_rng(list(stem.encode()))
    if what == "broken":
        return [place, split, label, "", "", "", ""]
    middle = {"cat": 0, "dog": 9, "odd": 400}[what]
    gap = "" if stem.endswith("5") else f"{rng.normal(3 - middle, 1):.3f}"
    return [place, split, label, f"{rng.normal(middle, 1):.3f}", gap, f"{rng.normal(0, 5):.1f}", "rb"[what == "cat"]]


HEADER = ["id", "split", "kind", "a", "b", "c", "colour"]
READING = Reading(label="kind", split="split", id_column="id")

MIXED = [
    *(f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(22)),
    "train/cat/dog90", "train/dog/cat91", "train/cat/dog93", "train/dog/cat94", "train/dog/cat95",
    "train/cat/odd1", "train/dog/broken1",
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
        return run(dataset, Denoise(**{**OFF, "folds": 2, **settings}), Context(running, seed=seed))


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


def keeps_the_contract(dataset, outcome, *, brakes=False):
    """Whatever is asked for, this holds."""
    v = outcome.verdicts
    gone = v.dropped()
    training, position = dataset.training, np.full(int(dataset.rows.max(initial=-1)) + 1, -1)
    position[dataset.rows] = np.arange(len(dataset))
    assert (np.diff(v.sample) >= 0).all()
    assert (np.diff(gone) > 0).all()
    assert np.isin(v.sample, dataset.rows).all()
    assert set(v.reason) <= reasons_of("denoise").keys()
    assert set(v.action) <= {Action.DROP, Action.FLAG, Action.RELABEL, Action.IMPUTE, Action.WEIGH}
    outside = v.action[~training[position[v.sample]]]
    assert set(outside) <= {Action.FLAG, Action.IMPUTE}, "evaluation samples are never dropped or relabelled"
    assert all(v.detail), "every verdict says something"
    assert np.isin(v.witness[v.witness >= 0], dataset.rows).all()
    assert (v.witness != v.sample).all()
    on_the_right_side(v)
    json.dumps([v.evidence.tolist(), dict(outcome.metrics)], allow_nan=False)
    is_pictured(dataset, outcome)

    relabelled = v.sample[v.action == Action.RELABEL].tolist()
    assert set(outcome.changes.labels) == set(relabelled)
    assert not set(relabelled) & set(gone.tolist())
    for row, name in outcome.changes.labels.items():
        assert name in dataset.classes
        assert name != dataset.classes[dataset.labels[position[row]]]
    no_class_is_emptied(dataset, outcome)
    for texts in outcome.changes.cells.values():
        assert not set(texts) & set(gone.tolist())
    imputed = set(v.sample[v.action == Action.IMPUTE].tolist())
    changed = set().union(*outcome.changes.cells.values()) if outcome.changes.cells else set()
    assert imputed <= changed
    assert (".weights.csv" in outcome.artefacts) == (Action.WEIGH in set(v.action))
    assert brakes or not outcome.brakes


def is_pictured(dataset, outcome):
    """Histograms are of all that was scored, and close calls are what was left out, the nearest first."""
    found = {
        (name, reason)
        for name, reason in zip(dataset.source.ids(outcome.verdicts.sample), outcome.verdicts.reason, strict=True)
    }
    gone = set(dataset.source.ids(outcome.verdicts.dropped()))
    shown = outcome.metrics.get("histograms", [])
    assert len({one["of"] for one in shown}) == len(shown) <= 12
    reasons = set(outcome.verdicts.reason) & ({"outlier", "wrong-label"} | set(FIGURES["poor"]))
    assert reasons <= {one["of"] for one in shown}
    for one in shown:
        assert len(one["edges"]) == len(one["counts"]) + 1 <= 41
        assert sum(one["counts"]) <= len(dataset)
        assert (one["threshold"] is None) == (one["side"] is None)
        assert one["side"] in (None, "above", "below")
        assert one["inclusive"] is (None if one["threshold"] is None else False)
    ids = set(dataset.ids)
    for reason in {one["of"] for one in shown}:
        calls = [call for call in outcome.metrics["close_calls"] if call["reason"] == reason]
        assert len(calls) <= 10
        for call in calls:
            assert call["id"] in ids - gone
            assert call["witness"] is None or call["witness"] in ids - {call["id"]}
            assert (call["id"], reason) not in found
            assert np.isfinite([call["score"], call["threshold"]]).all()


def no_class_is_emptied(dataset, outcome):
    """Every split has every class that it had, after what is dropped and relabelled."""
    if dataset.kind == "row" and len(dataset.classes) * 2 > len(dataset):
        return  # labels that hardly repeat count as numbers to predict
    label = dataset.labels.copy()
    for row, name in outcome.changes.labels.items():
        label[dataset.rows == row] = dataset.classes.index(name)
    stays = ~np.isin(dataset.rows, outcome.verdicts.dropped()) & (label >= 0)
    before = set(zip(dataset.splits[dataset.labels >= 0], dataset.labels[dataset.labels >= 0], strict=True))
    assert before <= set(zip(dataset.splits[stays], label[stays], strict=True))


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


def test_every_measure_has_words_for_its_axis():
    assert {check.measure for kind in CHECKS.values() for check in kind.values()} == set(UNITS)


def test_every_check_is_a_figure_that_gates_know():
    checks = {name for kind in CHECKS.values() for name in kind}
    assert checks == set(FIGURES["poor"])
    assert {reason for reasons in FIGURES.values() for reason in reasons} >= checks
    assert checks <= reasons_of("denoise").keys()


@pytest.mark.parametrize(("kind", "settings"), METHODS, ids=named)
def test_every_verdict_keeps_the_contract(mixed, decided, kind, settings):
    keeps_the_contract(mixed(kind), decided(kind, settings))


@pytest.mark.parametrize(("kind", "settings"), TWICE, ids=named)
def test_engine_workers_and_the_order_of_files_and_rows_change_nothing(mixed, decided, kind, settings):
    other = mixed(kind, turned=True)
    turned, first = decide(other, settings, "threads", 4), decided(kind, settings)
    assert told(other, turned) == told(mixed(kind), first)
    assert turned.metrics.get("histograms") == first.metrics.get("histograms")


@pytest.mark.parametrize("kind", ["image", "audio", "row"])
def test_processes_decide_like_threads(mixed, kind):
    settings = {"invalid": "auto", "quality": "auto", "outliers": "mad", "labels": "none", "quality_action": "drop"}
    one, other = decide(mixed(kind), settings, "processes", 2), decide(mixed(kind), settings)
    assert told(mixed(kind), one) == told(mixed(kind), other)
    for name in ("score", "threshold", "witness"):
        assert np.array_equal(getattr(one.verdicts, name), getattr(other.verdicts, name), equal_nan=True)
    assert one.metrics == other.metrics


@pytest.mark.parametrize(
    ("kind", "settings"), [("image", {"outliers": "isolation-forest"}), ("row", {"outliers": "auto", "labels": "knn"})]
)
def test_a_seed_decides_the_same_again(mixed, kind, settings):
    one, other = (decide(mixed(kind), settings, seed=7) for _ in range(2))
    for name in ("sample", "action", "reason", "score", "threshold", "witness", "detail", "evidence"):
        assert getattr(one.verdicts, name).tolist() == getattr(other.verdicts, name).tolist()
    assert one.metrics == other.metrics


@pytest.mark.parametrize("kind", SUFFIX)
def test_the_planted_faults_are_found(mixed, decided, kind):
    settings = {"labels": "confident-learning", "min_trust": 0}
    found = {name: action for name, action, _ in told(mixed(kind), decided(kind, settings))}
    wrong = {name for name in MIXED if name[-2:] in ("90", "91", "93", "94", "95")}
    dropped = {name for name, action in found.items() if action == "drop" and "odd" not in name}
    assert dropped <= wrong
    assert len(dropped) >= len(wrong) - 1
    assert found["test/cat/dog92"] == "flag"
    odd = [told(mixed(kind), decided(kind, {"outliers": name})) for name in ("auto", "zscore", "iqr")]
    assert len(odd[0]) <= 4
    assert ("train/cat/odd1", "flag", "outlier") in [verdict for verdicts in odd for verdict in verdicts]


BROKEN = [*(f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(8)), "train/cat/broken3", "test/cat/cat9",
          *(f"{split}/owl/broken{i}" for split in ("train", "test") for i in (4, 5, 6))]  # fmt: skip


@pytest.mark.parametrize("action", ["drop", "flag"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_is_named_and_the_last_of_a_class_stays(tmp_path, kind, action):
    dataset = make(tmp_path / "in", kind, BROKEN)
    settings = {"invalid": "auto", "invalid_action": action, "quality": "auto", "quality_action": action}
    outcome = decide(dataset, {**settings, "outliers": "knn", "labels": "knn"})
    keeps_the_contract(dataset, outcome)
    found = {name: action for name, action, reason in told(dataset, outcome) if reason in BROKEN_REASON[kind]}
    assert set(found) == {name for name in BROKEN if "broken" in name}
    dropped = {name for name, action in found.items() if action == "drop"}
    assert dropped <= {name for name in BROKEN if "train" in name}
    assert len(dropped) == (3 if action == "drop" else 0)
    assert ("train/cat/broken3" in dropped) == (action == "drop")
    judged = {name for name, _, reason in told(dataset, outcome) if reason in ("outlier", "wrong-label")}
    assert not judged & set(found), "what has no content is neither odd nor wrong"


BROKEN_REASON = {
    "image": {"unreadable"},
    "audio": {"unreadable"},
    "text": {"unreadable", "empty"},
    "row": {"too-empty"},
}

SMALL = {
    "one": ["train/cat/cat1"],
    "one-of-each": ["train/cat/cat1", "train/dog/dog1"],
    "two-of-a-class": ["train/cat/cat1", "train/cat/cat2"],
    "only-evaluation": ["test/cat/cat1", "test/dog/dog1", "test/cat/cat2"],
    "one-class": [f"train/cat/cat{i}" for i in range(24)],
    "a-class-of-one": [*(f"train/cat/cat{i}" for i in range(24)), "train/dog/dog1"],
    "many-classes-of-one": [f"train/c{i}/cat{i}" for i in range(24)],
    "classes-of-evaluation-only": [*(f"train/cat/cat{i}" for i in range(12)), *(f"test/dog/dog{i}" for i in range(12))],
    "only-broken": [f"train/{c}/broken{i}" for i, c in enumerate(("cat", "dog", "cat", "dog"))],
    "one-left": ["train/cat/cat1", "train/cat/broken1", "train/dog/broken2"],
}


@pytest.mark.parametrize("case", ["one", "two-of-a-class", "a-class-of-one", "one-left"])
@pytest.mark.parametrize("kind", KINDS)
def test_small_data_are_looked_at_and_left_alone(tmp_path, kind, case):
    places = SMALL[case]
    dataset = make(tmp_path / "in", kind, places)
    outcome = decide(dataset, {**EVERYTHING, "quality": "none"})
    keeps_the_contract(dataset, outcome, brakes=True)
    assert not {name for name, action, _ in told(dataset, outcome) if action == "drop"} - {
        name for name in places if "broken" in name
    }


EVERYTHING = {"invalid": "auto", "quality": "auto", "outliers": "auto", "labels": "auto"}


@pytest.mark.parametrize("settings", [
    *({"outliers": detector} for detector in DETECTORS), *({"labels": rule} for rule in RULES),
    *({"invalid": "auto", "missing": by, "standardise": "zscore"} for by in MISSING),
], ids=named)  # fmt: skip
@pytest.mark.parametrize("case", [name for name in SMALL if name not in ("one-of-each", "two-of-a-class", "one-class")])
def test_every_method_copes_with_few_rows(tmp_path, settings, case):
    dataset = make(tmp_path / "in", "row", SMALL[case])
    if "labels" in settings and len(dataset.classes) < 2:
        with pytest.raises(ConfigError, match="all samples are of one class"):
            decide(dataset, settings)
        return
    keeps_the_contract(dataset, decide(dataset, settings), brakes=True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_to_do(mixed, kind):
    """A step before may have left nothing at all."""
    dataset = mixed(kind)
    cells = {"missing": "median"} if kind == "row" else {}
    outcome = decide(dataset.keep(np.zeros(len(dataset), dtype=bool)), {**EVERYTHING, **cells})
    assert len(outcome.verdicts) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_s_second_step_sees_what_is_left(mixed, kind):
    """Rows keep their numbers when samples before them are gone."""
    dataset = mixed(kind)
    labels = {"labels": "confident-learning"} if kind == "row" else {}
    settings = {"invalid": "auto", "outliers": "iqr", "outliers_action": "drop", **labels}
    part = dataset.without(decide(dataset, settings).verdicts.dropped())
    assert len(part) < len(dataset)
    outcome = decide(part, settings)
    keeps_the_contract(part, outcome)
    assert len(outcome.verdicts.dropped()) < len(dataset) - len(part)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_that_are_all_alike_are_neither_odd_nor_wrong(tmp_path, kind):
    """Sixty times the same content, half of it with another label."""
    places = [f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(30)]
    root = tmp_path / "in"
    dataset = make(root, kind, places)
    if kind == "row":
        lines = [f"{i},train,{place.split('/')[1]},1,2,3,r" for i, place in enumerate(places)]
        (root / "in.csv").write_text("\n".join([",".join(HEADER), *lines, ""]))
        dataset = open_dataset(str(root / "in.csv"), READING)
    else:
        for place in places:
            (root / (place + SUFFIX[kind])).write_bytes(content(kind, "cat1"))
    for settings in (EVERYTHING, *({"outliers": name} for name in DETECTORS if kind == "row")):
        outcome = decide(dataset, settings)
        keeps_the_contract(dataset, outcome)
        assert not set(outcome.verdicts.reason) & {"outlier", "wrong-label"}


@pytest.mark.parametrize("kind", SUFFIX)
def test_samples_without_a_label_are_looked_at_but_have_none_to_judge(tmp_path, kind):
    places = [
        *(f"{c}/{c}{i}" for c in ("cat", "dog") for i in range(12)),
        *(f"cat{30 + i}" for i in range(4)),
        "broken7",
    ]
    dataset = make(tmp_path / "in", kind, places)
    settings = {**EVERYTHING, "labels": "knn", "outliers": "mad", "min_trust": 0, "quality_action": "drop"}
    outcome = decide(dataset, settings)
    keeps_the_contract(dataset, outcome)
    found = told(dataset, outcome)
    assert ("broken7", "drop", next(iter(BROKEN_REASON[kind] & {r for *_, r in found}))) in found
    assert not {name for name, _, reason in found if reason == "wrong-label" and "/" not in name}
    nothing = make(tmp_path / "bare", kind, [f"cat{i}" for i in range(6)])
    outcome = decide(nothing, {**EVERYTHING, "outliers": "mad"})
    assert any("labels: there are none" in note for note in outcome.metrics["notes"])


def test_rows_without_a_label_are_not_judged_by_it(tmp_path):
    places = [
        *(f"train/{c}/{c}{i}" for c in ("cat", "dog") for i in range(22)),
        *(f"train//dog{40 + i}" for i in range(9)),
    ]
    wrong = [f"train/cat/dog{i}" for i in (90, 91, 92, 93)]
    dataset = make(tmp_path / "in", "row", [*places, *wrong, "train//odd3"])
    outcome = decide(dataset, {**EVERYTHING, "outliers": "mad"})
    keeps_the_contract(dataset, outcome)
    found = told(dataset, outcome)
    assert {(name, "drop", "wrong-label") for name in wrong} <= set(found)
    assert ("train//odd3", "flag", "outlier") in found
    assert not {name for name, _, reason in found if reason == "wrong-label" and "//" in name}
