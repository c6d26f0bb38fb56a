"""Small raw samples of every kind of field, and models over them."""

import torch
from torch import Tensor

from datadiet_cli.nn.spec import Field, Spec

ROWS = 24
_VALUES = [["red", "green", "blue"], [str(i) for i in range(30)]]
FIELDS = {
    field.kind: field
    for field in (
        Field("image", "image", {"size": 12}),
        Field("audio", "audio", {"rate": 8000, "samples": 1500}),
        Field("text", "text", {"buckets": 40, "length": 6}),
        Field("numbers", "numbers", {"columns": ["age", "height", "weight"]}),
        Field("categories", "categories", {"columns": ["colour", "town"], "values": _VALUES}),
        Field("vector", "vector", {"dimensions": 5, "encoder": "pixels"}),
    )
}
TABLE = ("numbers", "categories", "vector")
TAKES = {
    "linear": TABLE,
    "mlp": TABLE,
    "small-cnn": ("image",),
    "resnet8": ("image",),
    "resnet20": ("image",),
    "text": ("text",),
    "audio": ("audio",),
    "joined": tuple(FIELDS),
}
CLASSES = ("a", "b", "c")


def samples_of(kind: str, n: int = ROWS, seed: int = 0) -> Tensor:
    """Raw samples of a field, with missing cells and unknown values where there can be any."""
    draw = torch.Generator().manual_seed(seed)
    if kind == "image":
        return torch.randint(0, 256, (n, 3, 12, 12), dtype=torch.uint8, generator=draw)
    if kind == "audio":
        return torch.randint(-9999, 9999, (n, 1500), dtype=torch.int16, generator=draw)
    if kind == "text":
        words = torch.randint(0, 41, (n, 6), dtype=torch.int32, generator=draw)
        words[:1] = 0
        return words
    if kind == "categories":
        return torch.stack([torch.randint(0, most, (n,), generator=draw) for most in (4, 31)], dim=1)
    if kind == "vector":
        return torch.randn(n, 5, generator=draw) * 100
    numbers = torch.randn(n, 3, generator=draw) * torch.tensor([1.0, 1e6, 1e-6])
    numbers[: n // 4, 1] = torch.nan
    return numbers


def spec_of(model: str, classes: tuple[str, ...] = CLASSES, **options: object) -> Spec:
    """What a model is built by, over all fields that it takes."""
    return Spec(model, tuple(FIELDS[kind] for kind in TAKES[model]), classes, options)


def inputs_of(model: str, n: int = ROWS, seed: int = 0) -> list[Tensor]:
    """Raw samples for a model."""
    return [samples_of(kind, n, seed) for kind in TAKES[model]]
