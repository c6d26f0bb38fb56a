"""Invalid rows of a table: impossible values, missing cells, and numbers of different scales."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import require_column
from datadiet_cli.outcome import Action, Cells, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.noise.row_columns import Bools, Column, missing_cells, read_columns, same_columns, table_of
from datadiet_cli.steps.noise.row_filling import Bench, Filling, fill, scale
from datadiet_cli.steps.noise.row_schema import Rule, broken, rules_of, shortened

_NAMED = 5
"""Columns that the words of a verdict name."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What was found in the rows of a table, and done.

    Attributes:
        verdicts: by row of the source: ``too-empty``, ``impossible`` and ``missing``.
        cells: new texts by column and row of the source.
        metrics: figures for the report.
        transform: what was learned from training rows, enough to do the same to new data; None if nothing was.
    """

    verdicts: Verdicts
    cells: Cells = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    transform: Mapping[str, Any] | None = None


def clean_rows(dataset: Dataset, settings: Denoise, context: Context) -> Rows:
    """Find invalid rows of a table, fill in its missing cells and scale its numbers, as the settings say.

    Evaluation rows are flagged where training rows would go; they get the same values put in and the same scale, but
    nothing is learned from them, nor from rows that go here, nor from impossible cells. Without `invalid`, rows are
    only scaled. Labels, splits and ids are never changed; ranges and allowed values may speak of them.

    Args:
        dataset: of a table.
        settings: invalid, invalid_action, missing, max_missing, ranges, allowed, standardise and columns count.
        context: its seed counts.

    Raises:
        InputError: a column that was named does not exist.
        ConfigError: a column cannot hold scaled numbers.
    """
    looking = settings.invalid != "none"
    if not looking and settings.standardise == "none":
        return Rows(Verdicts.join([]))
    survey = _Survey(dataset, settings, rules_of(settings) if looking else [])
    verdicts = [*survey.too_empty(), *survey.impossible(), *survey.incomplete()] if looking else []
    bench = survey.bench()
    filling = Filling()
    if looking and settings.missing not in ("keep", "drop"):
        filling = fill(bench, settings.missing, context.seed)
        verdicts.append(_imputed(dataset, filling, bench))
    scaled = {} if settings.standardise == "none" else scale(bench, settings.standardise, dataset.source.path)
    metrics = survey.metrics() if looking else {}
    if filling.learned or filling.refused:
        imputed = {name: learned for name, learned in filling.learned.items() if learned["cells"]}
        metrics |= {"imputed": imputed, "not_imputed": filling.refused}
    scales = {name: {"centre": centre, "scale": width} for name, (centre, width) in scaled.items()}
    if settings.standardise != "none":
        metrics["scaled"] = {"kind": settings.standardise, "columns": scales}
    cells = {
        name: dict(zip(dataset.rows[list(texts)].tolist(), texts.values(), strict=True))
        for name, texts in bench.texts.items()
        if texts
    }
    return Rows(Verdicts.join(verdicts), cells, metrics, _transform(settings, filling, scales, survey))


class _Survey:
    """What is missing and impossible in a table, and which rows go for it."""

    def __init__(self, dataset: Dataset, settings: Denoise, rules: list[Rule]) -> None:
        self.dataset, self.settings = dataset, settings
        source = table_of(dataset)
        flags = [("--columns", name) for name in settings.columns or []]
        for flag, name in flags + [(rule.flag, rule.column) for rule in rules]:
            require_column(source.path, flag, name, source.file.columns)
        features = source.features if settings.columns is None else settings.columns
        self.names = [name for name in dict.fromkeys(features) if name not in source.set_aside]
        names = list(dict.fromkeys([*self.names, *(rule.column for rule in rules)]))
        columns = read_columns(dataset, names, {rule.column for rule in rules if rule.flag == "--ranges"})
        self.columns = {name: columns[name] for name in self.names}
        self.broken = list(broken(rules, columns))
        self.gone: Bools = np.zeros(len(dataset), dtype=bool)
        self.bare = self._lacks(self.names) == len(self.names) if self.names else self.gone.copy()
        self.sparse = [name for name, column in self.columns.items() if self._is_sparse(column)]
        self.dense = [name for name in self.names if name not in set(self.sparse)]

    def _lacks(self, names: Iterable[str]) -> NDArray[np.int64]:
        """(n,) how many cells of these columns each row lacks."""
        counts = np.zeros(len(self.dataset), dtype=np.int64)
        for name in names:
            counts += ~self.columns[name].known
        return counts

    def _is_sparse(self, column: Column) -> bool:
        """Whether too many training rows lack the cell, not counting those that have nothing at all."""
        known = column.known[self.dataset.training & ~self.bare]
        return not known.any() or bool(1 - known.mean() > self.settings.max_missing)

    def too_empty(self) -> list[Verdicts]:
        """Verdicts on rows that lack too large a share of the columns that are not sparse, or all cells."""
        names = self.names if not self.dense else self.dense
        lacks = self._lacks(names)
        share = np.where(self.bare, 1.0, lacks / max(len(names), 1)) if self.dense else self.bare.astype(float)
        found = np.flatnonzero(share > self.settings.max_missing)
        words = [f"{count} of {len(names)} cells are missing" for count in lacks[found].tolist()]
        action = Action(self.settings.invalid_action)
        return self._divided(found, action, "too-empty", words, score=share[found], threshold=self.settings.max_missing)

    def impossible(self) -> list[Verdicts]:
        """Verdicts on rows with a cell that breaks a rule."""
        words: dict[int, list[str]] = {}
        cells: dict[int, dict[str, str]] = {}
        for wrong in self.broken:
            places = np.flatnonzero(wrong.cells).tolist()
            for place, why, text in zip(places, wrong.words, wrong.texts, strict=True):
                words.setdefault(place, []).append(why)
                cells.setdefault(place, {})[wrong.column] = text
        found = sorted(words)
        evidence = [{"columns": cells[place]} for place in found]
        action = Action(self.settings.invalid_action)
        return self._divided(found, action, "impossible", ["; ".join(words[p]) for p in found], evidence=evidence)

    def incomplete(self) -> list[Verdicts]:
        """Verdicts on the other rows that lack a cell, if rows are to go for it."""
        if self.settings.missing != "drop":
            return []
        lacks: dict[int, list[str]] = {}
        for name in self.dense:
            for place in np.flatnonzero(~self.columns[name].known & ~self.gone).tolist():
                lacks.setdefault(place, []).append(name)
        found = sorted(lacks)
        words = [f"no value in {_listed(lacks[place])}" for place in found]
        evidence = [{"columns": dict.fromkeys(lacks[place])} for place in found]
        return self._divided(found, Action.DROP, "missing", words, evidence=evidence)

    def _divided(self, found: Any, action: Action, reason: str, words: list[str], **more: Any) -> list[Verdicts]:
        """Verdicts on positions; evaluation rows are flagged, and rows that are dropped count as gone."""
        places = np.asarray(found, dtype=np.int64)
        verdicts = Verdicts.of(self.dataset.rows[places], action, reason, detail=words, **more)
        training = self.dataset.training[places]
        verdicts.action[~training] = Action.FLAG
        if action == Action.DROP:
            self.gone[places[training]] = True
        return [verdicts]

    def bench(self) -> Bench:
        """The columns to learn from, without the rows that are gone."""
        usable = {name: self.columns[name].known.copy() for name in self.dense}
        for wrong in self.broken:
            if wrong.column in usable:
                usable[wrong.column] &= ~wrong.cells
        columns = {name: self.columns[name] for name in self.dense}
        return Bench(table_of(self.dataset).file, columns, usable, self.dataset.training & ~self.gone, ~self.gone)

    def words(self) -> dict[str, dict[str, int]]:
        """Texts that stand for missing cells, by column."""
        words = {name: column.words() for name, column in self.columns.items()}
        return {name: found for name, found in words.items() if found}

    def metrics(self) -> dict[str, Any]:
        """Figures about the columns."""
        constant = [name for name, column in self.columns.items() if column.constant()]
        varied = [column for name, column in self.columns.items() if name not in set(constant) and column.known.any()]
        return {
            "missing_cells": missing_cells(self.columns),
            "missing_words": self.words(),
            "sparse_columns": self.sparse,
            "constant_columns": constant,
            "duplicate_columns": same_columns(varied),
        }


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(shortened, names[:_NAMED])) + more


def _imputed(dataset: Dataset, filling: Filling, bench: Bench) -> Verdicts:
    """Verdicts on the rows that values were put into; those that go anyway have verdicts enough."""
    put_in: dict[int, dict[str, str]] = {}
    for name, texts in bench.texts.items():
        for place, text in texts.items():
            put_in.setdefault(place, {})[name] = text
    places = [place for place in sorted(put_in) if bench.stays[place]]
    words, evidence = [], []
    for place in places:
        cells = put_in[place]
        by = " and ".join(dict.fromkeys(filling.by(name, place) for name in cells))
        pairs = [f"{shortened(name)} {shortened(text)}" for name, text in list(cells.items())[:_NAMED]]
        more = [f"{len(cells) - _NAMED} more"] if len(cells) > _NAMED else []
        words.append(f"put in by {by}: {', '.join(pairs + more)}")
        evidence.append({"columns": cells, "by": by})
    return Verdicts.of(dataset.rows[places], Action.IMPUTE, "missing", detail=words, evidence=evidence)


def _transform(
    settings: Denoise, filling: Filling, scales: Mapping[str, Any], survey: _Survey
) -> dict[str, Any] | None:
    """What was learned, for new data."""
    if not filling.learned and not scales:
        return None
    kinds = {name: "category" if column.numbers is None else "number" for name, column in survey.columns.items()}
    impute = {
        name: {"kind": kinds[name], **{key: fact for key, fact in learned.items() if key != "cells"}}
        for name, learned in filling.learned.items()
    }
    return {"impute": impute, "scale": {"kind": settings.standardise, "columns": dict(scales)}}
