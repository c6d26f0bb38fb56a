"""The matrix of selected features as a file beside OUTPUT."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.wording import text_column
from datadiet_cli.steps.encoded import Selected

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
        text_column("id", dataset.ids),
        text_column("label", _names(dataset.labels, dataset.classes)),
        text_column("split", _names(dataset.splits, dataset.split_names)),
    ]
    buffer = BytesIO()
    pl.DataFrame(head).hstack(numbers).write_parquet(buffer)
    return buffer.getvalue()


def _names(codes: "np.ndarray[tuple[int], np.dtype[np.int32]]", names: Sequence[str]) -> list[str | None]:
    return [None if code == UNKNOWN else names[code] for code in codes.tolist()]
