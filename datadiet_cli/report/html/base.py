"""What the parts of the page are made of, and how texts that anybody may have written get into it."""

from dataclasses import dataclass

from markupsafe import Markup

from datadiet_cli.report.terminal import printable

LONGEST = 160
"""Characters of a name or a cell that are shown."""


@dataclass(frozen=True)
class Graph:
    """A picture of numbers.

    Attributes:
        title: what it shows, in a few words.
        svg: an inline SVG that scales with its column, has a `<title>` and a `<desc>` with the numbers in words, and
            takes its colours from the page's custom properties, so that it follows light and dark.
        words: a sentence below it: what to see in it, or how it is cut; empty for none.
        aside: whether it is folded away, as nothing in it asks for a look.
    """

    title: str
    svg: Markup
    words: str = ""
    aside: bool = False


@dataclass(frozen=True)
class Gallery:
    """Samples to look at, of one sort.

    Attributes:
        name: short, for links to it: letters, digits and dashes.
        title: what they are.
        lead: a sentence that says what was done to them, in which order they stand, and how many of how many are shown.
        body: the cards.
        aside: whether it is folded away, as nothing of its sort was found.
    """

    name: str
    title: str
    lead: str
    body: Markup
    aside: bool = False


def plain(text: object, most: int = LONGEST) -> str:
    """A text as it may be shown: control characters and bytes that are no UTF-8 as escapes, and cut where it is long.

    Args:
        text: anything; it is not HTML-safe yet, as templates and `Markup.format` see to that.
        most: characters that are shown; of a longer text it is said how long it is.
    """
    # What is cut away need not be looked at.
    whole = str(text)
    told = printable(whole[: most + 1])
    return told if len(whole) <= most else f"{printable(whole[:most])}… ({len(whole):,} characters)"
