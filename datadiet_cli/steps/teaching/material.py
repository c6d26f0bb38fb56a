"""A dataset as what a model takes and what it shall predict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.config.training import MODELS, Training
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.encode.inputs.reading import zeros
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.features import meanings
from datadiet_cli.steps.inputs import inputs_of
from datadiet_cli.steps.targets import Goal, Task, target_of

if TYPE_CHECKING:
    from datadiet_cli.nn.batches import Samples

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_AT_ONCE = 4096
_NAMED = 10
"""Columns that are no input that people are told of."""
_LARGEST = 1e18
"""Label: squared, it is still a float32."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a model is shown of samples, and what it is to say of them: all that a training has to know.

    Attributes:
        goal: what is to be predicted of each.
        arrays: each (n, ...), by field of the model.
    """

    goal: Goal
    arrays: tuple[NDArray[np.generic], ...]

    def __getstate__(self) -> dict[str, Any]:
        # A mapped file is sent like any other array; numpy would copy it into memory first.
        return {**self.__dict__, "arrays": tuple(np.asarray(array) for array in self.arrays)}

    @cached_property
    def digest(self) -> str:
        """Of what a model takes, and of what it is to predict."""
        hasher = xxhash.xxh3_128()
        for array in (*self.arrays, self.goal.values):
            # In blocks, for arrays may lie on disk.
            for start in range(0, len(array), _AT_ONCE):
                hasher.update(np.ascontiguousarray(array[start : start + _AT_ONCE]).tobytes())
        return hasher.hexdigest()

    def samples(self, rows: Ints) -> "Samples":
        """What a model is shown of some samples, by position."""
        import torch

        from datadiet_cli.nn.batches import Samples

        whole = len(rows) == len(self.goal.values) and bool((rows == np.arange(len(rows))).all())
        inputs = tuple(
            torch.from_numpy(array if whole and array.flags.writeable else _some(array, rows)) for array in self.arrays
        )
        values = self.goal.values[rows]
        return Samples(inputs, torch.from_numpy(values if self.goal.classes else values.astype(np.float32)))


@dataclass(frozen=True, eq=False)
class Material(Shown):
    """Samples of a dataset in the form of a model.

    Attributes:
        dataset: where they come from.
        fields: the tensors that a model takes.
        usable: (n,) bool, samples that can be learned from or predicted: they could be read.
        causes: (n,) object, why one could not be read, or None.
        transform: what makes a vector of a sample, where the field is one.
        notes: what people should be told.
    """

    dataset: Dataset
    fields: tuple[Field, ...]
    usable: Bools
    causes: NDArray[np.object_]
    transform: Transform | None
    notes: tuple[str, ...] = ()

    @cached_property
    def shown(self) -> Shown:
        """The part of it that trainings have to know, which may be sent to another machine."""
        return Shown(self.goal, self.arrays)

    def unreadable(self, context: Context) -> Verdicts:
        """Verdicts on the samples that could not be read."""
        found = np.flatnonzero(self.causes != None)  # noqa: E711 - elementwise
        if not len(found):
            return Verdicts.join([])
        said = meanings(self.dataset.kind, context)
        words = [f"{cause}: {said.get(cause, cause)}" for cause in self.causes[found].tolist()]
        return Verdicts.of(self.dataset.rows[found], Action.FLAG, "unreadable", detail=words)


def _some(array: NDArray[np.generic], rows: Ints) -> NDArray[np.generic]:
    """Some rows of an array: on disk, if it is there itself because memory would not hold it."""
    # Those that nobody may write to are files that were mapped for a worker.
    if not isinstance(array, np.memmap) and array.flags.writeable:
        return array[rows]
    made = zeros((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        made[part] = array[rows[part]]
    return made


def material_of(
    dataset: Dataset, settings: Training, context: Context, step: str, *, vectors: bool = False, task: Task = "auto"
) -> Material:
    """Bring a dataset into the form of a model.

    Args:
        dataset: the samples; what is fitted is fitted on the training samples among them.
        settings: say which model, and of what.
        context: the run.
        step: who asks, for messages.
        vectors: whether to turn samples into vectors whatever the settings say.
        task: what another dataset's labels were found to be, which these are to be compared with.

    Raises:
        ConfigError: the settings do not fit the data, or nothing says what is to be predicted.
        InputError: a named column does not exist.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    _check_model(settings, step)
    goal = target_of(dataset, step, settings.task if task == "auto" else task)
    _check_size(goal, dataset, step)
    fields, transform = _taken_over(settings)
    want = "vector" if vectors else None
    made = inputs_of(dataset, settings, context, step, fields=fields, want=want, transform=transform)
    notes = [f"column {name} is no input: {why}" for name, why in made.left_out.items()]
    return Material(
        goal, made.arrays, dataset, made.fields, made.usable, made.causes, made.transform, tuple(notes[:_NAMED])
    )


