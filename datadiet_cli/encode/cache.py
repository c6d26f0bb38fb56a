"""Remember by content what was made of it, in the user's cache folder.

A cache is a convenience: one that is damaged, full, locked or not to be written is done without. What it gives is
right or not given: every row carries a check over its namespace, its content's digest and itself.
"""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import platformdirs
import xxhash
from numpy.typing import NDArray

from datadiet_cli.encode import cachefile
from datadiet_cli.encode.cachefile import CHECK_BYTES, FILE

P = ParamSpec("P")
T = TypeVar("T")
Digests = NDArray[np.uint64]
Rows = NDArray[np.uint8]

TRAININGS = "training"
"""The folder in it of trainings that were interrupted."""
KEPT = re.compile(r"(train|evaluate)-[0-9a-f]{32}")
"""The names of the folders in that one; whatever else lies there is the user's."""
LIMIT = 4 << 30
"""Bytes of the file, beyond which the contents used least recently go."""

_ROWS_AT_ONCE = 16_384
_BYTES_AT_ONCE = 16 << 20
_UNKNOWN = bytes(16)


def cache_folder(env: Mapping[str, str]) -> str:
    """The folder of all that is remembered: ``DATADIET_CACHE_DIR``, or else in the user's cache folder."""
    return env.get("DATADIET_CACHE_DIR") or platformdirs.user_cache_dir("datadiet")


def pair_digests(a: Digests, b: Digests) -> Digests:
    """Digest pairs of contents, in whichever order: XXH3-128 of the two digests, the smaller first.

    Args:
        a: (n, 2) uint64 digests.
        b: (n, 2) uint64 digests.

    Returns:
        (n, 2) uint64 digests; zeros where one of the two is zeros, unknown contents.
    """
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    pairs = np.where(swap[:, None], np.hstack([b, a]), np.hstack([a, b]))
    text = np.ascontiguousarray(pairs, dtype=np.uint64).tobytes()
    made = b"".join(xxhash.xxh3_128_digest(text[i : i + 32]) for i in range(0, len(text), 32))
    digests = np.frombuffer(made, dtype=np.uint64).reshape(-1, 2).copy()
    digests[~(a.any(axis=1) & b.any(axis=1))] = 0
    return digests


class NoCache:
    """Remembers nothing: what `Cache` does, left undone."""

    enabled = False

    def __enter__(self) -> "NoCache":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """Do nothing."""

    def recall(self, namespace: str, digests: Digests, width: int) -> tuple[NDArray[np.bool_], Rows]:
        """Know nothing."""
        return np.zeros(len(digests), dtype=bool), np.zeros((len(digests), width), dtype=np.uint8)

    def store(self, namespace: str, digests: Digests, rows: Rows) -> None:
        """Keep nothing."""


class Cache:
    """What was made of contents: rows of bytes, of one width, for each namespace. For one thread.

    A namespace names what was made and how, with every version that it depends on: ``sketch/L32/3/pillow-13.0.0``.
    Contents are known by XXH3-128 digests; a digest of zeros stands for unknown contents, never known and never kept.

    Several runs may use the same cache at once. Use as a context manager, or call `close`.

    Args:
        env: environment variables; ``DATADIET_CACHE_DIR`` names another folder than the user's cache folder.
        limit: bytes of the file, beyond which the contents used least recently go.
        now: seconds since 1970.

    Attributes:
        folder: where it lies.
        path: its file.
        trouble: why it is done without, or not written to any more.
    """

    def __init__(self, env: Mapping[str, str], *, limit: int = LIMIT, now: Callable[[], float] = time.time) -> None:
        self.folder = cache_folder(env)
        self.path = os.path.join(self.folder, FILE)
        self.trouble: str | None = None
        self._limit, self._now = limit, now
        self._connection: sqlite3.Connection | None = None
        self._lock = -1
        self._readable = self._writable = True
        self._replaced = False

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def enabled(self) -> bool:
        """Whether anything can be looked up or kept."""
        return self._attempt(_is_open, False)

    def recall(self, namespace: str, digests: Digests, width: int) -> tuple[NDArray[np.bool_], Rows]:
        """Look contents up.

        Args:
            namespace: what is asked for.
            digests: (n, 2) uint64 XXH3-128 digests of the contents.
            width: bytes of a row.

        Returns:
            (n,) bool, whether it is known; (n, width) uint8, zeros where not.
        """
        known = np.zeros(len(digests), dtype=bool)
        rows = np.zeros((len(digests), width), dtype=np.uint8)
        nothing: tuple[dict[bytes, bytes], list[Any]] = {}, []
        for part in _parts(len(digests), width):
            asked = _keys(digests[part])
            wanted = sorted(set(asked) - {_UNKNOWN})
            found, used = self._attempt(cachefile.find, nothing, namespace, width, wanted, self._hour())
            if used and self._writable:
                self._attempt(cachefile.touch, None, used)
            if found:
                number = {digest: i for i, digest in enumerate(found)}
                made = np.frombuffer(b"".join(found.values()), dtype=np.uint8).reshape(-1, width + CHECK_BYTES)
                place = np.array([number.get(digest, -1) for digest in asked], dtype=np.int64)
                known[part] = place >= 0
                rows[part][place >= 0] = made[place[place >= 0], :width]
        return known, rows

    def store(self, namespace: str, digests: Digests, rows: Rows) -> None:
        """Keep rows, (n, width) uint8. A cache that cannot be written is done without."""
        width = rows.shape[1]
        for part in _parts(len(digests), width):
            made = zip(_keys(digests[part]), rows[part], strict=True)
            contents = {digest: row.tobytes() for digest, row in made if digest != _UNKNOWN}
            if contents and self._writable:
                self._attempt(cachefile.keep, None, namespace, width, contents, self._hour())
            if contents and self._writable:
                self._attempt(cachefile.prune, None, self._limit)

    def _hour(self) -> int:
        return int(self._now() // 3600)

    def _attempt(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], otherwise: T, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something with the database; what goes wrong there ends its use, not the run."""
        if not self._readable:
            return otherwise
        try:
            return work(self._open(), *args, **kwargs)
        except sqlite3.ProgrammingError:
            raise
        except cachefile.ERRORS as error:
            self._give_up(error, writing=work in _WRITING)
        return otherwise

    def _give_up(self, error: Exception, *, writing: bool) -> None:
        self.trouble, self._writable = str(error), False
        if writing and self._connection is not None and not cachefile.ruined(error):
            return
        self.close()
        if cachefile.ruined(error) and not self._replaced:
            self._replaced = True
            with contextlib.suppress(OSError):
                cachefile.remove(self.folder)
                # What was there is lost, but from now on there is a sound one.
                self.trouble, self._writable = None, True
        self._readable = self._writable

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            self._lock = cachefile.hold(self.folder)
            self._connection = cachefile.connect(self.folder)
        return self._connection


_WRITING = (cachefile.touch, cachefile.keep, cachefile.prune)


def _is_open(db: sqlite3.Connection) -> bool:
    return True


def _parts(n: int, width: int) -> Iterator[slice]:
    step = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // max(width, 1)))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _keys(digests: Digests) -> list[bytes]:
    text = np.ascontiguousarray(digests, dtype=np.uint64).tobytes()
    return [text[i : i + 16] for i in range(0, len(text), 16)]
