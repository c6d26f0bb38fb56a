"""Take columns out of the records of a CSV, whose other cells stay the bytes they were."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import IO

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.csvscan import QUOTE, odd_so_far
from datadiet_cli.data.records import CHUNK_BYTES, Bytes, Records

_BATCH = 2**14

Cut = tuple[Bytes, NDArray[np.int64], NDArray[np.int64]]


def runs_of(stays: Sequence[bool]) -> list[tuple[int, int]]:
    """The stretches of columns that go, each as its first column and the one behind its last."""
    edges = np.flatnonzero(np.diff(np.array([True, *stays, True]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def cut_columns(data: Bytes, records: Records, stays: Sequence[bool], delimiter: str) -> Iterator[Cut]:
    """The bytes of all records without some columns, in blocks of about 1 MiB of the file.

    No cell is looked at by itself: where cells are parted is found for a block at once, and what goes is masked.

    Every quote must open or close a cell, or be one of a doubled pair.

    Args:
        data: (size,) uint8, the file.
        records: where its records lie.
        stays: for each column whether it stays.
        delimiter: an ASCII character.

    Yields:
        The bytes that stay, with line ends and blank lines as they were; (m + 1,) int64 where in them each record
        starts, and the last one ends; (m,) int64 one past the last byte of each record's text.
    """
    starts, begin, runs = records.starts, 0, runs_of(stays)
    while begin < len(records):
        stop = int(np.searchsorted(starts, starts[begin] + CHUNK_BYTES))
        stop = min(max(stop, begin + 1), len(records))
        window = data[starts[begin] : starts[stop]]
        first, last = starts[begin : stop + 1] - starts[begin], records.ends[begin:stop] - starts[begin]
        # (m, columns + 1): one before each cell stands a delimiter, or the record begins.
        edges = np.empty((stop - begin, len(stays) + 1), dtype=np.int64)
        edges[:, 0], edges[:, -1] = first[:-1] - 1, last
        edges[:, 1:-1] = np.flatnonzero(_parts(window, delimiter)).reshape(len(edges), -1)
        yield _without(window, edges, runs, first, last)
        begin = stop


def _parts(window: Bytes, delimiter: str) -> NDArray[np.bool_]:
    """(n,) bool, whether a byte parts two cells."""
    marks: NDArray[np.bool_] = window == ord(delimiter)
    if (quote := window == QUOTE).any():
        marks &= ~odd_so_far(quote)
    return marks


def _without(
    window: Bytes,
    edges: NDArray[np.int64],
    runs: Sequence[tuple[int, int]],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> Cut:
    """A block of records without these runs of columns."""
    change = np.zeros(len(window) + 1, dtype=np.int8)
    lost = np.zeros(len(edges), dtype=np.int64)
    for begin, end in runs:
        # The last columns go with the delimiter before them, the others with the one behind them.
        tail = end == edges.shape[1] - 1
        starts = edges[:, begin] + (not tail or begin == 0)
        stops = edges[:, end] + (not tail)
        change[starts] += 1
        change[stops] -= 1
        lost += stops - starts
    kept = np.cumsum(change[:-1], dtype=np.int8) == 0
    gone = np.concatenate([[0], np.cumsum(lost)])
    return window[kept], first - gone, last - gone[1:]


def cut_each(data: Bytes, records: Records, stays: Sequence[bool], delimiter: str) -> Iterator[Cut]:
    """What `cut_columns` gives, one record after the other, wherever quotes stand."""
    cut = delimiter.encode()
    for begin in range(0, len(records), _BATCH):
        numbers = range(begin, min(begin + _BATCH, len(records)))
        made = _Block()
        for number in numbers:
            record = records.text(data, number)
            cells = compress((record[a:b] for a, b in cell_spans(record, delimiter)), stays)
            made.add(cut.join(cells), data[records.ends[number] : records.starts[number + 1]])
        yield made.cut()


def lone_cells(blocks: Iterable[Cut], marks: str) -> Iterator[Cut]:
    """Blocks of records of one cell each, of which each is a `lone_cell`."""
    codes = np.frombuffer(marks.encode(), dtype=np.uint8)
    for block, first, last in blocks:
        if (last > first[:-1]).all() and not np.isin(block, codes).any():
            yield block, first, last
            continue
        made = _Block()
        for begin, end, stop in zip(first[:-1].tolist(), last.tolist(), first[1:].tolist(), strict=True):
            made.add(lone_cell(block[begin:end].tobytes(), marks), block[end:stop])
        yield made.cut()


class _Block:
    """Records one behind the other."""

    def __init__(self) -> None:
        self._bytes, self._first, self._last = bytearray(), [0], list[int]()

    def add(self, text: bytes, rest: Bytes) -> None:
        """Add a record, and what stands between it and the next."""
        self._bytes += text
        self._last.append(len(self._bytes))
        self._bytes += rest.data
        self._first.append(len(self._bytes))

    def cut(self) -> Cut:
        """The bytes, and where in them the records lie."""
        places = np.array(self._first, dtype=np.int64), np.array(self._last, dtype=np.int64)
        return (np.frombuffer(self._bytes, dtype=np.uint8), *places)


def write_blocks(blocks: Iterable[Cut], file: IO[bytes], at: int) -> Records:
    """Write blocks of records to a file that holds `at` bytes, and tell where in it the records lie."""
    starts, ends = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for block, first, last in blocks:
        file.write(block.data)
        starts.append(first[:-1] + at)
        ends.append(last + at)
        at += len(block)
    file.flush()
    return Records(np.append(np.concatenate(starts), at), np.concatenate(ends))


def lone_cell(cell: bytes, marks: str) -> bytes:
    """An only cell as it can be read: its line must not be blank, nor seem to be cut by what is no delimiter here."""
    seems_cut = not cell.startswith(b'"') and any(mark in cell for mark in marks.encode())
    return b'"' + cell.replace(b'"', b'""') + b'"' if seems_cut or not cell else cell


def cell_spans(record: bytes, delimiter: str) -> list[tuple[int, int]]:
    """Where the cells of a record lie, quotes included, as Python's csv module cuts them.

    Args:
        record: the text of one record, without its line end.
        delimiter: an ASCII character.
    """
    cut = re.escape(delimiter.encode())
    # Only a quote at the beginning of a cell counts; what follows the closing one belongs to the cell.
    cell = re.compile(rb'(?:"(?:[^"]|"")*+")?[^%b]*' % cut, re.DOTALL)
    spans, at = [], 0
    while True:
        match = cell.match(record, at)
        end = match.end() if match else at
        spans.append((at, end))
        if end >= len(record):
            return spans
        at = end + 1
