"""What every table file can do, whatever its format."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import OutputError

if TYPE_CHECKING:
    import polars as pl

MAX_COLUMNS = 100_000
MAX_HEADER_BYTES = 64 * 2**20

Edits = Mapping[str, Mapping[int, str | None]]
"""New cell texts: column -> {record number: text, or None for an empty cell}."""

NO_EDITS: Edits = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Growth:
    """What a table gets that it had not, records and columns, and which of its columns go.

    Attributes:
        template: (m,) for each appended record the number of the record that it is a copy of, before its edits.
            Appended record i has the number ``records + i``, in edits and new columns too.
        columns: the new columns, in order; records that are not named have an empty cell. They may have names of
            columns that go.
        without: the columns that go.
    """

    template: Sequence[int] | NDArray[np.int64] = ()
    columns: Edits = field(default_factory=lambda: NO_EDITS)
    without: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return len(self.template) > 0 or len(self.columns) > 0 or len(self.without) > 0

    def sources(self, records: int) -> NDArray[np.int64]:
        """(records + m,) int64, for each record the one that its bytes are taken from."""
        return np.concatenate([np.arange(records), np.asarray(self.template, dtype=np.int64)])


NO_GROWTH = Growth()


@dataclass(frozen=True)
class TableFormat:
    """How to read a table of text; None means: find out.

    Attributes:
        encoding: a Python codec name, ``utf-8`` (a byte order mark is accepted) unless given; otherwise one
            byte must stand for one character and ASCII for itself, as in ``latin-1`` or ``cp1252``.
        delimiter: the one character between two cells of a CSV; one of ``, ; | tab`` is recognised.
        header: whether the first record of a CSV names the columns; ``auto`` refuses a first record that
            looks like data.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: Literal["auto", "first-row", "none"] = "auto"


class TableFile(ABC):
    """A table on disk, opened for reading; its records are numbered from 0 in the order of the file.

    Attributes:
        path: the file, as it was given.
        columns: the column names, unique and not empty, in the order of the file.
        records: the number of records.
    """

    path: str
    columns: tuple[str, ...]
    records: int

    @abstractmethod
    def texts(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as text (String), (records, columns); an empty CSV cell, quoted or not, is null."""

    @abstractmethod
    def typed(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as number, boolean, date or text, (records, columns), a dtype each column.

        The dtype is found from all records: one odd cell leaves its column as text.
        """

    @abstractmethod
    def record_bytes(self) -> NDArray[np.int64]:
        """(records,) int64, the bytes each record takes in the file, its line end included."""

    def overhead(self, column: str) -> int | None:
        """Bytes that a cell takes besides its text; None where columns are compressed together."""
        return 1

    @abstractmethod
    def keys(self, columns: Sequence[str] | None = None) -> NDArray[np.uint64]:
        """(records,) uint64, a hash of each record's cells in `columns` (default: all).

        Equal cells have equal hashes. Hashes are comparable within one file and one choice of columns only,
        and not between versions of the libraries, so they must not be stored.
        """

    @abstractmethod
    def same(
        self, a: NDArray[np.int64], b: NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """(n,) bool, whether records `a[i]` and `b[i]` have equal cells in `columns` (default: all)."""

    @abstractmethod
    def write(
        self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH
    ) -> int:
        """Write the records that stay, changed only where it is said, and appended ones to a new file.

        Args:
            rows: (k,) int64, the record numbers that stay, appended ones among them, ascending.
            destination: a path that does not exist yet.
            edits: new texts of cells; those of records that do not stay, and of columns that go, are ignored.
            growth: records and columns that the file lacks, and columns that it is to lack.

        Returns:
            The bytes written.

        Raises:
            OutputError: an edit cannot be expressed in the file's encoding or the column's type, a new column
                has no name or that of another one, or no column would be left.
            KeyError: a column that is edited, or that goes, is not there.
            OSError: the destination exists or cannot be written.
        """

    @abstractmethod
    def reread(self, texts: "pl.Series", column: str | None) -> "pl.Series":
        """The texts, String, that `texts` will give for new cells once they are written.

        Args:
            texts: (k,) String, the new cells.
            column: their column; None for all cells of a new one.
        """

    def retype(self, texts: "pl.Series", before: "pl.Series | None", changed: NDArray[np.int64]) -> "pl.Series":
        """The values that `typed` will give for a column once its new cells are written.

        Here: the new cells as values of the dtype that the column has, and all as texts where one is none.

        Args:
            texts: (n,) String, all cells of the column, new ones among them.
            before: (n,) the values it had; None for a new column.
            changed: (k,) int64, where the new cells are.
        """
        import polars as pl

        if before is None:
            return texts
        try:
            return put(before, changed, parse_cells(texts.gather(changed), before.dtype))
        except pl.exceptions.PolarsError:
            return texts

    def staying(self, growth: Growth) -> list[str]:
        """The columns that do not go, in their order, once it is checked that a growth is possible.

        Raises:
            OutputError: a new column has no name, or there is such a column already; or no column would be left.
            KeyError: a column that goes is not there.
        """
        self.positions(growth.without)
        gone = set(growth.without)
        kept = [name for name in self.columns if name not in gone] if gone else list(self.columns)
        taken = set(kept)
        for name in growth.columns:
            if not name or name in taken:
                raise OutputError(
                    f"{self.path}: the new column {name!r} "
                    + ("cannot be named so: there is one of this name" if name else "has no name")
                )
        if not kept and not growth.columns:
            raise OutputError(f"{self.path}: every column would go; a table needs at least one")
        return kept

    def positions(self, columns: Sequence[str] | None) -> list[int]:
        """Where the given columns stand in the file; all of them for None.

        Raises:
            KeyError: there is no such column.
        """
        if columns is None:
            return list(range(len(self.columns)))
        place = {name: i for i, name in enumerate(self.columns)}
        return [place[name] for name in columns]


def edited_rows(rows: NDArray[np.int64], edits: Iterable[Mapping[int, str | None]], records: int) -> NDArray[np.int64]:
    """Those of the rows that have a new cell.

    Args:
        rows: (k,) int64, the record numbers that stay.
        edits: the new cells of each edited column.
        records: the number of records, appended ones among them.
    """
    edited = np.zeros(records, dtype=np.bool_)
    for texts in edits:
        edited[np.fromiter(texts, dtype=np.int64, count=len(texts))] = True
    return rows[edited[rows]]


def put(column: "pl.Series", places: NDArray[np.int64], values: "pl.Series") -> "pl.Series":
    """The column with other values, of its dtype, in some (k,) places."""
    import polars as pl

    if len(places) == 0:
        return column
    source = np.zeros(len(column), dtype=np.int64)
    untouched = np.ones(len(column), dtype=np.bool_)
    source[places] = np.arange(len(places))
    untouched[places] = False
    return column.zip_with(pl.Series(untouched), values.gather(source).alias(column.name))


def parse_cells(texts: "pl.Series", dtype: "pl.DataType") -> "pl.Series":
    """Texts as values of a dtype.

    Raises:
        polars.exceptions.PolarsError: one is no such value.
    """
    import polars as pl

    if isinstance(dtype, pl.Boolean):
        lower = texts.str.to_lowercase()
        return lower.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
    if isinstance(dtype, pl.Date):
        return texts.str.to_date("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return texts.str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit=dtype.time_unit)
    return texts.cast(dtype)
