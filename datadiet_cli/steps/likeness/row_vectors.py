"""Vectors of the rows of tables."""

from typing import TYPE_CHECKING, cast

import numpy as np

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.texts import Documents
from datadiet_cli.encode.vectors import choose
from datadiet_cli.encode.vectors.making import Vectors
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.vectors import of_cells

if TYPE_CHECKING:
    import polars as pl

WORDS = 5
"""On average, in the cells of a column of free text."""


def vectors_of_rows(pool: Pool, settings: Dedup, columns: list[str], context: Context) -> Vectors:
    """The vectors of all rows.

    Raises:
        ConfigError: there is no such encoder for rows, or the columns do not fit it.
        MissingExtraError: the encoder is not installed.
    """
    name = encoder_of_rows(pool, settings, columns)
    n = len(pool)
    causes, plain = np.full(n, None, dtype=object), np.zeros(n, dtype=np.uint64)
    if not columns:
        return Vectors(np.zeros((n, 1), dtype=np.int16), causes, plain, 1.0)
    if name == "classical":
        from datadiet_cli.encode.vectors.classical_rows import SIMILARITY, row_vectors

        try:
            vectors = row_vectors(_values(pool, columns))
        except ValueError as error:
            raise ConfigError(f"dedup: {error}; name fewer with --columns") from None
        return Vectors(vectors, causes, plain, SIMILARITY)
    return of_cells(cast(Documents, _words(pool, settings, columns)), name, context, "dedup")


def encoder_of_rows(pool: Pool, settings: Dedup, columns: list[str]) -> str:
    """The name of the encoder: for ``auto`` minilm where all columns that are compared are free text, else classical.

    Raises:
        ConfigError: there is none of this name for rows.
    """
    if settings.encoder == "auto" and columns and _free_text(pool, columns):
        return "minilm"
    return choose("row", settings.encoder)


def _free_text(pool: Pool, columns: list[str]) -> bool:
    """Whether all columns hold sentences rather than names, codes and categories."""
    import polars as pl

    from datadiet_cli.encode.kinds import kind_of

    typed = pool.cells(columns, "typed")
    if any(column.dtype != pl.String for column in typed):
        return False
    for column in typed:
        words = column.drop_nulls().str.count_matches(r"\S+").mean()
        if not words or float(cast(float, words)) < WORDS or kind_of(column, column) != "text":
            return False
    return True


def _values(pool: Pool, columns: list[str]) -> "pl.DataFrame":
    """Numbers, booleans and texts; of all else, such as lists and times, what it says as text."""
    import polars as pl

    frame = pool.cells(columns, "typed")
    plain = pl.selectors.numeric() | pl.selectors.boolean() | pl.selectors.string()
    others = frame.select(~plain).columns
    return frame.with_columns(pool.cells(others, "texts").get_columns()) if others else frame


def _words(pool: Pool, settings: Dedup, columns: list[str]) -> "pl.DataFrame":
    """The columns to read: those that are named, or all that are text."""
    import polars as pl

    if settings.columns:
        return pool.cells(columns, "texts")
    frame = pool.cells(columns, "typed").select(pl.selectors.string())
    if not frame.width:
        raise ConfigError(
            f"dedup: encoder {settings.encoder} reads texts, and {pool.dataset.source.path} has no column of text; "
            "choose --encoder classical, or name columns with --columns"
        )
    return frame
