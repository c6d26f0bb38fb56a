"""Groups before and after as bars of text."""

from collections.abc import Mapping
from typing import Any

WIDTH = 30
MOST = 12
LONGEST_NAME = 24


def class_bars(metrics: Mapping[str, Any]) -> list[str]:
    """Draw the sizes of groups before and after `balance`, the largest first.

    Args:
        metrics: of a step; in those of `balance` all ``groups`` have a ``before`` and an ``after`` each.

    Returns:
        A line for each of at most 12 groups, and one that counts the others: ``#`` for what was there and stays,
        ``+`` for what was added, ``-`` for what went. The largest bar is 30 characters long. Empty without groups,
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
    lines = [_line(name, groups[name], unit, width, digits) for name in shown]
    return lines + ([f"and {len(order) - MOST:,} more"] if len(order) > MOST else [])


def _line(name: str, size: Mapping[str, int], unit: int, width: int, digits: int) -> str:
    one, two = (_length(size[when], unit) for when in ("before", "after"))
    bar = "#" * min(one, two) + ("+" * (two - one) if two > one else "-" * (one - two))
    short = name if len(name) <= width else name[: width - 3] + "..."
    return f"{short:<{width}} {size['before']:>{digits},} -> {size['after']:>{digits},} {bar}"


def _length(count: int, unit: int) -> int:
    """Characters of a bar; what is there is seen."""
    return max(round(count * WIDTH / unit), 1) if count else 0
