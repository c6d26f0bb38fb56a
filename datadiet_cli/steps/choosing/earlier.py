"""Scores that need no training here: of a record that `train` wrote, or of files of scores."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from datadiet_cli.config.select_samples import TERMS, SelectSamples
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.samples.crowd import Plan
from datadiet_cli.steps.choosing.base import STEP, Looks, Task
from datadiet_cli.steps.choosing.plans import UNSCORED
from datadiet_cli.steps.choosing.scorefile import Scores, matched, merged, read
from datadiet_cli.steps.choosing.scoring import Scored, of_data, seen_by
from datadiet_cli.steps.choosing.told import by_one, held_of, together
from datadiet_cli.steps.teaching.recording import record_of
from datadiet_cli.steps.teaching.using import shown, trained

CHOSEN_BY = "chosen_by"
"""In the provenance of a file of scores: how samples were chosen when it was written."""
_OF_TRAINING = (
    "model", "epochs", "batch_size", "optimiser", "learning_rate", "models", "early", "folds", "gradient",
)  # fmt: skip


def as_before(settings: SelectSamples) -> SelectSamples:
    """The settings, with the method that scores were made for where they name none.

    Raises:
        ConfigError: nobody has said which.
        InputError: the file cannot be read.
    """
    if settings.scores is None or settings.candidates is not None or "method" in settings.model_fields_set:
        return settings
    said = read(settings.scores[0]).provenance.get(CHOSEN_BY)
    if not isinstance(said, Mapping):
        raise ConfigError(f"{STEP}: {settings.scores[0]}: does not say for which method it was made; name --method")
    typed = settings.model_fields_set
    own = {"method": said["method"], "information": said["information"], "weights": said["weights"]}
    if not {"rule", "beta"} & typed:
        # A cut goes with its rule.
        own |= {"rule": said["rule"] or "auto", "beta": said["beta"]}
    return settings.model_copy(update={name: value for name, value in own.items() if name not in typed})


def signed(scores: Scores, plan: Plan) -> Scores:
    """Scores with a word on how was chosen by them."""
    rule = None if plan.method in UNSCORED else plan.rule
    weights = [f"{name}={weight}" for name, weight in zip(TERMS, plan.weights, strict=True)]
    by = {
        "method": plan.method,
        "rule": rule,
        "beta": plan.beta,
        "information": plan.information,
        "weights": weights if plan.method == "composite" else None,
    }
    return replace(scores, provenance={**scores.provenance, CHOSEN_BY: by})


def unused(settings: SelectSamples) -> list[str]:
    """A note on settings of a training where there is none."""
    names = _OF_TRAINING if settings.scores is None else (*_OF_TRAINING, "score_epoch", "window")
    given = [name for name in names if name in settings.model_fields_set]
    if not given or (settings.scores is None and settings.record is None) or settings.keep == "auto":
        return []
    flag = "--record" if settings.scores is None else "--scores"
    return [f"without effect, for {flag} needs no training: {', '.join(given)}"]


def recorded(task: Task) -> Scored:
    """Score the samples in view by the record that `train` wrote.

    Raises:
        ConfigError: the record is of too few epochs for anything.
        InputError: it is no record, is damaged, or of other samples.
    """
    folder = str(task.settings.record)
    begun = time.perf_counter()
    record, ids, labels = record_of(folder, task.view.source.fingerprint())
    facts = record.facts
    if facts.recipe.get("dynamic"):
        raise InputError(
            f"{folder}: is of a training that left samples out of its passes, and its record repeats what it knew "
            "of them; train without --dynamic to score samples"
        )
    single = [by_one(held_of(record, number), task.settings, facts.epochs) for number in range(facts.models)]
    provenance = {"record": facts.key, "seeds": list(facts.seeds), "epochs": facts.epochs, "how": facts.how}
    found = Scores(ids, labels, together(single), {**of_data(task), **provenance})
    looks = _as_seen(folder, task) if task.settings.space == "model" else None
    return Scored(
        matched(_with_missing(found, task), task.view.ids, task.labels, folder),
        looks=looks,
        seconds=time.perf_counter() - begun,
    )


def _with_missing(found: Scores, task: Task) -> Scores:
    """With no score for samples of the same data that `train` could not read, or held out to judge by."""
    ids, there = task.view.ids, set(found.ids)
    missing = [row for row, name in enumerate(ids) if name not in there]
    if not missing:
        return found
    labels = None if found.labels is None or task.labels is None else [task.labels[row] for row in missing]
    return Scores(
        [*found.ids, *(ids[row] for row in missing)],
        None if labels is None or found.labels is None else [*found.labels, *labels],
        {name: np.append(values, np.full(len(missing), np.nan)) for name, values in found.values.items()},
        found.provenance,
    )


def _as_seen(folder: str, task: Task) -> Looks:
    """What samples are like to the model of a folder."""
    if not os.path.exists(os.path.join(folder, "model.json")):
        raise ConfigError(f"{STEP}: --space model: {folder} holds no model; name the MODEL_DIR and not its record")
    known = trained(folder, task.settings.factory)
    material = shown(known, task.view, task.context, STEP)
    return seen_by(known.model, material, task)


def read_scores(task: Task, paths: list[str]) -> Scored:
    """The scores of the samples in view that earlier runs wrote down; of several shards the mean.

    Raises:
        ConfigError: a model is wanted that is not there.
        InputError: a file cannot be read, or is of other data, or shards do not belong together.
    """
    if task.settings.space == "model":
        raise ConfigError(f"{STEP}: --space model: scores of earlier runs tell nothing of what a model sees")
    parts = [(path, read(path)) for path in paths]
    fingerprint = task.view.source.fingerprint()
    for path, part in parts:
        if part.provenance.get("fingerprint") != fingerprint:
            raise InputError(f"{path}: was made of other data than {task.path}, or that has changed since; score again")
    whole = merged(parts) if len(parts) > 1 else parts[0][1]
    found = matched(whole, task.view.ids, task.labels, " and ".join(paths))
    models, seeds = found.provenance.get("models"), len(found.seeds)
    notes = () if models in (None, seeds) else (f"these are scores of {seeds} of {models} models; shards are missing",)
    return Scored(found, notes=notes)
