"""Parquet: read and written by polars, dtypes and metadata kept."""

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.infer import infer_column
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.data.tablefile import NO_EDITS, NO_GROWTH, Edits, Growth, TableFile, parse_cells, put
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
            self._schema = pl.read_parquet_schema(file)
            self.columns = tuple(self._schema)
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

    def overhead(self, column: str) -> int | None:
        """Nothing can be told of a cell; see `TableFile`."""
        return None

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

    def write(
        self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH
    ) -> int:
        """Write the records that stay with the same columns, dtypes and key-value metadata.

        See `TableFile`. The file is copied as it is if all records stay and nothing changes; otherwise it is
        compressed anew (zstd), as its encodings and row groups cannot be cut. What pandas and Hugging Face tell in the
        metadata of columns that go is left out. New columns are Float64 if all their texts are numbers, else String.
        """
        import polars as pl

        kept = self.staying(growth)
        self.positions(list(edits))
        sources = growth.sources(self.records)
        there = {name: _staying(texts, rows, sources) for name, texts in edits.items() if name not in growth.without}
        staying = {name: cells for name, cells in there.items() if len(cells[0])}
        if len(rows) == self.records and not staying and not growth:
            with open(self.path, "rb") as source, open(destination, "xb") as target:
                shutil.copyfileobj(source, target)
                return target.tell()
        with self._readable(), open(self.path, "rb") as source:
            metadata = pl.read_parquet_metadata(source)
        metadata.pop(_OWN_METADATA, None)
        if growth.without:
            metadata = _narrowed(metadata, frozenset(growth.without))
        frame = self.typed(kept)[sources[rows]] if kept else pl.DataFrame(height=len(rows))
        frame = frame.with_columns([self._edited(frame[name], *cells) for name, cells in staying.items()])
        frame = frame.with_columns([_new_column(name, texts, rows) for name, texts in growth.columns.items()])
        with open(destination, "xb") as target:
            frame.write_parquet(target, metadata=metadata)
            return target.tell()

    def reread(self, texts: "pl.Series", column: str | None) -> "pl.Series":
        """The texts; see `TableFile`. Numbers, dates and others are written as their dtype has it."""
        import polars as pl

        if column is None:
            return _texts(_new_values(texts))
        dtype = self._schema[column]
        try:
            return _texts(parse_cells(texts, dtype))
        except pl.exceptions.PolarsError:
            return texts

    def retype(self, texts: "pl.Series", before: "pl.Series | None", changed: NDArray[np.int64]) -> "pl.Series":
        """The values; see `TableFile`."""
        import polars as pl

        if before is None:
            return _new_values(texts)
        typed = super().retype(texts, before, changed)
        # Whole numbers and others are numbers together.
        if typed.dtype == pl.String and before.dtype.is_integer() and _real(texts.gather(changed)):
            return super().retype(texts, before.cast(pl.Float64), changed)
        return typed

    def _edited(self, column: "pl.Series", places: NDArray[np.int64], texts: "pl.Series") -> "pl.Series":
        import polars as pl

        # As in other formats, a column of whole numbers may become one of others.
        other = [pl.Float64()] if column.dtype.is_integer() and _real(texts) else []
        for dtype in (column.dtype, *other):
            try:
                return put(column.cast(dtype), places, parse_cells(texts, dtype))
            except pl.exceptions.PolarsError:
                pass
        raise OutputError(
            f"{self.path}: column {column.name!r} holds {column.dtype}; a new cell is no such value: "
            + ", ".join(map(repr, texts[:3].to_list()))
        )

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


def _narrowed(metadata: Mapping[str, str], gone: Collection[str]) -> dict[str, str]:
    """Key-value metadata without what pandas and Hugging Face's datasets say in it of columns that go.

    Both write JSON, and look there for every column when they read the file; what is no such JSON stays as it is.
    """
    after = dict(metadata)
    pandas, hugging = (_json_object(metadata.get(key)) for key in ("pandas", "huggingface"))
    for part in ("columns", "index_columns"):
        entries = pandas.get(part)
        if isinstance(entries, list):
            pandas[part] = [entry for entry in entries if _name(entry) not in gone]
            after["pandas"] = json.dumps(pandas)
    info = hugging.get("info")
    features = info.get("features") if isinstance(info, dict) else None
    if isinstance(features, dict):
        for name in gone:
            features.pop(name, None)
        after["huggingface"] = json.dumps(hugging)
    return after


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _name(entry: object) -> object:
    """The column that an entry of pandas is of: a name, or a description that holds the name in the file."""
    if isinstance(entry, dict):
        entry = entry.get("field_name") or entry.get("name")
    return entry if isinstance(entry, str) else None


def _staying(
    texts: Mapping[int, str | None], rows: NDArray[np.int64], sources: NDArray[np.int64]
) -> tuple[NDArray[np.int64], "pl.Series"]:
    """The new cells of records that stay, and where these stand among `rows`."""
    import polars as pl

    place = np.full(len(sources), -1)
    place[rows] = np.arange(len(rows))
    places = place[np.fromiter(texts, dtype=np.int64, count=len(texts))]
    cells = pl.Series(list(texts.values()), dtype=pl.String)
    return places[places >= 0], cells.filter(pl.Series(places >= 0))


def _new_column(name: str, texts: Mapping[int, str | None], rows: NDArray[np.int64]) -> "pl.Series":
    """A column that the file lacks."""
    import polars as pl

    # Its dtype must not hang on which records stay.
    values = _new_values(pl.Series(name, list(texts.values()), dtype=pl.String))
    place = dict(zip(texts, range(len(texts)), strict=True))
    return values.gather(pl.Series([place.get(row) for row in rows.tolist()], dtype=pl.UInt32))


def _real(texts: "pl.Series") -> bool:
    """Whether some of the texts are written as numbers that are not whole."""
    return bool(texts.str.contains(r"^[+-]?[0-9]*[.eE]").any())


def _new_values(texts: "pl.Series") -> "pl.Series":
    import polars as pl

    return texts.cast(pl.Float64) if infer_column(texts).dtype.is_numeric() else texts


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
