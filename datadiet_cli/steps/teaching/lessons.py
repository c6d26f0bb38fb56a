"""Teach a model what a dataset holds, once or with several seeds, and go on where an earlier run was interrupted."""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli import __version__
from datadiet_cli.config.training import Training
from datadiet_cli.data.open import state_of
from datadiet_cli.encode.cache import KEPT
from datadiet_cli.errors import ConfigError, interruption
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.material import Shown

if TYPE_CHECKING:
    import torch

    from datadiet_cli.nn.batches import Samples
    from datadiet_cli.nn.recorder import Recorder
    from datadiet_cli.nn.training import Fitted

Ints = NDArray[np.int64]

MONTH = 30 * 86_400
OFTEN = 2.0
"""Seconds between checkpoints where a step has many trainings, most of them short."""


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
        origin: see `origin_of`.
    """

    spec: Spec
    recipe: Recipe
    material: Shown
    rows: Ints
    held_out: Ints
    seed: int
    said: str
    origin: str = ""


def seed_of(seed: int, number: int) -> int:
    """The seed of the training of this number; that of the first is not the seed itself."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def key_of_lesson(lesson: Lesson, device: str) -> str:
    """A digest of all that the weights depend on: of the content as well, so that no other run is gone on with."""
    told = [__version__, lesson.spec.as_json(), lesson.recipe.as_json(), lesson.seed, device, lesson.origin]
    hasher = xxhash.xxh3_128(json.dumps([*told, lesson.material.digest], sort_keys=True).encode())
    for rows in (lesson.rows, lesson.held_out):
        hasher.update(np.ascontiguousarray(rows).tobytes())
        hasher.update(b"|")
    return hasher.hexdigest()


def origin_of(settings: Training) -> str:
    """A digest of what a training starts from besides the data: another model, a factory's file."""
    return " ".join(state_of(path) for path in Training.reads(settings))


def teach(
    lesson: Lesson,
    settings: Training,
    context: Context,
    step: str,
    *,
    folder: str | None,
    recorder: "Recorder | None" = None,
    observed: Ints | None = None,
    whole: bool = False,
    every: float = 0.0,
) -> "Fitted":
    """Train a model.

    Args:
        lesson: what and how.
        settings: name the model to start from.
        context: the run.
        step: who asks, for messages.
        folder: for checkpoints, see `Place`; None for a training that begins anew if it is interrupted.
        recorder: writes down how each sample is learned.
        observed: positions of the samples that it writes of; those that are learned from for None.
        every: seconds between checkpoints; see `OFTEN`.
        whole: whether its record has a row for each sample of the material, and not only for these.

    Raises:
        ConfigError: the model cannot be built, or the training diverges.
        InputError: the model to start from cannot be read.
        DatadietError: memory ran out.
    """
    from datadiet_cli.nn.checkpoint import Checkpoint
    from datadiet_cli.nn.device import device_of
    from datadiet_cli.nn.training import fit

    samples = _samples(lesson.material, lesson.rows, whole)
    others = None if observed is None else _samples(lesson.material, observed, whole)
    validation = lesson.material.samples(lesson.held_out) if len(lesson.held_out) else None
    device = device_of(context.device)
    tell = context.progress(lesson.said, lesson.recipe.epochs)
    try:
        model = network(lesson, samples, settings, step)
        return fit(
            model,
            samples,
            lesson.recipe,
            seed=lesson.seed,
            device=device,
            validation=validation,
            recorder=recorder,
            observed=others,
            checkpoint=None if folder is None else Checkpoint(folder, key_of_lesson(lesson, context.device)),
            every=every,
            progress=lambda _epoch, _epochs: tell(1),
        )
    except ValueError as error:
        raise ConfigError(f"{step}: {error}") from error


def _samples(material: Shown, rows: Ints, whole: bool) -> "Samples":
    """Some of the samples, each with its row in the record."""
    import torch

    found = material.samples(rows)
    # A copy: those that were sent to a worker lie in a file, and torch warns of arrays that cannot be written to.
    return replace(found, index=torch.from_numpy(rows.copy())) if whole else found


def network(lesson: Lesson, samples: "Samples", settings: Training, step: str) -> "torch.nn.Module":
    """The model before it learns anything; one to start from with what it has learned before.

    Raises:
        InputError: the model to start from cannot be read.
        ValueError: it cannot be built.
    """
    from datadiet_cli.nn.models import build
    from datadiet_cli.steps.teaching.starting import started

    if settings.from_model is not None:
        return started(settings.from_model, lesson.spec, samples, lesson.seed, settings.factory)
    target = samples.target if samples.regression else None
    return build(lesson.spec, samples.inputs, target, seed=lesson.seed)


class Place:
    """A folder where trainings keep what they need to go on: the same for the same trainings, if it may be remembered.

    Nobody else uses it meanwhile: a run at the same time that asks for the same gets a folder that is gone afterwards.
    As a context manager it is removed afterwards, unless something went wrong.

    Args:
        step: who asks.
        keys: of all that is kept: digests.
        context: the run.

    Attributes:
        path: the folder.
    """

    def __init__(self, step: str, keys: Sequence[str], context: Context) -> None:
        self._lock = -1
        name = f"{step}-{xxhash.xxh3_128_hexdigest(' '.join(keys).encode())}"
        if context.checkpoints is not None:
            self.path = os.path.join(context.checkpoints, name)
            # As with every cache, one that cannot be used is done without.
            with contextlib.suppress(OSError):
                os.makedirs(self.path, exist_ok=True)
                os.utime(self.path)  # taken up again: the month begins anew
                _sweep(context.checkpoints)
                self._lock = _locked(self.path)
        if self._lock < 0:
            self.path = context.new_folder()
        elif context.rerun:
            for entry in os.scandir(self.path):
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)

    def room(self, name: str) -> str:
        """A folder in it."""
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)


def _locked(path: str) -> int:
    """A lock on a folder that lasts until it is closed, or the process ends; -1 if somebody else has it."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return -1
    return lock


def _sweep(folder: str) -> None:
    """Remove trainings that nobody went on with for a month."""
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError):
            if KEPT.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > MONTH:
                shutil.rmtree(entry.path, ignore_errors=True)


@contextmanager
def resumable(context: Context, said: str = "the same command goes on from the last full epoch") -> Iterator[None]:
    """Say after an interruption how to go on, if there is something to go on with."""
    # With --rerun the same command would begin anew.
    lasts = context.checkpoints is not None and not context.rerun
    interruption[:] = [said] if lasts else []
    try:
        yield
    except Exception:
        interruption.clear()
        raise
    interruption.clear()
