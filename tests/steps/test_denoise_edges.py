"""`datadiet denoise` on odd tables, in every format: it works, or says in one line why not; and finds what is known."""

import json
from typing import get_args

import numpy as np
import polars as pl
import pytest

from datadiet_cli.config.denoise import Detector
from tests.conftest import Cli, report, table

DETECTORS = [name for name in get_args(Detector) if name != "none"]

N = 40
RNG = np.random.default_rng(0)
X = [round(float(x), 3) for x in RNG.normal(0, 1, N)]
Z = [round(float(x), 3) for x in RNG.normal(5, 2, N)]
Y = ["cat" if x < 0 else "dog" for x in X]
SAID = ["red tea", "dog ate my", "big old sun"]
DAYS = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)]


def with_some(values, some):
    """A column with other values at the first places."""
    return [*some, *values[len(some) :]]


TABLES = {
    "plain": {"x": X, "z": Z, "y": Y},
    "gaps": {"x": with_some(X, [None] * 9), "z": [z if i % 3 else None for i, z in enumerate(Z)], "y": Y},
    "nan": {"x": with_some(X, [float("nan")] * 3), "z": Z, "y": Y},
    "infinite": {"x": with_some(X, [float("inf"), float("-inf")]), "z": Z, "y": Y},
    "all infinite": {"x": [float("inf")] * N, "z": Z, "y": Y},
    "words among numbers": {"x": [*map(str, X[:-3]), "?", "NA", "none"], "z": Z, "y": Y},
    "strings": {"x": [f"s{i % 5}" for i in range(N)], "z": [f"t{i % 3}" for i in range(N)], "y": Y},
    "all strings differ": {"x": [f"name {i}" for i in range(N)], "z": Z, "y": Y},
    "free text": {"x": [" ".join(SAID[i * j % 3] for j in range(9)) for i in range(N)], "z": Z, "y": Y},
    "the same text": {"x": ["red tea over the green leaf and the river stone"] * N, "y": Y},
    "constant": {"x": X, "c": [7] * N, "d": ["k"] * N, "y": Y},
    "only constant": {"c": [7] * N, "d": ["k"] * N, "y": Y},
    "collinear": {"x": X, "z": [2 * x + 1 for x in X], "w": X, "y": Y},
    "all missing": {"x": X, "e": [None] * N, "y": Y},
    "only missing": {"e": [None] * N, "y": Y},
    "one row with anything": {"x": [1.5] + [None] * (N - 1), "y": Y},
    "sixty alike": {"x": [1.0] * 60 + X, "z": [2.0] * 60 + Z, "y": ["cat", "dog"] * 30 + Y},
    "all alike": {"x": [1.0] * N, "z": ["a"] * N, "y": Y},
    "a class of one": {"x": X, "z": Z, "y": ["emu", *Y[1:]]},
    "one label": {"x": X, "z": Z, "y": ["cat"] * N},
    "no label": {"x": X, "z": Z, "y": [None] * N},
    "few labels": {"x": X, "z": Z, "y": ["cat", "dog"] + [None] * (N - 2)},
    "labels that differ": {"x": X, "z": Z, "y": [f"l{i}" for i in range(N)]},
    "huge whole numbers": {"x": [2**60 + i for i in range(N)], "z": Z, "y": Y},
    "huge numbers": {"x": [x * 1e300 for x in X], "z": [z * 1e-300 for z in Z], "y": Y},
    "all the largest": {"x": [1.7e308 * (-1) ** i for i in range(N)], "z": Z, "y": Y},
    "one huge": {"x": with_some(X, [1e308]), "z": Z, "y": Y},
    "booleans": {"x": [i % 3 == 0 for i in range(N)], "z": Z, "y": [y == "cat" for y in Y]},
    "dates": {"x": DAYS, "z": Z, "y": Y},
    "one column": {"x": X},
    "number labels": {"x": X, "z": Z, "y": [round(3 * x + 1, 2) for x in X]},
    "infinite labels": {"x": X, "z": Z, "y": [*[round(3 * x + 1, 2) for x in X[:-1]], float("inf")]},
    "one row": {"x": [1.0], "z": [2.0], "y": ["cat"]},
    "two rows": {"x": [1.0, 2.0], "z": [2.0, 2.0], "y": ["cat", "dog"]},
    "no rows": {"x": [], "z": [], "y": []},
}  # fmt: skip


