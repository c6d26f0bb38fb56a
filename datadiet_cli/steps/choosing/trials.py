"""Try choices out: train the reference model on each, side by side, and ask it about samples that it did not see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xxhash

from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.folds import stratified
from datadiet_cli.methods.noninferiority import Unit, r2_scores
from datadiet_cli.methods.samples.choose import choose
from datadiet_cli.methods.samples.crowd import Crowd, Plan
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.choosing.base import STEP, Floats, Ints, Task
from datadiet_cli.steps.choosing.plans import draws
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.division import sample_keys
from datadiet_cli.steps.teaching.lessons import Lesson, Place, key_of_lesson, origin_of, seed_of
from datadiet_cli.steps.teaching.material import Material, Shown, spec_of
from datadiet_cli.steps.teaching.recipes import recipe_of
from datadiet_cli.steps.teaching.results import predicted
from datadiet_cli.steps.teaching.side_by_side import Tutor, side_by_side


class Job(NamedTuple):
    """One training and what it is asked.

    Attributes:
        rows: (k,) int64 positions in the material of those to learn from.
        judged: (m,) int64 positions of those to be judged by.
        seed: of weights and batches.
    """

    rows: Ints
    judged: Ints
    seed: int


class Said(NamedTuple):
    """What a training came to.

    Attributes:
        values: (m,) float64 of those it was judged by: of classes whether it is right, 1 or 0; else the number it says.
        samples_seen: in training.
    """

    values: Floats
    samples_seen: int


class Trials:
    """Trainings of the reference model on parts of a material.

    What was trained is remembered until the step is done, so that an interrupted run loses only trainings under way;
    and the same training is never run twice.

    Args:
        task: names the model and the run.
        material: the samples.
        name: apart from other trials of the same run.

    Attributes:
        samples_seen: by all trainings so far.
        trainings: how many.
    """

    def __init__(self, task: Task, material: Material, name: str) -> None:
        self.samples_seen = 0
        self.trainings = 0
        self._task, self._material = task, material
        self._spec: Spec = spec_of(material, task.settings, material.goal.classes, STEP)
        self._origin = origin_of(task.settings)
        self._tutor = Tutor.of(task.settings, task.context, STEP)
        self._done: dict[str, Floats] = {}
        keys = [name, self._origin, str(task.context.seed), task.settings.model_dump_json(), material.shown.digest]
        self._place = task.kept.enter_context(Place(STEP, keys, task.context))

    @cached_property
    def _sent(self) -> Shown:
        """The samples, sent to workers once for all trainings."""
        return self._task.context.engine.share(self._material.shown)

    @property
    def unit(self) -> Unit:
        """What scores are: of correctness, or of R2."""
        return "points" if self._material.goal.classes else "R2"

    @property
    def bound(self) -> float | None:
        """How far scores of two choices can lie apart; None for any distance."""
        return 1.0 if self._material.goal.classes else None

    def run(self, jobs: Sequence[Job], said: str) -> list[Floats]:
        """Train, and ask.

        Args:
            jobs: what; each learns from two samples at least.
            said: for the progress bar.

        Returns:
            `Said.values` of each job.

        Raises:
            ConfigError, InputError, DatadietError: as `teach`.
        """
        context = self._task.context
        lessons, keys = [], []
        for job in jobs:
            lesson = self._lesson(job)
            asked = xxhash.xxh3_64_hexdigest(np.ascontiguousarray(job.judged).tobytes())
            lessons.append(lesson)
            keys.append(f"{key_of_lesson(lesson, context.device)}-{asked}")
        # Choices may be the same, as those of all methods are where nearly everything stays.
        new = [i for i, key in enumerate(keys) if key not in self._done and keys.index(key) == i]
        tell = context.progress(said, len(new))
        asked_of = [_Asked(lessons[i].recipe, jobs[i], self._place.room(keys[i])) for i in new]
        order = context.engine.share(_Order(self._tutor, self._spec, self._origin, asked_of))
        made = side_by_side(_answered, len(new), [self._sent, order], self._tutor, context, tell)
        for i, one in zip(new, made, strict=True):
            self._done[keys[i]] = one.values
            self.samples_seen += one.samples_seen
            self.trainings += 1
        return [self._done[key] for key in keys]

    def scores(self, values: Floats, judged: Ints) -> Floats:
        """(S, m) scores of what S trainings say of m samples: correctness, or what R2 is the mean of.

        Raises:
            ConfigError: the numbers to predict are all equal.
        """
        if self._material.goal.classes:
            return values
        try:
            return r2_scores(self._material.goal.values[judged], values)
        except ValueError as error:
            raise ConfigError(f"{STEP}: {self._task.path}: trainings cannot be compared: {error}") from error

    def _lesson(self, job: Job) -> Lesson:
        task = self._task
        if len(job.rows) < 2:
            raise InputError(f"{STEP}: {task.path}: {len(job.rows)} samples to learn from; at least 2 are needed")
        context = task.context
        recipe = recipe_of(task.settings, self._spec, len(job.rows), context.device, STEP, context.engine)
        none = np.empty(0, dtype=np.int64)
        return Lesson(self._spec, recipe, self._material.shown, job.rows, none, job.seed, "", self._origin)


class _Asked(NamedTuple):
    """A training of a part of a material, which is sent by itself, and its folder for checkpoints."""

    recipe: Recipe
    job: Job
    room: str


class _Order(NamedTuple):
    """What trainings of a material have in common, and what each has of its own."""

    tutor: Tutor
    spec: Spec
    origin: str
    asked: Sequence[_Asked]


def _answered(numbers: Sequence[int], shown: Shown, order: _Order) -> list[Said]:
    """Train, and ask, wherever this runs."""
    tutor, none, done = order.tutor, np.empty(0, dtype=np.int64), []
    for recipe, job, room in (order.asked[number] for number in numbers):
        lesson = Lesson(order.spec, recipe, shown, job.rows, none, job.seed, "", order.origin)
        with tutor.at_work():
            fitted = tutor.teach(lesson, room)
            values = predicted(fitted.model, shown, job.judged, tutor.context)
        if shown.goal.classes:
            values = (values.argmax(axis=1) == shown.goal.values[job.judged]).astype(np.float64)
        done.append(Said(values, fitted.samples_seen))
    return done


@dataclass(frozen=True, eq=False)
class Choices:
    """Choices among some samples, by whatever plan; those that hang on no seed are made once.

    Attributes:
        crowd: n samples.
        rows: (n,) int64 their positions in the material.
        task: the run.
        made: those that were made before.
    """

    crowd: Crowd
    rows: Ints
    task: Task
    made: dict[tuple[Plan, int, int], Ints]

    def chosen(self, plan: Plan, keep: int, seed: int) -> Ints:
        """(k,) int64 positions in the material, ascending.

        Raises:
            ConfigError: so many cannot be chosen by the plan.
        """
        key = (plan, keep, seed if draws(plan) else 0)
        if key not in self.made:
            try:
                self.made[key] = np.sort(
                    self.rows[choose(self.crowd, plan, keep, key[2], self.task.context.engine).kept]
                )
            except ValueError as error:
                raise ConfigError(f"{STEP}: {self.task.path}: {error}") from error
        return self.made[key]


def dealt(task: Task, usable: Ints, folds: int) -> Ints:
    """Deal samples in view out, of each class as many to each fold, whatever the order of files or rows.

    Returns:
        (n,) int64 folds from 0 on; 0 for those that are not usable.
    """
    fold = np.zeros(len(task), dtype=np.int64)
    if folds > 1:
        keys = sample_keys(task.view)
        order = usable[np.lexsort((usable, keys[usable]))]
        fold[order] = stratified(task.label[order], np.ones(len(order), dtype=bool), folds)
    return fold


def need_labels(task: Task, flag: str, instead: str) -> None:
    """Say that trainings cannot be compared where there is nothing to predict.

    Raises:
        ConfigError: there are no labels, or several to a sample.
    """
    if task.goal is None:
        none = "there are no labels" if not task.dataset.class_sets else "labels stand for several classes at once"
        raise ConfigError(f"{STEP}: {task.path}: {flag} compares trainings, and {none}; name {instead}")


def number_in(keep: int, n: int, crowd: Crowd) -> int:
    """How many of a part are to be kept where it is `keep` of n in all; of each group one at least."""
    groups = len(np.unique(crowd.group))
    return min(max(round(keep * len(crowd) / n), groups, 2), len(crowd))


def seeds_of(context: Context, first: int, count: int) -> list[int]:
    """The seeds of trainings by their numbers."""
    return [seed_of(context.seed, first + number) for number in range(count)]
