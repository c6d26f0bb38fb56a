"""Records of a text file as spans of its bytes: copied, hashed and compared without being parsed."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import InputError

Bytes = NDArray[np.uint8]

CHUNK_BYTES = 2**20
"""Bytes looked at in one go; with all that numpy makes of them they stay in the processor's cache."""

_BATCH = 2**14
_LONG = 2**16  # a record of so many bytes costs less to hash alone than in step with shorter ones
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # the multiplier of MurmurHash3's 64-bit finaliser
_SEED = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_TAIL_MASK = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Records:
    """Where the records of a file lie; record i owns the bytes from its start to the next one's start.

    Attributes:
        starts: (n + 1,) int64, first byte of each record; the last is the size of the file.
        ends: (n,) int64, one past the last byte of each record's text: without its line end, and without
            blank lines that follow it.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def text(self, data: Bytes, number: int) -> bytes:
        """The text of one record of the file."""
        # Views give plain integers much faster than arrays do.
        return bytes(data.data[self.starts.data[number] : self.ends.data[number]])


def map_file(path: str) -> Bytes:
    """Map a file's bytes into memory, (size,) uint8, read-only; they are loaded as they are looked at.

    Raises:
        InputError: the file is empty.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise InputError(f"{path}: the file is empty")
        return np.memmap(file, dtype=np.uint8, mode="r").view(np.ndarray)


def line_number(data: Bytes, offset: int) -> int:
    """The 1-based number of the physical line that holds the byte at `offset`."""
    chunks = (data[i : min(i + CHUNK_BYTES, offset)] for i in range(0, offset, CHUNK_BYTES))
    return 1 + sum(int(np.count_nonzero(chunk == 10)) for chunk in chunks)


class Rewritten(Mapping[int, bytes]):
    """New texts of records, each made when it is asked for, so that they are never in memory together.

    Args:
        numbers: (k,) int64, of the records that have a new text; no others may be asked for.
        make: gives the new text of a record, without a line end.
    """

    def __init__(self, numbers: NDArray[np.int64], make: Callable[[int], bytes]) -> None:
        self._numbers, self._make = numbers, make

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers.tolist())

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> bytes:
        return self._make(number)


@dataclass(frozen=True, eq=False)
class Appended:
    """What a file gets that is not within its records.

    Attributes:
        template: (m,) int64, for each appended record, numbered from the last one on, the record it is a copy of.
        end: what ends an appended record.
        head: what to write in place of all that stands before the first record; None: the same.
    """

    template: NDArray[np.int64]
    end: bytes = b"\n"
    head: bytes | None = None


_NOTHING = Appended(np.empty(0, dtype=np.int64))


def write_records(
    data: Bytes,
    records: Records,
    rows: NDArray[np.int64],
    destination: str,
    rewritten: Mapping[int, bytes],
    appended: Appended = _NOTHING,
) -> int:
    """Copy all that stands before the first record, and then the given records, to a new file.

    Args:
        data: (size,) uint8, the file.
        records: where its records lie.
        rows: (k,) int64, the records that stay, appended ones among them, ascending.
        destination: a path that does not exist yet; nothing is left there if this fails.
        rewritten: new texts of records; their line ends stay.
        appended: what there is besides.

    Returns:
        The bytes written.
    """
    kept, new = np.split(rows, [np.searchsorted(rows, len(records))])
    head = data[: int(records.starts[0])].data if appended.head is None else appended.head
    with open(destination, "xb", buffering=CHUNK_BYTES) as file:
        try:
            file.write(head)
            _copy(file, data, records, kept, rewritten)
            if len(new) and len(kept) and kept[-1] == len(records) - 1 and not _is_ended(data, records):
                file.write(appended.end)
            sources = appended.template[new - len(records)]
            spans = records.starts[sources].tolist(), records.ends[sources].tolist()
            for number, altered, start, end in zip(
                new.tolist(), _altered(new, rewritten).tolist(), *spans, strict=True
            ):
                file.write(rewritten[number] if altered else data.data[start:end])
                file.write(appended.end)
        except BaseException:
            os.unlink(destination)
            raise
        return file.tell()


def _is_ended(data: Bytes, records: Records) -> bool:
    """Whether a line end follows the last record."""
    return b"\n" in data[int(records.ends[-1]) :].tobytes()


