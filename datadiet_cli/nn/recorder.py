"""Turn logits into the quantities of the training record, and write them epoch by epoch.

For a sample with logits z of K classes, p = softmax(z), and label y, in an epoch:

- ``probability``: p_y (mean and spread over the epochs: Swayamdipta et al., "Dataset cartography", EMNLP 2020).
- ``margin``: z_y - max over c != y of z_c (mean: AUM, Pleiss et al., NeurIPS 2020).
- ``loss``: -log p_y.
- ``error``: the length of p - onehot(y) (EL2N, Paul et al., "Deep learning on a data diet", NeurIPS 2021).
- ``entropy``: - sum of p log p, in nats.
- ``correct``: whether the margin is above 0, so a tie is not correct (forgetting: Toneva et al., ICLR 2019).
- ``gradient``: the length of the gradient of the loss by weight and bias of the last layer (GraNd, Paul et al.,
  definition 2.1, of that layer alone): with what the layer is given, h, it is error * sqrt(|h|^2 + 1), or error * |h|
  for a layer without a bias. Only of models whose `head` is an `nn.Linear`.
- ``divergence``: sum over c of p_c |log(p_c / q_c)|, with q the p of the epoch before (TDDS, Zhang et al., "Spanning
  training progress", CVPR 2024, equations 4 and 5). NaN in the first epoch, and where the sample took no part in this
  epoch or the one before. Logarithms are held in half precision: to some 0.05 %, and from -65504 on. Only where n K is
  at most 2^27, so that no more than 256 MiB are held.

For a regression there are ``loss``, the squared error in units of the model's target scale, and ``error``, the absolute
error in the unit of the label.
"""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.record import CLASSES, DIVERGENCE, GRADIENT, NUMBERS, Record

MOST_HELD = 1 << 27
"""Samples times classes beyond which a record has no divergence."""
_PREVIOUS = "previous"
_HALF = torch.finfo(torch.float16)
_MOST = torch.finfo(torch.float32).max


def quantities_of(classes: int, samples: int, *, gradient: bool = True) -> tuple[str, ...]:
    """Which quantities the record of a training has.

    Args:
        classes: how many the model knows; 0 for a regression.
        samples: rows of the record.
        gradient: whether the model has a `last_layer`; those of `models.build` do.
    """
    if not classes:
        return NUMBERS
    more = ((GRADIENT,) if gradient else ()) + ((DIVERGENCE,) if classes * samples <= MOST_HELD else ())
    return (*CLASSES, *more)


def last_layer(model: nn.Module) -> nn.Linear | None:
    """The linear layer that gives a model's answer, its `head`; None if it does not tell."""
    head = getattr(model, "head", None)
    return head if isinstance(head, nn.Linear) else None


def quantities(
    logits: torch.Tensor, target: torch.Tensor, scale: torch.Tensor | float = 1.0
) -> dict[str, torch.Tensor]:
    """What a record always has of samples, of a classification (`record.CLASSES`) or a regression (`record.NUMBERS`).

    Args:
        logits: (m, K) logits, K at least 2, or (m, 1) numbers in the unit of the label; any precision.
        target: (m,) int64 classes or float32 numbers, on the same device.
        scale: of the target, for the loss of a regression.

    Returns:
        (m,) float32 each, ``correct`` bool.
    """
    values = logits.detach().to(torch.float32)
    if target.is_floating_point():
        off = values[:, 0] - target
        return {"loss": (off / scale).square(), "error": off.abs()}
    own = target[:, None]
    logarithms = values.log_softmax(1)
    shares = logarithms.exp()
    loss = -logarithms.gather(1, own)[:, 0]
    margin = values.gather(1, own)[:, 0] - values.scatter(1, own, -torch.inf).amax(1)
    onehot = torch.zeros_like(shares).scatter(1, own, 1.0)
    return {
        "probability": shares.gather(1, own)[:, 0],
        "margin": margin,
        "loss": loss,
        "error": (shares - onehot).norm(dim=1),
        # A share of 0 has a logarithm of minus infinity, and adds nothing.
        "entropy": -(shares * logarithms.nan_to_num(neginf=0.0)).sum(1),
        "correct": margin > 0,
    }


