"""Replace values and remove members within the text of one JSON object, and leave all other bytes as they are."""

import json
import re
from collections.abc import Collection, Iterator, Mapping

_BLANK = " \t\r\n"
_STRING = r'"(?:[^"\\]|\\.)*+"'
_KEY = re.compile(rf"({_STRING})[ \t\r\n]*:[ \t\r\n]*")
_PLAIN_VALUE = re.compile(rf'{_STRING}|[^][{{}}", \t\r\n]+')
_NEXT = re.compile(r"[ \t\r\n]*([,}])[ \t\r\n]*")


def replace_values(text: str, values: Mapping[str, str]) -> str:
    """Give keys of an object new values.

    Args:
        text: one valid JSON object.
        values: key -> the JSON of its new value. A key that the object lacks is appended. Of a key
            that stands twice the last one counts, as for Python's json module.
    """
    spans, end = _value_spans(text)
    pieces, at = [], 0
    for key in sorted(values.keys() & spans.keys(), key=lambda key: spans[key]):
        begin, stop = spans[key]
        pieces += [text[at:begin], values[key]]
        at = stop
    pieces.append(text[at:end])
    colon, comma = (": ", ", ") if '": ' in text else (":", ",")
    glue = comma if spans else ""
    for key in values:
        if key not in spans:
            pieces.append(f"{glue}{json.dumps(key, ensure_ascii=False)}{colon}{values[key]}")
            glue = comma
    return "".join([*pieces, text[end:]])


def without_members(text: str, keys: Collection[str]) -> str:
    """An object without some of its members.

    Each goes with a comma: the one behind it and the blanks there, or, if no member that stays follows, the one before
    it. A key that stands twice goes twice.

    Args:
        text: one valid JSON object.
        keys: those of the members that go; the object may lack them.
    """
    pieces, at, kept, gone_from = [], 0, -1, -1
    for key, begin, end in _members(text):
        if key in keys:
            gone_from = begin if gone_from < 0 else gone_from
            continue
        if gone_from >= 0:
            pieces.append(text[at:gone_from])
            at, gone_from = begin, -1
        kept = end
    if gone_from >= 0:
        # The last ones go: up to here from the last that stays, or from the first if none does.
        pieces.append(text[at : kept if kept >= 0 else gone_from])
        at = end
    return "".join([*pieces, text[at:]])


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """The key of each member of an object, where the key begins, and one past its value."""
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key = _KEY.match(text, at)
        assert key is not None  # noqa: S101 - the object is valid
        value = _PLAIN_VALUE.match(text, key.end())
        end = value.end() if value else decode(text, key.end())[1]
        yield (json.loads(key[1]) if "\\" in key[1] else key[1][1:-1]), at, end
        following = _NEXT.match(text, end)
        assert following is not None  # noqa: S101
        at = following.end() if following[1] == "," else following.start(1)


def _value_spans(text: str) -> tuple[dict[str, tuple[int, int]], int]:
    """Where the value of each key lies, and where a further member would be put."""
    decode = json.JSONDecoder().raw_decode
    spans: dict[str, tuple[int, int]] = {}
    at = end = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decode(text, at)
        begin = _skip(text, _skip(text, at) + 1)  # over the colon
        _, end = decode(text, begin)
        spans[key] = begin, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans, end


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at
