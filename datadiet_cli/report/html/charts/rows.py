"""Charts with a row for each name: bars before and after, and dots with intervals on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from datadiet_cli.report.html.base import plain
from datadiet_cli.report.html.charts.base import GAP, LETTER, WIDTH, box, chart, element, fitted, label, line, width_of
from datadiet_cli.report.html.charts.scales import Scale, across

_BAR = 14
_NAMES, _LEAST, _ROOMY, _FEW = 240, 110, 200, 8
"""The widest column of names, and the narrowest of bars; where they do not fit, a name has a line of its own.
Intervals of a few rows get more room."""


@dataclass(frozen=True)
class Pair:
    """A bar.

    Attributes:
        name: of the row.
        before: 0 or more.
        after: 0 or more.
        said: the numbers in words.
    """

    name: str
    before: float
    after: float
    said: str


@dataclass(frozen=True)
class Dot:
    """A number with what it may be.

    Attributes:
        name: of the row.
        value: the number.
        low: the lower end of its interval, or None without one.
        high: the upper end.
        said: the numbers in words.
        kind: how it is marked: a name of `MARKS`.
        part: of which part of the chart it is; rows of a part stand together, below its name. Empty for no part.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    said: str
    kind: str = "after"
    part: str = ""


@dataclass(frozen=True)
class Border:
    """A number that is drawn as a dashed line through the rows of a part.

    Attributes:
        value: where.
        said: its name.
        part: of which part; None for all.
        kind: its line style, ``border`` or ``zero``.
    """

    value: float
    said: str
    part: str | None = None
    kind: str = "border"


@dataclass(frozen=True)
class Columns:
    """Where names, drawings and numbers of rows are.

    Attributes:
        stacked: the name and the numbers have a line of their own above the drawing.
        left: where drawings start.
        right: where they end.
        height: of a row.
    """

    stacked: bool
    left: float
    right: float
    height: float

    @classmethod
    def of(cls, names: Sequence[str], said: Sequence[str], least: float = _LEAST) -> "Columns":
        """Columns that such names and numbers fit into."""
        # Cut before it is measured: a name may be very long.
        wide = max((width_of(name[:80]) for name in names), default=0.0)
        numbers = max((width_of(one[:80]) for one in said), default=0.0)
        left, right = wide + GAP, WIDTH - numbers - GAP
        if wide > _NAMES or right - left < least:
            return cls(stacked=True, left=2.0, right=WIDTH - 2.0, height=LETTER + _BAR + 12)
        return cls(stacked=False, left=left, right=right, height=_BAR + 10)

    def texts(self, name: str, said: str, top: float) -> list[Markup]:
        """The texts of a row."""
        y = top + LETTER
        room = WIDTH - width_of(said) - 2 * GAP if self.stacked else self.left - GAP + 1
        shown, whole = fitted(name, max(room, 4 * LETTER))
        return [label(0, y, shown, whole=whole), label(WIDTH, y, said, kind="number", anchor="end")]

    def middle(self, top: float) -> float:
        """The height of the middle of a row's drawing."""
        return top + (LETTER + 6 + _BAR / 2 if self.stacked else self.height / 2)


def bars(title: str, pairs: Sequence[Pair], *, legend: tuple[str, str] | None = ("before", "after")) -> Markup:
    """Bars of before, as an outline, with that of after in them or beyond them.

    Args:
        title: of the chart.
        pairs: its rows, at least 1.
        legend: what outline and bar are; None for none, where there is nothing to tell apart.
    """
    columns = Columns.of([one.name for one in pairs], [one.said for one in pairs])
    most = max(max(one.before, one.after) for one in pairs) or 1.0
    scale = Scale(0.0, most, columns.left, columns.right)
    top = 0.0 if legend is None else LETTER + 12.0
    parts = [] if legend is None else _legend(*legend)
    for i, one in enumerate(pairs):
        y = top + i * columns.height
        middle, said = columns.middle(y), f"{plain(one.name)}: {one.said}"
        parts += columns.texts(one.name, one.said, y)
        parts.append(box(columns.left, middle - _BAR / 2, scale.at(one.before) - columns.left, _BAR, "before", said))
        inset = 3 if one.before else 0
        # What is there is seen.
        length = max(scale.at(one.after) - columns.left, 2.0 if one.after else 0.0)
        parts.append(box(columns.left, middle - _BAR / 2 + inset, length, _BAR - 2 * inset, "after", said))
    return chart(
        title, [f"{plain(one.name)}: {one.said}" for one in pairs], top + len(pairs) * columns.height + 2, parts
    )


