"""What a model costs: parameters, multiplications, bytes, and the time that it takes on this machine."""

import math
import platform
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from datadiet_cli.nn.cost_counting import Inputs, batch_of, evaluating
from datadiet_cli.nn.cost_macs import Layer, effective_macs, layers, macs, macs_by_layer
from datadiet_cli.nn.device import computing

__all__ = [
    "BATCHES", "ROUNDS", "Bytes", "Inputs", "Latency", "Layer", "Parameters", "Ratio", "Runner", "bytes_of",
    "effective_macs", "latency", "layers", "macs", "macs_by_layer", "parameters", "processor_of", "ratio",
]  # fmt: skip

Runner = Callable[..., object]
"""A module, or anything else that takes a batch: a session of another runtime."""

BATCHES = (1, 64)
ROUNDS = 15
SHORTEST = 0.005
"""Seconds that a measurement takes at least: faster models go through the batch several times."""
CONFIDENCE = 0.95
_WARM_UP = 3
_MOST_REPEATS = 1000
_LEVEL = 6
_CHUNK = 1 << 24
_CPU_INFO = Path("/proc/cpuinfo")


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
        cpu: CPU time of the process, its threads included; None on CUDA, where it says nothing.
        cpu_quartiles: first and third.
        wall: time by the clock; on CUDA between two events.
        wall_quartiles: first and third.
        rounds: how many there were.
        threads: of the CPU.
        runtime: what computed it, with its version, such as ``torch 2.13.0``.
        processor: what it was computed on.
        cpu_times: of each round; empty on CUDA.
        wall_times: of each round.
    """

    batch: int
    cpu: float | None
    cpu_quartiles: tuple[float, float] | None
    wall: float
    wall_quartiles: tuple[float, float]
    rounds: int
    threads: int
    runtime: str
    processor: str
    cpu_times: tuple[float, ...] = field(repr=False)
    wall_times: tuple[float, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """As the report has it: without the times of each round."""
        return {name: value for name, value in asdict(self).items() if name not in ("cpu_times", "wall_times")}


class Ratio(NamedTuple):
    """How many times as long one model takes as another: the median over rounds, and the ends of its interval."""

    median: float
    low: float
    high: float


def parameters(model: nn.Module) -> Parameters:
    """Count the parameters of a model; buffers are none."""
    own = list(model.parameters())
    return Parameters(
        total=sum(tensor.numel() for tensor in own),
        nonzero=sum(int(torch.count_nonzero(tensor.detach())) for tensor in own),
        trainable=sum(tensor.numel() for tensor in own if tensor.requires_grad),
    )


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
    models: Mapping[str, Runner],
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
        models: by name; modules compute in eval mode, where they are, and are left as they were. What is no module
            computes on the CPU, has been told to use so many threads, and has the name and version of its runtime as
            its `runtime`.
        inputs: by the same names, what each takes, tensors or arrays of n samples each on its device, n at least 1;
            samples are repeated if a batch is larger.
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
        runs = [_Run(model, batch_of(inputs[name], batch)) for name, model in models.items()]
        with computing(torch.device("cpu"), threads), torch.inference_mode():
            for run in runs:
                run.warm_up()
            for turn in range(rounds):
                for place in range(len(runs)):
                    runs[(turn + place) % len(runs)].measure()
        for name, run in zip(models, runs, strict=True):
            found[name].append(run.summary(batch, threads))
    return found


def ratio(one: Latency, other: Latency) -> Ratio:
    """How many times as long `one` takes as `other`, round by round: CPU time if both have it, or else by the clock.

    The interval of the median is that of the sign test, which assumes nothing of how times are distributed: between two
    of the ordered ratios, so that it covers the true median with 95 % if rounds are independent of each other. With
    less than 6 rounds no two cover so much, and it is all that was seen.

    Args:
        one: of a model, as `latency` measured it.
        other: of another, in the same rounds.

    Raises:
        ValueError: they were not measured in the same rounds.
    """
    by_cpu = all(times and all(times) for times in (one.cpu_times, other.cpu_times))
    timed = (one.cpu_times, other.cpu_times) if by_cpu else (one.wall_times, other.wall_times)
    if (one.batch, one.rounds) != (other.batch, other.rounds):
        raise ValueError("two latencies can be compared only if they were measured side by side")
    ratios = np.sort(np.divide(*(np.asarray(times, dtype=np.float64) for times in timed)))
    beyond = _beyond(len(ratios))
    return Ratio(float(np.median(ratios)), float(ratios[beyond]), float(ratios[-1 - beyond]))


def processor_of(device: torch.device) -> str:
    """Name of a device, as its maker has it; as far as the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _CPU_INFO.read_text("utf-8", "replace").splitlines() if _CPU_INFO.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, named), "") or platform.processor() or platform.machine()


def _runtime_of(model: Runner) -> str:
    if isinstance(model, nn.Module):
        return f"torch {torch.__version__.partition('+')[0]}"
    return str(getattr(model, "runtime", type(model).__name__))


def _beyond(n: int) -> int:
    """How many of n values at each end can be left out, so that the rest covers the median with the confidence."""
    tail, beyond = 0.5**n, 0
    while 2 * (tail + math.comb(n, beyond + 1) * 0.5**n) <= 1 - CONFIDENCE:
        beyond += 1
        tail += math.comb(n, beyond) * 0.5**n
    return beyond


class _Run:
    """One model with one batch, and the times it took."""

    def __init__(self, model: Runner, batch: Inputs) -> None:
        self._model, self._batch = model, batch
        self._device = batch[0].device if isinstance(batch[0], torch.Tensor) else torch.device("cpu")
        self._on_cuda = self._device.type == "cuda"
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

    def summary(self, batch: int, threads: int) -> Latency:
        cpu, wall = (np.quantile(times, [0.25, 0.5, 0.75]).tolist() for times in (self._cpu, self._wall))
        return Latency(
            batch=batch,
            cpu=None if self._on_cuda else cpu[1],
            cpu_quartiles=None if self._on_cuda else (cpu[0], cpu[2]),
            wall=wall[1],
            wall_quartiles=(wall[0], wall[2]),
            rounds=len(self._wall),
            threads=threads,
            runtime=_runtime_of(self._model),
            processor=processor_of(self._device),
            cpu_times=() if self._on_cuda else tuple(self._cpu),
            wall_times=tuple(self._wall),
        )

    def _time(self) -> tuple[float, float]:
        """CPU time and wall time of one pass."""
        with evaluating(self._model):
            return self._on_gpu() if self._on_cuda else self._on_cpu()

    def _on_cpu(self) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(self._repeats):
            self._model(*self._batch)
        return (time.process_time() - cpu) / self._repeats, (time.perf_counter() - wall) / self._repeats

    def _on_gpu(self) -> tuple[float, float]:
        with torch.cuda.device(self._device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            start.record()
            for _ in range(self._repeats):
                self._model(*self._batch)
            end.record()
            end.synchronize()
        return 0.0, float(start.elapsed_time(end)) / 1000 / self._repeats
