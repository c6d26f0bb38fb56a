"""All that a choice may rest on: scores, what labels are worth, what samples are like, and what gets quotas."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.centres import representatives
from datadiet_cli.methods.samples.crowd import Crowd
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.outcome import Verdicts
from datadiet_cli.steps.choosing.base import STEP, Floats, Groups, Ints, Looks, Task
from datadiet_cli.steps.choosing.earlier import read_scores, recorded
from datadiet_cli.steps.choosing.judging import Judged, judged
from datadiet_cli.steps.choosing.scorefile import Scores
from datadiet_cli.steps.choosing.scoring import Scored, scored
from datadiet_cli.steps.choosing.told import HARDNESS

WRONG, RIGHT = "wrong", "right"
"""Told beside the scores: see `Judged`."""


class Need(NamedTuple):
    """What a choice rests on.

    Attributes:
        scores: what models told in training.
        looks: features.
        judged: how many labels are wrong, and which.
    """

    scores: bool
    looks: bool
    judged: bool


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the samples in view, as far as it is needed.

    Attributes:
        task: what the step was given.
        scored: what models told.
        looks: features.
        judged: of labels.
        rows: (k,) int64 positions in view of those that can be chosen from.
        groups: of those in view, with `clusters`.
    """

    task: Task
    scored: Scored | None
    looks: Looks | None
    judged: Judged | None
    rows: Ints
    groups: Groups

    @cached_property
    def crowd(self) -> Crowd:
        """Those that can be chosen from, as arrays."""
        rows, found = self.rows, self.judged
        code = self.groups.code[rows]
        wrong = right = None
        if found is not None and np.isfinite(found.wrong[rows]).all():
            wrong, right = found.wrong[rows], found.right[rows]
        values = self.values
        hardness = values[HARDNESS][rows] if values is not None and HARDNESS in values else wrong
        return Crowd(
            group=code,
            label=self.task.label[rows],
            x=None if self.looks is None else self.looks.matrix[rows],
            scores=None if values is None else {name: some[rows] for name, some in values.items()},
            hardness=hardness,
            wrong=wrong,
            recall=None if right is None else _mean(right, code, len(self.groups.names)),
        )

    @property
    def values(self) -> Mapping[str, Floats] | None:
        """The scores of those in view by name."""
        return None if self.scored is None else self.scored.scores.values

    @property
    def left_alone(self) -> int:
        """How many in view cannot be chosen from, and stay."""
        return len(self.task) - len(self.rows)

    @property
    def unreadable(self) -> Verdicts:
        """Flags for what could not be read."""
        return Verdicts.join([]) if self.looks is None else self.task.unreadable(self.looks.causes)

    def scores(self) -> Scores | None:
        """The scores as they are written down, with what is known of labels."""
        if self.scored is None:
            return None
        own, found = self.scored.scores, self.judged
        if found is None:
            return own
        values = {**own.values, WRONG: found.wrong, RIGHT: found.right}
        return Scores(own.ids, own.labels, values, {**own.provenance, "noise": found.as_json()})


def need_of(settings: SelectSamples, rule: str) -> Need:
    """What the settings ask for rests on."""
    method = settings.method
    named = method if method != "composite" else settings.information
    auto, trained = method == "auto", named in DYNAMICS
    given = settings.scores is not None or settings.record is not None
    judged_ = auto or trained or method == "composite" or settings.quota == "drop" or bool(settings.beta)
    judged_ |= rule == "ccs" and settings.beta is None
    scores = auto or trained or rule == "dual-beta" or settings.space == "model" or (given and bool(settings.beta))
    # A file of scores has what was found of labels as well.
    scores |= settings.scores is not None and judged_
    looks = method not in ("random",) or settings.clusters is not None or judged_
    return Need(scores, looks, judged_)


def known_of(task: Task, need: Need, *, leave_out: int = 0) -> Known:
    """Find out what a choice rests on.

    Args:
        task: what the step was given.
        need: what is wanted.
        leave_out: see `scoring.scored`.

    Raises:
        ConfigError: the settings do not fit the data, or each other.
        InputError: a file of scores or a record cannot be read, or is of other data.
    """
    settings = task.settings
    found = _scored(task, leave_out) if need.scores else None
    looks = found.looks if found is not None else None
    if need.looks and looks is None:
        looks = task.looks
    told = _told(found) if found is not None else None
    if need.judged and told is None:
        told = judged(task)
    usable = np.ones(len(task), dtype=bool)
    if looks is not None:
        usable &= looks.usable
    if found is not None:
        usable &= np.isfinite(found.scores.values[HARDNESS])
    groups = task.groups
    usable &= groups.code >= 0
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise InputError(f"{STEP}: {task.path}: no training sample can be read, so there is nothing to choose from")
    if settings.clusters is not None and looks is not None:
        groups = _clustered(task, groups, looks, rows)
    return Known(task, found, looks, told, rows, groups)


def _scored(task: Task, leave_out: int) -> Scored:
    settings = task.settings
    if settings.scores is not None and settings.record is not None:
        raise ConfigError(f"{STEP}: --scores and --record both name what was scored before; choose one")
    if settings.scores is not None:
        return read_scores(task, settings.scores)
    if settings.record is not None:
        return recorded(task)
    if task.goal is None:
        raise ConfigError(
            f"{STEP}: {task.path}: scores tell how labels are learned, and there are none, or several to a sample; "
            "--label or --label-pattern names them, and --method k-center, facility-location or random need none"
        )
    return scored(task, leave_out=leave_out)


def _told(found: Scored) -> Judged | None:
    """What an earlier run found of labels."""
    values, noise = found.scores.values, found.scores.provenance.get("noise")
    if WRONG not in values or not isinstance(noise, Mapping):
        return None
    ends = noise.get("interval")
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return Judged(values[WRONG], values[RIGHT], noise.get("rate"), interval, str(noise.get("why", "")))


def _clustered(task: Task, groups: Groups, looks: Looks, rows: Ints) -> Groups:
    """Part each group into clusters of alike samples, each of which gets a quota."""
    most = task.settings.clusters or 1
    code: Ints = np.full(len(task), -1, dtype=np.int64)
    names: list[str] = []
    own = groups.code[rows]
    for g in np.unique(own).tolist():
        members = rows[own == g]
        witness = representatives(looks.matrix[members], min(most, len(members)), task.context.seed).witness
        _, part = np.unique(witness, return_inverse=True)
        code[members] = len(names) + part
        names += [f"{groups.names[g]} / cluster {i + 1}" for i in range(int(part.max()) + 1)]
    return Groups(code, tuple(names))


def _mean(values: Floats, code: Ints, groups: int) -> Floats:
    """The mean of each group, NaN for an empty one."""
    counts = np.bincount(code, minlength=groups)
    sums = np.bincount(code, weights=values, minlength=groups)
    mean: Floats = np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)
    return mean
