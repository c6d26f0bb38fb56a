"""Table columns -> codes of their different values."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.infer import infer_column
from datadiet_cli.encode.kinds import Kind, kind_of
from datadiet_cli.encode.rows import normalise_text

if TYPE_CHECKING:
    import polars as pl


class Column(NamedTuple):
    """A column by codes.

    Attributes:
        kind: what likeness means in it.
        code: (n,) int64, the place of each row's value in `values`, -1 for a missing cell.
        values: (m,) object, the different values as normalised texts, sorted; quantities by their number.
        numbers: (m,) float64, the values as numbers; empty unless the column is a quantity.
    """

    kind: Kind
    code: NDArray[np.int64]
    values: NDArray[np.object_]
    numbers: NDArray[np.float64]


def encode_column(texts: "pl.Series") -> Column:
    """Number the different values of a column; equal are those that `normalise_text` and their type make equal.

    Args:
        texts: n cells as text, null for missing; blank cells are missing too, and so is what is not a number
            among numbers.
    """
    import polars as pl

    plain = normalised(texts)
    typed = infer_column(texts.str.strip_chars().set(plain.is_null(), None))
    kind = kind_of(plain, typed)
    shown = plain
    if kind == "quantity":
        typed = typed.cast(pl.Float64).fill_nan(None)
        order = typed + 0.0
    else:
        if typed.dtype.is_numeric():
            shown = typed.cast(pl.Int64, strict=False).cast(pl.String)
        elif typed.dtype == pl.Date:
            shown = typed.dt.strftime("%Y%m%d")
        order = shown
    table = pl.DataFrame({"order": order, "shown": shown}).drop_nulls("order")
    # Of the spellings of one number, 1.0 and 1.00, the first in order stands for all.
    table = table.group_by("order").agg(pl.col("shown").min()).sort("order").with_row_index("code")
    code = pl.DataFrame({"order": order}).join(table, on="order", how="left", maintain_order="left")["code"]
    numbers = table["order"].to_numpy() if kind == "quantity" else np.empty(0)
    values = np.array(table["shown"].to_list(), dtype=object)
    return Column(kind, code.cast(pl.Int64).fill_null(-1).to_numpy(), values, numbers)


def normalised(texts: "pl.Series") -> "pl.Series":
    """Cells as `normalise_text` gives them, null where nothing is left."""
    import polars as pl

    plain = texts.str.to_lowercase().str.replace_all(r"[\s\x1c-\x1f]+", " ").str.strip_chars(" ")
    foreign = (texts.str.len_bytes() != texts.str.len_chars()).fill_null(value=False)
    if foreign.any():
        # The rules beyond ASCII are Python's.
        words = texts.filter(foreign).unique()
        table = pl.DataFrame({"word": words, "plain": [normalise_text(word) for word in words.to_list()]})
        joined = pl.DataFrame({"word": texts}).join(table, on="word", how="left", maintain_order="left")
        plain = pl.select(pl.when(foreign).then(joined["plain"]).otherwise(plain)).to_series()
    return pl.select(pl.when(plain != "").then(plain)).to_series().alias(texts.name)
