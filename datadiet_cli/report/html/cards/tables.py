"""The cells of records, as far as they matter."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from datadiet_cli.report.html.base import plain
from datadiet_cli.report.html.cards import words
from datadiet_cli.report.html.cards.base import Cell, Table
from datadiet_cli.report.html.cards.choosing import Entry
from datadiet_cli.report.html.samples.records import Record
from datadiet_cli.report.html.samples.texts import difference, excerpt
from datadiet_cli.report.words import plural

LINES = 8
"""Cells of a record that are shown, or more where more are odd."""
ODD = 12
"""Odd cells that are shown."""
LONG = 60
"""Characters from which a cell is a text."""
_NARROW = 24
"""Characters of a cell that has room beside three others."""
_NEAR = 3
"""Other records beside one."""
_TEXT = 300
"""Characters of such a text that are shown."""
_NOTHING = Markup('<span class="gap">empty</span>')


def named_columns(entry: Entry) -> list[str]:
    """The columns that a verdict rests on."""
    return [name for name, _, _ in _oddities(entry)]


def _oddities(entry: Entry) -> Iterator[tuple[str, str | None, str]]:
    """Columns that a verdict names, each with a text for it and what is usual, or why."""
    told = entry.evidence.get("columns")
    if isinstance(told, dict):
        for name, text in told.items():
            yield str(name), None if text is None else str(text), ""
    for fact in told if isinstance(told, list) else ():
        if isinstance(fact, dict) and "column" in fact:
            value = fact.get("value")
            yield str(fact["column"]), None if value is None else words.listed(value), _usual(fact)


def _usual(fact: Mapping[str, Any]) -> str:
    usual, share = fact.get("usual"), fact.get("share")
    if isinstance(usual, list) and len(usual) == 2:
        return " to ".join(map(words.listed, usual))
    return f"in {share:.1%} of all" if isinstance(share, int | float) else ""


def single(entry: Entry, record: Record | None, label: str | None) -> Table | None:
    """The cells of one record: those that the verdict names first, marked.

    Args:
        entry: the verdict.
        record: its cells; None if they are not known.
        label: the column of labels.
    """
    odd = list(_oddities(entry))
    third = {"impute": "put in"}.get(entry.action, "usual" if any(usual for _, _, usual in odd) else "")
    cells = record or {}
    lines = []
    for name, text, usual in odd[:ODD]:
        shown = _cell(cells.get(name, None if entry.action == "impute" else text))
        if entry.action == "impute":
            lines.append((name, (Cell(shown), Cell(_cell(text), odd=True))))
        else:
            lines.append((name, (Cell(shown, odd=True), *((Cell(escape(usual)),) if third else ()))))
    named = {name for name, _, _ in odd}
    blank = (Cell(Markup()),) if third else ()
    others = [name for name in _order(cells, label) if name not in named]
    room = max(LINES - len(lines), 2)
    lines += [(name, (Cell(_cell(cells[name])), *blank)) for name in others[:room]]
    if not lines:
        return None
    hidden = max(len(odd) - ODD, 0) + max(len(others) - room, 0)
    more = f"and {plural(hidden, 'more column')}" if hidden else ""
    return Table(("column", "cell", *((third,) if third else ())), tuple(lines), more)


def pair(one: Record, other: Record, roles: tuple[str, str], *, mark: bool) -> Table:
    """The cells of two records side by side: those that differ first.

    Args:
        one: a record.
        other: another.
        roles: of both.
        mark: whether what differs is marked.
    """
    names = [name for name in one if name in other]
    differing = [name for name in names if one[name] != other[name]]
    same = [name for name in names if one[name] == other[name]]
    if not differing:
        return _same(one)
    lines = [(name, _both(one[name], other[name], mark=mark)) for name in differing[:ODD]]
    room = max(LINES - len(lines), 2)
    lines += [(name, (Cell(_cell(one[name])), Cell(_cell(other[name])))) for name in same[:room]]
    hidden = [
        f"{plural(count, 'more column')} {verb}"
        for count, verb in ((len(differing) - ODD, "with other cells"), (len(same) - room, "with equal cells"))
        if count > 0
    ]
    more = f"and {' and '.join(hidden)}" if hidden else ""
    return Table(("column", *roles), tuple(lines), more)


def _same(record: Record) -> Table:
    """The cells of two records that have the same ones."""
    lines = [(name, (Cell(_cell(record[name])),)) for name in list(record)[:LINES]]
    hidden = len(record) - len(lines)
    more = f"; and {plural(hidden, 'more column')}" if hidden else ""
    return Table(("column", "both"), tuple(lines), f"all cells are equal{more}")


def is_short(record: Record) -> bool:
    """Whether all cells of a record have room in a narrow column."""
    return all(len(cell or "") <= _NARROW for cell in record.values())


def beside(record: Record, near: Sequence[tuple[str, Record]], label: str | None) -> Table:
    """The cells of a record and of the nearest others, of which other labels are marked.

    Args:
        record: of short cells.
        near: names and cells of others, of which three are shown.
        label: the column of labels.
    """
    shown = near[:_NEAR]
    others = [record, *(cells for _, cells in shown)]
    names = _order(record, label)
    lines = []
    for name in names[:LINES]:
        cells = (Cell(_cell(one.get(name)), odd=name == label and one.get(name) != record[name]) for one in others)
        lines.append((name, tuple(cells)))
    hidden = len(names) - LINES
    head = ("column", "this", *(f"like {name}" for name, _ in shown), *[""] * (_NEAR - len(shown)))
    return Table(head, tuple(lines), f"and {plural(hidden, 'more column')}" if hidden > 0 else "")


def _both(one: str | None, other: str | None, *, mark: bool) -> tuple[Cell, Cell]:
    if mark and one and other and max(len(one), len(other)) > LONG:
        left, right, _ = difference(one, other, _TEXT)
        return Cell(left), Cell(right)
    return Cell(_cell(one), odd=mark), Cell(_cell(other), odd=mark)


def _order(cells: Record, label: str | None) -> list[str]:
    """The label first, then the longest texts of a record of texts, then the rest as they stand."""
    names = list(cells)
    return sorted(names, key=lambda name: (name != label, len(cells[name] or "") <= LONG))


def _cell(text: str | None) -> Markup:
    if text is None:
        return _NOTHING
    return excerpt(text, _TEXT) if len(text) > LONG else escape(plain(text))
