"""The settings of `prune-model`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from datadiet_cli.config.base import Names, Settings, Share
from datadiet_cli.config.training import BatchSize, Factory, FactoryArgs, Optimiser, Precision, source_of
from datadiet_cli.config.words import shown

Criterion = Literal[
    "random", "magnitude", "gradient", "fisher", "snip", "bn-scale", "activation", "wanda", "lamp"
]  # fmt: skip
TARGETS = ("sparsity", "threshold", "quantile", "macs", "params", "size", "latency", "max_accuracy_drop")
"""Settings that say how much goes; one of them holds."""
SIZE = re.compile(r"((?:[0-9]{1,12})(?:\.[0-9]{1,6})?)(B|kB|KB|KiB|MB|MiB|GB|GiB)")
UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "KiB": 1 << 10, "MB": 10**6, "MiB": 1 << 20, "GB": 10**9, "GiB": 1 << 30,
}  # fmt: skip
LATENCY = re.compile(r"(0?\.[0-9]{1,6})x")
PATTERN = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")


def bytes_of(size: str) -> int:
    """The bytes of a size such as ``5MB``."""
    found = SIZE.fullmatch(size)
    assert found is not None  # noqa: S101 - settings are checked
    return int(float(found[1]) * UNITS[found[2]])


def share_of(latency: str) -> float:
    """The share of the time that a latency such as ``0.6x`` stands for."""
    return float(latency.removesuffix("x"))


def blocks_of(pattern: str) -> tuple[int, int]:
    """How many of how many neighbours stay by a pattern such as ``2:4``."""
    n, _, m = pattern.partition(":")
    return int(n), int(m)


def _size(value: str | None) -> str | None:
    if value is not None and (SIZE.fullmatch(value) is None or bytes_of(value) < 1):
        raise ValueError(f"must be a number of bytes with its unit, such as 5MB or 800KiB, not {shown(value)}")
    return value


def _latency(value: str | None) -> str | None:
    if value is not None and (LATENCY.fullmatch(value) is None or share_of(value) == 0):
        raise ValueError(f"must be a part of the time that the model takes now, such as 0.6x, not {shown(value)}")
    return value


def _pattern(value: str) -> str:
    found = PATTERN.fullmatch(value)
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(f"must say how many of how many neighbours stay, such as '2:4', not {shown(value)}")
    return value


def _text(check: object, pattern: re.Pattern[str]) -> tuple[object, WithJsonSchema]:
    return check, WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{pattern.pattern}$"}, {"type": "null"}]})


Size = Annotated[str | None, AfterValidator(_size), _text(_size, SIZE)[1]]
Latency = Annotated[str | None, AfterValidator(_latency), _text(_latency, LATENCY)[1]]
Pattern = Annotated[
    str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "pattern": f"^{PATTERN.pattern}$"})
]


class PruneModel(Settings):
    """What of a model goes, by which criterion, how much, and how the rest is healed and proved."""

    model: str | None = Field(
        None, description="The model to prune: a MODEL_DIR of train, a .pt2, or .safetensors; in a pipeline train's."
    )
    data: str | None = Field(
        None, description="The dataset that the model is pruned for and judged by; in a pipeline, what remains so far."
    )
    factory: Factory = None
    factory_args: FactoryArgs = None
    image_size: int = Field(
        32, ge=8, le=512, description="Pixels a side of pictures, for a factory with weights of its own."
    )
    criterion: Criterion = Field("magnitude", description="What makes a weight or a channel worth keeping.")
    norm: Literal["l1", "l2"] = Field("l1", description="Of magnitude: sum of absolute values, or of squares.")
    structure: Literal["weights", "channels", "n:m"] = Field(
        "channels", description="channels and heads are removed; weights, and n of m neighbours, become zeros."
    )
    pattern: Pattern = Field("2:4", description="For n:m: how many of how many neighbours stay.")
    scope: Literal["layer", "global", "isomorphic", "row"] = Field(
        "global", description="What competes: a layer's own, all, those of one form; row: a row's weights."
    )
    sparsity: Share | None = Field(None, description="Share of the weights or channels that goes; 50% if nothing else.")
    threshold: float | None = Field(None, ge=0, description="Weights of no larger absolute value go.")
    quantile: Share | None = Field(None, description="Weights go whose worth is in this lower part of all.")
    macs: Share | None = Field(None, description="Share of the multiply-accumulates that may be left.")
    params: Share | None = Field(None, description="Share of the parameters that may be left.")
    size: Size = Field(None, description="Bytes that the weights may take, such as 5MB; weights: when compressed.")
    latency: Latency = Field(
        None, description="Part of the model's time for one sample on this machine, such as 0.6x; measured."
    )
    max_accuracy_drop: Share | None = Field(
        None, description="The most is removed that loses no more accuracy, or R2, by its proof."
    )
    grid: Annotated[list[Share], Field(min_length=1)] = Field(
        [0.3, 0.5, 0.6, 0.7, 0.8, 0.9], description="Sparsities that max_accuracy_drop tries."
    )
    schedule: Literal["one-shot", "iterative", "adaptive"] = Field(
        "one-shot", description="At once; in rounds with training between; or as far as the validation loss allows."
    )
    rounds: int = Field(4, ge=2, le=100, description="Of iterative; adaptive makes at most three times as many.")
    tolerance: Share = Field(0.05, description="For adaptive: share by which the validation loss may rise.")
    at: Literal["auto", "trained", "initialisation"] = Field(
        "auto", description="Judge trained weights, or fresh ones that are then trained; auto: snip fresh ones."
    )
    regularise: Literal["none", "l1", "l2", "group", "bn"] = Field(
        "none", description="Train towards small weights, units or batch-norm scales first."
    )
    strength: float | None = Field(None, gt=0, description="Factor of that penalty; its own if not given.")
    recalibrate: bool = Field(True, description="Estimate batch-norm statistics again after pruning.")
    epochs: int | None = Field(
        None, ge=0, le=10_000, description="Passes of fine-tuning; a third of the model's own if not given, 0 for none."
    )
    batch_size: BatchSize = 128
    optimiser: Optimiser = "auto"
    learning_rate: float | None = Field(
        None, gt=0, le=100, description="Of fine-tuning; a third of the model's own if not given."
    )
    distil: Share = Field(0.0, description="Part of the fine-tuning's loss that follows what the dense model says.")
    temperature: float = Field(4.0, gt=0, le=100, description="Of the dense model's answers in distil.")
    freeze: bool = Field(False, description="Fine-tune only the head.")
    adjust_dropout: bool = Field(True, description="Lower dropout in fine-tuning by the root of the share kept.")
    precision: Precision = "auto"
    threads: int = Field(1, ge=1, le=1024, description="CPU threads of one training, and of the timing.")
    protect: Share = Field(0.0, description="Share of all parameters that stays at least.")
    least_per_layer: Share | None = Field(
        None, description="Share of each layer that stays at least; 5% of channels, 1% of weights if not given."
    )
    least_per_row: int = Field(1, ge=1, description="For weights: how many each row keeps at least.")
    keep_layers: Names = Field(None, description="Layers that nothing goes from, by name; * stands for anything.")
    prune_output: bool = Field(False, description="For weights: zeros in the last layer too.")
    round_to: int = Field(1, ge=1, le=1024, description="Channels of a layer stay a multiple of this; 8 suits CUDA.")
    sensitivity: bool = Field(False, description="Also prune each layer alone by 30, 50 and 70 %, and write a table.")
    controls: Annotated[list[Literal["random", "scratch", "none"]], Field(min_length=1)] = Field(
        ["random", "scratch"],
        description="random: as much, at random; scratch: the same small network, trained from fresh weights.",
    )
    seeds: int = Field(1, ge=1, le=100, description="Fine-tunings of each kind that are compared.")
    validation: Share = Field(0.15, description="Share of the training data held out where there is no such split.")
    test_share: Share = Field(0.2, description="Share of the training data held out where there is no test split.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of intervals and verdicts.")
    max_drop: Share | None = Field(
        None, description="Gate: fail unless the loss is proved to be no more than this, with the confidence."
    )
    beat_random: bool = Field(False, description="Gate: fail unless the criterion is better than random choice.")
    onnx: bool = Field(False, description="Write model.onnx too, and time it; needs the extra onnx.")

    def reads(self) -> list[str]:
        """Paths besides the dataset that a decision depends on."""
        source = None if self.factory is None else source_of(self.factory)
        return [path for path in (self.model, source) if path is not None]

    @property
    def target(self) -> str:
        """Which of `TARGETS` says how much goes.

        Raises:
            ValueError: several do.
        """
        named = [name for name in TARGETS if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} both say how much goes; give one of them")
        return named[0] if named else "sparsity"

    @property
    def fresh(self) -> bool:
        """Whether weights are judged before they have learned anything."""
        return self.at == "initialisation" or (self.at == "auto" and self.criterion == "snip")
