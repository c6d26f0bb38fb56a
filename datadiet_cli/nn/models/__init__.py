"""Reference models: small networks that take raw tensors, bring them to scale themselves, and train in minutes.

Each takes the raw tensors of its fields positionally, in the order of its `Spec`, and is a `parts.Model`: an encoder, a
dropout of its own, and a linear head.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from datadiet_cli.nn.models.joined import Joined
from datadiet_cli.nn.models.parts import Dropout, Encoder, Model, seeded
from datadiet_cli.nn.models.pictures import ResNet, SmallCnn
from datadiet_cli.nn.models.sounds import Audio
from datadiet_cli.nn.models.tables import Mlp, Rows, hidden_of
from datadiet_cli.nn.models.texts import Text
from datadiet_cli.nn.models.wrapped import from_factory, from_program, with_head
from datadiet_cli.nn.spec import Field, Spec

__all__ = [
    "DEFAULTS",
    "MODELS",
    "Dropout",
    "Encoder",
    "Model",
    "build",
    "default_model",
    "fit",
    "fits",
    "from_program",
    "with_head",
]

_MOST_ROWS = 10_000
"""Units are learnt from so many samples at most."""
_ROWS = ("numbers", "categories", "vector")
_SMALLEST_PICTURE = 8


@dataclass(frozen=True)
class Kind:
    """One of the models.

    Attributes:
        kinds: of fields that it takes.
        single: whether it takes one field only.
        encoder: builds all of it but the head.
    """

    kinds: tuple[str, ...]
    single: bool
    encoder: Callable[[Spec], Encoder]


MODELS: dict[str, Kind] = {
    "linear": Kind(_ROWS, False, lambda spec: Rows(spec.fields, linear=True)),
    "mlp": Kind(_ROWS, False, lambda spec: Mlp(spec.fields, hidden_of(spec))),
    "small-cnn": Kind(("image",), True, lambda spec: SmallCnn(spec.fields[0])),
    "resnet8": Kind(("image",), True, lambda spec: ResNet(spec.fields[0], 1)),
    "resnet20": Kind(("image",), True, lambda spec: ResNet(spec.fields[0], 3)),
    "text": Kind(("text",), True, lambda spec: Text(spec.fields[0])),
    "audio": Kind(("audio",), True, lambda spec: Audio(spec.fields[0])),
    "joined": Kind(("image", "audio", "text", *_ROWS), False, lambda spec: Joined(spec.fields)),
}
"""The models there are."""

_PICTURES = {"optimiser": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4, "augment": ("flip", "crop")}
_DENSE = {"optimiser": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2, "augment": ()}

DEFAULTS: dict[str, dict[str, Any]] = {
    "linear": {**_DENSE, "epochs": 20, "learning_rate": 1e-2},
    "mlp": {**_DENSE, "epochs": 10, "learning_rate": 1e-2, "weight_decay": 0.1},
    "small-cnn": {**_PICTURES, "epochs": 10},
    "resnet8": {**_PICTURES, "epochs": 15},
    "resnet20": {**_PICTURES, "epochs": 20},
    "text": {**_DENSE, "epochs": 10, "learning_rate": 5e-3},
    "audio": {**_DENSE, "epochs": 30, "learning_rate": 1e-2, "augment": ("shift",)},
    "joined": {**_DENSE, "epochs": 15, "learning_rate": 5e-3, "augment": ("flip", "crop")},
    "factory": {**_DENSE, "epochs": 15},
    "program": {**_DENSE, "epochs": 10, "learning_rate": 5e-4},
}
"""Settings of `Recipe` that suit a model."""


def build(spec: Spec, samples: Sequence[Tensor] | None = None, target: Tensor | None = None, *, seed: int = 0) -> Model:
    """Build a model.

    Args:
        spec: what it takes and gives. The model ``program`` cannot be built from it alone; see `from_program`.
        samples: raw tensors to learn means, scales and medians from, (n, ...) each, one per field, on the CPU; at most
            10,000 rows of them are used. None: they are to come by `load_state_dict`.
        target: (n,) labels of a regression, to learn mean and scale from.
        seed: of the first weights and of dropout.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        ValueError: there is no such model, it does not take these fields, or an option is wrong; the message says what.
    """
    if spec.model == "factory":
        model = from_factory(spec, seed)
    elif spec.model == "program":
        raise ValueError("a model that came as a .pt2 file is built from that file")
    else:
        fits(spec.model, spec.fields)
        with seeded(seed):
            model = Model(MODELS[spec.model].encoder(spec), spec, seed=seed)
    if samples is not None:
        fit(model, samples, target, seed=seed)
    return model.eval()


def fit(model: Model, samples: Sequence[Tensor], target: Tensor | None = None, *, seed: int = 0) -> None:
    """Learn the units of fields and target, as `build` does.

    Args:
        model: on the CPU; its buffers are changed.
        samples: as for `build`.
        target: as for `build`.
        seed: which rows are used, if there are more than 10,000.

    Raises:
        ValueError: tensors are not of one length, or the target is not finite.
    """
    lengths = {len(given) for given in samples} | ({len(target)} if target is not None else set())
    if len(lengths) != 1:
        raise ValueError(f"samples and target have different lengths: {', '.join(map(str, sorted(lengths)))}")
    n = lengths.pop()
    if n > _MOST_ROWS:
        rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:_MOST_ROWS].sort().values
        samples = [given[rows] for given in samples]
    model.fit(samples, target)


def default_model(fields: Sequence[Field]) -> str:
    """The model that suits some fields best.

    Raises:
        ValueError: there are none.
    """
    if not fields:
        raise ValueError("there is nothing to learn from")
    kinds = {field.kind for field in fields}
    if kinds <= set(_ROWS):
        return "mlp"
    if len(fields) > 1:
        return "joined"
    return {"image": "small-cnn", "audio": "audio", "text": "text"}[kinds.pop()]


def fits(model: str, fields: Sequence[Field]) -> None:
    """Check that a model takes some fields.

    Args:
        model: its name; ``factory`` and ``program`` take any one field.
        fields: what it shall take.

    Raises:
        ValueError: it does not; the message says why and names a model that does.
    """
    if model not in MODELS and model not in ("factory", "program"):
        raise ValueError(f"there is no model {model}; there are {', '.join(MODELS)}")
    better = default_model(fields)
    kind = MODELS.get(model, Kind(MODELS["joined"].kinds, True, MODELS["joined"].encoder))
    wrong = sorted({field.kind for field in fields} - set(kind.kinds))
    if wrong:
        takes = " and ".join(kind.kinds)
        raise ValueError(f"model {model} takes {takes}, not {' and '.join(wrong)}; {better} does")
    if kind.single and len(fields) > 1:
        names = ", ".join(field.name for field in fields)
        raise ValueError(f"model {model} takes one field, not {len(fields)} ({names}); {better} takes them all")
    for field in fields:
        _check(field.name, field.kind, field.options)


def _check(name: str, kind: str, options: Mapping[str, Any]) -> None:
    """Check that a field holds something."""
    if kind == "image" and options["size"] < _SMALLEST_PICTURE:
        raise ValueError(f"{name}: pictures of {options['size']} pixels are too small; they need {_SMALLEST_PICTURE}")
    sizes = {"audio": "samples", "text": "buckets", "vector": "dimensions"}
    if kind in sizes and options[sizes[kind]] < 1:
        raise ValueError(f"{name}: there is nothing to learn from ({sizes[kind]}: {options[sizes[kind]]})")
    if kind in ("numbers", "categories") and not options["columns"]:
        raise ValueError(f"{name}: there is nothing to learn from (no columns)")
    if kind == "categories" and not any(options["values"]):
        raise ValueError(f"{name}: there is nothing to learn from (no column has a value)")
