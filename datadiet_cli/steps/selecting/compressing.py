"""Columns, or the dimensions of vectors, turned into fewer new ones."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datadiet_cli.columns import ColumnVerdict
from datadiet_cli.config.base import parse_percentage
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.selecting.base import COMPRESSION, STEP, Floats, Goal, Task
from datadiet_cli.steps.selecting.deciding import count_of

if TYPE_CHECKING:
    from datadiet_cli.methods.selection.compression import Projection


def fitted(task: Task, x: Floats, goal: Goal) -> "Projection":
    """Learn a projection.

    Args:
        task: what is to be done.
        x: (m, d) numbers to learn from.
        goal: their target.

    Raises:
        ConfigError: the method cannot work on such data.
    """
    from threadpoolctl import threadpool_limits

    from datadiet_cli.methods.selection.compression import COMPRESSIONS

    method = task.settings.method
    components, variance = _size(method, task.settings.keep, x.shape[1])
    seed = task.context.seed
    try:
        # Libraries of linear algebra add up in another order with more threads, and the matrices are written down.
        with threadpool_limits(1):
            projection = COMPRESSIONS[method](x, goal.target, components=components, variance=variance, seed=seed)
    except ValueError as error:
        raise ConfigError(f"{STEP}: method {method}: {error}") from None
    if not len(projection.components):
        raise ConfigError(f"{STEP}: method {method}: {'; '.join(projection.notes) or 'there is no component'}")
    return projection


def _size(method: str, keep: str, d: int) -> tuple[int | None, float | None]:
    """How many components, or what share of the variance."""
    if keep == "auto":
        return None, None
    if not keep.endswith("%"):
        return min(int(keep), d), None
    if method == "random-projection":
        return count_of(keep, d), None
    return None, parse_percentage(keep)


def new_names(method: str, k: int, taken: Sequence[str]) -> tuple[str, ...]:
    """``pca_1`` to ``pca_k``; with a number behind ``pca`` where one of them is taken."""
    there, number = set(taken), 1
    while True:
        begin = f"{COMPRESSION[method]}{'' if number == 1 else number}"
        names = tuple(f"{begin}_{i}" for i in range(1, k + 1))
        if not there.intersection(names):
            return names
        number += 1


def of_components(projection: "Projection", names: Sequence[str], method: str) -> list[ColumnVerdict]:
    """Verdicts on new columns, with the share of the variance that each has."""
    explained = projection.explained
    shares: list[float | None] = [None] * len(names)
    if explained is not None:
        shares = [float(share) if math.isfinite(share) else None for share in np.asarray(explained).tolist()]
    return [
        ColumnVerdict(name, "make", method, share, rank)
        for rank, (name, share) in enumerate(zip(names, shares, strict=True), 1)
    ]


def of_inputs(made: Sequence[str], method: str, gone: Sequence[str]) -> list[ColumnVerdict]:
    """Verdicts on what went into the new columns."""
    words = f"goes into {made[0]} to {made[-1]}" if len(made) > 1 else f"goes into {made[0]}"
    return [ColumnVerdict(name, "drop", method, detail=words) for name in gone]


def compression_figures(projection: "Projection") -> dict[str, Any]:
    """Figures for the report."""
    explained = projection.explained
    if explained is None:
        return {"components": int(projection.components.shape[0])}
    return {
        "components": int(projection.components.shape[0]),
        "explained": round(float(np.asarray(explained).sum()), 6),
    }
