"""Open the model that is to be pruned: a folder, a program, or weights with a factory; nothing else is opened."""

import os
from dataclasses import replace
from typing import Any

from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.config.training import Training
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.targets import Goal, aligned, target_of
from datadiet_cli.steps.teaching.material import Material, arguments_of, material_of
from datadiet_cli.steps.teaching.opening import opened
from datadiet_cli.steps.teaching.using import Trained, described, shown

STEP = "prune-model"
TAUGHT = ("epochs", "optimiser", "learning_rate", "weight_decay", "augment")
"""Of a recipe, what belongs to the model and its data."""
_OTHERS = {
    ".pth": "a pickle", ".pt": "a pickle or TorchScript", ".pkl": "a pickle", ".pickle": "a pickle", ".bin": "a pickle",
    ".ckpt": "a pickle", ".ts": "TorchScript", ".torchscript": "TorchScript", ".onnx": "ONNX, which cannot be trained",
    ".h5": "of another library", ".keras": "of another library", ".tflite": "of another library",
}  # fmt: skip


def taught_by(path: str) -> dict[str, Any]:
    """What the description of a model says of its training."""
    from datadiet_cli.nn.description import document_in

    extra = document_in(path).get("extra") if os.path.isdir(path) else None
    recipe = extra.get("recipe") if isinstance(extra, dict) else None
    if not isinstance(recipe, dict):
        return {}
    found = {name: recipe[name] for name in TAUGHT if name in recipe}
    return found | {"augment": found["augment"] or ["none"]} if "augment" in found else found


def made_before(context: Context) -> str:
    """The model that an earlier step of the pipeline made.

    Raises:
        ConfigError: there is none.
    """
    if not context.models:
        raise ConfigError(f"{STEP}: no model: name one with model:, or let train come before it in the pipeline")
    return context.models[-1][1]


def opened_with(path: str, dataset: Dataset, settings: PruneModel, context: Context) -> tuple[Trained, Material]:
    """Open a model, and bring samples into its form.

    Raises:
        ConfigError: settings do not fit the model, or it predicts something else than the labels.
        InputError: it cannot be read, or must not be.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    ending = os.path.splitext(path.rstrip("/"))[1].lower()
    if settings.factory is not None and ending == ".pt2":
        raise ConfigError(f"{STEP}: {path} is a whole network; --factory is for weights alone, or a folder made by it")
    if settings.factory_args is not None and ending != ".safetensors":
        raise ConfigError(f"{STEP}: --factory-args: {path} knows its own; they are for weights alone")
    if os.path.isdir(path) or ending == ".pt2":
        goal = _goal(dataset, described(path, settings.factory)[0] if os.path.isdir(path) else None)
        known = opened(path, goal, settings.factory, STEP)
        if goal.task == "classes":
            goal = _numbered(goal, known.spec.classes, path, dataset)
        return known, shown(known, dataset, context, STEP, goal)
    if ending == ".safetensors":
        return _with_factory(path, dataset, settings, context)
    if not os.path.lexists(path):
        raise InputError(f"{path}: there is no such model")
    kind = _OTHERS.get(ending, "no model that is known here")
    raise InputError(
        f"{path}: is {kind}, and is not opened: a pickle runs whatever its author wrote into it. Export the network, "
        "torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2'), or save its state_dict by "
        "safetensors.torch.save_file and name --factory package.module:callable that builds it"
    )


def _goal(dataset: Dataset, spec: Spec | None) -> Goal:
    """What the labels say; of the sort that the model predicts, where it tells."""
    if spec is None:
        return target_of(dataset, STEP, learned=False)
    return target_of(dataset, STEP, "classes" if spec.classes else "numbers", learned=False)


def _numbered(goal: Goal, classes: tuple[str, ...], path: str, dataset: Dataset) -> Goal:
    """The labels by the numbers that the model has for its classes.

    Raises:
        ConfigError: it knows none, or not all, of them.
    """
    values, foreign = aligned(goal, classes)
    if foreign:
        names = ", ".join(list(foreign)[:5])
        raise ConfigError(
            f"{STEP}: {dataset.source.path} has classes that {path} does not know: {names}; it knows "
            f"{', '.join(classes[:10])}"
        )
    return replace(goal, values=values, classes=classes)


def _with_factory(path: str, dataset: Dataset, settings: PruneModel, context: Context) -> tuple[Trained, Material]:
    """A network of the user's own, with weights of its own."""
    from datadiet_cli.nn.modelfile import from_weights

    if settings.factory is None:
        raise ConfigError(f"{STEP}: {path}: weights alone are no network; --factory package.module:callable builds it")
    like = Training(factory=settings.factory, factory_args=settings.factory_args, image_size=settings.image_size)
    material = material_of(dataset, like, context, STEP)
    # What was trained elsewhere takes samples as they are.
    arguments = arguments_of(like, STEP)
    options = {"dropout": 0.0, "factory": settings.factory, "arguments": arguments, "raw": True}
    spec = Spec("factory", material.fields, material.goal.classes, options, material.goal.label)
    try:
        return Trained(from_weights(path, spec), spec, material.transform), material
    except ValueError as error:
        raise ConfigError(f"{STEP}: {error}") from error
