"""Easy data for `evaluate`, and what is read from its reports."""

import json

import numpy as np
from PIL import Image

from tests.conftest import Ran, table

HEADER = ("x", "y", "colour", "kind", "split")
QUICK = ("--model", "linear", "--seeds", 2, "--epochs", 20, "--batch-size", 32, "--learning-rate", 0.3)
LABEL = ("--label", "kind", *QUICK)


def records(n=120, seed=0, apart=4.0, classes="abc", tested=0):
    """Classes that two numbers tell; the last rows are for testing."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    return [
        [
            f"{rng.normal(apart * (i % k)):.5f}",
            f"{rng.normal(-apart * (i % k)):.5f}",
            "uvw"[rng.integers(3)],
            classes[i % k],
            "test" if i >= n - tested else "train",
        ]
        for i in range(n)
    ]


def written(path, rows, header=HEADER):
    return table(path, header, [row[: len(header)] for row in rows])


def evaluated(path):
    """The figures in a report."""
    return json.loads(path.read_bytes())["steps"][-1]["metrics"]


def by_epochs(path):
    return evaluated(path)["protocols"]["epochs"]


def narrow(ran: Ran):
    """No line is wider than a terminal, but for notes and the paths of files."""
    return [
        line
        for line in ran.err.splitlines()
        if len(line) > 100 and not line.lstrip().startswith("note") and "/" not in line
    ]


def photos(root, numbers, splits=("train", "test")):
    """Bright and dark pictures of noise, the same for the same number."""
    for split in splits:
        for i in numbers[split]:
            light = i % 2 == 0
            path = root / split / ("day" if light else "night") / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 90, (16, 16, 3)) + (160 if light else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


PICTURES = ("--model", "small-cnn", "--image-size", "8", "--seeds", 2, "--epochs", 3, "--batch-size", 8)
