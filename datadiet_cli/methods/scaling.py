"""Columns of numbers on a common scale, learned from some values and applied to all."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST = float(np.finfo(np.float64).max)


class Scaling(NamedTuple):
    """What becomes of a value x: (x - centre) / scale.

    Attributes:
        centre: finite.
        scale: finite, greater than 0; 1 for a column without spread, which becomes all 0.
    """

    centre: float
    scale: float


def magnitude(values: Floats) -> float:
    """A power of two at most the largest of (n,) finite values by amount, and more than half of it; 1 for none.

    To divide by it changes no digit, and afterwards neither squares nor sums are too large for a float.
    """
    largest = float(np.abs(values).max(initial=0.0))
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1)) if largest > 0 else 1.0


def zscore(values: Floats) -> Scaling:
    """The mean, and the standard deviation of these values themselves (divided by n)."""
    values = np.sort(values)  # so that no sum depends on the order
    return Scaling(float(values.mean()), float(values.std()))


def minmax(values: Floats) -> Scaling:
    """The least value becomes 0 and the greatest 1; values that were not learned from may lie outside."""
    return Scaling(float(values.min()), float(np.ptp(values)))


def robust(values: Floats) -> Scaling:
    """The median and the interquartile range; where that is 0, the standard deviation takes its place."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Scaling(float(middle), float(high - low) or zscore(values).scale)


SCALINGS: Mapping[str, Callable[[Floats], Scaling]] = MappingProxyType(
    {"zscore": zscore, "minmax": minmax, "robust": robust}
)
"""Kinds of scaling: (n,) values that vary and whose squares are no problem -> what is done to their column."""


def fit(kind: str, values: Floats) -> Scaling:
    """Learn the scale of a column.

    Args:
        kind: a key of `SCALINGS`.
        values: (n,) float64; NaN and infinite ones do not count.

    Returns:
        For one value over and over this value and 1; for none 0 and 1.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in SCALINGS:
        raise ValueError(f"the kind of scaling must be one of {', '.join(SCALINGS)}, not {kind!r}")
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Scaling(0.0, 1.0)
    if finite.min() == finite.max():
        return Scaling(float(finite[0]) + 0.0, 1.0)
    unit = magnitude(finite)
    centre, scale = SCALINGS[kind](finite / unit)
    # A range may be twice the largest float; subnormal numbers may have no spread that a float can tell.
    return Scaling(centre * unit + 0.0, min(scale * unit, _LARGEST) or 1.0)


def apply(scaling: Scaling, values: Floats) -> Floats:
    """Scale a column.

    Args:
        scaling: as learned.
        values: (n,) float64.

    Returns:
        (n,) float64; finite values stay finite, the largest float standing for larger ones; NaN and infinite ones
        stay what they are.
    """
    centre, scale = scaling
    with np.errstate(over="ignore"):
        scaled = (values - centre) / scale
        beyond = np.isfinite(values) & ~np.isfinite(scaled)
        halves = (values[beyond] / 2 - centre / 2) / scale
    scaled[beyond] = np.clip(halves, -_LARGEST / 2, _LARGEST / 2) * 2
    return scaled + 0.0
