"""Datasets of every kind that are learned in a moment, and the models made of them."""

import atexit
import fcntl
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.numpy import load_file

from datadiet_cli.__main__ import run
from datadiet_cli.nn import cost, modelfile
from datadiet_cli.nn.optimising import Stepper
from tests.conftest import names, report, table, tree_digest

CLASSES = ("big", "small")
FLAGS = ["--label", "kind", "--split", "part", "--id-column", "id"]
MODEL_FILES = {"model.pt2", "model.safetensors", "model.json"}


def dying(step):
    """The command line as a program that is killed in this step of an optimiser."""
    return f"""
import os, signal, sys
from datadiet_cli.__main__ import main
from datadiet_cli.nn.optimising import Stepper
step, steps = Stepper.step, []
def dying(*given):
    steps.append(1)
    if len(steps) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*given)
Stepper.step = dying
main(sys.argv[1:])
"""


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
def _shared():
    """A folder of all processes that take part in a run of the tests; the last one to leave removes it."""
    run_of_tests = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    root = Path(tempfile.gettempdir(), f"datadiet-test-{run_of_tests}")
    mine = root / "users" / str(os.getpid())
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.touch()

    def leave():
        mine.unlink()
        if not any(mine.parent.iterdir()):
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(leave)
    return root


@cache
def made(kind):
    """A trained model of a kind, once for all tests that only look at it or use it."""
    root = _shared() / kind
    root.mkdir(exist_ok=True)
    known = root / "made.json"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not known.exists():
            source, flags = KINDS[kind][0](root)
            before = tree_digest(source)
            with _whole():
                assert run(["train", str(source), str(root / "model"), *flags, *QUICK, "--quiet"]) == 0
            assert tree_digest(source) == before
            known.write_text(json.dumps([str(source), flags]))
    source, flags = json.loads(known.read_bytes())
    return Made(Path(source), flags, root / "model")


_PARTS = {name: getattr(modelfile, name) for name in ("exported", "_save_program", "_compare", "_reopen")}


@contextmanager
def _whole():
    """Models are written whole, whatever a test that is the first to ask for one leaves out."""
    with pytest.MonkeyPatch.context() as patch:
        for name, part in _PARTS.items():
            patch.setattr(modelfile, name, part)
        yield


@contextmanager
def without_program() -> Iterator[None]:
    """The program of a model, model.pt2, is left empty: it takes longer to make than a small model to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelfile, "exported", lambda *_: None)
        patch.setattr(modelfile, "_save_program", lambda _, path: Path(path).touch())
        patch.setattr(modelfile, "_compare", lambda *_: 0.0)
        yield


@contextmanager
def by_steady_clock() -> Iterator[None]:
    """A model takes a nanosecond for each multiplication, and is not opened again in a process of its own.

    One thread computes: of models as small as these, several would rather wait for each other than compute.
    """

    def steady(models, inputs, *, batches=cost.BATCHES, rounds=cost.ROUNDS, threads=1):
        def told(name, batch):
            model = models[name]
            seconds = batch * 1e-9 * cost.macs(model, inputs[name]) if isinstance(model, cost.nn.Module) else 1e-6
            same, times = (seconds, seconds), (seconds,) * rounds
            return cost.Latency(
                batch, seconds, same, seconds, same, rounds, threads, "made up", "made up", times, times
            )

        return {name: [told(name, batch) for batch in batches] for name in models}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "latency", steady)
        patch.setattr(modelfile, "_reopen", lambda *_: None)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


GENTLE = ["--epochs", "1", "--controls", "none", "--quiet"]
"""As little of what heals and proves a pruned model as there can be."""


def to_prune(kind, *flags):
    """The arguments that prune a model of a kind, all but the command, its OUTPUT first."""
    given = made(kind)
    return lambda out: ["prune-model", given.folder, out, "--data", given.source, *given.flags, *GENTLE, *flags]


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


def count_steps(monkeypatch, fail=None):
    """A list that grows with each step of an optimiser; the step of a number is interrupted."""
    step, taken = Stepper.step, []
    if fail is not None and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a shell starts what it runs in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def counted(*given):
        taken.append(1)
        if len(taken) == fail:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*given)

    monkeypatch.setattr(Stepper, "step", counted)
    return taken


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}
