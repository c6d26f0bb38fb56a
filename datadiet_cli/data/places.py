"""Samples that are no files of this machine: objects of a store, and members of tar files.

Such a sample goes by a *place*, a string that says all that is needed to fetch it and to know it again. It has NUL
characters, which no file name can have: who takes it for one fails at once.
"""

import fcntl
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

import xxhash

_MARK = "\0"
_MEMORY = "/dev/shm"  # noqa: S108 - what is made there has a name that nobody else has
_OURS = "datadiet-fetched-"
"""Begins the names of folders there. They are locked while they are in use, for nothing else empties memory after a
process that was killed."""
_TRIES = 3
_SMALL = 16 << 20
_PIECE = 1 << 20
_LONGEST = 32
"""Characters of an ending that are of use to decoders; a name may be all ending."""


class Place(NamedTuple):
    """Where the bytes of a sample lie.

    Attributes:
        file: a file of this machine, or an URL that fsspec knows.
        suffix: the end of the sample's name, which tells decoders what it may be.
        offset: where its bytes begin.
        size: how many there are.
        stamp: changes when they change: 32 hexadecimal digits.
    """

    file: str
    suffix: str
    offset: int
    size: int
    stamp: str

    def text(self) -> str:
        """As a string that goes where paths go."""
        return _MARK.join((self.file, self.suffix, str(self.offset), str(self.size), self.stamp))

    @classmethod
    def of(cls, text: str) -> "Place | None":
        """What `text` gave; None for the path of a file."""
        if _MARK not in text:
            return None
        file, suffix, offset, size, stamp = text.split(_MARK)
        return cls(file, suffix, int(offset), int(size), stamp)


def span_of(text: str) -> Place | None:
    """The place that a string says, if it lies in a file of this machine."""
    place = Place.of(text)
    return None if place is None or is_url(place.file) else place


def is_url(path: str) -> bool:
    """Whether a path names something that fsspec fetches, such as ``s3://bucket/folder``."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.replace("+", "").replace("-", "").isalnum() and len(scheme) > 1


def looks_only(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a kernel that takes places as they are and reads no content."""
    kernel.looks_only = True  # type: ignore[attr-defined]
    return kernel


@contextmanager
def here(items: Any, kernel: Callable[..., Any]) -> Iterator[Any]:
    """The items with a file of this machine in the stead of each place, for as long as the context lasts.

    Args:
        items: a list of paths, or of tuples with paths in them, some of which may be places; anything else is given
            back as it is.
        kernel: what they are for.
    """
    if not isinstance(items, list) or getattr(kernel, "looks_only", False) or not any(map(_is_away, items)):
        yield items
        return
    wanted = dict.fromkeys(text for item in items for text in _texts(item) if _MARK in text)
    places = [place for place in map(Place.of, wanted) if place is not None]
    with _folder_for(places) as folder:
        names = (os.path.join(folder, f"{number}{place.suffix[:_LONGEST]}") for number, place in enumerate(places))
        fetched = dict(zip(wanted, names, strict=True))
        fetch(fetched)
        yield [_swapped(item, fetched) for item in items]


def fetch(wanted: dict[str, str]) -> None:
    """Write the bytes of places into new files: place -> file name. One that is gone gets no file."""
    spans = [(place, target) for text, target in wanted.items() if (place := span_of(text)) is not None]
    if len(spans) < len(wanted):
        from datadiet_cli.data import transfer

        away = ((Place.of(text), target) for text, target in wanted.items())
        transfer.fetch(
            [
                (transfer.Span(p.file, p.offset, p.size, p.stamp if p.offset else ""), to)
                for p, to in away
                if p is not None and is_url(p.file)
            ]
        )
    for source, (place, target) in zip(sources(place for place, _ in spans), spans, strict=True):
        if source >= 0:
            _cut(source, place, target)


def sources(places: Iterable[Place]) -> Iterator[int]:
    """Open the files of this machine that places lie in, for as long as the next one is not asked for.

    A file that is gone, or is not what it was, gives -1: whoever wants its bytes will say so. One stays open as long
    as places in it follow on each other, as those of the samples of a shard do.
    """
    name, source = "", -1
    try:
        for place in places:
            if place.file != name:
                if source >= 0:
                    os.close(source)
                name, source = place.file, _opened(place)
            yield source
    finally:
        if source >= 0:
            os.close(source)


def pieces(source: int, place: Place) -> Iterator[bytes]:
    """Read the bytes of a place from its open file, piece by piece."""
    done = 0
    while done < place.size and (piece := os.pread(source, min(place.size - done, _PIECE), place.offset + done)):
        yield piece
        done += len(piece)


def stamp_of(size: int, mtime_ns: int) -> str:
    """The stamp of a file of this machine, by what any machine says of it that sees it."""
    return xxhash.xxh3_128_hexdigest(struct.pack("<Qq", size, mtime_ns))


def _opened(place: Place) -> int:
    """A file as the stamp says that it is; -1 for none."""
    try:
        source = os.open(place.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1
    status = os.fstat(source)
    if stamp_of(status.st_size, status.st_mtime_ns) == place.stamp:
        return source
    os.close(source)
    return -1


def _cut(source: int, place: Place, target: str) -> None:
    """Copy a span of a file into a new one."""
    with open(target, "xb", buffering=0) as file:
        for piece in pieces(source, place):
            left = memoryview(piece)
            while left:
                left = left[file.write(left) :]


def _folder_for(places: Sequence[Place]) -> AbstractContextManager[str]:
    """A new folder: in memory for a few small files, which costs half of what one on a disk does; else a usual one."""
    needed = sum(place.size for place in places)
    try:
        room = os.statvfs(_MEMORY) if needed <= _SMALL else None
    except OSError:
        room = None
    # Others look at the same moment.
    if room is None or room.f_bavail * room.f_frsize <= 64 * needed or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return tempfile.TemporaryDirectory(prefix="datadiet-")
    _sweep()
    # Whoever sweeps at this moment may lock it first; and there are systems without such locks.
    for _ in range(_TRIES):
        folder = tempfile.mkdtemp(prefix=_OURS, dir=_MEMORY)
        lock = _lock(folder)
        if lock is not None:
            return _locked(folder, lock)
        shutil.rmtree(folder, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix="datadiet-")


@contextmanager
def _locked(folder: str, lock: int) -> Iterator[str]:
    """A folder that is locked while it is in use, and then goes."""
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        finally:
            os.close(lock)


@cache
def _sweep() -> None:
    """Remove folders whose owners were killed, once in the life of a process.

    Others who use the same memory may not be seen, as in another container, but their locks are.
    """
    with os.scandir(_MEMORY) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_OURS)]
    for folder in found:
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: str) -> int | None:
    """Lock a folder of ours, as long as what is given is open; None if it is somebody else's, in use, or gone."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(lock)
        if status.st_uid == os.geteuid() and os.path.samestat(status, os.lstat(folder)):
            return lock
    os.close(lock)
    return None


def _texts(item: Any) -> Sequence[str]:
    if isinstance(item, str):
        return (item,)
    return [part for part in item if isinstance(part, str)] if isinstance(item, tuple) else ()


def _is_away(item: Any) -> bool:
    return any(_MARK in text for text in _texts(item))


def _swapped(item: Any, fetched: dict[str, str]) -> Any:
    if isinstance(item, str):
        return fetched.get(item, item)
    if not isinstance(item, tuple):
        return item
    values = [fetched.get(part, part) if isinstance(part, str) else part for part in item]
    return type(item)(*values) if hasattr(item, "_fields") else tuple(values)
