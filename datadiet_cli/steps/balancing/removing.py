"""Which samples of too large groups go."""

from collections.abc import Callable

import numpy as np

from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.undersampling import CLEANING, NOBODY, Removed, undersample
from datadiet_cli.outcome import NO_WITNESS, Action, Verdicts
from datadiet_cli.steps.balancing.base import STEP, Bools, Floats, Ints, Part, Task, nothing
from datadiet_cli.steps.features import features_of, meanings

REASON = "undersampled"

_WHY: dict[str, Callable[[float], str]] = {
    "random": lambda score: "drawn by lot",
    "cluster": lambda score: "another of its cluster stands for it",
    "near-miss": lambda score: "others are nearer to the other classes",
    "tomek": lambda score: "it and one of another class are each the nearest to the other",
    "enn": lambda score: f"{score:.0%} of its three nearest are of other classes",
    "hardness": lambda score: f"its own class has a probability of {1 - score:.2f}",
}


def removed(task: Task) -> Part:
    """Choose the samples that go.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: a named column does not exist.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    settings, counts = task.settings, task.groups.counts
    quota = np.maximum(task.target, np.minimum(counts, settings.min_per_class))
    if settings.under == "none" or not (counts > quota).any():
        return nothing()
    looked = _Looked(task) if settings.under != "random" else None
    usable = np.ones(len(task.members), dtype=bool) if looked is None else looked.usable
    group = np.where(usable, task.groups.code[task.members], -1)
    # What cannot be read stays, and counts.
    blind = counts - np.bincount(group[usable], minlength=len(counts))
    found = undersample(
        np.empty((len(group), 0), dtype=np.float32) if looked is None else looked.matrix,
        group,
        np.maximum(quota - blind, 1),
        settings.under,
        difficulty=_difficulty(task, looked) if settings.under == "hardness" and looked else None,
        seed=task.context.seed,
        label=_labels(task),
        crew=task.context.engine,
    )
    found = _above_floor(task, found)
    parts = [_verdicts(task, found)]
    if looked is not None:
        parts.append(looked.flags)
    return Part(Verdicts.join(parts), _notes(task, quota, found), metrics=looked.metrics if looked else {})


class _Looked:
    """What the members are like, by their place among them."""

    def __init__(self, task: Task) -> None:
        dataset, settings = task.dataset, task.settings
        mask = np.zeros(len(dataset), dtype=bool)
        mask[task.members] = True
        features = features_of(dataset.keep(mask), settings.encoder, settings.columns, task.context, STEP)
        if not features.matrix.shape[1]:
            raise ConfigError(
                f"{STEP}: under {settings.under}: no column tells rows apart; use under random, or name --columns"
            )
        self.matrix = features.matrix
        self.usable: Bools = np.asarray(features.causes == None, dtype=np.bool_)  # noqa: E711 - elementwise
        blind = np.flatnonzero(~self.usable)
        words = meanings(dataset.kind, task.context)
        self.flags = task.unreadable(task.members[blind], features.causes[blind].tolist(), words)
        self.metrics = {"encoder": features.encoder}


def _labels(task: Task) -> Ints | None:
    """Classes of the members, where groups are not the classes."""
    if task.settings.group_by is None or not task.dataset.classes:
        return None
    return task.dataset.labels[task.members].astype(np.int64)


def _difficulty(task: Task, looked: _Looked) -> Floats:
    """How improbable each member's own class is to models that have not seen it; 0 for what has no class."""
    label = task.dataset.labels[task.members].astype(np.int64)
    fit = looked.usable & (label >= 0)
    if len(np.unique(label[fit])) < 2:
        raise ConfigError(f"{STEP}: under hardness needs samples of two classes; use under random or cluster")
    context, classes = task.context, len(task.dataset.classes)
    predicted = out_of_fold(looked.matrix, label, fit, classes, seed=context.seed, crew=context.engine)
    own = predicted.probability[np.arange(len(label)), np.maximum(label, 0)].astype(np.float64)
    return np.where(fit, 1 - own, 0.0)


def _above_floor(task: Task, found: Removed) -> Removed:
    """Without those whose removal would leave their class fewer than it must keep: groups may cut through classes."""
    label = task.dataset.labels[task.members].astype(np.int64)
    if task.settings.group_by is None or not len(found.row):
        return found
    size = np.bincount(label + 1, minlength=len(task.dataset.classes) + 1)
    most = size - np.minimum(size, task.settings.min_per_class)
    most[0] = size[0]
    own = label[found.row] + 1
    order = np.lexsort((found.row, -found.score, own))
    rank = np.arange(len(order)) - np.searchsorted(own[order], own[order])
    goes = np.sort(order[rank < most[own[order]]])
    return Removed(found.row[goes], found.score[goes], found.witness[goes])


def _verdicts(task: Task, found: Removed) -> Verdicts:
    rows, counts = task.dataset.rows[task.members], task.groups.counts.tolist()
    target, names = task.target.tolist(), task.groups.names
    why = _WHY[task.settings.under]
    detail = [
        f"{names[g]} has {counts[g]:,} samples, {target[g]:,} wanted; {why(score)}"
        for g, score in zip(task.groups.code[task.members[found.row]].tolist(), found.score.tolist(), strict=True)
    ]
    # Of two samples that both go neither is a witness.
    stays = (found.witness != NOBODY) & ~np.isin(found.witness, found.row)
    witness = np.where(stays, rows[found.witness], NO_WITNESS)
    return Verdicts.of(rows[found.row], Action.DROP, REASON, score=found.score, witness=witness, detail=detail)


def _notes(task: Task, quota: Ints, found: Removed) -> list[str]:
    gone = np.bincount(task.groups.code[task.members[found.row]], minlength=len(quota))
    left = task.groups.counts - gone
    above = np.flatnonzero(left > quota)
    if not len(above):
        return []
    worst = int(above[np.argmax(left[above] - quota[above])])
    more = f", and {len(above) - 1:,} more groups" if len(above) > 1 else ""
    why = "found no more to remove" if task.settings.under in CLEANING else "what cannot be read stays"
    return [f"under {task.settings.under} {why}: {task.groups.names[worst]} keeps {left[worst]:,}{more}"]
