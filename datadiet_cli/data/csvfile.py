"""CSV and TSV: records are copied as the bytes they were, cells are read by polars."""

import copy
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress, pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.csvcut import cell_spans, cut_columns, cut_each, lone_cell, lone_cells, write_blocks
from datadiet_cli.data.csvscan import read_cells, requoted, split_csv
from datadiet_cli.data.encoding import map_text
from datadiet_cli.data.header import DELIMITERS, check_delimiter, column_names, distinct_names, sniff_delimiter
from datadiet_cli.data.infer import infer_column, infer_types
from datadiet_cli.data.records import (
    Appended,
    Bytes,
    Records,
    Rewritten,
    equal_records,
    hash_records,
    write_records,
)
from datadiet_cli.data.tablefile import NO_EDITS, NO_GROWTH, Edits, Growth, TableFile, TableFormat, edited_rows
from datadiet_cli.errors import InputError, OutputError

if TYPE_CHECKING:
    import polars as pl

_HEAD_BYTES = 2**16
_BLOCK_BYTES = 2**26
_PAIRS = 2**17

_Span = tuple[int, int]


class CsvFile(TableFile):
    """A CSV or TSV file. Cells may be quoted as RFC 4180 says; a blank line is no record.

    Args:
        path: the file.
        fmt: how to read it.

    Raises:
        InputError: the file is no such table.
        ConfigError: the format's encoding or delimiter cannot be one.
        OSError: the file cannot be read.
    """

    def __init__(self, path: str, fmt: TableFormat) -> None:
        self.path = path
        self._codec, self._data, begin = map_text(path, fmt.encoding)
        self._delimiter = _delimiter(self._data, begin, path, fmt.delimiter)
        found = split_csv(self._data, begin, path, self._delimiter)
        if len(found.spans) == 0:
            raise InputError(f"{path}: holds no header and no records, only blank lines")
        self._quoted, self._stray, self._blank = found.quoted, found.stray, found.blank
        first = self._cells(self._data[found.spans.starts[0] : found.spans.ends[0]].tobytes())
        self.columns = tuple(column_names(first, fmt.header, path))
        body = 0 if fmt.header == "none" else 1
        self._spans = Records(found.spans.starts[body:], found.spans.ends[body:])
        self._header = (int(found.spans.starts[0]), int(found.spans.ends[0])) if body else None
        self._end = b"\r\n" if self._data[found.spans.ends[0] :][:2].tobytes() == b"\r\n" else b"\n"
        self._odd = re.compile(f'["\r\n\0{re.escape(self._delimiter)}]')
        self.records = len(self._spans)

    def texts(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell as text; see `TableFile`."""
        import polars as pl

        frames = list(self._frames(self.positions(columns)))
        return pl.concat(frames) if frames else self._parse(b"", self.positions(columns))

    def typed(self, columns: Sequence[str] | None = None) -> "pl.DataFrame":
        """Every cell in the type that its whole column has; see `TableFile` and `infer_types`."""
        return infer_types(self.texts(columns))

    def record_bytes(self) -> NDArray[np.int64]:
        """(records,) int64; see `TableFile`. Blank lines count with the record before them."""
        return np.diff(self._spans.starts)

    def keys(self, columns: Sequence[str] | None = None) -> NDArray[np.uint64]:
        """(records,) uint64; see `TableFile`. Without quotes in the file, equal cells are equal bytes."""
        if self._bytes_tell(columns):
            return hash_records(self._data, self._spans)
        hashes = [frame.hash_rows().to_numpy() for frame in self._frames(self.positions(columns))]
        return np.concatenate([np.empty(0, dtype=np.uint64), *hashes])

    def same(
        self, a: NDArray[np.int64], b: NDArray[np.int64], columns: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """(n,) bool; see `TableFile`. Only pairs whose bytes differ are parsed."""
        equal = equal_records(self._data, self._spans, a, b)
        if self._bytes_tell(columns):
            return equal
        positions = self.positions(columns)
        differ = np.flatnonzero(~equal)
        for at in range(0, len(differ), _PAIRS):
            pairs = differ[at : at + _PAIRS]
            left, right = (self._parse(self._lines(rows[pairs]), positions) for rows in (a, b))
            alike = np.ones(len(pairs), dtype=np.bool_)
            for one, other in zip(left.get_columns(), right.get_columns(), strict=True):
                alike &= one.eq_missing(other).to_numpy()
            equal[pairs] = alike
        return equal

    def write(
        self, rows: NDArray[np.int64], destination: str, edits: Edits = NO_EDITS, growth: Growth = NO_GROWTH
    ) -> int:
        """Copy the records that stay; of an edited record only the edited cells' bytes change.

        See `TableFile`. The header and what stands around it are copied as they are. The cells of new columns
        stand behind the others; without a header, so do they without a name. Appended records end as the first
        line of the file does. Columns go with one delimiter each, by way of a temporary file; where the header
        would name others differently without them, it is changed. An only cell is quoted where it would leave a blank
        line, or seem to be several.
        """
        kept = self.staying(growth)
        if growth.without:
            staying = {column: texts for column, texts in edits.items() if column not in growth.without}
            with TemporaryFile(dir=os.path.dirname(destination) or None) as room:
                narrow = self._narrowed(kept, not growth.columns, room)
                return narrow.write(rows, destination, staying, replace(growth, without=()))
        edited = [(self.positions([column])[0], texts) for column, texts in edits.items()]
        sources, cut = growth.sources(self.records).tolist(), self._delimiter.encode()

        def make(number: int) -> bytes:
            cells = {position: texts[number] for position, texts in edited if number in texts}
            new = [self._cell_bytes(texts.get(number) or "", number) for texts in growth.columns.values()]
            old = [self._rewrite(sources[number], cells, number)] if self.columns else []
            return cut.join([*old, *new]) or b'""'

        changed = rows if growth.columns else edited_rows(rows, [texts for _, texts in edited], len(sources))
        template = np.asarray(growth.template, dtype=np.int64)
        appended = Appended(template, self._end, self._head(growth.columns))
        return write_records(self._data, self._spans, rows, destination, Rewritten(changed, make), appended)

    def reread(self, texts: "pl.Series", column: str | None) -> "pl.Series":
        """The texts; see `TableFile`. An empty one is null."""
        import polars as pl

        return pl.select(pl.when(texts != "").then(texts).alias(texts.name)).to_series()

    def retype(self, texts: "pl.Series", before: "pl.Series | None", changed: NDArray[np.int64]) -> "pl.Series":
        """The values; see `TableFile`. The dtype is found anew, from all cells."""
        return infer_column(texts)

    def _around_header(self) -> tuple[bytes, bytes, bytes]:
        """What stands before the header, itself, and what stands between it and the first record."""
        begin, end = self._header or (0, 0)
        parts = pairwise([0, begin, end, int(self._spans.starts[0])])
        before, header, after = (self._data[a:b].tobytes() for a, b in parts)
        return before, header, after

    def _head(self, columns: Iterable[str]) -> bytes | None:
        """What stands before the first record, with names of new columns; None if nothing changes."""
        new = [self._cell_bytes(name, None) for name in columns]
        if self._header is None or not new:
            return None
        before, header, after = self._around_header()
        return before + self._delimiter.encode().join([*([header] if self.columns else []), *new]) + after

    def _narrowed(self, kept: Sequence[str], alone: bool, room: IO[bytes]) -> "CsvFile":
        """This table with some of its columns, `alone` or with new ones, in an empty file that must stay open."""
        narrow, staying = copy.copy(self), set(kept)
        stays = [name in staying for name in self.columns]
        narrow.columns = tuple(kept)
        # What would be taken for a delimiter when the table is opened again.
        marks = "" if _is_tabbed(self.path) else "," if self._header else DELIMITERS
        lone = marks if alone and len(kept) == 1 else None
        narrow._odd = re.compile(f'["\r\n\0{re.escape(self._delimiter + (lone or ""))}]')
        head, narrow._header = self._narrowed_head(stays, narrow.columns, lone is not None)
        room.write(head)
        cut = cut_each if self._stray else cut_columns
        blocks = cut(self._data, self._spans, stays, self._delimiter)
        narrow._spans = write_blocks(blocks if lone is None else lone_cells(blocks, lone), room, len(head))
        size = int(narrow._spans.starts[-1])
        narrow._data = np.memmap(room, np.uint8, "r").view(np.ndarray) if size else np.empty(0, dtype=np.uint8)
        return narrow

    def _narrowed_head(self, stays: Sequence[bool], kept: Sequence[str], alone: bool) -> tuple[bytes, _Span | None]:
        """What stands before the first record, without the names of some columns, and where in it the header lies."""
        before, header, after = self._around_header()
        if self._header is None:
            return after, None
        cells = list(compress((header[a:b] for a, b in cell_spans(header, self._delimiter)), stays))
        read = [self._cells(cell)[0] if cell else "" for cell in cells]
        if distinct_names(read) != list(kept):
            # Names that were made up, such as column_2 or a_2, would be made up anew.
            named = zip(cells, read, kept, strict=True)
            cells = [cell if now == name else self._cell_bytes(name, None) for cell, now, name in named]
        if alone:
            cells = [lone_cell(cells[0], "" if _is_tabbed(self.path) else DELIMITERS)]
        header = self._delimiter.encode().join(cells)
        return before + header + after, (len(before), len(before) + len(header))

    def _bytes_tell(self, columns: Sequence[str] | None) -> bool:
        """Whether equal cells in these columns are equal bytes, and the other way round."""
        return not self._quoted and (columns is None or tuple(columns) == self.columns)

    def _frames(self, positions: Sequence[int]) -> Iterator["pl.DataFrame"]:
        """The cells of the given columns, block by block: some 64 MiB of the file each."""
        starts, begin = self._spans.starts, 0
        while begin < self.records:
            end = int(np.searchsorted(starts, starts[begin] + _BLOCK_BYTES))
            end = min(max(end, begin + 1), self.records)
            if self._blank:
                block = self._lines(np.arange(begin, end))
            else:
                block = self._data[starts[begin] : starts[end]].tobytes()
            yield self._parse(block, positions)
            begin = end

    def _lines(self, rows: NDArray[np.int64]) -> bytes:
        """The texts of the given records, a line feed after each."""
        spans = map(slice, self._spans.starts[rows].tolist(), self._spans.ends[rows].tolist())
        return b"\n".join([*map(self._data.data.__getitem__, spans), b""])

    def _parse(self, block: bytes, positions: Sequence[int]) -> "pl.DataFrame":
        """The cells of whole records, String; an empty cell, quoted or not, is null."""
        import polars as pl

        names = [self.columns[i] for i in positions]
        if not block:
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        if self._codec != "utf-8":
            block = block.decode(self._codec).encode()
        if self._stray:
            block = requoted(block, self._delimiter)
        frame = pl.read_csv(
            block,
            has_header=False,
            schema=dict.fromkeys(self.columns, pl.String),
            columns=sorted(set(positions)),
            separator=self._delimiter,
        ).select(names)
        if self._quoted:
            frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())
        return frame

    def _cells(self, record: bytes) -> list[str]:
        return read_cells(record.decode(self._codec), self._delimiter)

    def _rewrite(self, source: int, cells: Mapping[int, str | None], number: int) -> bytes:
        """The text of a record with some of its cells replaced, for the record of this number."""
        record = self._spans.text(self._data, source)
        if not cells:
            return record
        new = {position: self._cell_bytes(cells[position] or "", number) for position in sorted(cells)}
        if len(self.columns) == 1:
            # An only cell that is empty would leave a blank line, which is no record.
            return new[0] or b'""'
        if b'"' not in record:
            cut = self._delimiter.encode()
            plain = record.split(cut)
            for position, text in new.items():
                plain[position] = text
            return cut.join(plain)
        spans = cell_spans(record, self._delimiter)
        pieces, at = [], 0
        for position, text in new.items():
            begin, end = spans[position]
            pieces += [record[at:begin], text]
            at = end
        return b"".join([*pieces, record[at:]])

    def _cell_bytes(self, text: str, number: int | None) -> bytes:
        """A cell as it is written; `number` is its record's, None for the header."""
        odd = self._odd.search(text) is not None
        quoted = '"' + text.replace('"', '""') + '"' if odd else text
        try:
            cell = quoted.encode(self._codec)
        except UnicodeEncodeError as error:
            wrong, why = quoted[error.start], f"{self._codec} cannot express; convert the table to UTF-8 first"
        else:
            if not odd or "\0" not in text:
                return cell
            wrong, why = "\0", "no table of text can hold"
        place = "header" if number is None else f"record {number}"
        raise OutputError(f"{self.path}: {place}: the new text {text!r} holds {wrong!r}, which {why}")


def _delimiter(data: Bytes, begin: int, path: str, given: str | None) -> str:
    if given is not None:
        return check_delimiter(given)
    if _is_tabbed(path):
        return "\t"
    return sniff_delimiter(data[begin : begin + _HEAD_BYTES].tobytes().decode("latin-1"))


def _is_tabbed(path: str) -> bool:
    return Path(path).suffix.lower() in (".tsv", ".tab")
