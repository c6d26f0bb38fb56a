"""Vectors -> few numbers, for neighbours and classifiers: what varies among the samples, in its main directions."""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.pieces import one_thread, spread

Floats = NDArray[np.float64]

DIMENSIONS = 128
_LEARN, _WIDE, _LEARN_WIDE = 8192, 2048, 1024
_AT_ONCE = 4096


def reduced(
    grid: NDArray[np.int16], fit: NDArray[np.bool_], *, balanced: bool, crew: Crew = ALONE
) -> NDArray[np.float32]:
    """The first principal components of vectors, of unit length; at most 128.

    They are learned from at most 8,192 different vectors, chosen and ordered by their content; so they depend neither
    on the order of the samples nor on copies.

    Args:
        grid: (n, d) int16; zeros for samples without a vector.
        fit: (n,) bool, samples to learn from.
        balanced: for vectors whose dimensions vary by very different amounts, as those of hand-made parts do: each
            dimension that varies more than most is brought down to their spread, and the components are divided by
            the root of theirs (halfway to whitening). It adds 6 points to the accuracy of neighbours on small photos,
            and 3 on spoken digits; texts lose by it.
        crew: computes them, block by block; the answer does not depend on it.

    Returns:
        (n, k) float32; zeros for samples without a vector. k is at least 1.
    """
    there = np.asarray(grid.any(axis=1), dtype=np.bool_)
    rows = _different(grid, np.flatnonzero(fit & there))
    if len(rows) < 2:
        rows = _different(grid, np.flatnonzero(there))
    out = np.zeros((len(grid), 1), dtype=np.float32)
    if len(rows) < 2:
        return out
    # Loaded before the limit is set, for it is one of those that are there.
    import scipy.linalg  # noqa: F401

    # On one thread, for the last digits depend on how many there are.
    with one_thread():
        some = grid[rows].astype(np.float64)
        middle, width = some.mean(axis=0), some.std(axis=0)
        usual = float(np.sqrt(np.square(width).mean()))
        scale = np.maximum(width, usual) if balanced else np.full(len(width), usual)
        directions, variance = _components((some - middle) / scale)
        if balanced:
            directions = directions / variance**0.25
    out = np.zeros((len(grid), directions.shape[1]), dtype=np.float32)
    starts = range(0, len(grid), _AT_ONCE)
    made = spread(crew, _projected, (grid, there, middle, scale, directions), starts)
    for start, part in zip(starts, made, strict=True):
        out[start : start + _AT_ONCE] = part
    return out


def _projected(
    data: tuple[NDArray[np.int16], NDArray[np.bool_], Floats, Floats, Floats], start: int
) -> NDArray[np.float32]:
    grid, there, middle, scale, directions = data
    block = slice(start, start + _AT_ONCE)
    part = np.flatnonzero(there[block])
    out = np.zeros((len(there[block]), directions.shape[1]), dtype=np.float32)
    with one_thread():
        made = ((grid[part + start] - middle) / scale) @ directions
    length = np.linalg.norm(made, axis=1, keepdims=True)
    out[part] = np.divide(made, length, out=np.zeros_like(made), where=length > 0)
    return out


def _different(grid: NDArray[np.int16], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of different vectors, in an order and a choice that depend on their content only."""
    odd = np.random.default_rng(0).integers(0, 2**62, grid.shape[1], dtype=np.int64) * 2 + 1
    parts = [grid[rows[a : a + _AT_ONCE]].astype(np.int64) @ odd for a in range(0, len(rows), _AT_ONCE)]
    keys = np.concatenate([np.empty(0, dtype=np.int64), *parts])
    _, first = np.unique(keys, return_index=True)
    return rows[first[: _LEARN if grid.shape[1] <= _WIDE else _LEARN_WIDE]]


def _components(some: Floats) -> tuple[Floats, Floats]:
    """(d, k) main directions of centred rows, and the (k,) variances along them, largest first."""
    from scipy.linalg import eigh

    m, d = some.shape
    tall = m >= d
    product = (some.T @ some if tall else some @ some.T) / m
    side = len(product)
    first = max(0, side - DIMENSIONS)
    variance, vectors = eigh(product, subset_by_index=[first, side - 1])
    order = np.flatnonzero(variance > 1e-9 * variance[-1])[::-1]
    variance, vectors = variance[order], vectors[:, order]
    directions = vectors if tall else some.T @ (vectors / np.sqrt(m * variance))
    # A direction and its opposite are as good as each other: the largest entry is to be positive.
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])]
    return directions * np.sign(largest), variance
