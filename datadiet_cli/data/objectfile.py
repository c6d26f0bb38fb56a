"""An object of a store as a file that is read and sought in, by requests for parts of it."""

import io
from typing import BinaryIO

from datadiet_cli.data.stores import read_bytes, shown

_FIRST = 256 << 10
"""Bytes of a request that follows on a jump; the next ones double."""
_LONGEST = 4 << 20
_NEAR = 2 << 20
"""Bytes between two reads that count as going on: to wait for another answer takes as long as to read past them."""


def open_object(url: str, size: int) -> BinaryIO:
    """Open an object of a store for reading.

    Args:
        url: of it.
        size: bytes that it has.
    """
    return io.BufferedReader(_Parts(url, size), _LONGEST)


class _Parts(io.RawIOBase):
    """Asks for more at a time the longer it is read from front to back, and for little where somebody jumps."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size = url, size
        self._at = self._last = 0
        self._step = _FIRST // 2
        self.name = shown(url)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        goes_on = 0 <= self._at - self._last <= _NEAR
        self._step = min(2 * self._step, _LONGEST) if goes_on else _FIRST
        content = read_bytes(self._url, self._at, min(wanted, self._step))
        buffer[: len(content)] = content
        self._at += len(content)
        self._last = self._at
        return len(content)
