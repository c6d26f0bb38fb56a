"""Hand a large object to many workers: its bytes lie in files, which each worker maps instead of copying."""

import io
import os
import pickle
import secrets
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_INLINE = 1 << 16
"""Smaller things travel with each call."""
_ALIGNED = 64
_KEPT = 4
"""Objects that a worker keeps open."""
Bytes = NDArray[np.uint8]


class Span(NamedTuple):
    """Where bytes are: in a file, from where, and how many."""

    path: str
    start: int
    size: int


@dataclass(frozen=True)
class Shared:
    """An object that workers open for themselves.

    Attributes:
        header: the object without the bytes of its arrays; where that is long, the digest of it, and it is the first
            of the spans: what is unpickled is what was pickled, whoever can write to the file.
        spans: where the header is, if it is long, and the bytes of each array; none if all is in the header.
        long: whether the header is in a file.
        name: no other object has it.
        own: the file that was made for it, if one was.
    """

    header: bytes
    spans: tuple[Span, ...] = ()
    long: bool = False
    name: str = ""
    own: str | None = None

    def open(self) -> Any:
        """The object; its arrays cannot be written to.

        Raises:
            OSError: its file is gone, or not what was written.
        """
        if not self.spans:
            return pickle.loads(self.header)  # noqa: S301 - came with the call
        with _LOCK:
            if self.name not in _OPEN:
                _OPEN[self.name] = (self.spans, self._load())
            _OPEN.move_to_end(self.name)
            while len(_OPEN) > _KEPT:
                _OPEN.popitem(last=False)
            return _OPEN[self.name][1]

    def close(self) -> None:
        """Remove what was made for it; those who have it open keep it until they turn to other things."""
        if self.own is not None:
            with suppress(OSError):
                os.unlink(self.own)

    def _load(self) -> Any:
        files = {path: np.memmap(path, np.uint8, "r") for path, _, _ in self.spans}
        parts = [files[path][start : start + size] for path, start, size in self.spans]
        if not self.long:
            return pickle.loads(self.header, buffers=parts)  # noqa: S301 - came with the call
        header = parts[0].tobytes()
        if blake2b(header).digest() != self.header:
            raise OSError(f"{self.spans[0].path}: not what was written there")
        return pickle.loads(header, buffers=parts[1:])  # noqa: S301 - its digest came with the call


_OPEN: "OrderedDict[str, tuple[tuple[Span, ...], Any]]" = OrderedDict()
_LOCK = Lock()


def forget(folder: str) -> None:
    """Let go of all that lies in a folder: on some file systems a file that is open cannot be removed."""
    with _LOCK:
        for name, (spans, _) in list(_OPEN.items()):
            if any(span.path.startswith(folder + os.sep) for span in spans):
                del _OPEN[name]


class Files:
    """Where shared objects are written, and what is there already.

    Args:
        new_file: gives a new name where workers can read.
    """

    def __init__(self, new_file: Callable[[str], str]) -> None:
        self.new = new_file
        self._known: dict[int, tuple[weakref.ref[Any], Span]] = {}

    def place(self, buffer: pickle.PickleBuffer, view: Bytes) -> Span | None:
        """Where the bytes of an array are, if they are in a file; one that nobody can write to is written once.

        That holds for an array that owns its bytes alone: others may write to what a part of an array shows, and what
        numpy makes to pickle one in the order of Fortran is gone with the pickle, and the file with it.
        """
        array: Any = memoryview(buffer).obj
        if not len(view) or not isinstance(array, np.ndarray):
            return None
        mapped = _mapped(array, view)
        flags = array.flags
        lasting = flags.owndata and flags.c_contiguous and not flags.writeable
        if mapped is not None or not lasting or len(view) <= _INLINE:
            return mapped
        found = self._known.get(id(array))
        if found is None:
            span = _written(self.new("kept"), [view])[0]
            found = self._known[id(array)] = (weakref.ref(array, partial(self._drop, id(array))), span)
        return found[1]

    def _drop(self, number: int, _: object) -> None:
        """The array is gone: another may get its number."""
        with suppress(OSError):
            os.unlink(self._known.pop(number)[1].path)


def share(data: Any, files: Files) -> Shared:
    """Make an object ready for workers.

    Args:
        data: anything that pickles. Contiguous arrays in it are written out; those that are mapped files already (see
            `Engine.zeros`) are not: workers map the same files. Arrays of their own bytes that cannot be written to
            are written out once, however often they are shared.
        files: where.
    """
    buffers: list[pickle.PickleBuffer] = []
    header = _pickled(data, buffers.append)
    views: list[Bytes] = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
    if sum(map(len, views)) + len(header) <= _INLINE:
        return Shared(_pickled(data, None))
    places = [files.place(buffer, view) for buffer, view in zip(buffers, views, strict=True)]
    long = len(header) > _INLINE
    if long:
        views, places = [np.frombuffer(header, np.uint8), *views], [None, *places]
        header = blake2b(header).digest()
    written = [view for view, place in zip(views, places, strict=True) if place is None]
    own = files.new("shared") if written else None
    made = iter(_written(own, written) if own else ())
    spans = tuple(place or next(made) for place in places)
    return Shared(header, spans, long, secrets.token_hex(8), own)


def _written(path: str, views: Sequence[Bytes]) -> list[Span]:
    """Write bytes into a new file."""
    spans, place = [], 0
    with open(path, "xb") as file:
        for view in views:
            file.seek(place)
            file.write(view.data)
            spans.append(Span(path, place, len(view)))
            place += -(-len(view) // _ALIGNED) * _ALIGNED
        # Mapping beyond the end is an error of the system, not of Python: the last array may have been empty.
        file.truncate(max(place, 1))
    return spans


class _Pickler(pickle.Pickler):
    """Takes a mapped array for the array that it is: pickle would copy its bytes, as those of any subclass."""

    def reducer_override(self, obj: Any) -> Any:
        return obj.view(np.ndarray).__reduce_ex__(5) if type(obj) is np.memmap else NotImplemented


def _pickled(data: Any, callback: Callable[[pickle.PickleBuffer], Any] | None) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=5, buffer_callback=callback).dump(data)
    return file.getvalue()


def _mapped(array: Any, view: Bytes) -> Span | None:
    """The file whose pages an array is, and where in it; None for an array in memory."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base  # a part knows less than the whole
    if not isinstance(array, np.memmap) or array.filename is None or array.mode == "c":
        return None
    array.flush()  # other machines are to see it
    start = view.__array_interface__["data"][0] - array.__array_interface__["data"][0]
    return Span(os.fspath(array.filename), array.offset + start, len(view))
