"""The lowest of many numbers, and shares of counts: what masks of weights and choices of units rest on."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.nn.pruning.base import Bools

ROUNDING = 1e-6
"""Shares are decimal numbers that floats only come near to: 7 % of 100 are 7, and not 8."""
_BLOCK = 1 << 20


def checked_share(name: str, value: float) -> None:
    """Refuse what is no share.

    Raises:
        ValueError: `value` is not between 0 and 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value:g}")


def at_least(share: float, count: int) -> int:
    """The least whole number that is a share of so many, up to the rounding of floats."""
    return min(max(math.ceil(share * count - ROUNDING), 0), count)


def lowest(matrix: NDArray[np.floating], k: int) -> Bools:
    """The k lowest numbers of each row; of equal ones the first.

    Args:
        matrix: (r, c) float, no NaN.
        k: how many; all if there are fewer, none if it is 0 or less.

    Returns:
        (r, c) bool.
    """
    if k <= 0 or k >= matrix.shape[1]:
        return np.full(matrix.shape, k > 0, dtype=bool)
    cut = kth(matrix, k)
    found: Bools = matrix < cut
    tied = matrix == cut
    if len(matrix) == 1:
        _first(tied[0], k - int(np.count_nonzero(found)))
    else:
        spare = k - found.sum(axis=1)
        many = tied.sum(axis=1) > spare
        if many.any():
            # Places are counted only where not all of the equal ones go.
            tied[many] &= np.cumsum(tied[many], axis=1, dtype=np.int32) <= spare[many, None]
    found |= tied
    return found


def _first(flags: Bools, count: int) -> None:
    """Clear all but the first flags, in place and by blocks: there may be a hundred million."""
    for start in range(0, len(flags), _BLOCK):
        block = flags[start : start + _BLOCK]
        here = int(np.count_nonzero(block))
        if here > count:
            block[np.flatnonzero(block)[count] :] = False
            flags[start + _BLOCK :] = False
            return
        count -= here


def kth(matrix: NDArray[np.floating], k: int) -> NDArray[np.floating]:
    """(r, 1): the k-th lowest number of each row, from 1 on; below all for k = 0."""
    if k == 0 or not matrix.size:
        return np.full((len(matrix), 1), -np.inf, dtype=matrix.dtype)
    # A copy, as it would otherwise keep the partitioned rows alive.
    return np.partition(matrix, k - 1, axis=1)[:, k - 1 : k].copy()


def together(
    names: Sequence[str], scope: str, scopes: Sequence[str], signatures: Mapping[str, str] | None
) -> list[list[str]]:
    """Which of some tensors or groups are ranked together.

    Args:
        names: of them.
        scope: ``global`` for all, ``isomorphic`` for those of one signature; by any other each is a set of its own.
        scopes: there are.
        signatures: by name, for ``isomorphic``.

    Raises:
        ValueError: there is no such scope, or no signature.
    """
    if scope not in scopes:
        raise ValueError(f"unknown scope {scope!r}: {', '.join(scopes[:-1])} or {scopes[-1]}")
    if scope != "isomorphic":
        return [list(names)] if scope == "global" and names else [[name] for name in names]
    sets: dict[str, list[str]] = {}
    for name in names:
        if signatures is None or name not in signatures:
            raise ValueError(f"the scope isomorphic needs a signature of {name}")
        sets.setdefault(signatures[name], []).append(name)
    return list(sets.values())
