"""Invalid rows of tables: what is missing or impossible, what is put in, and scaled, in every format."""

import contextlib
import datetime
import json

import numpy as np
import polars as pl
import pytest

from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.changed import with_cells
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.noise.rows import clean_rows

FORMATS = pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])


@pytest.fixture
def table(tmp_path):
    """Write columns as a table, or a text as a CSV; give it as a dataset."""

    def write(columns, suffix="csv", **reading):
        path = tmp_path / f"t.{suffix}"
        if isinstance(columns, str):
            path.write_text(columns)
        else:
            frame = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(columns, strict=False)
            {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](path)
        return open_dataset(str(path), Reading(**reading))

    return write


def clean(dataset, **settings):
    """What becomes of a table; always fit for a report."""
    rows = clean_rows(dataset, Denoise(**settings), Context())
    json.dumps([rows.metrics, rows.transform, rows.verdicts.evidence.tolist()], allow_nan=False)
    return rows


def said(rows):
    verdicts = rows.verdicts
    columns = (verdicts.sample.tolist(), verdicts.action, verdicts.reason, verdicts.detail)
    return [(sample, str(action), reason, detail) for sample, action, reason, detail in zip(*columns, strict=True)]


def written(dataset, rows, tmp_path):
    """The texts of the table with its changes, written and read again."""
    suffix = dataset.source.path.rpartition(".")[2]
    target = str(tmp_path / f"out.{suffix}")
    with_cells(dataset, rows.cells).source.write(dataset.rows, target, "copy")
    return open_dataset(target).source.file


PEOPLE = """age,sex,note
-5,male,a
30,female,b
121,x,c
abc,male,d
,female,e
40,,f
"""


@pytest.mark.parametrize("action", ["drop", "flag"])
def test_impossible_values(table, action):
    rows = clean(table(PEOPLE), ranges=["age=0..120"], allowed=["sex=male|female"], invalid_action=action)
    assert said(rows) == [
        (0, action, "impossible", "age is -5, outside 0..120"),
        (2, action, "impossible", "age is 121, outside 0..120; sex is 'x', not one of female|male"),
        (3, action, "impossible", "age is 'abc', no number"),
    ]
    assert rows.verdicts.evidence[1] == {"columns": {"age": "121", "sex": "x"}}
    assert rows.metrics["missing_cells"] == {"age": 1, "sex": 1}
    assert (rows.cells, rows.transform) == ({}, None)


def test_values_are_allowed_by_number_and_booleans_by_meaning(table, tmp_path):
    dataset = table({"n": ["1", "1.0", " 2", "3"], "b": [True, False, True, None]}, "parquet")
    rows = clean(dataset, allowed={"n": [1, 2], "b": [True]})
    assert [(sample, detail) for sample, _, _, detail in said(rows)] == [
        (1, "b is 'false', not one of True"),
        (3, "n is '3', not one of 1|2"),
    ]


def test_open_bounds_and_infinity(table):
    dataset = table("x\n1.5\ninf\n-inf\nNaN\n-0.5\n")
    assert [s for s, *_ in said(clean(dataset, ranges=["x=0.."], max_missing=1.0))] == [2, 4]
    assert [s for s, *_ in said(clean(dataset, ranges=["x=..3"], max_missing=1.0))] == [1]


def test_rules_may_speak_of_the_label_which_is_never_changed(table):
    dataset = table("x,y,split\n1,cat,train\n2,,train\n,dgo,train\n4,dog,test\n", label="y")
    rows = clean(
        dataset,
        allowed=["y=cat|dog"],
        missing="mode",
        columns=["x", "y"],
        standardise="zscore",
        max_missing=1.0,
    )
    assert [(sample, reason) for sample, _, reason, _ in said(rows)] == [(2, "impossible")]
    assert set(rows.cells) <= {"x"}


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"columns": ["aeg"]}, "--columns aeg"),
        ({"ranges": ["aeg=0..1"]}, "--ranges aeg"),
        ({"allowed": ["aeg=0|1"]}, "--allowed aeg"),
    ],
)
def test_a_column_that_is_not_there(table, settings, flag):
    with pytest.raises(InputError, match=f"{flag}: no such column; did you mean 'age'"):
        clean(table(PEOPLE), **settings)


