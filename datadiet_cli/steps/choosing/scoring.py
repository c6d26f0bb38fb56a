"""Score samples by how models learn them: train, or read the record of a training, or scores that were made before."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datadiet_cli import __version__
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.samples.dynamics import early_epoch
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.choosing.base import STEP, Floats, Ints, Looks, Small, Task
from datadiet_cli.steps.choosing.learning import Course, Told, features_by, learn
from datadiet_cli.steps.choosing.plans import usual_rule
from datadiet_cli.steps.choosing.scorefile import Scores
from datadiet_cli.steps.choosing.told import (
    by_one,
    check_told,
    held_of,
    models_of,
    stop_of,
    together,
    wants_full,
    window_of,
)
from datadiet_cli.steps.choosing.trials import dealt
from datadiet_cli.steps.teaching.lessons import Lesson, Place, key_of_lesson, origin_of, seed_of
from datadiet_cli.steps.teaching.material import Material, material_of, spec_of
from datadiet_cli.steps.teaching.recipes import recipe_of
from datadiet_cli.steps.teaching.recording import RECORD, facts_of, put_files
from datadiet_cli.steps.teaching.side_by_side import Tutor, side_by_side

if TYPE_CHECKING:
    from torch import nn

    from datadiet_cli.nn.record import Record

TABLE_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Scored:
    """What models told of n samples.

    Attributes:
        scores: by name, with confidence and hardness; NaN where a sample took no part.
        single: the same by each model alone, in the order of the folds where models leave one out.
        fold: (n,) int64, the fold of each sample; zeros where there are no folds.
        looks: what samples are like to the first model, with `space` model.
        material: the samples in the form of a model; None where nothing was trained here.
        samples_seen: by all trainings together; none where scores were made before.
        seconds: wall time of all of it.
        notes: what people should be told.
    """

    scores: Scores
    single: Sequence[Mapping[str, Floats]] = ()
    fold: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    looks: Looks | None = None
    material: Material | None = None
    samples_seen: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


def scored(task: Task, *, leave_out: int = 0) -> Scored:
    """Train models on the samples in view and score these by the record of it.

    Args:
        task: names the model, and how many of them.
        leave_out: how many folds there are, of which each model leaves one out and says nothing of it, so that it can
            be judged by it; 0 for models by `SelectSamples.models` and `folds`.

    Raises:
        ConfigError: the settings do not fit the data, or a training diverges.
        InputError: nothing can be learned from.
    """
    settings, context, begun = task.settings, task.context, time.perf_counter()
    material = material_of(task.view, settings, context, STEP)
    usable = np.flatnonzero(material.usable & material.goal.known)
    if len(usable) < 2:
        raise InputError(f"{STEP}: {task.path}: {len(usable)} samples to learn from; at least 2 are needed")
    spec = spec_of(material, settings, material.goal.classes, STEP)
    recipe = recipe_of(settings, spec, len(usable), context.device, STEP, context.engine)
    check_told(settings, recipe.epochs, numbers=material.goal.task == "numbers")
    rule = settings.rule if settings.rule != "auto" else usual_rule(settings.method)
    # Whoever tries several scores out needs them all.
    recipe = recipe if leave_out else replace(recipe, stop=stop_of(settings, rule, recipe.epochs))
    plan = _plan(task, material, spec, recipe, usable, leave_out)
    record, told = _taught(plan, task)
    single = [by_one(held_of(record, number), settings, recipe.epochs) for number in range(len(plan.lessons))]
    seen = sum(one.samples_seen for one in told)
    for scores, own in zip(single, told, strict=True):
        if own.lengths is not None:
            scores["grand"] = own.lengths
    values = together(single)
    looks = None if told[0].features is None else _looks(told[0].features, material)
    provenance = {**_provenance(task, plan), "samples_seen": seen, "how": record.facts.how}
    notes = material.notes
    ids = task.view.ids
    return Scored(
        Scores(ids, task.labels, values, provenance),
        single,
        plan.fold,
        looks,
        material,
        seen,
        time.perf_counter() - begun,
        notes,
    )


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is trained to score samples.

    Attributes:
        lessons: one a model, or one a model and fold.
        observed: what each says something of; None for what it learns from.
        fold: (n,) int64 of each sample.
        folds: how many, 1 for none.
        seeds: of the models.
    """

    material: Material
    spec: Spec
    recipe: Recipe
    lessons: Sequence[Lesson]
    observed: Sequence[Ints | None]
    fold: Ints
    folds: int
    seeds: Sequence[int]


