"""The settings of whatever trains a reference model."""

import importlib.util
import os
from typing import Annotated, Literal

from pydantic import Field

from datadiet_cli.config.base import Names, Settings

MODELS = ("linear", "mlp", "small-cnn", "resnet8", "resnet20", "text", "audio", "joined")
"""The models there are; each is built by `nn.models`."""

# What several steps that train have in common.
Factory = Annotated[
    str | None,
    Field(description="A network of your own, as package.module:callable; called with classes and factory_args."),
]
FactoryArgs = Annotated[
    Annotated[list[str], Field(min_length=1)] | None, Field(description="Arguments of the factory, such as width=32.")
]
BatchSize = Annotated[int, Field(ge=2, le=65_536, description="Samples a step.")]
Optimiser = Annotated[Literal["auto", "sgd", "adamw"], Field(description="auto: the model's own.")]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(description="auto: bfloat16 for convolutions where the processor has it, else float32."),
]


class Training(Settings):
    """A model, and how it is trained."""

    model: str = Field(
        "auto",
        description="linear, mlp, small-cnn, resnet8, resnet20, text, audio or joined; auto: by the kind of data.",
    )
    task: Literal["auto", "classes", "numbers"] = Field(
        "auto", description="Whether labels name classes or are numbers to predict; auto tells by what they are."
    )
    factory: Factory = None
    factory_args: FactoryArgs = None
    from_model: str | None = Field(
        None,
        description="Model to start from: a MODEL_DIR of train, or a .pt2 file; its head is new if classes differ.",
    )
    freeze: bool = Field(False, description="Train only the head; for a model to start from.")
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="Passes over the data; the model's own if not given, more for small data."
    )
    batch_size: BatchSize = 128
    optimiser: Optimiser = "auto"
    learning_rate: float | None = Field(None, gt=0, le=100, description="At its peak; the model's own if not given.")
    weight_decay: float | None = Field(None, ge=0, description="L2 on weights; the model's own if not given.")
    l1: float = Field(0.0, ge=0, description="L1 on weights: factor of the sum of their absolute values.")
    slim: float = Field(0.0, ge=0, description="L1 on the scales of batch norms, which channel pruning asks for.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the values before the head that are left out.")
    augment: Annotated[list[Literal["flip", "crop", "cutout", "shift", "none"]], Field(min_length=1)] | None = Field(
        None, description="What is done to each batch; flip and crop for pictures if not given, none for nothing."
    )
    image_size: int = Field(32, ge=8, le=512, description="Pixels a side that pictures are brought to.")
    encoder: str = Field("auto", description="What turns files and texts into vectors for linear and mlp.")
    columns: Names = Field(None, description="Columns to learn from; all but label, split and id if not given.")
    precision: Precision = "auto"
    threads: int = Field(
        1, ge=1, le=1024, description="CPU threads of one training; more are faster and change the last digits."
    )

    def reads(self) -> list[str]:
        """Paths besides INPUT that a decision depends on."""
        files = [self.encoder] if self.encoder.endswith(".pt2") else []
        source = None if self.factory is None else source_of(self.factory)
        return [*files, *(path for path in (self.from_model, source) if path is not None)]


def source_of(factory: str) -> str | None:
    """The file of a factory's module, as far as it can be found without importing it: a module, not in a package."""
    module = factory.partition(":")[0]
    here = f"{module}.py"
    if "." not in module and os.path.isfile(here):
        return here
    try:
        found = importlib.util.find_spec(module) if module.isidentifier() else None
    except ValueError:  # a module without a file, such as __main__
        return None
    return found.origin if found is not None and found.has_location else None