def test_rows_with_too_little_in_them(table):
    dataset = table("a,b,c,d,split\n1,x,2,y,train\n1,,,,train\n,,,,train\n,x,2,y,train\n1,x,,,train\n,,,y,test\n")
    rows = clean(dataset)
    assert said(rows) == [
        (1, "drop", "too-empty", "3 of 4 cells are missing"),
        (2, "drop", "too-empty", "4 of 4 cells are missing"),
        (5, "flag", "too-empty", "3 of 4 cells are missing"),
    ]
    assert rows.verdicts.score.tolist() == [0.75, 1, 0.75]
    assert clean(dataset, max_missing=1.0).verdicts.sample.tolist() == []
    assert clean(dataset, max_missing=0.25).verdicts.sample.tolist() == [1, 2, 3, 5]


def test_sparse_columns_are_no_reason_and_get_nothing(table):
    dataset = table({"a": [1, 2, 3, None], "b": [None, None, 7, None], "c": [None] * 4, "d": [1, 1, 2, 5]})
    rows = clean(dataset, missing="drop")
    assert rows.metrics["sparse_columns"] == ["b", "c"]
    assert said(rows) == [(3, "drop", "missing", "no value in a")]
    rows = clean(dataset, missing="mean", standardise="minmax")
    assert (set(rows.cells), rows.cells["a"][3]) == ({"a", "d"}, "0.5")


def test_rows_that_are_empty_do_not_make_columns_sparse(table):
    rows = clean(table({"a": [1, None, None, None], "b": [2, None, None, None]}))
    assert rows.metrics["sparse_columns"] == []
    assert rows.verdicts.sample.tolist() == [1, 2, 3]


def test_words_for_missing_cells_count_among_numbers_and_dates_only(table):
    rows = clean(
        table("n,when,word\n1,2020-01-01,?\n?,n/a,NA\nNA,2020-01-01,none\n?,2020-01-03,x\n5,2021-01-01,x\n"),
        missing="mode",
        max_missing=1.0,
    )
    assert rows.metrics["missing_words"] == {"n": {"?": 2, "NA": 1}, "when": {"n/a": 1}}
    assert rows.metrics["missing_cells"] == {"n": 3, "when": 1}
    # No number occurs twice, so that none is usual.
    assert rows.cells == {"n": {1: "3", 2: "3", 3: "3"}, "when": {1: "2020-01-01"}}
    assert rows.metrics["imputed"]["n"] == {"by": "median", "value": 3.0, "cells": 3}


NUMBERS = {"age": [31, None, 34, 36], "alcohol": [13.0, 12.5, None, 13.12], "colour": ["red", "red", "white", None]}


@FORMATS
@pytest.mark.parametrize(
    ("by", "age", "alcohol"), [("median", "34", "13.0"), ("mean", "34", "12.87"), ("mode", "34", "13.0")]
)
def test_values_are_put_in_as_the_column_writes_them(table, tmp_path, suffix, by, age, alcohol):
    dataset = table(NUMBERS, suffix)
    rows = clean(dataset, missing=by)
    assert rows.cells == {"age": {1: age}, "alcohol": {2: alcohol}, "colour": {3: "red"}}
    done = written(dataset, rows, tmp_path)
    assert done.typed().dtypes == dataset.source.file.typed().dtypes
    assert done.texts().rows()[1:] == [(age, "12.5", "red"), ("34", alcohol, "white"), ("36", "13.12", "red")]
    assert rows.verdicts.evidence[1] == {"columns": {"alcohol": alcohol}, "by": rows.metrics["imputed"]["age"]["by"]}
    assert said(rows)[0][1:3] == ("impute", "missing")


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        (["1.50", "2.25", ""], "1.88"),  # halves to the even digit: 1.875
        (["1.50", "3.50", ""], "2.50"),
        (["1.0", "2.0", "4.0", ""], "2.0"),
        (["1.0", "4.0", ""], "2.0"),  # 2.5, but these are whole numbers
        (["1", "4", ""], "2"),
        (["0.1", "0.2", "0.33333", ""], "0.2"),
        (["1e-7", "3e-7", ""], "2e-07"),
        (["-0.2", "-0.1", ""], "-0.2"),  # -0.15, which is a little more than that to a float
        (["1e300", "1.7e308", "1.7e308", ""], "1.7e+308"),
    ],
)
def test_decimals(table, cells, value):
    rows = clean(table("x,y\n" + "".join(f"{cell},1\n" for cell in cells)), missing="median", max_missing=1.0)
    assert rows.cells["x"][len(cells) - 1] == value


