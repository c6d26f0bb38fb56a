"""What is known of a file without reading it: its state, by which it is known again, and a key for its name."""

import os
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.places import Place, is_url, looks_only
from datadiet_cli.encode.cache import Digests, Rows

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FILES = "files/1"
"""Namespace of what is known of files by name: their state as `stat` tells it, and the digest of their bytes."""

_RACY_NS = 2_000_000_000
"""A file that changed just before it was looked at may change again and keep its time: git calls it racily clean."""
_ALL_BITS = (1 << 64) - 1


class States(NamedTuple):
    """What `stat` says of k files.

    Attributes:
        stamps: (k, 16) uint8, digests of it; zeros where it says nothing.
        racy: (k,) bool, too new to trust.
        sizes: (k,) int64 bytes.
    """

    stamps: Rows
    racy: Bools
    sizes: Ints

    def at(self, which: Any) -> "States":
        """Of some of the files."""
        return States(self.stamps[which], self.racy[which], self.sizes[which])


@looks_only
def file_states(paths: Sequence[str]) -> States:
    """What the file system says of files, by which they are known again."""
    stamps, racy, sizes = zip(*map(_state, paths), strict=True)
    return States(_bytes(stamps), np.array(racy, dtype=bool), np.array(sizes, dtype=np.int64))


def _state(path: str) -> tuple[bytes, bool, int]:
    now = time.time_ns()
    place = Place.of(path)
    if place is not None:
        return bytes.fromhex(place.stamp), False, place.size
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return bytes(16), True, 0
    facts = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    stamp = xxhash.xxh3_128_digest(struct.pack("<4Q", *(fact & _ALL_BITS for fact in facts)))
    return stamp, max(found.st_mtime_ns, found.st_ctime_ns) > now - _RACY_NS, found.st_size


def file_keys(paths: Sequence[str]) -> Digests:
    """Digests of the names of files, wherever they are named from."""
    names = (xxhash.xxh3_128_digest(os.fsencode(_name(path))) for path in paths)
    return np.frombuffer(b"".join(names), dtype=np.uint64).reshape(-1, 2)


def _name(path: str) -> str:
    place = Place.of(path)
    if place is None:
        return os.path.abspath(path)
    return f"{place.file if is_url(place.file) else os.path.abspath(place.file)}\0{place.offset}"


def _bytes(texts: Sequence[bytes]) -> Rows:
    return np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(-1, 16)
