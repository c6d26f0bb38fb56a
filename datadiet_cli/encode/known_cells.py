"""Cells of new rows, read as the columns of other rows were: what a column holds is known, and not guessed again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.cells import Form, TableCells

if TYPE_CHECKING:
    import polars as pl

_DAYS_OF_US = 1 / 86_400e6


class KnownColumn(NamedTuple):
    """What is known of a column.

    Attributes:
        name: of the column.
        form: how its numbers are written, as `cells.TableCells.forms` has it; empty for one of categories.
        values: of a column of categories its values as they are written, sorted.
    """

    name: str
    form: Form
    values: tuple[str, ...] = ()


def known_columns(cells: TableCells) -> tuple[KnownColumn, ...]:
    """The columns of numbers, then those of categories."""
    numbers = [KnownColumn(name, form) for name, form in zip(cells.number_names, cells.forms, strict=True)]
    pairs = zip(cells.category_names, cells.category_values, strict=True)
    return (*numbers, *(KnownColumn(name, "", values) for name, values in pairs))


def read_known(
    columns: Sequence[KnownColumn], typed: "pl.DataFrame", texts: "pl.DataFrame"
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read rows.

    Args:
        columns: what is known.
        typed: n rows, every cell as number, boolean, date or text.
        texts: the same cells as text.

    Returns:
        (n, d) float64 numbers, NaN for a cell that is missing or no such number, infinite where a cell says so;
        (n, c) int64 places among the values, -1 for a cell that is missing or of another value. Both in the order
        given. Read from the rows that the columns are known from, these are the numbers and categories of their cells.
    """
    n = typed.height
    numbers = [_numbers(typed[column.name], column.form) for column in columns if column.form]
    codes = [_codes(column.values, typed[column.name], texts[column.name]) for column in columns if not column.form]
    return (
        np.column_stack([np.empty((n, 0)), *numbers]),
        np.column_stack([np.empty((n, 0), dtype=np.int64), *codes]),
    )


def _numbers(typed: "pl.Series", form: Form) -> NDArray[np.float64]:
    import polars as pl

    temporal = form in ("date", "time", "span")
    days = _days(typed) if temporal else _plain_numbers(typed)
    if form == "day":
        whole = pl.select(pl.when(days.is_finite()).then(days)).to_series()
        places = whole.cast(pl.Int64, strict=False).cast(pl.String).str.to_date("%Y%m%d", strict=False)
        days = places.cast(pl.Int32).cast(pl.Float64)
    values: NDArray[np.float64] = days.fill_null(float("nan")).to_numpy()
    return values


def _plain_numbers(typed: "pl.Series") -> "pl.Series":
    """Numbers, null for what is none."""
    import polars as pl

    if typed.dtype.is_numeric():
        return typed.cast(pl.Float64).fill_nan(None) + 0.0
    if not _is_text(typed):
        return pl.repeat(None, len(typed), dtype=pl.Float64, eager=True)
    made = typed.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.select(pl.when(made.is_finite()).then(made)).to_series() + 0.0


def _days(typed: "pl.Series") -> "pl.Series":
    """Days since 1970, or since midnight, or as long as it takes; null for what is no time."""
    import polars as pl

    if _is_text(typed):
        typed = _times(typed.cast(pl.String).str.strip_chars())
    if typed.dtype == pl.Date:
        return typed.cast(pl.Int32).cast(pl.Float64)
    if isinstance(typed.dtype, pl.Datetime):
        return typed.dt.epoch("us").cast(pl.Float64) * _DAYS_OF_US
    if typed.dtype == pl.Time:
        return typed.cast(pl.Int64).cast(pl.Float64) * (_DAYS_OF_US / 1000)
    if isinstance(typed.dtype, pl.Duration):
        return typed.dt.total_microseconds().cast(pl.Float64) * _DAYS_OF_US
    return pl.repeat(None, len(typed), dtype=pl.Float64, eager=True)


def _times(texts: "pl.Series") -> "pl.Series":
    """Texts as dates with times: a column is one of texts as soon as one of its cells is no date."""
    import polars as pl

    found = texts.str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    dates = texts.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.select(pl.coalesce(found, dates)).to_series()


def _codes(values: tuple[str, ...], typed: "pl.Series", texts: "pl.Series") -> NDArray[np.int64]:
    """Places among the values: by number or truth where all values are such, however they are spelt; else by text."""
    import polars as pl

    numbers = pl.Series(values, dtype=pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    lower = [value.strip().lower() for value in values]
    if numbers.is_finite().sum() == len(values) == numbers.n_unique():
        known, cells = numbers, _plain_numbers(typed)
    elif set(lower) <= {"true", "false"} and len(set(lower)) == len(lower):
        known, cells = pl.Series(lower, dtype=pl.String), texts.str.strip_chars().str.to_lowercase()
    else:
        known, cells = pl.Series(values, dtype=pl.String), texts
    table = pl.DataFrame({"value": known, "code": pl.int_range(len(values), eager=True)})
    joined = pl.DataFrame({"value": cells}).join(table, on="value", how="left", maintain_order="left")
    codes: NDArray[np.int64] = joined["code"].cast(pl.Int64).fill_null(-1).to_numpy()
    return codes


def _is_text(typed: "pl.Series") -> bool:
    import polars as pl

    return typed.dtype == pl.String or isinstance(typed.dtype, pl.Categorical | pl.Enum)
