"""Where a network runs, and how samples are sent through it so that none depends on its neighbours."""

import multiprocessing
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import ConfigError

if TYPE_CHECKING:
    import torch

_TURN = threading.Lock()
"""One batch at a time: a network uses all cores by itself, and so does a GPU."""


def device_of(name: str) -> "torch.device":
    """The device of this name.

    Args:
        name: ``auto`` (CUDA if there is any), ``cpu`` or ``cuda``.

    Raises:
        ConfigError: there is no CUDA device.
    """
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("--device cuda: there is no CUDA device here; use auto or cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def in_batches(
    forward: "Callable[..., torch.Tensor]", arrays: tuple[NDArray[np.generic], ...], batch: int, device: "torch.device"
) -> NDArray[np.float32]:
    """Send samples through a network, always so many at a time.

    The last batch is filled up with zeros. So a sample is computed in the same way whoever else there is: libraries
    choose their ways by the shape of a batch. On the same device it gets the same numbers each time; on another one
    they differ in the last digits.

    Args:
        forward: takes a batch of each array as tensors on the device; gives (batch, d) numbers.
        arrays: each (n, ...), of the same n, at least 1.
        batch: samples at a time.
        device: where to.

    Returns:
        (n, d) float32.
    """
    import torch

    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # there are as many processes as cores
    n = len(arrays[0])
    found: list[NDArray[np.float32]] = []
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with _TURN, torch.inference_mode(), flags:
        for start in range(0, n, batch):
            parts = [torch.from_numpy(_filled(array[start : start + batch], batch)).to(device) for array in arrays]
            out = forward(*parts)
            found.append(out[: min(batch, n - start)].to("cpu", torch.float32).numpy())
    return np.concatenate(found)


def _filled(part: NDArray[np.generic], batch: int) -> NDArray[np.generic]:
    whole = np.zeros((batch, *part.shape[1:]), dtype=part.dtype)
    whole[: len(part)] = part
    return whole
