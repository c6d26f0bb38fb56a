"""Columns of a table -> numbers and numbered categories, in the form that a model was trained on.

What a column is, is found out once, from the rows to learn from. Every row, those as well as new ones, is then read by
that form, so the same cells give the same numbers whatever stands in the rows around them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.cells import Form, TableCells
from datadiet_cli.nn.spec import Field

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_VALUES = 4096
"""Values of a category that have a number of their own, the most frequent ones."""
LARGEST = 2.0**60
"""No number is farther from 0 than this: its square is still a float32."""
_ROUGH = 2.0**-13
_EXPONENT = 60
_DAYS_OF_US = 1 / 86_400e6


def fields_of(cells: TableCells) -> list[Field]:
    """A field of the numbers and one of the categories, if there are any."""
    found = []
    if cells.number_names:
        found.append(Field("numbers", "numbers", number_options(cells)))
    if cells.category_names:
        found.append(Field("categories", "categories", category_options(cells)))
    return found


def number_options(cells: TableCells) -> dict[str, Any]:
    """How columns of numbers are read.

    These are ``columns`` and their ``forms``, and, where float32 asks for it, ``centres``, which are subtracted, and
    ``scales``, by which the rest is multiplied.

    Times in seconds, and other numbers that differ by little of what they are, would all become the same in float32;
    so the median is taken off those. Numbers beyond 2^60, or all below 2^-60, are scaled by a power of two.
    """
    options: dict[str, Any] = {"columns": list(cells.number_names), "forms": list(cells.forms)}
    centres, scales = (list(some) for some in zip(*map(_fitted, cells.numbers.T), strict=True))
    if any(centres):
        options["centres"] = centres
    if any(scale != 1 for scale in scales):
        options["scales"] = scales
    return options


def category_options(cells: TableCells) -> dict[str, Any]:
    """Which values categories have: ``columns``, and for each of them its ``values``, as they are written."""
    kept: list[list[str]] = []
    for codes, values in zip(cells.categories.T, cells.category_values, strict=True):
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        most = np.sort(np.argsort(-counts, kind="stable")[:MOST_VALUES])
        kept.append([values[i] for i in most.tolist()])
    return {"columns": list(cells.category_names), "values": kept}


def numbers_by(typed: "pl.DataFrame", texts: "pl.DataFrame", options: Mapping[str, Any]) -> NDArray[np.float32]:
    """Numbers of all columns that the options name.

    Args:
        typed: n rows, every cell as number, boolean, date or text.
        texts: the same cells as text.
        options: as `number_options` gives them.

    Returns:
        (n, d) float32, NaN for a cell that is missing, infinite, or not of the column's form.
    """
    names: Sequence[str] = options["columns"]
    made = np.full((typed.height, len(names)), np.nan, dtype=np.float32)
    centres, scales = options.get("centres", [0.0] * len(names)), options.get("scales", [1.0] * len(names))
    for i, (name, form) in enumerate(zip(names, options["forms"], strict=True)):
        values = _numbers(typed[name], texts[name], form)
        values[~np.isfinite(values)] = np.nan
        with np.errstate(over="ignore"):
            made[:, i] = np.clip((values - centres[i]) * scales[i], -LARGEST, LARGEST)
    return made


def categories_by(texts: "pl.DataFrame", options: Mapping[str, Any]) -> tuple[Ints, NDArray[np.bool_]]:
    """Categories of all columns that the options name.

    A value is known by its text; where all values are numbers, by the number (``1`` and ``1.0``), and where they are
    ``true`` and ``false``, in any case.

    Args:
        texts: n rows of cells as text.
        options: as `category_options` gives them.

    Returns:
        (n, c) int64, i + 1 for the i-th value, 0 for a missing cell or an unknown value; and (n,) bool, rows with a
        cell that is not missing.
    """
    names: Sequence[str] = options["columns"]
    made, some = np.zeros((texts.height, len(names)), dtype=np.int64), np.zeros(texts.height, dtype=bool)
    for i, (name, values) in enumerate(zip(names, options["values"], strict=True)):
        made[:, i] = _codes(texts[name], values)
        some |= (texts[name].str.strip_chars() != "").fill_null(value=False).to_numpy()
    return made, some


def _fitted(values: Floats) -> tuple[float, float]:
    """What is taken off a column of numbers, and what the rest is multiplied by; 0 and 1 as a rule."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    low, middle, high = np.quantile(known / 4, [0.05, 0.5, 0.95], method="nearest") * 4
    if low == high:
        low, high = known.min(), known.max()
    centre = float(middle) if abs(middle) * _ROUGH > high / 2 - low / 2 else 0.0
    with np.errstate(over="ignore"):
        peak = min(float(np.abs(known - centre).max()), float(np.finfo(np.float64).max))
    exponent = int(np.frexp(peak)[1]) if peak else 0
    return centre, 1.0 if abs(exponent) <= _EXPONENT else 2.0 ** max(-1000, min(1000, -exponent))


def _numbers(typed: "pl.Series", texts: "pl.Series", form: Form) -> Floats:
    import polars as pl

    if form in ("date", "time", "span"):
        made = _days(typed, texts)
    elif form == "day":
        days = typed.cast(pl.Int64, strict=False).cast(pl.String) if typed.dtype.is_numeric() else texts
        made = days.str.strip_chars().str.strip_suffix(".0").str.to_date("%Y%m%d", strict=False).cast(pl.Int32)
    else:
        made = typed if typed.dtype.is_numeric() else texts.str.strip_chars().cast(pl.Float64, strict=False)
    values: Floats = made.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
    return values


def _days(typed: "pl.Series", texts: "pl.Series") -> "pl.Series":
    """Dates and times in days since 1970, and lengths of time in days, as `encode.cells` has them."""
    import polars as pl

    kind = typed.dtype
    if kind == pl.Date:
        return typed.cast(pl.Int32)
    if isinstance(kind, pl.Datetime):
        return typed.dt.epoch("us").cast(pl.Float64) * _DAYS_OF_US
    if kind == pl.Time:
        return typed.cast(pl.Int64).cast(pl.Float64) * (_DAYS_OF_US / 1000)
    if isinstance(kind, pl.Duration):
        return typed.dt.total_microseconds().cast(pl.Float64) * _DAYS_OF_US
    plain = texts.str.strip_chars()
    date = plain.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64)
    moment = plain.str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    time = moment.dt.epoch("us").cast(pl.Float64) * _DAYS_OF_US
    return pl.select(pl.coalesce(date, time)).to_series()


def _codes(texts: "pl.Series", values: Sequence[str]) -> Ints:
    import polars as pl

    known, cells = pl.Series(values, dtype=pl.String), texts
    numbers = known.str.strip_chars().cast(pl.Float64, strict=False)
    lower = known.str.to_lowercase()
    if numbers.is_finite().fill_null(value=False).all() and numbers.n_unique() == len(values):
        known, cells = numbers + 0.0, texts.str.strip_chars().cast(pl.Float64, strict=False) + 0.0
    elif lower.is_in(["false", "true"]).all() and lower.n_unique() == len(values):
        known, cells = lower, texts.str.to_lowercase()
    table = pl.DataFrame({"value": known}).with_row_index("code", offset=1)
    joined = pl.DataFrame({"value": cells}).join(table, on="value", how="left", maintain_order="left")
    codes: Ints = joined["code"].cast(pl.Int64).fill_null(0).to_numpy()
    return codes
