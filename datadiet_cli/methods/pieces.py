"""Pieces of work for a crew: on one thread each, and none sent away that is the only one."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from datadiet_cli.methods.crew import ALONE, Crew

T = TypeVar("T")


class _Limit:
    """The limit of one thread.

    That of BLAS is one for the whole process: made by the first who wants it, taken back by the last, for two threads
    that each set it for themselves would take back each other's. That of OpenMP is each thread's own, and so is that of
    a BLAS that goes by it. What takes a limit back takes back all that its controller knows, so it has one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._of_thread = threading.local()
        self._before: list[tuple[Any, int]] = []
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
            self._left()

    def _entered(self, known: ThreadpoolController | None) -> ThreadpoolController:
        """Limit the libraries that there are; one user more, unless this thread has limited all of them before."""
        with self._lock:
            new = self._modules != len(sys.modules)
            if new:
                # Looking for libraries takes milliseconds; none comes without a module.
                self._modules, self._libraries = len(sys.modules), ThreadpoolController()
            if new or not self._users:
                limited = {library.filepath for library, _ in self._before}
                for library in self._libraries.select(user_api="blas").lib_controllers:
                    if library.filepath not in limited and getattr(library, "threading_layer", "") != "openmp":
                        self._before.append((library, library.get_num_threads()))
                        _set_threads(library, 1)
            self._users += self._libraries is not known
            return self._libraries

    def _left(self) -> None:
        with self._lock:
            self._users -= 1
            while self._before and not self._users:
                _set_threads(*self._before.pop())


def _set_threads(library: Any, number: int) -> None:
    """Set how many threads a library has, whichever thread of ours did so before."""
    # From threadpoolctl 3.8 on that thread alone may, and whatever others ask for is passed over in silence.
    let_go = getattr(library, "clear_controlling_thread", None)
    if let_go is not None:
        let_go(force=True)
    library.set_num_threads(number)
    if let_go is not None:
        let_go(force=True)


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
