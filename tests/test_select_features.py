"""`datadiet select-features` from the command line: which columns stay, what is told of each, and what is written."""

import csv
import json
from typing import get_args

import numpy as np
import polars as pl
import pytest

from datadiet_cli.config.select_features import FeatureMethod
from tests.conftest import Cli, report, table, tree_digest

METHODS = get_args(FeatureMethod)
NEW = {"pca": "pca", "lda": "lda", "random-projection": "rp"}
FREE = {"constant", "missing", "variance", "collinearity", "pca", "random-projection"}
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


@pytest.fixture
def things(tmp_path):
    return table(tmp_path / "in.csv", HEADER, records())


def flags(*more):
    return ["--label", "kind", "--split", "part", "--id-column", "id", *more]


def header(path):
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def verdicts(out):
    return {verdict["column"]: verdict for verdict in report(out)["columns"]}


def dropped(out):
    return {name for name, verdict in verdicts(out).items() if verdict["action"] == "drop"}


def options(method):
    """What makes a quick test of a method."""
    return ["--method", method, "--keep", "auto" if method in ("constant", "missing", "collinearity") else "3"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_something_of_every_column(things, tmp_path, datadiet: Cli, method):
    """All columns have a verdict that is what happened; shuffled rows and columns change nothing."""
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *flags(*options(method)))
    assert ran.code == 0, ran.err
    told = verdicts(out)
    assert set(HEADER) <= told.keys()
    made = [name for name, verdict in told.items() if verdict["action"] == "make"]
    kept = [name for name in HEADER if told[name]["action"] == "keep"]
    assert header(out) == kept + made
    assert {"id", "kind", "part", "note"} <= set(kept)
    assert told["flat"]["reason"] == "constant"
    assert told["flat"]["action"] == "drop"
    assert (told["kind"]["reason"], told["id"]["reason"], told["note"]["reason"]) == ("label", "id", "left-alone")
    assert [name.partition("_")[0] for name in made] == [NEW[method]] * len(made) if method in NEW else made == []
    step = report(out)["steps"][-1]["metrics"]
    assert step["method"] == method
    assert step["units_after"] == (len(made) or sum(told[name]["rank"] is not None for name in kept))

    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(120), rng.permutation(len(HEADER)).tolist()
    before = records()
    shuffled = table(
        tmp_path / "other.csv", [HEADER[j] for j in columns], [[before[i][j] for j in columns] for i in rows]
    )
    again = tmp_path / "again.csv"
    assert datadiet("select-features", shuffled, again, *flags(*options(method))).code == 0
    if method not in NEW:
        assert dropped(again) == dropped(out)
        assert sorted(zip(*read(again).values(), strict=True)) == sorted(
            zip(*(read(out)[name] for name in read(again)), strict=True)
        )


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in header(path)}


@pytest.mark.parametrize("method", sorted(set(METHODS) - FREE))
def test_what_tells_the_class_is_ranked_first(things, tmp_path, datadiet: Cli, method):
    if method == "lda":
        return
    out = tmp_path / "out.csv"
    assert datadiet("select-features", things, out, *flags("--method", method, "--keep", "2")).code == 0
    told = verdicts(out)
    first = [name for name, verdict in told.items() if verdict["rank"] in (1, 2)]
    assert set(first) <= {"size", "size again", "weight", "colour"}
    assert [name for name in HEADER if told[name]["action"] == "keep" and told[name]["rank"]] == sorted(
        first, key=HEADER.index
    )


def test_rules(things, tmp_path, datadiet: Cli):
    """Each rule drops what it is for, and says by which figure and beside which column."""
    assert datadiet("select-features", things, tmp_path / "m.csv", *flags("--method", "missing")).code == 0
    assert dropped(tmp_path / "m.csv") == {"gappy", "flat"}
    assert datadiet("select-features", things, tmp_path / "c.csv", *flags("--method", "collinearity")).code == 0
    told = verdicts(tmp_path / "c.csv")
    (gone,) = dropped(tmp_path / "c.csv") - {"flat"}
    (stays,) = {"size", "size again"} - {gone}
    assert told[gone]["witness"] == stays
    assert told[gone]["score"] <= told[gone]["threshold"] == 0.05
    assert datadiet("select-features", things, tmp_path / "k.csv", *flags("--method", "constant")).code == 0
    assert dropped(tmp_path / "k.csv") == {"flat"}
    ran = datadiet("select-features", things, tmp_path / "v.csv", *flags("--method", "variance", "--min-variance", "4"))
    assert ran.code == 0
    assert {"size", "weight", "noise"} <= dropped(tmp_path / "v.csv")
    assert "luck" not in dropped(tmp_path / "v.csv")


