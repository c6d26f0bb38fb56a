"""The contract every way of recognising copies keeps, run over each registered method on real files and rows."""

import io
import os
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.engine import Engine
from datadiet_cli.outcome import FOREIGN, Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run
from datadiet_cli.steps.likeness import FINDERS

METHODS = [(kind, method) for kind, methods in FINDERS.items() for method in methods]
ROWS = [(kind, method) for kind, method in METHODS if kind == "row"]
FILES = [(kind, method) for kind, method in METHODS if kind != "row"]
PROCESSES = [
    ("image", "phash"),
    ("image", "pixels"),
    ("image", "embedding"),
    ("file", "exact"),
    ("text", "minhash"),
    ("audio", "samples"),
    ("audio", "fingerprint"),
    ("row", "simhash"),
    ("row", "sorted-neighbourhood"),
]
SIMILAR = {"minhash", "sorted-neighbourhood", "fingerprint", "embedding", "cluster"}
"""Methods that tell how similar two samples are rather than how far apart."""
SUFFIX = {"image": ".png", "text": ".txt", "audio": ".wav", "file": ".bin"}


def content(kind, seed):
    """Bytes of a sample that resembles no other seed's."""
    rng = np.random.default_rng(seed)
    if kind == "text":
        words = ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), size=rng.integers(2, 10))) for _ in range(80)]
        return " ".join(words).encode()
    if kind == "audio":
        return sound(rng)
    if kind != "image":
        return rng.bytes(2000)
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(picture, dtype=int) + rng.integers(-20, 20, (96, 96, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def sound(rng):
    """Four seconds of chords in WAV."""
    rate = 8000
    time = np.arange(rate // 2) / rate
    chords = [sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(150, 3000, 4)) for _ in range(8)]
    signal = np.concatenate(chords) / 5 + rng.normal(0, 0.01, 4 * rate)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture
def build(tmp_path):
    """Write a dataset: {path or row: seed of its content} in the order given."""

    def make(kind, samples, name="data"):
        if kind == "row":
            path = tmp_path / f"{name}.csv"
            lines = [
                f"{s.split('/')[0]},{s.split('/')[1]},{seed},{seed / 7:.6f},word {seed}" for s, seed in samples.items()
            ]
            path.write_text("\n".join(["split,label,a,b,c", *lines, ""]))
            return open_dataset(str(path), Reading(label="label", split="split"))
        root = tmp_path / name
        for place, seed in samples.items():
            file = root / (place + SUFFIX[kind])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content(kind, seed))
        return open_dataset(str(root))

    return make


def decide(dataset, method, engine="serial", workers=1, **settings):
    with Engine(engine, workers) as running:
        return run(dataset, Dedup(method=method, **settings), Context(running))


def told(dataset, outcome):
    """The verdicts by id."""
    v = outcome.verdicts
    ids = dataset.source.ids
    witness = [None if w < 0 else ids(np.array([w]))[0] for w in v.witness]
    rows = zip(ids(v.sample), v.action, v.reason, v.score, witness, strict=True)
    return sorted((name, str(action), reason, str(score), str(w)) for name, action, reason, score, w in rows)


MIXED = {
    "train/cat/a": 1, "train/cat/b": 2, "train/cat/c": 1, "train/dog/d": 3, "train/dog/e": 4, "train/dog/f": 3,
    "train/dog/g": 2, "test/cat/h": 5, "test/cat/i": 5, "test/dog/j": 4, "test/dog/k": 6, "train/cat/l": 7,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_every_removal_has_a_reason_a_score_and_a_kept_witness(build, kind, method):
    dataset = build(kind, MIXED)
    outcome = decide(dataset, method)
    v = outcome.verdicts
    gone = v.dropped()
    assert len(gone) == 3, "a or c, d or f, and e, which is in test too"
    assert not np.isin(gone, dataset.rows[~dataset.training]).any(), "evaluation samples are never dropped"
    assert (np.diff(v.sample) >= 0).all()
    assert np.isin(v.sample, dataset.rows).all()
    for action, reason, score, threshold, witness in zip(
        v.action, v.reason, v.score, v.threshold, v.witness, strict=True
    ):
        assert reason in reasons_of("dedup")
        assert score >= threshold if method in SIMILAR else score <= threshold
        if action == Action.DROP:
            assert witness in dataset.rows
            assert witness not in gone
    assert {"leak", "duplicate", "conflict", "duplicate-in-evaluation"} == set(v.reason)


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_engine_workers_and_repetition_change_nothing(build, kind, method):
    dataset = build(kind, MIXED)
    first = told(dataset, decide(dataset, method))
    assert told(dataset, decide(dataset, method)) == first
    assert told(dataset, decide(dataset, method, "threads", 4)) == first


@pytest.mark.parametrize(("kind", "method"), PROCESSES)
def test_processes_decide_like_threads(build, kind, method):
    dataset = build(kind, MIXED)
    assert told(dataset, decide(dataset, method, "processes", 2)) == told(dataset, decide(dataset, method))


@pytest.mark.parametrize(("kind", "method"), FILES)
def test_the_order_files_were_made_in_changes_nothing(build, kind, method):
    one = build(kind, MIXED, "one")
    other = build(kind, dict(reversed(MIXED.items())), "other")
    assert told(one, decide(one, method)) == told(other, decide(other, method))


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("conflicts", ["flag", "drop-all", "keep-majority"])
@pytest.mark.parametrize("scope", ["within-class", "across-classes", "across-splits"])
def test_no_class_is_ever_emptied(build, kind, method, conflicts, scope):
    everything_alike = {f"{s}/{c}/{i}": 1 for s in ("train", "test") for c in ("cat", "dog") for i in range(3)}
    dataset = build(kind, everything_alike)
    outcome = decide(dataset, method, conflicts=conflicts, scope=scope)
    after = dataset.without(outcome.verdicts.dropped())
    before = {(s, c) for s, c in zip(dataset.splits, dataset.labels, strict=True)}
    assert {(s, c) for s, c in zip(after.splits, after.labels, strict=True)} == before
    assert (~after.training).sum() == 6


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_what_was_compared_decides_the_same_again(build, kind, method):
    """Where a threshold can be moved, the comparisons alone are enough."""
    dataset = build(kind, MIXED)
    outcome = decide(dataset, method)
    if outcome.comparisons is None:
        assert method == "cluster" or (outcome.verdicts.score == 0).all(), "only equality counts"
        return
    replay = run(dataset, Dedup(method=method), Context(replay=outcome))
    assert told(dataset, replay) == told(dataset, outcome)
    assert len(outcome.metrics["closest_calls"]["copies"]) > 0


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_what_is_in_another_dataset_goes(build, kind, method):
    dataset = build(kind, {"train/cat/a": 1, "train/cat/b": 2, "train/dog/c": 3, "train/dog/d": 4})
    known = build(kind, {"train/x/z": 2, "train/x/y": 9}, "known")
    outcome = decide(dataset, method, against=[known.source.path])
    for calls in outcome.metrics.get("closest_calls", {}).values():
        assert all(call.get("foreign", False) == (call["other"] not in dataset.ids) for call in calls)
    assert [(n, a, r) for n, a, r, *_ in told(dataset, outcome)] == [
        ("1" if kind == "row" else f"train/cat/b{SUFFIX[kind]}", "drop", "contamination")
    ]
    assert outcome.foreign[FOREIGN - outcome.verdicts.witness[0]].startswith(known.source.path)


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("samples", [{"train/cat/a": 1}, {"train/cat/a": 1, "train/cat/b": 2}])
def test_one_sample_and_no_copies(build, kind, method, samples):
    dataset = build(kind, samples)
    outcome = decide(dataset, method)
    assert len(outcome.verdicts) == 0


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_nothing_left_to_do(build, kind, method):
    """A step before may have left nothing at all."""
    dataset = build(kind, {"train/cat/a": 1})
    assert len(decide(dataset.keep(np.zeros(1, dtype=bool)), method).verdicts) == 0


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_a_pipeline_s_second_step_sees_what_is_left(build, kind, method):
    """Rows keep their numbers when samples before them are gone."""
    dataset = build(kind, MIXED)
    part = dataset.without(decide(dataset, method).verdicts.dropped())
    assert len(decide(part, method).verdicts.dropped()) == 0


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("prefer", ["first", "largest"])
def test_the_first_of_equals_stays(build, kind, method, prefer):
    dataset = build(kind, {"train/cat/z": 1, "train/cat/a": 1, "train/cat/m": 1, "train/cat/q": 2})
    kept = dataset.without(decide(dataset, method, prefer=prefer).verdicts.dropped()).ids
    assert kept == (["0", "3"] if kind == "row" else [f"train/cat/{n}{SUFFIX[kind]}" for n in "aq"])


def test_the_majority_label_wins(build):
    dataset = build("file", {"cat/a": 1, "cat/b": 1, "dog/c": 1, "dog/d": 2, "dog/e": 3, "cat/f": 3})
    outcome = decide(dataset, "exact", conflicts="keep-majority")
    assert told(dataset, outcome) == [
        ("cat/b.bin", "drop", "duplicate", "0.0", "cat/a.bin"),
        ("cat/f.bin", "flag", "conflict", "0.0", "dog/e.bin"),
        ("dog/c.bin", "drop", "conflict-minority", "0.0", "cat/a.bin"),
        ("dog/e.bin", "flag", "conflict", "0.0", "cat/f.bin"),
    ]


def test_drop_all_takes_every_copy_of_a_contradiction(build):
    dataset = build("file", {"cat/a": 1, "cat/b": 1, "dog/c": 1, "dog/d": 2, "cat/e": 3})
    gone = decide(dataset, "exact", conflicts="drop-all").verdicts.dropped()
    assert dataset.without(gone).ids == ["cat/e.bin", "dog/d.bin"]


@pytest.mark.parametrize("method", ["phash", "dhash", "ahash", "whash"])
def test_flat_and_dark_pictures_do_not_collapse(tmp_path, method):
    """Hashes of pictures without content are equal or noise; only equal pixels make them copies."""
    root = tmp_path / "data" / "sky"
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, colour in {"blue": "blue", "white": "white", "black": "black"}.items():
        Image.new("RGB", (64, 64), colour).save(root / f"{name}.png")
    shutil.copy(root / "blue.png", root / "blue-again.png")
    Image.new("RGB", (64, 64), "blue").save(root / "blue-other-format.bmp")
    for i in range(6):
        night = rng.poisson(6, (120, 160)).astype(np.uint8)
        Image.fromarray(night).save(root / f"night-{i}.png")
    dataset = open_dataset(str(tmp_path / "data"))
    gone = {name for name, action, *_ in told(dataset, decide(dataset, method)) if action == "drop"}
    assert gone == {"sky/blue-again.png", "sky/blue-other-format.bmp"} or gone == {"sky/blue-again.png", "sky/blue.png"}


def test_an_animation_is_no_copy_of_its_first_frame(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    frames = [Image.open(io.BytesIO(content("image", seed))).convert("P") for seed in (1, 2, 3)]
    frames[0].save(root / "still.gif")
    frames[0].save(root / "film.gif", save_all=True, append_images=frames[1:2])
    frames[0].save(root / "other-film.gif", save_all=True, append_images=frames[2:3])
    shutil.copy(root / "film.gif", root / "film-copy.gif")
    dataset = open_dataset(str(root))
    assert dataset.without(decide(dataset, "phash").verdicts.dropped()).ids == [
        "film.gif",
        "other-film.gif",
        "still.gif",
    ]


def test_prefer_by_pixels_time_and_sharpness(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    photograph = next((Path(__file__).parents[2] / "sample_data/images/train/animal").glob("*.jpg"))
    original = Image.open(photograph).resize((400, 400))
    original.save(root / "b-original.png")
    original.resize((200, 200)).resize((420, 420)).save(root / "a-blown-up.png")
    original.resize((100, 100)).save(root / "c-small.png")
    for age, name in enumerate(["c-small.png", "b-original.png", "a-blown-up.png"]):
        os.utime(root / name, (1_000_000_000 - age, 1_000_000_000 - age))
    dataset = open_dataset(str(root))

    def kept(prefer):
        return dataset.without(decide(dataset, "phash", prefer=prefer).verdicts.dropped()).ids

    assert kept("largest") == ["a-blown-up.png"]
    assert kept("sharpest") == ["b-original.png"]
    assert kept("newest") == ["c-small.png"]
    assert kept("first") == ["a-blown-up.png"]


def test_the_most_complete_row_stays(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("name,x\nAnna  Maria ,1.0\nanna maria,1.0000000001\nBob,2\nbob,\n")
    dataset = open_dataset(str(path))
    assert dataset.without(decide(dataset, "near").verdicts.dropped()).ids == ["0", "2", "3"]


@pytest.mark.parametrize(
    ("scope", "gone"), [("within-class", []), ("across-classes", ["a.bin"]), ("across-splits", ["a.bin"])]
)
def test_a_copy_without_a_label_goes_for_one_that_has_a_label(build, scope, gone):
    dataset = build("file", {"a": 1, "cat/b": 1, "cat/c": 2, "dog/d": 3, "dog/e": 4})
    outcome = decide(dataset, "exact", scope=scope)
    assert dataset.source.ids(outcome.verdicts.dropped()) == gone
    assert all(reason == "duplicate" for reason in outcome.verdicts.reason)
