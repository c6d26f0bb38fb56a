"""A Dask cluster as an executor. Beside `engine.local` nothing else of datadiet knows Dask."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from datadiet_cli.engine.calling import Checked, silenced, versions
from datadiet_cli.engine.counting import default_workers
from datadiet_cli.errors import ConfigError, DatadietError

if TYPE_CHECKING:
    from datadiet_cli.engine import Limits
    from datadiet_cli.engine.scratch import Scratch

T = TypeVar("T")

IN_PROCESS = "inproc"
"""The scheduler that is a thread of this process, as its workers are: for trying things."""
_CONNECT, _WAIT = 20, 60
"""Seconds until a scheduler must answer, and until it must have a worker."""
_GPU = "GPU"
"""The worker resource that stands for one GPU, as Dask's own documents name it."""
_SHOWN = 3


class Cluster:
    """A scheduler and its workers. Use as a context manager.

    Args:
        workers: how many to start, if the cluster is of our own making.
        limits: names the scheduler, or none.
        scratch: where files for workers go.

    Raises:
        ConfigError: there is no such scheduler, it has no workers, or they run other versions.
    """

    def __init__(self, workers: int | None, limits: "Limits", scratch: "Scratch") -> None:
        self._limits, self._scratch = limits, scratch
        self._asked = workers
        self._stack = ExitStack()
        self._versions = versions()

    def __enter__(self) -> "Cluster":
        # What it logs on its own account would be a traceback for a scheduler that went away.
        logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
        with ExitStack() as stack:
            self._client = stack.enter_context(self._connected(stack))
            self._check_versions()
            self._facts = self._count()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # A scheduler that is gone cannot be told so.
        with suppress(TimeoutError, OSError):
            self._stack.close()

    @property
    def workers(self) -> int:
        """Calls that run at a time."""
        return int(self._facts["threads"])

    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {"name": "dask", "scheduler": self._limits.scheduler, **self._facts, "versions": self._versions}

    def executor(self, *, on_device: bool) -> Executor:
        """What runs calls; those for a device where there is one, if any worker says it has one."""
        wanted = {"resources": {_GPU: 1}} if on_device and self._facts["gpus"] and self._limits.device != "cpu" else {}
        executor: Executor = self._client.get_executor(pure=False, **wanted)
        return _Sender(executor, self._versions)

    def result(self, future: "Future[T]") -> T:
        """What came of a call.

        Raises:
            DatadietError: the scheduler was lost, or workers died of the call.
        """
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            return future.result()
        except (CancelledError, CommClosedError) as error:
            raise DatadietError(
                f"{self._place()}: the Dask scheduler was lost; nothing was published. What was finished is "
                "remembered: run the same command again when it is back"
            ) from error
        except KilledWorker as error:
            raise DatadietError(
                f"{self._place()}: several Dask workers died while they worked on the same samples, most likely "
                "because their memory ran out; give each worker more of it, or fewer threads"
            ) from error

    def ask(self, question: Callable[..., T], *args: Any) -> dict[str, T]:
        """Ask each worker a question; the answers by the workers' addresses."""
        answers: dict[str, T] = self._client.run(question, *args)
        return answers

    def _place(self) -> str:
        return self._limits.scheduler or "the local Dask cluster"

    def _connected(self, stack: ExitStack) -> Any:
        from distributed import Client

        place = self._limits.scheduler
        if place is None or place == IN_PROCESS:
            return Client(stack.enter_context(self._own()), set_as_default=False)
        where = {"scheduler_file": place} if "://" not in place else {"address": place}
        if "scheduler_file" in where and not os.path.isfile(place):
            raise ConfigError(
                f"--scheduler {place}: no such scheduler file, and no address such as tcp://host:8786; name the one "
                "or the other"
            )
        try:
            return Client(**where, timeout=_CONNECT, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            why = str(error).strip().splitlines()
            raise ConfigError(
                f"--scheduler {place}: no Dask scheduler answers there ({why[0] if why else type(error).__name__}); "
                "start one with dask scheduler, or mend the address"
            ) from error

    def _own(self) -> Any:
        from datadiet_cli.engine import local

        workers = self._asked or default_workers()
        folder = self._scratch.directory("dask")
        if self._limits.scheduler == IN_PROCESS:
            return local.threads(workers, folder)
        return local.processes(workers, folder, _devices(self._limits.device))

    def _check_versions(self) -> None:
        """See that there are workers, and that they are as we are.

        Raises:
            ConfigError: there are none, or they are not.
        """
        try:
            self._client.wait_for_workers(1, timeout=_WAIT)
        except TimeoutError as error:
            raise ConfigError(
                f"--scheduler {self._place()}: it has no workers, and none came within {_WAIT} seconds; start some "
                "with dask worker"
            ) from error
        if self._limits.scheduler is None:
            self._client.run(silenced)
        found = self._client.run(versions, on_error="return")
        unlike = [f"{place}: {_unlike(other, self._versions)}" for place, other in sorted(found.items())]
        unlike = [line for line in unlike if not line.endswith(": ")]
        if unlike:
            more = f", and {len(unlike) - _SHOWN} more workers" if len(unlike) > _SHOWN else ""
            raise ConfigError(
                f"Dask workers differ from this machine, so results might: {'; '.join(unlike[:_SHOWN])}{more}; install "
                "the same versions everywhere"
            )

    def _count(self) -> dict[str, Any]:
        about = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return {
            "workers": len(about),
            "threads": sum(int(worker["nthreads"]) for worker in about),
            "gpus": sum(int(worker["resources"].get(_GPU, 0)) for worker in about),
        }


class _Sender(Executor):
    """Sends calls that a worker of another version refuses, whenever it joined."""

    def __init__(self, executor: Executor, known: dict[str, str]) -> None:
        self._executor, self._known = executor, known

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        return self._executor.submit(Checked(fn, self._known), *args, **kwargs)


def _unlike(other: Any, own: dict[str, str]) -> str:
    """In what a worker differs; nothing if it does not."""
    if not isinstance(other, dict):
        return "datadiet is not installed there" if isinstance(other, ImportError) else str(other)
    names = sorted(own.keys() | other.keys())
    return ", ".join(
        f"{name} {other.get(name, 'missing')} (here {own.get(name, 'missing')})"
        for name in names
        if own.get(name) != other.get(name)
    )


def _devices(device: str) -> int:
    """GPUs of this machine that workers may have."""
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
