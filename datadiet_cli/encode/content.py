"""A file's bytes -> a digest, and whether two files hold the same bytes."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.places import Place, here, is_url, looks_only, pieces, sources, span_of

HEAD = 64 * 1024
_AT_ONCE = 16
"""Heads of objects of a store that are asked for at a time."""
_BUFFER = 1 << 20


@looks_only
def digest_files(paths: Sequence[str], limit: int | None = None) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Digest the first `limit` bytes of each file, or all of it. Members of tar files are read where they are.

    Returns:
        (n, 2) uint64 XXH3-128 digests (fast, not collision-proof: `same_bytes` has the last word), and (n,) bool,
        whether the file could be read.
    """
    digests: list[bytes | None] = [None] * len(paths)
    spans = {i: place for i, path in enumerate(paths) if (place := span_of(path)) is not None}
    for i, source in zip(spans, sources(spans.values()), strict=True):
        digests[i] = None if source < 0 else _digest_span(source, spans[i], limit)
    if limit is not None:
        for i, head in _heads(paths, limit).items():
            digests[i] = xxhash.xxh3_128_digest(head)
    rest = [i for i in range(len(paths)) if i not in spans and digests[i] is None]
    with here([_short(paths[i], limit) for i in rest], _digest) as local:
        for i, path in zip(rest, local, strict=True):
            digests[i] = _digest(path, limit)
    readable = np.array([digest is not None for digest in digests], dtype=bool)
    joined = b"".join(digest or bytes(16) for digest in digests)
    return np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2), readable


def _heads(paths: Sequence[str], limit: int) -> dict[int, bytes]:
    """The first bytes of objects of a store that have more; one that does not give them is fetched as a whole.

    Servers of the web are not asked: some send all of a file instead.
    """
    places = {i: place for i, path in enumerate(paths) if (place := Place.of(path)) is not None and is_url(place.file)}
    large = [i for i, p in places.items() if not p.offset and p.size > limit and not p.file.startswith("http")]
    if not large:
        return {}
    from datadiet_cli.data.stores import read_bytes

    def head(i: int) -> bytes:
        # What is wrong is found out, and told, by whoever fetches the whole.
        with suppress(OSError):
            return read_bytes(places[i].file, 0, limit)
        return b""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return {i: found for i, found in zip(large, pool.map(head, large), strict=True) if len(found) == limit}


def _short(path: str, limit: int | None) -> str:
    """The first bytes of a member of a tar file in a store; anything else is fetched as it is."""
    place = Place.of(path)
    if place is None or limit is None or not place.offset:
        return path
    return place._replace(size=min(place.size, limit)).text()


def _digest(path: str, limit: int | None) -> bytes | None:
    try:
        # Bare system calls: a file object costs as much as reading a small file.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if limit is not None:
            return xxhash.xxh3_128_digest(os.read(file, limit))
        hasher = xxhash.xxh3_128()
        while block := os.read(file, _BUFFER):
            hasher.update(block)
        return hasher.digest()
    except OSError:
        return None
    finally:
        os.close(file)


def _digest_span(source: int, place: Place, limit: int | None) -> bytes | None:
    part = place if limit is None else place._replace(size=min(place.size, limit))
    hasher, done = xxhash.xxh3_128(), 0
    try:
        for piece in pieces(source, part):
            hasher.update(piece)
            done += len(piece)
    except OSError:
        return None
    return hasher.digest() if done == part.size else None


def same_bytes(pairs: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    """Compare pairs of files byte by byte; (n,) bool. A file that cannot be read is like no other."""
    return np.array([_same(a, b) for a, b in pairs], dtype=bool)


def _same(a: str, b: str) -> bool:
    files: list[int] = []
    try:
        files.extend(os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in (a, b))
        while (left := os.read(files[0], _BUFFER)) == os.read(files[1], _BUFFER):
            if not left:
                return True
    except OSError:
        return False
    finally:
        for file in files:
            os.close(file)
    return False
