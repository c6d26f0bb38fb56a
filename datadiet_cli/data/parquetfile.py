"""Parquet: read and written by polars, dtypes and metadata kept."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.data.tablefile import NO_EDITS, Edits, TableFile
from datadiet_cli.errors import InputError, OutputError

if TYPE_CHECKING:
    import polars as pl

_OWN_METADATA = "ARROW:schema"  # polars writes its own


class ParquetFile(TableFile):
    """A Parquet file.

    Args:
        path: the file.

    Raises:
        InputError: the file is no Parquet, damaged, or has no columns.
        OSError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        import polars as pl

        self.path = path
        self._size = os.stat(path).st_size
        if self._size == 0:
            raise InputError(f"{path}: the file is empty")
        with self._readable(), open(path, "rb") as file:
            self.columns = tuple(pl.read_parquet_schema(file))
            file.seek(0)
            self.records = pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()
        if not self.columns:
            raise InputError(f"{path}: has no columns")

    def texts(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as text; see `TableFile`.

        Lists and structs are JSON; bytes that are no text are hexadecimal.
        """
        frame = self.typed(columns)
        return frame.with_columns([_texts(column) for column in frame.get_columns()])

    def typed(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell in the type that the file gives its column; see `TableFile`.

        Raises:
            InputError: the file is damaged.
        """
        import polars as pl

        names = [self.columns[i] for i in self.positions(columns)]
        with self._readable(), open(self.path, "rb") as file:
            return pl.read_parquet(file, columns=names, hive_partitioning=False).select(names)

    def record_bytes(self) -> NDArray[np.int64]:
        """(records,) int64, an equal share of the file each: columns are compressed together.

        The shares add up to the size of the file.
        """
        if not self.records:
            return np.empty(0, dtype=np.int64)
        return np.diff(np.arange(self.records + 1, dtype=np.int64) * self._size // self.records)

    def keys(self, columns: Sequence[str] | None = None) -> NDArray[np.uint64]:
        """(records,) uint64; see `TableFile`. By typed value: NaN equals NaN, null equals null."""
        return self.typed(columns).hash_rows().to_numpy()

    def same(
        self, a: NDArray[np.int64], b: NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """(n,) bool; see `TableFile`. By typed value: NaN equals NaN, null equals null."""
        equal = np.ones(len(a), dtype=np.bool_)
        for name in self.columns if columns is None else columns:
            column = self.typed([name]).to_series()
            equal &= column.gather(a).eq_missing(column.gather(b)).to_numpy()
        return equal

    def write(self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS) -> int:
        """Write the records that stay with the same columns, dtypes and key-value metadata.

        See `TableFile`. The file is copied as it is if all records stay and no cell changes; otherwise it is
        compressed anew (zstd), as its encodings and row groups cannot be cut.
        """
        import polars as pl

        staying = _staying(edits, rows)
        if len(rows) == self.records and not staying:
            with open(self.path, "rb") as source, open(destination, "xb") as target:
                shutil.copyfileobj(source, target)
                return target.tell()
        with self._readable(), open(self.path, "rb") as source:
            metadata = pl.read_parquet_metadata(source)
        metadata.pop(_OWN_METADATA, None)
        frame = self.typed()
        frame = frame.with_columns([self._edited(frame[name], texts) for name, texts in staying.items()])[rows]
        with open(destination, "xb") as target:
            frame.write_parquet(target, metadata=metadata)
            return target.tell()

    def _edited(self, column: "pl.Series", texts: Mapping[int, str | None]) -> "pl.Series":
        import polars as pl

        try:
            values = _parse(pl.Series(list(texts.values()), dtype=pl.String), column.dtype)
        except pl.exceptions.PolarsError:
            raise OutputError(
                f"{self.path}: column {column.name!r} holds {column.dtype}; a new cell is no such value: "
                + ", ".join(repr(text) for text in list(texts.values())[:3])
            ) from None
        places = np.zeros(len(column), dtype=np.int64)
        untouched = np.ones(len(column), dtype=np.bool_)
        numbers = np.fromiter(texts, dtype=np.int64, count=len(texts))
        places[numbers] = np.arange(len(texts))
        untouched[numbers] = False
        return column.zip_with(pl.Series(untouched), values.gather(places).alias(column.name))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        import polars as pl

        try:
            # A damaged file makes the library's Rust core panic, which prints before it raises.
            with quiet_libraries():
                yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"{self.path}: cannot be read as Parquet: {reason}") from error


def _staying(edits: Edits, rows: NDArray[np.int64]) -> dict[str, dict[int, str | None]]:
    """The edits of records that stay."""
    if not edits:
        return {}
    kept = set(rows.tolist())
    chosen = {name: {row: text for row, text in texts.items() if row in kept} for name, texts in edits.items()}
    return {name: texts for name, texts in chosen.items() if texts}


def _parse(texts: "pl.Series", dtype: "pl.DataType") -> "pl.Series":
    """Texts as values of a dtype; a polars error if one is none."""
    import polars as pl

    if isinstance(dtype, pl.Boolean):
        lower = texts.str.to_lowercase()
        return lower.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
    if isinstance(dtype, pl.Date):
        return texts.str.to_date("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return texts.str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit=dtype.time_unit)
    return texts.cast(dtype)


def _texts(column: "pl.Series") -> "pl.Series":
    import polars as pl

    kind = column.dtype
    if kind == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return column.bin.encode("hex")
    if kind.is_nested() or kind == pl.Duration:
        if "Binary" in str(kind) or kind == pl.Object:
            return pl.Series(column.name, [None if v is None else str(v) for v in column.to_list()], dtype=pl.String)
        # polars writes JSON of structs only: {"v":...}
        json = pl.DataFrame([column.alias("v")]).select(pl.struct("v").struct.json_encode()).to_series()
        texts = json.str.slice(5).str.head(-1).alias(column.name)
        return texts.zip_with(column.is_not_null(), pl.Series(column.name, [None], dtype=pl.String))
    return column.cast(pl.String)
