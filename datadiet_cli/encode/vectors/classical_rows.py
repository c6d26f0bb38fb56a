"""Table rows -> vectors whose cosine is the mean likeness of their cells."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.rows import normalise_text
from datadiet_cli.encode.vectors.grid import MOST_DIMENSIONS

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float32]

SIMILARITY = 0.99999
_CATEGORIES = 32
_RUNS = 256


def row_vectors(frame: "pl.DataFrame") -> Floats:
    """Vectors of rows. Every column has a part of unit length, so a cosine is a mean over the columns (as Gower's).

    - Numbers: a direction in a quarter turn, by the share of the column's numbers that are smaller; so neither an
      outlier nor the unit of a column matters.
    - Texts of at most 32 different values, and booleans: one direction for each value.
    - Other texts: their hashed runs of 2 to 4 characters.
    - A missing cell is like a missing cell only.

    Args:
        frame: (n, columns) typed cells, at least one column.

    Returns:
        (n, d) float32; how many dimensions a column has depends on its values. Zeros for a row with every cell missing.

    Raises:
        ValueError: the columns have more than 32,768 dimensions together.
    """
    import polars as pl

    parts: list[Floats] = []
    dimensions = 0
    # Not a number is as good as missing.
    known = frame.with_columns(pl.selectors.float().fill_nan(None))
    for column in known:
        part = _column(column)
        dimensions += part.shape[1] + 1
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"the columns make more than {MOST_DIMENSIONS:,} dimensions")
        parts += [part, column.is_null().to_numpy().astype(np.float32)[:, None]]
    vectors = np.hstack(parts)
    missing = np.column_stack([column.is_null().to_numpy() for column in known]).all(axis=1)
    vectors[missing] = 0
    return vectors


def _column(column: "pl.Series") -> Floats:
    import polars as pl

    if column.dtype.is_numeric():
        return _turns(column)
    texts = column if column.dtype == pl.String else column.cast(pl.String, strict=False)
    values = texts.unique(maintain_order=True).drop_nulls()
    plain = [normalise_text(value) for value in values.to_list()]
    order = sorted(set(plain))
    number = {text: i for i, text in enumerate(order)}
    table = pl.DataFrame({"text": values, "code": pl.Series([number[text] for text in plain], dtype=pl.Int64)})
    joined = pl.DataFrame({"text": texts}).join(table, on="text", how="left", maintain_order="left")
    code = joined["code"].fill_null(-1).to_numpy()
    made = _runs(order) if len(order) > _CATEGORIES else np.eye(len(order), dtype=np.float32)
    # The last row, of zeros, is that of a missing cell.
    out: Floats = np.vstack([made, np.zeros((1, made.shape[1]), dtype=np.float32)])[code]
    return out


def _turns(column: "pl.Series") -> Floats:
    known = column.is_not_null().to_numpy()
    rank = column.rank("average").to_numpy()[known].astype(np.float64)
    angle = (rank - 0.5) / max(int(known.sum()), 1) * (np.pi / 2)
    out = np.zeros((len(column), 2), dtype=np.float32)
    out[known] = np.column_stack([np.cos(angle), np.sin(angle)])
    return out


def _runs(texts: list[str]) -> Floats:
    from sklearn.feature_extraction.text import HashingVectorizer

    runs = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=_RUNS, lowercase=False)
    made: Floats = np.asarray(runs.transform(texts).toarray(), dtype=np.float32)
    return made
