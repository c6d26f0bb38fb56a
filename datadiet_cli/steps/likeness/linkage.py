"""Copies among rows that describe one thing in different words: record linkage by sorted neighbourhood."""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import require_column
from datadiet_cli.encode.columns import encode_column
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.linkage import Agreement, Field, agreement, own_bits
from datadiet_cli.methods.neighbourhood import second_hand, sorted_order, window_pairs
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import Likeness, Measured
from datadiet_cli.steps.likeness.pool import Pool, table_of
from datadiet_cli.steps.likeness.rows import columns_of, row_preference

SIMILARITY = 0.5
"""The least similarity where the settings name none; chosen on the tables of Febrl (precision 1 down to 0.35)."""
BEYOND = 0.1
"""How far below the least similarity pairs are kept, for the report's closest calls."""
PASSES = 6
"""Columns that are sorted by where the settings name none."""
TIES = 2
"""Further columns that settle the order of rows with equal keys."""
DEGREE = 10
"""Rows with more copies than this bring nobody else together."""
ENDING = 32
"""Letters from their end that texts are sorted by."""
GLANCE = 0.75
"""Pairs are compared in full if the cells that are quite equal are worth this share of log2(rows)."""
BATCH = 1 << 18
"""Pairs that are collected before they are compared in full."""


def by_sorted_neighbourhood(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Rows that describe one thing, though cells differ by slips of the pen or are missing.

    Raises:
        ConfigError: there is no column to compare.
        InputError: a table lacks a named column.
    """
    columns = columns_of(pool, settings)
    _require_keys(pool, settings)
    fields = _fields(pool, columns, context)
    keys = [_reading(pool, columns, fields, name) for name in settings.sort_by or ()] or _telling(fields)
    similarity = settings.similarity or SIMILARITY
    node, first = _nodes(fields, len(pool))
    rows = _Rows(fields, keys, first, len(pool), context)
    edges, compared = rows.link(settings.window, similarity)

    def measure(a: Ints, b: Ints) -> Measured:
        found = agreement(fields, a, b, context.engine.workers)
        enough = ((node[a] == node[b]) & (node[a] != ALONE)) | found.enough(len(pool))
        return Measured.of(np.where(enough, 1.0 - found.similarity, np.nan))

    return Likeness(
        Candidates(node, edges),
        measure,
        1.0 - similarity,
        row_preference(pool, columns, settings, compared=True),
        np.full(len(pool), None, dtype=object),
        threshold_name="similarity",
        similar=True,
        metrics={"pairs_compared": compared},
    )


def _require_keys(pool: Pool, settings: Dedup) -> None:
    for number, part in enumerate(pool.parts):
        source = table_of(part)
        for column in settings.sort_by or ():
            require_column(source.path, "--against: column" if number else "--sort-by", column, source.file.columns)


def _fields(pool: Pool, columns: list[str], context: Context) -> list[Field]:
    tell = context.progress("reading columns", len(columns))
    frame = pool.cells(columns, "texts")
    fields = []
    for name in columns:
        fields.append(Field(*encode_column(frame[name])))
        tell(1)
    return fields


def _reading(pool: Pool, columns: list[str], fields: list[Field], name: str) -> Field:
    """A column to sort by, whether it is compared or not."""
    if name in columns:
        return fields[columns.index(name)]
    return Field(*encode_column(pool.cells([name], "texts")[name]))


def _telling(fields: list[Field]) -> list[Field]:
    """The columns that tell rows apart best: by what agreement in them is worth, where they are known."""
    told = [-field.mean_bits * field.known for field in fields]
    return [fields[i] for i in np.argsort(told, kind="stable")[:PASSES].tolist() if told[i] < 0]


def _nodes(fields: list[Field], n: int) -> tuple[Ints, Ints]:
    """A node for rows that are equal, and the first row of each.

    A row with gaps and without enough in its other cells takes no part: that nobody contradicts it proves nothing.
    """
    node = np.full(n, ALONE, dtype=np.int64)
    if not n:
        return node, np.empty(0, dtype=np.int64)
    codes = np.stack([field.code for field in fields], axis=1)
    filled = codes[:, [field.known > 0 for field in fields]]
    whole = (filled >= 0).all(axis=1) & (filled.shape[1] > 0)
    part = np.flatnonzero(whole | (own_bits(fields) >= np.log2(n)))
    node[part] = distinct(codes[part])
    return node, part[np.unique(node[part], return_index=True)[1]]


class _Rows:
    """One row for each node, and how they are linked."""

    def __init__(self, fields: list[Field], keys: list[Field], first: Ints, total: int, context: Context) -> None:
        self.fields, self.first, self.total, self.context = fields, first, total, context
        seen = [field.glance(first) for field in fields]
        shape = (len(fields), len(first))
        self.codes = np.array([code for code, _ in seen], dtype=np.int64).reshape(shape)
        self.bits = np.array([bits for _, bits in seen], dtype=np.float32).reshape(shape)
        self.keys, self.compared = keys, 0

    def link(self, window: int, similarity: float) -> tuple[Ints, int]:
        """Edges (e, 2) between nodes that are similar enough or nearly so, and how many pairs were looked at."""
        tell = self.context.progress("comparing neighbours", sum(1 + (key.kind == "text") for key in self.keys))
        found = [np.empty(0, dtype=np.int64)]
        least = GLANCE * np.log2(max(self.total, 2))
        for keys in _passes(self.keys, self.first):
            near: list[Ints] = []
            order = sorted_order(keys)
            for pairs in window_pairs(self.codes, self.bits, order, least, window):
                near.append(pairs)
                if sum(map(len, near)) >= BATCH:
                    found.append(self._similar(np.concatenate(near), similarity))
                    near = []
            found.append(self._similar(np.concatenate(near), similarity) if near else found[0])
            tell(1)
        edges = self._pairs(np.unique(np.concatenate(found)))
        more = self._similar(second_hand(edges, DEGREE), similarity)
        return np.concatenate([edges, self._pairs(more)]), self.compared

    def _similar(self, pairs: Ints, similarity: float) -> Ints:
        n = len(self.first)
        keys = np.unique(pairs.min(axis=1) * n + pairs.max(axis=1))
        a, b = self.first[keys // n], self.first[keys % n]
        found: Agreement = agreement(self.fields, a, b, self.context.engine.workers)
        self.compared += len(keys)
        return keys[(found.similarity >= similarity - BEYOND) & found.enough(self.total)]

    def _pairs(self, keys: Ints) -> Ints:
        n = max(len(self.first), 1)
        return np.stack([keys // n, keys % n], axis=1)


def _passes(keys: list[Field], rows: Ints) -> Iterator[list[NDArray[np.int64]]]:
    """What to sort by: each key, ties by the next two; texts from their end, too."""
    for place, key in enumerate(keys):
        ties = [other.code[rows] for other in keys[:place] + keys[place + 1 :]][:TIES]
        yield [key.code[rows], *ties]
        if key.kind == "text":
            ends = [value[: -ENDING - 1 : -1] for value in key.values]
            back = np.argsort(sorted(range(len(ends)), key=ends.__getitem__))
            code = key.code[rows]
            yield [np.where(code >= 0, back[code], -1), *ties]
