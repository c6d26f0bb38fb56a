"""A Dask cluster as an executor. Beside `engine.local` nothing else of datadiet knows Dask."""

import os
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, suppress
from dataclasses import replace
from glob import glob
from typing import TYPE_CHECKING, Any, TypeVar, cast

from datadiet_cli.engine.admission import admit_scheduler, admit_workers, hush
from datadiet_cli.engine.badge import Badge, mark, versions
from datadiet_cli.engine.calling import Checked
from datadiet_cli.engine.counting import default_workers
from datadiet_cli.engine.sharing import forget
from datadiet_cli.errors import ConfigError, DatadietError

if TYPE_CHECKING:
    from datadiet_cli.engine.limits import Limits
    from datadiet_cli.engine.scratch import Scratch

T = TypeVar("T")

IN_PROCESS = "inproc"
"""The scheduler that is a thread of this process, as its workers are: for trying things."""
CONNECT = 10
"""Seconds until a scheduler must answer."""
WAIT = 60
"""Seconds that a cluster may be without any worker."""
_LOOK = 5.0
"""Seconds between two looks at how many workers there are."""
_LEAVE = 2
"""Seconds to take leave of a scheduler that may be gone."""
_GPU = "GPU"
"""The worker resource that stands for one GPU, as Dask's own documents name it."""
_GPU_FILES = ("/dev/nvidia[0-9]*", "/dev/dxg", "/dev/kfd")
_TLS = (
    "; for tls:// Dask must know your certificates: DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"
)


