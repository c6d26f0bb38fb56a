"""Galleries: the samples that a step judged, for people to look at."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from datadiet_cli.report.html.base import Gallery
from datadiet_cli.report.html.cards.base import drawn
from datadiet_cli.report.html.cards.choosing import MOST, Group, groups_of
from datadiet_cli.report.html.cards.making import cards_of
from datadiet_cli.report.html.cards.words import number as written
from datadiet_cli.report.html.cards.words import plural
from datadiet_cli.report.html.samples.content import Content

if TYPE_CHECKING:
    import polars as pl

GALLERIES = 12
"""Galleries of a step."""
ROOM = 2_800_000
"""Bytes that the galleries of all steps may take."""


def galleries_of(document: Mapping[str, Any], frame: "pl.DataFrame", content: Content, number: int) -> list[Gallery]:
    """What there is to see of a step: at most `GALLERIES` galleries of at most 24 cards.

    Args:
        document: the report.
        frame: all its verdicts, as `verdict_frame` gives them.
        content: reads the samples.
        number: of the step.

    Returns:
        what matters most first. How much is shown of how much is in the leads.
    """
    import polars as pl

    step = document["steps"][number]
    groups = groups_of(step, frame.filter(pl.col("step_number") == number), number)
    # What was found goes before what was not.
    first = sorted(groups, key=lambda group: not group.found)[:GALLERIES]
    shown, hidden = ([group for group in groups if (group in first) is chosen] for chosen in (True, False))
    room = ROOM // max(1, sum(bool(each["verdicts"]) for each in document["steps"]))
    galleries = []
    for place, group in enumerate(shown):
        cards = drawn(cards_of(group, content, elsewhere="against" in step["metrics"]))
        fitting = _fitting(cards, room // (len(shown) - place))
        room -= sum(map(len, fitting))
        lead = _lead(group, len(fitting))
        if hidden and group is shown[-1]:
            lead += f" Not shown at all: {', '.join(each.title.lower() for each in hidden)}."
        galleries.append(Gallery(group.name, group.title, lead, _body(fitting, document["input"]["kind"])))
    return galleries


def _fitting(cards: Sequence[Markup], room: int) -> list[Markup]:
    """The first cards that have room together."""
    fitting: list[Markup] = []
    size = 0
    for card in cards:
        size += len(card.encode("utf-8", "backslashreplace"))
        if size > room and fitting:
            break
        fitting.append(card)
    return fitting


def _body(cards: Sequence[Markup], kind: str) -> Markup:
    return Markup('<ul class="cards of-{}">\n{}</ul>').format(kind, Markup().join(cards))


def _lead(group: Group, shown: int) -> str:
    """What was done to the samples, and which are shown in which order."""
    limit = "the threshold" if group.limit is None else f"the threshold of {written(group.limit)}"
    if not group.found:
        nearest = "The one" if shown == 1 else f"The {shown}"
        return f"{nearest} that came nearest to {limit} and {'was' if shown == 1 else 'were'} not found."
    return f"{group.counted} {_which(group, shown, limit)}".strip()


def _which(group: Group, shown: int, limit: str) -> str:
    every = shown == group.total
    if group.order == "closest":
        return (
            ("" if shown == 1 else "The closest calls stand first.")
            if every
            else f"The {shown} closest calls are shown."
        )
    if group.order == "spread":
        return "" if every else f"{shown} of them are shown, spread evenly over all."
    if every:
        sorted_so = group.order == "both" and shown > 1
        return f"The clearest stand first, those closest to {limit} last." if sorted_so else ""
    if group.order == "both" and shown == MOST:
        return f"The {MOST // 2} clearest are shown, and the {MOST - MOST // 2} closest to {limit}."
    return f"{plural(shown, 'card')} {'is' if shown == 1 else 'are'} shown."
