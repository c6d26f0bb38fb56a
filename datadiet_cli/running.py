"""The steps of a run, one after the other, each on what the one before left."""

import os
import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import xxhash

from datadiet_cli.baseline import accepted, read_baseline
from datadiet_cli.changes import Workshop
from datadiet_cli.config.base import Common
from datadiet_cli.config.registry import load, spec_of
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.scan import UNCOPYABLE
from datadiet_cli.encode.cache import TRAININGS, Cache, NoCache, cache_folder
from datadiet_cli.nn.description import DESCRIPTION
from datadiet_cli.nn.modelfile import WEIGHTS
from datadiet_cli.outcome import Action, Outcome, Verdicts
from datadiet_cli.report.terminal import placed
from datadiet_cli.report.verdicts import StepResult
from datadiet_cli.request import Progress, Request, engine_of, reading_of
from datadiet_cli.resume import Memory, key_of
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.safeguard import keep_classes


class Ran(NamedTuple):
    """What came of the steps.

    Attributes:
        results: of the opening, then of each step.
        engine: who did the work, for the report.
    """

    results: list[StepResult]
    engine: dict[str, Any]


def compute(request: Request, dataset: Dataset, state: str, workshop: Workshop, progress: Progress) -> Ran:
    """Run the steps, or recall what they decided before.

    Args:
        request: what was asked for.
        dataset: INPUT.
        state: the signature of all that is read.
        workshop: where new files are made.
        progress: announces work.

    Raises:
        DatadietError: a step cannot do what it was asked for, or the engine was lost.
    """
    common = request.common
    remembered = Cache(request.environment) if request.remembers else NoCache()
    with engine_of(common, dataset) as engine, remembered as cache:
        context = Context(
            engine,
            common.seed,
            common.device,
            common.max_pixels,
            progress,
            cache=cache,
            reading=reading_of(common),
            replay=request.replay,
            new_folder=workshop.new_folder,
            checkpoints=os.path.join(cache_folder(request.environment), TRAININGS) if request.remembers else None,
            rerun=request.rerun,
        )
        return Ran(_steps(request, dataset, state, workshop, context), engine.facts())


def _steps(request: Request, dataset: Dataset, state: str, workshop: Workshop, context: Context) -> list[StepResult]:
    common = request.common
    memory = Memory(request.environment, enabled=request.remembers and request.replay is None)
    known = frozenset() if common.baseline is None else read_baseline(common.baseline)
    opened = _opening(dataset)
    results = [StepResult("open", {}, len(dataset), opened, 0.0, dataset.without(opened.verdicts.dropped()))]
    context = replace(context, opened=results[0].after)
    digests: list[str] = []
    progress = context.progress
    for number, step in enumerate(request.steps, 1):
        begun = time.perf_counter()
        current = results[-1].after
        step_key = key_of(request.key(state, number), digests)
        context = replace(context, progress=placed(progress, number, len(request.steps), step.name))
        outcome = None if request.rerun else memory.recall(step_key)
        resumed = outcome is not None
        if outcome is None:
            outcome = load(spec_of(step.name).run)(current, step.settings, context)
            memory.store(step_key, outcome)
        outcome = accepted(_apply_unreadable(outcome, current, common), current, known)
        encoding = context.reading.table.encoding
        changed = workshop.apply(
            current, outcome.changes, context.engine, context.max_pixels, encoding, context.progress
        )
        for folder in outcome.folders.values():
            context = replace(context, models=(*context.models, (step.name, folder)))
            digests.append(_digest(folder))
        after = changed.without(outcome.verdicts.dropped())
        if outcome.transform is not None and outcome.transform.of_vectors:
            after = replace(after, selection=outcome.transform)
        settings = step.settings.model_dump(mode="json")
        seconds = time.perf_counter() - begun
        results.append(StepResult(step.name, settings, len(current), outcome, seconds, after, resumed))
    return results


def _digest(folder: str) -> str:
    """Of the weights and the description of a model that a step made, which a later step may look at."""
    hasher = xxhash.xxh3_128()
    for name in (WEIGHTS, DESCRIPTION):
        with open(os.path.join(folder, name), "rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()


def _opening(dataset: Dataset) -> Outcome:
    """What cannot be carried over at all is dropped before the first step, with its reason."""
    causes = dataset.source.causes()
    rows = sorted(causes)
    words = [f"{causes[row]}: {UNCOPYABLE[causes[row]]}" for row in rows]
    return Outcome(Verdicts.of(rows, Action.DROP, "unreadable", detail=words))


def _apply_unreadable(outcome: Outcome, dataset: Dataset, common: Common) -> Outcome:
    """Steps flag what they cannot read; dropping it is the user's choice, and never done to evaluation data."""
    if common.unreadable == "keep":
        return outcome
    verdicts = outcome.verdicts
    training = np.isin(verdicts.sample, dataset.rows[dataset.training])
    action = verdicts.action.copy()
    action[(verdicts.reason == "unreadable") & training] = Action.DROP
    rank = np.arange(int(dataset.rows.max(initial=-1)) + 1)
    return replace(outcome, verdicts=keep_classes(dataset, replace(verdicts, action=action), rank))
