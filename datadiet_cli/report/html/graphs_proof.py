"""Charts of what was compared: figures of each arm with their intervals, and differences with the margin."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph, plain
from datadiet_cli.report.html.charts.base import finite, inner, margin_said, percent, points
from datadiet_cli.report.html.charts.rows import Border, Dot, dots
from datadiet_cli.report.html.charts.scales import Scale, points_said, share_said, spread

ORDER = ("before", "after", "random", "cost", "scratch")
KINDS = {"before": "before", "after": "after", "random": "random", "cost": "cost", "scratch": "cost"}
_POINTS = (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("worst_class_recall", "worst class"))


def proof_graphs(metrics: Mapping[str, Any]) -> list[Graph | None]:
    """Figures and differences of every protocol."""
    protocols = metrics.get("protocols")
    if not isinstance(protocols, Mapping):
        return []
    found: list[Graph | None] = []
    for protocol, block in protocols.items():
        ending = "" if len(protocols) == 1 else f", {plain(protocol)}"
        found += [_figures(block, ending), _differences(block, ending)]
    return found


def shares(rows: Sequence[Dot], borders: Sequence[Border] = ()) -> tuple[float, float]:
    """Ends of an axis of shares."""
    ends = [end for one in rows for end in (one.value, one.low, one.high) if end is not None]
    return spread([*ends, *(one.value for one in borders)], low=0.0, high=1.0)


def gaps(rows: Sequence[Dot], borders: Sequence[Border] = ()) -> tuple[float, float]:
    """Ends of an axis of differences."""
    ends = [end for one in rows for end in (one.value, one.low, one.high) if end is not None]
    return spread([*ends, *(one.value for one in borders), 0.0])


SHARES = Scale(0.0, 1.0, 0.0, 1.0, said=share_said)
POINTS = Scale(0.0, 1.0, 0.0, 1.0, said=points_said)
NUMBERS = Scale(0.0, 1.0, 0.0, 1.0, said=lambda value: f"{value:.4g}")


def _figures(block: Any, ending: str) -> Graph | None:
    arms = inner(block, "arms")
    if not isinstance(arms, Mapping):
        return None
    of_classes = inner(block, "score") != "r2"
    names = [name for name in ORDER if name in arms] + [name for name in arms if name not in ORDER]
    rows = [
        one
        for key, part in (_POINTS if of_classes else (("r2", "R2"),))
        for name in names
        if (one := _dot(str(name), inner(arms[name], "metrics", key), part, of_classes)) is not None
    ]
    if not rows:
        return None
    borders = _border(block, arms, of_classes)
    ends = (
        shares(rows, borders)
        if of_classes
        else spread([v for r in rows for v in (r.value, r.low, r.high) if v is not None])
    )
    title = f"{'Accuracy' if of_classes else 'R2'} of each arm{ending}"
    axis = SHARES if of_classes else NUMBERS
    return Graph(title, dots(title, rows, ends, axis, borders), _how(block, rows))


def _dot(name: str, told: Any, part: str, of_classes: bool) -> Dot | None:
    value, low, high = (finite(inner(told, key)) for key in ("mean", "lower", "upper"))
    if value is None:
        return None
    write = percent if of_classes else "{:.3f}".format
    said = write(value)
    if low is not None and high is not None:
        said = f"{said} ± {100 * (high - low) / 2:.1f}" if of_classes else f"{said} ± {(high - low) / 2:.3f}"
    return Dot(name.replace("_", " "), value, low, high, said, KINDS.get(name, "cost"), part)


def _border(block: Any, arms: Mapping[str, Any], of_classes: bool) -> list[Border]:
    """Before less the margin, in the part that the verdict is about."""
    key = "accuracy" if of_classes else "r2"
    before, margin = finite(inner(arms, "before", "metrics", key, "mean")), finite(inner(block, "verdict", "margin"))
    if before is None or margin is None:
        return []
    told = margin_said(margin, of_classes=of_classes)
    return [Border(before - margin, f"before less {told}", "accuracy" if of_classes else "R2")]


def _how(block: Any, rows: Sequence[Dot]) -> str:
    seeds, samples, sure = (finite(inner(block, key)) for key in ("seeds", "test_samples", "confidence"))
    if all(one.low is None for one in rows):
        return "One training each, so there are no intervals." if seeds == 1 else ""
    if seeds is None or samples is None or sure is None:
        return ""
    return f"Means and {100 * sure:g} % intervals of {seeds:.0f} trainings, on {samples:,.0f} test samples."


def _differences(block: Any, ending: str) -> Graph | None:
    against = inner(block, "differences")
    if not isinstance(against, Mapping):
        return None
    of_classes = inner(block, "score") != "r2"
    rows = [
        one
        for name in [*(n for n in ORDER if n in against), *(n for n in against if n not in ORDER)]
        if (one := difference(f"against {name}", inner(against[name], "verdict"), of_classes)) is not None
    ]
    if not rows:
        return None
    borders = [Border(0.0, "no difference", kind="zero")]
    margin = finite(inner(block, "verdict", "margin"))
    if margin:
        borders.insert(0, Border(-margin, f"margin: {margin_said(margin, of_classes=of_classes)}"))
    title = f"Difference of after to the others{ending}"
    unit = "In points of accuracy" if of_classes else "In R2"
    words = f"{unit}, with intervals over trainings and test samples; right of the solid line after is better."
    return Graph(title, dots(title, rows, gaps(rows, borders), POINTS if of_classes else NUMBERS, borders), words)


def difference(name: str, told: Any, of_classes: bool, kind: str = "") -> Dot | None:
    """A row of a difference that has ``difference`` or ``mean``, ``lower`` and ``upper``.

    Args:
        name: of the row.
        told: the numbers.
        of_classes: whether they are shares.
        kind: how it is marked; empty for after.
    """
    value = finite(inner(told, "difference"))
    value = finite(inner(told, "mean")) if value is None else value
    low, high = finite(inner(told, "lower")), finite(inner(told, "upper"))
    if value is None:
        return None
    write = points if of_classes else "{:+.3f}".format
    said = write(value) if low is None or high is None else f"{write(value)} ({write(low)} to {write(high)})"
    return Dot(name, value, low, high, said, kind or "after")
