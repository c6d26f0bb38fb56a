"""Every step there is. A new step joins with one line."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from datadiet_cli.config.base import Settings
from datadiet_cli.config.words import suggestion
from datadiet_cli.errors import ConfigError

Product = Literal["dataset", "model", "report", "scores"]
"""What OUTPUT may be."""


@dataclass(frozen=True)
class StepSpec:
    """Where a step's parts are found, as `module:name`, so that naming a step imports nothing.

    Attributes:
        settings: the step's settings, a subclass of `Settings`.
        run: the step itself.
        summary: what the step does, in one line for the help.
        product: what OUTPUT is where the step is a command.
        folder: how the folder of its model ends, which stands beside OUTPUT in a pipeline; none makes none.
    """

    settings: str
    run: str
    summary: str
    product: Product = "dataset"
    folder: str | None = None


STEPS = {
    "dedup": StepSpec(
        settings="datadiet_cli.config.dedup:Dedup",
        run="datadiet_cli.steps.dedup:run",
        summary="Remove duplicates and near-duplicates",
    ),
    "denoise": StepSpec(
        settings="datadiet_cli.config.denoise:Denoise",
        run="datadiet_cli.steps.denoise:run",
        summary="Clean what is broken, poor, odd or wrongly labelled",
    ),
    "balance": StepSpec(
        settings="datadiet_cli.config.balance:Balance",
        run="datadiet_cli.steps.balance:run",
        summary="Even out classes, or weigh them",
    ),
    "select-features": StepSpec(
        settings="datadiet_cli.config.select_features:SelectFeatures",
        run="datadiet_cli.steps.select_features:run",
        summary="Keep the columns that tell something, or compress them",
    ),
    "select-samples": StepSpec(
        settings="datadiet_cli.config.select_samples:SelectSamples",
        run="datadiet_cli.steps.select_samples:run",
        summary="Keep the training samples that a model learns most from",
    ),
    "train": StepSpec(
        settings="datadiet_cli.config.train:Train",
        run="datadiet_cli.steps.train:run",
        summary="Train a reference model and write down how each sample was learned",
        product="model",
        folder=".model",
    ),
    "prune-model": StepSpec(
        settings="datadiet_cli.config.prune_model:PruneModel",
        run="datadiet_cli.steps.prune_model:run",
        summary="Make a model smaller and faster, and prove what it lost",
        product="model",
        folder=".pruned",
    ),
    "evaluate": StepSpec(
        settings="datadiet_cli.config.evaluate:Evaluate",
        run="datadiet_cli.steps.evaluate:run",
        summary="Prove by training on both what a dataset lost, or compare two models",
        product="report",
    ),
}
HIDDEN = {
    "apply": StepSpec(
        settings="datadiet_cli.config.apply:Apply",
        run="datadiet_cli.steps.applying.run:run",
        summary="Do to new data what was done to other data before",
    ),
}
"""Steps of commands that no pipeline has."""


def spec_of(name: str) -> StepSpec:
    """Where the parts of a step are found, that of a command's own too."""
    return STEPS[name] if name in STEPS else HIDDEN[name]


def load(ref: str) -> Any:
    """Import what a `module:name` reference stands for."""
    module, _, name = ref.partition(":")
    return getattr(importlib.import_module(module), name)


def settings_of(name: str) -> type[Settings]:
    """The settings model of the step of this name.

    Raises:
        ConfigError: if there is no such step.
    """
    if name not in STEPS and name not in HIDDEN:
        raise ConfigError(unknown_step(name))
    model: type[Settings] = load(spec_of(name).settings)
    return model


def unknown_step(name: str) -> str:
    """Say that there is no such step, and which step may have been meant."""
    return f"unknown step {name!r}{suggestion(name, STEPS) or '; there are ' + ', '.join(STEPS)}"
