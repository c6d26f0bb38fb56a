"""A Dask cluster of our own on this machine: reachable from it alone, by TLS, and without web pages."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, SpecCluster, Worker
from distributed.http.routing import RoutingApplication
from tornado.httpserver import HTTPServer

from datadiet_cli.engine.calling import silenced

LOOPBACK = "127.0.0.1"
_SILENT = 60
_PATIENCE = 1.0
"""Seconds that a worker has to end when it is told to: what it still does, nobody waits for."""


class _NoPages:
    """Serves no HTTP: nobody asked for a port with pages about the run."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        self.http_application = RoutingApplication([])
        self.http_server = HTTPServer(self.http_application)


class QuietScheduler(_NoPages, Scheduler):
    """A scheduler that serves no pages."""


class QuietWorker(_NoPages, Worker):
    """A worker that serves no pages."""


class ChildWorker(QuietWorker):
    """One that has a process for itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        silenced(options["local_directory"])
        super().__init__(*args, **options)


class QuickNanny(Nanny):
    """Watches over a worker process, and ends it without waiting for calls that still run."""

    async def kill(self, timeout: float = _PATIENCE, reason: str = "nanny-kill") -> None:
        """End the process."""
        if self.process is not None:
            await self.process.kill(timeout=min(timeout, _PATIENCE), executor_wait=False, reason=reason)


def processes(workers: int, folder: str, devices: int) -> SpecCluster:
    """Start a scheduler in this process and workers in processes of their own.

    Args:
        workers: how many.
        folder: for their files.
        devices: GPUs here; as many workers get one each, for itself.
    """
    # Whoever may talk to a scheduler may run code as its user, and loopback is open to every user of a machine.
    security = Security.temporary()
    options = {
        "nthreads": 1,
        "host": LOOPBACK,
        "security": security,
        "memory_limit": 0,
        "local_directory": folder,
        "silence_logs": _SILENT,
        "worker_class": ChildWorker,
    }
    spec = {
        number: {"cls": QuickNanny, "options": {**options, **(_gpu(number) if number < devices else {})}}
        for number in range(workers)
    }
    scheduler = {"cls": QuietScheduler, "options": {"host": LOOPBACK, "port": 0, "security": security}}
    with _no_interruption(), _set(folder):
        return SpecCluster(workers=spec, scheduler=scheduler, security=security, silence_logs=_SILENT)


def threads(workers: int, folder: str, devices: int) -> SpecCluster:
    """Start a scheduler and one worker of several threads in this process; nothing listens on the network.

    Args:
        workers: how many threads.
        folder: for its files.
        devices: GPUs here; a process computes on one of them, a call at a time.
    """
    options: dict[str, Any] = {
        "nthreads": workers, "protocol": "inproc://", "memory_limit": 0, "local_directory": folder,
        "resources": {"GPU": 1} if devices else {},
    }  # fmt: skip
    scheduler = {"cls": QuietScheduler, "options": {"protocol": "inproc://"}}
    spec = {0: {"cls": QuietWorker, "options": options}}
    with _set(folder):
        return SpecCluster(workers=spec, scheduler=scheduler, silence_logs=_SILENT)


def _set(folder: str) -> Any:
    """What there are no arguments for.

    Args:
        folder: where a scheduler makes a folder that it never takes away.
    """
    # Dask has its workers give memory back at once. Then each large array is made of new pages, which doubled the time
    # of searches; a cluster that lives as long as a run need not be so polite.
    polite = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
    return dask.config.set({"temporary-directory": folder, polite: None})


@contextmanager
def _no_interruption() -> Iterator[None]:
    """Let Ctrl-C wait until all processes are there: it reaches them too, and they inherit that they do not hear it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _gpu(number: int) -> dict[str, Any]:
    """What makes the GPU of this number the only one that a worker sees; perhaps we see only some ourselves."""
    ours = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    name = ours[number] if number < len(ours) else str(number)
    return {"env": {"CUDA_VISIBLE_DEVICES": name}, "resources": {"GPU": 1}}
