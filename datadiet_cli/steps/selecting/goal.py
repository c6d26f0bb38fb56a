"""Which samples are learned from, and what their columns shall predict."""

import numpy as np

from datadiet_cli.data.dataset import UNKNOWN
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.selection.base import Target
from datadiet_cli.steps.noise.quantities import quantities_of
from datadiet_cli.steps.selecting.base import STEP, WITHOUT_LABELS, Bools, Goal, Task

LEAST = 3
"""Training samples below which nothing can be learned."""


def goal_of(task: Task, usable: Bools) -> Goal:
    """Find out what to learn from.

    Labels of many different numbers are numbers to predict; see `noise.quantities`. Samples without a label are left
    out, unless the method needs no labels; then those are used only if every sample has one.

    Args:
        task: what is to be done.
        usable: (n,) bool, samples with content.

    Raises:
        ConfigError: there are too few training samples, or the method needs labels and there are none to tell apart.
    """
    dataset, method = task.dataset, task.settings.method
    training = dataset.training & usable
    labelled = training & (dataset.labels != UNKNOWN)
    _check_enough(task, training)
    free = method in WITHOUT_LABELS
    if free and (dataset.class_sets or not labelled.any() or (training & ~labelled).any()):
        return Goal(np.flatnonzero(training), None, None)
    if not labelled.any():
        raise ConfigError(f"{STEP}: method {method} needs labels, and {_without(task)}")
    found = _labelled(task, labelled)
    why = _pointless(found)
    if why is not None and free:
        return Goal(found.rows, None, None)
    if why is not None:
        raise ConfigError(f"{STEP}: method {method}: {why}")
    left_out = int((training & ~labelled).sum())
    notes = (f"{left_out:,} training samples without a label were not learned from",) if left_out else ()
    return Goal(found.rows, found.target, found.task, notes)


def _labelled(task: Task, labelled: Bools) -> Goal:
    dataset = task.dataset
    numbers = None if dataset.class_sets else quantities_of(dataset, "auto")
    if numbers is not None:
        rows = np.flatnonzero(labelled)
        return Goal(rows, Target(numbers[rows], 0), "regression")
    place, label, _ = dataset.memberships()
    known = labelled[place] & (label != UNKNOWN)
    seen, codes = np.unique(label[known], return_inverse=True)
    return Goal(place[known], Target(codes.astype(np.int64), len(seen)), "classification")


def _pointless(goal: Goal) -> str | None:
    """Why nothing can be told from such labels; None if something can."""
    target = goal.target
    if target is None:
        return None
    m = len(goal.rows)
    if m < LEAST:
        return f"there are {m} labelled training samples; it takes at least {LEAST}"
    if (target.values == target.values[0]).all():
        return f"all labelled training samples have the same {'class' if target.classes else 'number'}"
    if 2 * target.classes > m:
        return f"{target.classes:,} classes among {m:,} labelled training samples are too many to be told apart"
    return None


def _check_enough(task: Task, training: Bools) -> None:
    if training.sum() < LEAST:
        few = int(training.sum())
        raise ConfigError(
            f"{STEP}: {task.dataset.source.path} has {few} training samples to learn from; it takes at least {LEAST}"
        )


def _without(task: Task) -> str:
    others = ", ".join(sorted(WITHOUT_LABELS))
    if not len(task.dataset.classes):
        return f"{task.dataset.source.path} has none; --label names their column; without labels there are {others}"
    return f"no training sample of {task.dataset.source.path} has one; without labels there are {others}"
