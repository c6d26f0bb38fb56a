"""Records of a table -> cells for a page."""

from collections.abc import Sequence

import numpy as np

from datadiet_cli.data.table import TableSource

COLUMNS = 200
"""Columns that are read, beside those that are asked for."""
LONGEST = 20_000
"""Characters of a cell that are read."""

Record = dict[str, str | None]


def read_records(source: TableSource, rows: Sequence[int], wanted: Sequence[str] = ()) -> list[Record]:
    """The cells of some records, by column in the order of the table; None for an empty one.

    Args:
        source: of a table.
        rows: record numbers.
        wanted: columns that must be among them, if the table has them.
    """
    import polars as pl

    known = source.file.columns
    chosen = set(wanted) | set(known[:COLUMNS])
    columns = [name for name in known if name in chosen]
    texts = source.file.texts(columns)[np.array(rows, dtype=np.int64)]
    long = pl.all().str.len_chars() > LONGEST
    cut = pl.when(long).then(pl.all().str.head(LONGEST) + "…").otherwise(pl.all())
    records: list[Record] = texts.select(cut).to_dicts()
    return records
