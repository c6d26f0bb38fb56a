"""How far each sample alone would move all the weights of a model."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.device import deterministic, memory_in_words, to_device
from datadiet_cli.nn.optimising import losses_of, scale_of

MOST = 256 << 20
"""Bytes of gradients that are held at a time, unless those of a single sample are more."""
Norms = Callable[..., torch.Tensor]


def full_gradient_norms(
    model: nn.Module, samples: Samples, device: torch.device, *, batch: int = 128
) -> NDArray[np.float32]:
    """The length of the gradient of each sample's loss by all the weights that learn.

    (GraNd of one model: Paul, Ganguli, Dziugaite, "Deep learning on a data diet", NeurIPS 2021, definition 2.1.) The
    loss is that of training, without penalties, and the model is in eval mode, so no sample depends on another one.

    The gradients of a batch are computed at once by `torch.func`. Where the network has operations that this cannot
    take (recurrent layers, changes in place, branches by value), there is one pass backward for each sample: slower,
    and the same numbers but for rounding. Batches have all one size, the last one filled up, so that a sample is
    computed alike whoever else there is.

    Args:
        model: gives (m, K) logits or (m, 1) numbers; is moved to the device, and put into eval mode.
        samples: with their target.
        device: where to compute.
        batch: samples at a time, at least 1; fewer where their gradients would take more than `MOST`.

    Returns:
        (n,) float32.

    Raises:
        ValueError: no weight of the model can learn, or a gradient is not finite.
        DatadietError: there is not enough memory.
    """
    if not len(samples):
        return np.empty(0, np.float32)
    model.to(device).eval()
    learning = {name: own for name, own in model.named_parameters() if own.requires_grad}
    if not learning:
        raise ValueError("the model has no weights that can learn")
    scale = scale_of(model, samples.target)
    size = sum(own.numel() * own.element_size() for own in learning.values())
    batch = max(1, min(batch, MOST // size))
    words = "there is not enough memory for gradients; take a machine with more, or a smaller model"
    with memory_in_words(words), deterministic(device), sdpa_kernel(SDPBackend.MATH):
        norms = _together(model, learning, scale)
        if not _can(norms, samples, device):
            norms, batch = _apart(model, learning, scale), 1
        parts = [_part(norms, samples, start, batch, device) for start in range(0, len(samples), batch)]
    found = np.concatenate(parts)[: len(samples)]
    if not np.isfinite(found).all():
        raise ValueError(f"the gradients of {(~np.isfinite(found)).sum():,} samples are no finite numbers")
    return found


def _part(norms: Norms, samples: Samples, start: int, batch: int, device: torch.device) -> NDArray[np.float32]:
    rows = torch.arange(start, start + batch).clamp(max=len(samples) - 1)
    own = tuple(tensor.index_select(0, rows) for tensor in (samples.target, *samples.inputs))
    return norms(*to_device(own, device)).to("cpu", torch.float32).numpy()


def _together(model: nn.Module, learning: dict[str, nn.Parameter], scale: torch.Tensor | float) -> Norms:
    """All samples of a batch at once."""
    weights = {name: own.detach() for name, own in learning.items()}

    def loss(weights: dict[str, torch.Tensor], target: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        outputs = functional_call(model, weights, tuple(tensor[None] for tensor in inputs))
        return losses_of(outputs, target[None], scale)[0]

    def norms(target: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        found = vmap(grad(loss), in_dims=(None, *(0 for _ in (target, *inputs))))(weights, target, *inputs)
        return _length([own.flatten(1) for own in found.values()])

    return norms


def _apart(model: nn.Module, learning: dict[str, nn.Parameter], scale: torch.Tensor | float) -> Norms:
    """Batches of one sample."""
    weights = list(learning.values())

    def norms(target: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        # cuDNN knows no way backward through a recurrent layer in eval mode.
        with torch.backends.cudnn.flags(enabled=False):
            loss = losses_of(model(*inputs), target, scale)[0]
            found = torch.autograd.grad(loss, weights, allow_unused=True)
        return _length([own.reshape(1, -1) for own in found if own is not None])

    return norms


def _length(parts: list[torch.Tensor]) -> torch.Tensor:
    """(m,) float64 lengths of vectors in parts, each (m, d)."""
    lengths = [torch.linalg.vector_norm(part, dim=1).to(torch.float64) for part in parts]
    return torch.stack(lengths).square().sum(0).sqrt()


def _can(together: Norms, samples: Samples, device: torch.device) -> bool:
    """Whether two samples can be taken at once, by operations that are made for it."""
    with warnings.catch_warnings():
        # An operation that is not is done one by one, and torch warns of it.
        warnings.simplefilter("error", UserWarning)
        try:
            _part(together, samples, 0, 2, device)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, UserWarning):
            # What is wrong with the network itself, the other way will say.
            return False
    return True