class Recorder:
    """Writes what one model of a record thinks of its samples.

    Args:
        record: where to.
        model: which one of the record's models this is.
    """

    def __init__(self, record: Record, model: int = 0) -> None:
        self._record, self._model = record, model
        self._rows = np.empty(0, np.int64)
        self._held: dict[str, torch.Tensor] = {}
        self._taken = torch.empty(0, dtype=torch.bool)
        self._logarithms: torch.Tensor | None = None
        self._lengths: torch.Tensor | None = None

    @property
    def how(self) -> str:
        """``batch`` or ``epoch``."""
        return self._record.facts.how

    def begin(
        self, samples: Samples, device: torch.device, epoch: int, state: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        """Get ready for a training that goes on with this epoch.

        Args:
            samples: that are observed; `index` says in which row of the record each stands.
            device: where the logits will be.
            epoch: from 0 on; what is written of it and later ones is void.
            state: what `state` gave after the epoch before.

        Raises:
            ValueError: the record has no room for these samples, or is not of their task.
        """
        facts = self._record.facts
        if (facts.quantities == NUMBERS) != samples.regression:
            raise ValueError("the record is of another task than the training: classes or numbers")
        index = torch.arange(len(samples)) if samples.index is None else samples.index
        self._rows = index.numpy()
        if len(np.unique(self._rows)) < len(samples) or not 0 <= self._rows.min() <= self._rows.max() < facts.samples:
            raise ValueError(f"the samples do not have a row each of the record's {facts.samples:,}")
        epoch = min(epoch, facts.epochs)
        self._record.begin(self._model, epoch)
        self._held = {name: self._before(name, epoch).to(device) for name in facts.quantities}
        self._taken = torch.zeros(len(samples), dtype=torch.bool, device=device)
        previous = (state or {}).get(_PREVIOUS)
        self._logarithms = None if previous is None else previous.to(device)

    def state(self) -> dict[str, torch.Tensor]:
        """What `begin` goes on from besides what is written, for a checkpoint."""
        return {} if self._logarithms is None else {_PREVIOUS: self._logarithms}

    @contextlib.contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Note what the model's last layer is given; a record of gradients observes inside only, batch by batch.

        Raises:
            ValueError: the record is of gradients, and the model has no `last_layer`.
        """
        if GRADIENT not in self._held:
            yield
            return
        layer = last_layer(model)
        if layer is None:
            raise ValueError("the record is of gradients, and the model has no `head` that is a linear layer")
        bias = 0.0 if layer.bias is None else 1.0

        def note(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            squares = given[0].detach().to(torch.float32).square().sum(1)
            self._lengths = (squares + bias).sqrt().clamp(max=_MOST)

        handle = layer.register_forward_pre_hook(note)
        try:
            yield
        finally:
            handle.remove()
            self._lengths = None

    def observe(
        self, rows: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, scale: torch.Tensor | float = 1.0
    ) -> None:
        """Take down a batch, on the device of `begin`.

        Args:
            rows: (m,) int64, positions among the samples of `begin`, once in an epoch.
            logits: (m, K); see `quantities`, as for the rest.
            target: (m,).
            scale: of the target.

        Raises:
            ValueError: the record is of gradients, and nobody is `watching`.
        """
        found = quantities(logits, target, scale)
        if GRADIENT in self._held:
            if self._lengths is None:
                raise ValueError("the record is of gradients, and nobody is watching the model's last layer")
            # A batch may have been filled up.
            found[GRADIENT] = found["error"] * self._lengths[: len(rows)]
        if DIVERGENCE in self._held:
            found[DIVERGENCE] = self._moved(rows, logits)
        for name, values in found.items():
            self._held[name].index_copy_(0, rows, values)
        self._taken.index_fill_(0, rows, True)

    def end(self, epoch: int) -> None:
        """Write what was taken down in an epoch.

        A sample that had no turn keeps the values of its last one, but has no divergence; before its first turn it has
        none.
        """
        if epoch < self._record.facts.epochs:
            values = {name: held.cpu().numpy() for name, held in self._held.items()}
            self._record.write(self._model, epoch, self._rows, values)
            self._record.mark(self._model, epoch + 1, finished=False)
        if self._logarithms is not None:
            self._logarithms.masked_fill_(~self._taken[:, None], torch.nan)
            self._held[DIVERGENCE].fill_(torch.nan)
        self._taken.zero_()

    def finish(self, epochs: int) -> None:
        """Write down that the training has ended after so many whole epochs."""
        self._record.mark(self._model, min(epochs, self._record.facts.epochs), finished=True)

    def _before(self, name: str, epoch: int) -> torch.Tensor:
        """What was written of the samples in the epoch before this one."""
        if epoch and name != DIVERGENCE:
            values = self._record.read(name, self._model)[epoch - 1][self._rows]
            return torch.from_numpy(values if name == "correct" else values.astype(np.float32))
        dtype = torch.bool if name == "correct" else torch.float32
        return torch.full((len(self._rows),), False if name == "correct" else torch.nan, dtype=dtype)

    def _moved(self, rows: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """How far the answers are from those of the epoch before; they take the place of those."""
        now = logits.detach().to(torch.float32).log_softmax(1).clamp(min=_HALF.min).to(torch.float16)
        if self._logarithms is None:
            shape = (len(self._rows), logits.shape[1])
            self._logarithms = torch.full(shape, torch.nan, dtype=torch.float16, device=logits.device)
        before = self._logarithms.index_select(0, rows)
        self._logarithms.index_copy_(0, rows, now)
        wide = now.to(torch.float32)
        return (wide.exp() * (wide - before.to(torch.float32)).abs()).sum(1)


def watching(recorder: Recorder | None, model: nn.Module) -> contextlib.AbstractContextManager[None]:
    """`Recorder.watching`, or nothing for None."""
    return contextlib.nullcontext() if recorder is None else recorder.watching(model)
