"""New cells of a JSON Lines table: the JSON that a text becomes, and how it gets into an object."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from datadiet_cli.data.jsonedit import replace_values

# To JSON -0 is 0, and Python reads whole numbers of 4300 digits at most.
_WHOLE = "(0|[1-9][0-9]{0,99})"
_POWER = "[eE][+-]?[0-9]{1,3}"

PLAIN_NUMBER = rf"^(0|-?[1-9][0-9]{{0,99}}|-?{_WHOLE}(\.[0-9]{{1,99}}({_POWER})?|{_POWER}))$"
"""A regular expression for numbers that are read as the text that they are written as."""

_ONE_LINE = {ord("\n"): " ", ord("\r"): " "}  # outside strings, which cannot hold them, they are blanks
_IS_PLAIN = re.compile(PLAIN_NUMBER)

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_MEMBER = re.compile(rf'[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*({_STRING}|[^][{{}}", \t\r\n]+)[ \t\r\n]*[,}}]')


def quote(text: str) -> str:
    """The JSON of a string."""
    return json.dumps(text, ensure_ascii=False)


def new_value(text: str | None, worded: bool) -> str:
    """The JSON of a new cell: the text itself where it is JSON, unless its column is of strings."""
    if text is None:
        return "null"
    if not worded:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return text.translate(_ONE_LINE)
    return quote(text)


def new_member(text: str | None, numeric: bool) -> str:
    """The JSON of a cell of a new column, which is all numbers or all strings."""
    if text is None:
        return "null"
    return text if numeric else quote(text)


def all_numbers(texts: Iterable[str | None]) -> bool:
    """Whether all texts, but for empty cells, are numbers that are read as they are written."""
    return all(text is None or (_IS_PLAIN.fullmatch(text) and isfinite(float(text))) for text in texts)


def with_members(text: str, members: Sequence[tuple[str, str]], like: str) -> str:
    """An object with members appended.

    Args:
        text: one valid JSON object, and nothing behind it.
        members: keys that the object lacks and their values, as JSON.
        like: an object that shows whether blanks follow colons and commas.
    """
    if not members:
        return text
    body = text[:-1].rstrip(" \t\r\n")
    colon, comma = (": ", ", ") if '": ' in like else (":", ",")
    glue = "" if body.endswith("{") else comma
    return body + glue + comma.join([f"{key}{colon}{value}" for key, value in members]) + text[len(body) :]


def replace_cells(text: str, values: Mapping[str, str]) -> str:
    """What `replace_values` does, several times as fast where no value is a list or an object.

    Args:
        text: one valid JSON object, and nothing behind it.
        values: key -> the JSON of its new value.
    """
    spans = _plain_spans(text)
    if spans is None:
        return replace_values(text, values)
    pieces, at = [], 0
    for key, (begin, end) in spans.items():
        if key in values:
            pieces += [text[at:begin], values[key]]
            at = end
    missing = [(quote(key), value) for key, value in values.items() if key not in spans]
    return with_members("".join([*pieces, text[at:]]), missing, text)


def _plain_spans(text: str) -> dict[str, tuple[int, int]] | None:
    """Where the values lie, by key and in order; None where that is not plain to see."""
    spans: dict[str, tuple[int, int]] = {}
    at, stop = text.index("{") + 1, len(text)
    while at < stop:
        member = _MEMBER.match(text, at)
        if member is None or member[1] in spans:
            return None
        spans[member[1]] = member.span(2)
        at = member.end()
    return spans
