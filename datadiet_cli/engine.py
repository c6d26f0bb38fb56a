"""Where work runs. The seam is `concurrent.futures.Executor`; only this module knows who executes.

Work is cut into chunks whose bounds depend on the input alone, never on the number of workers, so the same input
gives the same numbers on every engine.
"""

import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from datadiet_cli.errors import DatadietError

P = ParamSpec("P")
T = TypeVar("T")


def default_workers() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def _processes(workers: int) -> Executor:
    import multiprocessing

    # A fork of a process that has threads may deadlock; forkserver starts clean.
    context = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet_worker)


def _quiet_worker() -> None:
    """What a library says in a worker about a damaged file is noise, and Ctrl-C is the main process's affair."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


EXECUTORS: dict[str, Callable[[int], Executor]] = {
    "serial": lambda _: SerialExecutor(),
    "threads": lambda workers: ThreadPoolExecutor(workers, thread_name_prefix="datadiet"),
    "processes": _processes,
}


class Engine:
    """Maps module-level functions over chunks of samples. Use as a context manager.

    Args:
        name: ``serial``, ``threads`` or ``processes``.
        workers: how many at a time; None for as many as there are cores.
    """

    def __init__(self, name: str = "threads", workers: int | None = None) -> None:
        self.name = name
        self.workers = workers or default_workers()
        self._executor: Executor | None = None

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def map(
        self,
        kernel: Callable[..., T],
        items: Sequence[Any],
        *args: Any,
        chunk: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[slice, T]]:
        """Call ``kernel(items[a:b], *args)`` for consecutive chunks and yield (slice(a, b), result) in order.

        A few chunks per worker are under way at any time, so memory does not grow with the number of items.

        Args:
            kernel: a module-level function (processes pickle it by name).
            items: a list or array; it is sliced, not copied.
            args: passed on to every call.
            chunk: items a call.
            progress: told the number of items done since it was last told.

        Raises:
            DatadietError: a worker process was killed.
        """
        if self._executor is None:
            self._executor = EXECUTORS[self.name](self.workers)
        slices = deque(slice(start, min(start + chunk, len(items))) for start in range(0, len(items), chunk))
        running: deque[tuple[slice, Future[T]]] = deque()
        try:
            while slices or running:
                while slices and len(running) < 3 * self.workers:
                    part = slices.popleft()
                    running.append((part, self._executor.submit(kernel, items[part], *args)))
                part, future = running.popleft()
                result = future.result()
                progress(part.stop - part.start)
                yield part, result
        except BrokenProcessPool as error:
            raise DatadietError(
                "a worker process was killed, most likely because memory ran out; "
                "use fewer --workers or --engine threads"
            ) from error
        finally:
            for _, future in running:
                future.cancel()
