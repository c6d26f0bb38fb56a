"""What a model says of samples that it is not trained on."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.device import deterministic, memory_in_words, to_device

Function = Callable[..., torch.Tensor]


def predict(
    model: nn.Module,
    samples: Samples | Sequence[torch.Tensor],
    *,
    device: torch.device,
    batch: int = 512,
    precision: str = "float32",
) -> NDArray[np.float32]:
    """What a model gives for each sample.

    A sample is computed alike whoever else there is: batches have all one size, the last one filled up.

    Args:
        model: is moved to the device, and put into eval mode.
        samples: or their raw tensors, each (n, ...).
        device: where to compute.
        batch: samples at a time.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        (n, K) float32 logits, or (n, 1) numbers in the unit of the label.
    """
    return _whole(model, model, samples, device, batch, precision)


def features(
    model: nn.Module,
    samples: Samples | Sequence[torch.Tensor],
    *,
    device: torch.device,
    batch: int = 512,
    precision: str = "float32",
) -> NDArray[np.float32]:
    """What a model's head is given for each sample: (n, h) float32. Arguments as of `predict`.

    Raises:
        ValueError: the model does not tell its features.
    """
    function = getattr(model, "features", None)
    if not callable(function):
        raise ValueError("the model has no method `features` that gives what its head sees")
    return _whole(model, function, samples, device, batch, precision)


def inference_seconds(
    model: nn.Module,
    samples: Samples | Sequence[torch.Tensor],
    *,
    device: torch.device,
    batch: int = 512,
    precision: str = "float32",
    rounds: int = 3,
) -> float:
    """How long a model takes for all the samples: the median of the wall times of some rounds, after one to warm up.

    Arguments as of `predict`; the samples' way to the device and back counts.
    """
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        predict(model, samples, device=device, batch=batch, precision=precision)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def outputs(
    function: Function, inputs: Sequence[torch.Tensor], device: torch.device, batch: int, precision: str
) -> Iterator[tuple[int, torch.Tensor]]:
    """Send samples through a network in order, without gradients.

    Args:
        function: takes a batch of each input; its network is on the device and in eval mode.
        inputs: raw tensors, each (n, ...), on the CPU.
        device: where to compute.
        batch: samples at a time; the last batch is filled up with zeros.
        precision: ``float32`` or ``bfloat16``.

    Yields:
        The position of the first sample, and what came out for it and those that follow: (m, d) float32 on the device.
    """
    n = len(inputs[0])
    for start in range(0, n, batch):
        parts = to_device(tuple(_filled(tensor[start : start + batch], batch) for tensor in inputs), device)
        with torch.no_grad(), autocast(device, precision):
            out = function(*parts)
        yield start, out[: min(batch, n - start)].to(torch.float32)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which a network computes in a precision, ``float32`` or ``bfloat16``."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _whole(
    model: nn.Module,
    function: Function,
    samples: Samples | Sequence[torch.Tensor],
    device: torch.device,
    batch: int,
    precision: str,
) -> NDArray[np.float32]:
    inputs = samples.inputs if isinstance(samples, Samples) else tuple(samples)
    model.to(device).eval()
    if not len(inputs[0]):
        # The width is asked of a sample of zeros: there is no other.
        blank = [tensor.new_zeros((1, *tensor.shape[1:])) for tensor in inputs]
        return _whole(model, function, blank, device, 1, precision)[:0]
    words = "there is not enough memory to predict; take a machine with more, or a smaller model"
    with memory_in_words(words), deterministic(device):
        found = [out.cpu().numpy() for _, out in outputs(function, inputs, device, batch, precision)]
    return np.concatenate(found)


def _filled(part: torch.Tensor, batch: int) -> torch.Tensor:
    if len(part) == batch:
        return part
    whole = part.new_zeros((batch, *part.shape[1:]))
    whole[: len(part)] = part
    return whole
