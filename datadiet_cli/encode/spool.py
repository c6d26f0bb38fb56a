"""Rows of an array too long for memory, in an unnamed temporary file that no crash can leave behind."""

import tempfile
from types import TracebackType

import numpy as np
from numpy.typing import NDArray


class Spool:
    """Holds (n, ...) uint8 rows on disk. Use as a context manager.

    Args:
        shape: the shape of one row.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._width = int(np.prod(shape))
        self._file = tempfile.TemporaryFile(prefix="datadiet-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def put(self, positions: NDArray[np.int64], rows: NDArray[np.uint8]) -> None:
        """Store the rows of these positions, (k,) ascending; runs of neighbours are written in one go."""
        rows = np.ascontiguousarray(rows).reshape(len(positions), self._width)
        for run in np.split(np.arange(len(positions)), np.flatnonzero(np.diff(positions) != 1) + 1):
            if len(run):
                self._file.seek(int(positions[run[0]]) * self._width)
                self._file.write(rows[run[0] : run[-1] + 1].tobytes())

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Fetch rows, (k, ...) uint8, in the order asked."""
        self._file.flush()
        rows = np.empty((len(positions), self._width), dtype=np.uint8)
        for i, position in enumerate(positions.tolist()):
            self._file.seek(position * self._width)
            self._file.readinto(rows[i])
        return rows.reshape(len(positions), *self._shape)
