"""Group records that no single memory holds: workers deal them out to buckets, in files, and others read a bucket.

A file belongs to one piece of the input and holds its records bucket by bucket. So a worker writes one file, whichever
buckets its records fall into; a bucket is read from one span of every file; and a piece that is done twice, since its
worker was killed or too slow, gives the same file again.

Behind the buckets lies an index, 32 bytes for each; then what the columns are; then where that begins. Of the index
only what belongs to a bucket is read with it, and its digest is of that, too.
"""

import json
import math
import os
import secrets
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.errors import DatadietError

_MAGIC = b"datadiet-buckets-2\n"
_ENTRY = struct.Struct("<QQ16s")
"""Of a bucket: where it begins, how many records it has, and their digest."""
_END = struct.Struct(f"<Q16s{len(_MAGIC)}s")
"""Of a file: the length of the header, its digest, and what kind of file this is."""
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Exchange:
    """Bucket files in a folder.

    Attributes:
        folder: that all who take part see.
        buckets: how many there are.
    """

    folder: str
    buckets: int

    def write(self, piece: int, bucket: NDArray[np.int64], columns: Columns) -> None:
        """Write the records of a piece of the input: whole or not at all, and the same each time.

        Args:
            piece: its number.
            bucket: (n,) int64, where each record belongs; records keep their order within a bucket.
            columns: arrays of n rows each, of numbers.

        Raises:
            OSError: writing failed.
        """
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(self.buckets + 1)).tolist()
        rows = {name: np.ascontiguousarray(values[order]) for name, values in columns.items()}
        kinds = {name: (values.dtype.str, values.shape[1:]) for name, values in rows.items()}
        header = json.dumps({"columns": kinds, "buckets": self.buckets}).encode()
        index: list[bytes] = []
        path = self._path(piece)
        # Two workers may be at the same piece: each writes under a name of its own.
        temporary = f"{path}.{secrets.token_hex(4)}.tmp"
        try:
            with open(temporary, "xb") as file:
                for number, (start, stop) in enumerate(pairwise(bounds)):
                    content = b"".join(values[start:stop].tobytes() for values in rows.values())
                    place, count = file.tell(), stop - start
                    index.append(_ENTRY.pack(place, count, _digest(header, number, place, count, content)))
                    file.write(content)
                file.write(b"".join(index) + header)
                file.write(_END.pack(len(header), xxhash.xxh3_128_digest(header), _MAGIC))
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def has(self, piece: int) -> bool:
        """Whether a piece is done."""
        return os.path.exists(self._path(piece))

    def read(self, bucket: int, pieces: Sequence[int]) -> dict[str, NDArray[Any]]:
        """The records of a bucket, those of each piece after those of the one before.

        Args:
            bucket: its number.
            pieces: the numbers of the pieces, at least one.

        Raises:
            DatadietError: a file is not there, or not what was written.
        """
        parts = [self.read_some([bucket], piece)[0] for piece in pieces]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def read_some(self, buckets: Iterable[int], piece: int) -> list[dict[str, NDArray[Any]]]:
        """The records of a piece that are in some buckets, bucket by bucket; its file is opened once.

        Raises:
            DatadietError: the file is not there, or not what was written.
        """
        path = self._path(piece)
        try:
            with open(path, "rb") as file:
                known = _Known.of(file)
                return [known.bucket(file, bucket) for bucket in buckets]
        except (OSError, ValueError) as error:
            raise _lost(path) from error

    def remove(self) -> None:
        """Take the files away before the engine does: the disk may be wanted for others."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, piece: int) -> str:
        return os.path.join(self.folder, f"{piece:06d}.buckets")


@dataclass(frozen=True)
class _Known:
    """What the end of a file says.

    Attributes:
        header: as it was written.
        index: where the index begins.
        buckets: how many there are.
        columns: the kind of each, and the shape of a row.
    """

    header: bytes
    index: int
    buckets: int
    columns: list[tuple[str, np.dtype[Any], tuple[int, ...]]]

    @classmethod
    def of(cls, file: BinaryIO) -> "_Known":
        """Read the end of a file.

        Raises:
            ValueError: it is not what was written.
            OSError: it cannot be read.
        """
        end = file.seek(0, os.SEEK_END) - _END.size
        length, digest, magic = _END.unpack(_span(file, end, _END.size))
        header = _span(file, end - length, length)
        if magic != _MAGIC or xxhash.xxh3_128_digest(header) != digest:
            raise ValueError("the end is not what was written")
        told = json.loads(header)
        columns = [(name, np.dtype(kind), tuple(shape)) for name, (kind, shape) in told["columns"].items()]
        return cls(header, end - length - told["buckets"] * _ENTRY.size, told["buckets"], columns)

    def bucket(self, file: BinaryIO, bucket: int) -> dict[str, NDArray[Any]]:
        """Read a bucket; see `of`."""
        if not 0 <= bucket < self.buckets:
            raise ValueError("there is no such bucket")
        place, rows, digest = _ENTRY.unpack(_span(file, self.index + bucket * _ENTRY.size, _ENTRY.size))
        width = sum(kind.itemsize * math.prod(shape) for _, kind, shape in self.columns)
        if place + rows * width > self.index:
            raise ValueError("no bucket is that long")
        content = _span(file, place, rows * width)
        if _digest(self.header, bucket, place, rows, content) != digest:
            raise ValueError("the bucket is not what was written")
        found, at = {}, 0
        for name, kind, shape in self.columns:
            found[name] = np.frombuffer(content, kind, rows * math.prod(shape), at).reshape(rows, *shape)
            at += found[name].nbytes
        return found


def _digest(header: bytes, bucket: int, place: int, rows: int, content: bytes) -> bytes:
    """Of a bucket, and of all that says what it is."""
    hasher = xxhash.xxh3_128(header)
    hasher.update(struct.pack("<QQQ", bucket, place, rows))
    hasher.update(content)
    return hasher.digest()


def _span(file: BinaryIO, place: int, length: int) -> bytes:
    if place < 0:
        raise ValueError("the beginning is missing")
    file.seek(place)
    content = file.read(length)
    if len(content) != length:
        raise ValueError("the end is missing")
    return content


def _lost(path: str) -> DatadietError:
    return DatadietError(
        f"{path}: this bucket file is missing or damaged; see that all workers share that folder (--shared-dir) and "
        "that its disk is not full, and run again"
    )