def test_only_training_rows_are_learned_from(tmp_path, datadiet: Cli):
    """Test rows in which luck says the class, and the size nothing, change no decision."""
    rows = records()
    first = table(tmp_path / "a.csv", HEADER, rows)
    assert (
        datadiet("select-features", first, tmp_path / "one.csv", *flags("--method", "anova", "--keep", "3")).code == 0
    )
    for row in rows[100:]:
        row[1], row[5], row[9] = "1e6", "-900" if row[11] == "big" else "900", "other"
    second = table(tmp_path / "b.csv", HEADER, rows)
    assert (
        datadiet("select-features", second, tmp_path / "two.csv", *flags("--method", "anova", "--keep", "3")).code == 0
    )
    assert report(tmp_path / "one.csv")["columns"] == report(tmp_path / "two.csv")["columns"]


def test_auto_keeps_few_and_says_what_it_costs(things, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    assert datadiet("select-features", things, out, *flags("--method", "anova", "--max-accuracy-drop", "5%")).code == 0
    step = report(out)["steps"][-1]["metrics"]
    assert 1 <= step["units_after"] <= 4
    assert len(step["auto"]["table"]) >= 1
    assert step["kept"][0] in ("size", "size again")
    low, high = step["auto"]["interval"]
    assert low <= step["auto"]["all"] <= high


@pytest.mark.parametrize("keep", ["1", "30%", "100%", "50"])
def test_how_many(things, tmp_path, datadiet: Cli, keep):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *flags("--method", "anova", "--keep", keep))
    assert ran.code == 0
    step = report(out)["steps"][-1]["metrics"]
    assert (step["units_before"], step["units_after"]) == (8, {"1": 1, "30%": 3, "100%": 8, "50": 8}[keep])
    assert ("there are only 8" in ran.err) == (keep == "50")


def test_columns_that_are_named(things, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *flags("--method", "anova", "--keep", "1", "--columns", "size",
                   "--columns", "noise", "--columns", "luck", "--always-keep", "luck"))  # fmt: skip
    assert ran.code == 0
    assert dropped(out) == {"size", "noise"}
    told = verdicts(out)
    assert told["luck"]["reason"] == "always-keep"
    assert told["town"]["reason"] == "not-asked"


def test_stability(things, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *flags("--method", "anova", "--keep", "3", "--stability", "10"))
    assert ran.code == 0
    told = verdicts(out)
    assert told["size"]["frequency"] == 1
    assert 0 <= told["noise"]["frequency"] < 1


def test_numbers_to_predict(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 4))
    y = 3 * x[:, 2] + rng.normal(size=80) / 10
    source = table(tmp_path / "in.csv", ["a", "b", "c", "d", "y"], np.column_stack([x, y]).round(5).tolist())
    out = tmp_path / "out.csv"
    assert datadiet("select-features", source, out, "--label", "y", "--method", "pearson", "--keep", "1").code == 0
    assert header(out) == ["c", "y"]
    assert report(out)["steps"][-1]["metrics"]["task"] == "regression"
    ran = datadiet("select-features", source, tmp_path / "no.csv", "--label", "y", "--method", "lda")
    assert ran.code == 2
    assert ran.complaint.startswith("select-features: method lda:")


