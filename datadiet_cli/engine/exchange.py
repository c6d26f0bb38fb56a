"""Group records that no single memory holds: workers deal them out to buckets, in files, and others read a bucket.

A file belongs to one piece of the input and holds its records bucket by bucket. So a worker writes one file, whichever
buckets its records fall into; a bucket is read from the same span of every file; and a piece that is done twice, since
its worker was killed or too slow, gives the same file again.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.errors import DatadietError

_MAGIC = b"datadiet-buckets-1\n"
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
        spans: list[tuple[int, int, str]] = []
        path = self._path(piece)
        # Two workers may be at the same piece: each writes under a name of its own.
        temporary = f"{path}.{secrets.token_hex(4)}.tmp"
        try:
            with open(temporary, "xb") as file:
                for start, stop in pairwise(bounds):
                    content = b"".join(values[start:stop].tobytes() for values in rows.values())
                    spans.append((stop - start, len(content), xxhash.xxh3_128_hexdigest(content)))
                    file.write(content)
                kinds = {name: (values.dtype.str, values.shape[1:]) for name, values in rows.items()}
                header = json.dumps({"columns": kinds, "spans": spans}).encode()
                file.write(header + len(header).to_bytes(8, "little") + _MAGIC)
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
        parts = [self._read(bucket, piece) for piece in pieces]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def remove(self) -> None:
        """Take the files away before the engine does: the disk may be wanted for others."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, bucket: int, piece: int) -> dict[str, NDArray[Any]]:
        path = self._path(piece)
        try:
            with open(path, "rb") as file:
                header = _header(file)
                spans = header["spans"]
                file.seek(sum(size for _, size, _ in spans[:bucket]))
                rows, size, digest = spans[bucket]
                content = file.read(size)
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise _lost(path) from error
        if xxhash.xxh3_128_hexdigest(content) != digest:
            raise _lost(path)
        found, place = {}, 0
        for name, (kind, shape) in header["columns"].items():
            count = rows * int(np.prod(shape))
            found[name] = np.frombuffer(content, np.dtype(kind), count, place).reshape(rows, *shape)
            place += found[name].nbytes
        return found

    def _path(self, piece: int) -> str:
        return os.path.join(self.folder, f"{piece:06d}.buckets")


def _header(file: Any) -> dict[str, Any]:
    tail = len(_MAGIC) + 8
    file.seek(-tail, os.SEEK_END)
    length, magic = int.from_bytes(file.read(8), "little"), file.read()
    if magic != _MAGIC:
        raise ValueError("the end is missing")
    file.seek(-tail - length, os.SEEK_END)
    header: dict[str, Any] = json.loads(file.read(length))
    return header


def _lost(path: str) -> DatadietError:
    return DatadietError(
        f"{path}: this bucket file is missing or damaged; see that all workers share that folder (--shared-dir) and "
        "that its disk is not full, and run again"
    )
