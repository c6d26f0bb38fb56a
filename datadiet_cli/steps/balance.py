"""Even out classes, or combinations of columns: samples of too large groups go, too small ones grow; or weigh them.

Only training samples are counted, dropped, or made something of. What is not in a group, an unlabelled sample say, is
left alone. No group is ever emptied.
"""

from typing import Any

import numpy as np

from datadiet_cli.config.balance import Balance
from datadiet_cli.data.changed import unchangeable
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.kinds import SPLIT_NAMES
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError
from datadiet_cli.outcome import Action, Changes, Outcome, Verdicts
from datadiet_cli.steps.balancing.base import STEP, Ints, Part, Task
from datadiet_cli.steps.balancing.ids import new_ids
from datadiet_cli.steps.balancing.making import grown
from datadiet_cli.steps.balancing.removing import removed
from datadiet_cli.steps.balancing.weighing import weighed
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.groups import groups_of
from datadiet_cli.steps.safeguard import keep_classes

MUCH = 0.3
"""Share of the training rows whose loss weighs more than the balance (half the average precision of boosted trees)."""


def run(dataset: Dataset, settings: Balance, context: Context) -> Outcome:
    """Decide which samples go and which are made, or what they weigh.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: a named column does not exist.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    _check_columns(dataset, settings)
    task = Task(dataset, settings, context, groups_of(dataset, settings.group_by, STEP))
    if settings.weights != "none":
        return weighed(task)
    _check_changeable(dataset, settings)
    less, more = removed(task), grown(task)
    verdicts = Verdicts.join([less.verdicts, more.verdicts])
    verdicts = keep_classes(dataset, _once(verdicts), np.arange(task.first_new + len(more.additions), dtype=np.int64))
    cells = {**more.cells, **new_ids(task, more.additions)}
    columns = {} if settings.mark_column is None else {settings.mark_column: more.marks}
    return Outcome(
        verdicts,
        _metrics(task, verdicts, less, more),
        changes=Changes(cells=cells, columns=columns, additions=more.additions),
    )


def _check_columns(dataset: Dataset, settings: Balance) -> None:
    """Refuse columns that are not there, and new ones that cannot be."""
    source = dataset.source
    for name in settings.columns or ():
        if not isinstance(source, TableSource):
            raise ConfigError(f"{STEP}: --columns needs a table, and {source.path} is a folder of files")
        require_column(source.path, "--columns", name, source.file.columns)
        if name in source.set_aside:
            raise ConfigError(f"{STEP}: --columns {name}: label, split and id say nothing of what a row is like")
    for flag, new in (("--weight-column", settings.weight_column), ("--mark-column", settings.mark_column)):
        if new is None:
            continue
        if not isinstance(source, TableSource):
            instead = "the weights stand in OUTPUT.weights.csv" if flag == "--weight-column" else "see the report"
            raise ConfigError(f"{STEP}: {flag} needs a table, and {source.path} is a folder of files; {instead}")
        if new in source.file.columns:
            raise ConfigError(f"{STEP}: {flag} {new}: {source.path} has a column of this name already")
    if settings.weight_column is not None and settings.weights == "none":
        raise ConfigError(f"{STEP}: --weight-column needs --weights, such as --weights class")


def _check_changeable(dataset: Dataset, settings: Balance) -> None:
    why = unchangeable(dataset)
    if why is not None:
        raise ConfigError(f"{STEP}: {why}; use --weights class")
    said = any(name.strip().lower() in SPLIT_NAMES for name in dataset.split_names)
    if not said and not settings.no_split:
        folders = "" if isinstance(dataset.source, TableSource) else " or folders train/ and test/"
        raise ConfigError(
            f"{STEP}: nothing says which samples are for training, and copies of one sample must not be in training "
            f"and test data; give --split COLUMN{folders}, or --no-split if all of them are for training"
        )


def _once(verdicts: Verdicts) -> Verdicts:
    """Without a second verdict that the same sample cannot be read."""
    flags = np.flatnonzero(verdicts.reason == "unreadable")
    _, first = np.unique(verdicts.sample[flags], return_index=True)
    stays = np.ones(len(verdicts), dtype=bool)
    stays[np.delete(flags, first)] = False
    return Verdicts(**{name: getattr(verdicts, name)[stays] for name in Verdicts.__dataclass_fields__})


def _metrics(task: Task, verdicts: Verdicts, less: Part, more: Part) -> dict[str, Any]:
    groups = task.groups
    gone = np.isin(task.dataset.rows, verdicts.sample[verdicts.action == Action.DROP])
    lost = np.bincount(groups.code[gone & (groups.code >= 0)], minlength=len(groups.names))
    after = groups.counts - lost + np.bincount(more.group, minlength=len(groups.names))
    both = zip(groups.names, groups.counts.tolist(), after.tolist(), strict=True)
    return {
        "groups": {name: {"before": one, "after": other} for name, one, other in both},
        "target": dict(zip(groups.names, task.target.tolist(), strict=True)),
        "ratio_before": _ratio(groups.counts),
        "ratio_after": _ratio(after),
        **less.metrics,
        **more.metrics,
        "notes": [*_notes(task, after, more.metrics.get("over")), *less.notes, *more.notes],
    }


def _ratio(counts: Ints) -> float | None:
    """The largest group by the smallest."""
    return round(float(counts.max() / counts.min()), 3) if len(counts) else None


def _notes(task: Task, after: Ints, method: str | None) -> list[str]:
    groups, settings = task.groups, task.settings
    notes = []
    if groups.left_alone:
        what = (
            "without a label" if settings.group_by is None else f"with an empty cell in {', '.join(settings.group_by)}"
        )
        notes.append(f"training samples {what}: {groups.left_alone:,}, which are left alone")
    if not len(groups.names):
        return [*notes, "no training sample has a group; nothing was done"]
    if (task.target == groups.counts).all():
        return [*notes, f"nothing to do: every group has the size that target {settings.target} asks for"]
    if settings.augment is not None and method not in (None, "augment"):
        notes.append(f"augment has no effect with over {method}")
    changed = (after != groups.counts).any()
    for which, off, why in (
        (after < task.target, settings.over == "none", "over is none"),
        (after > task.target, settings.under == "none", "under is none"),
    ):
        if off and which.any():
            g = int(np.flatnonzero(which)[np.argmax(np.abs(after - task.target)[which])])
            notes.append(f"{groups.names[g]} stays at {after[g]:,} of {task.target[g]:,}: {why}")
    if changed and task.dataset.kind == "row":
        lost = float(np.maximum(groups.counts - after, 0).sum() / groups.counts.sum())
        notes.append(
            f"without {lost:.0%} of its rows a model learns less; --under none or --weights class keeps them"
            if lost >= MUCH
            else "balanced rows skew a model's probabilities and seldom help a strong one; --weights class changes none"
        )
    return notes
