"""What a model makes of samples, and how good that is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.metrics import classification, regression
from datadiet_cli.methods.metrics_curves import drawn
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.teaching.material import Ints, Shown

if TYPE_CHECKING:
    import torch
    from torch import nn

Floats = NDArray[np.float64]


def predicted(model: "nn.Module", material: Shown, rows: Ints, context: Context) -> Floats:
    """What a model says of samples, by position: (k, K) probabilities of classes, or (k,) numbers."""
    from datadiet_cli.nn.device import device_of
    from datadiet_cli.nn.predicting import predict

    out = predict(model, material.samples(rows), device=device_of(context.device)).astype(np.float64)
    return out[:, 0] if material.goal.task == "numbers" else shares(out)


def costs_of(model: "nn.Module", inputs: "Sequence[torch.Tensor]") -> dict[str, Any]:
    """What a model costs, but for its time: weights, multiplications of one sample, and bytes.

    Args:
        model: on any device.
        inputs: its raw tensors of a few samples, on the same device.
    """
    from datadiet_cli.nn.cost import bytes_of, macs, parameters

    count, size = parameters(model), bytes_of(model.state_dict())
    return {
        "parameters": count.total,
        "nonzero": count.nonzero,
        "macs": macs(model, inputs),
        "bytes": size.raw,
        "compressed": size.compressed,
    }


def shares(logits: Floats) -> Floats:
    """(n, K) logits as probabilities whose rows sum to 1 in double precision."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    made: Floats = powers / powers.sum(axis=1, keepdims=True)
    return made


def measured(said: Floats, material: Shown, rows: Ints, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of predictions of samples, by position; all of them labelled, by these classes."""
    values = material.goal.values[rows]
    return classification(values, said, classes) if material.goal.task == "classes" else regression(values, said)


def curve_of(said: Floats, material: Shown, rows: Ints, classes: Sequence[str]) -> dict[str, Any]:
    """The ROC curve of predictions of labelled samples, by position, under ``roc_curve``; nothing without one."""
    if material.goal.task != "classes":
        return {}
    curve = drawn(material.goal.values[rows].astype(np.int64), [said], classes)
    return {} if curve is None else {"roc_curve": curve}
