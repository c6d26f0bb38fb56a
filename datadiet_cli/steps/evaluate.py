"""Prove what a dataset lost: train the same model on before and after, and compare them by the same test samples.

Or compare two models that are there, on test data.
"""

import shutil
from collections.abc import Mapping
from typing import Any

from datadiet_cli.config.base import percentage
from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.outcome import Brake, Outcome, Verdicts
from datadiet_cli.steps.comparing import compare
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.evaluating.arms import planned, trained
from datadiet_cli.steps.evaluating.models import compared_models
from datadiet_cli.steps.evaluating.trial import Trial, trial_of
from datadiet_cli.steps.teaching.lessons import resumable

REASONS = {"unreadable": "the content cannot be read"}


def run(dataset: Dataset, settings: Evaluate, context: Context) -> Outcome:
    """Compare.

    Raises:
        ConfigError: the settings do not fit the data, or there is nothing to compare with.
        InputError: a dataset or a model cannot be read, or test samples are in the training data.
        MissingExtraError: what reads or encodes the samples is not installed.
        DatadietError: memory ran out.
    """
    if settings.against_model is not None:
        return compared_models(dataset, settings, context)
    trial = trial_of(dataset, settings, context)
    blocks: dict[str, Any] = {}
    timings: dict[str, Any] = {}
    places: list[str] = []
    notes = list(trial.notes)
    protocols = ("epochs", "iterations") if settings.protocol == "both" else (settings.protocol,)
    with resumable(context):
        for protocol in protocols:
            plans, told = planned(trial, settings, protocol, context)
            arms, used = trained(plans, trial, settings, context)
            places += used
            notes += [note for note in told if note not in notes]
            values = trial.before.test.goal.values[trial.before.rows]
            blocks[protocol] = compare(arms, values, trial.classes, settings, context.seed)
            timings[protocol] = {arm.name: [round(float(s), 3) for s in arm.seconds] for arm in arms}
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
    first = blocks[protocols[0]]
    metrics = {
        "task": trial.before.material.goal.task,
        "model": plans[0].recipe_name(trial, settings),
        "recipe": plans[0].recipe.as_json(),
        "test_samples": len(trial.before.rows),
        "leaked": trial.leaked,
        "protocols": blocks,
        "notes": notes,
    }
    verdicts = Verdicts.join([trial.after.material.unreadable(context)])
    figures = figures_of(first)
    return Outcome(verdicts, metrics, brakes=brakes_of(settings, figures), figures=figures, timings=timings)


def figures_of(block: Mapping[str, Any]) -> dict[str, float]:
    """The shares that gates speak of, out of a comparison."""
    raise NotImplementedError


def brakes_of(settings: Evaluate, figures: Mapping[str, float]) -> list[Brake]:
    """The gates that the step has of its own."""
    brakes = []
    if settings.fail_under is not None:
        value = figures["accuracy"]
        brakes.append(Brake("fail_under", f">= {percentage(settings.fail_under)}", value, value >= settings.fail_under))
    if settings.max_drop is not None:
        value = figures["accuracy_drop"]
        brakes.append(Brake("max_drop", f"<= {percentage(settings.max_drop)}", value, value <= settings.max_drop))
    return brakes
