"""Samples in memory, and the batches that they are trained on."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from datadiet_cli.nn.device import fits_whole, to_device


@dataclass(frozen=True, eq=False)
class Samples:
    """What a model is trained or measured on.

    Attributes:
        inputs: a model's raw tensors in the order of its fields (`spec.Field`), each (n, ...), on the CPU. They may be
            views of a memory-mapped file; map it copy on write (``mode="c"``), for torch knows no read-only arrays.
        target: (n,) int64 classes from 0 on, or float32 numbers in the unit of the label.
        index: (n,) int64, the row of each sample in the record, all different; None: its position here.
    """

    inputs: tuple[torch.Tensor, ...]
    target: torch.Tensor
    index: torch.Tensor | None = None

    def __post_init__(self) -> None:
        lengths = {len(tensor) for tensor in (*self.inputs, self.target)}
        if self.index is not None:
            lengths.add(len(self.index))
        if len(lengths) > 1:
            raise ValueError(f"inputs, target and index differ in length: {', '.join(map(str, sorted(lengths)))}")

    def __len__(self) -> int:
        return len(self.target)

    @property
    def regression(self) -> bool:
        """Whether the target is a number and not a class."""
        return self.target.is_floating_point()

    def rows(self, rows: torch.Tensor) -> "Samples":
        """Some of the samples, by (m,) int64 positions; `index` stays that of the whole."""
        index = rows if self.index is None else self.index[rows]
        return Samples(tuple(tensor[rows] for tensor in self.inputs), self.target[rows], index)


class Source:
    """Samples, brought to a device: at once if there is room for all, else batch by batch.

    Args:
        samples: on the CPU.
        device: where to.
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self._device = device
        self._whole = fits_whole(sum(tensor.nbytes for tensor in samples.inputs), device)
        self._inputs = to_device(samples.inputs, device) if self._whole else samples.inputs
        (self._target,) = to_device((samples.target,), device)

    def batch(self, rows: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor]:
        """Some of the samples.

        Args:
            rows: (m,) int64 on the CPU.

        Returns:
            The inputs, the target and `rows`, all on the device.
        """
        (there,) = to_device((rows,), self._device)
        if self._whole:
            inputs = tuple(tensor.index_select(0, there) for tensor in self._inputs)
        else:
            inputs = to_device(tuple(tensor.index_select(0, rows) for tensor in self._inputs), self._device)
        return inputs, self._target.index_select(0, there), there


def steps_of(n: int, size: int) -> int:
    """How many batches a pass over n samples has.

    As many as it takes for none to be larger than `size`; but none has one sample alone, for which batch norm has no
    spread: an odd number of samples in batches of 2 has one batch of 3.
    """
    return max(1, min(math.ceil(n / size), n // 2))


def batches(n: int, size: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Divide samples into batches at random; each sample is in one.

    Args:
        n: samples, at least 1.
        size: of a batch at most, at least 2; see `steps_of`.
        generator: of the CPU.

    Returns:
        `steps_of` batches, (m,) int64 positions each, whose lengths differ by at most 1.
    """
    return torch.tensor_split(torch.randperm(n, generator=generator), steps_of(n, size))


def generator_of(seed: int, *place: int) -> torch.Generator:
    """A generator of the CPU for one place of a training: a stream of draws, a pass.

    It depends on nothing that was drawn before, so a training that is taken up again needs no state of it.

    Args:
        seed: of the training, at least 0.
        place: numbers from 0 on.
    """
    return torch.Generator().manual_seed(seed_of(seed, *place))


def seed_of(seed: int, *place: int) -> int:
    """The seed of `generator_of`, for generators that are a module's own."""
    # Half of the range, for some generators take no more.
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0] >> np.uint64(1))
