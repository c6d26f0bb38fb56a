"""Use a trained model on samples."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.config.training import Training
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import InputError
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.targets import Goal
from datadiet_cli.steps.teaching.material import Material, material_in
from datadiet_cli.steps.teaching.results import predicted
from datadiet_cli.transformfile import JSON_ENDING, read_transforms

if TYPE_CHECKING:
    from torch import fx, nn

VECTORS = f"vectors{JSON_ENDING}"
"""In the folder of a model: what makes vectors of samples."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that was trained before.

    Attributes:
        model: the network.
        spec: what it takes and gives.
        transform: what makes vectors of samples, where it takes those.
    """

    model: "nn.Module"
    spec: Spec
    transform: Transform | None


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of n samples.

    Attributes:
        said: (n, K) probabilities of classes, or (n,) numbers; zeros where a sample could not be read.
        usable: (n,) bool, samples that could be read.
        classes: names; none for a regression.
    """

    said: NDArray[np.float64]
    usable: NDArray[np.bool_]
    classes: tuple[str, ...]


def described(folder: str, factory: str | None) -> tuple[Spec, Transform | None]:
    """What a model that `train` wrote takes and gives, and what makes its vectors; nothing of it is built yet.

    Args:
        folder: of the model.
        factory: the user's own network that may be imported and called, as the user names it.

    Raises:
        InputError: it is no model, or damaged, or its network is of a module that nobody named.
    """
    from datadiet_cli.nn.modelfile import description_of

    if not os.path.isdir(folder):
        raise InputError(f"{folder}: is no folder with a model; name the MODEL_DIR of datadiet train")
    spec = description_of(folder)
    wanted = spec.options.get("factory") if spec.model == "factory" else None
    if wanted is not None and wanted != factory:
        # A model from somebody else must not choose what runs.
        raise InputError(f"{folder}: its network is made by {wanted}; --factory {wanted} allows that to be called")
    path = os.path.join(folder, VECTORS)
    return spec, read_transforms(path)[0][0] if os.path.exists(path) else None


def trained(folder: str, factory: str | None = None) -> Trained:
    """Read a model that `train` wrote; see `described`."""
    from datadiet_cli.nn.modelfile import load

    spec, transform = described(folder, factory)
    model, _ = load(folder)
    return Trained(model, spec, transform)


def program_in(path: str) -> "tuple[fx.GraphModule, Field]":
    """A network that came as a .pt2 file, and what it takes.

    Raises:
        InputError: the file may not be loaded, is damaged, or takes something else than pictures or vectors.
    """
    from datadiet_cli.nn.modelfile import load_program
    from datadiet_cli.nn.rehydrate import program_field

    program = load_program(path)
    try:
        return program, program_field(program)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def predictions(folder: str, dataset: Dataset, context: Context, step: str, factory: str | None = None) -> Predictions:
    """Read a model and ask it about all samples.

    Raises:
        InputError: the model cannot be read, or the samples lack what it takes.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    known = trained(folder, factory)
    material = shown(known, dataset, context, step)
    rows = np.flatnonzero(material.usable)
    found = predicted(known.model, material, rows, context)
    said = np.zeros((len(dataset), *found.shape[1:]))
    said[rows] = found
    return Predictions(said, material.usable, known.spec.classes)


def shown(known: Trained, dataset: Dataset, context: Context, step: str, goal: Goal | None = None) -> Material:
    """Samples in the form of a model; without a goal, for predictions alone."""
    if goal is None:
        values = np.zeros(len(dataset), dtype=np.int64 if known.spec.classes else np.float64)
        goal = Goal("classes" if known.spec.classes else "numbers", values, known.spec.classes, known.spec.label)
    return material_in(dataset, goal, known.spec.fields, known.transform, Training(), context, step)
