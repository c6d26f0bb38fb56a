"""Scores that need no training here: of a record that `train` wrote, or of files of scores."""

import os
import time

import numpy as np

from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.choosing.base import STEP, Looks, Task
from datadiet_cli.steps.choosing.scorefile import Scores, matched, merged, read
from datadiet_cli.steps.choosing.scoring import Scored, of_data, seen_by
from datadiet_cli.steps.choosing.told import by_one, held_of, together
from datadiet_cli.steps.teaching.recording import record_of
from datadiet_cli.steps.teaching.using import shown, trained


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
    single = [by_one(held_of(record, number), task.settings) for number in range(facts.models)]
    provenance = {"record": facts.key, "seeds": list(facts.seeds), "epochs": facts.epochs, "how": facts.how}
    found = Scores(ids, labels, together(single), {**of_data(task), **provenance})
    looks = _as_seen(folder, task) if task.settings.space == "model" else None
    return Scored(
        matched(_with_unreadable(found, task, looks), task.view.ids, task.labels, folder),
        looks=looks,
        samples_seen=facts.models * facts.epochs * facts.samples,
        seconds=time.perf_counter() - begun,
    )


def _with_unreadable(found: Scores, task: Task, looks: Looks | None) -> Scores:
    """With no score for samples that `train` could not read; whatever else has no row is left for `matched` to tell."""
    ids, there = task.view.ids, set(found.ids)
    missing = [row for row, name in enumerate(ids) if name not in there]
    if not missing or (looks or task.looks).usable[missing].any():
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
    seen = found.provenance.get("samples_seen", 0)
    return Scored(found, samples_seen=seen if isinstance(seen, int) else 0)
