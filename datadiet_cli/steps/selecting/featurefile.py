"""The matrix of selected features as a file beside OUTPUT."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.steps.encoded import Selected

if TYPE_CHECKING:
    import polars as pl

FEATURES = ".features.parquet"
"""How the name of the file ends."""


def feature_file(dataset: Dataset, selected: Selected) -> bytes:
    """A Parquet file with a row for each sample: id, label, split, and its numbers; null for a sample without any."""
    import polars as pl

    there = pl.Series(selected.usable)
    numbers = pl.DataFrame(
        {
            name: pl.select(pl.when(there).then(pl.Series(np.ascontiguousarray(column)))).to_series()
            for name, column in zip(selected.names, selected.matrix.T, strict=True)
        }
    )
    head = [
        _text(dataset.ids).alias("id"),
        _text(_names(dataset.labels, dataset.classes)).alias("label"),
        _text(_names(dataset.splits, dataset.split_names)).alias("split"),
    ]
    buffer = BytesIO()
    pl.DataFrame(head).hstack(numbers).write_parquet(buffer)
    return buffer.getvalue()


def _names(codes: "np.ndarray[tuple[int], np.dtype[np.int32]]", names: Sequence[str]) -> list[str | None]:
    return [None if code == UNKNOWN else names[code] for code in codes.tolist()]


def _text(values: Sequence[str | None]) -> "pl.Series":
    r"""A column of text. Parquet holds UTF-8; bytes of a name that are not become \\udcXX."""
    import polars as pl

    try:
        return pl.Series(values, dtype=pl.String)
    except UnicodeEncodeError:
        escaped = [v if v is None else v.encode("utf-8", "backslashreplace").decode() for v in values]
        return pl.Series(escaped, dtype=pl.String)
