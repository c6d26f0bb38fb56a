"""A table of things of two kinds for `select-features`, and what its report says of the columns."""

import csv

import numpy as np

from tests.conftest import report

NEW = {"pca": "pca", "lda": "lda", "random-projection": "rp"}
HEADER = [
    "id",
    "size",
    "size again",
    "weight",
    "noise",
    "luck",
    "gappy",
    "colour",
    "town",
    "flat",
    "note",
    "kind",
    "part",
]


def records(n=120, seed=0):
    """Things of two kinds: size, weight and colour tell which, and a copy of the size; four columns tell nothing."""
    rng = np.random.default_rng(seed)
    words = "felt well tired slept ate ran rested coughed".split()
    rows = []
    for i in range(n):
        big = i % 2
        size = rng.normal(3 * big, 1)
        rows.append(
            [
                f"t{i}", f"{size:.4f}", f"{2 * size + 1:.4f}", f"{rng.normal(1.5 * big, 1):.4f}",
                f"{rng.normal():.4f}", f"{rng.normal(0, 5):.4f}", f"{rng.normal():.3f}" if rng.random() < 0.2 else "",
                "red" if rng.random() < (0.9 if big else 0.1) else "blue", rng.choice(["north", "south", "west"]),
                "same", " ".join(rng.choice(words, 8)), "big" if big else "small",
                "test" if i >= n - 20 else "train",
            ]
        )  # fmt: skip
    return rows


def flags(*more):
    return ["--label", "kind", "--split", "part", "--id-column", "id", *more]


def header(path):
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def verdicts(out):
    return {verdict["column"]: verdict for verdict in report(out)["columns"]}


def dropped(out):
    return {name for name, verdict in verdicts(out).items() if verdict["action"] == "drop"}


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in header(path)}
