"""Charts: numbers land where they should, and any text shows as what it is."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.report.html.charts.base import LETTER, WIDTH, chart, count, finite, fitted, width_of
from datadiet_cli.report.html.charts.heat import Cell, heat
from datadiet_cli.report.html.charts.histogram import Histogram, histogram
from datadiet_cli.report.html.charts.lines import MOST_POINTS, Axes, Curve, Spot, curves
from datadiet_cli.report.html.charts.rows import Border, Dot, Pair, bars, dots
from datadiet_cli.report.html.charts.scales import Scale, share_said, spread
from datadiet_cli.report.terminal import printable

EVIL = [
    '<img src=x onerror="alert(1)">',
    "]]>&amp;'\"",
    "\x1b[31mred\r\n\t\x07",
    "\udcff\udc80",
    "[/b]|`",
    "x" * 10_000,
    "",
]
SHARES = Scale(0.0, 1.0, 0.0, 1.0, said=share_said)


def parsed(drawn):
    """The SVG of a chart, which must be well-formed and tell its numbers in words."""
    root = ElementTree.fromstring(str(drawn))
    svg = root.find("svg")
    assert svg is not None
    assert svg.get("role") == "img"
    assert svg[0].tag == "title"
    assert svg[0].text
    assert svg[1].tag == "desc"
    assert svg[1].text
    width, height = map(float, svg.get("viewBox").split()[2:])
    assert width == WIDTH
    assert 0 < height < 1e5
    for element in svg.iter():
        assert element.tag in {"svg", "title", "desc", "g", "rect", "line", "text", "path", "circle"}
        assert not {"style", "href", "onload", "onerror"} & set(element.attrib)
    return svg


def of_kind(svg, tag, kind):
    return [one for one in svg.iter(tag) if kind in (one.get("class") or "").split()]


def number(element, name):
    return float(element.get(name))


def places(path):
    return [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))]


def every(name):
    """A chart of each sort with this name in every place for a name."""
    scale = Scale(0.0, 1.0, 0.0, 1.0)
    return [
        bars(name or "t", [Pair(name, 3, 2, name), Pair("b", 0, 1, "0")]),
        dots(name or "t", [Dot(name, 0.5, 0.2, 0.9, name[:20], "random", name)], (0, 1), SHARES, [Border(0.3, name)]),
        curves(
            name or "t",
            [Curve(name, [0, 1], [0, 1], 0, name), Curve("b", [0, 1], [1, 0], 1, "b")],
            Axes(scale, scale, name, name, diagonal=True, level=(0.5, name), upright=(0.5, name)),
            [Spot(0.5, 0.5, 0.1, 0.9, "bad", name)],
        ),
        histogram(name or "t", Histogram(name, [0, 1, 2], [5, 1], 1.5, "above")),
        heat(name or "t", [name], ["30%"], [[Cell(name[:20], 0.5)]]),
    ]


@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_hostile_texts_show_as_what_they_are(name):
    for drawn in every(name):
        svg = parsed(drawn)
        assert "<img" not in str(drawn)
        assert max(len(text.text or "") for text in svg.iter("text")) < 200
        said = "".join(svg.itertext())
        assert all(letter.isprintable() for letter in said)


@given(st.text(max_size=200), st.floats(20, 480))
@settings(max_examples=80, deadline=None)
def test_names_are_cut_in_the_middle_and_fit(name, room):
    shown, whole = fitted(name, room)
    assert width_of(shown) <= max(room, 3 * LETTER)
    if whole is None:
        assert shown == printable(name)
    else:
        assert whole == name
        assert "…" in shown


def test_a_cut_name_is_whole_for_those_who_point_at_it():
    name = "encoder.layers.11.attention.output.dense.first of many parts and more words"
    svg = parsed(bars("t", [Pair(name, 4, 2, "4 → 2")]))
    text = next(one for one in svg.iter("text") if one.find("title") is not None)
    assert text.find("title").text == name
    head, tail = text.find("title").tail.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)


def test_bars_are_as_long_as_their_numbers():
    svg = parsed(bars("t", [Pair("a", 100, 40, "-"), Pair("b", 50, 75, "-"), Pair("c", 0, 0, "-")]))
    # The first of each is in the legend.
    before, after = (of_kind(svg, "rect", kind)[1:] for kind in ("before", "after"))
    unit = number(before[0], "width") / 100
    assert [round(number(one, "width") / unit) for one in before] == [100, 50, 0]
    assert [round(number(one, "width") / unit) for one in after] == [40, 75, 0]
    assert len({one.get("x") for one in before + after}) == 1
    assert all(number(one, "x") + number(one, "width") <= WIDTH for one in before + after)


def test_a_bar_of_one_in_a_million_is_seen():
    svg = parsed(bars("t", [Pair("a", 1e6, 1e6, "-"), Pair("b", 1, 1, "-")]))
    assert number(of_kind(svg, "rect", "after")[-1], "width") >= 2


def test_dots_whiskers_and_borders_are_on_one_axis():
    rows = [Dot("a", 0.5, 0.25, 1.0, "-", "after", "one"), Dot("b", 0.75, None, None, "-", "before", "two")]
    svg = parsed(dots("t", rows, (0.0, 1.0), SHARES, [Border(0.25, "less", "one")]))
    marks = {text.text: number(text, "x") for text in of_kind(svg, "text", "mark")}
    zero, one = marks["0%"], marks["100%"]

    def x(share):
        return pytest.approx(zero + share * (one - zero), abs=0.1)

    circles = list(svg.iter("circle"))
    assert [number(circle, "cx") for circle in circles] == [x(0.5), x(0.75)]
    bar, left, right = of_kind(svg, "line", "whisker")
    assert (number(bar, "x1"), number(bar, "x2")) == (x(0.25), x(1.0))
    assert (number(left, "x1"), number(right, "x1")) == (x(0.25), x(1.0))
    # The first is its sample in the legend.
    border = next(line for line in of_kind(svg, "line", "border") if line.get("x1") == line.get("x2"))
    assert number(border, "x1") == x(0.25)
    # Through its own part alone.
    assert number(border, "y1") < number(circles[0], "cy") < number(border, "y2") < number(circles[1], "cy")


def test_curves_go_through_their_points_and_leave_gaps():
    x, y = Scale(0.0, 10.0, 0, 0), Scale(0.0, 1.0, 0, 0)
    svg = parsed(
        curves("t", [Curve("a", [0, 2, 4, 6, 8, 10], [0, 1, None, 0.5, None, 0.25], 0, "-")], Axes(x, y, "x", "y"))
    )
    marks = of_kind(svg, "text", "mark")
    across = {text.text: number(text, "x") for text in marks if text.get("text-anchor") == "middle"}
    lines = [line for line in of_kind(svg, "line", "grid") if line.get("y1") == line.get("y2")]
    bottom, top = max(number(one, "y1") for one in lines), min(number(one, "y1") for one in lines)
    path = of_kind(svg, "path", "line-0")[0]
    # A point between two gaps stands alone, twice, so that it is seen.
    assert path.get("d").count("M") == 3
    drawn = dict.fromkeys(places(path))
    wanted = [(0, 0), (2, 1), (6, 0.5), (10, 0.25)]
    step = (across["10"] - across["0"]) / 10
    for (a, b), (px, py) in zip(wanted, drawn, strict=True):
        assert px == pytest.approx(across["0"] + a * step, abs=0.11)
        assert py == pytest.approx(bottom + b * (top - bottom), abs=0.11)


def test_long_curves_are_thinned_and_keep_their_ends():
    n = 100_000
    scale = Scale(0.0, float(n), 0, 0)
    svg = parsed(curves("t", [Curve("a", list(range(n)), list(range(n)), 0, "-")], Axes(scale, scale, "x", "y")))
    drawn = places(of_kind(svg, "path", "line-0")[0])
    assert len(drawn) == MOST_POINTS
    assert drawn[0][0] < drawn[-1][0]


@pytest.mark.parametrize(
    ("side", "threshold", "kinds"),
    [
        ("above", 2.0, ["bar", "bar", "bar found", "bar found"]),
        ("below", 2.0, ["bar found", "bar found", "bar", "bar"]),
        # Nobody knows how many of a bin are on which side.
        ("above", 2.5, ["bar", "bar", "bar mixed", "bar found"]),
        (None, 2.0, ["bar"] * 4),
        ("above", 900.0, ["bar"] * 4),
        ("above", None, ["bar"] * 4),
    ],
)
def test_the_side_that_was_found_is_shaded(side, threshold, kinds):
    svg = parsed(histogram("t", Histogram("u", [0, 1, 2, 3, 4], [1, 2, 3, 4], threshold, side)))
    drawn = of_kind(svg, "rect", "bar")
    assert [one.get("class") for one in drawn] == kinds
    unit = number(drawn[0], "height")
    assert [round(number(one, "height") / unit, 2) for one in drawn] == [1, 2, 3, 4]
    lines, shade = of_kind(svg, "line", "strong"), of_kind(svg, "rect", "shade")
    assert len(lines) == (threshold is not None)
    assert len(shade) == (threshold is not None and side is not None)
    if threshold == 2.0:
        assert number(lines[0], "x1") == pytest.approx(number(drawn[2], "x"), abs=0.1)
    if threshold == 900.0:
        assert "beyond this axis" in "".join(svg.itertext())


def test_whole_numbers_count_with_the_threshold_that_they_are():
    # Distances of 0 to 3 where up to 1 is found: each has a bin of its own around it.
    svg = parsed(histogram("t", Histogram("u", [-0.5, 0.5, 1.5, 2.5, 3.5], [4, 4, 4, 4], 1.0, "below", inclusive=True)))
    assert [one.get("class") for one in of_kind(svg, "rect", "bar")] == ["bar found", "bar found", "bar", "bar"]


@pytest.mark.parametrize(
    ("side", "inclusive", "found", "words"),
    [
        ("below", True, [0, 1, 2], "found up to it"),
        ("below", False, [0, 1], "found below it"),
        ("above", True, [2, 3], "found from it on"),
        ("above", False, [3], "found above it"),
    ],
)
def test_the_threshold_itself_is_found_or_not(side, inclusive, found, words):
    own = Histogram("u", [-0.5, 0.5, 1.5, 2.5, 3.5], [4, 4, 4, 4], 2.0, side, inclusive)
    svg = parsed(histogram("t", own))
    drawn = [one.get("class") for one in of_kind(svg, "rect", "bar")]
    assert [place for place, kind in enumerate(drawn) if kind == "bar found"] == found
    assert words in "".join(svg.itertext())
    assert words in svg.findtext("desc")


@pytest.mark.parametrize(
    ("side", "inclusive", "limit", "kinds"),
    [
        # The last bin takes in its upper edge, and the first one whatever equals its lower edge.
        ("above", True, 2.0, ["bar", "bar mixed"]),
        ("above", False, 2.0, ["bar", "bar"]),
        ("below", False, 2.0, ["bar found", "bar mixed"]),
        ("below", True, 0.0, ["bar mixed", "bar"]),
        ("below", False, 0.0, ["bar", "bar"]),
    ],
)
def test_a_bar_at_the_end_may_hold_what_equals_the_threshold(side, inclusive, limit, kinds):
    svg = parsed(histogram("t", Histogram("u", [0, 1, 2], [4, 4], limit, side, inclusive)))
    assert [one.get("class") for one in of_kind(svg, "rect", "bar")] == kinds


def test_small_bars_beside_large_ones_are_seen():
    svg = parsed(histogram("t", Histogram("u", [0, 1, 2, 3], [1_000_000, 1, 0], 1.0, "above")))
    heights = [number(one, "height") for one in of_kind(svg, "rect", "bar")]
    ratio = math.log10(1_000_001) / math.log10(2)
    assert heights[0] / heights[1] == pytest.approx(ratio, rel=0.01)
    assert heights[2] == 0
    assert "by powers of ten" in "".join(svg.itertext())


@pytest.mark.parametrize("values", [[0.0], [5.0] * 3, [-1e300, 1e299], [1e-300], [1e15, 1e15 + 1], [1e-320], []])
def test_odd_numbers_have_an_axis(values):
    low, high = spread(values)
    assert low < high
    scale = Scale(low, high, 0.0, 100.0)
    assert all(0 <= scale.at(value) <= 100 for value in values)
    assert 1 <= len(scale.marks()) <= 12


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
@settings(max_examples=150, deadline=None)
def test_marks_are_round_evenly_spaced_and_within(low, span, most):
    # Closer together numbers cannot be told apart.
    span = max(span, 1e-6 * abs(low))
    high = low + span
    values = [value for value, _ in Scale(low, high, 0.0, 1.0).marks(most)]
    slack = 1e-6 * span + 1e-9 * abs(low)
    assert all(low - slack <= value <= high + slack for value in values)
    assert len(values) <= most + 1
    steps = {round((b - a) / span, 6) for a, b in pairwise(values)}
    assert len(steps) <= 1 or max(steps) - min(steps) < 1e-5


def test_a_heat_map_says_its_numbers_and_is_darker_where_more_is_lost():
    svg = parsed(
        heat("t", ["a", "b"], ["30%", "70%"], [[Cell("90%", 0.0), Cell("40%", 1.0)], [None, Cell("65%", 0.5)]])
    )
    cells = {group.findtext("text"): number(group.find("rect"), "fill-opacity") for group in svg.iter("g")}
    assert cells["90%"] < cells["65%"] < cells["40%"] < 1
    assert len(cells) == 3
    assert "b: 70% 65%" in svg.findtext("desc")


def test_words_are_counted_where_there_are_too_many():
    words = parsed(chart("t", map(str, range(100)), 10, [])).findtext("desc")
    assert words.endswith("38; 39; and 60 more")


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), -float("inf"), 10**400, [], {}])
def test_what_is_no_number_is_a_gap(value):
    assert finite(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (999_999, "999,999"), (12_501_632, "12.5 M"), (4.1e9, "4.1 G"), (0.123456, "0.123"), (20.61, "20.6")],
)
def test_numbers_are_short(value, said):
    assert count(value) == said
