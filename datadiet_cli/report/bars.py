"""Groups before and after as bars of text."""

from collections.abc import Mapping
from typing import Any

WIDTH = 30
LONGEST_BAR, SHORTEST_BAR = 60, 8
MOST = 12
LONGEST_NAME = 24


def class_bars(metrics: Mapping[str, Any], columns: int | None = None) -> list[str]:
    """Draw the sizes of groups before and after `balance`, the largest first.

    Args:
        metrics: of a step; in those of `balance` all ``groups`` have a ``before`` and an ``after`` each.
        columns: that the lines may fill; None for bars of the usual length.

    Returns:
        A line for each of at most 12 groups, and one that counts the others: ``#`` for what was there and stays,
        ``+`` for what was added, ``-`` for what went. The largest bar is 30
        characters long, or as long as there is room for. Empty without groups,
        and where nothing changed.
    """
    groups = metrics.get("groups")
    # Other steps count groups of other sorts.
    if not isinstance(groups, Mapping) or all(size["before"] == size["after"] for size in groups.values()):
        return []
    order = sorted(groups, key=lambda name: (-max(groups[name].values()), name))
    shown = order[:MOST]
    unit = max(max(groups[name].values()) for name in shown)
    width = min(max(map(len, shown)), LONGEST_NAME)
    digits = len(f"{unit:,}")
    # Two numbers, an arrow and the blanks between.
    room = WIDTH if columns is None else columns - width - 2 * digits - 6
    length = min(max(room, SHORTEST_BAR), LONGEST_BAR)
    lines = [_line(name, groups[name], (unit, length), width, digits) for name in shown]
    return lines + ([f"and {len(order) - MOST:,} more"] if len(order) > MOST else [])


def _line(name: str, size: Mapping[str, int], scale: tuple[int, int], width: int, digits: int) -> str:
    one, two = (_length(size[when], *scale) for when in ("before", "after"))
    bar = "#" * min(one, two) + ("+" * (two - one) if two > one else "-" * (one - two))
    short = name if len(name) <= width else name[: width - 3] + "..."
    return f"{short:<{width}} {size['before']:>{digits},} -> {size['after']:>{digits},} {bar}"


def _length(count: int, unit: int, longest: int) -> int:
    """Characters of a bar; what is there is seen."""
    return max(round(count * longest / unit), 1) if count else 0
