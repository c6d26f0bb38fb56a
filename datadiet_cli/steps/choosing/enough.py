"""`keep: auto`: the fewest samples that train as well as all, by a proof on samples that no choice has seen.

The training samples are parted in three: one to choose and to learn from, one to find the share by, one to confirm it
by. Scores are made anew on the first part alone, so that nothing of the others has been seen. What is proved there of a
share of one part is then taken for the same share of all samples, which are more.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from datadiet_cli.config.base import percentage
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.methods.noninferiority import Verdict, amount, verdict
from datadiet_cli.methods.samples.crowd import Plan
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.steps.choosing.base import STEP, Ints, task_of
from datadiet_cli.steps.choosing.known import Known, Need, known_of
from datadiet_cli.steps.choosing.trials import Choices, Job, Trials, need_labels, number_in, seeds_of
from datadiet_cli.steps.division import VALIDATION_NAMES, divide
from datadiet_cli.steps.teaching.material import Material, material_of

SHARES = (0.05, *(step / 10 for step in range(1, 10)))
SEARCHED, CONFIRMED = 3, 5
"""Trainings of each kind that a share is found by, and confirmed by."""
ATTEMPTS = 3
SEARCH_SEED, CONFIRM_SEED = 3000, 4000
"""Apart from those of all other trainings, so that what is found by some is confirmed by others."""
_PART = 0.2
"""Of the training samples, for each of the two parts that are judged by."""
_OF_SPLIT = 0.1
"""A validation split is the part to find the share by if it has at least as many for each training sample."""


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
    """Samples to choose from, and those to be judged by: (k,) int64 positions in a material."""

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
    material = material_of(_together(known), task.settings, task.context, STEP)
    parts = _parts(known, plan, material)
    trials = Trials(task, material, "enough")
    search = _Search(known, plan, parts, trials)
    found = search.found()
    sure = None if found is None else search.confirmed(found)
    seen = parts.samples_seen + trials.samples_seen
    table = [{"part": part, "share": share, "kept": kept, **one.as_json()} for part, share, kept, one in search.tried]
    if sure is None:
        return Enough(n, table, [*parts.notes, search.failure(found)], seen)
    share = SHARES[sure]
    proof = search.tried[-1][3]
    words = (
        f"keep auto: {percentage(share)} train as well as all: {proof.words}, by {proof.seeds} trainings of each, and "
        f"{proof.samples:,} samples that neither the choice nor the search has seen"
    )
    return Enough(number_in(round(share * n), n, known.crowd), table, [*parts.notes, words], seen)


def _together(known: Known) -> Dataset:
    """The samples that can be chosen from, and those of a validation split that is large enough."""
    task, dataset = known.task, known.task.dataset
    own = np.isin(dataset.rows, task.view.rows[known.rows])
    validates = np.array([*(name.strip().lower() in VALIDATION_NAMES for name in dataset.split_names), False])
    held = validates[dataset.splits] & (dataset.labels != UNKNOWN)
    return dataset.keep(own | held if held.sum() >= _OF_SPLIT * own.sum() else own)


def _parts(known: Known, plan: Plan, material: Material) -> _Parts:
    """Part the samples, and find out all that the plan chooses by from the first part alone."""
    task, settings, both = known.task, known.task.settings, material.dataset
    part = divide(
        both, material.goal, validation=_PART / (1 - _PART), test=_PART, seed=task.context.seed, usable=material.usable
    )
    learned = both.rows[part.train]
    if settings.scores is not None or settings.record is not None:
        source = task.view.rows[known.rows]
        mine = np.flatnonzero(np.isin(source, learned))
        crowd, rows, seen = known.crowd.some(mine), source[mine], 0
        notes = [
            "keep auto: the scores were made before, by models that saw the samples which judge the choice; this may "
            "flatter it"
        ]
    else:
        alone = task.dataset.keep(np.isin(task.dataset.rows, learned))
        one = task_of(alone, settings.model_copy(update={"method": plan.method}), task.context, task.kept)
        own = known_of(one, _need(known, plan))
        crowd, rows, notes = own.crowd, own.task.view.rows[own.rows], []
        seen = 0 if own.scored is None else own.scored.samples_seen
    choices = Choices(crowd, np.searchsorted(both.rows, rows), task, {})
    return _Parts(choices, part.validation, part.test, seen, notes)


def _need(known: Known, plan: Plan) -> Need:
    """What a plan chooses by, as far as it is known of all samples."""
    information = plan.information if plan.method == "composite" else plan.method
    told = information in DYNAMICS or plan.rule == "dual-beta" or plan.beta > 0
    told |= known.task.settings.space == "model"
    return Need(told and known.scored is not None, known.looks is not None, known.judged is not None)


@dataclass(eq=False)
class _Search:
    """Finds the share.

    Attributes:
        known: of all samples.
        plan: how they are chosen.
        parts: of the samples.
        trials: trains and asks.
        tried: part, share, number kept and verdict of each comparison, in order.
    """

    known: Known
    plan: Plan
    parts: _Parts
    trials: Trials
    tried: list[tuple[str, float, int, Verdict]] = field(default_factory=list)

    def found(self) -> int | None:
        """Place in `SHARES` of the smallest that passes, by halving; None if none does."""
        confidence = self.known.task.settings.confidence
        low, high = -1, len(SHARES)
        while high - low > 1:
            middle = (low + high) // 2
            passed = self._passes("search", middle, self.parts.search, SEARCH_SEED, SEARCHED, confidence)
            low, high = (low, middle) if passed else (middle, high)
        return high if high < len(SHARES) else None

    def confirmed(self, found: int) -> int | None:
        """Place of the first that passes once more, from what was found on; None if a few do not.

        Each attempt is held to a part of the error that the confidence allows (Bonferroni).
        """
        confidence = _sterner(self.known.task.settings.confidence)
        for place in range(found, min(found + ATTEMPTS, len(SHARES))):
            if self._passes("confirm", place, self.parts.confirm, CONFIRM_SEED, CONFIRMED, confidence):
                return place
        return None

    def failure(self, found: int | None) -> str:
        """Why everything stays."""
        margin = amount(self.known.task.settings.max_accuracy_drop, self.trials.unit)
        _, share, _, last = max(self.tried, key=lambda one: (one[0] == "confirm", one[1]))
        why = "no share is proved to train as well" if found is None else "what was found was not confirmed"
        return (
            f"keep auto: everything stays, for {why} within {margin} (--max-accuracy-drop); with {percentage(share)} "
            f"kept: {last.words}"
        )

    def _passes(self, part: str, place: int, judged: Ints, first: int, count: int, confidence: float) -> bool:
        choices, settings = self.parts.choices, self.known.task.settings
        keep = number_in(round(SHARES[place] * len(choices.rows)), len(choices.rows), choices.crowd)
        seeds = seeds_of(self.known.task.context, first, count)
        jobs = [Job(np.sort(choices.rows), judged, seed) for seed in seeds]
        jobs += [Job(choices.chosen(self.plan, keep, seed), judged, seed) for seed in seeds]
        said = np.stack(self.trials.run(jobs, f"training with {percentage(SHARES[place])} of the samples"))
        before, after = (self.trials.scores(values, judged) for values in (said[:count], said[count:]))
        found = verdict(before, after, settings.max_accuracy_drop, confidence, unit=self.trials.unit)
        self.tried.append((part, SHARES[place], keep, found))
        return found.noninferior


def _sterner(confidence: float) -> float:
    """Of each attempt; rounded up to what people can read, where that leaves a doubt."""
    exact = 1 - (1 - confidence) / ATTEMPTS
    rounded = ceil(exact * 1e4) / 1e4
    return rounded if rounded < 1 else exact
