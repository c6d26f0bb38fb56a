"""Folders that outlive a run that went wrong, so that the next one goes on with what is in them."""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WEEK = 7 * 86_400
"""Seconds after which nobody is expected to go on with a folder."""
_PREFIX = "datadiet-kept-"
_NAME = re.compile(_PREFIX + "[0-9a-f]{32}")


@contextmanager
def kept_folder(parent: str | None, digest: str, spare: Callable[[], str], *, fresh: bool) -> Iterator[str]:
    """A folder that is the same for the same digest; removed afterwards, unless something went wrong.

    Nobody else uses it meanwhile: a run at the same time that asks for the same gets a folder that is gone afterwards,
    and so does one that cannot lock it or finds that it belongs to another user.

    Args:
        parent: where it is; None for where temporary files are.
        digest: 32 hexadecimal digits, of all that its content depends on.
        spare: makes that other folder.
        fresh: whether to forget what was kept.

    Yields:
        The folder.
    """
    parent = os.path.abspath(parent or tempfile.gettempdir())
    path = os.path.join(parent, _PREFIX + digest)
    lock = _taken(path)
    if lock < 0:
        path = spare()
    else:
        os.utime(path)  # taken up again: the week begins anew
        _sweep(parent)
        if fresh:
            _empty(path)
    try:
        yield path
        # Before the lock is given up: nobody may find it half gone.
        shutil.rmtree(path, ignore_errors=True)
    finally:
        if lock >= 0:
            os.close(lock)


def _taken(path: str) -> int:
    """Make a folder, or take one that is there; a lock that lasts until it is closed or the process ends, -1 for none.

    Where everybody may write, anybody may have made it: what a stranger put in is not to be believed.
    """
    with contextlib.suppress(FileExistsError, OSError):
        os.mkdir(path, 0o700)
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return -1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found, there = os.fstat(lock), os.lstat(path)
        # Whoever had it may have removed it between the two steps.
        if os.path.samestat(found, there) and found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH:
            return lock
    except OSError:
        pass
    os.close(lock)
    return -1


def _empty(path: str) -> None:
    for entry in os.scandir(path):
        with contextlib.suppress(OSError):
            os.unlink(entry.path)


def _sweep(parent: str) -> None:
    """Remove what nobody went on with for a week."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            if _NAME.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > WEEK:
                _remove(entry.path)


def _remove(path: str) -> None:
    lock = _taken(path)  # not while a long run still uses it
    if lock >= 0:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
