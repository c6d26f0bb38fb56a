"""A Dask cluster of our own on this machine: reachable from it alone, by TLS, and without web pages."""

from typing import Any

from distributed import Nanny, Scheduler, Security, SpecCluster, Worker
from distributed.http.routing import RoutingApplication
from tornado.httpserver import HTTPServer

LOOPBACK = "127.0.0.1"
_SILENT = 60


class _NoPages:
    """Serves no HTTP: nobody asked for a port with pages about the run."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        self.http_application = RoutingApplication([])
        self.http_server = HTTPServer(self.http_application)


class QuietScheduler(_NoPages, Scheduler):
    """A scheduler that serves no pages."""


class QuietWorker(_NoPages, Worker):
    """A worker that serves no pages."""


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
        "worker_class": QuietWorker,
    }
    spec = {
        number: {"cls": Nanny, "options": {**options, **(_gpu(number) if number < devices else {})}}
        for number in range(workers)
    }
    scheduler = {"cls": QuietScheduler, "options": {"host": LOOPBACK, "port": 0, "security": security}}
    return SpecCluster(workers=spec, scheduler=scheduler, security=security, silence_logs=_SILENT)


def threads(workers: int, folder: str) -> SpecCluster:
    """Start a scheduler and one worker of several threads in this process; nothing listens on the network.

    Args:
        workers: how many threads.
        folder: for its files.
    """
    options = {"nthreads": workers, "protocol": "inproc://", "memory_limit": 0, "local_directory": folder}
    scheduler = {"cls": QuietScheduler, "options": {"protocol": "inproc://"}}
    spec = {0: {"cls": QuietWorker, "options": options}}
    return SpecCluster(workers=spec, scheduler=scheduler, silence_logs=_SILENT)


def _gpu(number: int) -> dict[str, Any]:
    return {"env": {"CUDA_VISIBLE_DEVICES": str(number)}, "resources": {"GPU": 1}}
