"""Mistakes in settings, in words a user understands instead of those of the validation library."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

Loc = tuple[int | str, ...]
"""Where a setting stands: the keys and positions that lead to it, for example ``("steps", 0, "dedup")``."""

LONGEST_SHOWN = 60

_WORDS = {
    "missing": "must be given",
    "bool_type": "must be true or false, not {got}",
    "int_type": "must be a whole number, not {got}",
    "float_type": "must be a number, not {got}",
    "finite_number": "must be a finite number, not {got}",
    "string_type": "must be text, not {got}; text that looks like something else needs quotes",
    "list_type": "must be a list, not {got}",
    "dict_type": "must be settings as 'key: value', not {got}",
    "model_type": "must be settings as 'key: value', not {got}",
    "greater_than_equal": "must be at least {ge}, not {got}",
    "greater_than": "must be more than {gt}, not {got}",
    "less_than_equal": "must be at most {le}, not {got}",
    "less_than": "must be less than {lt}, not {got}",
    "too_short": "must have {min_length} or more entries",
    "value_error": "{error}",
}


def shown(value: object) -> str:
    """Write a value as the user would recognise it, on one line and never long."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a mapping"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: `; did you mean 'x'?`, or nothing if none is close."""
    near = closest(word, known)
    return f"; did you mean '{near}'?" if near else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is close; dashes and capitals make no difference."""
    spellings = {_plain(name): name for name in known}
    # A little stricter than the default of 0.6, which takes gpu for cpu.
    close = difflib.get_close_matches(_plain(word), spellings, 1, cutoff=0.7)
    return spellings[close[0]] if close else None


def dotted(loc: Loc) -> str:
    """Write where a setting stands: `steps[0].dedup.max_distance`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_one_line(part)}" for part in loc)
    return text.removeprefix(".")


def explain(error: ErrorDetails, known: Iterable[str]) -> str:
    """Say what is wrong and what to do, without saying where.

    Args:
        error: one of the `errors()` of a pydantic `ValidationError`.
        known: the settings that could have been meant where this one stands.
    """
    if error["type"] == "extra_forbidden":
        return f"unknown setting{suggestion(str(error['loc'][-1]), known)}"
    details: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "literal_error":
        # The library hands over the choices as one string, each in quotes.
        choices = re.findall(r"'([^']*)'", details["expected"])
        wrong = error["input"]
        return f"must be one of {', '.join(choices)}, not {shown(wrong)}{suggestion(str(wrong), choices)}"
    template = _WORDS.get(error["type"])
    limits = {key: f"{limit:g}" if isinstance(limit, float) else limit for key, limit in details.items()}
    return template.format(got=shown(error["input"]), **limits) if template else error["msg"]


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def _one_line(part: str) -> str:
    return part if part.isprintable() and len(part) <= LONGEST_SHOWN else shown(part)