def write(path, columns):
    """Write a table as CSV, JSONL or Parquet."""
    if path.suffix == ".csv":
        cells = [
            ["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in c] for c in columns.values()
        ]
        return table(path, list(columns), zip(*cells, strict=True))
    if path.suffix == ".jsonl":
        rows = zip(*columns.values(), strict=True)
        text = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
        path.write_text(text.replace("NaN", "null").replace("-Infinity", "-1e999").replace("Infinity", "1e999"))
        return path
    series = [pl.Series(name, values, dtype=None if values else pl.Float64) for name, values in columns.items()]
    pl.DataFrame(series).write_parquet(path)
    return path


ANYTHING = ("--max-dropped", "100%", "--folds", "2")
"""Brakes have tests of their own."""


def works(datadiet, path, columns, *flags):
    ran = datadiet(
        "denoise", path, "--dry-run", "--json", *(("--label", "y") if "y" in columns else ()), *ANYTHING, *flags
    )
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    told = json.loads(ran.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    kept = told["output"]["samples"]
    assert kept + len({row["id"] for row in told["verdicts"] if row["action"] == "drop"}) == told["input"]["samples"]
    return told


def verdicts_of(told):
    return [(row["id"], row["action"], row["reason"]) for row in told["verdicts"]]


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
class TestOddTables:
    def test_all_families(self, tmp_path, datadiet: Cli, columns):
        path = write(tmp_path / "in.csv", columns)
        works(datadiet, path, columns, "--outliers", "knn", "--missing", "median", "--per-class")

    def test_every_format_tells_the_same(self, tmp_path, datadiet: Cli, columns):
        flags = ("--labels", "none", "--outliers", "mad", "--missing", "knn")
        paths = [write(tmp_path / f"in.{suffix}", columns) for suffix in ("csv", "parquet", "jsonl")]
        if not any(columns.values()):
            assert "the file is empty" in datadiet("denoise", paths.pop(), "--dry-run").complaint
        one, *others = [verdicts_of(works(datadiet, path, columns, *flags)) for path in paths]
        if columns is not TABLES["infinite"]:  # a CSV says "inf" in words, which are as good as missing
            assert all(other == one for other in others)

    def test_they_can_be_written(self, tmp_path, datadiet: Cli, columns):
        path = write(tmp_path / "in.csv", columns)
        label = ("--label", "y") if "y" in columns else ()
        flags = ("--labels", "none", "--outliers", "none", "--missing", "mean", "--standardise", "minmax")
        assert datadiet("denoise", path, tmp_path / "out.csv", *label, *ANYTHING, *flags).code == 0
        rows = (tmp_path / "out.csv").read_text().splitlines()
        assert rows[0] == ",".join(columns)
        assert len(rows) - 1 == report(tmp_path / "out.csv")["output"]["samples"]


def test_two_hundred_classes(tmp_path, datadiet: Cli):
    columns = {"x": [float(i % 200) for i in range(600)], "z": Z * 15, "y": [f"k{i % 200}" for i in range(600)]}
    told = works(datadiet, write(tmp_path / "in.csv", columns), columns, "--outliers", "none")
    assert told["verdicts"] == []


@pytest.mark.parametrize("flags", [(), ("--quality", "none"), ("--missing", "median", "--standardise", "zscore")])
def test_a_table_of_labels_only(tmp_path, datadiet: Cli, flags):
    columns = {"y": Y}
    assert works(datadiet, write(tmp_path / "in.csv", columns), columns, *flags)["verdicts"] == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--false-flags", "0"), "--false-flags: must be above 0% and below 50%, not 0%"),
        (("--false-flags", "60%"), "--false-flags: must be above 0% and below 50%, not 60%"),
        (("--folds", "1"), "--folds: must be at least 2"),
        (("--limits", "too-short=nan"), "--limits: must be NAME=NUMBER"),
        (("--ranges", "x=5..1"), "--ranges: must be COLUMN=LOW..HIGH"),
        (("--allowed", "x="), "--allowed: must be COLUMN=VALUE|VALUE"),
        (("--checks", "dark"), "no check 'dark' for row data; there are empty"),
        (("--columns", "y"), "--columns y: label, split and id say nothing"),
        (("--columns", "q"), "--columns q: no such column"),
        (("--encoder", "model.pt2"), "model.pt2: does not exist"),
        (("--task", "regression"), "needs labels that are numbers, not 'cat'"),
        (("--separator", "|", "--pred-probs", "{probs}"), "labels name several classes here"),
        (("--labels", "knn", "--pred-probs", "{probs}"), "knn needs the nearest neighbours"),
    ],
)
def test_settings_that_cannot_be_are_said_in_a_line(tmp_path, datadiet: Cli, flags, said):
    np.save(tmp_path / "p.npy", np.full((N, 2), 0.5))
    path = write(tmp_path / "in.csv", TABLES["plain"])
    flags = [flag.format(probs=tmp_path / "p.npy") for flag in flags]
    ran = datadiet("denoise", path, "--dry-run", "--label", "y", *flags)
    assert ran.code == 2
    assert said in ran.complaint


