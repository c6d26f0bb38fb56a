"""Samples that are no files of this machine: objects of a store, and members of tar files.

Such a sample goes by a *place*, a string that says all that is needed to fetch it and to know it again. It has NUL
characters, which no file name can have: who takes it for one fails at once.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

_MARK = "\0"


class Place(NamedTuple):
    """Where the bytes of a sample lie.

    Attributes:
        file: a file of this machine, or an URL that fsspec knows.
        suffix: the end of the sample's name, which tells decoders what it may be.
        offset: where its bytes begin.
        size: how many there are.
        stamp: changes when they change: 32 hexadecimal digits.
    """

    file: str
    suffix: str
    offset: int
    size: int
    stamp: str

    def text(self) -> str:
        """As a string that goes where paths go."""
        return _MARK.join((self.file, self.suffix, str(self.offset), str(self.size), self.stamp))

    @classmethod
    def of(cls, text: str) -> "Place | None":
        """What `text` gave; None for the path of a file."""
        if _MARK not in text:
            return None
        file, suffix, offset, size, stamp = text.split(_MARK)
        return cls(file, suffix, int(offset), int(size), stamp)


def is_url(path: str) -> bool:
    """Whether a path names something that fsspec fetches, such as ``s3://bucket/folder``."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.replace("+", "").replace("-", "").isalnum() and len(scheme) > 1


def looks_only(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a kernel that takes places as they are and reads no content."""
    kernel.looks_only = True  # type: ignore[attr-defined]
    return kernel


@contextmanager
def here(items: Any, kernel: Callable[..., Any]) -> Iterator[Any]:
    """The items with a file of this machine in the stead of each place, for as long as the context lasts.

    Args:
        items: a list of paths, or of tuples with paths in them, some of which may be places; anything else is given
            back as it is.
        kernel: what they are for.
    """
    if not isinstance(items, list) or getattr(kernel, "looks_only", False) or not any(map(_is_away, items)):
        yield items
        return
    with tempfile.TemporaryDirectory(prefix="datadiet-") as folder:
        fetched: dict[str, str] = {}
        wanted = [text for item in items for text in _texts(item) if _MARK in text]
        for number, text in enumerate(dict.fromkeys(wanted)):
            fetched[text] = os.path.join(folder, f"{number}{Place.of(text).suffix}")  # type: ignore[union-attr]
        fetch(fetched)
        yield [_swapped(item, fetched) for item in items]


def fetch(wanted: dict[str, str]) -> None:
    """Write the bytes of places into new files: place -> file name. One that is gone gets no file."""
    places = {text: Place.of(text) for text in wanted}
    for text, place in places.items():
        if place is not None and not is_url(place.file):
            _cut(place, wanted[text])


def _cut(place: Place, target: str) -> None:
    """Copy a span of a file; a file that is gone, or ends before it, gives none: whoever opens it will say so."""
    try:
        with open(place.file, "rb") as source:
            source.seek(place.offset)
            content = source.read(place.size)
    except OSError:
        return
    if len(content) == place.size:
        with open(target, "xb") as file:
            file.write(content)


def _texts(item: Any) -> Sequence[str]:
    if isinstance(item, str):
        return (item,)
    return [part for part in item if isinstance(part, str)] if isinstance(item, tuple) else ()


def _is_away(item: Any) -> bool:
    return any(_MARK in text for text in _texts(item))


def _swapped(item: Any, fetched: dict[str, str]) -> Any:
    if isinstance(item, str):
        return fetched.get(item, item)
    if not isinstance(item, tuple):
        return item
    values = [fetched.get(part, part) if isinstance(part, str) else part for part in item]
    return type(item)(*values) if hasattr(item, "_fields") else tuple(values)
