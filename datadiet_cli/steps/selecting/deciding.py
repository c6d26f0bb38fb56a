"""Which of the units stay: by a method's ranking or its own rule, as many as are asked for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datadiet_cli.config.base import parse_percentage
from datadiet_cli.config.select_features import SelectFeatures
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.selection.base import Ranking
from datadiet_cli.steps.selecting.base import BUDGETED, OWN, RULES, STEP, Bools, Choice, Task

if TYPE_CHECKING:
    from datadiet_cli.methods.selection.enough import Enough

Rank = Callable[..., Ranking]

_REPEATED = frozenset({"pearson", "spearman", "anova", "chi2", "mutual-information"})
_FIGURES = ("score", "difference", "bound")
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
    settings, p = task.settings, choice.columns.count
    wanted = None if settings.keep == "auto" else count_of(settings.keep, p)
    tell = task.context.progress(f"ranking {choice.unit}s by {settings.method}", 1)
    try:
        if wanted is not None:
            ranking = _ranking(task, choice, min(wanted, p), stable=True)
            kept = _first(ranking, min(wanted, p), choice.always)
            decision = Decision(ranking, kept, None, {}, ranking.notes)
        elif settings.method in OWN:
            decision = _by_rule(task, choice)
        else:
            decision = _enough(task, choice)
    except ValueError as error:
        raise ConfigError(f"{STEP}: method {settings.method}: {error}") from None
    tell(1)
    if wanted is None or wanted <= p:
        return decision
    note = f"keep {wanted}: there are only {p} {choice.unit}s to choose from"
    return replace(decision, notes=[*decision.notes, note])


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


def _ranking(task: Task, choice: Choice, keep: int | None, *, stable: bool) -> Ranking:
    """What the method says, or many of it if that is asked for."""
    rank, options = _method(task.settings)
    common = {"keep": keep, "seed": task.context.seed, "workers": task.context.engine.threads, **options}
    if not (stable and task.settings.stability):
        if task.settings.method == "collinearity":
            common["favoured"] = choice.always
        return rank(choice.columns, choice.goal.target, **common)
    from datadiet_cli.methods.selection.stability import stable as often

    return often(rank, choice.columns, choice.goal.target, bootstraps=task.settings.stability, **common)


def count_of(keep: str, p: int) -> int:
    """How many of p units are asked for."""
    if not keep.endswith("%"):
        return int(keep)
    # What is meant by 30% of 10 is 3, whatever a float makes of it.
    return max(1, math.ceil(round(parse_percentage(keep) * p, 9)))


def _by_rule(task: Task, choice: Choice) -> Decision:
    """What the method keeps by a rule of its own."""
    settings = task.settings
    ranking = _ranking(task, choice, None, stable=True)
    assert ranking.chosen is not None  # noqa: S101 - methods with a rule say what it chooses
    threshold, notes = _threshold(settings), list(ranking.notes)
    if ranking.chosen.any():
        return Decision(ranking, ranking.chosen | choice.always, threshold, {}, notes)
    notes.append(f"{settings.method} keeps no {choice.unit} by its own rule; the one ranked first stays")
    return Decision(ranking, _first(ranking, 1, choice.always), threshold, {}, notes)


def _enough(task: Task, choice: Choice) -> Decision:
    """The fewest units that predict about as well as all."""
    from datadiet_cli.methods.selection.enough import enough

    settings, context, target = task.settings, task.context, choice.goal.target
    assert target is not None  # noqa: S101 - only methods with a rule of their own work without
    ranking = _ranking(task, choice, None, stable=False)
    again = settings.method in _REPEATED and len(choice.columns) * choice.columns.count <= _MOST_CELLS
    found = enough(
        choice.columns,
        target,
        ranking,
        max_drop=settings.max_accuracy_drop,
        folds=settings.folds,
        seed=context.seed,
        workers=context.engine.threads,
        rank=_method(settings)[0] if again else None,
    )
    if settings.stability:
        ranking = _ranking(task, choice, found.m, stable=True)
    notes = [*ranking.notes, *found.notes, *_in_words(found, choice)]
    return Decision(ranking, _first(ranking, found.m, choice.always), None, {"auto": _told(found)}, notes)


def _told(found: "Enough") -> dict[str, Any]:
    return {
        "units": found.m,
        "by_mean": found.by_mean,
        "measure": found.measure,
        "all": _rounded(found.score),
        "interval": [_rounded(end) for end in found.interval],
        "table": [
            {"units": m, **{name: _rounded(value) for name, value in zip(_FIGURES, rest, strict=True)}}
            for m, *rest in found.table
        ],
    }


def _in_words(found: "Enough", choice: Choice) -> list[str]:
    point = next((point for point in found.table if point.m == found.m), None)
    if point is None or found.m == choice.columns.count:
        return []
    return [
        f"{found.m:,} of {choice.columns.count:,} {choice.unit}s: {found.measure} {point.score:.3f}, with all "
        f"{found.score:.3f}; at most {max(point.bound, 0):.3f} lost (95 %)"
    ]


def _rounded(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _threshold(settings: SelectFeatures) -> float | None:
    """The limit of a rule in the unit of its scores; these are shares of known cells, and 1 less a correlation."""
    name = RULES.get(settings.method)
    if name is None:
        return None
    limit = float(getattr(settings, name))
    return limit if settings.method == "variance" else round(1 - limit, 12)


def _first(ranking: Ranking, keep: int, always: Bools) -> Bools:
    """The units ranked first, so many with those that always stay."""
    order = np.lexsort((ranking.rank, ~always))
    kept = always.copy()
    kept[order[:keep]] = True
    return kept
