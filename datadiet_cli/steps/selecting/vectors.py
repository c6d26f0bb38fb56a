"""The dimensions of samples' vectors: which stay, or what they are turned into. OUTPUT is a plain copy."""

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import ColumnVerdict, Transform
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.selection.base import Columns
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.encoded import Encoded, dataset_vectors, of_encoded
from datadiet_cli.steps.features import meanings
from datadiet_cli.steps.selecting.base import COMPRESSION, STEP, Choice, Goal, Part, Task
from datadiet_cli.steps.selecting.compressing import (
    compression_figures,
    fitted,
    new_names,
    of_components,
    of_inputs,
)
from datadiet_cli.steps.selecting.deciding import decide
from datadiet_cli.steps.selecting.featurefile import FEATURES, feature_file
from datadiet_cli.steps.selecting.goal import goal_of
from datadiet_cli.steps.selecting.projecting import arrays_of
from datadiet_cli.steps.selecting.telling import figures, idle, of_constants, of_others, of_units

_MOST_NUMBERS = 50_000_000
"""Of samples are learned from at most as many as have so many numbers in all."""


def from_vectors(task: Task, column: str | None) -> Part:
    """Choose among the dimensions of the vectors of files, or of a column of texts or file names.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: a .pt2 file may not be loaded.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    dataset, settings = task.dataset, task.settings
    if dataset.selection is not None:
        raise ConfigError(f"{STEP}: an earlier step has selected dimensions already; one selection of them is enough")
    if column is None:
        for flag, given in (("--columns", settings.columns), ("--always-keep", settings.always_keep)):
            if given is not None:
                raise ConfigError(f"{STEP}: {flag} needs a table, and {dataset.source.path} is a folder of files")
    found = dataset_vectors(dataset, settings.encoder, task.context, STEP, column=column)
    choice, flat = _choice(task, found)
    part = _compressed(task, found, choice) if settings.method in COMPRESSION else _selected(task, found, choice)
    constants = of_constants(flat, (), "every training sample has the same number") if choice.names else []
    others: list[ColumnVerdict] = []
    if column is not None:
        source = cast(TableSource, dataset.source)
        why = dict.fromkeys(source.features, f"vectors of {column} are chosen from")
        others = of_others(source, source.features, why)
    assert part.transform is not None  # noqa: S101 - both make one
    file = feature_file(dataset, of_encoded(part.transform, found))
    return replace(
        part,
        columns=[*others, *part.columns, *constants],
        notes=[*choice.goal.notes, *part.notes],
        verdicts=unreadable(dataset, found.causes, task.context),
        artefacts={FEATURES: file},
    )


def unreadable(dataset: Dataset, causes: NDArray[np.object_], context: Context) -> Verdicts:
    """Flags on samples that cannot be read, each with its cause in words."""
    places = np.flatnonzero(causes != None)  # noqa: E711 - elementwise
    known = meanings(dataset.kind, context)
    words = [known.get(cause, cause) for cause in causes[places].tolist()]
    return Verdicts.of(dataset.rows[places], Action.FLAG, "unreadable", detail=words)


def _choice(task: Task, found: Encoded) -> tuple[Choice, list[str]]:
    """The dimensions that vary, and the names of those that do not."""
    goal = _fewer(goal_of(task, found.usable), found.matrix.shape[1], task.context.seed)
    names = found.encoding.names(found.matrix.shape[1])
    x = found.matrix[goal.rows]
    some = x.min(axis=0) < x.max(axis=0)
    chosen = np.flatnonzero(some)
    if not len(chosen):
        raise ConfigError(f"{STEP}: all training samples of {task.dataset.source.path} have the same vector")
    numbers = x[:, chosen].astype(np.float64)
    columns = Columns(numbers, np.empty((len(x), 0), dtype=np.int64))
    always = np.zeros(len(chosen), dtype=bool)
    choice = Choice(tuple(names[i] for i in chosen.tolist()), columns, goal, always, "dimension")
    return choice, [name for name, tells in zip(names, some.tolist(), strict=True) if not tells]


def _fewer(goal: Goal, d: int, seed: int) -> Goal:
    """A goal with as many samples as memory has room for."""
    most = max(1000, _MOST_NUMBERS // max(d, 1))
    if len(goal.rows) <= most:
        return goal
    drawn = np.sort(np.random.default_rng(seed).permutation(len(goal.rows))[:most])
    note = f"learned from {most:,} of the {len(goal.rows):,} training samples"
    target = None if goal.target is None else goal.target.rows(drawn)
    return Goal(goal.rows[drawn], target, goal.task, (*goal.notes, note))


def _selected(task: Task, found: Encoded, choice: Choice) -> Part:
    decision = decide(task, choice)
    names = found.encoding.names(found.matrix.shape[1])
    place = {name: i for i, name in enumerate(names)}
    kept = [name for name, stays in zip(choice.names, decision.kept.tolist(), strict=True) if stays]
    document = {
        "step": STEP,
        "of": "vectors",
        **found.encoding.document(),
        "dimensions": [place[name] for name in kept],
    }
    metrics = {
        **figures(task, choice, kept, decision.ranking.unit),
        **decision.metrics,
        "encoder": found.encoding.encoder,
        **idle(task, vectors=True),
    }
    verdicts = of_units(task, choice, decision)
    return Part(verdicts, Transform(document, found.encoding.stored()), metrics, decision.notes)


def _compressed(task: Task, found: Encoded, choice: Choice) -> Part:
    method, d = task.settings.method, found.matrix.shape[1]
    # All dimensions, so that new vectors need no look at which of them vary.
    x = found.matrix[choice.goal.rows].astype(np.float64)
    projection = fitted(task, x, choice.goal)
    made = new_names(method, projection.components.shape[0], ())
    document = {
        "step": STEP,
        "of": "vectors",
        **found.encoding.document(),
        "dimensions": None,
        "projection": method,
        "outputs": list(made),
    }
    verdicts = [
        *of_inputs(made, method, choice.names),
        *of_components(projection, made, method),
    ]
    metrics = {
        **figures(task, choice, made, "share of variance" if projection.explained is not None else None),
        **compression_figures(projection),
        "encoder": found.encoding.encoder,
        "dimensions": d,
        **idle(task, vectors=True),
    }
    arrays = {**found.encoding.stored(), **arrays_of(projection)}
    return Part(verdicts, Transform(document, arrays), metrics, projection.notes)
