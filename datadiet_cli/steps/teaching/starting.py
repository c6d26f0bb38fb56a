"""A model to start from: what it takes, and how it goes on with another label."""

import os
from typing import TYPE_CHECKING

from datadiet_cli.columns import Transform
from datadiet_cli.nn.spec import Field, Spec
from datadiet_cli.steps.teaching.using import described, program_in, trained

if TYPE_CHECKING:
    from torch import nn

    from datadiet_cli.nn.batches import Samples
    from datadiet_cli.nn.models.parts import Model

OF_THE_LABEL = ("head.", "target_")
"""How the names of weights begin that belong to what is predicted."""


def taken_by(path: str, factory: str | None) -> tuple[tuple[Field, ...], Transform | None]:
    """The fields of a model, and what makes its vectors.

    Args:
        path: a folder of `train`, or a .pt2 file.
        factory: see `using.described`.

    Raises:
        InputError: it cannot be read, or takes something else than pictures or vectors.
    """
    if os.path.isdir(path):
        spec, transform = described(path, factory)
        return spec.fields, transform
    return (program_in(path)[1],), None


def model_of(path: str, factory: str | None) -> tuple[str, dict[str, object]]:
    """The name of a model that another one starts from, and the options that it was built with."""
    if not os.path.isdir(path):
        return "program", {}
    spec, _ = described(path, factory)
    return spec.model, dict(spec.options)


def started(path: str, spec: Spec, samples: "Samples", seed: int, factory: str | None) -> "Model":
    """A model with what another one learned before; with a head of its own if it predicts something else.

    Where the other one was pruned, it is as narrow.

    Args:
        path: of the other model.
        spec: of the new one.
        samples: what it is going to learn from.
        seed: of a new head.
        factory: see `using.described`.

    Raises:
        InputError: the other model cannot be read.
        ValueError: it cannot be gone on with.
    """
    from datadiet_cli.nn.modelfile import BACKBONE, load_program
    from datadiet_cli.nn.models import build, from_program
    from datadiet_cli.nn.models.wrapped import from_backbone
    from datadiet_cli.nn.resize import resize_to

    if not os.path.isdir(path):
        return from_program(spec, load_program(path), seed)
    old = trained(path, factory)
    if old.spec.model == "program":
        model = from_backbone(spec, load_program(os.path.join(path, BACKBONE)))
    else:
        model = build(spec, samples.inputs, samples.target if samples.regression else None, seed=seed)
    weights = old.model.state_dict()
    if old.spec.classes != spec.classes or not spec.classes:
        weights = {name: value for name, value in weights.items() if not name.startswith(OF_THE_LABEL)}
        _narrow_head(model, old.model, seed)
    resize_to(model, {**model.state_dict(), **{name: weights[name] for name in model.state_dict() if name in weights}})
    model.encoder.width = model.head.in_features
    return model


def _narrow_head(model: "Model", old: "nn.Module", seed: int) -> None:
    """Give a model a new head as wide as what a pruned one has before it."""
    from torch import nn

    from datadiet_cli.nn.models.parts import seeded

    before = old.get_submodule("head")
    if isinstance(before, nn.Linear) and before.in_features != model.head.in_features:
        with seeded(seed):
            model.head = nn.Linear(before.in_features, model.head.out_features)
