"""What a worker does with a call: it opens what was shared, brings files here that lie elsewhere, and runs it."""

import os
import platform
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Generic, TypeVar

from datadiet_cli import __version__
from datadiet_cli.data.places import here
from datadiet_cli.engine.sharing import Shared
from datadiet_cli.errors import ConfigError

T = TypeVar("T")

_PACKAGES = (
    "dask", "distributed", "imagehash", "msgpack", "numpy", "pillow", "polars", "rapidfuzz", "scikit-learn", "scipy",
    "soundfile", "tokenizers", "torch", "xxhash",
)  # fmt: skip
"""What results, or the talk between machines, may depend on."""


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


def silenced() -> None:
    """What a library says in a worker about a damaged file is noise, and Ctrl-C is the main process's affair."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@cache
def versions() -> dict[str, str]:
    """Of everything here that results may depend on; a package that is not installed is left out."""
    found = {"datadiet": __version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Checked:
    """A call that runs only where everything has the versions of the machine that it came from."""

    call: Callable[[], Any]
    known: dict[str, str]

    def __call__(self) -> Any:
        """Run it.

        Raises:
            ConfigError: some version is another one here.
        """
        if versions() != self.known:
            other = sorted(name for name, value in self.known.items() ^ versions().items())
            raise ConfigError(
                f"a Dask worker that joined later differs from this machine in {', '.join(dict.fromkeys(other))}; "
                "install the same versions everywhere"
            )
        return self.call()
