"""What likeness means in a column of a table, told from all of its cells.

- ``date``: dates; also whole numbers nearly all of which (95 %) are days of 1800 to 2199 as yyyymmdd;
- ``category``: booleans, columns of few different values (at most 64, each ten times on average), and whole numbers
  below 1000 (ages, house numbers): equal or not;
- ``code``: numbers with leading zeros, whole numbers of at least four digits and of one length (95 %), those above a
  million that hardly repeat (95 % different), times, and texts that are digits for three tenths: postcodes,
  telephone and serial numbers, times since 1970;
- ``quantity``: all other numbers, and those that are round (more than half of them end in 0 or 5); only here does
  near mean anything;
- ``text``: all else, such as names and addresses.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["quantity", "code", "category", "date", "text"]

MOST = 0.95
FEW_VALUES = 64
TIMES_EACH = 10
SMALL = 1000
LARGE = 1_000_000
DIGITS_OF_CODES = 0.3
ROUND = 0.5
_DAY = r"^(1[89]|2[01])[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"


def kind_of(texts: "pl.Series", typed: "pl.Series") -> Kind:
    """What a column is, by the rules above.

    Args:
        texts: its cells as text.
        typed: the same cells in the type that all of them have.
    """
    import polars as pl

    known = texts.drop_nulls()
    if typed.dtype == pl.Date:
        return "date"
    if typed.dtype == pl.Boolean:
        return "category"
    distinct = known.n_unique()
    real = typed.dtype.is_float() and not _whole(typed)
    if not real and distinct <= FEW_VALUES and len(known) >= TIMES_EACH * distinct:
        return "category"
    if typed.dtype.is_numeric():
        return "quantity" if real else kind_of_whole(typed)
    if isinstance(typed.dtype, pl.Datetime):
        return "code"
    digits, letters = int(known.str.count_matches("[0-9]").sum()), int(known.str.len_chars().sum())
    return "code" if digits >= DIGITS_OF_CODES * letters else "text"


def kind_of_whole(numbers: "pl.Series") -> Kind:
    """What a column of whole numbers is: days, codes or quantities."""
    import polars as pl

    known = numbers.drop_nulls()
    if known.dtype.is_float() or known.dtype.is_unsigned_integer():
        known = known.cast(pl.Int64, strict=False).drop_nulls()
    if not len(known):
        return "code"
    low, high = int(known.min() or 0), int(known.max() or 0)  # type: ignore[arg-type]
    if low > -SMALL and high < SMALL:
        return "category"
    if low < 0:
        return "quantity"
    written = known.cast(pl.String)
    if written.str.contains(_DAY).sum() >= MOST * len(known):
        return "date"
    if written.str.contains("[05]$").sum() > ROUND * len(known):
        return "quantity"
    length = written.str.len_bytes()
    usual = int(length.mode().max())  # type: ignore[arg-type]
    if usual >= 4 and (length == usual).sum() >= MOST * len(known):
        return "code"
    return "code" if high >= LARGE and known.n_unique() >= MOST * len(known) else "quantity"


def is_serial(numbers: "pl.Series") -> bool:
    """Whether a typed column holds whole numbers so large that a relative tolerance spans several, yet codes."""
    import polars as pl

    if not numbers.dtype.is_numeric() or isinstance(numbers.dtype, pl.Decimal):
        return False
    low, high = numbers.min(), numbers.max()
    if low is None or high is None or max(-float(low), float(high)) < LARGE or not _whole(numbers):  # type: ignore[arg-type]
        return False
    return kind_of_whole(numbers) in ("code", "date")


def _whole(numbers: "pl.Series") -> bool:
    if not numbers.dtype.is_float():
        return True
    known = numbers.drop_nulls().drop_nans()
    return bool((known == known.floor()).all()) and float(known.abs().max() or 0) < 2.0**53  # type: ignore[arg-type]
