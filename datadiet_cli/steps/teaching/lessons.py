"""Teach a model what a dataset holds, once or with several seeds, and go on where an earlier run was interrupted."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli import __version__
from datadiet_cli.config.training import Training
from datadiet_cli.errors import ConfigError, interruption
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.material import Material

if TYPE_CHECKING:
    import torch

    from datadiet_cli.nn.recorder import Recorder
    from datadiet_cli.nn.training import Fitted

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One training.

    Attributes:
        spec: the model.
        recipe: how it is trained.
        material: the samples.
        rows: (n,) positions of those it learns from.
        held_out: (m,) positions of those that tell when to stop; none for none.
        seed: of weights and batches.
        said: for the progress bar.
    """

    spec: Spec
    recipe: Recipe
    material: Material
    rows: Ints
    held_out: Ints
    seed: int
    said: str


def seed_of(seed: int, number: int) -> int:
    """The seed of the training of this number; that of the first is not the seed itself."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def key_of_lesson(lesson: Lesson, device: str) -> str:
    """A digest of all that the weights depend on: of the content as well, so that no other run is gone on with."""
    import xxhash

    told = [__version__, lesson.spec.as_json(), lesson.recipe.as_json(), lesson.seed, device]
    hasher = xxhash.xxh3_128(json.dumps(told, sort_keys=True).encode())
    for array in (*lesson.material.arrays, lesson.material.goal.values, lesson.rows, lesson.held_out):
        # In blocks, for arrays may lie on disk.
        for start in range(0, len(array), 4096):
            hasher.update(np.ascontiguousarray(array[start : start + 4096]).tobytes())
    return hasher.hexdigest()


def teach(
    lesson: Lesson,
    settings: Training,
    context: Context,
    step: str,
    *,
    folder: str,
    recorder: "Recorder | None" = None,
) -> "Fitted":
    """Train a model.

    Args:
        lesson: what and how.
        settings: name the model to start from.
        context: the run.
        step: who asks, for messages.
        folder: for checkpoints; see `workplace`.
        recorder: writes down how each sample is learned.

    Raises:
        ConfigError: the model cannot be built, or the training diverges.
        InputError: the model to start from cannot be read.
        DatadietError: memory ran out.
    """
    from datadiet_cli.nn.checkpoint import Checkpoint
    from datadiet_cli.nn.device import device_of
    from datadiet_cli.nn.training import fit

    samples = lesson.material.samples(lesson.rows)
    validation = lesson.material.samples(lesson.held_out) if len(lesson.held_out) else None
    device = device_of(context.device)
    tell = context.progress(lesson.said, lesson.recipe.epochs)
    try:
        model = network(lesson, settings, step)
        return fit(
            model,
            samples,
            lesson.recipe,
            seed=lesson.seed,
            device=device,
            validation=validation,
            recorder=recorder,
            checkpoint=Checkpoint(folder, os.path.basename(folder)),
            progress=lambda _epoch, _epochs: tell(1),
        )
    except ValueError as error:
        raise ConfigError(f"{step}: {error}") from error


def network(lesson: Lesson, settings: Training, step: str) -> "torch.nn.Module":
    """The model before it learns anything; one to start from with what it has learned before.

    Raises:
        InputError: the model to start from cannot be read.
        ValueError: it cannot be built.
    """
    from datadiet_cli.nn.models import build
    from datadiet_cli.steps.teaching.starting import started

    samples = lesson.material.samples(lesson.rows)
    if settings.from_model is not None:
        return started(settings.from_model, lesson.spec, samples, lesson.seed, settings.factory)
    target = samples.target if samples.regression else None
    return build(lesson.spec, samples.inputs, target, seed=lesson.seed)


def workplace(lesson: Lesson, context: Context) -> str:
    """Where a training keeps what it needs to go on: the same folder for the same training, if it may be remembered."""
    if context.checkpoints is None:
        return context.new_folder()
    folder = os.path.join(context.checkpoints, key_of_lesson(lesson, context.device))
    if context.rerun:
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, exist_ok=True)
    return folder


@contextmanager
def resumable(context: Context) -> Iterator[None]:
    """Say after an interruption how to go on, if there is something to go on with."""
    # With --rerun the same command would begin anew.
    lasts = context.checkpoints is not None and not context.rerun
    interruption[:] = ["the same command goes on from the last full epoch"] if lasts else []
    try:
        yield
    except Exception:
        interruption.clear()
        raise
    interruption.clear()
