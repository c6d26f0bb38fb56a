"""What depends on the device that computes, where that may be one of another machine."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from datadiet_cli.engine import Engine

T = TypeVar("T")
R = TypeVar("R")


def told(kernel: Callable[[Sequence[T]], R], item: T, device: str, engine: Engine) -> R:
    """Ask about the device that computes: a worker, where work goes to a cluster and there is any GPU.

    What this machine would say of itself is not so where the work is done: either may have a GPU, or both, or none.

    Args:
        kernel: a module-level function of a list of one item.
        item: what it is asked of.
        device: ``auto``, ``cpu`` or ``cuda``, on which the work is to be done.
        engine: will do it.
    """
    if engine.is_led and device != "cpu" and (_sees_gpu() or engine.gpus):
        ((_, found),) = engine.map(kernel, [item], chunk=1, on_device=True)
        return found
    return kernel([item])


def _sees_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
