"""What every table file can do, whatever its format."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

MAX_COLUMNS = 100_000
MAX_HEADER_BYTES = 64 * 2**20

Edits = Mapping[str, Mapping[int, str | None]]
"""New cell texts: column -> {record number: text, or None for an empty cell}."""

NO_EDITS: Edits = MappingProxyType({})


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
    def write(self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS) -> int:
        """Write the records that stay, and nothing but their edited cells changed, to a new file.

        Args:
            rows: (k,) int64, the record numbers that stay, ascending.
            destination: a path that does not exist yet.
            edits: new texts of cells; those of records that do not stay are ignored.

        Returns:
            The bytes written.

        Raises:
            OutputError: an edit cannot be expressed in the file's encoding or the column's type.
            OSError: the destination exists or cannot be written.
        """

    def positions(self, columns: Sequence[str] | None) -> list[int]:
        """Where the given columns stand in the file; all of them for None.

        Raises:
            KeyError: there is no such column.
        """
        if columns is None:
            return list(range(len(self.columns)))
        place = {name: i for i, name in enumerate(self.columns)}
        return [place[name] for name in columns]
