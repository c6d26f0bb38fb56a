"""Hand a large object to many workers: its arrays lie in one file, which each worker maps instead of copying."""

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INLINE = 1 << 16
"""Smaller things travel with each call."""
_ALIGNED = 64
_KEPT = 4
"""Objects that a worker keeps open."""


@dataclass(frozen=True)
class Shared:
    """An object that workers open for themselves.

    Attributes:
        header: the object without the bytes of its arrays. It never lies in a file that others could write to.
        file: where those bytes are; None if they are in the header too.
        spans: for each array where its bytes begin, and how many there are.
    """

    header: bytes
    file: str | None
    spans: tuple[tuple[int, int], ...]

    def open(self) -> Any:
        """The object; its arrays cannot be written to."""
        if self.file is None:
            return pickle.loads(self.header)  # noqa: S301 - came with the call
        with _LOCK:
            if self.file not in _OPEN:
                whole = np.memmap(self.file, np.uint8, "r")
                parts = [whole[start : start + size] for start, size in self.spans]
                _OPEN[self.file] = pickle.loads(self.header, buffers=parts)  # noqa: S301 - came with the call
            _OPEN.move_to_end(self.file)
            while len(_OPEN) > _KEPT:
                _OPEN.popitem(last=False)
            return _OPEN[self.file]


_OPEN: "OrderedDict[str, Any]" = OrderedDict()
_LOCK = Lock()


def share(data: Any, new_file: Callable[[str], str]) -> Shared:
    """Make an object ready for workers.

    Args:
        data: anything that pickles; contiguous arrays in it are not copied.
        new_file: gives a new name where workers can read.
    """
    buffers: list[pickle.PickleBuffer] = []
    header = pickle.dumps(data, protocol=5, buffer_callback=buffers.append)
    views: list[NDArray[np.uint8]] = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
    if sum(map(len, views)) + len(header) <= _INLINE or not views:
        return Shared(pickle.dumps(data, protocol=5), None, ())
    spans, place = [], 0
    path = new_file("shared")
    with open(path, "xb") as file:
        for view in views:
            file.seek(place)
            file.write(view.data)
            spans.append((place, len(view)))
            place += -(-len(view) // _ALIGNED) * _ALIGNED
        # Mapping beyond the end is an error of the system, not of Python: the last array may have been empty.
        file.truncate(max(place, 1))
        file.flush()
        os.fsync(file.fileno())  # other machines are to see it
    return Shared(header, path, tuple(spans))
