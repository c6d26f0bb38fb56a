"""A table's columns -> numbers and categories, by what their cells say. Nothing is refused; what is left out is told.

- Numbers: real and whole numbers, also small ones such as ages and counts, which `kinds` takes for categories: near
  means something for them. So do dates and times, in days since 1970. A column of texts is one of numbers if 95 % of
  its cells are, once the usual marks for a missing value (``NA``, ``?``, ...) are taken as such.
- Categories: booleans; texts each of which comes twice or more on average; numbers of at most two different values,
  each ten times on average.
- Left out: columns without a value, or with one that no cell lacks; whole numbers that count the rows, and long ones
  of one length that hardly repeat (numbers of the table's order let a method see the class where rows are sorted by
  it); texts that hardly repeat; free text, of five words or more on average; lists and the like.
"""

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Form = str
"""How a column of numbers is written: ``real``, ``whole``, ``date``, ``time`` (a date with a time), ``day`` (yyyymmdd),
or ``span`` (a time of day, or a length of time)."""

FREE_TEXT = "free text"
MOST = 0.95
WORDS = 5
"""On average, in the cells of a column of free text."""
TIMES_EACH = 2
FEW_NUMBERS, TIMES_EACH_NUMBER = 2, 10
LARGE = 1_000_000
LEAST_SERIAL = 20
_MISSING = ["", "-", "--", "?", ".", "#n/a", "n/a", "na", "nan", "nil", "none", "null"]
_PADDED = r"^[+-]?0[0-9]"
_DAY = r"^(1[89]|2[01])[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"
_DAYS_OF_US = 1 / 86_400e6


class TableCells(NamedTuple):
    """The cells of n rows.

    Attributes:
        numbers: (n, d) float64, NaN for missing; infinite where a cell says so. Dates and times are days since 1970.
        categories: (n, c) int64, indices into `category_values`, -1 for missing.
        number_names: the d columns.
        category_names: the c columns.
        category_values: for each column of categories its values as they are written, sorted.
        whole: (d,) bool, columns of whole numbers (and days).
        left_out: the other columns, each with the reason.
        forms: for each column of numbers how it is written; see `written`.
    """

    numbers: NDArray[np.float64]
    categories: NDArray[np.int64]
    number_names: tuple[str, ...]
    category_names: tuple[str, ...]
    category_values: tuple[tuple[str, ...], ...]
    whole: NDArray[np.bool_]
    left_out: dict[str, str]
    forms: tuple[Form, ...]


class _Numbers(NamedTuple):
    values: NDArray[np.float64]
    form: Form


class _Codes(NamedTuple):
    codes: NDArray[np.int64]
    values: tuple[str, ...]


_Read = _Numbers | _Codes | str
"""What a column is; a text says why it is neither."""


def cells_of(typed: "pl.DataFrame", texts: "pl.DataFrame") -> TableCells:
    """Read a table's columns as numbers and categories.

    Args:
        typed: n rows, every cell as number, boolean, date or text.
        texts: the same cells as text.
    """
    n = typed.height
    numbers: dict[str, _Numbers] = {}
    codes: dict[str, _Codes] = {}
    left_out: dict[str, str] = {}
    for column in typed:
        read = _column(column, texts[column.name])
        if isinstance(read, str):
            left_out[column.name] = read
        elif isinstance(read, _Numbers):
            numbers[column.name] = read
        else:
            codes[column.name] = read
    forms = tuple(column.form for column in numbers.values())
    return TableCells(
        np.column_stack([np.empty((n, 0)), *(column.values for column in numbers.values())]),
        np.column_stack([np.empty((n, 0), dtype=np.int64), *(column.codes for column in codes.values())]),
        tuple(numbers),
        tuple(codes),
        tuple(column.values for column in codes.values()),
        np.array([form in ("whole", "date", "day") for form in forms], dtype=bool),
        left_out,
        forms,
    )


def written(values: NDArray[np.float64], form: Form) -> list[str | None]:
    """Numbers as the cells of a column of this form are written; None for a missing one.

    Whole numbers and days are rounded. A ``span`` has no one way to be written, and is given in days.
    """
    import polars as pl

    known = pl.Series(values, nan_to_null=True, dtype=pl.Float64)
    made = known
    if form in ("date", "day"):
        days = known.round().cast(pl.Int32).cast(pl.Date)
        made = days.dt.strftime("%Y-%m-%d" if form == "date" else "%Y%m%d")
    elif form == "time":
        seconds = (known * 86_400).round().cast(pl.Int64)
        made = (seconds * 10**6).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    texts: list[str | None] = [
        None if value is None else f"{value:.0f}" if form == "whole" else str(value) for value in made.to_list()
    ]
    return texts


def _column(typed: "pl.Series", texts: "pl.Series") -> _Read:
    import polars as pl

    kind = typed.dtype
    if kind == pl.Boolean:
        return _constant(typed.drop_nulls(), typed) or _codes(typed, texts)
    if kind.is_temporal():
        return _times(typed)
    if kind.is_numeric():
        return _number(typed, texts)
    if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
        return _words(typed.cast(pl.String))
    if kind == pl.Null:
        return "no cell has a value"
    return f"cells that are neither numbers nor texts ({kind.base_type().__name__.lower()})"


