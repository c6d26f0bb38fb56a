"""Prove what a dataset lost: train the same model on before and after, and compare them by the same test samples.

Or compare two models that are there, on test data.
"""

from contextlib import ExitStack
from typing import Any

import numpy as np

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Outcome, Verdicts
from datadiet_cli.steps.comparing import compare
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.evaluating.arms import planned, trained
from datadiet_cli.steps.evaluating.gating import brakes_of
from datadiet_cli.steps.evaluating.models import compared_models
from datadiet_cli.steps.evaluating.trial import STEP, trial_of
from datadiet_cli.steps.teaching.lessons import resumable


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
    timings: dict[str, dict[str, Any]] = {"training": {}, "inference": {}}
    recipes: list[dict[str, Any]] = []
    notes = [*trial.notes, *trial.after.material.notes]
    judged = trial.before.test
    protocols = ("epochs", "iterations") if settings.protocol == "both" else (settings.protocol,)
    with ExitStack() as kept, resumable(context):
        for protocol in protocols:
            plans, told = planned(trial, settings, protocol, context)
            model = plans[0].spec.model
            recipes.append(plans[0].recipe.as_json())
            arms = trained(plans, settings, context, kept)
            try:
                values = judged.goal.values[trial.before.rows]
                blocks[protocol] = compare(arms, values, trial.classes, settings, context.seed)
            except ValueError as error:
                where = judged.dataset.source.path
                raise InputError(f"{STEP}: {where}: the test samples tell no difference: {error}") from error
            notes += [note for note in (*told, *blocks[protocol]["notes"]) if note not in notes]
            timings["training"][protocol] = {arm.name: np.round(np.asarray(arm.seconds), 3).tolist() for arm in arms}
            timings["inference"][protocol] = {arm.name: np.round(np.asarray(arm.inference), 4).tolist() for arm in arms}
    first = blocks[protocols[0]]
    metrics = {
        "task": trial.before.material.goal.task,
        "model": model,
        "recipe": recipes[0],
        "test_samples": len(trial.before.rows),
        "leaked": trial.leaked,
        "protocols": blocks,
        "notes": notes,
    }
    verdicts = Verdicts.join([trial.after.material.unreadable(context)])
    figures = first["figures"]
    return Outcome(verdicts, metrics, brakes=brakes_of(settings, figures), figures=figures, timings=timings)