@pytest.mark.parametrize("method", sorted(FREE))
def test_without_labels(things, tmp_path, datadiet: Cli, method):
    ran = datadiet("select-features", things, tmp_path / "out.csv", "--method", method)
    assert ran.code == 0
    assert "kind" not in dropped(tmp_path / "out.csv") or method in NEW


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "anova"], "needs labels"),
        (["--columns", "weigth", "--label", "kind"], "did you mean 'weight'"),
        (["--columns", "kind", "--label", "kind"], "label, split and id"),
        (["--always-keep", "nothing", "--label", "kind"], "--always-keep nothing: no such column"),
        (["--method", "best"], "--method"),
        (["--keep", "0"], "--keep"),
    ],
)
def test_one_line_for_what_cannot_be(things, tmp_path, datadiet: Cli, more, words):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *more)
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[i % 7, "same"] for i in range(30)], "all labelled training samples have the same class"),
        ([[i % 7, 5] for i in range(30)], "all labelled training samples have the same class"),
        ([[i % 7, f"name {i}"] for i in range(30)], "30 classes among 30 labelled training samples"),
        ([[i % 7, "ab"[i] if i < 2 else ""] for i in range(30)], "2 labelled training samples"),
        ([[i % 7, ""] for i in range(30)], "has none; --label names their column; without labels there are"),
        ([], "0 training samples"),
    ],
)
def test_labels_that_teach_nothing(tmp_path, datadiet: Cli, rows, words):
    source = table(tmp_path / "in.csv", ["a", "y"], rows)
    ran = datadiet("select-features", source, tmp_path / "out.csv", "--label", "y")
    assert ran.code == 2
    assert words in ran.complaint
    if rows:
        assert datadiet("select-features", source, tmp_path / "v.csv", "--label", "y", "--method", "variance").code == 0


def test_too_few_rows(tmp_path, datadiet: Cli):
    few = table(tmp_path / "few.csv", ["a", "y"], [[1, "x"], [2, "y"]])
    assert "at least 3" in datadiet("select-features", few, tmp_path / "out.csv", "--label", "y").complaint


def test_never_all_columns_go(tmp_path, datadiet: Cli):
    flat = table(tmp_path / "flat.csv", ["a", "b", "y"], [["1", "same", "xy"[i % 2]] for i in range(30)])
    ran = datadiet("select-features", flat, tmp_path / "out.csv", "--label", "y", "--method", "anova")
    assert ran.code == 0
    assert "nothing was dropped" in ran.err
    assert (tmp_path / "out.csv").read_bytes() == flat.read_bytes()
    rows = [[i % 7, (i * 5) % 11, "xy"[i % 2]] for i in range(60)]
    still = table(tmp_path / "still.csv", ["a", "b", "y"], rows)
    ran = datadiet("select-features", still, tmp_path / "v.csv", "--label", "y", "--method", "variance",
                   "--min-variance", "1000")  # fmt: skip
    assert ran.code == 0
    assert len(header(tmp_path / "v.csv")) == 2


def test_hostile_names_and_cells(tmp_path, datadiet: Cli):
    names = ['a,"b', "pca_1", "e\nf", " ", "<b>[red]", "ключ"]
    rng = np.random.default_rng(0)
    rows = [[*(f"{v:.3f}" for v in rng.normal(size=6)), "xy"[i % 2]] for i in range(40)]
    rows[3][0], rows[4][1], rows[5][2] = "nan", "inf", ""
    source = table(tmp_path / "in.csv", [*names, "y"], rows)
    for method in ("anova", "pca"):
        out = tmp_path / f"{method}.csv"
        assert datadiet("select-features", source, out, "--label", "y", "--method", method, "--keep", "2").code == 0
        assert set(verdicts(out)) >= {*names, "y"}
    made = [name for name, verdict in verdicts(tmp_path / "pca.csv").items() if verdict["action"] == "make"]
    assert made == ["pca2_1", "pca2_2"]


