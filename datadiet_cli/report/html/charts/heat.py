"""A table of numbers whose cells are the darker the worse they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from datadiet_cli.report.html.base import plain
from datadiet_cli.report.html.charts.base import GAP, LETTER, WIDTH, chart, element, fitted, label, width_of

_DARKEST = 0.6
"""Of the colour of bad, so that the numbers on it can still be read."""
_CELL = 62.0


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        said: what stands in it, short.
        dark: 0 to 1.
    """

    said: str
    dark: float


def heat(title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell | None]]) -> Markup:
    """A heat map with its numbers.

    Args:
        title: of the chart.
        rows: r names.
        columns: c short names.
        cells: r rows of c cells, None for one that is not known.
    """
    wide = min(_CELL, (WIDTH - 120) / max(len(columns), 1))
    left = WIDTH - wide * len(columns)
    stacked = max(width_of(name[:80]) for name in rows) > left - GAP
    head = LETTER + 8.0
    high = LETTER + 8.0
    step = high + (LETTER + 4 if stacked else 0)
    parts = [
        label(left + (j + 0.5) * wide, LETTER, name, kind="mark", anchor="middle") for j, name in enumerate(columns)
    ]
    for i, name in enumerate(rows):
        y = head + i * step
        shown, whole = fitted(name, WIDTH - GAP if stacked else left - GAP)
        parts.append(label(0, y + LETTER + 1, shown, whole=whole))
        y += step - high
        parts += [_cell(one, left + j * wide, y, wide, high) for j, one in enumerate(cells[i]) if one is not None]
    told = [
        f"{plain(name)}: " + ", ".join(f"{column} {one.said}" for column, one in zip(columns, row, strict=True) if one)
        for name, row in zip(rows, cells, strict=True)
    ]
    return chart(title, told, head + len(rows) * step + 2, parts)


def _cell(one: Cell, x: float, y: float, wide: float, high: float) -> Markup:
    dark = _DARKEST * min(max(one.dark, 0.0), 1.0)
    return element(
        "g",
        element("title", escape(plain(one.said))),
        element("rect", x=x, y=y, width=wide - 2, height=high - 2, class_="cell", fill_opacity=dark),
        label(x + wide / 2 - 1, y + LETTER + 1, one.said, kind="inside", anchor="middle"),
    )
