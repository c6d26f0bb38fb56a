"""What a card is made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from datadiet_cli.report.html.environment import environment
from datadiet_cli.report.html.samples.pictures import Picture
from datadiet_cli.report.html.samples.sounds import Sound


@dataclass(frozen=True)
class Tile:
    """A sample on a card.

    Attributes:
        name: its id.
        role: what it is to the others, in a word or two.
        tone: the colour of its role: an action, or empty.
        group: its class and split, as far as they are known.
        picture: of it, if it is one.
        sound: of it, if it is one.
        text: HTML of what it says, if it is a text.
        words: what there is to say of its content, or why nothing can be shown.
    """

    name: str
    role: str = ""
    tone: str = ""
    group: str = ""
    picture: Picture | None = None
    sound: Sound | None = None
    text: Markup | None = None
    words: str = ""

    @property
    def below(self) -> str:
        """What stands below it."""
        measured = self.sound.words if self.sound and self.sound.spectrogram else self.words if self.text else ""
        return " · ".join(part for part in (self.group, measured) if part)


@dataclass(frozen=True)
class Change:
    """A label and another that is likelier, each with its probability in words, which may be empty."""

    given: str
    given_share: str
    suggested: str
    suggested_share: str


@dataclass(frozen=True)
class Cell:
    """HTML of a table cell, and whether it is odd."""

    body: Markup
    odd: bool = False


@dataclass(frozen=True)
class Table:
    """Cells of one or two samples.

    Attributes:
        head: names of the columns of the table, the first that of the names of the lines.
        lines: the name of each, and its cells.
        more: what is not shown, in words.
    """

    head: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]
    more: str = ""


@dataclass(frozen=True)
class Card:
    """What is said of a sample.

    Attributes:
        tiles: the sample, and what it was compared with or made of.
        change: of its label.
        table: its cells.
        facts: sentences.
        near_title: what the small ones are.
        near: small samples beside it.
    """

    tiles: tuple[Tile, ...]
    change: Change | None = None
    table: Table | None = None
    facts: tuple[str, ...] = ()
    near_title: str = ""
    near: tuple[Tile, ...] = ()


def drawn(cards: Iterable[Card]) -> list[Markup]:
    """HTML of each card."""
    module: Any = environment().get_template("cards.html").module
    return [module.draw(card) for card in cards]
