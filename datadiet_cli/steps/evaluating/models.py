"""Compare two models that are there: by what they say of test samples, and by what they cost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from datadiet_cli.config.evaluate import TRAINED, Evaluate
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.outcome import Outcome, Verdicts
from datadiet_cli.steps.comparing import Arm, compare_models
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.evaluating.gating import brakes_of
from datadiet_cli.steps.evaluating.trial import STEP
from datadiet_cli.steps.targets import Goal, aligned, target_of
from datadiet_cli.steps.teaching.material import Material
from datadiet_cli.steps.teaching.opening import opened
from datadiet_cli.steps.teaching.results import costs_of, predicted
from datadiet_cli.steps.teaching.using import Trained, shown

if TYPE_CHECKING:
    import torch


def compared_models(dataset: Dataset, settings: Evaluate, context: Context) -> Outcome:
    """Compare the model that `model` names with the one that `against_model` names.

    Args:
        dataset: the test samples, all of them, whatever split they say they are of.
        settings: name the models.
        context: the run.

    Raises:
        ConfigError: no second model is named, or the models predict different things.
        InputError: a model cannot be read, or the samples lack what it takes.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    paths, names = _paths(settings, context), _names(settings)
    test = dataset if not dataset.split_names else _judged(dataset)
    goal = target_of(test, STEP, settings.task, learned=False)
    after, before = (opened(path, goal, settings.factory, STEP) for path in paths)
    if set(after.spec.classes) != set(before.spec.classes):
        raise ConfigError(f"{STEP}: {names[0]} and {names[1]} do not predict the same classes")
    classes = after.spec.classes
    goal = _renumbered(goal, classes)
    sides = [(name, known, shown(known, test, context, STEP, goal)) for name, known in _named(before, after)]
    good = goal.known & np.logical_and.reduce([material.usable for _, _, material in sides])
    rows = np.flatnonzero(good)
    if not len(rows):
        raise InputError(f"{STEP}: {dataset.source.path}: there is no test sample that has a label of the models")
    arms = {name: Arm(name, _said(known, material, rows, classes, context)[None]) for name, known, material in sides}
    costs, latency = _costs(sides, rows, context)
    try:
        block = compare_models(
            arms["after"], arms["before"], goal.values[rows], classes, settings, costs=costs, seed=context.seed
        )
    except ValueError as error:
        raise InputError(f"{STEP}: {dataset.source.path}: {error}") from error
    lost = int((~good).sum())
    notes = [f"test samples without a label of the models, or that cannot be read: {lost:,}"] if lost else []
    metrics = {
        "task": goal.task,
        "models": {"after": names[0], "before": names[1]},
        "test_samples": len(rows),
        "protocols": {"models": block},
        "notes": [*notes, *block["notes"]],
    }
    figures = block["figures"]
    # A sample that either model cannot read is left out, and told of.
    one, other = (material for _, _, material in sides)
    causes = np.where(one.causes == None, other.causes, one.causes)  # noqa: E711 - elementwise
    verdicts = Verdicts.join([replace(one, causes=causes).unreadable(context)])
    return Outcome(
        verdicts, metrics, brakes=brakes_of(settings, figures), figures=figures, timings={"latency": latency}
    )


def _paths(settings: Evaluate, context: Context) -> tuple[str, str]:
    """Where the model as it is and the one as it was are; in a pipeline the last one and the first one that it made.

    Raises:
        ConfigError: only one is named.
    """
    after, before = settings.model, str(settings.against_model)
    made = [folder for name, folder in context.models if name == "train"]
    if before == TRAINED and made:
        before = made[-1]
        after = context.models[-1][1] if after == "auto" else after
        if after == before:
            raise ConfigError(f"{STEP}: against_model: {TRAINED}: nothing came of the model since it was trained")
    if after == "auto":
        raise ConfigError(f"{STEP}: --against-model names one model; name the other with --model")
    return after, before


def _names(settings: Evaluate) -> tuple[str, str]:
    """What both are called; where they were made for a moment nobody wants to know."""
    return settings.model if settings.model != "auto" else "the last model", str(settings.against_model)


def _named(before: Trained, after: Trained) -> list[tuple[str, Trained]]:
    return [("before", before), ("after", after)]


def _judged(dataset: Dataset) -> Dataset:
    """The test split, or else the samples that are not for training, or else all; without their splits."""
    kept = dataset if dataset.training.all() else dataset.keep(~dataset.training)
    return replace(kept, splits=np.full(len(kept), UNKNOWN, dtype=np.int32), split_names=())


def _renumbered(goal: Goal, classes: Sequence[str]) -> Goal:
    if goal.task == "numbers":
        return goal
    return replace(goal, values=aligned(goal, classes)[0], classes=tuple(classes))


def _said(known: Trained, material: Material, rows: Any, classes: Sequence[str], context: Context) -> Any:
    """What a model says, its classes in the order of the other one's."""
    found = predicted(known.model, material, rows, context)
    if not classes:
        return found
    place = {name: i for i, name in enumerate(known.spec.classes)}
    return found[:, [place[name] for name in classes]]


def _costs(
    sides: Sequence[tuple[str, Trained, Material]], rows: Any, context: Context
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What each model costs: what is the same in each run, and what was timed."""
    from datadiet_cli.nn.cost import latency
    from datadiet_cli.nn.device import device_of, to_device

    device = device_of(context.device)
    costs: dict[str, dict[str, Any]] = {}
    inputs: dict[str, Sequence[torch.Tensor]] = {}
    for name, known, material in sides:
        some = material.samples(rows[:64]).inputs
        known.model.to(device).eval()
        inputs[name] = to_device(some, device)
        costs[name] = costs_of(known.model, inputs[name])
    timed = latency({name: known.model for name, known, _ in sides}, inputs)
    return costs, {name: [one.as_json() for one in found] for name, found in timed.items()}
