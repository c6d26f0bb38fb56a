"""What is pruned, and what it is judged by: a model, samples in its form, and the parts of them."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.config.words import suggestion
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.division import Division, divide
from datadiet_cli.steps.pruning.opening import STEP as STEP
from datadiet_cli.steps.pruning.opening import made_before, opened_with, taught_by
from datadiet_cli.steps.teaching.material import Material
from datadiet_cli.steps.teaching.using import Trained

if TYPE_CHECKING:
    import torch

    from datadiet_cli.nn.batches import Samples
    from datadiet_cli.nn.models import Model
    from datadiet_cli.nn.pruning.shrink import Examined

HEAD = "head"
"""The last layer of every model here."""
_NAMED = 30
"""Layers that are named where one is not found."""
_BODY = "encoder.body."
_FIRST = 8
"""Samples that a model is shown to see how it is made."""


@dataclass(frozen=True, eq=False)
class Case:
    """A model to prune.

    Attributes:
        known: the dense model.
        material: the samples in its form.
        division: those to learn from, to choose by, and to be judged by.
        settings: of the step.
        context: the run.
        taught: settings that the dense model was trained by, as far as they are known; see `opening.TAUGHT`.
        answers: what models said of the test samples, as long as they are there.
    """

    known: Trained
    material: Material
    division: Division
    settings: PruneModel
    context: Context
    taught: Mapping[str, Any]
    answers: "WeakKeyDictionary[Model, NDArray[np.float64]]" = field(default_factory=WeakKeyDictionary)

    @property
    def spec(self) -> Spec:
        """What the model takes and gives."""
        return self.known.spec

    @property
    def model(self) -> "Model":
        """The dense model, on the CPU, in evaluation mode."""
        from datadiet_cli.nn.models import Model

        assert isinstance(self.known.model, Model)  # noqa: S101 - whatever opens one gives such
        return self.known.model

    @cached_property
    def device(self) -> "torch.device":
        """Where it computes."""
        from datadiet_cli.nn.device import device_of

        return device_of(self.context.device)

    @cached_property
    def learned(self) -> "Samples":
        """The samples that scores and fine-tuning go by."""
        return self.material.samples(self.division.train)

    @cached_property
    def examples(self) -> "tuple[torch.Tensor, ...]":
        """A few samples, at least two."""
        rows = np.resize(self.division.train, max(2, min(_FIRST, len(self.division.train))))
        return self.material.samples(rows).inputs

    def looked_at(self, model: "Model") -> "Examined":
        """Which units of a model, this one or what became of it, can go.

        Raises:
            InputError: none can.
        """
        from datadiet_cli.nn.pruning.shrink import examined

        try:
            found = examined(model, self.spec, self.examples, protected=self.protected)
        except ValueError as error:
            raise InputError(f"{STEP}: {self.named}: {error}") from error
        if not found.structure.groups:
            why = "; ".join(f"{layer}: {reason}" for layer, reason in list(found.structure.whole.items())[:3])
            raise InputError(f"{STEP}: {self.named}: no channel of it can go ({why or 'it has no inner layer'})")
        return found

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Names of the weights that may become zeros.

        Raises:
            InputError: there are none.
        """
        found = []
        for name, tensor in self.model.named_parameters():
            layer, _, last = name.rpartition(".")
            weighs = last.startswith("weight") or last.endswith("_weight")
            if not (tensor.dim() >= 2 and weighs) or layer in self.protected:
                continue
            if layer != HEAD or self.settings.prune_output:
                found.append(name)
        if not found:
            raise InputError(
                f"{STEP}: {self.named}: it has no layer to prune but the last one; --prune-output prunes that too"
            )
        return tuple(found)

    @cached_property
    def sparse(self) -> tuple[str, ...]:
        """Names of the weights that were pruned before: some of them are zeros, and some are not."""
        parts = {name: tensor.detach() for name, tensor in self.model.named_parameters() if tensor.dim() >= 2}
        return tuple(name for name, tensor in parts.items() if 0 < int((tensor != 0).sum()) < tensor.numel())

    def _known_as(self, name: str) -> str:
        """What a layer is called in the user's own network."""
        place = getattr(self.model.encoder, "place", None)
        return str(place) if name == HEAD and place else name.removeprefix(_BODY)

    @property
    def named(self) -> str:
        """The model as people know it."""
        return self.settings.model or "the model that train made"

    def signatures(self) -> dict[str, str]:
        """Of each of `tensors`: the same for those of one form."""
        parts = dict(self.model.named_parameters())
        modules = dict(self.model.named_modules())
        return {
            name: f"{type(modules[name.rpartition('.')[0]]).__name__} {tuple(parts[name].shape)}"
            for name in self.tensors
        }

    @cached_property
    def protected(self) -> frozenset[str]:
        """Names of the layers that nothing goes from."""
        # Whatever is around weights; layers without any have nothing that could go.
        names = [
            name for name, layer in self.model.named_modules() if name and next(layer.parameters(), None) is not None
        ]
        found: set[str] = set()
        for pattern in self.settings.keep_layers or ():
            hit = {
                name
                for name in names
                for own in (name, self._known_as(name))
                for wanted in (pattern, f"{pattern}.*")
                if fnmatch.fnmatch(own, wanted)
            }
            if not hit:
                known = [self._known_as(name) for name in names if name != "encoder"]
                more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
                raise ConfigError(
                    f"{STEP}: --keep-layers {pattern}: the model has no such layer with weights"
                    f"{suggestion(pattern, known)}; it has {', '.join(known[:_NAMED])}{more}"
                )
            found |= hit
        return frozenset(found)


def case_of(dataset: Dataset, settings: PruneModel, context: Context) -> Case:
    """Open a model, and bring samples into its form.

    Raises:
        ConfigError: settings exclude each other, or the model predicts something else than the labels.
        InputError: the model cannot be read, or there are too few samples.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    path = settings.model if settings.model is not None else made_before(context)
    known, material = opened_with(path, dataset, settings, context)
    division = _divided(material, settings, context)
    if len(division.train) < 2 or not len(division.test):
        raise InputError(
            f"{STEP}: {dataset.source.path}: {len(division.train)} samples to learn from and {len(division.test)} to "
            "judge by that the model has a class for; there must be two and one at least"
        )
    return Case(known, material, division, settings, context, taught_by(path))


def _chooses(settings: PruneModel) -> bool:
    """Whether something is chosen by validation samples."""
    return settings.max_accuracy_drop is not None or settings.schedule == "adaptive" or settings.sensitivity


def _divided(material: Material, settings: PruneModel, context: Context) -> Division:
    def parts(test: float | None) -> Division:
        return divide(
            material.dataset,
            material.goal,
            validation=settings.validation if _chooses(settings) else 0.0,
            test=test,
            seed=context.seed,
            usable=material.usable & material.goal.known,
        )

    division = parts(None)
    if len(division.test):
        return division
    division = parts(settings.test_share)
    note = (
        "there is no test split: a part of the training data is held out, which the dense model may have learned from; "
        "what pruning costs then looks larger than it is"
    )
    return division._replace(notes=(*division.notes, note))
