"""A table as it will be: changes lie over a file, and are put into it only when it is written."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.tablefile import NO_EDITS, NO_GROWTH, Edits, Growth, TableFile, put

if TYPE_CHECKING:
    import polars as pl

Texts = Mapping[int, str | None]
"""New cells of one column: record number -> text, None for an empty cell."""


class ChangedTable(TableFile):
    """A table with new texts of cells, appended records, new columns and some of its columns gone.

    Its records keep the numbers that they have in `base`; appended ones follow. It is seen as it would be if it were
    written and opened again, except that numbers, booleans and dates which do not suit their column, and are refused
    as it is written, leave the column as text.

    Args:
        base: the table that changes; if it is a changed one, its changes and these become one.
        edits: new texts of cells, also of appended records and of new columns; those of columns that go are ignored.
        growth: appended records, each at first what its template is in `base`, new columns, and columns that go.

    Attributes:
        base: the table on disk.
        edits: all that differs from it in the cells of its columns.
        growth: all that it lacks, and the columns of it that are gone.

    Raises:
        OutputError: a new column has no name or that of another one, or no column would be left.
        KeyError: a column that is edited, or that goes, is not there.
    """

    def __init__(self, base: TableFile, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH) -> None:
        base.staying(growth)
        first = base if isinstance(base, ChangedTable) else None
        self.base: TableFile = first.base if first else base
        self.path = base.path
        self.edits, self.growth = _composed(first, edits, growth)
        self.columns = (*self.base.staying(self.growth), *self.growth.columns)
        self._sources = self.growth.sources(self.base.records)
        self.records = len(self._sources)
        self.positions(list(self.edits))

    def texts(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as text; see `TableFile`."""
        import polars as pl

        names = [self.columns[i] for i in self.positions(columns)]
        old = self._gathered(self.base.texts, names)
        return pl.DataFrame([self._text_column(name, old.get(name))[0] for name in names])

    def typed(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell in the type of its column, as changed; see `TableFile`."""
        import polars as pl

        names = [self.columns[i] for i in self.positions(columns)]
        before = self._gathered(self.base.typed, names)
        old = self._gathered(self.base.texts, [name for name in names if name in self.edits])
        typed = []
        for name in names:
            if name in before and name not in self.edits:
                typed.append(before[name])
                continue
            texts, changed = self._text_column(name, old.get(name))
            typed.append(self.base.retype(texts, before.get(name), changed).alias(name))
        return pl.DataFrame(typed)

    def record_bytes(self) -> NDArray[np.int64]:
        """(records,) int64, about the bytes of each record; of an appended one those of its template.

        Cells of columns that go or are new count by their texts, or where columns are compressed together as an equal
        share each; other new cells count as those that they replace.
        """
        sizes = self.base.record_bytes()[self._sources]
        gone = [name for name in self.growth.without if name in self.base.columns]
        new = list(self.growth.columns)
        if any(self.base.overhead(name) is None for name in (*gone, *new)):
            return (sizes * len(self.columns) // max(len(self.base.columns), 1)).astype(np.int64)
        # One reading for all columns of a side: each parses the whole file.
        for table, names, sign in ((self.base, gone, -1), (self, new, 1)):
            for column in table.texts(names).get_columns() if names else ():
                lengths = column.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
                lengths = lengths + (self.base.overhead(column.name) or 0)
                sizes = sizes + sign * (lengths[self._sources] if sign < 0 else lengths)
        return np.maximum(sizes, 0)

    def keys(self, columns: Sequence[str] | None = None) -> NDArray[np.uint64]:
        """(records,) uint64; see `TableFile`. Where cells changed, by text."""
        if self._as_before(columns):
            return self.base.keys(self.columns if columns is None else columns)[self._sources]
        return self.texts(columns).hash_rows().to_numpy()

    def same(
        self, a: NDArray[np.int64], b: NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """(n,) bool; see `TableFile`. Where cells changed, by text."""
        if self._as_before(columns):
            return self.base.same(self._sources[a], self._sources[b], self.columns if columns is None else columns)
        equal = np.ones(len(a), dtype=np.bool_)
        for column in self.texts(columns).get_columns():
            equal &= column.gather(a).eq_missing(column.gather(b)).to_numpy()
        return equal

    def write(
        self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH
    ) -> int:
        """Write the records that stay, as the bytes they were but for what changed; see `TableFile`."""
        whole = ChangedTable(self, edits, growth) if edits or growth else self
        return self.base.write(rows, destination, whole.edits, whole.growth)

    def reread(self, texts: "pl.Series", column: str | None) -> "pl.Series":
        """The texts; see `TableFile`."""
        return self.base.reread(texts, None if column in self.growth.columns else column)

    def retype(self, texts: "pl.Series", before: "pl.Series | None", changed: NDArray[np.int64]) -> "pl.Series":
        """The values; see `TableFile`."""
        return self.base.retype(texts, before, changed)

    def _as_before(self, columns: Sequence[str] | None) -> bool:
        """Whether every record has in these columns the cells that it, or its template, has on disk."""
        names = self.columns if columns is None else columns
        return not any(name in self.edits or name in self.growth.columns for name in names)

    def _gathered(
        self, read: Callable[[Sequence[str]], "pl.DataFrame"], names: Sequence[str]
    ) -> "dict[str, pl.Series]":
        """Columns of the table on disk, as far as it has them, and behind its records the templates."""
        there = [name for name in names if name not in self.growth.columns]
        if not there:
            return {}
        frame = read(there)
        if len(self.growth.template):
            frame = frame.vstack(frame[self.growth.template]).rechunk()
        return {column.name: column for column in frame.get_columns()}

    def _text_column(self, name: str, old: "pl.Series | None") -> "tuple[pl.Series, NDArray[np.int64]]":
        """A column as text, and the numbers of its new cells; `old` is what it is on disk, None for a new one."""
        import polars as pl

        column = name if old is not None else None
        if old is None:
            old = pl.repeat(None, self.records, dtype=pl.String, eager=True).alias(name)
        texts = (self.growth.columns if column is None else self.edits).get(name, {})
        changed = np.fromiter(texts, dtype=np.int64, count=len(texts))
        cells = pl.Series(name, list(texts.values()), dtype=pl.String)
        return put(old, changed, self.base.reread(cells, column)) if texts else old, changed


def _composed(first: ChangedTable | None, edits: Edits, growth: Growth) -> tuple[dict[str, Texts], Growth]:
    """Changes of a table, and then these, as changes of the table on disk."""
    template = np.asarray(growth.template, dtype=np.int64)
    old: dict[str, Texts] = {}
    new: dict[str, Texts] = {}
    gone = growth.without
    if first is not None:
        old = {name: _inherited(texts, template, first.records) for name, texts in first.edits.items()}
        new = {name: _inherited(texts, template, first.records) for name, texts in first.growth.columns.items()}
        template = np.concatenate([first.growth.template, first._sources[template]])
        gone = (*first.growth.without, *(name for name in gone if name not in new))
    for name in growth.without:
        # A column that was added goes without a trace; one of its name may come after it.
        old.pop(name, None)
        new.pop(name, None)
    new |= growth.columns
    for name, texts in edits.items():
        if name in growth.without and name not in new:
            continue
        side = new if name in new else old
        side[name] = {**side[name], **texts} if name in side else texts
    return {name: texts for name, texts in old.items() if texts}, Growth(template, new, gone)


def _inherited(texts: Texts, template: NDArray[np.int64], records: int) -> Texts:
    """New cells of a column, and those that appended records have of their templates."""
    heirs = {records + i: texts[number] for i, number in enumerate(template.tolist()) if number in texts}
    return {**texts, **heirs} if heirs else texts
