"""Galleries: the samples that a step judged, for people to look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from datadiet_cli.report.html.base import Gallery
from datadiet_cli.report.html.cards.base import drawn
from datadiet_cli.report.html.cards.choosing import EACH, MOST, UNREADABLE, Group, groups_of
from datadiet_cli.report.html.cards.making import cards_of, samples_of
from datadiet_cli.report.html.cards.words import number as written
from datadiet_cli.report.html.samples.content import Content
from datadiet_cli.report.words import plural

if TYPE_CHECKING:
    import polars as pl

GALLERIES = 12
"""Galleries of a step."""
OPEN = 12
"""Cards of a gallery that are not folded away."""
ROOM = 2_800_000
"""Bytes that the galleries of all steps may take."""


@dataclass(frozen=True)
class _Choice:
    """What is shown of a step.

    Attributes:
        groups: all that there are.
        shown: those of galleries.
        told_before: broken samples that an earlier step named.
    """

    groups: Sequence[Group]
    shown: Sequence[Group]
    told_before: int


def galleries_of(
    document: Mapping[str, Any], frame: "pl.DataFrame", content: Content, numbers: Sequence[int]
) -> Iterator[list[Gallery]]:
    """What there is to see of each step: at most `GALLERIES` galleries of at most 24 cards.

    Args:
        document: the report.
        frame: all its verdicts, as `verdict_frame` gives them.
        content: reads the samples.
        numbers: of the steps.

    Yields:
        for each of the steps what matters most first. How much is shown of how much is in the leads.
    """
    choices = [_choice(document, frame, number) for number in numbers]
    wanted = [samples_of(group) for choice in choices for group in choice.shown]
    content.expect(
        [name for shown, near, _ in wanted for name in (*shown, *near)],
        [name for *_, columns in wanted for name in columns],
    )
    for choice in choices:
        yield _galleries(document, choice, content)


def _choice(document: Mapping[str, Any], frame: "pl.DataFrame", number: int) -> _Choice:
    own, told_before = _first_told(frame, number)
    groups = groups_of(document["steps"][number], own, number)
    # What was found goes before what was not.
    first = sorted(groups, key=lambda group: not group.found)[:GALLERIES]
    return _Choice(groups, [group for group in groups if group in first], told_before)


def _galleries(document: Mapping[str, Any], choice: _Choice, content: Content) -> list[Gallery]:
    groups, shown = choice.groups, choice.shown
    hidden = [group for group in groups if group not in shown]
    room = ROOM // max(1, sum(bool(each["verdicts"]) for each in document["steps"]))
    galleries = []
    for place, group in enumerate(shown):
        cards = drawn(cards_of(group, content))
        fitting = _fitting(cards, room // (len(shown) - place))
        room -= sum(map(_size, fitting))
        lead = _lead(group, len(fitting))
        if choice.told_before and group.reason == UNREADABLE:
            verb = "was" if choice.told_before == 1 else "were"
            lead += f" {choice.told_before:,} more {verb} named at an earlier step."
        if hidden and group is shown[-1]:
            lead += f" Not shown at all: {', '.join(each.title.lower() for each in hidden)}."
        body = _body(fitting, document["input"]["kind"])
        aside = not group.found and not any(each.found and each.reason == group.reason for each in groups)
        galleries.append(Gallery(group.name, group.title, lead, body, aside))
    return galleries


def _first_told(frame: "pl.DataFrame", number: int) -> tuple["pl.DataFrame", int]:
    """The verdicts of a step without those on broken samples that an earlier step named, and how many those are."""
    import polars as pl

    own = frame.filter(pl.col("step_number") == number)
    broken = frame.filter((pl.col("reason") == UNREADABLE) & (pl.col("step_number") < number))["id"].unique()
    again = (pl.col("reason") == UNREADABLE) & pl.col("id").is_in(broken.implode())
    left = own.filter(~again)
    return left, len(own) - len(left)


def _fitting(cards: Sequence[Markup], room: int) -> list[Markup]:
    """The first cards that have room together."""
    fitting: list[Markup] = []
    size = 0
    for card in cards:
        size += _size(card)
        if size > room and fitting:
            break
        fitting.append(card)
    return fitting


def _size(card: Markup) -> int:
    """Bytes of a card on the page."""
    return len(card.encode("utf-8", "backslashreplace"))


def _body(cards: Sequence[Markup], kind: str) -> Markup:
    """The cards, the later ones folded away."""
    rows = Markup('<ul class="cards of-{}">\n{}</ul>')
    first, rest = cards[:OPEN], cards[OPEN:]
    body = rows.format(kind, Markup().join(first))
    if not rest:
        return body
    more = Markup('{}\n<details class="more"><summary>{:,} more</summary>\n{}</details>')
    return more.format(body, len(rest), rows.format(kind, Markup().join(rest)))


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
    if group.order == "several":
        which = "All" if every else f"{shown} of them"
        return f"{which} are shown: the {EACH} closest calls of each kept sample first, then others."
    if group.order == "spread":
        return "" if every else f"{shown} of them are shown, spread evenly over all."
    if every:
        sorted_so = group.order == "both" and shown > 1
        return f"The clearest stand first, those closest to {limit} last." if sorted_so else ""
    if group.order == "both" and shown == MOST:
        return f"The {MOST // 2} clearest are shown, and the {MOST - MOST // 2} closest to {limit}."
    return f"{plural(shown, 'card')} {'is' if shown == 1 else 'are'} shown."
