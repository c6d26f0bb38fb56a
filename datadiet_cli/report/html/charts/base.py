"""What every chart is drawn with: elements, texts that fit, and the frame with the words for those who do not see it.

All charts are `WIDTH` units wide and scale with their column. Places are reserved for letters of `LETTER` units, which
are 11 pixels high where the chart is 340 pixels wide; in wider columns the style sheet takes smaller letters.
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from datadiet_cli.report.html.base import LONGEST, plain

WIDTH = 480
LETTER = 16
GAP = 8
_AVERAGE, _BROAD, _NARROW = 0.63, 0.86, 0.38
"""Widths of letters for a height of 1, as wide as in any usual font; those of East Asian scripts are squares."""
_THIN = frozenset("iljtfrI.,:;|!'()[]/- ")
MOST_WORDS = 40
"""Numbers that a description has in words; of more it is said how many there are."""


def element(tag: str, *inside: Markup, **attributes: str | float | None) -> Markup:
    """An element; attributes that are None are left out, ``class_`` and ``stroke_width`` lose or change their `_`."""
    told = Markup("").join(
        Markup(' {}="{}"').format(
            name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else _short(value)
        )
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), told, Markup("").join(inside))  # noqa: S704 - our own tags


def label(
    x: float, y: float, said: object, *, kind: str | None = None, anchor: str | None = None, whole: str | None = None
) -> Markup:
    """A text on its base line.

    Args:
        x: of its start, or of its end or middle with an anchor.
        y: of the base line.
        said: what is shown, already as long as it may be.
        kind: CSS classes.
        anchor: ``middle`` or ``end``.
        whole: what is shown to those who point at it, where that is more.
    """
    more = () if whole is None else (element("title", escape(plain(whole))),)
    return element("text", *more, escape(plain(said)), x=x, y=y, class_=kind, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def box(x: float, y: float, width: float, height: float, kind: str, said: str | None = None) -> Markup:
    """A rectangle, with words for those who point at it."""
    inside = () if said is None else (element("title", escape(plain(said, 2 * LONGEST))),)
    return element("rect", *inside, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=kind)


def chart(title: str, words: Iterable[str], height: float, parts: Iterable[Markup]) -> Markup:
    """The whole: an image with a name and the numbers in words.

    Args:
        title: its name.
        words: the numbers; the first `MOST_WORDS` are told, and how many more there are.
        height: in units.
        parts: what is drawn.
    """
    told = list(words)
    if len(told) > MOST_WORDS:
        told = [*told[:MOST_WORDS], f"and {len(told) - MOST_WORDS:,} more"]
    said = "; ".join(plain(one, 2 * LONGEST) for one in told)
    svg = element(
        "svg",
        element("title", escape(plain(title))),
        element("desc", escape(said)),
        *parts,
        viewBox=f"0 0 {WIDTH} {_short(height)}",
        width="100%",
        role="img",
    )
    return element("div", svg, class_="chart")


def width_of(text: str) -> float:
    """About how wide a text is, in units."""
    return LETTER * sum(map(_letter, text))


def fitted(text: object, width: float) -> tuple[str, str | None]:
    """A name that fits: cut in the middle if it must be, as names often differ at their ends.

    Returns:
        What is shown, and the whole, or None where that is the same.
    """
    whole = str(text)
    # Of a very long name the middle need not be looked at.
    head, tail = plain(whole[:LONGEST], 6 * LONGEST), plain(whole[-LONGEST:], 6 * LONGEST)
    if len(whole) <= LONGEST and width_of(head) <= width:
        return head, None
    room = (width - LETTER) / 2
    return f"{_fill(head, room)}…{_fill(tail[::-1], room)[::-1]}", whole


def fits(text: str, width: float) -> bool:
    """Whether a text is shown whole."""
    return fitted(text, width)[1] is None


def finite(value: object) -> float | None:
    """A number that can be drawn, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Integers of JSON may be larger than any float.
    return float(value) if abs(value) < 1e300 else None


def known(values: object) -> list[float | None]:
    """Numbers of a list, None for those that cannot be drawn; empty for what is no list."""
    return [finite(value) for value in values] if isinstance(values, Sequence) and not isinstance(values, str) else []


def inner(values: object, *keys: str) -> Any:
    """What lies under these keys, or None: reports of other versions may lack them."""
    for key in keys:
        if not isinstance(values, Mapping):
            return None
        values = values.get(key)
    return values


def count(value: float, digits: int = 1) -> str:
    """A number for people: all digits below a million, then in millions."""
    for limit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{value / limit:,.{digits}f} {name}"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.{digits}f}" if abs(value) >= 10 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share."""
    return f"{100 * value:.1f}%"


def margin_said(value: float, *, of_classes: bool) -> str:
    """A loss that is allowed: of shares in points."""
    if not of_classes:
        return f"{value:g} of R2"
    return f"{100 * value:g} point" + ("" if round(100 * value, 9) == 1 else "s")


def points(value: float) -> str:
    """A difference of shares."""
    return f"{100 * value:+.1f}"


def _short(value: float) -> str:
    """A number as SVG has it."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no place in a chart")
    return f"{value:.2f}".rstrip("0").rstrip(".") if value != int(value) else str(int(value))


def _letter(letter: str) -> float:
    if letter in _THIN:
        return _NARROW
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return _BROAD if letter.isupper() or letter in "mwMW%@…→✓±+" else _AVERAGE


def _fill(text: str, room: float) -> str:
    """As much of the start of a text as there is room for, at least one letter."""
    used = 0.0
    for i, letter in enumerate(text):
        used += LETTER * _letter(letter)
        if used > room:
            return text[: max(i, 1)]
    return text