PROBS = "id,cat,dog\n" + "".join(f"{i},{p},{1 - p}\n" for i, p in enumerate([0.9 if y == "cat" else 0.2 for y in Y]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PROBS.replace("dog", "cow"), "no column for class 'dog'"),
        (PROBS.replace("\n7,", "\n77,"), "no row with id '7'"),
        (PROBS.replace("id,", "n,").rpartition("39,")[0], "39 rows"),
        (PROBS.replace("0.9,", "0.5,"), "add up"),
        (PROBS.replace("0.9,", ","), ""),
        (PROBS.replace("0.9,", "-0.9,"), ""),
        (PROBS.replace("0.9,", "inf,"), ""),
        (PROBS.replace("0.9,", "high,"), "no number"),
        ("", ""),
    ],
)
def test_a_table_that_holds_no_probabilities(tmp_path, datadiet: Cli, text, said):
    (tmp_path / "p.csv").write_text(text)
    path = write(tmp_path / "in.csv", TABLES["plain"])
    flags = ("--label", "y", "--outliers", "none", "--pred-probs", tmp_path / "p.csv")
    ran = datadiet("denoise", path, "--dry-run", *flags)
    assert ran.code == 2
    assert said in ran.complaint
    assert "p.csv" in ran.complaint
    (tmp_path / "p.csv").write_text(PROBS)
    assert datadiet("denoise", path, "--dry-run", *flags).code == 0


ONLY_LABELS = ("--invalid", "none", "--quality", "none", "--outliers", "none", "--folds", "3")
ONLY_OUTLIERS = ("--invalid", "none", "--quality", "none", "--labels", "none")


def blobs(n, classes, seed):
    """Columns of classes that lie far apart, and each row's class."""
    rng = np.random.default_rng(seed)
    true = np.arange(n) % classes
    middles = 8 * np.eye(classes, 4)
    return middles[true] + rng.normal(0, 1, (n, 4)), true


def columns_of(x, label):
    return {**{f"x{j}": np.round(x[:, j], 4).tolist() for j in range(x.shape[1])}, "y": label}


def found_by(datadiet, path, *flags):
    ran = datadiet("denoise", path, "--dry-run", "--json", "--label", "y", *flags)
    assert ran.code == 0, ran.err
    return {int(row["id"]): row for row in json.loads(ran.out)["verdicts"]}


@pytest.mark.parametrize("rule", ["auto", "knn", "self-confidence", "normalised-margin"])
def test_a_tenth_of_the_labels_flipped_is_found(tmp_path, datadiet: Cli, rule):
    x, true = blobs(300, 3, seed=1)
    rng = np.random.default_rng(2)
    flipped = set(rng.choice(300, 30, replace=False).tolist())
    given = [(k + 1 + int(rng.integers(2))) % 3 if i in flipped else k for i, k in enumerate(true.tolist())]
    path = write(tmp_path / "in.csv", columns_of(x, [f"c{k}" for k in given]))
    found = found_by(datadiet, path, *ONLY_LABELS, "--labels", rule)
    assert set(found) <= flipped
    assert len(found) >= 28
    assert {row["action"] for row in found.values()} == {"drop"}
    assert all(row["evidence"]["suggested"] == f"c{true[i]}" for i, row in found.items())
    clean = write(tmp_path / "clean.csv", columns_of(x, [f"c{k}" for k in true]))
    assert found_by(datadiet, clean, *ONLY_LABELS, "--labels", rule) == {}


def test_relabelling_gives_the_true_labels_back(tmp_path, datadiet: Cli):
    x, true = blobs(200, 2, seed=5)
    given = [1 - k if i % 11 == 3 else k for i, k in enumerate(true.tolist())]
    path = write(tmp_path / "in.csv", columns_of(x, [f"c{k}" for k in given]))
    assert (
        datadiet("denoise", path, tmp_path / "out.csv", "--label", "y", *ONLY_LABELS, "--labels-action", "relabel").code
        == 0
    )
    rows = (tmp_path / "out.csv").read_text().splitlines()
    before = path.read_text().splitlines()
    assert [row.rpartition(",")[2] for row in rows[1:]] == [f"c{k}" for k in true]
    assert [row.rpartition(",")[0] for row in rows] == [row.rpartition(",")[0] for row in before]


