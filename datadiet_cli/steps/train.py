"""Train a reference model on a dataset, and write down how each sample was learned.

Only training samples are learned from. A validation split tells how it goes and, if asked for, when to stop; a test
split is looked at once, at the end. What dynamic pruning is compared with is trained by the same seeds, and judged by
the test split, or else by the one for validation; where there is neither, training samples are held out for that.
"""

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from datadiet_cli.config.train import Train
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.outcome import Outcome
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.division import Division, divide
from datadiet_cli.steps.teaching.controls import NOWHERE, compared, dynamic_of, judge_of, wants_controls
from datadiet_cli.steps.teaching.lessons import Lesson, Place, key_of_lesson, origin_of, resumable, seed_of, teach
from datadiet_cli.steps.teaching.material import Material, material_of, spec_of
from datadiet_cli.steps.teaching.recipes import recipe_of
from datadiet_cli.steps.teaching.recording import RECORD, facts_of, write_samples
from datadiet_cli.steps.teaching.results import curve_of, measured, predicted
from datadiet_cli.transformfile import transform_files

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model
    from datadiet_cli.nn.record import Record
    from datadiet_cli.nn.training import Fitted

STEP = "train"


def run(dataset: Dataset, settings: Train, context: Context) -> Outcome:
    """Train a model and give its folder, with the record of the training.

    Raises:
        ConfigError: the settings do not fit the data, or the training diverges.
        InputError: nothing can be learned from, or a named column or model does not exist.
        MissingExtraError: what reads or encodes the samples is not installed.
        DatadietError: memory ran out.
    """
    material = material_of(dataset, settings, context, STEP)
    division = _divided(material, settings, context)
    if settings.patience is not None and not len(division.validation):
        raise ConfigError(f"{STEP}: --patience needs validation data: a split of that name, or --validation above 0")
    if len(division.train) < 2:
        raise InputError(f"{dataset.source.path}: {len(division.train)} samples to learn from; at least 2 are needed")
    spec = spec_of(material, settings, material.goal.classes, STEP)
    recipe = recipe_of(settings, spec, len(division.train), context.device, STEP)
    recipe = replace(recipe, patience=settings.patience, **dynamic_of(settings, STEP))
    lessons = _lessons(material, spec, recipe, division, settings, context)
    from datadiet_cli.nn.record import Record
    from datadiet_cli.nn.recorder import Recorder

    facts = None if settings.record == "none" else facts_of(material, lessons, division.train, settings.record)
    keys = [key_of_lesson(lesson, context.device) for lesson in lessons]
    fitted = []
    with Place(STEP, [*keys, "" if facts is None else facts.key], context) as place, resumable(context):
        record = None if facts is None else Record.create(os.path.join(place.path, RECORD), facts)
        for number, lesson in enumerate(lessons):
            recorder = None if record is None else Recorder(record, number)
            room = place.room(f"model-{number}")
            fitted.append(teach(lesson, settings, context, STEP, folder=room, recorder=recorder))
        metrics = _metrics(material, division, spec, recipe.as_json(), fitted, context)
        timings: dict[str, Any] = {}
        judge = judge_of(division) if wants_controls(settings) else None
        if judge is not None:
            told = compared(lessons, fitted, judge, settings, context, place, STEP)
            metrics["dynamic"], timings["dynamic"] = told
        elif wants_controls(settings):
            metrics["notes"].append(NOWHERE)
        # Of a model that went on from another one, this is the last part of its training only.
        extra = {} if settings.from_model is not None else {"recipe": recipe.as_json()}
        folder = _written(material, spec, fitted[0], extra, division, record, context)
    return Outcome(material.unreadable(context), metrics, folders={".model": folder}, timings=timings)


def _lessons(
    material: Material, spec: Spec, recipe: Recipe, division: Division, settings: Train, context: Context
) -> list[Lesson]:
    """The trainings, each with a seed of its own."""
    origin = origin_of(settings)
    return [
        Lesson(
            spec, recipe, material, division.train, division.validation, seed_of(context.seed, number),
            "training" if settings.models == 1 else f"training {number + 1} of {settings.models}", origin,
        )
        for number in range(settings.models)
    ]  # fmt: skip


def _divided(material: Material, settings: Train, context: Context) -> Division:
    """The parts; some training samples are held out if something hangs on it and there is no split for that."""

    def parts(held_out: float) -> Division:
        return divide(
            material.dataset,
            material.goal,
            validation=held_out,
            test=None,
            seed=context.seed,
            usable=material.usable,
        )

    division = parts(settings.validation if settings.patience is not None else 0.0)
    if wants_controls(settings) and judge_of(division) is None:
        division = parts(settings.validation)
    return division


def _metrics(
    material: Material, division: Division, spec: Spec, recipe: dict[str, Any], fitted: "list[Fitted]", context: Context
) -> dict[str, Any]:
    first = fitted[0]
    found: dict[str, Any] = {}
    for name, rows in (("validation", division.validation), ("test", division.test)):
        if len(rows):
            said = predicted(first.model, material, rows, context)
            found[name] = {
                "samples": len(rows),
                **measured(said, material, rows, spec.classes),
                **curve_of(said, material, rows, spec.classes),
            }
    notes = [*material.notes, *division.notes]
    if not found:
        notes.append("no split for validation or test: how good the model is, `datadiet evaluate` says")
    return {
        "model": spec.model,
        "task": material.goal.task,
        "parameters": sum(parameter.numel() for parameter in first.model.parameters()),
        "inputs": [field.name for field in spec.fields],
        "classes": list(spec.classes),
        "recipe": recipe,
        "learned_from": len(division.train),
        "epochs": first.epochs,
        "best_epoch": first.best_epoch,
        "samples_seen": first.samples_seen,
        "history": first.history,
        "models": len(fitted),
        **found,
        "notes": notes,
    }


def _written(
    material: Material,
    spec: Spec,
    fitted: "Fitted",
    extra: dict[str, Any],
    division: Division,
    record: "Record | None",
    context: Context,
) -> str:
    """A folder with the model, what makes its vectors, and the record."""
    from datadiet_cli.nn.modelfile import save

    folder = context.new_folder()
    some = division.train[: min(8, len(division.train))]
    examples = material.samples(some).inputs
    save(folder, cast("Model", fitted.model), spec, examples=examples, extra=extra)
    if material.transform is not None:
        for ending, content in transform_files([material.transform], material.dataset.kind).items():
            write_atomically(os.path.join(folder, f"vectors{ending}"), content)
    if record is not None:
        place = os.path.join(folder, RECORD)
        shutil.copytree(record.folder, place)
        write_samples(place, material, division.train)
    return folder
