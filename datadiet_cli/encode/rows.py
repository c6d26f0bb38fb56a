"""A table row -> numbers, and one code for everything in it that is not a number."""

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.kinds import is_serial

if TYPE_CHECKING:
    import polars as pl


def normalise_text(text: str) -> str:
    """Unicode NFKC, case folded, runs of white space as one blank, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def encode_rows(frame: "pl.DataFrame") -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Split rows into numbers and words.

    Args:
        frame: n rows of typed columns.

    Returns:
        (n, d) float64 values of the d columns of numbers, NaN for missing; and (n,) int64, equal for rows whose other
        cells are equal after `normalise_text`. Serial numbers are words: they are equal or not.
    """
    import polars as pl

    numeric = [column.name for column in frame if column.dtype.is_numeric() and not is_serial(column)]
    words = [name for name in frame.columns if name not in numeric]
    numbers = frame.select(pl.col(numeric).cast(pl.Float64)).fill_null(float("nan")).to_numpy()
    if not words:
        return np.ascontiguousarray(numbers.reshape(len(frame), len(numeric))), np.zeros(len(frame), dtype=np.int64)
    codes = frame.select([_normalised(frame[name]) for name in words])
    block = codes.select(pl.struct(pl.all()).rank("dense").cast(pl.Int64)).to_series().to_numpy()
    return np.ascontiguousarray(numbers.reshape(len(frame), len(numeric))), block


def _normalised(column: "pl.Series") -> "pl.Series":
    """Codes (-1 for missing) of a column's values; text is normalised once for each different value."""
    import polars as pl

    if column.dtype.is_numeric():
        return (column.rank("dense").cast(pl.Int64) - 1).fill_null(-1).alias(column.name)
    values = column.unique(maintain_order=True).drop_nulls()
    plain = values.to_list()
    texts = [normalise_text(v) if isinstance(v, str) else repr(v) for v in plain]
    order = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    table = pl.DataFrame({"value": values, "code": pl.Series([order[t] for t in texts], dtype=pl.Int64)})
    joined = pl.DataFrame({"value": column}).join(table, on="value", how="left", maintain_order="left")
    return joined["code"].fill_null(-1).alias(column.name)
