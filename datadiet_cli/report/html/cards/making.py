"""Verdicts -> cards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from datadiet_cli.data.wording import escaped
from datadiet_cli.report.html.cards import tables, words
from datadiet_cli.report.html.cards.base import Card, Change, Table, Tile
from datadiet_cli.report.html.cards.choosing import Entry, Group
from datadiet_cli.report.html.cards.looks import Looks
from datadiet_cli.report.html.samples.content import Content
from datadiet_cli.report.html.samples.records import Record
from datadiet_cli.report.html.samples.texts import difference
from datadiet_cli.report.words import size_in_words

NEIGHBOURS = 5
_PARENTS = 2
_WIDE = 3
"""Columns of a table of cells that has no neighbours in it, at most."""


def samples_of(group: Group) -> tuple[list[str], list[str], list[str]]:
    """Samples that are shown, those that are shown small, and columns of a table that are among their cells."""
    entries = group.entries
    shown = [name for entry in entries for name in (entry.name, *_companions(entry))]
    near = [name for entry in entries for name, _ in _neighbours(entry)]
    return shown, near, [name for entry in entries for name in tables.named_columns(entry)]


def cards_of(group: Group, content: Content) -> list[Card]:
    """A card for each entry of a group.

    Args:
        group: the entries.
        content: reads samples.
    """
    looks = Looks(content, *samples_of(group))
    return [_card(entry, group.unit, looks) for entry in group.entries]


def _companions(entry: Entry) -> list[str]:
    """Samples that are shown as large as the sample itself: its witness, or what it was made of."""
    if entry.reason in words.MADE:
        parents = entry.evidence.get("parents")
        found = parents[:_PARENTS] if isinstance(parents, list) else [entry.witness]
    elif any(_neighbours(entry)) or (entry.reason == "outlier" and "columns" in entry.evidence):
        found = []
    else:
        found = [entry.witness]
    return [escaped(str(name)) for name in found if name is not None]


def _neighbours(entry: Entry) -> Iterator[tuple[str, str]]:
    """Neighbours with their labels, which are empty where they do not matter."""
    told = entry.evidence.get("neighbours")
    for one in told[:NEIGHBOURS] if isinstance(told, list) else ():
        if isinstance(one, dict):
            yield escaped(str(one.get("id"))), str(one.get("label") or "")
        else:
            yield escaped(str(one)), ""


def _card(entry: Entry, unit: str, looks: Looks) -> Card:
    readable = entry.reason != "unreadable"
    own = looks.tile(entry.name, words.DONE.get(entry.action, entry.action), entry.action, look=readable)
    if entry.action == words.NEAR:
        own = replace(own, tone="good")
    others = [_other(entry, name, looks) for name in _companions(entry)]
    tiles, notes = _compared(entry, own, others, looks)
    table = _table(entry, tiles, looks)
    change = _change(entry.evidence)
    near = (
        ()
        if len(table.head if table else ()) > _WIDE
        else tuple(looks.small(name, label) for name, label in _neighbours(entry))
    )
    told = tuple(_facts(entry, unit, looks, told=table is not None or bool(near), changed=change is not None))
    return Card(
        tiles=tiles,
        change=change,
        table=table,
        facts=told + notes,
        near=near,
        near_title="its nearest neighbours with other labels"
        if "disagreeing" in entry.evidence
        else "the nearest others",
    )


def _other(entry: Entry, name: str, looks: Looks) -> Tile:
    if entry.reason in words.MADE:
        return looks.tile(name, "made of")
    near = entry.action == words.NEAR
    role, tone = words.WITNESS.get(entry.reason, ("compared with", ""))
    if entry.foreign:
        role, tone = words.WITNESS["contamination"]
    elif near and entry.reason in words.PAIRS:
        role, tone = "kept", "good"
    return looks.tile(name, role, tone, foreign=entry.foreign)


def _compared(
    entry: Entry, own: Tile, others: Sequence[Tile], looks: Looks
) -> tuple[tuple[Tile, ...], tuple[str, ...]]:
    """The tiles, of two texts with what differs marked, and what there is to say of that."""
    if len(others) != 1 or own.text is None or others[0].text is None or entry.reason in words.CHOSEN:
        return (own, *others), ()
    one, other = looks.text(own.name), looks.text(others[0].name)
    if one is None or other is None or one.text is None or other.text is None:
        return (own, *others), ()
    left, right, said = difference(one.text, other.text)
    return (replace(own, text=left), replace(others[0], text=right)), (said,) if said else ()


def _table(entry: Entry, tiles: Sequence[Tile], looks: Looks) -> Table | None:
    """The cells of the samples on a card; None where there are none to show."""
    record = looks.record(entry.name)
    # A sample of another dataset may have the name of one of ours.
    known = [cells for tile in tiles[1:] if not tile.words and (cells := looks.record(tile.name)) is not None]
    if record is None:
        return _of_parents(entry, known, looks)
    if known and (entry.reason in words.PAIRS or entry.reason in words.CHOSEN or entry.action == words.NEAR):
        return tables.pair(record, known[0], (tiles[0].role, tiles[1].role), mark=entry.reason in words.PAIRS)
    near = [(name, cells) for name, _ in _neighbours(entry) if (cells := looks.record(name)) is not None]
    if near and all(map(tables.is_short, (record, *(cells for _, cells in near)))):
        return tables.beside(record, near, looks.label)
    return tables.single(entry, record, looks.label)


def _of_parents(entry: Entry, known: Sequence[Record], looks: Looks) -> Table | None:
    """The cells of what a sample was made of, or what its verdict says of its own."""
    if len(known) > 1:
        return tables.pair(known[0], known[1], ("one", "the other"), mark=False)
    if known:
        return tables.single(Entry(entry.name, "", ""), known[0], looks.label)
    return tables.single(entry, None, looks.label)


def _change(evidence: Mapping[str, Any]) -> Change | None:
    given, suggested = evidence.get("given"), evidence.get("suggested")
    if given is None:
        return None
    if suggested is not None:
        shares = (words.share(evidence.get(f"{which}_probability")) for which in ("given", "suggested"))
        first, second = shares
        return Change(words.listed(given), first, words.listed(suggested), second)
    missing, superfluous = (evidence.get(which) or {} for which in ("missing", "superfluous"))
    if not isinstance(given, list) or not isinstance(missing, dict) or not isinstance(superfluous, dict):
        return None
    likely = [name for name in given if name not in superfluous] + list(missing)
    return Change(words.listed(given), "", words.listed(likely), "")


def _facts(entry: Entry, unit: str, looks: Looks, *, told: bool, changed: bool) -> Iterator[str]:
    """What there is to say in words; what the card shows otherwise is left out."""
    evidence = entry.evidence
    if entry.reason == "unreadable":
        size = looks.size(entry.name)
        yield ", ".join(part for part in (entry.detail, None if size is None else size_in_words(size)) if part)
        return
    if "measure" not in evidence and entry.score is not None and entry.reason != "undersampled":
        limit = "" if entry.threshold is None else f", threshold {words.number(entry.threshold)}"
        yield f"{unit}{':' if ' ' in unit else ''} {words.number(entry.score)}{limit}"
    if "witness_label" in evidence:
        yield f"labelled {evidence.get('label')} and {evidence['witness_label']}"
    if changed and "disagreeing" in evidence:
        yield f"{evidence['disagreeing']} neighbours have another label"
    shown = told and entry.reason in ("outlier", "missing") and bool(evidence)
    if entry.detail and not (changed and "suggested" in evidence and "residual" not in evidence) and not shown:
        yield entry.detail
