"""Pieces of work for a crew: on one thread each, and none sent away that is the only one."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from datadiet_cli.methods.crew import ALONE, Crew

T = TypeVar("T")


class _Limit:
    """The limit of one thread.

    That of BLAS is one for the whole process: made by the first who wants it, taken back by the last, for two threads
    that each set it for themselves would take back each other's. That of OpenMP is each thread's own. What takes a
    limit back takes back all that its controller knows, so each has one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._of_process = ExitStack()
        self._of_thread = threading.local()
        self._modules = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        known: ThreadpoolController | None = getattr(self._of_thread, "libraries", None)
        libraries = self._entered(known)
        if libraries is known:
            yield
            return
        self._of_thread.libraries = libraries
        try:
            with libraries.select(user_api="openmp").limit(limits=1):
                yield
        finally:
            self._of_thread.libraries = known
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._of_process.close()

    def _entered(self, known: ThreadpoolController | None) -> ThreadpoolController:
        """Limit the libraries that there are; one user more, unless this thread has limited all of them before."""
        with self._lock:
            new = self._modules != len(sys.modules)
            if new:
                # Looking for libraries takes milliseconds; none comes without a module.
                self._modules, self._libraries = len(sys.modules), ThreadpoolController()
            if new or not self._users:
                # Taken back last in, first out: what was loaded meanwhile gets its own number back, and so do others.
                self._of_process.enter_context(self._libraries.select(user_api="blas").limit(limits=1))
            self._users += self._libraries is not known
            return self._libraries


_LIMIT = _Limit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries of linear algebra use one thread: then last digits do not depend on how many there are."""
    with _LIMIT.held():
        yield


def spread(crew: Crew, kernel: Callable[[Any, Any], T], data: Any, pieces: Iterable[Any]) -> Iterator[T]:
    """As `Crew.each`; a single piece is done by the caller, for it is not worth to be sent.

    Args:
        crew: who does them.
        kernel: a module-level function, which limits itself by `one_thread` where it multiplies matrices.
        data: what all calls look at.
        pieces: taken as there is room.
    """
    rest = iter(pieces)
    first = list(islice(rest, 2))
    yield from (ALONE if len(first) < 2 else crew).each(kernel, data, chain(first, rest))
