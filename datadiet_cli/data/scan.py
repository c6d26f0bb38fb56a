"""Walk a dataset folder: every entry once, in sorted order, never out of INPUT, never into a loop."""

import os
import stat
from dataclasses import dataclass, field
from typing import NamedTuple

from datadiet_cli.errors import InputError


class Entry(NamedTuple):
    """A file of the folder.

    Attributes:
        path: POSIX path relative to the folder; bytes that are not UTF-8 are surrogates, as `os.fsdecode` makes them.
        size: bytes.
        mtime_ns: time of the last change, in nanoseconds.
        cause: why the entry cannot be a sample's content (a code of `UNCOPYABLE`), or None.
    """

    path: str
    size: int
    mtime_ns: int
    cause: str | None = None


UNCOPYABLE = {
    "dangling-symlink": "a symbolic link to nothing",
    "symlink-outside-input": "a symbolic link that leads out of INPUT; --follow-symlinks allows it",
    "symlink-to-directory": "a symbolic link to a directory; --follow-symlinks allows it",
    "symlink-loop": "a symbolic link that leads back to itself",
    "not-a-regular-file": "not a regular file",
}


@dataclass
class Scan:
    """What a walk found: files (sorted by path), all directories (sorted, the root left out)."""

    entries: list[Entry] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


def scan(root: str, *, follow_symlinks: bool = False) -> Scan:
    """List every file below `root`, sorted by its relative POSIX path.

    Links to files inside `root` count as the files they lead to. Links that lead out, or to directories, are
    listed with a cause and not followed, unless `follow_symlinks` is set; loops are never followed.

    Raises:
        InputError: a directory cannot be listed.
    """
    found = Scan()
    inside = os.path.realpath(root) + os.sep
    top = os.stat(root)
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset({(top.st_dev, top.st_ino)}))]
    while pending:
        prefix, ancestors = pending.pop()
        for item in _list(os.path.join(root, prefix)):
            path = prefix + item.name
            if item.is_dir(follow_symlinks=False):
                status = item.stat(follow_symlinks=False)
                found.directories.append(path)
                pending.append((path + "/", ancestors | {(status.st_dev, status.st_ino)}))
            elif item.is_symlink():
                _link(item, path, inside, ancestors, follow_symlinks, found, pending)
            else:
                status = item.stat(follow_symlinks=False)
                cause = None if stat.S_ISREG(status.st_mode) else "not-a-regular-file"
                found.entries.append(Entry(path, status.st_size, status.st_mtime_ns, cause))
    found.entries.sort(key=lambda entry: entry.path)
    found.directories.sort()
    return found


def _list(directory: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as items:
            return list(items)
    except PermissionError as error:
        raise InputError(f"{directory}: cannot be listed: {error.strerror}; give read permission") from error


def _link(
    item: "os.DirEntry[str]",
    path: str,
    inside: str,
    ancestors: frozenset[tuple[int, int]],
    follow: bool,
    found: Scan,
    pending: list[tuple[str, frozenset[tuple[int, int]]]],
) -> None:
    try:
        status = item.stat()
    except OSError as error:
        # ELOOP and ENOENT are what a link to itself and a link to nothing give.
        cause = "dangling-symlink" if isinstance(error, FileNotFoundError) else "symlink-loop"
        found.entries.append(Entry(path, 0, 0, cause))
        return
    if stat.S_ISDIR(status.st_mode):
        identity = (status.st_dev, status.st_ino)
        if follow and identity not in ancestors:
            found.directories.append(path)
            pending.append((path + "/", ancestors | {identity}))
        else:
            found.entries.append(Entry(path, 0, 0, "symlink-loop" if follow else "symlink-to-directory"))
        return
    outside: str | None = None
    if not stat.S_ISREG(status.st_mode):
        outside = "not-a-regular-file"
    elif not follow and not os.path.realpath(item.path).startswith(inside):
        outside = "symlink-outside-input"
    found.entries.append(Entry(path, status.st_size, status.st_mtime_ns, outside))
