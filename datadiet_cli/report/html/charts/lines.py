"""Charts with two axes: curves, and numbers with intervals along something."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

from datadiet_cli.report.html.base import LONGEST, plain
from datadiet_cli.report.html.charts.base import GAP, LETTER, WIDTH, chart, element, fitted, label, line, width_of
from datadiet_cli.report.html.charts.rows import mark
from datadiet_cli.report.html.charts.scales import Scale, across, upwards

HEIGHT = 260.0
_RIGHT = 24.0
MOST_POINTS = 400
"""Points of a curve that are drawn: more than there are pixels for."""
STYLES = 6
"""Line styles there are, `line-0` to `line-5` of the style sheet."""


@dataclass(frozen=True)
class Curve:
    """A curve.

    Attributes:
        name: for the legend.
        x: k numbers, ascending, or None for a gap.
        y: k numbers, or None for a gap.
        style: number of its line style.
        said: the curve in words.
    """

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    style: int
    said: str


@dataclass(frozen=True)
class Spot:
    """A number with its interval at a place along the axis.

    Attributes:
        x: where.
        y: the number.
        low: of its interval, or None.
        high: of its interval, or None.
        kind: how it is marked.
        said: in words.
    """

    x: float
    y: float
    low: float | None
    high: float | None
    kind: str
    said: str


@dataclass(frozen=True)
class Axes:
    """What a chart is drawn on.

    Attributes:
        x: ends and way of writing of the horizontal axis; its places are not used.
        y: those of the vertical one.
        x_name: what it counts.
        y_name: what it counts.
        diagonal: whether the line of chance is drawn.
        level: a height that is marked with a dashed line, and its name.
        upright: a place along the axis that is marked with a thin line, and its name.
    """

    x: Scale
    y: Scale
    x_name: str
    y_name: str
    diagonal: bool = False
    level: tuple[float, str] | None = None
    upright: tuple[float, str] | None = None


def curves(title: str, drawn: Sequence[Curve], axes: Axes, spots: Sequence[Spot] = ()) -> Markup:
    """Curves, each with a line style of its own, and spots.

    Args:
        title: of the chart.
        drawn: any number of curves.
        axes: what they are drawn on.
        spots: numbers with intervals.
    """
    entries = [(one.name, f"curve line-{one.style % STYLES}") for one in drawn] if len(drawn) > 1 else []
    borders = [(*axes.level, "border")] if axes.level is not None else []
    borders += [(*axes.upright, "zero")] if axes.upright is not None else []
    entries += [(said, kind) for _, said, kind in borders]
    legend, top = _legend(entries)
    top += LETTER + 16
    left = max(width_of(said) for _, said in axes.y.marks()) + 10
    bottom = top + HEIGHT
    x = Scale(axes.x.low, axes.x.high, left, WIDTH - _RIGHT, axes.x.log, axes.x.said)
    y = Scale(axes.y.low, axes.y.high, bottom, top, axes.y.log, axes.y.said)
    parts = [*legend, *upwards(y, left, WIDTH - _RIGHT), *across(x, top, bottom)]
    parts.append(label(0, top - LETTER / 2 - 6, axes.y_name, kind="mark"))
    parts.append(label(WIDTH, bottom + 2 * LETTER + 9, axes.x_name, kind="mark", anchor="end"))
    if axes.diagonal:
        parts.append(line(left, bottom, WIDTH - _RIGHT, top, "diagonal"))
    if axes.level is not None:
        parts.append(line(left, y.at(axes.level[0]), WIDTH - _RIGHT, y.at(axes.level[0]), "border"))
    if axes.upright is not None:
        parts.append(line(x.at(axes.upright[0]), top, x.at(axes.upright[0]), bottom, "zero"))
    # The first is drawn last, so that nothing hides it.
    parts += [_drawn(one, x, y) for one in reversed(drawn)]
    parts += [_spot(one, x, y) for one in spots]
    told = [f"{one.name}: {one.said}" for one in drawn] + [one.said for one in spots]
    told += [said for _, said, _ in borders]
    return chart(title, told, bottom + 2 * LETTER + 16, parts)


def thinned(count: int, most: int = MOST_POINTS) -> list[int]:
    """Which of so many points are drawn: the first, the last, and evenly between."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def _drawn(one: Curve, x: Scale, y: Scale) -> Markup:
    places = [(one.x[i], one.y[i]) for i in thinned(len(one.x))]
    pieces = []
    for whole, run in groupby(places, key=lambda place: None not in place):
        if whole:
            points = [f"{x.at(a or 0.0):.1f} {y.at(b or 0.0):.1f}" for a, b in run]
            # A point alone is seen as one, by the round ends of lines.
            pieces.append("M" + "L".join(points if len(points) > 1 else 2 * points))
    return element("path", d="".join(pieces), class_=f"curve line-{one.style % STYLES}")


def _spot(one: Spot, x: Scale, y: Scale) -> Markup:
    parts, place = [element("title", escape(plain(one.said, 2 * LONGEST)))], x.at(one.x)
    if one.low is not None and one.high is not None:
        low, high = y.at(one.low), y.at(one.high)
        parts.append(line(place, low, place, high, "whisker"))
        parts += [line(place - 4, end, place + 4, end, "whisker") for end in (low, high)]
    return element("g", *parts, mark(one.kind, place, y.at(one.y)))


def _legend(entries: Sequence[tuple[str, str]]) -> tuple[list[Markup], float]:
    """Names of lines, in as many rows as they need, and how high that is."""
    parts: list[Markup] = []
    x, y = 0.0, 0.0
    for name, kind in entries:
        shown, whole = fitted(name, WIDTH - 50)
        wide = 42 + width_of(shown)
        if x and x + wide > WIDTH:
            x, y = 0.0, y + LETTER + 6
        parts.append(line(x, y + LETTER - 5, x + 34, y + LETTER - 5, kind))
        parts.append(label(x + 42, y + LETTER, shown, kind="mark", whole=whole))
        x += wide + 2 * GAP
    return parts, y + LETTER + 8 if entries else 0.0