@pytest.mark.parametrize("action", ["drop", "relabel"])
def test_wrong_numbers_are_found_by_their_residuals(tmp_path, datadiet: Cli, action):
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (300, 4))
    y = x @ [3, -2, 1, 0.5] + rng.normal(0, 0.2, 300)
    wrong = rng.choice(300, 15, replace=False)
    path = write(tmp_path / "clean.csv", columns_of(x, np.round(y, 3).tolist()))
    assert len(found_by(datadiet, path, *ONLY_LABELS)) <= 3
    y[wrong] += rng.choice([-1, 1], 15) * rng.uniform(12, 20, 15)
    path = write(tmp_path / "in.csv", columns_of(x, np.round(y, 3).tolist()))
    found = found_by(datadiet, path, *ONLY_LABELS, "--labels-action", action)
    assert len(set(wrong.tolist()) & set(found)) >= 13
    assert len(set(found) - set(wrong.tolist())) <= 2
    assert {row["action"] for row in found.values()} == {action}
    for i, row in found.items():
        near = [(int(one["id"]), one["label"]) for one in row["evidence"]["neighbours"]]
        assert len(near) == 5
        assert i not in dict(near)
        assert all(label == f"{round(y[j], 3):g}" for j, label in near)


def test_wrong_ones_of_several_classes_are_found(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(4)
    shows = rng.random((300, 3)) < 0.5
    shows[~shows.any(axis=1), 0] = True
    x = 8.0 * shows + rng.normal(0, 1, (300, 3))
    said = shows.copy()
    wrong = rng.choice(300, 20, replace=False)
    said[wrong, 1] ^= True
    label = ["|".join(np.array(["air", "bus", "car"])[row]) or None for row in said]
    unlabelled = {i for i in range(300) if not label[i]}
    assert len(unlabelled) == 6
    wrong = [i for i in wrong.tolist() if i not in unlabelled]
    path = write(tmp_path / "in.csv", columns_of(x, label))
    found = found_by(datadiet, path, *ONLY_LABELS, "--separator", "|")
    assert not unlabelled & set(found)
    assert len(set(wrong) & set(found)) >= len(wrong) - 2
    assert len(set(found) - set(wrong)) <= 2
    assert all(row["score"] < row["threshold"] == 0.5 for row in found.values())
    for i, row in found.items():
        near = {int(one["id"]): one["label"] for one in row["evidence"]["neighbours"]}
        assert len(near) == 5
        assert i not in near
        assert all(said == label[j] for j, said in near.items())
    both = [i for i in wrong if i in found]
    assert all(list(found[i]["evidence"]["missing" if shows[i, 1] else "superfluous"]) == ["bus"] for i in both)


@pytest.mark.parametrize("detector", DETECTORS)
def test_what_is_far_out_is_found_and_a_clean_table_is_left_alone(tmp_path, datadiet: Cli, detector):
    rng = np.random.default_rng(6)
    x = rng.normal(0, 1, (400, 4)) @ rng.normal(0, 1, (4, 4))
    path = write(tmp_path / "clean.csv", columns_of(x, ["a"] * 400))
    assert len(found_by(datadiet, path, *ONLY_OUTLIERS, "--outliers", detector)) <= 14
    # One column far out of four is not enough for those that add up bounded parts.
    far = [101, 250] if detector in ("ecod", "hbos") else [17, 101, 250]
    x[far[-2:]] += np.array([[90, -70, 0, 60], [80, 80, -80, 90]])
    x[17, 0] += 60
    path = write(tmp_path / "in.csv", columns_of(x, ["a"] * 400))
    found = found_by(datadiet, path, *ONLY_OUTLIERS, "--outliers", detector)
    assert set(far) <= set(found)
    assert {row["action"] for row in found.values()} == {"flag"}
    if 17 in found:
        assert found[17]["evidence"]["columns"][0]["column"] == "x0"
        assert "x0 is" in found[17]["detail"]


def test_rows_of_categories_alone_are_not_odd_for_being_the_rarer_half(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(8)
    columns = {name: [f"v{k}" for k in rng.integers(0, 4, 400)] for name in "abcd"}
    columns["y"] = ["c0"] * 400
    assert len(found_by(datadiet, write(tmp_path / "in.csv", columns), *ONLY_OUTLIERS)) <= 8


def test_a_column_that_one_class_lacks_does_no_harm(tmp_path, datadiet: Cli):
    x, true = blobs(80, 2, seed=7)
    columns = columns_of(x, [f"c{k}" for k in true])
    columns["x0"] = [value if k else None for value, k in zip(columns["x0"], true, strict=True)]
    columns["x1"][4] = 1e6
    found = found_by(datadiet, write(tmp_path / "in.csv", columns), *ONLY_OUTLIERS, "--per-class", "--outliers", "mad")
    assert 4 in found
