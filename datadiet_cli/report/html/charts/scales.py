"""Axes: where a number is, and round numbers to mark."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

from datadiet_cli.report.html.charts.base import LETTER, count, label, line


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        low: the number at `start`.
        high: the number at `end`; above `low`.
        start: in units of the chart.
        end: in units of the chart.
        log: by powers of ten; of 1 + the number where `low` is 0.
        said: how a mark is written.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    said: Callable[[float], str] = count

    def at(self, value: float) -> float:
        """The place of a number; what lies beyond an end is at that end."""
        share = (self._own(value) - self._own(self.low)) / (self._own(self.high) - self._own(self.low))
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _own(self, value: float) -> float:
        if not self.log:
            return value
        return math.log10(1 + max(value, 0.0)) if self.low == 0 else math.log10(max(value, self.low))

    def marks(self, most: int = 5) -> list[tuple[float, str]]:
        """Round numbers on the axis, with their labels; 2 or more, and about as many as asked."""
        if self.log:
            found = powers(self.low, self.high, most)
            return [(value, self.said(value)) for value in found]
        step = _step(self.high - self.low, most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [(i * step, self.said(round(i * step, 12))) for i in range(first, last + 1)]


def spread(values: Iterable[float], *, low: float | None = None, high: float | None = None) -> tuple[float, float]:
    """Round ends around numbers.

    Args:
        values: any number of them; without any, 0 to 1.
        low: the lower end is no lower than this.
        high: the upper end is no higher than this.
    """
    own = list(values) or [0.0, 1.0]
    least, most = min(own), max(own)
    if most - least <= 1e-9 * max(abs(least), abs(most), 1e-9):
        pad = abs(most) / 10 or 0.5
        least, most = least - pad, most + pad
    step = _step(most - least, 5)
    ends = math.floor(least / step + 1e-9) * step, math.ceil(most / step - 1e-9) * step
    first = ends[0] if low is None else max(ends[0], low)
    last = ends[1] if high is None else min(ends[1], high)
    return (first, last) if first < last else (first - step, last + step)


def powers(low: float, high: float, most: int) -> list[float]:
    """Powers of ten from low to high, thinned to about so many; 0 with them where low is 0."""
    first = 0 if low == 0 else math.ceil(math.log10(low) - 1e-9)
    last = math.floor(math.log10(high) + 1e-9)
    every = max(1, -(-(last - first + 1) // most))
    found = [10.0**i for i in range(first, last + 1, every)]
    if low == 0:
        return [0.0, *found]
    return found if len(found) > 1 else sorted({low, *found, high})


def across(scale: Scale, top: float, bottom: float, most: int = 5) -> list[Markup]:
    """Marks of a horizontal axis: fine lines from top to bottom, and the numbers below."""
    parts = []
    for value, said in scale.marks(most):
        x = scale.at(value)
        parts += [line(x, top, x, bottom, "grid"), label(x, bottom + LETTER + 3, said, kind="mark", anchor="middle")]
    return parts


def upwards(scale: Scale, left: float, right: float, most: int = 5) -> list[Markup]:
    """Marks of a vertical axis: fine lines from left to right, and the numbers beside."""
    parts = []
    for value, said in scale.marks(most):
        y = scale.at(value)
        parts += [line(left, y, right, y, "grid"), label(left - 6, y + LETTER / 3, said, kind="mark", anchor="end")]
    return parts


def share_said(value: float) -> str:
    """A share on an axis."""
    return f"{100 * value:.4g}%"


def points_said(value: float) -> str:
    """A difference of shares on an axis, in points."""
    return "0" if abs(value) < 1e-9 else f"{100 * value:+.4g}"


def _step(span: float, most: int) -> float:
    """The round number that parts a span into at most so many pieces."""
    raw = span / most
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
