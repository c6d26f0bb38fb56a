"""Where the records of a CSV lie, found without parsing its cells."""

import csv
import io
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.records import CHUNK_BYTES, Bytes, Records, line_number
from datadiet_cli.data.tablefile import MAX_COLUMNS, MAX_HEADER_BYTES
from datadiet_cli.errors import InputError

LF, CR, QUOTE = 10, 13, 34
_MAX_RECORD_BYTES = 2**30

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CsvRecords:
    """The records of a CSV, its header among them.

    Attributes:
        spans: where they lie.
        fields: the number of cells, the same in every record.
        quoted: the file holds a quote character.
        stray: some quote neither opens nor closes a cell; cells are as Python's csv module reads them.
        blank: there are blank lines.
    """

    spans: Records
    fields: int
    quoted: bool
    stray: bool
    blank: bool


def split_csv(data: Bytes, begin: int, path: str, delimiter: str) -> CsvRecords:
    """Find the records of a CSV.

    A line feed ends a record where the number of quotes before it is even. That is true only if every quote
    opens or closes a cell, or is one of a doubled pair; where one does not (``5" pipe``), the whole file is
    read as Python's csv module reads it.

    Args:
        data: (size,) uint8, the file; not empty.
        begin: where the text begins.
        path: the file's name; it is opened again where quotes are stray.
        delimiter: an ASCII character.

    Raises:
        InputError: a record has more or fewer cells than the first, a carriage return stands alone, a quoted
            cell is never closed, or the first line or the number of columns is too large.
    """
    scan = _Scan(data, begin, path, delimiter)
    return scan.records() if scan.run() else _split_by_reader(data, begin, path, delimiter)


@contextmanager
def unlimited_cells() -> Iterator[None]:
    """Let the csv module read cells of more than 128 KiB; the limit is one for the whole process."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def read_cells(record: str, delimiter: str) -> list[str]:
    """The cells of the first record of a text."""
    with unlimited_cells():
        return next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter))


def requoted(block: bytes, delimiter: str) -> bytes:
    """The same records, UTF-8, with quotes as RFC 4180 wants them, for polars reads stray ones otherwise."""
    text = io.StringIO(newline="")
    with unlimited_cells():
        reader = csv.reader(io.StringIO(block.decode(), newline=""), delimiter=delimiter)
        # With line ends of both characters, older Pythons quote cells that hold either of them.
        csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(reader)
    return text.getvalue().encode()


class _Scan:
    """One pass over the file, in windows that begin with a record and hold whole ones."""

    def __init__(self, data: Bytes, begin: int, path: str, delimiter: str) -> None:
        self.data, self.begin, self.path, self.delimiter = data, begin, path, ord(delimiter)
        self.starts: list[NDArray[np.int64]] = []
        self.ends: list[NDArray[np.int64]] = []
        self.fields = 0
        self.quoted = self.blank = False

    def run(self) -> bool:
        """Find all records; False if a quote is stray."""
        at, size = self.begin, CHUNK_BYTES
        while at < len(self.data):
            stop = min(at + size, len(self.data))
            marks = self._marks(at, stop)
            if marks is None:
                return False
            feeds = np.flatnonzero(self.data[at:stop][marks] == LF)
            if stop == len(self.data) and self.data[-1] != LF:
                marks = np.append(marks, stop - at)  # as if the last line were ended
                feeds = np.append(feeds, len(marks) - 1)
            if len(feeds) == 0:
                size = self._larger(at, size)
                continue
            self._add(at, marks, feeds)
            at += int(marks[feeds[-1]]) + 1
            size = CHUNK_BYTES
        return True

    def records(self) -> CsvRecords:
        """What was found."""
        none = np.empty(0, dtype=np.int64)
        starts = np.concatenate([*self.starts, [len(self.data)]])
        ends = np.concatenate([none, *self.ends])
        return CsvRecords(Records(starts, ends), self.fields, self.quoted, False, self.blank)

    def _marks(self, at: int, stop: int) -> NDArray[np.int64] | None:
        """Where, from `at` on, delimiters and line feeds stand outside quotes; None if a quote is stray."""
        window = self.data[at:stop]
        mark = (window == self.delimiter) | (window == LF)
        quote, carriage = window == QUOTE, window == CR
        if quote.any():
            self.quoted = True
            inside = odd_so_far(quote)
            if self._stray(stop, quote, inside, mark, carriage):
                return None
            outside = ~inside
            mark &= outside
            carriage &= outside
        if carriage.any():
            self._refuse_lone_carriage(at + np.flatnonzero(carriage))
        return np.flatnonzero(mark)

    def _stray(self, stop: int, quote: _Mask, inside: _Mask, mark: _Mask, carriage: _Mask) -> bool:
        """Whether some quote up to `stop` neither opens nor closes a cell; inside holds at the opening one."""
        edge = mark | quote
        if (quote[1:] & inside[1:] & ~edge[:-1]).any():
            return True
        edge |= carriage
        if (quote[:-1] & ~inside[:-1] & ~edge[1:]).any():
            return True
        if stop == len(self.data):
            return bool(inside[-1])
        closed_last = quote[-1] and not inside[-1]
        return bool(closed_last and self.data[stop] not in (self.delimiter, LF, CR, QUOTE))

    def _refuse_lone_carriage(self, carriages: NDArray[np.int64]) -> None:
        following = self.data[np.minimum(carriages + 1, len(self.data) - 1)]
        lone = carriages[following != LF]
        if len(lone):
            _refuse_carriage(self.path, line_number(self.data, int(lone[0])))

    def _larger(self, at: int, size: int) -> int:
        limit = _MAX_RECORD_BYTES if self.fields else MAX_HEADER_BYTES
        if size > limit:
            raise InputError(
                f"{self.path}:{line_number(self.data, at)}: this record is longer than {limit >> 20} MiB; "
                "is it a CSV, and is every quoted cell closed?"
            )
        return size * 2

    def _add(self, at: int, marks: NDArray[np.int64], feeds: NDArray[np.int64]) -> None:
        """Note the records of a window: `marks[feeds]` are the ends of its lines."""
        stops = marks[feeds]
        starts = np.concatenate(([0], stops[:-1] + 1))
        # No text is lost by this: outside quotes a carriage return stands before a line feed only.
        ends = stops - ((stops > starts) & (self.data[at + stops - 1] == CR))
        cells = np.diff(feeds, prepend=-1)
        filled = ends > starts
        if not filled.all():
            self.blank = True
            starts, ends, cells = starts[filled], ends[filled], cells[filled]
        if len(cells) == 0:
            return
        if not self.fields:
            self.fields = int(cells[0])
            _check_width(self.path, self.fields)
        ragged = np.flatnonzero(cells != self.fields)
        if len(ragged):
            line = line_number(self.data, at + int(starts[ragged[0]]))
            _refuse_ragged(self.path, line, int(cells[ragged[0]]), self.fields, chr(self.delimiter))
        self.starts.append(starts + at)
        self.ends.append(ends + at)


def odd_so_far(quote: _Mask) -> _Mask:
    """(n,) bool, whether the number of quotes up to and including each byte is odd.

    A running exclusive or, taken on 64 bytes at once as 64 bits (the prefix xor of Langdale and Lemire, Parsing
    Gigabytes of JSON per Second, 2019).
    """
    packed = np.packbits(quote, bitorder="little")
    words = np.pad(packed, (0, -len(packed) % 8)).view("<u8")
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    odd_words = np.bitwise_xor.accumulate(words >> np.uint64(63))
    words[1:] ^= np.uint64(0) - odd_words[:-1]  # flips all 64 bits after an odd number
    return np.unpackbits(words.view(np.uint8), count=len(quote), bitorder="little").view(np.bool_)


class _Lines:
    """The lines of a file for the csv module, counting the bytes it took and whether it asked for more."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.file, self.position, self.exhausted = file, file.tell(), False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.file.readline()
        if not line:
            self.exhausted = True
            raise StopIteration
        self.position += len(line)
        return line.decode("latin-1")  # a byte a character; the encodings we read agree on ASCII


