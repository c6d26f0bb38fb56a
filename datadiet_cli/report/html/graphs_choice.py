"""Charts of what `select-samples` tried: the tournament of methods, and the search for the fewest samples."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph
from datadiet_cli.report.html.charts.base import finite, inner, margin_said, points
from datadiet_cli.report.html.charts.lines import Axes, Spot, curves
from datadiet_cli.report.html.charts.rows import Border, Dot, dots
from datadiet_cli.report.html.charts.scales import Scale, points_said, share_said, spread
from datadiet_cli.report.html.graphs_proof import NUMBERS, POINTS, difference, gaps

MOST = 30


def choice_graphs(metrics: Mapping[str, Any]) -> list[Graph | None]:
    """The tournament, and the search."""
    return [_tournament(metrics.get("tournament")), _search(metrics.get("search"))]


def _tournament(rows: Any) -> Graph | None:
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return None
    of_classes = not any(finite(inner(row, "r2")) is not None for row in rows)
    found = [one for row in rows if (one := _candidate(row, of_classes)) is not None]
    if not found:
        return None
    shown = found[:MOST]
    title = "Tournament: ahead of random"
    unit = "In points of accuracy" if of_classes else "In R2"
    words = f"{unit}; a hollow dot went out before the last round and has no interval. ✓ is what was taken."
    if len(found) > MOST:
        words += f" {len(found) - MOST:,} more candidates were behind these."
    border = [Border(0.0, "random", kind="zero")]
    return Graph(title, dots(title, shown, gaps(shown), POINTS if of_classes else NUMBERS, border), words)


def _candidate(row: Any, of_classes: bool) -> Dot | None:
    ends = inner(row, "interval")
    low, high = ends if isinstance(ends, Sequence) and len(ends) == 2 else (None, None)
    picked = bool(inner(row, "picked"))
    name = f"✓ {inner(row, 'candidate')}" if picked else str(inner(row, "candidate"))
    if inner(row, "candidate") == "random":
        return Dot(name, 0.0, None, None, "0", "random")
    told = {"difference": inner(row, "difference"), "lower": low, "upper": high}
    return difference(name, told, of_classes, "before" if low is None else "good" if picked else "after")


def _search(rows: Any) -> Graph | None:
    """Which shares were tried, and what training with them lost."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return None
    # The unit is in the words of a verdict alone.
    of_classes = not any("R2" in str(inner(row, "words")) for row in rows)
    spots = [one for row in rows if (one := _spot(row, of_classes=of_classes)) is not None]
    if not spots:
        return None
    margin = finite(inner(rows[0], "margin"))
    ends = [end for one in spots for end in (one.y, one.low, one.high) if end is not None]
    low, high = spread([*ends, 0.0, *([] if margin is None else [-margin])])
    level = None if margin is None else (-margin, f"margin: {margin_said(margin, of_classes=of_classes)}")
    x = Scale(0.0, 1.0, 0.0, 1.0, said=share_said)
    y = Scale(low, high, 0.0, 1.0, said=points_said if of_classes else NUMBERS.said)
    title = "Search for the fewest samples"
    axes = Axes(
        x, y, "share of the samples kept", f"{'points' if of_classes else 'R2'} against all samples", level=level
    )
    words = "A dot passed: the loss is proved to be within the margin. A cross did not."
    return Graph(title, curves(title, [], axes, spots), words)


def _spot(row: Any, *, of_classes: bool) -> Spot | None:
    share, value, low, high = (finite(inner(row, key)) for key in ("share", "difference", "lower", "upper"))
    if share is None or value is None:
        return None
    write = points if of_classes else "{:+.3f}".format
    passed = bool(inner(row, "noninferior"))
    found = "passed" if passed else "did not pass"
    kept = f"{inner(row, 'part') or 'tried'}: {100 * share:.4g}% kept, {write(value)}"
    sure = "" if low is None or high is None else f" ({write(low)} to {write(high)})"
    return Spot(share, value, low, high, "good" if passed else "bad", f"{kept}{sure}, {found}")