def _check_size(goal: Goal, dataset: Dataset, step: str) -> None:
    """Numbers are learned as float32, and their errors are squared."""
    if goal.task == "numbers" and (largest := float(np.nanmax(np.abs(goal.values)))) > _LARGEST:
        path = dataset.source.path
        raise InputError(f"{step}: {path}: labels of up to {largest:.1e} are too large to be learned; scale them down")


def _taken_over(settings: Training) -> tuple[tuple[Field, ...] | None, Transform | None]:
    """What a model to start from takes."""
    if settings.from_model is None:
        return None, None
    from datadiet_cli.steps.teaching.starting import taken_by

    return taken_by(settings.from_model, settings.factory)


def material_for(
    dataset: Dataset, goal: Goal, like: Material, settings: Training, context: Context, step: str
) -> Material:
    """Bring other samples into the form that a model was taught in."""
    return material_in(dataset, goal, like.fields, like.transform, settings, context, step)


def material_in(
    dataset: Dataset,
    goal: Goal,
    fields: tuple[Field, ...],
    transform: Transform | None,
    settings: Training,
    context: Context,
    step: str,
) -> Material:
    """Bring samples into the form of a model's fields.

    Raises:
        InputError: a column that the model wants is not there, or the samples are of another kind.
    """
    made = inputs_of(dataset, settings, context, step, fields=fields, transform=transform)
    return Material(goal, made.arrays, dataset, fields, made.usable, made.causes, transform)


def spec_of(material: Material, settings: Training, classes: Sequence[str], step: str) -> Spec:
    """The model that the settings ask for, for a material.

    Raises:
        ConfigError: there is no such model, or it does not take these samples.
    """
    from datadiet_cli.nn.models import default_model, fits

    options: dict[str, object] = {"dropout": settings.dropout}
    name = settings.model
    if settings.factory is not None and settings.from_model is None:
        name = "factory"
        options |= {"factory": settings.factory, "arguments": arguments_of(settings, step)}
    elif settings.from_model is not None:
        from datadiet_cli.steps.teaching.starting import model_of

        name, own = model_of(settings.from_model, settings.factory)
        options = {**own, **(options if settings.dropout else {})}
    elif name == "auto":
        name = default_model(material.fields)
    spec = Spec(name, material.fields, tuple(classes), options, material.goal.label)
    try:
        fits(name, material.fields)
    except ValueError as error:
        raise ConfigError(f"{step}: --model {settings.model}: {error}") from error
    return spec


def arguments_of(settings: Training, step: str) -> dict[str, object]:
    """The arguments of a factory: numbers, true and false as such, everything else as text.

    Raises:
        ConfigError: one is no NAME=VALUE.
    """
    from datadiet_cli.config.yamlfile import scalar

    found: dict[str, object] = {}
    for pair in settings.factory_args or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"{step}: --factory-args {pair}: must be NAME=VALUE, such as width=32")
        known = scalar(value.strip())
        found[name.strip()] = value.strip() if known is None else known
    return found


def _check_model(settings: Training, step: str) -> None:
    if settings.model not in ("auto", *MODELS):
        from datadiet_cli.config.words import suggestion

        near = suggestion(settings.model, MODELS) or f"; there are {', '.join(MODELS)}"
        raise ConfigError(f"{step}: --model {settings.model}: no such model{near}")
    # Beside a model to start from, a factory only says that it may be called.
    factory = settings.factory if settings.from_model is None else None
    named = {"--factory": factory, "--from-model": settings.from_model}
    given = [flag for flag, value in named.items() if value is not None]
    given += ["--model"] * (settings.model != "auto")
    if len(given) > 1:
        raise ConfigError(f"{step}: {given[0]} and {given[1]} both name the model; choose one")
    if settings.columns is not None and settings.from_model is not None:
        raise ConfigError(f"{step}: --columns: the model of --from-model takes the columns that it was taught with")
    if settings.freeze and settings.from_model is None:
        raise ConfigError(f"{step}: --freeze keeps what a model has learned before; name one with --from-model")


def with_classes(material: Material, classes: Sequence[str]) -> Material:
    """The material with its labels numbered by other classes, which hold all of its own."""
    place = {name: code for code, name in enumerate(classes)}
    renumbered = np.array([place[name] for name in material.goal.classes] + [-1], dtype=np.int64)
    goal = replace(material.goal, values=renumbered[material.goal.values], classes=tuple(classes))
    return replace(material, goal=goal)
