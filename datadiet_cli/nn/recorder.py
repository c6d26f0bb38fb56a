"""Turn logits into the quantities of the training record, and write them epoch by epoch."""

from collections.abc import Sequence

import numpy as np
import torch

from datadiet_cli.nn.batches import Samples
from datadiet_cli.nn.record import CLASSES, NUMBERS, Record


def quantities(
    logits: torch.Tensor, target: torch.Tensor, scale: torch.Tensor | float = 1.0
) -> dict[str, torch.Tensor]:
    """The quantities of `record`, for samples of a classification or a regression.

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

    @property
    def how(self) -> str:
        """``batch`` or ``epoch``."""
        return self._record.facts.how

    def begin(self, samples: Samples, device: torch.device, epoch: int) -> None:
        """Get ready for a training that goes on with this epoch.

        Args:
            samples: that the model is trained on; `index` says in which row of the record each stands.
            device: where the logits will be.
            epoch: from 0 on; what is written of it and later ones is void.

        Raises:
            ValueError: the record has no room for these samples, or is not of their task.
        """
        facts = self._record.facts
        if facts.quantities != (NUMBERS if samples.regression else CLASSES):
            raise ValueError("the record is of another task than the training: classes or numbers")
        index = torch.arange(len(samples)) if samples.index is None else samples.index
        self._rows = index.numpy()
        if len(np.unique(self._rows)) < len(samples) or not 0 <= self._rows.min() <= self._rows.max() < facts.samples:
            raise ValueError(f"the samples do not have a row each of the record's {facts.samples:,}")
        self._record.begin(self._model, epoch)
        self._held = {
            name: torch.zeros(len(samples), dtype=torch.bool if name == "correct" else torch.float32, device=device)
            for name in facts.quantities
        }

    def observe(
        self, rows: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, scale: torch.Tensor | float = 1.0
    ) -> None:
        """Take down a batch, on the device of `begin`.

        Args:
            rows: (m,) int64, positions among the samples of `begin`.
            logits: (m, K); see `quantities`, as for the rest.
            target: (m,).
            scale: of the target.
        """
        for name, values in quantities(logits, target, scale).items():
            self._held[name].index_copy_(0, rows, values)

    def end(self, epoch: int) -> None:
        """Write what was taken down in an epoch, in which all samples had their turn."""
        if epoch < self._record.facts.epochs:
            values = {name: held.cpu().numpy() for name, held in self._held.items()}
            self._record.write(self._model, epoch, self._rows, values)
            self._record.mark(self._model, epoch + 1, finished=False)

    def finish(self, epochs: int) -> None:
        """Write down that the training has ended after so many whole epochs."""
        self._record.mark(self._model, min(epochs, self._record.facts.epochs), finished=True)


def quantities_of(regression: bool) -> Sequence[str]:
    """Which quantities a record of such a training has."""
    return NUMBERS if regression else CLASSES
