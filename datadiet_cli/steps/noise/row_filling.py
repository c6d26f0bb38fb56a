"""Missing cells of a table get a value, and columns of numbers a common scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.tablefile import TableFile, put
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods import imputation, scaling
from datadiet_cli.steps.noise.row_columns import Bools, Column, Floats
from datadiet_cli.steps.noise.row_texts import manner_of, scaled_texts

if TYPE_CHECKING:
    import polars as pl

Ints = NDArray[np.int64]

_CODES = 2
"""Columns of so few whole numbers are yes and no, and not scaled."""


@dataclass(eq=False)
class Bench:
    """Columns in work.

    Attributes:
        file: the table.
        columns: those that are learned from, by name, as they are so far.
        usable: for each (n,) bool, cells that are neither missing nor impossible.
        teaching: (n,) bool, rows that may be learned from.
        stays: (n,) bool, rows that nobody drops so far: only their cells are counted.
        texts: new texts: position -> text by column.
    """

    file: TableFile
    columns: dict[str, Column]
    usable: Mapping[str, Bools]
    teaching: Bools
    stays: Bools
    texts: dict[str, dict[int, str]] = field(default_factory=dict)

    def lessons(self, column: Column) -> Bools:
        """(n,) bool, the cells of a column that are learned from."""
        return self.teaching & self.usable[column.name]

    def gaps(self, column: Column) -> Ints:
        """Positions of the missing cells."""
        return np.flatnonzero(~column.known)


@dataclass(frozen=True, eq=False)
class Filling:
    """What was put into missing cells.

    Attributes:
        learned: for each column that got values how they were found (``by``), the one ``value`` of a statistic or
            None, and the number of ``cells``; of neighbours also the statistic that cells without any got.
        alone: for each of these columns the positions that have no neighbours, where some were asked for.
        refused: the other columns with gaps, each with why nothing was put in.
    """

    learned: dict[str, dict[str, Any]] = field(default_factory=dict)
    alone: dict[str, frozenset[int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def by(self, name: str, place: int) -> str:
        """How the value of a cell was found."""
        learned = self.learned[name]
        return str(learned["otherwise"] if place in self.alone[name] else learned["by"])


def fill(bench: Bench, by: str, seed: int) -> Filling:
    """Put values into the missing cells.

    Args:
        bench: the columns; new texts are put into it.
        by: ``median``, ``mean`` or ``mode``, for columns of numbers, all others by their mode; or ``knn`` for both.
        seed: which rows are neighbours where there are very many.
    """
    filling = Filling()
    lacking = [column for column in bench.columns.values() if len(bench.gaps(column))]
    near = _neighbours(bench, seed) if by == "knn" and lacking else {}
    for column in lacking:
        statistic, value = _usual(bench, column, "median" if near else by)
        gaps = bench.gaps(column)
        texts = _taken(bench, column, near[column.name], gaps) if near else [None] * len(gaps)
        pairs = list(zip(gaps.tolist(), texts, strict=True))
        given = {place: text or value for place, text in pairs if text is not None or value is not None}
        refusal = _refusal(bench, column, given)
        if refusal:
            filling.refused[column.name] = refusal
            continue
        bench.texts[column.name] = cast(dict[int, str], given)
        filling.alone[column.name] = frozenset(place for place, text in pairs if text is None and near)
        filling.learned[column.name] = {
            "by": by if near else statistic,
            "value": float(value) if value is not None and column.numbers is not None else value,
            "cells": int(bench.stays[list(given)].sum()),
            **({"otherwise": statistic} if near else {}),
        }
    return filling


def _usual(bench: Bench, column: Column, statistic: str) -> tuple[str, str | None]:
    """The statistic that suits a column, and the text of its value; None if there is none."""
    lessons = bench.lessons(column)
    if column.numbers is None:
        values, codes = _coded(column.plain)
        code = imputation.commonest(codes[lessons])
        return "mode", None if code < 0 else values[code]
    value = imputation.typical(column.numbers[lessons], statistic)
    if np.isnan(value):
        statistic, value = "median", imputation.typical(column.numbers[lessons], "median")
    return statistic, None if np.isnan(value) else manner_of(column, lessons).text(value)


def _coded(plain: "pl.Series") -> tuple[list[str], Ints]:
    """The different texts, sorted, and (n,) int64 the place of each cell's; -1 for a missing one."""
    import polars as pl

    values = plain.drop_nulls().unique().sort()
    codes = plain.replace_strict(values, np.arange(len(values)), default=None, return_dtype=pl.Int64)
    return values.to_list(), codes.fill_null(-1).to_numpy()


