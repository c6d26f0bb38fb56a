"""Why samples are odd, in words: the columns whose values are unusual, or the samples they are least unlike."""

from typing import Any

import numpy as np

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.encode.cells import TableCells, written
from datadiet_cli.steps.noise.base import Floats, Ints

NAMED = 3
"""Columns, or neighbours, that a verdict names."""
USUAL = (0.05, 0.95)
"""Shares of the values between which they are called usual."""
_RARE = 0.05
_TIMES = ("date", "day", "time")


def columns_of(cells: TableCells) -> list[str]:
    """All columns, numbers first."""
    return [*cells.number_names, *cells.category_names]


def by_columns(cells: TableCells, odd: Ints, members: Ints, part: Floats) -> tuple[list[Any], list[str | None]]:
    """Name the columns that made rows odd, with their values and what is usual.

    Args:
        cells: of all rows.
        odd: (k,) the odd ones.
        members: (m,) rows that they are compared with.
        part: (k, columns) what each column adds.

    Returns:
        k objects, and k texts.
    """
    columns = _Columns(cells, members)
    best = np.argsort(-part, axis=1, kind="stable")[:, :NAMED]
    evidence: list[Any] = []
    words: list[str | None] = []
    for row, chosen, parts in zip(odd.tolist(), best.tolist(), part.tolist(), strict=True):
        facts = [columns.fact(row, column, parts[column]) for column in chosen if parts[column] > 0]
        strange = [fact["words"] for fact in facts if fact.pop("strange")]
        together = [fact["words"] for fact in facts]
        evidence.append({"columns": [{k: v for k, v in fact.items() if k != "words"} for fact in facts]})
        words.append(", ".join(strange) or (f"unusual together: {', '.join(together)}" if together else None))
    return evidence, words


class _Columns:
    """Columns, and what is usual in them."""

    def __init__(self, cells: TableCells, members: Ints) -> None:
        self._cells, self._names = cells, columns_of(cells)
        numbers = np.where(np.isfinite(cells.numbers[members]), cells.numbers[members], np.nan)
        known = ~np.isnan(numbers).all(axis=0)
        self._usual = np.full((2, numbers.shape[1]), np.nan)
        if known.any():
            self._usual[:, known] = np.nanquantile(numbers[:, known], USUAL, axis=0)
        codes = cells.categories[members]
        self._shares = [
            np.bincount(codes[:, k][codes[:, k] >= 0], minlength=len(values)) / max(len(members), 1)
            for k, values in enumerate(cells.category_values)
        ]

    def fact(self, row: int, column: int, part: float) -> dict[str, Any]:
        """What a column says of a row: evidence, words, and whether its value alone is strange."""
        numbers = self._cells.numbers.shape[1]
        told: dict[str, Any] = {"column": self._names[column], "part": round(part, 4)}
        if column >= numbers:
            return {**told, **self._category(row, column - numbers, self._names[column])}
        value = float(self._cells.numbers[row, column])
        low, high = self._usual[:, column].tolist()
        form = self._cells.forms[column]
        if form in _TIMES and np.isfinite([value, low, high]).all():
            shown = written(np.array([value, low, high]), form)
            words = f"{self._names[column]} is {shown[0]} (usual {shown[1]} to {shown[2]})"
            return {**told, "value": shown[0], "usual": shown[1:], "words": words, "strange": not low <= value <= high}
        if np.isnan(value):
            return {**told, "value": None, "words": f"{self._names[column]} is missing", "strange": False}
        return {
            **told,
            "value": value if np.isfinite(value) else str(value),
            "usual": [low, high],
            "words": f"{self._names[column]} is {_plain(value)} (usual {_plain(low)} to {_plain(high)})",
            "strange": not low <= value <= high,
        }

    def _category(self, row: int, column: int, name: str) -> dict[str, Any]:
        code = int(self._cells.categories[row, column])
        if code < 0:
            return {"value": None, "words": f"{name} is missing", "strange": False}
        value, share = self._cells.category_values[column][code], float(self._shares[column][code])
        words = f"{name} is {value!r} ({share:.1%} of all)"
        return {"value": value, "share": round(share, 6), "words": words, "strange": share < _RARE}


def _plain(value: float) -> str:
    """Five digits at least, and no powers of ten for numbers that people read."""
    if not np.isfinite(value) or not 1e-4 <= abs(value) < 1e15:
        return f"{value:g}"
    return f"{value:.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def by_neighbours(dataset: Dataset, near: Ints) -> tuple[list[Any], list[str | None]]:
    """Name the nearest samples: what an odd one is least unlike.

    Args:
        dataset: the dataset.
        near: (k, j) rows of the source, nearest first.
    """
    evidence = [{"neighbours": dataset.source.ids(rows)} for rows in near]
    return evidence, [
        f"far even from the nearest, {facts['neighbours'][0]}" if facts["neighbours"] else None for facts in evidence
    ]
