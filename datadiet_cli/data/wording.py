"""Texts of any bytes as a column."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def text_column(name: str, values: Sequence[str | None]) -> "pl.Series":
    r"""A column of text. Parquet holds UTF-8; bytes of a name that are not become \\udcXX, as in the JSON."""
    import polars as pl

    try:
        return pl.Series(name, values, dtype=pl.String)
    except UnicodeEncodeError:
        return pl.Series(name, [v if v is None else escaped(v) for v in values], dtype=pl.String)


def escaped(name: str) -> str:
    r"""A name as reports have it in their tables: bytes that are not UTF-8 become \\udcXX."""
    return name.encode("utf-8", "backslashreplace").decode()