def _copy(
    file: IO[bytes], data: Bytes, records: Records, rows: NDArray[np.int64], rewritten: Mapping[int, bytes]
) -> None:
    """Write records of the file, with what follows each."""
    altered = _altered(rows, rewritten)
    # A run is a stretch of records that follow each other in the file, or one record that is rewritten.
    breaks = (np.diff(rows) != 1) | altered[1:] | altered[:-1]
    first = np.flatnonzero(np.concatenate(([True], breaks)))[: len(rows)]
    last = np.concatenate((first[1:] - 1, [len(rows) - 1]))[: len(first)]
    view = data.data
    for at in range(0, len(first), _BATCH):
        run = slice(at, at + _BATCH)
        begins = records.starts[rows[first[run]]].tolist()
        stops = records.starts[rows[last[run]] + 1].tolist()
        news = altered[first[run]]
        if not news.any():
            file.writelines(map(view.__getitem__, map(slice, begins, stops)))
            continue
        numbers, ends = rows[first[run]].tolist(), records.ends[rows[first[run]]].tolist()
        for row, new, begin, end, stop in zip(numbers, news.tolist(), begins, ends, stops, strict=True):
            if new:
                file.write(rewritten[row])
                file.write(view[end:stop])
            else:
                file.write(view[begin:stop])


def _altered(rows: NDArray[np.int64], rewritten: Mapping[int, bytes]) -> NDArray[np.bool_]:
    return np.isin(rows, np.fromiter(rewritten, dtype=np.int64, count=len(rewritten)))


def hash_records(data: Bytes, records: Records) -> NDArray[np.uint64]:
    """(n,) uint64, a hash of each record's text; equal bytes have equal hashes.

    The text is taken eight bytes at a time, for many records at once, and mixed as MurmurHash3 ends
    (multiply, shift, exclusive or; Appleby 2011). It spreads well, but is no defence against an adversary:
    compare records before two of them are called equal.
    """
    hashes = np.empty(len(records), dtype=np.uint64)
    for at in range(0, len(records), _BATCH):
        batch = slice(at, at + _BATCH)
        starts = records.starts[:-1][batch]
        lengths = records.ends[batch] - starts
        mixed = lengths.astype(np.uint64) * _SEED
        for offset, active in _steps(lengths):
            word = _words(data, starts[active] + offset, lengths[active] - offset)
            word = (word ^ mixed[active]) * _MIX
            mixed[active] = word ^ (word >> _HALF)
        for i in np.flatnonzero(lengths >= _LONG).tolist():
            text = data[starts[i] : starts[i] + lengths[i]].data
            mixed[i] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        hashes[batch] = mixed
    return hashes


def equal_records(data: Bytes, records: Records, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) bool, whether the texts of records `a[i]` and `b[i]` are the same bytes."""
    equal = np.empty(len(a), dtype=np.bool_)
    for at in range(0, len(a), _BATCH):
        batch = slice(at, at + _BATCH)
        left, right = records.starts[a[batch]], records.starts[b[batch]]
        lengths = records.ends[a[batch]] - left
        same = lengths == records.ends[b[batch]] - right
        for offset, active in _steps(np.where(same, lengths, 0)):
            rest = lengths[active] - offset
            same[active] &= _words(data, left[active] + offset, rest) == _words(data, right[active] + offset, rest)
        for i in np.flatnonzero(same & (lengths >= _LONG)).tolist():
            one_text, other_text = (data[begin[i] : begin[i] + lengths[i]] for begin in (left, right))
            same[i] = np.array_equal(one_text, other_text)
        equal[batch] = same
    return equal


def _steps(lengths: NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """Every eighth offset and the texts, short of long ones, that reach beyond it."""
    short = np.where(lengths < _LONG, lengths, 0)
    fewest, most = (int(short.min()), int(short.max())) if len(short) else (0, 0)
    for offset in range(0, most, 8):
        yield offset, slice(None) if offset < fewest else np.flatnonzero(short > offset)


def _words(data: Bytes, at: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(n,) uint64, the eight bytes from each offset on; bytes beyond the `rest` of a text read as 0."""
    if len(data) < 8:
        data = np.pad(data, (0, 8 - len(data)))
    view: NDArray[np.uint64] = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    begin = np.minimum(at, len(view) - 1)
    word = view[begin] >> (8 * (at - begin)).astype(np.uint64)
    if rest.min(initial=8) < 8:
        word &= _TAIL_MASK[np.minimum(rest, 8)]
    return word