def test_a_decimal_comma_is_text(table):
    dataset = table("x;y\n1,5;1\n1,5;1\n;1\n2,5;1\n")
    assert clean(dataset, missing="mean").cells == {"x": {2: "1,5"}}
    assert clean(dataset, standardise="zscore").cells == {"y": dict.fromkeys(range(4), "0.0")}


def test_texts_of_which_none_is_usual_stay_missing(table):
    rows = clean(table({"name": ["a", "b", None], "n": [1, 2, 3]}), missing="mode")
    assert (rows.cells, rows.transform) == ({}, None)
    assert rows.metrics["not_imputed"] == {"name": "no value occurs twice"}


def test_neighbours_tell_numbers_and_categories(table):
    near, far = ["a"] * 6, ["b"] * 6
    columns = {"x": [0] * 6 + [9] * 6, "kind": [*near[:5], None, *far], "y": [1.0] * 6 + [5.0] * 5 + [None]}
    rows = clean(table(columns), missing="knn")
    assert rows.cells == {"kind": {5: "a"}, "y": {11: "5.0"}}
    assert rows.verdicts.evidence.tolist() == [
        {"columns": {"kind": "a"}, "by": "knn"},
        {"columns": {"y": "5.0"}, "by": "knn"},
    ]
    assert rows.transform["impute"]["y"] == {"kind": "number", "by": "knn", "value": 1.0, "otherwise": "median"}


def test_a_row_without_neighbours_gets_what_is_usual(table):
    dataset = table({"a": [1, 2, 3, None], "b": [1, 2, 3, None]})
    rows = clean(dataset, missing="knn", max_missing=1.0)
    assert rows.cells == {"a": {3: "2"}, "b": {3: "2"}}
    assert rows.verdicts.evidence[0]["by"] == "median"


@pytest.mark.parametrize("by", ["median", "mean", "mode", "knn"])
@pytest.mark.parametrize("kind", ["zscore", "minmax", "robust"])
def test_evaluation_rows_and_impossible_values_teach_nothing(table, by, kind):
    head = "x,y,split\n1,0.1,train\n2,0.2,train\n2,0.4,train\n4,0.2,train\n,0.2,train\n,0.3,test\n"
    some = clean(table(head), missing=by, standardise=kind, ranges=["x=0..10"])
    more = clean(
        table(head + "1000,0.3,train\n9,77,test\n9,77,test\n"), missing=by, standardise=kind, ranges=["x=0..10"]
    )
    assert more.transform == some.transform
    assert {name: {row: texts[row] for row in range(6)} for name, texts in more.cells.items()} == some.cells
    flagged = clean(table(head + "1000,,train\n"), missing=by, ranges=["x=0..10"], invalid_action="flag")
    assert flagged.cells["x"] == clean(table(head), missing=by).cells["x"]


def test_missing_rows_go_or_are_flagged(table):
    rows = clean(table("x,y,split\n1,1,train\n,1,train\n2,1,test\n,1,test\n"), missing="drop")
    assert said(rows) == [(1, "drop", "missing", "no value in x"), (3, "flag", "missing", "no value in x")]
    assert rows.verdicts.evidence[0] == {"columns": {"x": None}}


@FORMATS
@pytest.mark.parametrize("kind", ["zscore", "minmax", "robust"])
def test_scales(table, tmp_path, suffix, kind):
    rng = np.random.default_rng(0)
    columns = {
        "x": rng.normal(5, 3, 50),
        "wild": rng.gamma(1, 1e6, 50),
        "flat": [0.1] * 50,
        "code": [0, 1] * 25,
        "on": [True, False] * 25,
        "word": ["a", "b"] * 25,
        "split": ["train"] * 40 + ["test"] * 10,
    }
    dataset = table(columns, suffix)
    rows = clean(dataset, standardise=kind)
    assert list(rows.cells) == ["x", "wild", "flat"]
    done = written(dataset, rows, tmp_path).typed()
    learn = done["x"].to_numpy()[:40]
    quantiles = np.quantile(learn, [0, 0.25, 0.5, 0.75, 1])
    expected, got = {
        "zscore": ([0, 1], [learn.mean(), learn.std()]),
        "minmax": ([0, 1], [quantiles[0], quantiles[4]]),
        "robust": ([0, 1], [quantiles[2], quantiles[3] - quantiles[1]]),
    }[kind]
    assert got == pytest.approx(expected, abs=1e-9)
    assert set(done["flat"].to_list()) == {0.0}
    scale = rows.transform["scale"]["columns"]["wild"]
    again = (columns["wild"] - scale["centre"]) / scale["scale"]
    np.testing.assert_allclose(done["wild"].to_numpy(), again, rtol=1e-9)
    assert max(len(text.lstrip("-").replace(".", "").lstrip("0")) for text in rows.cells["x"].values()) <= 10


