"""Parquet: dtypes, values and metadata survive."""

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from datadiet_cli.data.tables import open_table
from datadiet_cli.errors import InputError, OutputError

FRAME = pl.DataFrame(
    {
        "int": pl.Series([1, None, 3], dtype=pl.UInt8),
        "float": [0.5, float("nan"), None],
        "text": ["007", None, "é"],
        "flag": [True, None, False],
        "list": [[1, 2], None, []],
        "struct": [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 2, "b": "é"}],
        "bytes": [b"\xff\x00", None, b"a"],
        "money": pl.Series([Decimal("1.10"), None, Decimal("2.00")], dtype=pl.Decimal(10, 2)),
        "when": pl.Series([datetime(2024, 1, 2, 3, 4, 5, 6), None, None], dtype=pl.Datetime("ns", "Europe/Berlin")),
        "naive": [datetime(2024, 1, 2, 3, 4, 5, 6), None, None],
        "day": [date(2024, 1, 2), None, None],
        "time": [time(1, 2, 3), None, None],
        "span": [timedelta(hours=1), None, None],
        "kind": pl.Series(["a", None, "b"], dtype=pl.Categorical),
        "enum": pl.Series(["u", None, "v"], dtype=pl.Enum(["v", "u"])),
        "blobs": [[b"\xff"], None, []],
        "vector": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int16, 2)),
        "nothing": pl.Series([None, None, None], dtype=pl.Null),
    }
)
METADATA = {"huggingface": '{"info": {"features": {}}}', "note": "é"}


@pytest.fixture
def path(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet", metadata=METADATA)
    return tmp_path / "t.parquet"


def test_every_dtype_and_the_metadata_survive(path, tmp_path):
    file = open_table(path)
    assert (file.columns, file.records) == (tuple(FRAME.columns), 3)
    assert_frame_equal(file.typed(), FRAME, categorical_as_str=True)
    target = tmp_path / "out"
    assert file.write(np.array([0, 2]), str(target)) == target.stat().st_size
    assert_frame_equal(pl.read_parquet(target), FRAME[[0, 2]], categorical_as_str=True)
    found = pl.read_parquet_metadata(target)
    assert {key: found[key] for key in METADATA} == METADATA


def test_all_kept_is_the_same_file(path, tmp_path):
    file = open_table(path)
    target = tmp_path / "out"
    assert file.write(np.arange(3), str(target)) == path.stat().st_size
    assert target.read_bytes() == path.read_bytes()
    with pytest.raises(FileExistsError):
        file.write(np.arange(3), str(target))


def test_none_kept_is_an_empty_table(path, tmp_path):
    open_table(path).write(np.empty(0, dtype=np.int64), str(tmp_path / "out.parquet"))
    file = open_table(tmp_path / "out.parquet")
    assert (file.columns, file.records) == (tuple(FRAME.columns), 0)
    assert file.texts().height == len(file.keys()) == len(file.record_bytes()) == 0


def test_edits_are_given_as_text_and_become_the_column_s_type(path, tmp_path):
    new = {
        "int": {0: "200", 2: None},
        "float": {1: "1e3"},
        "text": {1: "new"},
        "flag": {1: "true"},
        "day": {1: "2025-12-31"},
        "naive": {1: "2025-12-31T23:59:59.5"},
        "kind": {1: "c"},
        "enum": {1: "v"},
    }
    file = open_table(path)
    file.write(np.array([0, 1, 2]), str(tmp_path / "out"), new)
    after = pl.read_parquet(tmp_path / "out")
    assert after.schema == FRAME.schema
    assert after["int"].to_list() == [200, None, None]
    expected = (1e3, "new", True, date(2025, 12, 31), datetime(2025, 12, 31, 23, 59, 59, 500_000), "c", "v")
    assert after.select(list(new)[1:]).row(1) == expected
    others = [name for name in FRAME.columns if name not in new]
    assert_frame_equal(after.select(others), FRAME.select(others), categorical_as_str=True)


@pytest.mark.parametrize(
    ("column", "text"),
    [("int", "300"), ("int", "x"), ("flag", "maybe"), ("enum", "w"), ("list", "[1]"), ("day", "x")],
)
def test_an_edit_that_is_no_value_of_the_column_is_refused(path, tmp_path, column, text):
    with pytest.raises(OutputError, match=f"column '{column}' holds .*{re.escape(text)}"):
        open_table(path).write(np.arange(3), str(tmp_path / "out"), {column: {0: text}})
    assert not (tmp_path / "out").exists()


def test_texts(path):
    texts = open_table(path).texts()
    assert set(texts.dtypes) == {pl.String}
    row = dict(zip(texts.columns, texts.row(0), strict=True))
    assert (row["int"], row["text"], row["money"], row["list"]) == ("1", "007", "1.10", "[1,2]")
    assert (row["struct"], row["bytes"], row["vector"]) == ('{"a":1,"b":"x"}', "ff00", "[1,2]")
    assert (row["kind"], row["day"], row["flag"]) == ("a", "2024-01-02", "true")
    assert texts["list"].to_list() == ["[1,2]", None, "[]"]
    assert open_table(path).texts(["text", "int"]).columns == ["text", "int"]


CELLS = st.sampled_from([None, float("nan"), 0.0, -0.0, 1.5])
LISTS = st.sampled_from([None, [], [1], [1, 2], [None]])


@given(
    rows=st.lists(st.tuples(CELLS, LISTS), min_size=1, max_size=12),
    chosen=st.sampled_from([None, ["f"], ["l"]]),
)
def test_keys_and_same_go_by_value(tmp_path_factory, rows, chosen):
    path = tmp_path_factory.mktemp("parquet") / "t.pq"
    floats, lists = zip(*rows, strict=True)
    frame = pl.DataFrame({"f": floats, "l": lists}, schema={"f": pl.Float64, "l": pl.List(pl.Int8)})
    frame.write_parquet(path)
    file = open_table(path)
    # repr tells NaN from null and takes one NaN for another.
    values = [[repr(cell if cell != 0 else 0.0) for cell in row] for row in rows]
    cells = [v if chosen is None else v[["f", "l"].index(chosen[0])] for v in values]
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(len(rows)), np.arange(len(rows))))
    expected = [cells[i] == cells[j] for i, j in zip(a, b, strict=True)]
    keys = file.keys(chosen)
    assert file.same(a, b, chosen).tolist() == expected
    assert (keys[a] == keys[b]).tolist() == expected


def test_shares_of_the_file_add_up(path):
    shares = open_table(path).record_bytes()
    assert shares.sum() == path.stat().st_size
    assert np.ptp(shares) <= 1


def test_a_broken_file_is_one_line(path, tmp_path):
    content = path.read_bytes()
    for broken in (b"", b"PAR1", content[:-20], b"PAR1" + bytes(100) + b"PAR1", b"a,b\n1,2\n"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"t\.parquet: .*(empty|Parquet)") as caught:
            open_table(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(content[:40] + bytes(200) + content[240:])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        open_table(path).typed()
    with pytest.raises(FileNotFoundError):
        open_table(tmp_path / "missing.parquet")


def test_names_are_taken_literally(path):
    odd = path.with_name("a=[1]*?.parquet")
    path.rename(odd)
    assert open_table(odd).typed(["text"]).height == 3
