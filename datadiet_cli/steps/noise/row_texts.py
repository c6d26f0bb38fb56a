"""Numbers as texts of cells, written as their column writes them."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.steps.noise.row_columns import Bools, Column

if TYPE_CHECKING:
    import polars as pl

DIGITS = 10
"""Significant digits of a scaled number."""


class Manner(NamedTuple):
    """How a column writes its numbers.

    Attributes:
        whole: whether all are whole.
        most: decimals at most; None where powers of ten are written, which limit nothing.
        least: decimals at least.
    """

    whole: bool
    most: int | None
    least: int

    def text(self, value: float) -> str:
        """A finite number as a cell of this column: rounded to the column's decimals, halves to the even digit."""
        if self.most is None:
            return repr(value)
        rounded = round(value, 0 if self.whole else self.most) + 0.0
        text: str = np.format_float_positional(rounded, unique=True, trim="k", min_digits=self.least)
        return text.removesuffix(".")


def manner_of(column: Column, usable: Bools) -> Manner:
    """How a column of numbers writes those in the usable cells, (n,) bool."""
    import polars as pl

    assert column.numbers is not None  # noqa: S101 - of columns of numbers only
    counts = usable & np.isfinite(column.numbers)
    texts, finite = column.plain.filter(pl.Series(counts)), column.numbers[counts]
    whole = bool((finite == np.floor(finite)).all())
    if texts.str.contains("[eE]").any() and not (whole and np.abs(finite).max(initial=0.0) < 10.0**DIGITS):
        return Manner(whole, None, 0)
    decimals = texts.str.extract(r"\.([0-9]*)").str.len_bytes().fill_null(0)
    most, least = (int(end) if isinstance(end, int) else 0 for end in (decimals.max(), decimals.min()))
    return Manner(whole, most, least)


def scaled_texts(values: NDArray[np.float64]) -> "pl.Series":
    """The shortest texts of (m,) finite numbers rounded to `DIGITS` significant digits, String."""
    import polars as pl

    texts = pl.Series(values).round_sig_figs(DIGITS).cast(pl.String)
    # Numbers of extreme size are not rounded as well as that.
    long = np.flatnonzero((texts.str.len_bytes() > DIGITS + len("-0.e-300")).to_numpy())
    if len(long):
        exact = [repr(float(f"{value:.{DIGITS - 1}e}")) for value in values[long].tolist()]
        texts = texts.scatter(long, exact)
    return texts