def _plan(task: Task, material: Material, spec: Spec, recipe: Recipe, usable: Ints, leave_out: int) -> _Plan:
    settings, origin, none = task.settings, origin_of(task.settings), np.empty(0, dtype=np.int64)
    part, parts = settings.part()
    models = models_of(settings)
    numbers = [number for number in range(models) if number % parts == part - 1]
    folds = leave_out or settings.folds or (TABLE_FOLDS if isinstance(task.view.source, TableSource) else 1)
    folds = min(folds, len(usable))
    if leave_out:
        numbers = [0]
    if not numbers:
        raise ConfigError(f"{STEP}: --shard {settings.shard}: there are only {models} models; give --models")
    fold = dealt(task, usable, folds)
    seeds = [seed_of(task.context.seed, number) for number in numbers]
    lessons, observed = [], []
    for number in numbers:
        for f in range(folds):
            own = usable[fold[usable] == f]
            learned = usable if folds == 1 else usable[fold[usable] != f]
            seed = seed_of(task.context.seed, number * folds + f)
            lessons.append(Lesson(spec, recipe, material.shown, learned, none, seed, "", origin))
            observed.append(own if folds > 1 and not leave_out else None)
    return _Plan(material, spec, recipe, lessons, observed, fold, folds, seeds)


def _taught(plan: _Plan, task: Task) -> "tuple[Record, list[Told]]":
    """Train side by side, and write down how samples were learned."""
    from datadiet_cli.nn.record import Record

    settings, context = task.settings, task.context
    looked = any(part is not None for part in plan.observed)
    facts = facts_of(plan.material, plan.lessons, np.arange(len(task)), "epoch" if looked else "batch")
    keys = [key_of_lesson(lesson, context.device) for lesson in plan.lessons]
    place = task.kept.enter_context(Place(STEP, [*keys, facts.key], context))
    record = Record.create(os.path.join(place.path, RECORD), facts)
    tell = context.progress("training models to score samples", len(plan.lessons))
    tutor = Tutor.of(settings, context, STEP)
    course = Course(
        tutor,
        plan.lessons,
        plan.observed,
        [place.room(str(number)) for number in range(len(plan.lessons))],
        record.folder,
        facts,
        (settings.score_epoch or early_epoch(plan.recipe.epochs) + 1) if wants_full(settings) else None,
        np.flatnonzero(plan.material.usable) if settings.space == "model" else None,
    )
    told = []
    given = context.engine.share(course)
    for number, one in enumerate(side_by_side(learn, len(plan.lessons), [given], tutor, context, tell)):
        put_files(record, number, one.files)
        told.append(one._replace(files={}))
    return record, told


def seen_by(model: "nn.Module", material: Material, task: Task) -> Looks:
    """What samples are like to a trained model: what its head is given.

    Raises:
        ConfigError: the model does not tell.
    """
    return _looks(features_by(model, material, np.flatnonzero(material.usable), task.context.device), material)


def _looks(found: Small, material: Material) -> Looks:
    matrix = np.zeros((len(material.usable), found.shape[1]), dtype=np.float32)
    matrix[material.usable] = found
    return Looks(matrix, material.usable, material.causes, "what a trained model sees")


def of_data(task: Task) -> dict[str, Any]:
    """What scores are of, for their provenance."""
    source = task.view.source
    kind = None if task.goal is None else task.goal.task
    return {"datadiet": __version__, "fingerprint": source.fingerprint(), "kind": source.kind, "task": kind}


def _provenance(task: Task, plan: _Plan) -> dict[str, Any]:
    settings = task.settings
    return {
        **of_data(task),
        "model": plan.spec.model,
        "recipe": plan.recipe.as_json(),
        "epochs": plan.recipe.epochs,
        "seeds": list(plan.seeds),
        "models": models_of(settings),
        "folds": plan.folds,
        "window": window_of(settings, plan.recipe.epochs),
        "score_epoch": settings.score_epoch,
        "gradient": "full" if wants_full(settings) else "last",
    }