def _neighbours(bench: Bench, seed: int) -> dict[str, NDArray[Any]]:
    """Columns with their gaps filled as far as rows have neighbours: numbers, or texts with None."""
    figures = [column for column in bench.columns.values() if column.numbers is not None]
    others = [column for column in bench.columns.values() if column.numbers is None]
    coded = [_coded(column.plain) for column in others]
    n = len(bench.teaching)
    numbers, codes = np.full((n, len(figures)), np.nan), np.full((n, len(others)), -1, dtype=np.int64)
    for j, column in enumerate(figures):
        numbers[:, j] = np.where(bench.usable[column.name], cast(Floats, column.numbers), np.nan)
    for j, (column, (values, code)) in enumerate(zip(others, coded, strict=True)):
        # Texts that are all different tell nothing about who is near, and nothing to put in.
        if len(values) < (code >= 0).sum() or len(values) == 1:
            codes[:, j] = np.where(bench.usable[column.name], code, -1)
    filled = imputation.from_neighbours(numbers, codes, bench.teaching, seed=seed)
    found: dict[str, NDArray[Any]] = {column.name: filled.numbers[:, j] for j, column in enumerate(figures)}
    for j, (column, (values, _)) in enumerate(zip(others, coded, strict=True)):
        found[column.name] = np.array([*values, None], dtype=object)[filled.codes[:, j]]
    return found


def _taken(bench: Bench, column: Column, near: NDArray[Any], gaps: Ints) -> list[str | None]:
    """Texts for gaps from what the neighbours have; None where there are none."""
    if column.numbers is None:
        return cast(list[str | None], near[gaps].tolist())
    lessons = bench.lessons(column)
    if not lessons.any():
        return [None] * len(gaps)
    manner = manner_of(column, lessons)
    return [None if np.isnan(value) else manner.text(value) for value in near[gaps].tolist()]


def _refusal(bench: Bench, column: Column, given: Mapping[int, str | None]) -> str | None:
    """Why nothing can be put into a column."""
    if not given:
        return "no training row has a value" if not bench.lessons(column).any() else "no value occurs twice"
    if not _hold(bench.file, column, given):
        return f"new cells cannot be written as {column.typed.dtype}"
    return None


def _hold(file: TableFile, column: Column, given: Mapping[int, str | None]) -> bool:
    """Whether a column can hold new texts as values of its type, and numbers without losing digits."""
    import polars as pl

    if column.typed.dtype == pl.String:
        return True
    places = np.fromiter(given, dtype=np.int64, count=len(given))
    new = pl.Series(column.name, list(given.values()), dtype=pl.String)
    typed = file.retype(put(column.texts, places, new), column.typed, places)
    if typed.dtype == pl.String:
        return False
    if column.numbers is None:
        return True
    wanted, held = (part.cast(pl.Float64).to_numpy() for part in (new, typed.gather(places)))
    return np.allclose(held, wanted, rtol=1e-6, atol=1e-6, equal_nan=True)


def scale(bench: Bench, kind: str, path: str) -> dict[str, scaling.Scaling]:
    """Bring the columns of numbers on a common scale, but for those of at most two whole numbers.

    Args:
        bench: the columns; new texts are put into it.
        kind: a key of `scaling.SCALINGS`.
        path: of the table, for messages.

    Returns:
        What was learned from the training rows that stay, by column.

    Raises:
        ConfigError: a column cannot hold such numbers.
    """
    learned = {}
    for name, column in bench.columns.items():
        if column.numbers is None:
            continue
        numbers, put_in = column.numbers.copy(), bench.texts.get(name, {})
        numbers[list(put_in)] = [float(text) for text in put_in.values()]
        lessons = bench.teaching & (bench.usable[name] | ~column.known) & np.isfinite(numbers)
        if not lessons.any() or _is_code(numbers[lessons]):
            continue
        learned[name] = scaling.fit(kind, numbers[lessons])
        places = np.flatnonzero(np.isfinite(numbers))
        texts = scaled_texts(scaling.apply(learned[name], numbers[places]))
        new: dict[int, str] = dict(zip(places.tolist(), texts.to_list(), strict=True))
        if not _hold(bench.file, column, new):
            raise ConfigError(
                f"denoise: --standardise {kind}: {path}: column {name!r} holds {column.typed.dtype}, which cannot hold "
                f"numbers such as {texts[0]}; name other columns with --columns"
            )
        bench.texts[name] = {**put_in, **new}
    return learned


def _is_code(values: Floats) -> bool:
    return bool((values == np.floor(values)).all()) and 1 < len(np.unique(values)) <= _CODES
