"""Copies among rows: equal cells, or values that are equal within a tolerance."""

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.rows import encode_rows
from datadiet_cli.errors import ConfigError
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.methods.duplicates import Candidates, Ints
from datadiet_cli.methods.rows import close_pairs, relative_gap
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measure, Measured
from datadiet_cli.steps.likeness.pool import Pool, table_of


def by_cells(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal rows: the same text in every cell that counts."""
    columns = columns_of(pool, settings)
    better = row_preference(pool, columns, settings)
    causes = np.full(len(pool), None, dtype=object)
    if pool.others:
        node, measure = _by_texts(pool, columns, context)
        return Likeness(Candidates(node, NO_EDGES), measure, 0.0, better, causes)
    file, rows = table_of(pool.dataset).file, pool.dataset.rows
    node = numbered(file.keys(columns)[rows], context.engine, shared_only=True)

    def by_file(a: Ints, b: Ints) -> Measured:
        return Measured.of(np.where(file.same(rows[a], rows[b], columns), 0.0, np.nan))

    return Likeness(Candidates(node, NO_EDGES), by_file, 0.0, better, causes)


def _by_texts(pool: Pool, columns: list[str], context: Context) -> tuple[Ints, Measure]:
    """Across several tables a cell is what its text says; keys of one file mean nothing in another."""
    frame = pool.cells(columns, "texts")
    node = numbered(frame.hash_rows(seed=0).to_numpy(), context.engine, shared_only=True)

    def measure(a: Ints, b: Ints) -> Measured:
        same = np.ones(len(a), dtype=bool)
        for column in frame:
            same &= column[a].eq_missing(column[b]).to_numpy()
        return Measured.of(np.where(same, 0.0, np.nan))

    return node, measure


def by_values(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Nearly equal rows: numbers within the tolerance, everything else equal after normalisation."""
    columns = columns_of(pool, settings)
    numbers, words = encode_rows(pool.cells(columns, "typed"))
    # Rows of equal values share a node, so that many copies of one row do not meet each other pair by pair.
    node = numbered(
        np.column_stack([np.nan_to_num(numbers, nan=np.inf) + 0.0, words.astype(np.float64)]), context.engine
    )
    first = np.unique(node, return_index=True)[1]
    edges = close_pairs(numbers[first], words[first], settings.tolerance)

    def measure(a: Ints, b: Ints) -> Measured:
        return Measured.of(relative_gap(numbers[a], numbers[b]))

    better = row_preference(pool, columns, settings)
    causes = np.full(len(pool), None, dtype=object)
    return Likeness(Candidates(node, edges), measure, settings.tolerance, better, causes, threshold_name="tolerance")


def columns_of(pool: Pool, settings: Dedup) -> list[str]:
    """The columns to compare rows on.

    Raises:
        ConfigError: there are none.
        InputError: a table has no such column.
    """
    columns = list(dict.fromkeys(settings.columns or pool.features))
    if not columns:
        raise ConfigError(
            f"dedup: {pool.dataset.source.path} has no column to compare, since label, split and id do not count; "
            "name some with --columns"
        )
    pool.require(columns)
    return columns


def row_preference(
    pool: Pool, columns: list[str], settings: Dedup, *, compared: bool = False
) -> list[NDArray[np.generic]]:
    """The number of missing cells, where the largest row is preferred.

    Args:
        pool: the rows.
        columns: those that are compared.
        settings: with `prefer`.
        compared: whether the compared columns may differ in what they miss, too; where copies miss the same cells,
            only the other columns can tell.
    """
    others = [name for name in pool.features if compared or name not in columns]
    if settings.prefer != "largest" or not others:
        return []
    own = pool.dataset
    frame = table_of(own).file.texts(others)[own.rows]
    missing = np.zeros(len(pool), dtype=np.int64)
    missing[: len(own)] = np.column_stack([column.is_null().to_numpy() for column in frame]).sum(axis=1)
    return [missing]
