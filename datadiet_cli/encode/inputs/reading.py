"""Many samples, read by kernels in workers into one array, which lies on disk where it is too large for memory."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from datadiet_cli.engine import Engine
from datadiet_cli.errors import DatadietError

Room = Callable[[], str]
"""Gives the folder that a large array may lie in."""
Causes = NDArray[np.object_]
Kernel = Callable[..., tuple[NDArray[Any], Sequence[str | None]]]

IN_MEMORY = 2 << 30
"""Bytes of an array beyond which it lies in a temporary file: a million small pictures train where 8 GiB are."""


def zeros(shape: tuple[int, ...], dtype: DTypeLike, room: Room = tempfile.gettempdir) -> NDArray[Any]:
    """An array of zeros, in memory or, beyond `IN_MEMORY` bytes, mapped from a file without a name.

    The file goes with the array, or with the process, however that ends. Its room on disk is taken at once, so that a
    full disk is an error here and not a crash later.

    Args:
        shape: of the array.
        dtype: of the array.
        room: gives the folder of the file.

    Raises:
        DatadietError: there is not so much room in the folder.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    folder = room()
    with tempfile.TemporaryFile(prefix="datadiet-", dir=folder) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:  # pragma: no cover - no such call on this system
                file.truncate(size)
            return np.memmap(file, dtype, "r+", shape=shape)
        except OSError as error:
            raise DatadietError(
                f"{folder}: no room for {size / 2**30:.1f} GiB of samples ({error.strerror}); "
                "set TMPDIR to a folder that has it"
            ) from error


def read(
    paths: Sequence[str | None],
    kernel: Kernel,
    *args: Any,
    row: tuple[int, ...],
    dtype: DTypeLike,
    engine: Engine,
    chunk: int,
    progress: Callable[[int], None] = lambda _: None,
    room: Room = tempfile.gettempdir,
) -> tuple[NDArray[Any], Causes]:
    """Read files, each once however often it is named.

    Args:
        paths: n file names, None for no file.
        kernel: ``kernel(paths, *args)`` gives (k, *row) values and k causes, None for a file that could be read.
        args: passed on to the kernel.
        row: the shape of one sample.
        dtype: of the array.
        engine: runs the kernel.
        chunk: files a call of the kernel.
        progress: told of samples done.
        room: gives the folder of a large array.

    Returns:
        (n, *row) and (n,) object; zeros and None where there is no file.
    """
    place = {path: i for i, path in enumerate(dict.fromkeys(path for path in paths if path is not None))}
    files = list(place)
    at = np.array([-1 if path is None else place[path] for path in paths], dtype=np.int64)
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(len(files) + 1))
    out, causes = zeros((len(paths), *row), dtype, room), np.full(len(paths), None, dtype=object)
    for part, (rows, why) in engine.map(kernel, files, *args, chunk=chunk):
        positions = order[starts[part.start] : starts[part.stop]]
        inside = at[positions] - part.start
        out[positions] = rows[inside]
        causes[positions] = np.array([*why, None], dtype=object)[inside]
        progress(len(positions))
    return out, causes
