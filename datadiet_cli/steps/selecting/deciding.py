"""Which of the units stay: by a method's ranking or its own rule, as many as are asked for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datadiet_cli.config.pairs import kept_share
from datadiet_cli.config.select_features import SelectFeatures
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.selection.base import Ranking
from datadiet_cli.steps.selecting.base import BUDGETED, OWN, RULES, STEP, Bools, Choice, Task

Rank = Callable[..., Ranking]

OFTEN = 0.5
"""Share of bootstraps from which on a column that a method's own rule keeps is kept for good."""
_REPEATED = frozenset({"pearson", "spearman", "anova", "chi2", "mutual-information"})
_MOST_CELLS = 5_000_000
"""Cells up to which a quick method's choice is repeated in every fold."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What stays.

    Attributes:
        ranking: what the method says.
        kept: (p,) bool.
        threshold: the limit that a rule decided by; None for none.
        metrics: figures for the report.
        notes: what people should be told.
    """

    ranking: Ranking
    kept: Bools
    threshold: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def decide(task: Task, choice: Choice) -> Decision:
    """Rank the units and say which stay; never none.

    Raises:
        ConfigError: the method cannot work on such data.
    """
    settings = task.settings
    rank, options = _method(settings)
    wanted = None if settings.keep == "auto" else count_of(settings.keep, choice.columns.count)
    keep = None if wanted is None else min(wanted, choice.columns.count)
    common = {"keep": keep, "seed": task.context.seed, "workers": task.context.engine.workers, **options}
    tell = task.context.progress(f"ranking {choice.unit}s by {settings.method}", 1)
    try:
        ranking = _ranking(settings, rank, choice, common)
        tell(1)
        decision = _decided(task, choice, ranking, keep, rank, options)
    except ValueError as error:
        raise ConfigError(f"{STEP}: method {settings.method}: {error}") from None
    notes = list(decision.notes)
    if wanted is not None and wanted > choice.columns.count:
        notes.append(f"keep {wanted}: there are only {choice.columns.count} {choice.unit}s to choose from")
    return Decision(decision.ranking, decision.kept, decision.threshold, decision.metrics, notes)


def _method(settings: SelectFeatures) -> tuple[Rank, dict[str, Any]]:
    from datadiet_cli.methods.selection.filters import FILTERS

    options: dict[str, Any] = {}
    name = RULES.get(settings.method)
    if name is not None:
        options["threshold"] = getattr(settings, name)
    if settings.method in BUDGETED:
        options["budget"] = settings.budget
    if settings.method in FILTERS:
        return FILTERS[settings.method], options
    from datadiet_cli.methods.selection.wrappers import WRAPPERS

    return WRAPPERS[settings.method], options


def _ranking(settings: SelectFeatures, rank: Rank, choice: Choice, common: dict[str, Any]) -> Ranking:
    if not settings.stability:
        return rank(choice.columns, choice.goal.target, **common)
    from datadiet_cli.methods.selection.stability import stable

    return stable(rank, choice.columns, choice.goal.target, bootstraps=settings.stability, **common)


def count_of(keep: str, p: int) -> int:
    """How many of p units are asked for."""
    if not keep.endswith("%"):
        return int(keep)
    # What is meant by 30% of 10 is 3, whatever a float makes of it.
    return max(1, math.ceil(round(kept_share(keep) * p, 9)))


def _decided(
    task: Task, choice: Choice, ranking: Ranking, keep: int | None, rank: Rank, options: dict[str, Any]
) -> Decision:
    settings = task.settings
    notes = list(ranking.notes)
    if keep is not None:
        return Decision(ranking, _first(ranking, keep, choice.always), None, {}, notes)
    if settings.method in OWN:
        own = _own(ranking)
        if not own.any():
            notes.append(f"{settings.method} keeps no {choice.unit} by its own rule; the one ranked first stays")
        kept = own | choice.always if own.any() else _first(ranking, 1, choice.always)
        return Decision(ranking, kept, _threshold(settings), {}, notes)
    from datadiet_cli.methods.selection.enough import enough

    cells = len(choice.columns) * choice.columns.count
    again = settings.method in _REPEATED and cells <= _MOST_CELLS
    found = enough(
        choice.columns,
        choice.goal.target,
        ranking,
        max_drop=settings.max_accuracy_drop,
        folds=settings.folds,
        seed=task.context.seed,
        workers=task.context.engine.workers,
        rank=rank if again else None,
    )
    return Decision(ranking, _first(ranking, found.m, choice.always), None, {"auto": {}}, notes)


def _threshold(settings: SelectFeatures) -> float | None:
    """The limit of a rule in the unit of its scores; these are shares of known cells, and 1 less a correlation."""
    name = RULES.get(settings.method)
    if name is None:
        return None
    limit = float(getattr(settings, name))
    return limit if settings.method == "variance" else round(1 - limit, 12)


def _own(ranking: Ranking) -> Bools:
    """What a method keeps by its own rule; of bootstraps what most of them keep."""
    if ranking.frequency is not None:
        return np.asarray(ranking.frequency >= OFTEN, dtype=np.bool_)
    assert ranking.chosen is not None  # noqa: S101 - methods with a rule say what it chooses
    return ranking.chosen


def _first(ranking: Ranking, keep: int, always: Bools) -> Bools:
    """The units ranked first, so many with those that always stay."""
    order = np.lexsort((ranking.rank, ~always))
    kept = always.copy()
    kept[order[:keep]] = True
    return kept
