"""Train the reference model on what is compared, several times each, all by the same recipe."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.methods.targets import apportion
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.comparing.arms import Arm
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.evaluating.trial import STEP, Side, Trial
from datadiet_cli.steps.teaching.lessons import Lesson, Place, key_of_lesson, origin_of, seed_of
from datadiet_cli.steps.teaching.material import Shown, spec_of
from datadiet_cli.steps.teaching.recipes import recipe_of
from datadiet_cli.steps.teaching.results import predicted
from datadiet_cli.steps.teaching.side_by_side import Tutor, side_by_side

Ints = NDArray[np.int64]

_FIRST_SEED = 1000
"""Trainings of a comparison have other seeds than those whose records samples are chosen by."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is trained under one name.

    Attributes:
        name: ``after``, ``before``, ``random`` or ``cost``.
        side: where the samples come from.
        spec: the model.
        rows: for each seed the positions to learn from.
        recipe: how.
    """

    name: str
    side: Side
    spec: Spec
    rows: Sequence[Ints]
    recipe: Recipe


class Taught(NamedTuple):
    """What a training came to.

    Attributes:
        said: of the test samples.
        seconds: that the training took by the clock.
        inference: seconds that asking took.
        samples_seen: learned from, each as often as it was.
        epochs: passes.
        steps: of the optimiser.
    """

    said: NDArray[np.float64]
    seconds: float
    inference: float
    samples_seen: int
    epochs: int
    steps: int


def planned(trial: Trial, settings: Evaluate, protocol: str, context: Context) -> tuple[list[Plan], list[str]]:
    """What is trained for a comparison under a protocol, and what people should be told of it.

    Args:
        trial: what is compared.
        settings: name the model, the controls and the number of seeds.
        protocol: ``epochs``: as many passes over each dataset; ``iterations``: as many steps as `before` takes.
        context: the run.
    """
    from datadiet_cli.nn.optimising import plan

    seeds, notes = settings.seeds, []
    n_after, n_before = len(trial.after.train), len(trial.before.train)
    models = [spec_of(side.material, settings, trial.classes, STEP) for side in (trial.after, trial.before)]
    after, before = (recipe_of(settings, spec, n_before, context.device, STEP, context.engine) for spec in models)
    if protocol == "iterations":
        steps = plan(before, n_before).steps
        after, before = replace(after, iterations=steps), replace(before, iterations=steps)
    plans = [
        Plan("after", trial.after, models[0], [trial.after.train] * seeds, after),
        Plan("before", trial.before, models[1], [trial.before.train] * seeds, before),
    ]
    fewer = n_after < n_before
    if "random" in settings.controls and fewer:
        drawn = [_random(trial.before, n_after, seed_of(context.seed, _FIRST_SEED + i)) for i in range(seeds)]
        plans.append(Plan("random", trial.before, models[1], drawn, before))
    if "cost" in settings.controls and fewer and protocol == "epochs":
        steps = plan(after, n_after).steps
        plans.append(
            Plan("cost", trial.before, models[1], [trial.before.train] * seeds, replace(before, iterations=steps))
        )
    if settings.controls == ["cost"] and fewer and protocol == "iterations":
        notes.append("no control cost: all arms are trained for as many steps")
    if not fewer and settings.controls != ["none"]:
        notes.append("no controls: after has no fewer samples than before")
    return plans, notes


def _random(side: Side, size: int, seed: int) -> Ints:
    """Random samples, of each class its share to the nearest sample; a very rare class may have none."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(side.train)
    goal = side.material.goal
    if goal.task == "numbers":
        return np.sort(shuffled[:size])
    code = goal.values[shuffled]
    counts = np.bincount(code, minlength=len(goal.classes))
    quota = np.minimum(apportion(counts, size), counts)
    order = np.argsort(code, kind="stable")
    within = np.arange(len(code)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = shuffled[order[within < quota[code[order]]]]
    return np.sort(chosen)


def trained(plans: Sequence[Plan], settings: Evaluate, context: Context, kept: ExitStack) -> list[Arm]:
    """Train all of a comparison, side by side, and ask each model about the test samples.

    Trainings that came to an end are remembered until all have, so that an interrupted comparison loses only those
    under way; on workers elsewhere as far as `side_by_side` says.

    Args:
        plans: what is trained.
        settings: name the model to start from.
        context: the run.
        kept: holds on to the checkpoints until all is done.

    Returns:
        What came of each plan.

    Raises:
        ConfigError, InputError, DatadietError: as `teach`.
    """
    lessons: list[Lesson] = []
    origin = origin_of(settings)
    for plan in plans:
        none = np.empty(0, dtype=np.int64)
        for i, rows in enumerate(plan.rows):
            seed = seed_of(context.seed, _FIRST_SEED + i)
            lessons.append(Lesson(plan.spec, plan.recipe, plan.side.material.shown, rows, none, seed, "", origin))
    tell = context.progress("training", len(lessons))
    place = kept.enter_context(Place(STEP, [key_of_lesson(lesson, context.device) for lesson in lessons], context))
    sides = [plan.side for plan in plans for _ in plan.rows]
    exams = [
        _Exam(lesson, side.test.shown, side.rows, place.room(str(number)))
        for number, (lesson, side) in enumerate(zip(lessons, sides, strict=True))
    ]
    # One training takes one thread; several side by side take the cores, and none depends on another.
    tutor = Tutor.of(settings, context, STEP)
    given = context.engine.share((tutor, exams))
    results = list(side_by_side(_examined, len(exams), [given], tutor, context, tell))
    arms, start = [], 0
    for plan in plans:
        mine = results[start : start + len(plan.rows)]
        start += len(plan.rows)
        arms.append(_arm(plan, mine))
    return arms


class _Exam(NamedTuple):
    """A training, the samples it is asked about afterwards, and its folder for checkpoints."""

    lesson: Lesson
    test: Shown
    rows: Ints
    room: str


def _examined(numbers: Sequence[int], given: tuple[Tutor, Sequence[_Exam]]) -> list[Taught]:
    """Train, and ask, wherever this runs."""
    tutor, exams = given
    done = []
    for exam in (exams[number] for number in numbers):
        # Around both, so that predictions are timed with as many threads whoever else trains meanwhile.
        with tutor.at_work():
            fitted = tutor.teach(exam.lesson, exam.room)
            begun = time.perf_counter()
            said = predicted(fitted.model, exam.test, exam.rows, tutor.context)
            inference = time.perf_counter() - begun
        done.append(Taught(said, fitted.seconds, inference, fitted.samples_seen, fitted.epochs, fitted.steps))
    return done


def _arm(plan: Plan, made: Sequence[Taught]) -> Arm:
    dataset = plan.side.material.dataset
    return Arm(
        name=plan.name,
        probability=np.stack([one.said for one in made]),
        seconds=np.array([one.seconds for one in made]),
        inference=np.array([one.inference for one in made]),
        samples_seen=np.array([one.samples_seen for one in made], dtype=np.int64),
        samples=len(plan.rows[0]),
        bytes=int(dataset.bytes[plan.rows[0]].sum()),
        epochs=made[0].epochs,
        steps=made[0].steps,
    )