def test_values_are_put_in_before_they_are_scaled(table):
    rows = clean(table("x,y\n1,1\n2,1\n3,1\n,1\n"), missing="mean", standardise="minmax")
    assert rows.cells["x"] == {0: "0.0", 1: "0.5", 2: "1.0", 3: "0.5"}
    assert rows.verdicts.evidence[0] == {"columns": {"x": "2"}, "by": "mean"}
    assert rows.transform["impute"] == {"x": {"kind": "number", "by": "mean", "value": 2.0}}
    scaled = clean(table("x,y\n1,1\n2,1\n3,1\n,1\n"), standardise="minmax")
    assert scaled.cells["x"] == {0: "0.0", 1: "0.5", 2: "1.0"}


def test_scaling_alone_looks_for_nothing(table):
    rows = clean(table("x,y\n1,1\n2,1\n9,1\n,\n"), invalid="none", standardise="minmax", ranges=["x=0..5"])
    assert len(rows.verdicts) == 0
    assert rows.cells["x"] == {0: "0.0", 1: "0.125", 2: "1.0"}
    assert clean(table("x\n1\n\n"), invalid="none").metrics == {}


def test_infinity_stays(table):
    for text in ("x\n1.5\ninf\n2.5\n-inf\n", "x\n1\nInfinity\n3\n2\n"):
        assert set(clean(table(text), standardise="minmax").cells["x"].values()) <= {"0.0", "0.5", "1.0"}


def test_identifiers_beyond_exact_numbers_are_no_numbers(table):
    big = 2**53 + 1
    dataset = table({"id": [big, big + 1, big + 1, None], "n": [1, 2, 4, 5]})
    assert clean(dataset, missing="mean").cells == {"id": {3: str(big + 1)}}
    assert list(clean(dataset, standardise="zscore").cells) == ["n"]


def test_whole_numbers_of_parquet_cannot_be_scaled_in_place_and_say_so(table, tmp_path):
    """Or else they can, and are read back as scaled; never lost halfway."""
    dataset = table({"n": [1, 2, 4, 5], "d": [1.5, 2.5, 3.5, 4.5]}, "parquet")
    try:
        rows = clean(dataset, standardise="zscore")
    except ConfigError as error:
        assert "column 'n' holds Int64, which cannot hold numbers such as -1.264911064" in str(error)  # noqa: PT017
    else:
        assert written(dataset, rows, tmp_path).typed()["n"].to_list() == pytest.approx(
            [-1.264911064, -0.632455532, 0.632455532, 1.264911064]
        )


def test_constant_and_duplicate_columns(table):
    rows = clean(
        table(
            {
                "a": [1, 2, None, 4],
                "b": ["1.0", "2.00", None, "4"],
                "c": ["x", None, "x", "x"],
                "d": [4, 2, None, 1],
                "e": ["p", "q", "r", "q"],
                "f": ["p", "q", "r", "q"],
                "g": [None] * 4,
                "h": [None] * 4,
            }
        )
    )
    assert rows.metrics["constant_columns"] == ["c"]
    assert rows.metrics["duplicate_columns"] == {"b": "a", "f": "e"}
    assert rows.metrics["sparse_columns"] == ["g", "h"]


