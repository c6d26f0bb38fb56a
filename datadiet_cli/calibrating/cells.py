"""Known edits of a row of a table: new texts for some of its cells."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from datadiet_cli.calibrating import texts
from datadiet_cli.calibrating.content import UnfitError

Cells = dict[str, str | None]


@dataclass(frozen=True)
class Record:
    """A row.

    Attributes:
        cells: its features, as text; None for a missing one.
        numbers: columns of numbers.
        fractions: those of them that have parts of whole numbers.
        words: columns of texts.
        free: those of them that hold whole texts rather than one of some words.
    """

    cells: Mapping[str, str | None]
    numbers: tuple[str, ...]
    fractions: tuple[str, ...]
    words: tuple[str, ...]
    free: tuple[str, ...]

    def values(self, names: tuple[str, ...]) -> dict[str, float]:
        """The numbers of these columns that the row has."""
        found = {}
        for name in names:
            text = self.cells[name]
            try:
                value = float(text) if text is not None else math.nan
            except ValueError:
                continue
            if math.isfinite(value):
                found[name] = value
        return found


def same(record: Record, rng: np.random.Generator) -> Cells:
    """No cell is changed."""
    del record, rng
    return {}


def noisy(relative: float) -> Callable[[Record, np.random.Generator], Cells]:
    """Every number off by half of this share of it, up to all of it, on either side."""

    def edit(record: Record, rng: np.random.Generator) -> Cells:
        values = {name: value for name, value in record.values(record.fractions or record.numbers).items() if value}
        if not values:
            raise UnfitError("no number")
        factors = 1 + relative * rng.uniform(0.5, 1, len(values)) * rng.choice([-1, 1], len(values))
        return {name: repr(value * by) for (name, value), by in zip(values.items(), factors.tolist(), strict=True)}

    return edit


def worded(edit: texts.Edit, *, free: bool = False) -> Callable[[Record, np.random.Generator], Cells]:
    """An edit of texts on the longest text of the row; with `free` of the columns of whole texts only."""

    def make(record: Record, rng: np.random.Generator) -> Cells:
        names = record.free if free else record.words
        there = {name: text for name in names if (text := record.cells[name])}
        if not there:
            raise UnfitError("no column of whole texts" if free else "no text")
        name = max(there, key=lambda one: len(there[one]))
        return {name: texts.changed(edit, there[name], rng)}

    return make


def lacking(share: float) -> Callable[[Record, np.random.Generator], Cells]:
    """A share of the cells emptied, one at least; of two or more, one at least stays."""

    def edit(record: Record, rng: np.random.Generator) -> Cells:
        there = [name for name, text in record.cells.items() if text is not None]
        count = min(max(1, math.ceil(len(record.cells) * share)), len(there) - 1)
        if count < 1:
            raise UnfitError("hardly a cell")
        return {there[i]: None for i in rng.choice(len(there), count, replace=False).tolist()}

    return edit


def tenfold(record: Record, rng: np.random.Generator) -> Cells:
    """A third of the numbers ten times what they were, one at least: a decimal point lost."""
    values = {name: value for name, value in record.values(record.numbers).items() if value}
    if not values:
        raise UnfitError("no number")
    names = list(values)
    chosen = rng.choice(len(names), max(1, len(names) // 3), replace=False).tolist()
    return {names[i]: f"{values[names[i]] * 10:.12g}" for i in chosen}


def exchanged(record: Record, rng: np.random.Generator) -> Cells:
    """The numbers of two columns changed: of those drawn, the two that differ most."""
    values = record.values(record.numbers)
    if len(values) < 2:
        raise UnfitError("fewer than two numbers")
    names = list(values)
    drawn = [names[i] for i in rng.choice(len(names), min(4, len(names)), replace=False).tolist()]
    low, high = min(drawn, key=lambda name: values[name]), max(drawn, key=lambda name: values[name])
    if values[low] == values[high]:
        raise UnfitError("equal numbers")
    return {low: record.cells[high], high: record.cells[low]}
