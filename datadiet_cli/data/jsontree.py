"""Find the elements of arrays in one large JSON object, and write the file without some of them.

The file is read in parts, so that memory holds an element and not the document. Parts are decoded as Latin-1: a
character is a byte then, and what JSON is made of is ASCII in UTF-8 and Latin-1 alike. Elements that hold more than
ASCII are decoded once more as what they are.
"""

import codecs
import json
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.records import CHUNK_BYTES, map_file
from datadiet_cli.errors import InputError

_PART = 1 << 22
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODE = json.JSONDecoder().raw_decode

Visitor = Callable[[Any], None]
"""Is given each element of an array."""


@dataclass(frozen=True, eq=False)
class Elements:
    """Where an array of a JSON object lies.

    Attributes:
        key: of the array in the object.
        begin: the first byte after its opening bracket.
        end: its closing bracket.
        starts: (n,) int64, the first byte of each element.
        stops: (n,) int64, one past the last byte of each.
    """

    key: str
    begin: int
    end: int
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)


def read_arrays(path: str, visitors: Mapping[str, Visitor]) -> list[Elements] | None:
    """Find arrays in the JSON object that a file holds, and show each of their elements to a visitor.

    Args:
        path: the file, UTF-8; bytes that are not come as surrogates, as in names of files.
        visitors: key of an array -> what looks at its elements.

    Returns:
        The arrays in the order of the file; a key that stands twice comes twice. None if the file holds no object.

    Raises:
        InputError: the file is not JSON, or nested too deeply.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        text = _Parts(file)
        try:
            return _object(text, visitors)
        except json.JSONDecodeError as error:
            what = f"not JSON: {error.msg} at byte {text.base + error.pos + 1:,}"
        except RecursionError:
            what = "not read: the JSON is nested too deeply"
        except ValueError:  # an integer of more digits than Python takes
            what = "not read: the JSON holds a number too long to read"
    raise InputError(f"{path}: {what}; repair the file, or move it out of the folder")


def write_without(path: str, arrays: Sequence[tuple[Elements, NDArray[np.bool_]]], destination: str) -> int:
    """Write the file to a new one without some elements of its arrays; nothing else changes.

    Args:
        path: the file that the arrays were found in.
        arrays: each with a (n,) bool mask of the elements that stay.
        destination: a path that does not exist yet.

    Returns:
        The bytes written.
    """
    data = map_file(path)
    parts = [_cuts(elements, kept) for elements, kept in sorted(arrays, key=lambda pair: pair[0].begin)]
    begins = np.concatenate([[0], *(stops for _, stops in parts)])
    ends = np.concatenate([*(starts for starts, _ in parts), [len(data)]])
    some = begins < ends
    view = data.data
    with open(destination, "xb", buffering=CHUNK_BYTES) as file:
        file.writelines(map(view.__getitem__, map(slice, begins[some].tolist(), ends[some].tolist())))
        return file.tell()


def _cuts(elements: Elements, kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What to cut out, first bytes and ends: an element goes with what follows it, the last ones with what precedes."""
    if kept.all():
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if not kept.any():
        return np.array([elements.begin]), np.array([elements.end])
    last = int(np.flatnonzero(kept)[-1])
    gone = np.flatnonzero(~kept[:last])
    starts, stops = elements.starts[gone], elements.starts[gone + 1]
    if last == len(elements) - 1:
        return starts, stops
    return np.append(starts, elements.stops[last]), np.append(stops, elements.stops[-1])


def _object(text: "_Parts", visitors: Mapping[str, Visitor]) -> list[Elements] | None:
    if text.peek() != "{":
        return None
    found: list[Elements] = []
    text.step()
    more = text.peek() != "}"
    while more:
        if text.peek() != '"':
            text.complain("a key was expected")
        key = text.value()
        text.expect(":")
        if key in visitors and text.peek() == "[":
            found.append(_array(text, key, visitors[key]))
        else:
            text.peek()
            text.value()
        more = text.peek() == ","
        if more:
            text.step()
    text.expect("}")
    if text.peek():
        text.complain("something follows the end")
    return found


def _array(text: "_Parts", key: str, visit: Visitor) -> Elements:
    text.step()
    begin = text.place
    starts, stops = array("q"), array("q")
    more = text.peek() != "]"
    while more:
        text.peek()
        value, start = text.value(), text.start
        starts.append(start)
        stops.append(text.place)
        visit(value)
        more = text.peek() == ","
        if more:
            text.step()
    text.expect("]")
    return Elements(key, begin, text.place - 1, np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64))


class _Parts:
    """A file's text, a part of it at a time, and a place in it.

    Attributes:
        base: the byte where the part begins.
        start: the byte where the value read last begins.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._text, self._at, self._ended = "", 0, False
        self.base = self.start = 0
        self._more()
        if self._text.startswith(codecs.BOM_UTF8.decode("latin-1")):
            self._at = len(codecs.BOM_UTF8)

    @property
    def place(self) -> int:
        """The byte that comes next."""
        return self.base + self._at

    def peek(self) -> str:
        """The next character that is not blank; nothing at the end of the file."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def step(self) -> None:
        """Go on by one character."""
        self._at += 1

    def expect(self, character: str) -> None:
        """Go on by a character that must be next."""
        if self.peek() != character:
            self.complain(f"{character!r} was expected")
        self.step()

    def complain(self, what: str) -> None:
        """Say that here is a mistake."""
        raise json.JSONDecodeError(what, self._text, self._at)

    def value(self) -> Any:
        """Read the JSON value that begins here."""
        while True:
            try:
                value, end = _DECODE(self._text, self._at)
            except json.JSONDecodeError:
                # A value that goes on beyond the part looks like a mistake, too.
                if self._ended:
                    raise
            else:
                # Of a number as much is taken as makes one: 1 of "1e+", of which the next part holds the rest.
                if end + len("e+") < len(self._text) or self._ended:
                    return self._take(value, end)
            self._more()

    def _take(self, value: Any, end: int) -> Any:
        begin, self._at = self._at, end
        self.start = self.base + begin
        if not self._ascii and not (raw := self._text[begin:end]).isascii():
            return json.loads(raw.encode("latin-1").decode("utf-8", "surrogateescape"))
        return value

    def _more(self) -> None:
        rest = self._text[self._at :]
        part = self._file.read(max(_PART, len(rest)))
        self._text = rest + part.decode("latin-1")
        self._ascii = self._text.isascii()
        self.base += self._at
        self._at, self._ended = 0, not part
