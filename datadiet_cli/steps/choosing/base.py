"""Who may be chosen: the training samples, what they are like, and how many of them stay."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.base import parse_percentage
from datadiet_cli.config.select_samples import SelectSamples
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.encoded import selected_vectors
from datadiet_cli.steps.features import features_of, meanings
from datadiet_cli.steps.groups import groups_of
from datadiet_cli.steps.targets import Goal, target_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Small = NDArray[np.float32]
Floats = NDArray[np.float64]

STEP = "select-samples"


class Looks(NamedTuple):
    """What n samples are like.

    Attributes:
        matrix: (n, d) float32, finite.
        usable: (n,) bool, samples with content to tell them by.
        causes: (n,) object, why one could not be read, or None.
        encoder: what made the matrix.
    """

    matrix: Small
    usable: Bools
    causes: NDArray[np.object_]
    encoder: str


class Groups(NamedTuple):
    """What gets quotas.

    Attributes:
        code: (n,) int64 from 0 on; -1 for a sample of no group.
        names: of the groups.
    """

    code: Ints
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Task:
    """What a step was given.

    Attributes:
        dataset: all samples.
        settings: its settings.
        context: the run.
        view: the samples that may be chosen: those for training, with a label if others have one.
        goal: what a model predicts of those in view; None where there are no labels, or several to a sample.
        kept: holds on to what trainings go on from after an interruption, until the step has come to its end.
    """

    dataset: Dataset
    settings: SelectSamples
    context: Context
    view: Dataset
    goal: Goal | None
    kept: ExitStack

    def __len__(self) -> int:
        return len(self.view)

    @property
    def path(self) -> str:
        """Of INPUT, for messages."""
        return self.dataset.source.path

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where labels are numbers, or there are none."""
        return self.goal.classes if self.goal is not None else ()

    @property
    def label(self) -> Ints:
        """(n,) int64 classes of those in view; zeros where there are none."""
        if self.goal is None or not self.goal.classes:
            return np.zeros(len(self), dtype=np.int64)
        return self.goal.values.astype(np.int64)

    @cached_property
    def labels(self) -> list[str] | None:
        """The label of each sample in view as text, for whoever compares them later."""
        if self.goal is None:
            return None
        if self.goal.classes:
            return [self.goal.classes[code] for code in self.goal.values.tolist()]
        return [repr(value) for value in self.goal.values.tolist()]

    @cached_property
    def looks(self) -> Looks:
        """What the encoder makes of those in view.

        Raises:
            ConfigError: the encoder or the columns do not fit the data, or no column tells samples apart.
        """
        view, settings = self.view, self.settings
        encoder = "auto" if settings.encoder == "auto" else settings.encoder
        if view.selection is not None:
            chosen = selected_vectors(view, encoder, self.context, STEP)
            return Looks(chosen.matrix, chosen.usable, chosen.causes, str(chosen.transform.document["encoder"]))
        found = features_of(view, encoder, settings.columns, self.context, STEP)
        if not found.matrix.shape[1]:
            raise ConfigError(f"{STEP}: {self.path}: no column tells samples apart; name --columns, or --method random")
        return Looks(found.matrix, found.usable, found.causes, found.encoder)

    @cached_property
    def groups(self) -> Groups:
        """What gets quotas, before `clusters`: combinations of columns, or classes, or everything at once.

        Raises:
            ConfigError, InputError: as `groups_of`.
        """
        if self.settings.group_by is not None:
            found = groups_of(self.view, self.settings.group_by, STEP)
            return Groups(found.code, found.names)
        if self.classes:
            return Groups(self.label, self.classes)
        return Groups(np.zeros(len(self), dtype=np.int64), ("all",))

    def unreadable(self, causes: NDArray[np.object_]) -> Verdicts:
        """Flags for those in view that cannot be read."""
        found = np.flatnonzero(causes != None)  # noqa: E711 - elementwise
        known = meanings(self.dataset.kind, self.context)
        words = [f"{cause}: {known.get(cause, cause)}" for cause in causes[found].tolist()]
        return Verdicts.of(self.view.rows[found], Action.FLAG, "unreadable", detail=words)


def task_of(dataset: Dataset, settings: SelectSamples, context: Context, kept: ExitStack) -> Task:
    """Find out which samples may be chosen.

    Args:
        dataset: all samples.
        settings: of the step.
        context: the run.
        kept: see `Task`.

    Raises:
        ConfigError: a column is named where there is no table.
        InputError: there is no training sample, or labels are not what `task` says.
    """
    if settings.columns is not None and not isinstance(dataset.source, TableSource):
        raise ConfigError(f"{STEP}: --columns needs a table, and {dataset.source.path} is a folder of files")
    several = any(len(names) > 1 for names in dataset.class_sets.values())
    mask, goal = dataset.training.copy(), None
    if (dataset.labels != UNKNOWN).any() and not several:
        known = target_of(dataset, STEP, settings.task, learned=False).known
        mask &= known
    if not mask.any():
        raise InputError(f"{STEP}: {dataset.source.path}: there are no training samples to choose from")
    view = dataset.keep(mask)
    if (view.labels != UNKNOWN).any() and not several:
        goal = target_of(view, STEP, settings.task, learned=False)
    return Task(dataset, settings, context, view, goal, kept)


def number_to_keep(keep: str, n: int, path: str) -> int:
    """How many of n samples a setting asks for.

    Raises:
        InputError: there are not so many, or it comes to none.
    """
    if keep.endswith("%"):
        number = round(parse_percentage(keep) * n)
        if not number:
            raise InputError(f"{STEP}: {path}: --keep {keep} of {n:,} training samples is none; keep more")
        return number
    if int(keep) > n:
        raise InputError(f"{STEP}: {path}: --keep {keep}: there are {n:,} training samples to choose from; keep fewer")
    return int(keep)
