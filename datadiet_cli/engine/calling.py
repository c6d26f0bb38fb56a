"""What a worker does with a call: it opens what was shared, brings files here that lie elsewhere, and runs it."""

import os
import signal
import socket
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from datadiet_cli.data.places import here
from datadiet_cli.engine.badge import Badge, fault
from datadiet_cli.engine.sharing import Shared
from datadiet_cli.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A kernel and the arguments that all of its calls have in common.

    Attributes:
        kernel: a module-level function.
        args: its arguments after the first; what is a `Shared` is opened where the call runs.
    """

    kernel: Callable[..., T]
    args: tuple[Any, ...]

    def __call__(self, items: Any) -> T:
        """Run the kernel on some items; files among them that lie elsewhere are fetched for as long as it takes."""
        args = [arg.open() if isinstance(arg, Shared) else arg for arg in self.args]
        with here(items, self.kernel) as local:
            return self.kernel(local, *args)


def name_of(kernel: Callable[..., Any]) -> str:
    """What people read of a kernel."""
    return str(getattr(kernel, "__name__", type(kernel).__name__)).strip("_")


def silenced(folder: str) -> None:
    """What a library says in a worker about a damaged file is noise, and Ctrl-C is the main process's affair.

    Args:
        folder: for temporary files of the worker: it is removed when the run ends, even if the worker was killed.
    """
    tempfile.tempdir = folder
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@dataclass(frozen=True)
class Checked:
    """A call that runs only where all is well, whenever that worker came."""

    call: Callable[[], Any]
    badge: Badge

    def __call__(self) -> Any:
        """Run it.

        Raises:
            ConfigError: this worker may not take part.
            OSError: as the call raises it, with the name of the machine.
        """
        wrong = fault(self.badge)
        if wrong:
            raise ConfigError(f"a Dask worker on {socket.gethostname()} cannot take part: {wrong}")
        try:
            return self.call()
        except OSError as error:
            if error.filename is not None and isinstance(error.filename, str | bytes):
                error.filename = f"{os.fsdecode(error.filename)} on {socket.gethostname()}"
            raise
