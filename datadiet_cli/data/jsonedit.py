"""Replace values within the text of one JSON object and leave all other bytes as they are."""

import json
from collections.abc import Mapping

_BLANK = " \t\r\n"


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
