"""Copies among rows: equal cells, or values that are equal within a tolerance."""

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.rows import encode_rows
from datadiet_cli.methods.duplicates import Candidates, Ints, distinct
from datadiet_cli.methods.rows import close_pairs, relative_gap
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness


def by_cells(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal rows: the same text in every cell that counts."""
    source, columns = _table(dataset, settings)
    keys = source.file.keys(columns)[dataset.rows]
    node = distinct(keys, shared_only=True)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        return np.where(source.file.same(dataset.rows[a], dataset.rows[b], columns), 0.0, np.nan)

    causes = np.full(len(dataset), None, dtype=object)
    return Likeness(Candidates(node, NO_EDGES), accept, 0.0, _preference(dataset, source, columns, settings), causes)


def by_values(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Nearly equal rows: numbers within the tolerance, everything else equal after normalisation."""
    source, columns = _table(dataset, settings)
    frame = source.file.typed(columns)[dataset.rows]
    numbers, words = encode_rows(frame)
    # Rows of equal values share a node, so that many copies of one row do not meet each other pair by pair.
    node = distinct(np.column_stack([np.nan_to_num(numbers, nan=np.inf) + 0.0, words.astype(np.float64)]))
    first = np.unique(node, return_index=True)[1]
    edges = close_pairs(numbers[first], words[first], settings.tolerance)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        gap = relative_gap(numbers[a], numbers[b])
        return np.where(gap <= settings.tolerance, gap, np.nan)

    better = _preference(dataset, source, columns, settings)
    causes = np.full(len(dataset), None, dtype=object)
    return Likeness(Candidates(node, edges), accept, settings.tolerance, better, causes)


def _table(dataset: Dataset, settings: Dedup) -> tuple[TableSource, list[str]]:
    source = dataset.source
    assert isinstance(source, TableSource)  # noqa: S101 - FINDERS sends only tables here
    for column in settings.columns or ():
        require_column(source.path, "--columns", column, source.file.columns)
    return source, list(settings.columns or source.features)


def _preference(
    dataset: Dataset, source: TableSource, columns: list[str], settings: Dedup
) -> list[NDArray[np.generic]]:
    """The number of missing cells, where the largest row is preferred.

    Rows that are copies miss the same cells of the compared columns, so only the other columns can tell.
    """
    others = [name for name in source.features if name not in columns]
    if settings.prefer != "largest" or not others:
        return []
    frame = source.file.texts(others)[dataset.rows]
    return [np.column_stack([column.is_null().to_numpy() for column in frame]).sum(axis=1)]
