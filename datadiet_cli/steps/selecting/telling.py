"""What is told of every column, and of the whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from datadiet_cli.columns import ColumnVerdict
from datadiet_cli.data.table import TableSource
from datadiet_cli.methods.selection.base import NONE, Ranking
from datadiet_cli.steps.selecting.base import BUDGETED, COMPRESSION, OWN, RULES, Choice, Floats, Task
from datadiet_cli.steps.selecting.deciding import Decision

NAMED = 50
"""Columns that the metrics name; the verdicts name all."""

ALWAYS, APART, LEFT_ALONE, CONSTANT = "always-keep", "not-asked", "left-alone", "constant"


def of_units(task: Task, choice: Choice, decision: Decision) -> list[ColumnVerdict]:
    """A verdict for each unit that was ranked."""
    ranking, method = decision.ranking, task.settings.method
    score, rank = _numbers(ranking.score), ranking.rank.tolist()
    frequency = [None] * len(rank) if ranking.frequency is None else _numbers(ranking.frequency)
    witness = _witnesses(choice.names, ranking)
    return [
        ColumnVerdict(
            name,
            "keep" if kept else "drop",
            ALWAYS if always else method,
            score[i],
            int(rank[i]),
            decision.threshold,
            None if kept else witness[i],
            frequency[i],
        )
        for i, (name, kept, always) in enumerate(
            zip(choice.names, decision.kept.tolist(), choice.always.tolist(), strict=True)
        )
    ]


def _numbers(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _witnesses(names: Sequence[str], ranking: Ranking) -> list[str | None]:
    if ranking.witness is None:
        return [None] * len(names)
    return [None if other == NONE else names[other] for other in ranking.witness.tolist()]


def of_constants(names: Sequence[str], always: Sequence[str], why: str) -> list[ColumnVerdict]:
    """Verdicts on columns that say nothing."""
    return [
        ColumnVerdict(name, "keep", ALWAYS) if name in always else ColumnVerdict(name, "drop", CONSTANT, detail=why)
        for name in names
    ]


def of_others(source: TableSource, looked_at: Sequence[str], left_alone: dict[str, str]) -> list[ColumnVerdict]:
    """Verdicts on columns that nothing was decided about.

    Args:
        source: the table.
        looked_at: columns that were asked about.
        left_alone: those of them that hold what this method cannot choose from, each with what that is.
    """
    verdicts = []
    for name in source.file.columns:
        if name in source.set_aside:
            verdicts.append(ColumnVerdict(name, "keep", role_of(source, name)))
        elif name in left_alone:
            verdicts.append(ColumnVerdict(name, "keep", LEFT_ALONE, detail=left_alone[name]))
        elif name not in looked_at:
            verdicts.append(ColumnVerdict(name, "keep", APART))
    return verdicts


def role_of(source: TableSource, name: str) -> str:
    """What a column that is no feature is for."""
    if name == source.label:
        return "label"
    return "id" if name == source.id_column else "set-aside"


def in_order(verdicts: Sequence[ColumnVerdict], columns: Sequence[str]) -> list[ColumnVerdict]:
    """Verdicts in the order of the table; new columns after them."""
    place = {name: i for i, name in enumerate(columns)}
    return sorted(verdicts, key=lambda verdict: place.get(verdict.column, len(place)))


def figures(task: Task, choice: Choice, kept: Sequence[str], unit: str | None) -> dict[str, Any]:
    """Figures for the report that all methods have.

    Args:
        task: what was to be done.
        choice: what was chosen from.
        kept: the units that stay, or were made.
        unit: of the scores.
    """
    target = choice.goal.target
    return {
        "method": task.settings.method,
        "task": choice.goal.task,
        "unit": choice.unit,
        "learned_from": len(choice.columns),
        "classes": target.classes if target is not None and target.classes else None,
        "units_before": len(choice.names),
        "units_after": len(kept),
        "kept": list(kept[:NAMED]),
        "score_unit": unit,
    }


def idle(task: Task, vectors: bool) -> dict[str, Any]:
    """Settings that were given and do nothing, as the summary takes them."""
    settings, method = task.settings, task.settings.method
    heeded = {
        "max_accuracy_drop": method not in OWN | set(COMPRESSION) and settings.keep == "auto",
        "folds": method not in OWN | set(COMPRESSION) and settings.keep == "auto",
        "stability": method not in COMPRESSION,
        # Collinearity ranks the columns that stay by its rule first, however many are wanted.
        **{
            name: RULES.get(method) == name and (settings.keep == "auto" or method == "collinearity")
            for name in RULES.values()
            if name
        },
        "always_keep": not vectors,
        "budget": method in BUDGETED,
        "encoder": vectors,
    }
    found = [name for name in sorted(settings.model_fields_set) if not heeded.get(name, True)]
    return {"without_effect": {"method": method, "settings": found}} if found else {}
