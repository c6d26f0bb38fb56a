"""What the samples of a gallery look like, read together."""

from collections.abc import Iterable

from datadiet_cli.report.html.cards.base import Tile
from datadiet_cli.report.html.samples.content import Content
from datadiet_cli.report.html.samples.records import Record
from datadiet_cli.report.html.samples.texts import SHOWN, Text, excerpt

SMALL = 64
"""Pixels of the longest side of a small picture."""
_LINE = 90
"""Characters of a small text."""
MADE = "made in this run"
ELSEWHERE = "in another dataset"


class Looks:
    """Reads samples of one kind together, and gives tiles of them.

    Args:
        content: reads samples.
        names: of samples to be shown.
        small: of those to be shown small.
        columns: of a table that must be among the cells.
    """

    def __init__(self, content: Content, names: Iterable[str], small: Iterable[str], columns: Iterable[str]) -> None:
        large, little = list(dict.fromkeys(names)), list(dict.fromkeys(small))
        self.kind = content.kind
        self.label = content.label
        self._known = content.known([*large, *little])
        self._groups = content.groups([*large, *little])
        self._pictures = content.pictures(large)
        self._small = content.pictures(little, SMALL)
        self._sounds = content.sounds(large)
        self._texts = content.texts([*large, *little]) if self.kind == "text" else {}
        self._records = content.records([*large, *little], set(columns)) if self.kind == "row" else {}
        self._sizes = content.sizes(large)

    def text(self, name: str) -> Text | None:
        """The text of a sample; None if it is no text or not of INPUT."""
        return self._texts.get(name)

    def record(self, name: str) -> Record | None:
        """The cells of a sample; None if it is no record or not of INPUT."""
        return self._records.get(name)

    def size(self, name: str) -> int | None:
        """Bytes of a sample; None if it is not of INPUT."""
        return self._sizes.get(name)

    def tile(self, name: str, role: str = "", tone: str = "", *, foreign: bool = False, look: bool = True) -> Tile:
        """A sample as it is shown.

        Args:
            name: its id.
            role: what it is to others.
            tone: the colour of that.
            foreign: whether it is one of another dataset, which may have one of the same name.
            look: whether to show its content.
        """
        if self.kind is None or (not foreign and not look):
            return Tile(name, role, tone)
        if foreign or name not in self._known:
            return Tile(name, role, tone, words=ELSEWHERE if foreign else MADE)
        group = " · ".join(part for part in self._groups[name] if part is not None)
        text = self._texts.get(name)
        return Tile(
            name,
            role,
            tone,
            group,
            picture=self._pictures.get(name),
            sound=self._sounds.get(name),
            text=None if text is None or text.text is None else excerpt(text.text, SHOWN),
            words="" if text is None else text.words,
        )

    def small(self, name: str, role: str) -> Tile:
        """A sample beside another."""
        text = self._texts.get(name)
        said = (
            text.text
            if text is not None
            else max((cell or "" for cell in (self.record(name) or {}).values()), key=len, default="")
        )
        return Tile(name, role, picture=self._small.get(name), text=excerpt(said, _LINE) if said else None)
