"""A table as a dataset: a record is a sample."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.fingerprint import fingerprint, signature
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.tables import TableFile


@dataclass(frozen=True, eq=False)
class TableSource:
    """The records of one table file.

    Attributes:
        path: INPUT as typed.
        file: the table.
        id_column: the column whose cells name the samples; without one, a sample's id is its record number, the
            first after the header being 0.
        set_aside: columns that are no features: label, split and id.
        label: the column of labels.
        place: the file of this machine, if `path` is an URL.
        stamp: of the object there.
    """

    path: str
    file: TableFile
    id_column: str | None = None
    set_aside: tuple[str, ...] = ()
    kind: str = "row"
    label: str | None = None
    place: str | None = None
    stamp: str | None = None

    @property
    def local(self) -> str:
        """The file of this machine that has the records."""
        return self.place or self.path

    @property
    def layout(self) -> str:
        """The format, in words."""
        return f"{os.path.splitext(self.path)[1].lstrip('.').upper()} table"

    @property
    def features(self) -> list[str]:
        """The columns that describe a sample."""
        return [name for name in self.file.columns if name not in self.set_aside]

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Record numbers, or the cells of the id column."""
        if self.id_column is None:
            import polars as pl

            names: list[str] = pl.Series(rows).cast(pl.String).to_list()
            return names
        cells = self.file.texts([self.id_column]).to_series()
        return ["" if cell is None else str(cell) for cell in cells.gather(rows).to_list()]

    def sizes(self) -> NDArray[np.int64]:
        """(n,) bytes of each record."""
        return self.file.record_bytes()

    def causes(self) -> Mapping[int, str]:
        """None: a table that can be read has no unreadable records."""
        return {}

    def facts(self) -> Mapping[str, Any]:
        """The columns."""
        return {"columns": list(self.file.columns)}

    def fingerprint(self) -> str:
        """A digest of the file's bytes."""
        return fingerprint(self.local)

    def signature(self) -> str:
        """A digest of the file's size and time."""
        if self.stamp is not None:
            return self.stamp
        status = os.stat(self.path)
        return signature([Entry(os.path.basename(self.path), status.st_size, status.st_mtime_ns)])

    def write(self, rows: NDArray[np.int64], destination: str, link: str) -> int:
        """Write the header and the kept records, as the bytes they were."""
        written = self.file.write(rows, destination)
        if self.place is None:
            os.chmod(destination, os.stat(self.path).st_mode & 0o777)
        return written