def _split_by_reader(data: Bytes, begin: int, path: str, delimiter: str) -> CsvRecords:
    starts, ends = array("q"), array("q")
    fields, blank, start, line = 0, False, begin, 1
    with open(path, "rb") as file, unlimited_cells():
        file.seek(begin)
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for row in reader:
                if lines.exhausted:
                    raise InputError(f"{path}:{line}: a quoted cell of this record is never closed")
                fields = fields or len(row)
                if not row:
                    blank = True
                elif len(row) != fields:
                    _refuse_ragged(path, line, len(row), fields, delimiter)
                else:
                    starts.append(start)
                    ends.append(_text_end(data, start, lines.position))
                start, line = lines.position, reader.line_num + 1
        except csv.Error:
            _refuse_carriage(path, reader.line_num)
    _check_width(path, fields)
    starts.append(len(data))
    spans = Records(np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))
    return CsvRecords(spans, fields, quoted=True, stray=True, blank=blank)


def _text_end(data: Bytes, start: int, end: int) -> int:
    if end > start and data[end - 1] == LF:
        end -= 1
        if end > start and data[end - 1] == CR:
            end -= 1
    return end


def _check_width(path: str, fields: int) -> None:
    if fields > MAX_COLUMNS:
        raise InputError(f"{path}: {fields:,} columns, more than {MAX_COLUMNS:,}; is the delimiter right?")


def _refuse_carriage(path: str, line: int) -> None:
    raise InputError(
        f"{path}:{line}: a carriage return without a line feed, outside quotes; "
        f"convert old Mac line ends with: tr '\\r' '\\n' < {path}"
    )


def _refuse_ragged(path: str, line: int, found: int, expected: int, delimiter: str) -> None:
    shown = "tab" if delimiter == "\t" else f"'{delimiter}'"
    raise InputError(
        f"{path}:{line}: {found} {'cell' if found == 1 else 'cells'}, expected {expected} as in the first "
        f"record (cells are cut at {shown}; a cell that holds it must be quoted, or pass --delimiter)"
    )
