"""How well the details of two pictures agree, where most of them do.

What is compared is the residual of small blocks: a picture without the means of each block's rows and columns. It
holds no brightness, contrast or slope, and no straight lines along the edges: two pages of text with the same layout,
or two stacks of lines, have only their own details left.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

BLOCK = 8
"""Pixels of a side of the blocks that lose the means of their rows and columns."""
CELLS = 8
"""A picture is compared in 8x8 cells, each of one block or more."""
KEEP = 0.75
"""Share of the detail that has to agree: a mark laid over the rest does no harm."""
NOISE = 1.0
"""Detail of a cell, as standard deviation in gray levels, that may be but noise."""
LEAST = 4
"""Pictures with detail in fewer cells than this cannot be told from others."""

_CENTRING = np.eye(BLOCK, dtype=np.float32) - np.float32(1 / BLOCK)
"""Takes the mean out of eight numbers in a row."""


class Agreement(NamedTuple):
    """How well k pairs of pictures agree.

    Attributes:
        most: (k,) float64, correlation of the cells that agree best, up to `KEEP` of the detail; -1 to 1.
        error: (k,) float64, standard error of its inverse hyperbolic tangent.
    """

    most: NDArray[np.float64]
    error: NDArray[np.float64]

    def assured(self, errors: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
        """(k,) float64, the least that the correlation may well be: few cells have to agree better than many.

        Args:
            errors: by how many standard errors; the more, the more ways to agree have been tried.
        """
        height = np.arctanh(np.clip(self.most, -1 + 1e-9, 1 - 1e-9)) - errors * self.error
        # Rounded, so that the order of adding, which differs between CPUs, decides nothing.
        least = np.round(np.tanh(height), 6)
        return least.astype(np.float64, copy=False)


def residual(pictures: NDArray[np.generic]) -> Singles:
    """Take the means of rows and columns out of each block.

    Args:
        pictures: (n, side, side) of any numbers; side a multiple of 8.

    Returns:
        (n, side, side) float32. Exact for whole numbers up to 255.
    """
    n, side, _ = pictures.shape
    centred = pictures.astype(np.float32).reshape(-1, BLOCK) @ _CENTRING
    blocks = centred.reshape(n, side // BLOCK, BLOCK, side)
    blocks -= blocks.sum(axis=2, keepdims=True) * np.float32(1 / BLOCK)
    return blocks.reshape(n, side, side)


def plain(residuals: Singles) -> NDArray[np.bool_]:
    """Tell pictures that have too little detail to be compared.

    Args:
        residuals: (n, side, side) of whole pictures.

    Returns:
        (n,) bool.
    """
    detailed = _strength(_sums(residuals * residuals), residuals.shape[1]) > 0
    few: NDArray[np.bool_] = detailed.sum(axis=1) < LEAST
    return few


def agreement(one: Singles, other: Singles, inside: Singles | None = None) -> Agreement:
    """Correlate the details of pairs of pictures, cell by cell.

    A cell weighs as much as the weaker of its two details, so what only one of the pictures has, a mark or a frame,
    hardly counts.

    Args:
        one: (k, side, side) residuals.
        other: (k, side, side) residuals.
        inside: (k, side, side), 1 where both pictures show something, 0 elsewhere; everywhere by default.
    """
    side = one.shape[1]
    product, one_power, other_power = _sums(one * other), _sums(one * one), _sums(other * other)
    length = np.sqrt(one_power * other_power)
    correlation = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    weight = np.minimum(_strength(one_power, side), _strength(other_power, side))
    if inside is not None:
        weight *= _sums(inside) > 0.7 * (side // CELLS) ** 2
    most, error = _weighted(correlation, weight)
    enough = (weight > 0).sum(axis=1) >= LEAST
    return Agreement(np.where(enough, most, 0.0), np.where(enough, error, 0.0))


def _sums(values: Singles) -> NDArray[np.float64]:
    """(n, 64) sums of each cell."""
    n, side, _ = values.shape
    rows = values.reshape(n, CELLS, side // CELLS, side).sum(axis=2)
    cells: NDArray[np.float32] = rows.reshape(n, CELLS, CELLS, side // CELLS).sum(axis=3)
    return cells.reshape(n, CELLS * CELLS).astype(np.float64)


def _strength(power: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Standard deviation of the detail of cells, beyond noise."""
    return np.maximum(np.sqrt(power / (side // CELLS) ** 2) - NOISE, 0.0)


def _weighted(
    correlation: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean of the best part of the cells, and what it is worth."""
    order = np.argsort(-correlation, axis=1, kind="stable")
    correlation, weight = np.take_along_axis(correlation, order, 1), np.take_along_axis(weight, order, 1)
    total = weight.sum(axis=1)
    before = np.cumsum(weight, axis=1) - weight
    used = np.clip(KEEP * total[:, None] - before, 0.0, weight)
    most = (correlation * used).sum(axis=1) / np.maximum(used.sum(axis=1), 1e-9)
    # Fisher's z of a correlation has a standard error of 1 / sqrt(n - 3). Cells of different weight count for fewer
    # of the same weight (Kish, "Survey Sampling", 1965).
    cells = total**2 / np.maximum((weight * weight).sum(axis=1), 1e-9)
    return most, 1 / np.sqrt(np.maximum(cells - 3, 1.0))