def test_components_are_numbers_for_every_row(things, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    assert (
        datadiet("select-features", things, out, *flags("--method", "pca", "--keep", "3", "--always-keep", "town")).code
        == 0
    )
    frame = pl.read_csv(out)
    assert frame.columns == ["id", "town", "note", "kind", "part", "pca_1", "pca_2", "pca_3"]
    x = frame.select("pca_1", "pca_2", "pca_3").to_numpy()
    assert np.isfinite(x).all()
    train = x[:100]
    assert abs(train.mean(axis=0)).max() < 1e-6
    covariance = np.cov(train.T)
    assert abs(covariance - np.diag(np.diag(covariance))).max() < 1e-6
    assert np.diag(covariance)[0] >= np.diag(covariance)[2]


@pytest.fixture
def photos(tmp_path):
    """Two classes that are told apart by where the picture is bright; one file is damaged."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(24):
        cells = rng.integers(0, 120, (16, 16, 3)).astype(np.uint8)
        cells[:, (0 if i % 2 else 8) : (8 if i % 2 else 16)] += 120
        path = tmp_path / "in" / ("train" if i < 18 else "test") / ("left" if i % 2 else "right") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cells).resize((64, 64)).save(path)
    (tmp_path / "in/train/left/01.png").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.mark.parametrize("method", ["anova", "pca"])
def test_dimensions_of_pictures(photos, tmp_path, datadiet: Cli, method):
    """OUTPUT is a plain copy; the numbers stand beside it."""
    out = tmp_path / "out"
    ran = datadiet("select-features", photos, out, "--method", method, "--keep", "5")
    assert ran.code == 3
    assert "01.png" in ran.err
    assert {p.relative_to(out) for p in out.rglob("*")} == {p.relative_to(photos) for p in photos.rglob("*")}
    frame = pl.read_parquet(f"{out}.features.parquet")
    assert frame.columns[:3] == ["id", "label", "split"]
    assert len(frame.columns) == 8
    assert frame["id"].to_list() == sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*.png"))
    assert frame.null_count()[frame.columns[-1]].to_list() == [1]
    assert set(frame["label"]) == {"left", "right"}
    assert set(frame["split"]) == {"train", "test"}
    told = verdicts(out)
    kept = [name for name, verdict in told.items() if verdict["action"] != "drop"]
    assert sorted(kept) == sorted(frame.columns[3:])
    assert all(name.startswith("image[" if method == "anova" else "pca_") for name in kept)
    if method == "anova":
        x, y = frame.drop_nulls()[:, 3].to_numpy(), frame.drop_nulls()["label"].to_numpy()
        assert abs(x[y == "left"].mean() - x[y == "right"].mean()) > x[y == "left"].std()


def test_a_table_of_texts_is_about_their_vectors(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(3)
    words = [["goal", "match", "team", "league"], ["court", "judge", "law", "verdict"]]
    rows = [[" ".join(rng.choice([*words[i % 2], "the", "of", "a", "was"], 9)), "sc"[i % 2]] for i in range(60)]
    source = table(tmp_path / "in.csv", ["text", "topic"], rows)
    out = tmp_path / "out.csv"
    assert datadiet("select-features", source, out, "--label", "topic", "--method", "anova", "--keep", "4").code == 0
    assert out.read_bytes() == source.read_bytes()
    frame = pl.read_parquet(f"{out}.features.parquet")
    assert len(frame.columns) == 7
    assert all(name.startswith("text[") for name in frame.columns[3:])
    assert verdicts(out)["text"]["reason"] == "left-alone"


def test_a_folder_has_no_columns(photos, tmp_path, datadiet: Cli):
    for flag in ("--columns", "--always-keep"):
        ran = datadiet("select-features", photos, tmp_path / "out", flag, "size")
        assert ran.code == 2
        assert f"{flag} needs a table" in ran.complaint


def test_settings_without_effect_are_named(things, tmp_path, datadiet: Cli):
    ran = datadiet("select-features", things, tmp_path / "o.csv", *flags("--method", "anova", "--keep", "3", "--folds",
                   "3", "--budget", "5"))  # fmt: skip
    assert ran.code == 0
    assert "budget, folds have no effect on method anova" in ran.err


def test_input_stays_as_it_is_and_a_dry_run_writes_nothing(things, tmp_path, datadiet: Cli):
    before = tree_digest(tmp_path)
    assert datadiet("select-features", things, "--dry-run", *flags("--method", "pca", "--keep", "2")).code == 0
    assert tree_digest(tmp_path) == before


def test_the_transform_says_what_was_done(things, tmp_path, datadiet: Cli):
    out = tmp_path / "out.csv"
    assert datadiet("select-features", things, out, *flags("--method", "anova", "--keep", "2")).code == 0
    document = json.loads((tmp_path / "out.csv.transform.json").read_bytes())
    (step,) = document["steps"]
    assert step["step"] == "select-features"
    assert set(step["dropped"]) == dropped(out)
    assert set(step["kept"]) | set(step["dropped"]) | {"id", "kind", "part"} == set(HEADER)
