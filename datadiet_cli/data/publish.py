"""Make OUTPUT appear whole or not at all.

A copy is staged under a hidden name beside OUTPUT, synced, and renamed into place; the report is written last. A run
that dies leaves OUTPUT as it was; what it staged is swept away by the next run, which knows by a lock that nobody
is at work there any more.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from types import TracebackType

from datadiet_cli.data.mirror import is_folder, named, real
from datadiet_cli.data.places import is_url
from datadiet_cli.errors import OutputError

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
LONGEST_ENDING = ".class_weights.json"
"""Of the names of files that stand beside OUTPUT."""
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def check_output(source: str, output: str, *, force: bool) -> None:
    """Refuse an OUTPUT that would endanger INPUT or what is there already, before any work is done.

    Raises:
        OutputError: OUTPUT exists (without `force`), is INPUT, lies inside it or around it, or its folder is
            missing or cannot be written.
    """
    _check_here(output)
    if os.path.basename(output.rstrip("/")) in ("", ".", ".."):
        raise OutputError(f"OUTPUT is {output!r}; name the folder or file itself")
    check_apart(source, output, "INPUT")
    _check_occupied(output, force)
    check_folder(output)
    longest = os.pathconf(_parent(output), "PC_NAME_MAX") - len(LONGEST_ENDING)
    if len(os.fsencode(os.path.basename(output.rstrip("/")))) > longest:
        raise OutputError(f"{output}: the name is too long; at most {longest} bytes leave room for the report's name")


def _check_here(path: str) -> None:
    if is_url(path):
        raise OutputError(f"{path}: lies in a store; this command writes to this machine alone, name a path on it")


def check_folder(path: str) -> None:
    """Check that a new file or folder can be made at `path`.

    Raises:
        OutputError: its folder is missing or cannot be written.
    """
    _check_here(path)
    parent = _parent(path)
    if not os.path.isdir(parent):
        raise OutputError(f"{path}: its folder {parent} does not exist; make it first: mkdir -p {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: its folder {parent} cannot be written; give write permission")


def place_beside(source: str) -> str:
    """A name for OUTPUT beside INPUT; the full one where the name of INPUT, such as ``.``, would lead into it.

    Raises:
        OutputError: there is no such place.
    """
    whole = real(source)
    if is_url(source):
        source = named(source)
        stem, ending = (source.rstrip("/"), "") if is_folder(source) else os.path.splitext(source)
        return f"{stem}-diet{ending}"
    for path in (source.rstrip("/"), whole):
        stem, ending = (path, "") if os.path.isdir(whole) else os.path.splitext(path)
        found = f"{stem}-diet{ending}"
        if stem and not os.path.realpath(found).startswith(whole.rstrip("/") + "/"):
            return found
    raise OutputError(f"{source}: there is no place beside it to propose as OUTPUT; name one in the configuration")


def check_file(path: str) -> None:
    """Refuse to replace what is there by a file, if it is none: a device must not become one, nor a link be lost.

    Raises:
        OutputError: it is a link, a folder, or no regular file.
    """
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isfile(path)):
        raise OutputError(f"{path}: is no regular file; name another one")


def check_apart(source: str, output: str, name: str) -> None:
    """Refuse an OUTPUT that would replace what is read, or be found in it.

    Args:
        source: what is read.
        output: OUTPUT.
        name: of the source, for the message.

    Raises:
        OutputError: one lies inside the other.
    """
    real_source, real_output = real(source), real(output)
    if real_source == real_output:
        raise OutputError(f"{output}: OUTPUT is {name}; name another folder or file")
    if real_output.startswith(real_source + os.sep):
        raise OutputError(f"{output}: OUTPUT lies inside {name}; name a place outside {source}")
    if real_source.startswith(real_output + os.sep):
        raise OutputError(f"{output}: OUTPUT holds {name}; name another place")


def _check_occupied(output: str, force: bool) -> None:
    if os.path.islink(output.rstrip("/")):
        raise OutputError(f"{output}: is a symbolic link; name the place it leads to")
    if os.path.lexists(output) and not (os.path.isdir(output) or os.path.isfile(output)):
        raise OutputError(f"{output}: is neither a folder nor a regular file; name another OUTPUT")
    if os.path.lexists(output) and not force:
        raise OutputError(f"{output}: exists already; name another OUTPUT or pass --force to replace it")


class Stage:
    """A hidden sibling of OUTPUT to build the copy in. As a context manager it is gone afterwards, come what may.

    Args:
        output: the path to publish to.
        directory: whether OUTPUT is a folder rather than a file.

    Attributes:
        path: what to fill: an existing empty folder, or the name of a file to be.
    """

    def __init__(self, output: str, *, directory: bool) -> None:
        _check_here(output)
        self._output = output.rstrip("/")
        self._parent = _parent(output)
        self._directory = directory
        self._prefix = _hidden(os.path.basename(self._output))
        self._room = os.path.join(self._parent, f"{self._prefix}{secrets.token_hex(6)}.partial")
        self._lock = -1
        self.path = os.path.join(self._room, os.path.basename(self._output))

    def __enter__(self) -> "Stage":
        _sweep(self._parent, self._prefix)
        try:
            os.mkdir(self._room, 0o700)
            self._lock = os.open(self._room, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._directory:
                os.mkdir(self.path)
        except BaseException:
            # A signal may arrive between any two of these lines.
            self._clear()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self._room, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def sync(self) -> None:
        """Bring what was staged to the disk; a full disk shows here at the latest."""
        _sync(self._lock)

    def check_free(self) -> None:
        """Make sure that nobody made OUTPUT in the meantime.

        Raises:
            OutputError: somebody did.
        """
        if os.path.lexists(self._output):
            raise OutputError(f"{self._output}: appeared while the copy was made; nothing replaced")

    def commit(self, *, force: bool) -> None:
        """Move what was staged and synced to OUTPUT in one step.

        Raises:
            OutputError: OUTPUT appeared in the meantime and `force` is not set.
        """
        if force and os.path.lexists(self._output):
            # The old OUTPUT lands in the stage and leaves with it.
            _rename(self.path, self._output, _RENAME_EXCHANGE)
        else:
            try:
                _rename(self.path, self._output, _RENAME_NOREPLACE)
            except FileExistsError as error:
                raise OutputError(f"{self._output}: appeared while the copy was made; nothing replaced") from error
        _sync_directory(self._parent)


def write_atomically(path: str, content: bytes | Iterable[bytes]) -> None:
    """Write a file under a temporary name, sync it, and rename it into place, replacing what was there.

    Args:
        path: the file.
        content: all of it, or piece by piece.

    Raises:
        OutputError: there is something that is no file, such as a device, which must not become one.
        OSError: it cannot be written.
    """
    _check_here(path)
    if os.path.lexists(path) and not os.path.islink(path):
        check_file(path)
    parent = _parent(path)
    temporary = os.path.join(parent, f"{_hidden(os.path.basename(path))}{secrets.token_hex(6)}.partial")
    try:
        with open(temporary, "xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    _sync_directory(parent)


def _hidden(name: str) -> str:
    """The start of a hidden name, short enough for what follows: names are limited in bytes."""
    return os.fsdecode(b"." + os.fsencode(name)[:60] + b".")


def _parent(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


def _stale(parent: str, prefix: str) -> Iterator[str]:
    """Names that `Stage` gives, to the letter: a folder that only resembles one is the user's."""
    ours = re.compile(re.escape(prefix) + r"[0-9a-f]{12}\.partial")
    for name in os.listdir(parent):
        if ours.fullmatch(name):
            yield os.path.join(parent, name)


def _sweep(parent: str, prefix: str) -> None:
    """Remove what dead runs left: whoever is alive holds the lock on its stage."""
    for path in _stale(parent, prefix):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _rename(old: str, new: str, flags: int) -> None:
    renameat2 = getattr(_libc(), "renameat2", None)
    if renameat2 is not None:
        if renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), new)
    # A file system without the flags: the next best, a moment without OUTPUT when it is replaced.
    if flags == _RENAME_EXCHANGE:
        os.rename(new, old + ".old")
    elif os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new)


def _sync(handle: int) -> None:
    """Flush the whole file system once, which is far cheaper than a sync for each of a million files."""
    syncfs = getattr(_libc(), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(handle) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
