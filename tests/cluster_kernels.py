"""Kernels for tests of clusters, in a module of their own: workers import them by name."""

import errno
import os
import signal
import time
from pathlib import Path

from datadiet_cli.errors import ConfigError, InputError, MissingExtraError

FAILURES = {
    "config": lambda: ConfigError("seven\nis not allowed"),
    "input": lambda: InputError("pic\udcff.png: seven"),
    "extra": lambda: MissingExtraError("no seven here"),
    "memory": lambda: MemoryError("seven"),
    "other": lambda: ArithmeticError("seven"),
    "disk": lambda: OSError(errno.ENOSPC, "No space left on device", "/data/seven"),
}


def doubled(items, by=2):
    return [by * item for item in items]


def pid(items):
    time.sleep(0.05)
    return os.getpid()


def fail_at_7(items, how):
    if 7 in items:
        raise FAILURES[how]()
    return items


def die(items):
    os.kill(os.getpid(), signal.SIGKILL)


def note(items, folder, seconds=0.0):
    """Leave a file for each item, then take a while."""
    for item in items:
        Path(folder, f"{item}").touch()
    time.sleep(seconds)
    return items


def total(data, piece):
    """The sum of a row of an array that is shared."""
    return int(data[0][piece].sum()) + len(data[1])


def deal(items, exchange):
    """Write a piece of an exchange, if it is not there."""
    import numpy as np

    if not exchange.has(items[0]):
        exchange.write(items[0], np.array([0, 1]), {"value": np.array([items[0], -items[0]])})
        return 1
    return 0
