"""Walk a dataset folder: every entry once, in sorted order, never out of INPUT, never into a loop."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from datadiet_cli.data.places import Place, is_url
from datadiet_cli.errors import InputError

LONGEST_NAME = 255
"""Bytes of a part of a path, as file systems have it."""
_NO_PARTS = frozenset({b"", b".", b".."})


class Entry(NamedTuple):
    """A file of the folder.

    Attributes:
        path: POSIX path relative to the folder; bytes that are not UTF-8 are surrogates, as `os.fsdecode` makes them.
        size: bytes.
        mtime_ns: time of the last change, in nanoseconds.
        cause: why the entry cannot be a sample's content (a code of `UNCOPYABLE`), or None.
        place: where the content lies, if it is no file of the folder (see `data.places`), or None.
    """

    path: str
    size: int
    mtime_ns: int
    cause: str | None = None
    place: str | None = None


UNCOPYABLE = {
    "dangling-symlink": "a symbolic link to nothing",
    "symlink-outside-input": "a symbolic link that leads out of INPUT; --follow-symlinks allows it",
    "symlink-to-directory": "a symbolic link to a directory; --follow-symlinks allows it",
    "symlink-loop": "a symbolic link that leads back to itself, or to a directory that is listed anyway",
    "not-a-regular-file": "not a regular file",
    "no-file-name": "an object whose name no file can have: an empty part, . or .., a part of more than 255 bytes, or "
    "objects below it",
}


@dataclass
class Scan:
    """What a walk found: files (sorted by path), all directories (sorted, the root left out)."""

    entries: list[Entry] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


def scan(root: str, *, follow_symlinks: bool = False) -> Scan:
    """List every file below `root`, sorted by its relative POSIX path.

    Links to files inside `root` count as the files they lead to. Links that lead out, or to directories, are
    listed with a cause and not followed. With `follow_symlinks` links that lead out are followed, each directory
    outside once; a link to a directory inside never is, since what it holds is listed anyway.

    Objects of a store (`root` is an URL) have places; what is no name of a file is listed with a cause.

    Raises:
        InputError: a directory cannot be listed.
        OSError: a store cannot be asked.
    """
    if is_url(root):
        return _scan_store(root)
    walk = _Walk(root, follow_symlinks)
    while walk.pending:
        walk.directory(walk.pending.pop())
    walk.found.entries.sort(key=lambda entry: entry.path)
    walk.found.directories.sort()
    return walk.found


def _scan_store(url: str) -> Scan:
    from datadiet_cli.data import stores

    found = Scan()
    objects = stores.list_objects(url)
    fit = [_fits(one.name) for one in objects]
    parents = {parent for one, fits in zip(objects, fit, strict=True) if fits for parent in _parents(one.name)}
    for one, fits in zip(objects, fit, strict=True):
        if one.size < 0:
            raise InputError(f"{stores.shown(one.url)}: the store tells no size; copy the folder to this machine first")
        cause = None if fits and one.name not in parents else "no-file-name"
        place = Place(one.url, os.path.splitext(one.name)[1], 0, one.size, one.stamp).text()
        found.entries.append(Entry(one.name, one.size, one.mtime_ns, cause, None if cause else place))
    found.directories = sorted(parents)
    return found


def _fits(name: str) -> bool:
    """Whether a file of this machine can have the name of an object."""
    parts = os.fsencode(name).split(b"/")
    return "\0" not in name and _NO_PARTS.isdisjoint(parts) and max(map(len, parts)) <= LONGEST_NAME


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


class _Walk:
    def __init__(self, root: str, follow: bool) -> None:
        self._root, self._follow = root, follow
        self._inside = os.path.realpath(root)
        self._visited: set[tuple[int, int]] = set()
        self.found = Scan()
        self.pending = [""]

    def directory(self, prefix: str) -> None:
        """List one directory; `prefix` is its path with a slash at the end, or empty."""
        for item in _list(os.path.join(self._root, prefix)):
            path = prefix + item.name
            if item.is_dir(follow_symlinks=False):
                self.found.directories.append(path)
                self.pending.append(path + "/")
            elif item.is_symlink():
                self._link(item, path)
            else:
                status = item.stat(follow_symlinks=False)
                cause = None if stat.S_ISREG(status.st_mode) else "not-a-regular-file"
                self.found.entries.append(Entry(path, status.st_size, status.st_mtime_ns, cause))

    def _link(self, item: "os.DirEntry[str]", path: str) -> None:
        try:
            status = item.stat()
        except OSError as error:
            # ELOOP and ENOENT are what a link to itself and a link to nothing give.
            cause = "dangling-symlink" if isinstance(error, FileNotFoundError) else "symlink-loop"
            self.found.entries.append(Entry(path, 0, 0, cause))
            return
        target = os.path.realpath(item.path)
        is_inside = target == self._inside or target.startswith(self._inside + os.sep)
        if stat.S_ISDIR(status.st_mode):
            self._link_to_directory(path, (status.st_dev, status.st_ino), is_inside)
            return
        outside: str | None = None
        if not stat.S_ISREG(status.st_mode):
            outside = "not-a-regular-file"
        elif not self._follow and not is_inside:
            outside = "symlink-outside-input"
        self.found.entries.append(Entry(path, status.st_size, status.st_mtime_ns, outside))

    def _link_to_directory(self, path: str, identity: tuple[int, int], is_inside: bool) -> None:
        # A directory inside is walked by its own name. One outside is walked once, by the first link to it, so that
        # directories that link to each other do not multiply.
        if self._follow and not is_inside and identity not in self._visited:
            self._visited.add(identity)
            self.found.directories.append(path)
            self.pending.append(path + "/")
        else:
            self.found.entries.append(Entry(path, 0, 0, "symlink-loop" if self._follow else "symlink-to-directory"))


def _list(directory: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as items:
            return sorted(items, key=lambda item: item.name)
    except PermissionError as error:
        raise InputError(f"{directory}: cannot be listed: {error.strerror}; give read permission") from error
