"""How scores are spread, and on which side of the threshold they were found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from datadiet_cli.report.html.charts.base import LETTER, WIDTH, box, chart, count, fitted, label, line, width_of
from datadiet_cli.report.html.charts.scales import Scale, across, spread, upwards

HEIGHT = 190.0
_RIGHT = 24.0
_SIDES = {
    ("below", True): "found up to it",
    ("below", False): "found below it",
    ("above", True): "found from it on",
    ("above", False): "found above it",
}
SKEWED = 20
"""Where the highest bar is so many times the lowest, bars are drawn by powers of ten, so that all are seen."""


@dataclass(frozen=True)
class Histogram:
    """Numbers in bins.

    Attributes:
        unit: what was counted by, in words.
        edges: k + 1 numbers, ascending.
        counts: k of 0 or more.
        threshold: or None for none.
        side: ``above`` or ``below`` the threshold lies what was found; None for neither.
        inclusive: whether the threshold itself was found.
    """

    unit: str
    edges: Sequence[float]
    counts: Sequence[float]
    threshold: float | None
    side: str | None
    inclusive: bool = False

    @property
    def lower(self) -> bool:
        """Whether scores that equal the threshold are in the bin below it, where it is an edge."""
        return (self.side == "below") == self.inclusive

    @property
    def found(self) -> str:
        """On which side of the threshold findings lie, in words."""
        return _SIDES[self.side or "", self.inclusive]


def skewed(counts: Sequence[float]) -> bool:
    """Whether bars are drawn by powers of ten."""
    some = [value for value in counts if value > 0]
    return bool(some) and max(some) >= SKEWED * min(some)


def histogram(title: str, one: Histogram) -> Markup:
    """Bars of the counts, the threshold as a dashed line, and the side that was found shaded."""
    low, high = _ends(one)
    # Samples are counted: there is no mark between one and two.
    y_ends = 0.0, max(*one.counts, 4.0)
    log = skewed(one.counts)
    top = 2.0 * LETTER + (24 if one.threshold is not None else 0)
    bottom = top + HEIGHT
    y = Scale(0.0, y_ends[1] if log else spread(y_ends)[1], bottom, top, log)
    left = max(width_of(said) for _, said in y.marks(4)) + 10
    x = Scale(low, high, left, WIDTH - _RIGHT)
    parts = [*upwards(y, left, WIDTH - _RIGHT, 4)]
    if one.threshold is not None and one.side is not None:
        limit = x.at(_limit(one) or 0.0)
        ends = (limit, x.end) if one.side == "above" else (x.start, limit)
        parts.append(box(ends[0], top, ends[1] - ends[0], HEIGHT, "shade"))
    for ends, value, kind in zip(pairwise(one.edges), one.counts, kinds(one), strict=True):
        parts.append(_bar(x, y, ends, value, kind))
    if one.threshold is not None:
        parts += _threshold(one, x, top, bottom)
    name = "count, by powers of ten" if log else "count"
    parts += [label(0, LETTER, name, kind="mark"), *_below(x, bottom)]
    shown, whole = fitted(one.unit, WIDTH)
    parts.append(label(WIDTH, bottom + 2 * LETTER + 9, shown, kind="mark", anchor="end", whole=whole))
    return chart(title, _words(one), bottom + 2 * LETTER + 16, parts)


def divided(one: Histogram) -> bool:
    """Whether some bin that is not empty may hold both what was found and what was not."""
    return any(kind == "mixed" and value for kind, value in zip(kinds(one), one.counts, strict=True))


def kinds(one: Histogram) -> list[str]:
    """Of each bin ``found``, ``mixed`` where the threshold is in it, so that nobody knows, or empty for not found."""
    cut, last = _limit(one), len(one.counts) - 1
    if cut is None or one.side is None:
        return [""] * (last + 1)
    told = []
    for place, (low, high) in enumerate(pairwise(one.edges)):
        # Beyond the outermost edges there is no other bin for what equals them.
        edge = (one.lower and place == 0 and low == cut) or (not one.lower and place == last and high == cut)
        middle = (low + high) / 2
        found = middle > cut if one.side == "above" else middle < cut
        told.append("mixed" if low < cut < high or edge else "found" if found else "")
    return told


def _limit(one: Histogram) -> float | None:
    """Where the threshold is drawn: of whole numbers that have a bin each, at the edge of the bin that it is in."""
    limit = one.threshold
    if (
        limit is None
        or one.side is None
        or any(end - start != 1 or start % 1 != 0.5 for start, end in pairwise(one.edges))
    ):
        return limit
    return math.floor(limit) + 0.5 if one.lower else math.ceil(limit) - 0.5


def _ends(one: Histogram) -> tuple[float, float]:
    """Of the axis: the bins, and the threshold where it is not far beyond them."""
    low, high = one.edges[0], one.edges[-1]
    span = high - low
    if one.threshold is not None and low - span <= one.threshold <= high + span:
        low, high = min(low, one.threshold), max(high, one.threshold)
    if high <= low:
        return spread([low])
    return low, high


def _bar(x: Scale, y: Scale, ends: tuple[float, float], value: float, kind: str) -> Markup:
    """A bar of a kind."""
    said = f"{count(ends[0])} to {count(ends[1])}: {count(value)}"
    left, right = x.at(ends[0]), x.at(ends[1])
    # A fine gap between bars, but no bar so thin that it is not seen.
    wide = max(right - left - 1, 0.75 * (right - left), 2.0)
    return box(left, y.at(value), wide, y.start - y.at(value), f"bar {kind}".strip(), said)


def _threshold(one: Histogram, x: Scale, top: float, bottom: float) -> list[Markup]:
    assert one.threshold is not None  # noqa: S101 - the caller has looked
    place, said = x.at(_limit(one) or 0.0), f"threshold {count(one.threshold)}"
    if not x.low <= one.threshold <= x.high:
        said += ", beyond this axis"
    if one.side is not None:
        said += f", {one.found}"
    half = width_of(said) / 2
    at = min(max(place, half), WIDTH - half)
    return [
        line(place, top - 10, place, bottom, "border strong"),
        label(at, top - 14, said, kind="strong", anchor="middle"),
    ]


def _below(x: Scale, bottom: float) -> list[Markup]:
    return [*across(x, bottom, bottom + 4), line(x.start, bottom, x.end, bottom, "axis")]


def _words(one: Histogram) -> list[str]:
    told = [f"{count(sum(one.counts))} scores: {one.unit}"]
    if one.threshold is not None:
        told.append(f"threshold {count(one.threshold)}" + (f", {one.found}" if one.side else ""))
    return told + [
        f"{count(a)} to {count(b)}: {count(value)}"
        for (a, b), value in zip(pairwise(one.edges), one.counts, strict=True)
        if value
    ]
