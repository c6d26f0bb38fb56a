"""Settings that are pairs of a name and a value: `age=0..120` on a command line, `age: [0, 120]` in a file as well."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from datadiet_cli.config.base import PERCENTAGE, parse_percentage
from datadiet_cli.config.words import shown


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def divide(pair: str) -> tuple[str, str]:
    """Name and value of a pair; the value begins after the last equals sign, for a column may have one in its name."""
    name, _, value = pair.rpartition("=")
    return name.strip(), value.strip()


def bounds(pair: str) -> tuple[str, float, float]:
    """Take `age=0..120` apart; a bound that is not given is infinite.

    Raises:
        ValueError: it is no such pair.
    """
    name, value = divide(pair)
    low, dots, high = value.partition("..")
    try:
        ends = (_number(low) if low.strip() else -math.inf, _number(high) if high.strip() else math.inf)
        if not name or not dots or not value.strip(". ") or ends[0] > ends[1]:
            raise ValueError
    except ValueError:
        raise ValueError(f"must be COLUMN=LOW..HIGH, such as age=0..120 or price=0.., not {shown(pair)}") from None
    return name, *ends


def choices(pair: str) -> tuple[str, frozenset[str]]:
    """Take `sex=male|female` apart.

    Raises:
        ValueError: it is no such pair.
    """
    name, value = divide(pair)
    values = frozenset(part.strip() for part in value.split("|"))
    if not name or values == {""}:
        raise ValueError(f"must be COLUMN=VALUE|VALUE, such as sex=male|female, not {shown(pair)}")
    return name, values


def limit(pair: str) -> tuple[str, float]:
    """Take `blurred=0.2` apart.

    Raises:
        ValueError: it is no such pair.
    """
    name, value = divide(pair)
    try:
        if not name:
            raise ValueError
        return name, _number(value)
    except ValueError:
        raise ValueError(f"must be NAME=NUMBER, such as blurred=0.2, not {shown(pair)}") from None


def _listed(join: Callable[[Any], str]) -> Callable[[object], object]:
    """A mapping of a file as the list of pairs that a command line has."""

    def as_pairs(value: object) -> object:
        if isinstance(value, Mapping):
            return [f"{name}={join(part)}" for name, part in value.items()]
        return value

    return as_pairs


def _range(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return "..".join("" if end is None else str(end) for end in value)
    return str(value)


def _options(value: Any) -> str:
    return "|".join(map(str, value)) if isinstance(value, list) else str(value)


def _checked(take_apart: Callable[[str], object]) -> Callable[[list[str]], list[str]]:
    def check(pairs: list[str]) -> list[str]:
        for pair in pairs:
            take_apart(pair)
        return pairs

    return check


def _pairs(take_apart: Callable[[str], object], join: Callable[[Any], str], pattern: str, value: dict[str, Any]) -> Any:
    schema = {
        "anyOf": [
            {"type": "array", "items": {"type": "string", "pattern": pattern}, "minItems": 1},
            {"type": "object", "additionalProperties": value, "minProperties": 1},
            {"type": "null"},
        ],
    }
    return Annotated[
        Annotated[list[str], Field(min_length=1)] | None,
        AfterValidator(lambda pairs: pairs if pairs is None else _checked(take_apart)(pairs)),
        BeforeValidator(_listed(join)),
        WithJsonSchema(schema),
    ]


_BOUND = {"type": ["number", "null"]}
Ranges = _pairs(bounds, _range, r"^.+=.*\.\..*$", {"type": "array", "items": _BOUND, "minItems": 2, "maxItems": 2})
"""Columns with their least and greatest value."""
Allowed = _pairs(choices, _options, r"^.+=.+$", {"type": "array", "items": {"type": ["string", "number", "boolean"]}})
"""Columns with all the values they may have."""
Limits = _pairs(limit, str, r"^.+=.+$", {"type": "number"})
"""Names with a number each."""

TARGET = re.compile(r"min|median|mean|max|[1-9][0-9]{0,14}|ratio [1-9][0-9]*(\.[0-9]+)?:1")


def size(value: object) -> object:
    """Read how large a class shall be; a number of a file is a number of samples."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not TARGET.fullmatch(text):
        raise ValueError(f"must be min, median, mean, max, a number of samples, or 'ratio 3:1', not {shown(value)}")
    return text


Size = Annotated[
    str,
    BeforeValidator(size),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": f"^({TARGET.pattern})$"}, {"type": "integer", "minimum": 1}]}
    ),
]
"""How many samples of a class there shall be."""

KEEP = re.compile(rf"auto|[1-9][0-9]{{0,8}}|{PERCENTAGE}")


def keep(value: object) -> object:
    """Read how much stays; a whole number of a file is a number of things."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if (
        not isinstance(text, str)
        or not KEEP.fullmatch(text)
        or (text.endswith("%") and not 0 < parse_percentage(text) <= 1)
    ):
        raise ValueError(f"must be auto, a number such as 20, or a percentage such as 30%, not {shown(value)}")
    return text


Keep = Annotated[
    str,
    BeforeValidator(keep),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": f"^({KEEP.pattern})$"}, {"type": "integer", "minimum": 1}]}
    ),
]
"""How much stays: ``auto``, a number, or a percentage."""