def dots(
    title: str, rows: Sequence[Dot], ends: tuple[float, float], axis: Scale, borders: Sequence[Border] = ()
) -> Markup:
    """Numbers with their intervals, one below the other on one axis.

    Args:
        title: of the chart.
        rows: at least 1; those of a part in a row.
        ends: of the axis.
        axis: how its marks are written; its places are not used.
        borders: lines to compare with; each part's are named at its head.
    """
    least = _ROOMY if len(rows) <= _FEW else _LEAST
    columns = Columns.of([one.name for one in rows], [one.said for one in rows], least)
    # Room for the labels at the ends of the axis.
    inset = 22.0 if columns.stacked else 8.0
    scale = Scale(*ends, columns.left + inset, columns.right - inset, said=axis.said)
    parts: list[Markup] = []
    edges: list[Markup] = []
    first, y = 0.0, 0.0
    for part, group in groupby(rows, key=lambda one: one.part):
        own = [border for border in borders if border.part in (None, part)]
        texts, start = _head(part, own, y)
        first, y = first if y else start, start
        parts += texts
        for one in group:
            parts += [*columns.texts(one.name, one.said, y), _drawn(one, columns.middle(y), scale)]
            y += columns.height
        edges += [line(scale.at(border.value), start, scale.at(border.value), y, border.kind) for border in own]
    told = [f"{one.part} {plain(one.name)}: {one.said}".strip() for one in rows]
    told += [f"{border.said}: {axis.said(border.value)}" for border in borders]
    most = max(2, min(5, int((columns.right - columns.left) / 60)))
    return chart(title, told, y + LETTER + 10, [*across(scale, first, y + 2, most), *edges, *parts])


def mark(kind: str, x: float, y: float) -> Markup:
    """A dot, whose shape tells what it is as its colour does."""
    if kind == "before":
        return element("circle", cx=x, cy=y, r=5, class_="dot hollow")
    if kind == "random":
        return element("path", d=_path([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)]), class_="dot third")
    if kind == "cost":
        return element("rect", x=x - 4.5, y=y - 4.5, width=9, height=9, class_="dot fourth")
    if kind == "bad":
        return element("path", d=_path([(x - 5, y - 5), (x + 5, y + 5)]) + _path([(x - 5, y + 5), (x + 5, y - 5)]),
                       class_="cross")  # fmt: skip
    return element("circle", cx=x, cy=y, r=5.5, class_="dot good" if kind == "good" else "dot")


def _drawn(one: Dot, y: float, scale: Scale) -> Markup:
    parts = []
    if one.low is not None and one.high is not None:
        low, high = scale.at(one.low), scale.at(one.high)
        parts = [line(low, y, high, y, "whisker"), line(low, y - 4, low, y + 4, "whisker")]
        parts.append(line(high, y - 4, high, y + 4, "whisker"))
    return element("g", *parts, mark(one.kind, scale.at(one.value), y))


def _head(part: str, borders: Sequence[Border], y: float) -> tuple[list[Markup], float]:
    """The name of a part, and of the lines in it, in as many rows as they need."""
    texts, x = [], 0.0
    if part:
        shown, whole = fitted(part, WIDTH / 2)
        texts.append(label(0, y + LETTER + 4, shown, kind="part", whole=whole))
        x = width_of(shown) + 3 * GAP
    for border in borders:
        shown, whole = fitted(border.said, WIDTH - 40)
        wide = 30 + width_of(shown)
        if x and x + wide > WIDTH:
            x, y = 0.0, y + LETTER + 6
        texts.append(line(x, y + LETTER - 1, x + 24, y + LETTER - 1, border.kind))
        texts.append(label(x + 30, y + LETTER + 4, shown, kind="mark", whole=whole))
        x += wide + 2 * GAP
    return texts, y + (LETTER + 10 if texts else 0)


def _legend(before: str, after: str) -> list[Markup]:
    x = 30 + width_of(before) + 3 * GAP
    return [
        box(0.5, 3, 22, 12, "before"),
        label(30, LETTER, before, kind="mark"),
        box(x, 3, 22, 12, "after"),
        label(x + 30, LETTER, after, kind="mark"),
    ]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
