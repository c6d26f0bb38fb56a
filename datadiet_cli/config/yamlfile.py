"""Read YAML that holds no surprises, and remember the line and column of every setting.

The language is the plain part of YAML: mappings, lists and scalars. Only true and false are booleans; only
decimal numbers are numbers; `no`, `on`, `010`, `12:30` and dates are text; a mapping has each key once.
Whatever can make a file mean more than it says (anchors, merge keys, tags, several documents) is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from datadiet_cli.config.words import Loc, shown
from datadiet_cli.errors import ConfigError

LARGEST_FILE = 1_000_000
"""Bytes."""
DEEPEST = 20
"""How deep mappings and lists may nest. Settings need four; the rest is room."""

Locate = Callable[[Loc], "Place"]
"""Gives the place of a setting, or of the nearest one around it that the file does hold."""

_Value = dict[str, Any] | list[Any] | str | int | float | bool | None

_Mark = tuple[int, int]
"""Line and column, from 1."""

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
# Eighteen digits at most: what is longer, or begins with a zero, is a name made of digits.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Place(NamedTuple):
    """A place in a file, line and column from 1; written as `file:line:column`, and sorted in that order."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def read_yaml(source: Path | str, name: str) -> tuple[dict[str, Any], Locate]:
    """Read a YAML file, or a text as if it were one. Its top level is a mapping, an empty one if it is empty.

    Args:
        source: a path, or the text itself.
        name: what messages call the file.

    Returns:
        The content, all keys as text, and a function from a setting to its place.

    Raises:
        ConfigError: if it cannot be read or is not plain YAML, with one line per mistake.
    """
    text = _read(source, name) if isinstance(source, Path) else source
    builder = _Builder(name, {}, [], [])
    try:
        # The parser's events, not its tree: no recursion, and nothing is built that is not asked for.
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.take(event)
    except _StopReadingError:
        pass
    except yaml.MarkedYAMLError as error:
        builder.complain(_at(error.problem_mark or error.context_mark), _syntax(error, text))
    except (yaml.YAMLError, ValueError, OverflowError):  # the Python parser lets some of its own mistakes out
        builder.complain((1, 1), "not YAML: it holds control characters or broken text")
    root = {} if builder.root is None else builder.root
    if not isinstance(root, dict):
        builder.complain((1, 1), "must hold settings, one 'key: value' per line")
    if builder.problems or not isinstance(root, dict):
        raise ConfigError("\n".join(builder.problems))
    return root, builder.locate


def scalar(text: str) -> str | int | float | bool | None:
    """Give a plain scalar, one without quotes, its value."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and text.strip("+-0123456789") else text


class _StopReadingError(Exception):
    """What follows would make no sense."""


@dataclass
class _Builder:
    """Builds the content from the parser's events, and collects what is wrong with it.

    Attributes:
        name: what messages call the file.
        marks: where each key and each list entry stands.
        problems: a line of text per mistake.
        open: the mappings and lists not yet closed, each with the place where its content stands.
        root: the content.
        key: the key whose value comes next, if one was read.
        documents: how many have begun.
    """

    name: str
    marks: dict[Loc, _Mark]
    problems: list[str]
    open: list[tuple[Loc, dict[str, Any] | list[Any]]]
    root: _Value = None
    key: str | None = None
    documents: int = 0

    def complain(self, mark: _Mark, message: str) -> None:
        self.problems.append(f"{self.name}:{mark[0]}:{mark[1]}: {message}")

    def stop(self, mark: _Mark, message: str) -> None:
        self.complain(mark, message)
        raise _StopReadingError

    def locate(self, loc: Loc) -> Place:
        known = next((loc[:end] for end in range(len(loc), 0, -1) if loc[:end] in self.marks), ())
        return Place(self.name, *self.marks.get(known, (1, 1)))

    def take(self, event: yaml.Event) -> None:
        mark = _at(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.stop(mark, "a second document begins here; a file holds one")
        elif isinstance(event, yaml.AliasEvent):
            self.complain(mark, f"aliases (*{event.anchor}) are not supported; write the value out")
            self._put("", mark)
        elif isinstance(event, yaml.ScalarEvent):
            self._check(event)
            plain = event.implicit[0]
            if self._expects_key():
                self._name(event.value, plain, mark)
            else:
                self._put(scalar(event.value) if plain else event.value, mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event)
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.open.pop()

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        mark = _at(event.start_mark)
        if event.anchor:
            self.complain(mark, f"anchors (&{event.anchor}) are not supported; write the value out")
        if event.tag:
            self.complain(mark, f"tags ({shown(event.tag)}) are not supported; to mark text, use quotes")

    def _expects_key(self) -> bool:
        return self.key is None and bool(self.open) and isinstance(self.open[-1][1], dict)

    def _name(self, key: str, plain: bool, mark: _Mark) -> None:
        loc = (*self.open[-1][0], key)
        if loc in self.marks:
            self.complain(mark, f"{shown(key)} is set twice; the first time in line {self.marks[loc][0]}")
        if key == "<<" and plain:
            self.complain(mark, "merge keys (<<) are not supported; write the settings out")
        self.marks.setdefault(loc, mark)
        self.key = key

    def _begin(self, value: dict[str, Any] | list[Any], mark: _Mark) -> None:
        if self._expects_key():
            self.stop(mark, "a key must be text, not a mapping or list")
        if len(self.open) == DEEPEST:
            self.stop(mark, f"nested more than {DEEPEST} deep")
        self.open.append((self._put(value, mark), value))

    def _put(self, value: _Value, mark: _Mark) -> Loc:
        """Put a value where it belongs, and give its place."""
        if not self.open:
            self.root = value
            return ()
        place, parent = self.open[-1]
        if isinstance(parent, list):
            parent.append(value)
            here = (*place, len(parent) - 1)
            self.marks[here] = mark
        elif self.key is None:
            self.stop(mark, "a key must be text, not an alias")
        else:
            parent[self.key] = value
            here = (*place, self.key)
            self.key = None
        return here


def _at(mark: Any) -> _Mark:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError(f"{name}: larger than {LARGEST_FILE // 1_000_000} MB; is it a configuration file?")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: not UTF-8 text; save it as UTF-8") from None
    except ValueError as error:
        raise ConfigError(f"{shown(name)}: cannot be read: {error}") from None


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """Say what the parser did not understand, and the likely cause where there is one."""
    mark = error.problem_mark
    lines = text.split("\n")
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if mark and "\t" in indent + line[mark.column : mark.column + 1]:
        return "a tab stands where YAML wants spaces; use spaces"
    if "block scalar" in str(error.context):
        return "a value that begins with > or | needs quotes"
    return f"not YAML: {error.problem or error.context}"
