"""`keep: auto`: the fewest samples that train as well as all, by a proof on samples that no choice has seen.

The training samples are parted in three: one to choose and to learn from, one to find the share by, one to confirm it
by. Scores are made anew on the first part alone, so that nothing of the others has been seen. What is proved there of a
share of one part is then taken for the same share of all samples, which are more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from datadiet_cli.config.base import percentage
from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.methods.noninferiority import Verdict, amount, percent, verdict
from datadiet_cli.methods.samples.choose import Plan
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.steps.choosing.base import STEP, Floats, Ints, task_of
from datadiet_cli.steps.choosing.known import Known, Need, known_of
from datadiet_cli.steps.choosing.trials import Choices, Job, Trials, need_labels, number_in, seeds_of
from datadiet_cli.steps.division import VALIDATION_NAMES, divide
from datadiet_cli.steps.teaching.material import material_of

SHARES = (0.05, *(step / 10 for step in range(1, 10)))
SEARCHED, CONFIRMED = 3, 5
"""Trainings of each kind that a share is found by, and confirmed by."""
ATTEMPTS = 3
_PART = 0.2
"""Of the training samples, for each of the two parts that are judged by."""
_SEARCH_SEED, _CONFIRM_SEED = 3000, 4000
_ENOUGH_OF_A_SPLIT = 0.1
"""A validation split is the part to find the share by if it has as many for each training sample."""


class Enough(NamedTuple):
    """What a search came to.

    Attributes:
        keep: how many of those that can be chosen from stay.
        table: what was tried, in this order, for the report.
        notes: what people should be told.
        samples_seen: by all trainings.
    """

    keep: int
    table: list[dict[str, Any]]
    notes: list[str]
    samples_seen: int = 0


class _Parts(NamedTuple):
    """Samples to choose from, with what chooses, and those to be judged by: (k,) int64 positions in a material."""

    choices: Choices
    search: Ints
    confirm: Ints
    samples_seen: int
    notes: list[str]


def enough(known: Known, plan: Plan) -> Enough:
    """Find the smallest share that a plan may keep.

    Args:
        known: of all samples.
        plan: how they are chosen.

    Raises:
        ConfigError: there are no labels, the settings do not fit the data, or a training diverges.
        InputError: there is nothing to hold out.
    """
    task, n = known.task, len(known.rows)
    need_labels(task, "--keep auto", "a share or a number")
    both = _together(known)
    material = material_of(both, task.settings, task.context, STEP)
    trials = Trials(task, material, "enough")
    parts = _parts(known, plan, both, material.usable)
    search = _Search(known, plan, trials, parts, [], [], {})
    seen, hopeless = parts.samples_seen, search.hopeless()
    if hopeless is not None:
        return Enough(n, [], [*parts.notes, _everything(hopeless)], seen)
    with trials:
        found = search.found()
        sure = None if found is None else search.confirmed(found)
    seen += trials.samples_seen
    if sure is None:
        return Enough(n, search.table, [*parts.notes, _everything(search.last.words)], seen)
    keep = number_in(round(SHARES[sure] * n), n, known.crowd)
    return Enough(keep, search.table, [*parts.notes, _proved(SHARES[sure], search.last)], seen)


def _together(known: Known) -> Dataset:
    """The samples that can be chosen from, and those of a validation split that is large enough."""
    task, dataset = known.task, known.task.dataset
    own = np.isin(dataset.rows, task.view.rows[known.rows])
    names = [name.strip().lower() in VALIDATION_NAMES for name in dataset.split_names]
    held = np.array([*names, False], dtype=bool)[dataset.splits] & (dataset.labels != UNKNOWN)
    return dataset.keep(own | held if held.sum() >= _ENOUGH_OF_A_SPLIT * own.sum() else own)


def _parts(known: Known, plan: Plan, both: Dataset, usable: "np.ndarray[Any, np.dtype[np.bool_]]") -> _Parts:
    task = known.task
    goal = known.scored.material.goal if False else None
    raise NotImplementedError
