"""Columns or vectors as fewer numbers: the same numbers for a sample, whichever others are with it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from datadiet_cli.columns import Transform
from datadiet_cli.errors import InputError
from datadiet_cli.steps.selecting.base import Floats

if TYPE_CHECKING:
    from datadiet_cli.methods.selection.compression import Projection

DECIMALS = 9
"""Of the numbers; columns are brought to a spread of about one first."""
_ARRAYS = ("mean", "scale", "components")


def projected(projection: "Projection", x: Floats) -> Floats:
    """(n, d) numbers -> (n, k), rounded; those of a row depend on no other row."""
    return np.asarray(np.round(projection.apply(x), DECIMALS) + 0.0, dtype=np.float64)


def arrays_of(projection: "Projection") -> dict[str, Floats]:
    """What to write down."""
    return {name: np.ascontiguousarray(getattr(projection, name)) for name in _ARRAYS}


def projection_of(transform: Transform) -> Callable[[Floats], Floats]:
    """The projection that a transform speaks of.

    Raises:
        InputError: its arrays do not go together.
    """
    from datadiet_cli.methods.selection.compression import Projection

    try:
        mean, scale, components = (np.asarray(transform.arrays[name], dtype=np.float64) for name in _ARRAYS)
    except KeyError as error:
        raise InputError(f"the transform is damaged: there is no array {error}") from error
    k = len(transform.document["outputs"])
    if not mean.ndim == scale.ndim == 1 or components.shape != (k, len(mean)) or len(scale) != len(mean):
        raise InputError("the transform is damaged: the arrays of the projection do not go together")
    projection = Projection(mean, scale, components, None, ())

    def apply(x: Floats) -> Floats:
        if x.shape[1] != len(mean):
            raise InputError(f"there are {x.shape[1]} dimensions, and the projection was made for {len(mean)}")
        return projected(projection, x)

    return apply
