"""How a model is trained: what the settings say, and where they say nothing what suits the model."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datadiet_cli.config.training import Training
from datadiet_cli.encode.elsewhere import told
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.nn.spec import Spec

STEPS, MOST_EPOCHS = 300, 100
"""Small data are passed over more often than the model's own number of epochs: until there are so many steps."""
_PICTURES = ("flip", "crop", "cutout")
_CONVOLUTIONS = ("small-cnn", "resnet8", "resnet20")


def recipe_of(
    settings: Training, spec: Spec, samples: int, device: str, step: str, engine: Engine | None = None
) -> Recipe:
    """Fill in what the settings leave to the model.

    Args:
        settings: as given.
        spec: the model.
        samples: how many there are to learn from.
        device: where to.
        step: who asks, for messages.
        engine: the trainings are sent through it; None if they are done here.

    Raises:
        ConfigError: what is to be done to a batch does not suit the samples.
    """
    from datadiet_cli.nn.batches import steps_of
    from datadiet_cli.nn.models import DEFAULTS

    own: dict[str, Any] = dict(DEFAULTS.get(spec.model, {}))
    # What several kinds of columns are joined to may hold no pictures.
    kinds = {field.kind for field in spec.fields}
    own["augment"] = tuple(name for name in own.get("augment", ()) if _takes(name) in kinds)
    said = {
        "epochs": settings.epochs,
        "optimiser": None if settings.optimiser == "auto" else settings.optimiser,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "augment": _augment(settings, spec, step),
    }
    own |= {name: value for name, value in said.items() if value is not None}
    if settings.optimiser != "auto" and settings.learning_rate is None and settings.optimiser != _optimiser(spec):
        own["learning_rate"] = 0.1 if settings.optimiser == "sgd" else 0.002
    if settings.epochs is None:
        enough = math.ceil(STEPS / steps_of(samples, settings.batch_size))
        own["epochs"] = max(own.get("epochs", Recipe().epochs), min(enough, MOST_EPOCHS))
    return replace(
        Recipe(),
        **own,
        batch_size=settings.batch_size,
        l1=settings.l1,
        slim=settings.slim,
        precision=_precision(settings, spec, device, engine),
        freeze=settings.freeze,
        threads=settings.threads,
    )


def _optimiser(spec: Spec) -> str:
    from datadiet_cli.nn.models import DEFAULTS

    return str(DEFAULTS.get(spec.model, {}).get("optimiser", Recipe().optimiser))


def _takes(augmentation: str) -> str:
    """The kind of field that an augmentation is for."""
    return "image" if augmentation in _PICTURES else "audio"


def _augment(settings: Training, spec: Spec, step: str) -> tuple[str, ...] | None:
    if settings.augment is None:
        return None
    wanted = [name for name in settings.augment if name != "none"]
    kinds = {field.kind for field in spec.fields}
    for name in wanted:
        kind = _takes(name)
        if kind not in kinds:
            raise ConfigError(f"{step}: --augment {name} is for {kind} data, and the model takes {', '.join(kinds)}")
    return tuple(wanted)


def _precision(settings: Training, spec: Spec, device: str, engine: Engine | None) -> Any:
    """Half precision where it is faster: for convolutions, on processors that compute in it."""
    if settings.precision != "auto":
        return settings.precision
    if spec.model not in _CONVOLUTIONS:
        return "float32"
    fast = _compute_in_bfloat16([device]) if engine is None else told(_compute_in_bfloat16, device, device, engine)
    return "bfloat16" if fast else "float32"


def _compute_in_bfloat16(devices: Sequence[str]) -> bool:
    """Whether all of them do, here."""
    return all(map(_computes_in_bfloat16, devices))


def _computes_in_bfloat16(device: str) -> bool:
    import torch

    from datadiet_cli.nn.device import device_of

    if device_of(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Where the processor only imitates it, it is slower.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asked)
