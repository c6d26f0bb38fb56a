"""What a pruned network gets back without labels: statistics of its batch norms, and a dropout that suits its size."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from datadiet_cli.nn.batches import Samples, batches, generator_of
from datadiet_cli.nn.device import computing, memory_in_words, to_device
from datadiet_cli.nn.layers_wide import Attention
from datadiet_cli.nn.models.parts import Dropout


class _Statistics:
    """Mean and variance of what a batch norm is given, over all batches, in float64.

    (Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.)
    """

    def __init__(self, norm: _BatchNorm) -> None:
        self.norm = norm
        self.count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None

    def take(self, _: nn.Module, __: object, output: torch.Tensor) -> None:
        """Take a batch in; with a momentum of 1, the norm's own statistics are those of the batch."""
        mean, variance = (own.double() for own in _kept(self.norm))
        count = output.numel() // output.shape[1]
        squares = variance * (count - 1)
        if self._mean is None or self._squares is None:
            self._mean, self._squares = mean, squares
        else:
            apart = mean - self._mean
            share = count / (self.count + count)
            self._mean = self._mean + apart * share
            self._squares = self._squares + squares + apart.square() * (self.count * share)
        self.count += count

    @property
    def finite(self) -> bool:
        """Whether they are finite numbers."""
        return all(bool(torch.isfinite(own).all()) for own in (self._mean, self._squares) if own is not None)

    def put(self) -> None:
        """Make them the norm's own, the variance as torch does, with one degree of freedom less; if there are any."""
        if self._mean is not None and self._squares is not None:
            mean, variance = _kept(self.norm)
            mean.copy_(self._mean)
            variance.copy_(self._squares / (self.count - 1))


def _kept(norm: _BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """The statistics that a norm has."""
    assert norm.running_mean is not None  # noqa: S101 - others are not looked at
    assert norm.running_var is not None  # noqa: S101
    return norm.running_mean, norm.running_var


def reestimate(
    model: nn.Module,
    samples: Samples,
    *,
    device: torch.device,
    batch: int = 128,
    limit: int = 10_000,
    threads: int = 1,
) -> int:
    """Take the statistics of batch norms anew, from samples whose labels are not looked at.

    Cutting shifts what each norm is given, and the old statistics no longer fit. As in training, each norm standardises
    a batch by the batch's own statistics; what it keeps is the mean and the variance over all samples together, and
    not the average of the variances of batches, as a cumulative average would have it: that misses how the batches
    differ, and depends on their sizes (Wu & Johnson, "Rethinking 'batch' in BatchNorm", 2021, section 3.1). Nothing
    else of the model changes: dropout is off, and no gradient is taken.

    Args:
        model: comes to the device and back; its norms are changed.
        samples: to take them from, at least 2.
        device: where.
        batch: samples at a time at most, at least 2; none has only one. Which are together is drawn, always alike, so
            that sorted samples are mixed.
        limit: so many samples are used at most, evenly spaced, at least 2.
        threads: of the CPU; another number may change the last digits.

    Returns:
        How many batch norms have new statistics; 0 if the model has none that keeps any, and nothing was done.

    Raises:
        ValueError: there are fewer than 2 samples, or the model's numbers are not finite; norms are then as they were.
        DatadietError: there is not enough memory.
    """
    norms = [own for own in model.modules() if isinstance(own, _BatchNorm) and own.running_mean is not None]
    if not norms:
        return 0
    if min(len(samples), batch, limit) < 2:
        raise ValueError(
            f"statistics of batch norms take at least 2 samples, and there are {min(len(samples), batch, limit)}"
        )
    taken = [_Statistics(norm) for norm in norms]
    with (
        memory_in_words("there is not enough memory to take statistics of batch norms; lower --batch-size"),
        computing(device, threads),
        torch.no_grad(),
        _only_norms_learn(model, norms),
        contextlib.ExitStack() as hooks,
    ):
        model.to(device)
        for own in taken:
            hooks.callback(own.norm.register_forward_hook(own.take).remove)
        for rows in _parts(len(samples), batch, limit):
            model(*to_device(tuple(tensor.index_select(0, rows) for tensor in samples.inputs), device))
        if not all(own.finite for own in taken):
            raise ValueError("what the batch norms are given is not finite, so they have no statistics")
        for own in taken:
            own.put()
    return sum(own.count > 0 for own in taken)


def _parts(n: int, batch: int, limit: int) -> Iterator[torch.Tensor]:
    """Positions of the samples of each batch."""
    used = torch.arange(min(n, limit)) * n // min(n, limit)
    for rows in batches(len(used), batch, generator_of(0)):
        yield used[rows]


@contextlib.contextmanager
def _only_norms_learn(model: nn.Module, norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Put batch norms into training mode with a momentum of 1, and all else into eval mode; then all is as before.

    Norms that were not reached, and all if something fails, have their old statistics afterwards.
    """
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    before = [{name: tensor.clone() for name, tensor in norm.named_buffers(recurse=False)} for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
        norm.reset_running_stats()
    done = False
    try:
        yield
        done = True
    finally:
        for norm, momentum, old in zip(norms, momenta, before, strict=True):
            norm.momentum = momentum
            if not (done and norm.num_batches_tracked):
                for name, tensor in norm.named_buffers(recurse=False):
                    tensor.copy_(old[name])
        for module, training in modes:
            module.training = training
        model.to("cpu")


def scale_dropout(model: nn.Module, kept: float, dense: nn.Module | None = None) -> dict[str, tuple[float, float]]:
    """Lower dropout to what suits a network of which a share is left: p * sqrt(kept).

    (Han et al., "Learning both weights and connections for efficient neural networks", NeurIPS 2015, section 3.2.)

    Args:
        model: it is changed: dropout of torch, of this package, and inside recurrent layers and attention.
        kept: share of the weights that is left, above 0, at most 1.
        dense: the network that it is a share of, with modules of the same names, from which p is taken, so that a
            model that is pruned in rounds is not scaled again by what it was scaled by before. None: the model itself.

    Returns:
        By name of a module: what p is of, and what it is now. Dropout that is off stays off, and is not named.

    Raises:
        ValueError: there is no such share.
    """
    if not 0 < kept <= 1:
        raise ValueError(f"the share of weights that is left is {kept:g}; it must be above 0 and at most 1")
    rates = _rates(model) | ({} if dense is None else _rates(dense))
    changed: dict[str, tuple[float, float]] = {}
    for name, module in model.named_modules():
        if attribute := _rate_of(module):
            new = rates[name] * math.sqrt(kept)
            setattr(module, attribute, new)
            if new:
                changed[name] = rates[name], new
    return changed


def _rates(model: nn.Module) -> dict[str, float]:
    return {
        name: float(getattr(module, attribute))
        for name, module in model.named_modules()
        if (attribute := _rate_of(module))
    }


def _rate_of(module: nn.Module) -> str:
    """The attribute that holds a module's rate of dropout; empty if it has none."""
    if isinstance(module, nn.modules.dropout._DropoutNd | Dropout | Attention):
        return "p"
    return "dropout" if isinstance(module, nn.RNNBase | nn.MultiheadAttention) else ""