def _number(typed: "pl.Series", texts: "pl.Series") -> _Read:
    import polars as pl

    numbers = typed.cast(pl.Float64).fill_nan(None) + 0.0
    known = numbers.drop_nulls()
    distinct = known.n_unique()
    if reason := _constant(known, numbers):
        return reason
    if distinct <= FEW_NUMBERS and (len(known) >= TIMES_EACH_NUMBER * distinct or distinct == 1):
        return _codes(numbers, texts)
    real = bool((known != known.floor()).any()) or not bool(known.is_finite().all())
    if real:
        return _Numbers(_values(numbers), "real")
    if len(days := known.cast(pl.String).str.strip_suffix(".0")) and days.str.contains(_DAY).all():
        made = days.str.to_date("%Y%m%d", strict=False)
        if not made.null_count():
            places = numbers.cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d")
            return _Numbers(_values(places.cast(pl.Int32)), "day")
    return _serial(known, distinct) or _Numbers(_values(numbers), "whole")


def _serial(known: "pl.Series", distinct: int) -> str | None:
    """Why whole numbers are names of rows rather than quantities; None if they are not."""
    low, high = float(cast(float, known.min())), float(cast(float, known.max()))
    if len(known) < LEAST_SERIAL or distinct < MOST * len(known):
        return None
    if high - low < 2 * len(known) and distinct == len(known):
        return "serial numbers: they count the rows"
    if low >= LARGE and np.floor(np.log10(low)) == np.floor(np.log10(high)):
        return "codes: long numbers of one length that hardly repeat"
    return None


def _times(typed: "pl.Series") -> _Read:
    import polars as pl

    known = typed.drop_nulls()
    if reason := _constant(known, typed):
        return reason
    if typed.dtype == pl.Date:
        return _Numbers(_values(typed.cast(pl.Int32)), "date")
    if isinstance(typed.dtype, pl.Datetime):
        return _Numbers(_values(typed.dt.epoch("us").cast(pl.Float64) * _DAYS_OF_US), "time")
    if typed.dtype == pl.Time:
        return _Numbers(_values(typed.cast(pl.Int64).cast(pl.Float64) * (_DAYS_OF_US / 1000)), "span")
    return _Numbers(_values(typed.dt.total_microseconds().cast(pl.Float64) * _DAYS_OF_US), "span")


def _words(texts: "pl.Series") -> _Read:
    import polars as pl

    plain = pl.select(pl.when(texts.str.strip_chars() != "").then(texts)).to_series().alias(texts.name)
    known = plain.drop_nulls()
    if reason := _constant(known, plain):
        return reason
    if (numbers := _numbers_among(known, plain)) is not None:
        return _number(numbers, plain)
    words = known.str.count_matches(r"\S+").mean()
    distinct = known.n_unique()
    repeats = len(known) >= TIMES_EACH * distinct
    if float(cast(float, words)) >= WORDS and (not repeats or distinct > LEAST_SERIAL):
        return FREE_TEXT
    if repeats or distinct == 1:
        return _codes(plain, plain)
    return "names or codes: texts that hardly repeat"


def _numbers_among(known: "pl.Series", plain: "pl.Series") -> "pl.Series | None":
    """The numbers of a column of texts nearly all of which are, null for the rest; None if too few are."""
    import polars as pl

    stripped = known.str.strip_chars()
    meant = stripped.filter(~stripped.str.to_lowercase().is_in(_MISSING))
    # Words such as "inf" are words, and so are numbers with zeros before them.
    numbers = meant.cast(pl.Float64, strict=False)
    good = int((numbers.is_finite() & ~meant.str.contains(_PADDED)).sum())
    if not good or good < MOST * len(meant):
        return None
    made = plain.str.strip_chars().cast(pl.Float64, strict=False)
    return pl.select(pl.when(made.is_finite()).then(made)).to_series().alias(plain.name)


def _constant(known: "pl.Series", column: "pl.Series") -> str | None:
    if not len(known):
        return "no cell has a value"
    if len(known) == len(column) and known.n_unique() == 1:
        return "constant: every cell says the same"
    return None


def _codes(typed: "pl.Series", texts: "pl.Series") -> _Codes:
    """Number the different values; of several spellings of a number or boolean the first in order stands for all."""
    import polars as pl

    table = pl.DataFrame({"value": typed, "text": texts}).drop_nulls("value")
    table = table.group_by("value").agg(pl.col("text").min()).sort("text", "value").with_row_index("code")
    joined = pl.DataFrame({"value": typed}).join(table, on="value", how="left", maintain_order="left")
    codes = joined["code"].cast(pl.Int64).fill_null(-1).to_numpy()
    return _Codes(codes, tuple("" if text is None else text for text in table["text"].to_list()))


def _values(numbers: "pl.Series") -> NDArray[np.float64]:
    import polars as pl

    values: NDArray[np.float64] = numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values