class Cluster:
    """A scheduler and its workers. Use as a context manager.

    Args:
        workers: how many to start, if the cluster is of our own making.
        limits: names the scheduler, or none.
        scratch: where files for workers go.

    Raises:
        ConfigError: there is no such scheduler, it has no workers, or they may not take part.
    """

    def __init__(self, workers: int | None, limits: "Limits", scratch: "Scratch") -> None:
        self._limits, self._scratch = limits, scratch
        self._asked = workers
        self._stack = ExitStack()
        self._foreign = limits.scheduler not in (None, IN_PROCESS)
        self._badge = Badge(versions(), limits.inputs if self._foreign else ())
        self._facts: dict[str, Any] = {}
        self._looked, self._alone = 0.0, 0.0

    def __enter__(self) -> "Cluster":
        hush()
        with ExitStack() as stack:
            # It warns of versions, which are looked at below, and of large arguments.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"(distributed|tornado)\b")
            self._client = self._connected(stack)
            stack.callback(self._leave)
            self._look_around()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """Calls that run at a time, as of a few seconds ago."""
        if time.monotonic() - self._looked > _LOOK:
            self._look()
        return max(1, int(self._facts["threads"]))

    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {
            "name": "dask", "scheduler": self._limits.scheduler, **self._facts, "versions": dict(self._badge.versions),
        }  # fmt: skip

    def executor(self, said: str, *, on_device: bool) -> Executor:
        """What runs calls; those for a device where there is one, if any worker says it has one.

        Args:
            said: the kernel's name, for the pages of Dask.
            on_device: whether the calls compute on a GPU.
        """
        wanted = {"resources": {_GPU: 1}} if on_device and self._facts["gpus"] and self._limits.device != "cpu" else {}
        return _Sender(self._client.get_executor(pure=False, **wanted), self._badge, said)

    def submitted(self, executor: Executor, call: Callable[[], T]) -> "Future[T]":
        """Send a call.

        Raises:
            DatadietError: the scheduler was lost.
        """
        if self._client.status != "running":
            raise self._lost()
        return executor.submit(call)

    def result(self, future: "Future[T]") -> T:
        """What came of a call.

        Raises:
            DatadietError: the scheduler was lost, or workers died of the call, or all are gone.
        """
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            return self._awaited(future)
        except (CancelledError, CommClosedError) as error:
            raise self._lost() from error
        except KilledWorker as error:
            raise DatadietError(
                f"{self._place}: several Dask workers died while they worked on the same samples, most likely because "
                "their memory ran out; give each worker more of it, or fewer threads"
            ) from error
        except MemoryError as error:
            raise DatadietError(
                f"{self._place}: a Dask worker ran out of memory; give each worker more of it, or fewer threads"
            ) from error

    def must_share(self, folder: str) -> None:
        """See that all workers, and those to come, can write to a folder.

        Raises:
            ConfigError: some cannot.
        """
        if self._foreign and self._badge.shared != folder:
            self._badge = replace(self._badge, shared=folder, token=mark(folder))
            admit_workers(self._client, self._badge, self._place)

    @property
    def _place(self) -> str:
        return self._limits.scheduler or "the local Dask cluster"

    def _lost(self) -> DatadietError:
        return DatadietError(
            f"{self._place}: the Dask scheduler was lost; nothing was published. What was finished is remembered: run "
            "the same command again when it is back"
        )

    def _awaited(self, future: "Future[T]") -> T:
        """The result; while it takes its time, see whether anybody is left to give it."""
        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if future.done():  # meanwhile, or the error is the call's own
                    return future.result()
                self._look()
                if self._alone and time.monotonic() - self._alone > WAIT:
                    raise DatadietError(
                        f"{self._place}: all Dask workers are gone, and none came back within {WAIT} seconds; nothing "
                        "was published. What was finished is remembered: start workers and run the same command again"
                    ) from None

    def _look(self) -> None:
        """Count the workers."""
        self._looked = time.monotonic()
        with suppress(OSError, TimeoutError, ValueError):  # a call that waits for its result will tell
            threads = self._client.nthreads()
            self._facts |= {"workers": len(threads), "threads": sum(threads.values())}
            self._alone = 0.0 if threads else self._alone or self._looked

    def _leave(self) -> None:
        """Say good-bye; a scheduler that is gone cannot be told so."""
        with suppress(OSError, TimeoutError, ValueError, CancelledError):
            if self._badge.shared is not None and self._client.status == "running":
                self._client.run(forget, self._badge.shared, on_error="ignore")
        with suppress(OSError, TimeoutError, CancelledError):
            self._client.close(timeout=_LEAVE)

    def _connected(self, stack: ExitStack) -> Any:
        from distributed import Client

        place = self._limits.scheduler
        if not self._foreign:
            return Client(stack.enter_context(self._own()), set_as_default=False)
        assert place is not None  # noqa: S101 - it is foreign
        where = {"scheduler_file": place} if "://" not in place else {"address": place}
        if "scheduler_file" in where and not os.path.isfile(place):
            raise ConfigError(
                f"--scheduler {place}: no such scheduler file, and no address such as tcp://host:8786; name the one "
                "or the other"
            )
        try:
            try:
                return Client(**where, timeout=CONNECT, set_as_default=False)
            except AssertionError:
                # Dask gives its own thread ten seconds to start, which may be too few on a machine that is very busy.
                return Client(**where, timeout=CONNECT, set_as_default=False)
        except Exception as error:  # noqa: BLE001, RUF100 - whatever another version's answer may lead to
            why = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"--scheduler {place}: no Dask scheduler that this machine can talk to answers there ({why}); start "
                f"one with dask scheduler, or mend the address{_TLS if place.startswith('tls') else ''}"
            ) from error

    def _own(self) -> Any:
        from datadiet_cli.engine import local

        workers = self._asked or default_workers()
        folder = self._scratch.directory("dask")
        if self._limits.scheduler == IN_PROCESS:
            return local.threads(workers, folder, _devices(self._limits.device))
        return local.processes(workers, folder, _devices(self._limits.device))

    def _look_around(self) -> None:
        """See that there are workers, and that all may take part.

        Raises:
            ConfigError: there are none, or some may not.
        """
        try:
            # A cluster that grows when there is work must be given some.
            self._client.submit(int, pure=False).result(timeout=WAIT)
        except TimeoutError as error:
            raise ConfigError(
                f"--scheduler {self._place}: it has no workers, and none came within {WAIT} seconds; start some with "
                "dask worker"
            ) from error
        except (OSError, CancelledError) as error:
            raise self._lost() from error
        self._look()
        about = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._facts["gpus"] = sum(int(worker["resources"].get(_GPU, 0)) for worker in about)
        if self._foreign:
            admit_scheduler(self._client, self._badge, self._place)
            admit_workers(self._client, self._badge, self._place)
        if self._limits.device == "cuda" and not self._facts["gpus"]:
            raise ConfigError(
                f"--device cuda: no worker of {self._place} has a GPU to give; start one worker for each GPU with "
                '--resources "GPU=1", or use --device cpu'
            )


class _Sender(Executor):
    """Sends calls that a worker which may not take part refuses, whenever it joined."""

    def __init__(self, executor: Any, badge: Badge, said: str) -> None:
        self._executor, self._badge = executor, badge
        self._prefix = f"datadiet-{said.replace('_', '-')}"

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        key = f"{self._prefix}-{uuid.uuid4().hex}"
        return cast("Future[Any]", self._executor.submit(Checked(fn, self._badge), *args, key=key, **kwargs))


def _devices(device: str) -> int:
    """GPUs of this machine that workers may have."""
    if device == "cpu" or not any(glob(pattern) for pattern in _GPU_FILES):
        return 0  # torch would need a second to say so
    import torch

    return torch.cuda.device_count()
