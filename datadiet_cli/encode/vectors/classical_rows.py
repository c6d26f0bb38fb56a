"""Table rows -> vectors whose cosine is the mean likeness of their cells."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.rows import normalise_text
from datadiet_cli.encode.vectors.grid import LENGTH, MOST_DIMENSIONS

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Grid = NDArray[np.int16]

SIMILARITY = 0.999999
"""Some 2e-6 spreads in one column by itself, 2e-5 in one of ten: equal rows, and what rounding makes of them."""
_CATEGORIES = 32
_RUNS = 256
_SLOWEST = np.pi / 4
"""Angle of the slowest turn for a number one spread away: some thousand spreads apart are not yet once around."""
_FASTER = 3.7
"""Each turn is so much faster than the one before. Not a whole number, so that no two values meet on all of them; nor
one whose powers come ever nearer to whole numbers."""
_FINEST = 2e-6
"""How small a part of the spread still counts in a column by itself, and k times that in one of k columns."""
_EXACT = 2.0**53
"""Whole numbers beyond it have no float64 of their own."""


def row_vectors(frame: "pl.DataFrame") -> Grid:
    """Vectors of rows. Every column has a part of unit length, so a cosine is a mean over the columns (as Gower's).

    - Numbers: turns of several speeds, by the distance from the column's median in spreads of the column (the median
      of the distances that are not 0; beyond one spread their logarithm, by asinh). With 1 / speed for weights the
      likeness of two numbers falls with their difference nearly in a straight line, as in Gower's coefficient (Gower,
      "A general coefficient of similarity and some of its properties", Biometrics 27, 1971), by some 0.5 a spread
      (random Fourier features, Rahimi & Recht, NIPS 2007, with chosen frequencies). How many other rows there are
      has no part in it.
    - Texts of at most 32 different values, and booleans: one direction for each value.
    - Other texts, and whole numbers beyond 2**53: their hashed runs of 2 to 4 characters.
    - A missing cell is like a missing cell only.

    Args:
        frame: (n, columns) cells that are numbers, booleans or texts, at least one column.

    Returns:
        (n, d) int16, as `grid.on_grid` rounds; how many dimensions a column has depends on its values, and for numbers
        on how many columns there are. Zeros for a row with every cell missing.

    Raises:
        ValueError: the columns have more than 32,768 dimensions together.
    """
    import polars as pl

    # Not a number is as good as missing.
    known = frame.with_columns(pl.selectors.float().fill_nan(None))
    missing = np.column_stack([column.is_null().to_numpy() for column in known])
    length = LENGTH / np.sqrt(known.width)
    parts: list[Grid] = []
    dimensions = 0
    for column, gaps in zip(known, missing.T, strict=True):
        part = _column(column, known.width)
        if gaps.any():
            part = np.column_stack([part, gaps])
        dimensions += part.shape[1]
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"the columns make more than {MOST_DIMENSIONS:,} dimensions")
        parts.append(np.rint(part * length).astype(np.int16))
    vectors = np.hstack(parts)
    vectors[missing.all(axis=1)] = 0
    return vectors


def _column(column: "pl.Series", columns: int) -> Floats:
    import polars as pl

    if column.dtype.is_numeric():
        numbers = column.cast(pl.Float64).to_numpy()
        if column.dtype.is_float() or not np.nanmax(np.abs(numbers), initial=0) > _EXACT:
            return _turns(numbers, columns)
    texts = column if column.dtype == pl.String else column.cast(pl.String)
    values = texts.unique(maintain_order=True).drop_nulls()
    plain = [normalise_text(value) for value in values.to_list()]
    order = sorted(set(plain))
    number = {text: i for i, text in enumerate(order)}
    table = pl.DataFrame({"text": values, "code": pl.Series([number[text] for text in plain], dtype=pl.Int64)})
    joined = pl.DataFrame({"text": texts}).join(table, on="text", how="left", maintain_order="left")
    code = joined["code"].fill_null(-1).to_numpy()
    made = _runs(order) if len(order) > _CATEGORIES else np.eye(len(order))
    # The last row, of zeros, is that of a missing cell.
    out: Floats = np.vstack([made, np.zeros((1, made.shape[1]))])[code]
    return out


def _turns(numbers: Floats, columns: int) -> Floats:
    """(n,) numbers, NaN for missing -> (n, 2 k) of unit length, zeros for missing."""
    known = ~np.isnan(numbers)
    count = int(np.log(1 / (_FINEST * columns)) / np.log(_FASTER))
    # Very many columns have room for one turn each, and a dimension for what is missing.
    count = max(1, min(count, (MOST_DIMENSIONS // columns - 1) // 2))
    speed = _FASTER ** np.arange(count)
    weight = np.sqrt(1 / speed / (1 / speed).sum())
    angle = _in_spreads(numbers[known])[:, None] * (_SLOWEST * speed)
    out = np.zeros((len(numbers), 2 * count))
    out[known] = np.hstack([weight * np.cos(angle), weight * np.sin(angle)])
    return out


def _in_spreads(values: Floats) -> Floats:
    """How many spreads values are above the median, evenly up to one spread and by the logarithm beyond."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.arcsinh(np.clip(values, -1, 1))
    largest = np.finfo(np.float64).max
    # Halved where a difference might overflow.
    scale = 0.5 if np.abs(finite).max() > largest / 4 else 1.0
    middle = 2 * float(np.median(finite / 2))
    # An infinite cell, beside a large middle, is no farther off than the largest number.
    with np.errstate(over="ignore"):
        away = np.clip(np.clip(values, -largest, largest) * scale - middle * scale, -largest, largest)
    apart = np.abs(away[np.isfinite(values) & (away != 0)])
    spread = float(np.median(apart / 2)) * 2 if len(apart) else 1.0
    with np.errstate(over="ignore"):
        return np.arcsinh(np.clip(away / max(spread, np.finfo(np.float64).tiny), -largest, largest))


def _runs(texts: list[str]) -> Floats:
    from sklearn.feature_extraction.text import HashingVectorizer

    runs = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=_RUNS, lowercase=False)
    made: Floats = runs.transform(texts).toarray()
    return made
