"""Columns told apart, and their cells as codes."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datadiet_cli.encode.columns import encode_column, normalised
from datadiet_cli.encode.kinds import is_serial
from datadiet_cli.encode.rows import normalise_text

MANY = range(200)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([f"{i * 37 % 10_000:04d}" for i in MANY], "code"),
        ([str(2000 + i * 31 % 7000) for i in MANY], "code"),
        ([str(1_700_000_000 + i * 86_399) for i in MANY], "code"),
        ([str(500_000 + i * 9_999) for i in MANY], "code"),
        ([f"AB-{i}-{i * 7 % 100}" for i in MANY], "code"),
        ([f"2024-05-{1 + i % 28:02d} 10:{i % 60:02d}:00" for i in MANY], "code"),
        ([str(19_000_101 + i * 10_000 // 2 // 10_000 * 10_000) for i in MANY], "date"),
        ([f"{1900 + i % 100}-01-{1 + i % 28:02d}" for i in MANY], "date"),
        ([str(i * i * 3) for i in MANY], "quantity"),
        ([f"{i / 7:.3f}" for i in MANY], "quantity"),
        ([str(-5000 + i * 73) for i in MANY], "quantity"),
        ([f"{2700 + i * 25 % 3600}.0" for i in MANY], "quantity"),
        ([str(i % 90) for i in MANY], "category"),
        ([f"{i % 90}.0" for i in MANY], "category"),
        (["true", "False"] * 100, "category"),
        (["male", "female"] * 100, "category"),
        ([f"{'abcdefghij'[i % 10]}{'nopqrstuvw'[i // 20]} smith" for i in MANY], "text"),
        ([None] * 200, "text"),
        (["male", "female"], "text"),
        ([], "text"),
    ],
)
def test_kinds(cells, kind):
    for shuffled in (cells, cells[::-1], [*cells, None]):
        found = encode_column(pl.Series("x", shuffled, dtype=pl.String)).kind
        assert found == kind or not [cell for cell in cells if cell]


def test_codes_stand_for_values():
    cells = ["  Zoë", "zoë ", None, "ANN", " ", "Straße", "STRASSE"]
    column = encode_column(pl.Series("x", cells))
    assert column.values.tolist() == ["ann", "strasse", "zoë"]
    assert column.code.tolist() == [2, 2, -1, 0, -1, 1, 1]


def test_numbers_are_values_however_written():
    column = encode_column(pl.Series("x", ["1.50", " 1.5", "15e-1", "-0.0", "0", "nan", "1000", None, "inf"]))
    assert column.kind == "quantity"
    assert column.code.tolist() == [1, 1, 1, 0, 0, -1, 2, -1, 3]
    assert column.numbers.tolist() == [0, 1.5, 1000, float("inf")]
    assert encode_column(pl.Series("x", ["7.0", "7", "12"])).values.tolist() == ["12", "7"]
    days = encode_column(pl.Series("x", ["2001-02-03", "1999-12-31"]))
    assert days.values.tolist() == ["19991231", "20010203"]


@given(st.lists(st.none() | st.text(max_size=6), max_size=8))
def test_texts_are_normalised_as_elsewhere(cells):
    expected = [None if cell is None else normalise_text(cell) or None for cell in cells]
    assert normalised(pl.Series("x", cells, dtype=pl.String)).to_list() == expected


@pytest.mark.parametrize(
    ("numbers", "serial"),
    [
        ([1_000_000, 1_000_001, 9_999_999], True),
        ([1_000_000.0, 1_000_001.0, None], True),
        ([999_998, 999_999], False),
        ([1, 20, 3_000_000, 3_000_001] * 5, False),
        ([1_250_000, 3_400_000, 7_650_000], False),
        ([1_000_000.5, 1_000_001.0], False),
        ([-5_000_000, 5_000_000], False),
        ([float("inf"), 1_000_000.0], False),
        ([float("nan"), 1_000_003.0], True),
        ([None, None], False),
    ],
)
def test_serial_numbers(numbers, serial):
    typed = pl.Series("x", numbers)
    assert is_serial(typed if typed.dtype != pl.Null else typed.cast(pl.Int64)) == serial


def test_unsigned_and_long_whole_numbers():
    assert is_serial(pl.Series("x", [2**64 - 1, 2**64 - 2], dtype=pl.UInt64))
    assert not is_serial(pl.Series("x", ["a"]))
