"""Charts of groups before and after: classes, splits, and what a step counts by."""

from collections.abc import Mapping
from typing import Any

from datadiet_cli.report.html.base import Graph
from datadiet_cli.report.html.charts.base import finite, inner
from datadiet_cli.report.html.charts.rows import Pair, bars

MOST = 30
"""Groups that have a bar."""

Sizes = dict[str, tuple[float, float]]


def sizes_of(groups: Any) -> Sizes:
    """Sizes before and after by group, of those that have both; other steps count groups of other sorts."""
    if not isinstance(groups, Mapping):
        return {}
    found = {name: (finite(inner(size, "before")), finite(inner(size, "after"))) for name, size in groups.items()}
    return {str(name): (a, b) for name, (a, b) in found.items() if a is not None and b is not None}


def group_graph(title: str, sizes: Sizes, what: str, *, unchanged: bool = False) -> Graph | None:
    """Bars of groups, the largest change first.

    Args:
        title: of the chart.
        sizes: of all groups.
        what: they are: a word in the plural.
        unchanged: whether there is a chart where nothing changed, too.
    """
    changed = any(a != b for a, b in sizes.values())
    if not sizes or not (changed or unchanged):
        return None
    order = sorted(sizes, key=lambda name: (-abs(sizes[name][1] - sizes[name][0]), -max(sizes[name]), name))
    shown, rest = order[:MOST], order[MOST:]
    pairs = [Pair(name, *sizes[name], _said(*sizes[name])) for name in shown]
    legend = ("before", "after") if changed else None
    words = "" if changed else f"None of the {what} changed in size."
    if rest:
        words = f"{words} {_more(sizes, rest, what)}".strip()
    return Graph(title, bars(title, pairs, legend=legend), words, aside=not changed)


def _more(sizes: Sizes, rest: list[str], what: str) -> str:
    low = min(sizes[name][1] for name in rest)
    high = max(sizes[name][1] for name in rest)
    name = what if len(rest) > 1 else {"classes": "class"}.get(what, what.removesuffix("s"))
    spread = f"from {_whole(low)} to {_whole(high)} samples each" if low != high else f"{_whole(low)} samples each"
    changed = sum(sizes[name][0] != sizes[name][1] for name in rest)
    same = "" if changed else ", unchanged"
    return (
        f"And {len(rest):,} more {name}, {spread}{same}."
        if len(rest) > 1
        else f"And 1 more {name}, {_whole(low)}{same}."
    )


def _said(before: float, after: float) -> str:
    return _whole(before) if before == after else f"{_whole(before)} → {_whole(after)}"


def _whole(size: float) -> str:
    return f"{size:,.0f}" if size == int(size) else f"{size:,.2f}"
