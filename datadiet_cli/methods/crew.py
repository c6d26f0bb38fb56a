"""Who does pieces of work side by side: a method says what is to be done, and need not know where."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
D = TypeVar("D")


class Crew(Protocol):
    """Calls a function for each of many pieces."""

    @property
    def workers(self) -> int:
        """How many calls run at a time. No answer may depend on it."""

    def each(self, kernel: Callable[[Any, Any], T], data: Any, pieces: Iterable[Any]) -> Iterator[T]:
        """Call ``kernel(data, piece)`` for each piece and yield the results in order.

        Args:
            kernel: a module-level function, for it may run in another process, or on another machine. One that
                multiplies matrices limits them to one thread.
            data: what all calls look at and none changes: arrays, or an object that holds them.
            pieces: small things, taken as there is room: they may be made on the way.
        """


class _Alone:
    """The caller itself."""

    workers = 1

    def each(self, kernel: Callable[[D, Any], T], data: D, pieces: Iterable[Any]) -> Iterator[T]:
        """See `Crew.each`."""
        yield from (kernel(data, piece) for piece in pieces)


ALONE: Crew = _Alone()
"""The caller itself: whoever has no crew."""
