"""Dynamic pruning: leave samples out of each pass of a training that have little to teach just then.

A sampler says before each pass which samples it learns from and what each counts, and is told after it how they did.
It changes nothing in torch, draws from its own stream of chance only, and can be written down and taken up again.
"""

import torch

from datadiet_cli.nn.dynamic.adaptive import Adaptive
from datadiet_cli.nn.dynamic.anew import Anew
from datadiet_cli.nn.dynamic.base import Course, Sampler, Turn, Unbiased
from datadiet_cli.nn.dynamic.infobatch import InfoBatch
from datadiet_cli.nn.dynamic.rcap import RCAP
from datadiet_cli.nn.dynamic.seta import SeTa

__all__ = ["DYNAMIC", "Course", "Sampler", "Turn", "Unbiased", "sampler_of"]

DYNAMIC: dict[str, type[Sampler]] = {
    "infobatch": InfoBatch,
    "random": Anew,
    "seta": SeTa,
    "rcap": RCAP,
    "adaptive": Adaptive,
}
"""The ways there are."""


def sampler_of(
    name: str, target: torch.Tensor, *, epochs: int, share: float = 0.5, until: float = 0.875, seed: int = 0
) -> Sampler:
    """A sampler for a training.

    Args:
        name: of `DYNAMIC`.
        target: (n,) int64 classes from 0 on, or float32 numbers.
        epochs: passes of the training, at least 1.
        share: of the samples that is left out of a pass, from 0 to below 1: of the easy ones for ``infobatch``, at most
            for ``adaptive``, of all for the others.
        until: part of the passes, rounded down, in which samples are left out, above 0 to 1.
        seed: of the training, at least 0.

    Raises:
        ValueError: there is no sampler of that name, or a number is out of its range.
    """
    if name not in DYNAMIC:
        raise ValueError(f"there is no dynamic pruning {name!r}; there are {', '.join(DYNAMIC)}")
    return DYNAMIC[name](Course(target, epochs, share, until, seed))
