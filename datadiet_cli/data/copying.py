"""Copy one file so that the copy is the same bytes, mode and times, or fail."""

import errno
import fcntl
import os
import shutil
from collections.abc import Mapping

from datadiet_cli.data.places import Place, fetch
from datadiet_cli.data.scan import Entry
from datadiet_cli.errors import OutputError

_FICLONE = 0x40049409
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM}
_NO_RANGE_COPY = _NO_REFLINK | {errno.EBADF, errno.EIO}


LEAVE = "leave"
"""A way of copying what lies in a store: it stays there, and whoever asks for it copies it within the store."""


def fetch_files(wanted: Mapping[str, Entry]) -> int:
    """Fetch what lies in a store: new file name -> entry with a place. Give the bytes.

    Raises:
        OutputError: an object is gone, or has changed.
        OSError: reading or writing failed.
    """
    for target in wanted:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    fetch({str(entry.place): target for target, entry in wanted.items()})
    for target, entry in wanted.items():
        if not os.path.lexists(target):
            raise OutputError(f"{entry.path}: changed while it was copied; run again when it is quiet")
        if entry.mtime_ns:
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
    return sum(entry.size for entry in wanted.values())


class Copier:
    """Copies files into one destination, by the cheapest way that its file system offers.

    Args:
        link: ``copy`` makes real copies (reflinks where the file system can), ``hardlink`` and ``symlink`` link.
    """

    def __init__(self, link: str = "copy") -> None:
        self._link = link
        self._reflink = True

    def copy(self, source: str, destination: str) -> int:
        """Copy or link `source` to the new name `destination` and give its size in bytes.

        Raises:
            OutputError: the link asked for cannot be made, or the source changed while it was copied.
            OSError: reading or writing failed.
        """
        if Place.of(source) is not None:
            return _fetch(source, destination)
        if self._link == "copy":
            return self._copy(source, destination)
        real = os.path.realpath(source)
        try:
            (os.link if self._link == "hardlink" else os.symlink)(real, destination)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
                raise
            raise OutputError(
                f"{source}: cannot {self._link} it to OUTPUT: {error.strerror}; use --link copy"
            ) from error
        return os.stat(real).st_size

    def _copy(self, source: str, destination: str) -> int:
        # O_NONBLOCK: a pipe that took the file's place must not hang the run.
        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(reading)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            writing = os.open(destination, flags, 0o600)
            try:
                if not self._clone(reading, writing):
                    _copy_bytes(reading, writing, status.st_size)
                if os.fstat(writing).st_size != status.st_size:
                    raise OutputError(f"{source}: changed while it was copied; run again when it is quiet")
                os.fchmod(writing, status.st_mode & 0o777)
                os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        return status.st_size

    def _clone(self, reading: int, writing: int) -> bool:
        if not self._reflink:
            return False
        try:
            fcntl.ioctl(writing, _FICLONE, reading)
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            self._reflink = False
        return self._reflink


def _fetch(place: str, destination: str) -> int:
    fetch({place: destination})
    if not os.path.lexists(destination):
        raise OutputError(f"{destination}: its source changed while it was copied; run again when it is quiet")
    return os.path.getsize(destination)


def _copy_bytes(reading: int, writing: int, size: int) -> None:
    done = 0
    try:
        while done < size:
            moved = os.copy_file_range(reading, writing, size - done)
            if moved == 0:
                return
            done += moved
    except OSError as error:
        if error.errno not in _NO_RANGE_COPY:
            raise
        os.lseek(reading, done, os.SEEK_SET)
        os.lseek(writing, done, os.SEEK_SET)
        with os.fdopen(os.dup(reading), "rb") as source, os.fdopen(os.dup(writing), "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
