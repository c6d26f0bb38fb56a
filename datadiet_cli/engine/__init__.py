"""Where work runs. The seam is `concurrent.futures.Executor`; only this package knows who executes.

Work is cut into chunks whose bounds depend on the input alone, never on the number of workers, so the same input
gives the same numbers on every engine.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import xxhash
from numpy.typing import DTypeLike, NDArray

from datadiet_cli import __version__
from datadiet_cli.engine.calling import Call, name_of
from datadiet_cli.engine.counting import default_workers
from datadiet_cli.engine.exchange import Exchange
from datadiet_cli.engine.executors import EXECUTORS, end
from datadiet_cli.engine.kept import kept_folder
from datadiet_cli.engine.limits import Limits
from datadiet_cli.engine.scratch import Scratch
from datadiet_cli.engine.sharing import Files, Shared, share
from datadiet_cli.errors import DatadietError

if TYPE_CHECKING:
    from datadiet_cli.engine.cluster import Cluster

__all__ = ["EXECUTORS", "Engine", "Exchange", "Limits", "default_workers"]

T = TypeVar("T")

_KILLED = "a worker process was killed, most likely because memory ran out; use fewer --workers or --engine threads"
_AHEAD = 3
"""Calls under way for each that can run: enough to keep workers busy, few enough to hold their results."""
_LARGE = 8
"""An array of more than this part of the memory limit lies on disk."""


class Engine:
    """Maps module-level functions over chunks of samples. Use as a context manager.

    Args:
        name: ``serial``, ``threads``, ``processes`` or ``dask``.
        workers: how many at a time; None for as many as there are cores, or workers on a cluster.
        limits: what else it may use.
    """

    def __init__(self, name: str = "threads", workers: int | None = None, limits: Limits | None = None) -> None:
        self.name = name
        self.limits = limits or Limits()
        self._asked = workers
        self._executor: Executor | None = None
        self._cluster: Cluster | None = None
        self._stack = ExitStack()
        self._scratch = Scratch(self.limits.shared_dir)
        self._files = Files(self._scratch.file)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._executor is not None:
            end(self._executor)
        self._stack.close()
        self._executor = self._cluster = None
        self._scratch.close()

    @property
    def workers(self) -> int:
        """How many calls run at a time."""
        if self.name == "dask":
            return self._connected().workers
        return self.threads

    @property
    def threads(self) -> int:
        """How many threads of this process may work at a time, for what is not handed out."""
        return default_workers() if self.name == "dask" else self._asked or default_workers()

    @property
    def gpus(self) -> int:
        """How many GPUs the workers of a cluster have to give; 0 on other engines."""
        return int(self._connected().facts()["gpus"]) if self.name == "dask" else 0

    @property
    def in_process(self) -> bool:
        """Whether kernels see the very objects that they are handed."""
        return self.name in ("serial", "threads")

    @property
    def is_led(self) -> bool:
        """Whether work goes to a scheduler that was named: there this machine is the narrow place."""
        return self.name == "dask" and self.limits.scheduler is not None

    def facts(self) -> dict[str, Any]:
        """For the report: the engine, its workers, and of a cluster the versions it runs."""
        if self._cluster is not None:
            return self._cluster.facts()
        if self.name == "dask":  # all was known already, and nobody was asked
            return {"name": "dask", "scheduler": self.limits.scheduler, "workers": 0, "threads": 0}
        return {"name": self.name, "workers": 1 if self.name == "serial" else self.threads}

    def map(
        self,
        kernel: Callable[..., T],
        items: Sequence[Any],
        *args: Any,
        chunk: int,
        progress: Callable[[int], None] = lambda _: None,
        on_device: bool = False,
        each_takes: int = 1,
    ) -> Iterator[tuple[slice, T]]:
        """Call ``kernel(items[a:b], *args)`` for consecutive chunks and yield (slice(a, b), result) in order.

        A few chunks per worker are under way at any time, so memory does not grow with the number of items.

        Args:
            kernel: a module-level function (processes pickle it by name).
            items: a list or array; it is sliced, not copied.
            args: passed on to every call; what `share` gave comes out as what it was given.
            chunk: items a call.
            progress: told the number of items done since it was last told.
            on_device: whether the kernel computes on a GPU where there is one: on a cluster it then runs where a
                GPU is, one call at a time on each.
            each_takes: threads of a call; on the cores of this machine fewer calls run at a time.

        Raises:
            DatadietError: a worker process was killed, or the cluster was lost.
        """
        parts = [slice(start, min(start + chunk, len(items))) for start in range(0, len(items), chunk)]
        call = Call(kernel, args)
        calls = (partial(call, items[part]) for part in parts)
        results = self._run(calls, name_of(kernel), on_device=on_device, each_takes=each_takes)
        for part, result in zip(parts, results, strict=True):
            progress(part.stop - part.start)
            yield part, result

    def each(self, kernel: Callable[[Any, Any], T], data: Any, pieces: Iterable[Any]) -> Iterator[T]:
        """Call ``kernel(data, piece)`` for each piece and yield the results in order; see `methods.crew`.

        Args:
            kernel: a module-level function.
            data: what all calls look at and none changes; it is sent to each worker once, arrays as files that
                are mapped, not copied.
            pieces: taken as there is room, so they may be made on the way.

        Raises:
            DatadietError: as `map`.
        """
        shared = self.share(data)
        call = Call(_on_piece, (kernel, shared))
        try:
            yield from self._run((partial(call, piece) for piece in pieces), name_of(kernel), on_device=False)
        finally:
            if isinstance(shared, Shared) and shared is not data:
                shared.close()

    def share(self, data: T) -> T:
        """Make something ready to be handed to many calls, as an argument of `map`; none of them may change it."""
        if self.in_process or isinstance(data, Shared):
            return data
        shared = share(data, self._files)
        if shared.spans:
            self._must_share()
        return cast(T, shared)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of zeros: in memory, or on disk where the memory limit leaves no room for it."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.limits.memory is None or size <= self.limits.memory // _LARGE:
            return np.zeros(shape, dtype)
        # As an array like any other: a mapped one makes mapped ones of all that is computed from it.
        return np.memmap(self._scratch.file("array"), dtype, "w+", shape=shape).view(np.ndarray)

    def too_large(self, size: int) -> bool:
        """Whether a grouping that needs so much memory goes through bucket files, in bytes; its answer is the same."""
        return self.limits.memory is not None and size > self.limits.memory // 2

    def exchange(self, name: str, buckets: int) -> Exchange:
        """A folder of bucket files that all workers see; it is gone when the engine is."""
        folder = self._scratch.directory(name)
        self._must_share()
        return Exchange(folder, buckets)

    @contextmanager
    def kept_exchange(self, key: str, buckets: int, *, fresh: bool = False) -> Iterator[Exchange]:
        """Bucket files that a run that is interrupted, killed or loses its workers leaves for the next one.

        A context manager: what it gives is removed when the block ends well, and kept when it ends in an exception.
        The next run that asks with the same key finds the pieces that were written (`Exchange.has`), for a week.

        Args:
            key: says all that the content depends on: digests, settings, versions of whatever makes it.
            buckets: how many there are.
            fresh: whether to begin anew, as for ``--rerun``.
        """
        digest = xxhash.xxh3_128_hexdigest("\0".join((__version__, key, str(buckets))).encode("utf-8", "surrogatepass"))
        spare = partial(self._scratch.directory, "exchange")
        with kept_folder(self.limits.shared_dir, digest, spare, fresh=fresh) as folder:
            self._must_share()
            yield Exchange(folder, buckets)

    def _must_share(self) -> None:
        """See that workers can use the folder of temporary files."""
        if self.name == "dask":
            self._connected().must_share(self._scratch.folder)

    def _run(self, calls: Iterator[Callable[[], T]], said: str, *, on_device: bool, each_takes: int = 1) -> Iterator[T]:
        """The results of calls, in order, a few of them under way; `said` names them for people."""
        running: deque[Future[T]] = deque()
        try:
            executor = self._ready(said, on_device)
            for call in calls:
                running.append(self._submitted(executor, call))
                while len(running) >= self._most(each_takes):  # a cluster grows and shrinks
                    yield self._result(running.popleft())
            while running:
                yield self._result(running.popleft())
        finally:
            for future in running:
                future.cancel()

    def _most(self, each_takes: int) -> int:
        """Calls that may be under way; other machines' cores are for their owners to share out."""
        if each_takes > 1 and not self.is_led:
            return max(self.workers // each_takes, 1)
        return _AHEAD * self.workers

    def _submitted(self, executor: Executor, call: Callable[[], T]) -> "Future[T]":
        if self._cluster is not None:
            return self._cluster.submitted(executor, call)
        try:
            return executor.submit(call)
        except BrokenProcessPool as error:
            raise DatadietError(_KILLED) from error

    def _result(self, future: "Future[T]") -> T:
        if self._cluster is not None:
            return self._cluster.result(future)
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise DatadietError(_KILLED) from error

    def _ready(self, said: str, on_device: bool) -> Executor:
        if self.name == "dask":
            return self._connected().executor(said, on_device=on_device)
        if self._executor is None:
            self._executor = EXECUTORS[self.name](self.workers, self._scratch)
            self._stack.callback(self._executor.shutdown, wait=True, cancel_futures=True)
        return self._executor

    def _connected(self) -> "Cluster":
        if self._cluster is None:
            from datadiet_cli.engine.cluster import Cluster

            self._cluster = self._stack.enter_context(Cluster(self._asked, self.limits, self._scratch))
            if self.limits.shared_dir is not None:
                # Before any work is done, though it may be hours before the first file is shared.
                self._must_share()
        return self._cluster


def _on_piece(piece: Any, kernel: Callable[[Any, Any], T], data: Any) -> T:
    return kernel(data, piece)
