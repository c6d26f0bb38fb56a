"""What a model costs: parameters, multiplications, bytes, and the time that it takes on this machine."""

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from datadiet_cli.nn.device import computing

Inputs = Sequence[torch.Tensor]

BATCHES = (1, 64)
ROUNDS = 15
SHORTEST = 0.005
"""Seconds that a measurement takes at least: faster models go through the batch several times."""
_WARM_UP = 3
_MOST_REPEATS = 1000
_LEVEL = 6
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Parameters:
    """How many parameters a model has; those it shares between modules count once.

    Attributes:
        total: all of them.
        nonzero: those that are not 0. Dense arithmetic does not become faster by zeros, but a compressed file smaller.
        trainable: those that are not frozen.
    """

    total: int
    nonzero: int
    trainable: int

    def as_json(self) -> dict[str, int]:
        """As the report has it."""
        return asdict(self)


@dataclass(frozen=True)
class Bytes:
    """Size of a model's tensors: as they are, and compressed by DEFLATE at level 6, as gzip does by default."""

    raw: int
    compressed: int

    def as_json(self) -> dict[str, int]:
        """As the report has it."""
        return asdict(self)


@dataclass(frozen=True)
class Latency:
    """Time that a model takes for a batch, in seconds: medians and quartiles over rounds.

    Attributes:
        batch: samples of it.
        cpu: CPU time of the process; None on CUDA, where it says nothing.
        cpu_quartiles: first and third.
        wall: time by the clock; on CUDA between two events.
        wall_quartiles: first and third.
        rounds: how many there were.
        threads: of the CPU.
    """

    batch: int
    cpu: float | None
    cpu_quartiles: tuple[float, float] | None
    wall: float
    wall_quartiles: tuple[float, float]
    rounds: int
    threads: int

    def as_json(self) -> dict[str, Any]:
        """As the report has it."""
        return asdict(self)


def parameters(model: nn.Module) -> Parameters:
    """Count the parameters of a model; buffers are none."""
    own = list(model.parameters())
    return Parameters(
        total=sum(tensor.numel() for tensor in own),
        nonzero=sum(int(torch.count_nonzero(tensor.detach())) for tensor in own),
        trainable=sum(tensor.numel() for tensor in own if tensor.requires_grad),
    )


def macs(model: nn.Module, inputs: Inputs) -> int:
    """Multiply-accumulate operations that a model makes of one sample.

    Those of matrix products, linear layers, convolutions and attention are counted, as they are run; a zero counts as
    any number. The model computes in eval mode and is left as it was.

    Args:
        model: takes `inputs` as its arguments.
        inputs: tensors of n samples each, on the model's device; the first is sent through the model.

    Raises:
        ValueError: there are no samples.
    """
    part = _batch(inputs, 1)
    counter = FlopCounterMode(display=False)
    # Fused attention and encoder layers are single operations, which the counter does not know on every device.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _evaluating(model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            model(*part)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // 2


def bytes_of(state: Mapping[str, torch.Tensor]) -> Bytes:
    """Size of tensors, in the order of their names, without the names.

    Args:
        state: dense tensors, as `Module.state_dict` gives them.
    """
    squeeze = zlib.compressobj(_LEVEL, wbits=31)
    raw = compressed = 0
    for name in sorted(state):
        flat = state[name].detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy()
        raw += flat.size
        for start in range(0, flat.size, _CHUNK):
            compressed += len(squeeze.compress(flat[start : start + _CHUNK].tobytes()))
    return Bytes(raw, compressed + len(squeeze.flush()))


def latency(
    models: Mapping[str, nn.Module],
    inputs: Mapping[str, Inputs],
    *,
    batches: Sequence[int] = BATCHES,
    rounds: int = ROUNDS,
    threads: int = 1,
) -> dict[str, list[Latency]]:
    """Measure models side by side, so that whatever else goes on on the machine slows all of them alike.

    In each round each model has its turn, in an order that rotates from round to round. What comes before the first
    round warms up caches, and finds how often a fast model must go through the batch for the clock to be fine enough.

    Args:
        models: by name; they compute in eval mode, where they are, and are left as they were.
        inputs: by the same names, what each takes, tensors of n samples each on its device, n at least 1; samples are
            repeated if a batch is larger.
        batches: sizes of batches to measure with.
        rounds: how often, at least 1.
        threads: of the CPU.

    Returns:
        by name, a `Latency` for each size of batch.

    Raises:
        ValueError: there are no samples, no rounds, a size below 1, or a training with other threads is running.
    """
    if rounds < 1 or min(batches, default=1) < 1:
        raise ValueError("latency takes one round at least, and batches of one sample at least")
    found: dict[str, list[Latency]] = {name: [] for name in models}
    for batch in batches:
        runs = [_Run(model, _batch(inputs[name], batch)) for name, model in models.items()]
        with computing(torch.device("cpu"), threads), torch.inference_mode():
            for run in runs:
                run.warm_up()
            for turn in range(rounds):
                for place in range(len(runs)):
                    runs[(turn + place) % len(runs)].measure()
        for name, run in zip(models, runs, strict=True):
            found[name].append(run.summary(batch, rounds, threads))
    return found


class _Run:
    """One model with one batch, and the times it took."""

    def __init__(self, model: nn.Module, batch: Inputs) -> None:
        self._model, self._batch = model, batch
        self._on_cuda = batch[0].device.type == "cuda"
        self._repeats = 1
        self._cpu: list[float] = []
        self._wall: list[float] = []

    def warm_up(self) -> None:
        fastest = min(self._time()[1] for _ in range(_WARM_UP))
        self._repeats = min(max(1, int(np.ceil(SHORTEST / max(fastest, 1e-9)))), _MOST_REPEATS)

    def measure(self) -> None:
        cpu, wall = self._time()
        self._cpu.append(cpu)
        self._wall.append(wall)

    def summary(self, batch: int, rounds: int, threads: int) -> Latency:
        cpu, wall = (np.quantile(times, [0.25, 0.5, 0.75]).tolist() for times in (self._cpu, self._wall))
        if self._on_cuda:
            return Latency(batch, None, None, wall[1], (wall[0], wall[2]), rounds, threads)
        return Latency(batch, cpu[1], (cpu[0], cpu[2]), wall[1], (wall[0], wall[2]), rounds, threads)

    def _time(self) -> tuple[float, float]:
        """CPU time and wall time of one pass."""
        with _evaluating(self._model):
            return self._on_gpu() if self._on_cuda else self._on_cpu()

    def _on_cpu(self) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(self._repeats):
            self._model(*self._batch)
        return (time.process_time() - cpu) / self._repeats, (time.perf_counter() - wall) / self._repeats

    def _on_gpu(self) -> tuple[float, float]:
        with torch.cuda.device(self._batch[0].device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            start.record()
            for _ in range(self._repeats):
                self._model(*self._batch)
            end.record()
            end.synchronize()
        return 0.0, float(start.elapsed_time(end)) / 1000 / self._repeats


def _batch(inputs: Inputs, size: int) -> Inputs:
    """So many samples, the first ones, again from the first after the last."""
    if not inputs or not len(inputs[0]):
        raise ValueError("there are no samples to send through the model")
    return [tensor[torch.arange(size, device=tensor.device) % len(tensor)] for tensor in inputs]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and each module's own mode again afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
