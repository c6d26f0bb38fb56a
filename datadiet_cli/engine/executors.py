"""Who executes on this machine; a Dask cluster is known to `engine.cluster` alone."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from datadiet_cli.engine.calling import silenced
from datadiet_cli.engine.scratch import Scratch

P = ParamSpec("P")
T = TypeVar("T")


class SerialExecutor(Executor):
    """Runs each call at once, in the caller."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run the call now; its exception, if any, is in the future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001, RUF100 - belongs to the future, as with every executor
            future.set_exception(error)
        return future


def _processes(workers: int, scratch: Scratch) -> Executor:
    import multiprocessing

    # A fork of a process that has threads may deadlock; forkserver starts clean.
    context = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=silenced, initargs=(scratch.folder,))


def end(executor: Executor) -> None:
    """End the processes of an executor, if it has any: nobody waits for what they do, which may take an hour."""
    # Python 3.14 has terminate_workers() for this.
    processes = getattr(executor, "_processes", None) or {}
    for process in list(processes.values()):
        process.terminate()


EXECUTORS: dict[str, Callable[[int, Scratch], Executor]] = {
    "serial": lambda _workers, _scratch: SerialExecutor(),
    "threads": lambda workers, _scratch: ThreadPoolExecutor(workers, thread_name_prefix="datadiet"),
    "processes": _processes,
}
"""By the name of the engine."""
