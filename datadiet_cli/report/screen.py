"""Lines for people, as plain text or as the terminal has room and colours for them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

Style = Literal["", "step", "note", "good", "bad"]
Kind = Literal["bars", "candidates", "table", "words"]

_CODES: dict[Style, str] = {"step": "1", "note": "2", "good": "32", "bad": "1;31"}
_CUT: tuple[Kind, ...] = ("bars", "candidates", "table")
"""What is left out where a screen has no room for it, the least important first."""
_ROWS = 6
"""Rows that one line may fill on a terminal."""
NARROWEST = 20
"""Columns that a folded text has at least, however narrow the terminal is."""


@dataclass(frozen=True)
class Line:
    """A line of a summary.

    Attributes:
        first: what stands before the text, blanks included; further rows are indented by as much.
        text: what is said, without control characters.
        style: how it looks; of a step, that is how its name looks.
        kind: what it belongs to; neighbours of a kind, except words, are left out together.
        whole: whether it must not be cut.
    """

    first: str
    text: str
    style: Style = ""
    kind: Kind = "words"
    whole: bool = False


@dataclass(frozen=True)
class Screen:
    """What a stream can show.

    Attributes:
        width: columns; None where lines are not folded.
        height: rows; None where nothing is left out.
        colour: whether colours, bold and dim letters are to be used.
    """

    width: int | None = None
    height: int | None = None
    colour: bool = False

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str]) -> "Screen":
        """Find out what a stream can show.

        Args:
            stream: such as stderr. One that is no terminal has no size.
            environment: NO_COLOR and TERM=dumb forbid colours, FORCE_COLOR asks for them where there is no terminal;
                COLUMNS and LINES overrule what the terminal says.
        """
        here = stream.isatty()
        forced = environment.get("FORCE_COLOR", "") not in ("", "0")
        forbidden = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        width, height = _size(stream, environment) if here else (None, None)
        return cls(width, height, (here or forced) and not forbidden)

    def show(self, lines: Iterable[Line]) -> str:
        """Write lines; only what does not fit a screen is left out, and then it is said."""
        rows = self._fitting([(line, self._rows(line)) for line in lines])
        return "\n".join(self._painted(line, row, i == 0) for line, several in rows for i, row in enumerate(several))

    def _rows(self, line: Line) -> list[str]:
        """The rows that a line fills, without colours; what comes first is not among them."""
        if self.width is None:
            return [line.text]
        rows = fold(line.text, max(self.width - len(line.first), NARROWEST))
        if len(rows) > _ROWS and not line.whole and self.height is not None:
            rows = [*rows[: _ROWS - 1], "... and more, in the report"]
        return rows

    def _fitting(self, rows: list[tuple[Line, list[str]]]) -> list[tuple[Line, list[str]]]:
        if self.height is None:
            return rows
        for kind in _CUT:
            at = len(rows)
            while (end := _last(rows, kind, at)) is not None and sum(len(each) for _, each in rows) >= self.height:
                begin = end
                while begin > 0 and rows[begin - 1][0].kind == kind:
                    begin -= 1
                at = begin
                if sum(len(each) for _, each in rows[begin : end + 1]) <= 1:
                    # The row that says so would be as long.
                    continue
                cut = end + 1 - begin
                said = f"{cut:,} line{'' if cut == 1 else 's'} more, in the report"
                rows[begin : end + 1] = [(Line(rows[begin][0].first, said, "note"), [said])]
        return rows

    def _painted(self, line: Line, row: str, begins: bool) -> str:
        first = line.first if begins else " " * len(line.first)
        code = _CODES.get(line.style)
        if not self.colour or code is None:
            return f"{first}{row}".rstrip() if self.width else f"{first}{row}"
        if line.style == "step":
            name = first.strip()
            return first.replace(name, f"\x1b[{code}m{name}\x1b[0m", 1) + row if name else first + row
        return f"{first}\x1b[{code}m{row}\x1b[0m"


def fold(text: str, width: int) -> list[str]:
    """Break a text at blanks, so that its rows fill no more than so many columns, of which there is always one.

    Blanks between words that stay in a row are kept, and words are never broken: a path is to be copied.
    """
    rows = []
    width = max(width, 1)
    while len(text) > 4 * width or cells(text) > width:
        at = _break(text, width)
        if at is None:
            text = text.rstrip(" ")
            break
        rows.append(text[:at].rstrip(" "))
        text = text[at:].lstrip(" ")
    return [*rows, text]


def cells(text: str) -> int:
    """Columns of a terminal that a text fills; Chinese letters fill two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _break(text: str, width: int) -> int | None:
    """Where the first row ends: at the last blank that it has room for, or else at the first blank there is."""
    begin = len(text) - len(text.lstrip(" "))
    ascii_only = text[: width + 1].isascii()
    room = range(min(len(text), width), -1, -1)
    end = width if ascii_only else next((i for i in room if cells(text[:i]) <= width), 0)
    at = text.rfind(" ", begin, end + 1)
    if text[at + 1 : at + 2] == "%" and at > 0:
        # A number and its unit stay together.
        at = text.rfind(" ", begin, at)
    at = text.find(" ", begin) if at < 0 else at
    return at if at > 0 and text[at:].strip(" ") else None


def _last(rows: Sequence[tuple[Line, list[str]]], kind: Kind, before: int) -> int | None:
    return next((i for i in range(min(before, len(rows)) - 1, -1, -1) if rows[i][0].kind == kind), None)


def _size(stream: TextIO, environment: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows; 80 and 24 of a terminal that does not know."""
    known = os.get_terminal_size(stream.fileno())
    width, height = (environment.get(name, "") for name in ("COLUMNS", "LINES"))
    return (
        int(width) if width.isdecimal() and int(width) else known.columns or 80,
        int(height) if height.isdecimal() and int(height) else known.lines or 24,
    )