ODD = {
    "one row": {"a": [1], "b": ["x"]},
    "one row with a gap": {"a": [None], "b": ["x"]},
    "only gaps": {"a": [None, None], "b": [None, None]},
    "no rows": pl.DataFrame(schema={"a": pl.Int64, "b": pl.String}),
    "the same": {"a": [3.0] * 60, "b": ["x"] * 59 + [None]},
    "wild": {"a": [1e308, -1e308, None, float("inf"), float("nan")], "b": [1, 2, 3, 4, None]},
    "huge": {"a": [2**63 - 1, -(2**63), None, 1], "b": [1, 2, None, 4]},
    "nan": {"a": [float("nan")] * 3, "b": [1.0, float("nan"), 2.0]},
    "booleans": {"a": [True, None, True, False], "b": [False, False, None, None]},
    "dates": {"a": [datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 1)], "b": [1, 2, 3]},
    "times": {"a": [datetime.datetime(2020, 1, 1, 3), None, datetime.datetime(2020, 1, 1, 3)], "b": [1, 2, 3]},
    "words": {"a": ["x", "", "  ", "x", None], "b": ["?"] * 5},
}
NESTED = {
    "lists": {"a": [[1, 2], None, [1, 2]], "b": [1, 2, 3]},
    "spans": {"a": [datetime.timedelta(1), None, datetime.timedelta(1)], "b": [1, 2, 3]},
    "hours": {"a": [datetime.time(1), None, datetime.time(1)], "b": [1, 2, 3]},
    "bytes": {"a": [b"\xff", None, b"\xff"], "b": [1, 2, 3]},
    "decimals": pl.DataFrame({"a": ["1.50", None, "2.25"], "b": [1, 2, 3]}).with_columns(
        pl.col("a").cast(pl.Decimal(10, 2))
    ),
    "enums": {"a": pl.Series(["x", None, "x"], dtype=pl.Enum(["x", "y"])), "b": [1, 2, 3]},
    "nothing": {"a": pl.Series([None, None], dtype=pl.Null), "b": [1, 2]},
}
CASES = [(name, suffix) for name in ODD for suffix in ("csv", "jsonl", "parquet")]
CASES.remove(("no rows", "jsonl"))  # without a record there is no column


@pytest.mark.parametrize("missing", ["keep", "drop", "median", "mean", "mode", "knn"])
@pytest.mark.parametrize(("name", "suffix"), [*CASES, *((name, "parquet") for name in NESTED)])
def test_odd_tables(table, tmp_path, name, suffix, missing):
    dataset = table((ODD | NESTED)[name], suffix)
    for share in (0.5, 1.0):
        settings = {"missing": missing, "max_missing": share, "invalid_action": "flag"}
        rows = clean(dataset, **settings)
        # A range for a column of words is refused.
        with contextlib.suppress(ConfigError):
            rows = clean(dataset, ranges=["b=0..1e9"], **settings)
        file = dataset.source.file
        done = written(dataset, rows, tmp_path)
        assert done.records == file.records
        if suffix != "jsonl":
            assert done.typed().dtypes == file.typed().dtypes
        changed = {(column, row) for column, texts in rows.cells.items() for row in texts}
        before, after = file.texts(), done.texts()
        for column in dataset.source.file.columns:
            for row, (old, new) in enumerate(zip(before[column], after[column], strict=True)):
                assert old == new or ((column, row) in changed and new is not None)
        (tmp_path / f"out.{suffix}").unlink()


@pytest.mark.parametrize("kind", ["zscore", "minmax", "robust"])
@pytest.mark.parametrize(("name", "suffix"), [case for case in CASES if case[1] == "csv"])
def test_odd_tables_are_scaled(table, name, suffix, kind):
    rows = clean(table(ODD[name], suffix), standardise=kind, missing="median", max_missing=1.0, invalid_action="flag")
    for texts in rows.cells.values():
        for text in texts.values():
            try:
                assert np.isfinite(float(text))
            except ValueError:
                assert text in ("true", "false", "x") or text.startswith("2020-01-01")


def test_no_columns_are_left(table):
    rows = clean(table("split\ntrain\ntest\n"), missing="knn", standardise="zscore")
    assert len(rows.verdicts) == 0
    assert (rows.cells, rows.transform) == ({}, None)


def test_rows_in_another_order_get_the_same(table):
    rng = np.random.default_rng(9)
    frame = pl.DataFrame({name: rng.normal(size=40).round(3) for name in "abc"})
    frame = frame.with_columns(pl.when(pl.int_range(40) % 7 != i).then(pl.col(name)) for i, name in enumerate("abc"))
    frame = frame.with_columns(pl.Series("k", rng.integers(0, 3, 40)).cast(pl.String))
    order = rng.permutation(40)
    one = clean(table(frame), missing="knn", standardise="robust")
    other = clean(table(frame[order]), missing="knn", standardise="robust")
    assert one.transform == other.transform
    for name, texts in one.cells.items():
        assert [texts.get(row) for row in order.tolist()] == [other.cells[name].get(place) for place in range(40)]


def test_only_the_rows_that_are_left_count(table):
    dataset = table("x,y\n1,1\n2,1\n100,1\n,1\n")
    rows = clean(dataset.without(np.array([2])), missing="mean")
    assert rows.cells == {"x": {3: "2"}}
