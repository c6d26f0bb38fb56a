"""`datadiet select-features` from the command line: which columns stay, what is told of each, and what is written."""

import json
from typing import get_args

import numpy as np
import polars as pl
import pytest

from datadiet_cli.config.select_features import FeatureMethod
from datadiet_cli.methods.selection import boruta, permutation
from tests.columns import HEADER, NEW, dropped, flags, header, read, records, verdicts
from tests.conftest import Cli, report, table, tree_digest

METHODS = get_args(FeatureMethod)
FREE = {"constant", "missing", "variance", "collinearity", "pca", "random-projection"}


@pytest.fixture
def things(tmp_path):
    return table(tmp_path / "in.csv", HEADER, records())


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    """How good a method is has tests of its own."""
    monkeypatch.setattr(boruta, "ROUNDS", 25)
    monkeypatch.setattr(boruta, "TREES", 8)
    monkeypatch.setattr(permutation, "TREES", 60)


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


@pytest.mark.parametrize("copy", ["size", "size again"])
def test_of_copies_the_one_stays_that_has_to(things, tmp_path, datadiet: Cli, copy):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *flags("--method", "collinearity", "--always-keep", copy))
    assert ran.code == 0
    told = verdicts(out)
    (other,) = {"size", "size again"} - {copy}
    assert told[copy]["action"] == "keep"
    assert (told[other]["action"], told[other]["witness"]) == ("drop", copy)


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
