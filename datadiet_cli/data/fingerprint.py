"""Tell by a short digest whether a dataset on disk is the one seen before."""

from collections.abc import Iterable

import xxhash

from datadiet_cli.data.mirror import is_folder, local
from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry, scan

_BUFFER = 1 << 22


def fingerprint(path: str) -> str:
    """Digest a folder's file names and sizes, or a file's bytes; 32 hexadecimal digits (XXH3-128)."""
    if is_folder(path):
        return of_entries(scan(path, follow_symlinks=True).entries)
    hasher = xxhash.xxh3_128()
    with open(local(path), "rb", buffering=0) as file:
        while block := file.read(_BUFFER):
            hasher.update(block)
    return hasher.hexdigest()


def of_entries(entries: list[Entry]) -> str:
    """Digest names and sizes of the files that can be copied, sorted by path."""
    return _digest(f"{entry.path}\0{entry.size}\n" for entry in entries if entry.cause is None)


def signature(entries: list[Entry]) -> str:
    """Digest all that decides which sample stands in which row, and times of change, of entries sorted by path.

    Entries that cannot be copied count too: they take part in the numbering. Of what has a place, its stamp counts.
    """
    return _digest(f"{entry.path}\0{entry.size}.{_state(entry)}.{entry.cause}\n" for entry in entries)


def _state(entry: Entry) -> str | int:
    place = Place.of(entry.place) if entry.place is not None else None
    return entry.mtime_ns if place is None else place.stamp


def _digest(lines: Iterable[str]) -> str:
    hasher = xxhash.xxh3_128()
    for line in lines:
        hasher.update(line.encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()
