"""The first record of a CSV: what cuts it, whether it is a header, and what the columns are called."""

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal

from datadiet_cli.errors import ConfigError, InputError

DELIMITERS = ",;\t|"

_LOOK_AT = 50
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_NEGATIVE_OR_FRACTION = re.compile(r"\s*(-\d+|[+-]?\d*\.\d+([eE][+-]?\d+)?)\s*")


def check_delimiter(delimiter: str) -> str:
    """The delimiter, if it can be one.

    Raises:
        ConfigError: it is not one ASCII character, or it is a quote or a line end.
    """
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise ConfigError(f"delimiter {delimiter!r}: must be one ASCII character, and no quote or line end")
    return delimiter


def sniff_delimiter(head: str) -> str:
    """The delimiter of a CSV: one of comma, semicolon, tab and bar, and a comma if there is none.

    The one that cuts every record of the head alike, and the header into the most cells; failing that, the
    one that cuts the header into the most.

    Args:
        head: the beginning of the file; its last line may be cut off.
    """
    counts = {delimiter: _cell_counts(head, delimiter) for delimiter in DELIMITERS}
    cuts = {delimiter: cells[0] for delimiter, cells in counts.items() if cells and cells[0] > 1}
    steady = {delimiter: n for delimiter, n in cuts.items() if set(counts[delimiter]) == {n}}
    cuts = steady or cuts
    return max(cuts, key=lambda delimiter: cuts[delimiter], default=",")


def column_names(first: Sequence[str], header: Literal["auto", "first-row", "none"], path: str) -> list[str]:
    """The names of the columns, unique and not empty.

    Args:
        first: the cells of the first record.
        header: as in `TableFormat`.
        path: the file's name.

    Raises:
        InputError: `header` is ``auto`` and the first record looks like data.
    """
    if header == "none":
        return [f"column_{i}" for i in range(1, len(first) + 1)]
    if header == "auto" and _looks_like_data(first):
        shown = ", ".join(first[:4]) + (", ..." if len(first) > 4 else "")
        raise InputError(
            f"{path}: the first record looks like data, not like column names: {shown}; add a header line, "
            "or pass --header none if there is none, or --header first-row if these are the names"
        )
    return distinct_names(first)


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names made unique and not empty: column_N for an empty N-th one, then name_2, name_3, ..."""
    taken, numbers, distinct = set(names), dict[str, int](), list[str]()
    for i, name in enumerate(names, 1):
        base = candidate = name or f"column_{i}"
        seen = numbers.get(base, 0) + 1
        if seen > 1 or (not name and candidate in taken):
            seen = max(seen, 2)
            while (candidate := f"{base}_{seen}") in taken:
                seen += 1
        numbers[base] = seen
        taken.add(candidate)
        distinct.append(candidate)
    return distinct


def _looks_like_data(cells: Sequence[str]) -> bool:
    if any(_NEGATIVE_OR_FRACTION.fullmatch(cell) for cell in cells):
        return True
    if not all(_NUMBER.fullmatch(cell) for cell in cells):
        return False
    counted = [[str(i) for i in range(begin, begin + len(cells))] for begin in (0, 1)]
    return list(cells) not in counted


def _cell_counts(head: str, delimiter: str) -> list[int]:
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    try:
        counts = [len(row) for row in islice(reader, _LOOK_AT) if row]
    except csv.Error:
        return []
    whole = head.endswith("\n") or len(counts) < 2 or next(reader, None) is not None
    return counts if whole else counts[:-1]
