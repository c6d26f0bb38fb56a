"""What all models have in common: the way from an encoder to the answer, dropout, and how units are taken off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datadiet_cli.nn.spec import Spec

_BUILDING = Lock()
"""PyTorch draws the first weights from one stream for the whole process."""
SMALLEST = 1e-6
"""A spread below this is none."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let modules that are made inside draw their weights from a seed, and leave the stream as it was."""
    with _BUILDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Encoder(nn.Module):
    """Turns the raw tensors of its fields into (n, width) float32 numbers, and takes off their units itself.

    Attributes:
        width: how many numbers it gives for a sample.
    """

    width: int

    def fit(self, *samples: Tensor) -> None:
        """Learn units (means, scales, medians) from raw tensors, one per field. Some have nothing to learn."""

    def start(self) -> None:
        """Draw first weights that are not those that its layers draw for themselves. Most have none."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Encode raw tensors, one per field, each (n, ...), as (n, width) float32."""
        found: Tensor = super().__call__(*inputs)
        return found


class Dropout(nn.Module):
    """Dropout with a stream of its own, so that trainings side by side do not take numbers from each other.

    (Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.)

    Args:
        p: share of the values that are set to zero in training; the others are divided by 1 - p.
        seed: of the stream.
    """

    def __init__(self, p: float, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is {p}; it must be from 0 to below 1")
        self.p = p
        self._seed = seed
        self._streams: dict[str, torch.Generator] = {}

    def reseed(self, seed: int) -> None:
        """Start the stream anew."""
        self._seed = seed
        self._streams.clear()

    def state(self, device: torch.device | str = "cpu") -> Tensor:
        """Where the stream on a device stands: uint8, to be kept in a checkpoint."""
        return self._stream(torch.device(device)).get_state()

    def set_state(self, state: Tensor, device: torch.device | str = "cpu") -> None:
        """Go on from what `state` gave for a device of the same kind."""
        self._stream(torch.device(device)).set_state(state)

    def forward(self, x: Tensor) -> Tensor:
        """Drop values in training; in evaluation do nothing."""
        if not self.training or self.p == 0:
            return x
        # A meta tensor has no values, so there is nothing to draw.
        stream = None if x.is_meta else self._stream(x.device)
        return x * torch.empty_like(x).bernoulli_(1 - self.p, generator=stream).div_(1 - self.p)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"p={self.p}"

    def _stream(self, device: torch.device) -> torch.Generator:
        if device.type not in self._streams:
            self._streams[device.type] = torch.Generator(device).manual_seed(self._seed)
        return self._streams[device.type]


class Model(nn.Module):
    """An encoder, dropout, and a linear head.

    Attributes:
        encoder: raw tensors to (n, h) features.
        dropout: before the head.
        head: (n, h) to (n, K) logits, or to (n, 1) numbers with a mean of 0 and a spread of 1 for a regression.
        target_centre: of a regression only: () float32, what is added to the scaled numbers.
        target_scale: of a regression only: () float32, what they are multiplied with.
    """

    target_centre: Tensor
    target_scale: Tensor

    def __init__(self, encoder: Encoder, spec: Spec, *, head: nn.Linear | None = None, seed: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(float(spec.options.get("dropout", 0.0)), seed)
        self.head = nn.Linear(encoder.width, spec.outputs) if head is None else head
        self.regression = not spec.classes
        if self.regression:
            self.register_buffer("target_centre", torch.zeros(()))
            self.register_buffer("target_scale", torch.ones(()))

    def features(self, *inputs: Tensor) -> Tensor:
        """(n, h) numbers that the head takes, in evaluation as in training."""
        return self.encoder(*inputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        """(n, K) logits, or (n, 1) numbers in the unit of the label."""
        found: Tensor = self.head(self.dropout(self.features(*inputs)))
        return found * self.target_scale + self.target_centre if self.regression else found

    def fit(self, samples: Sequence[Tensor], target: Tensor | None) -> None:
        """Learn the units of the fields, and of the target of a regression, from raw tensors."""
        self.encoder.fit(*samples)
        if self.regression and target is not None:
            values = target.to(torch.float64)
            if not torch.isfinite(values).all():
                raise ValueError("the target has values that are no finite numbers")
            centre, spread = (float(values.mean()), float(values.std(correction=0))) if len(values) else (0.0, 1.0)
            self.target_centre.fill_(centre)
            self.target_scale.fill_(spread if spread > SMALLEST * abs(centre) else 1.0)


def units_of(values: NDArray[np.floating[Any]]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column of (n, d), float32; 0 and 1 for a column that says nothing."""
    wide = values.astype(np.float64)
    mean = wide.mean(axis=0) if len(wide) else np.zeros(wide.shape[1:])
    spread = wide.std(axis=0) if len(wide) else np.ones(wide.shape[1:])
    spread[spread <= SMALLEST * np.maximum(np.abs(mean), SMALLEST)] = 1.0
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(spread.astype(np.float32))


def start_convolutions(module: nn.Module) -> None:
    """Draw the weights of convolutions as He et al., "Delving deep into rectifiers", ICCV 2015, section 2.2."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
