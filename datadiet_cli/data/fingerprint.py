"""Tell by a short digest whether a dataset on disk is the one seen before."""

import os

import xxhash

from datadiet_cli.data.scan import Entry, scan

_BUFFER = 1 << 22


def fingerprint(path: str) -> str:
    """Digest a folder's file names and sizes, or a file's bytes; 32 hexadecimal digits (XXH3-128)."""
    if os.path.isdir(path):
        return of_entries(scan(path, follow_symlinks=True).entries)
    hasher = xxhash.xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BUFFER):
            hasher.update(block)
    return hasher.hexdigest()


def of_entries(entries: list[Entry], *, times: bool = False) -> str:
    """Digest names and sizes, and times of change where asked, of files sorted by path."""
    hasher = xxhash.xxh3_128()
    for entry in entries:
        if entry.cause is None:
            stamp = f".{entry.mtime_ns}" if times else ""
            hasher.update(f"{entry.path}\0{entry.size}{stamp}\n".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()
