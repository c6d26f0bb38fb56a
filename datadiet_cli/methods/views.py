"""Perceptual hashes of what a picture would look like cropped, tilted, or without one of its corners.

All from one small picture: the low frequencies of a view are linear in the pixels, so that those of every view of
every picture are one product of matrices. It is exact, in whole numbers, and hence the same anywhere.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.hashes import above_median
from datadiet_cli.methods.turns import MATRICES, TURNS, turned_coefficients

SIDE = 64
CROPS = (0.95, 0.9, 0.85, 0.8, 0.75)
TILTS = (-5.0, -3.0, 3.0, 5.0)
"""Degrees."""
CORNER = 0.7
_CORNERS = ((-1, -1), (1, -1), (-1, 1), (1, 1))
_FREQUENCIES, _GRID = 8, 32
_UNIT = 2.0**20


def _scaled(share: float, x: float = 0.0, y: float = 0.0) -> NDArray[np.float64]:
    return np.array([[share, 0.0, x], [0.0, share, y]])


def _tilted(degrees: float) -> NDArray[np.float64]:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])


MAPS = np.stack(
    [
        *(_scaled(share) for share in CROPS),
        *(_tilted(degrees) for degrees in TILTS),
        *(_scaled(CORNER, x * (1 - CORNER), y * (1 - CORNER)) for x, y in _CORNERS),
    ]
)
"""(views, 2, 3) float64: where a point (x, y) of each view lies in the picture, both from -1 to 1."""
WHOLE = len(CROPS) + len(TILTS)
"""Views before this one may look like another whole picture; the others, corners, like the same corner of one."""


def view_hashes(small: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash the views of pictures, in the eight orientations, as `hashes.phash` does.

    Args:
        small: (n, 64, 64) uint8.

    Returns:
        (n, views, 8) uint64.
    """
    n = len(small)
    found = (small.reshape(n, SIDE * SIDE).astype(np.float64) @ _projection()).astype(np.int64)
    coefficients = found.reshape(n * len(MAPS), _FREQUENCIES, _FREQUENCIES)
    hashes = [above_median(turned_coefficients(coefficients, turn)) for turn in range(TURNS)]
    return np.stack(hashes, axis=1).reshape(n, len(MAPS), TURNS)


@cache
def same_corner() -> NDArray[np.int64]:
    """(8, 4): the corner of a picture that each corner of the turned picture is."""
    where = np.array(_CORNERS, dtype=np.float64) @ MATRICES.transpose(0, 2, 1)
    return (where[:, :, 0] > 0).astype(np.int64) + 2 * (where[:, :, 1] > 0)


@cache
def _projection() -> NDArray[np.float64]:
    """(4096, views * 64): from pixels to the low frequencies of each view, in whole numbers.

    An entry is at most 2**20, and 4096 of them in a column, so sums stay exact in a float64.
    """
    angles = np.pi / (2 * _GRID) * np.arange(_FREQUENCIES)[:, None] * (2 * np.arange(_GRID) + 1)
    # A view is sampled twice as finely as it is hashed, which is as fine as the picture.
    cosines = np.repeat(np.cos(angles), 2, axis=1).astype(np.float64) / 2
    waves = np.kron(cosines, cosines).T.astype(np.float64)
    return np.concatenate([np.rint(_spread(waves, one) * _UNIT) for one in MAPS], axis=1)


def _spread(waves: NDArray[np.float64], view: NDArray[np.float64]) -> NDArray[np.float64]:
    """From weights of the pixels of a view, (4096, k), to weights of those of the picture.

    The view is interpolated bilinearly; beyond the border of the picture there is nothing.
    """
    line = (2 * np.arange(SIDE) + 1) / SIDE - 1
    x, y = np.tile(line, SIDE), np.repeat(line, SIDE)
    across, down = (view @ np.stack([x, y, np.ones_like(x)]) + 1) * SIDE / 2 - 0.5
    inside = (across > -0.5) & (across < SIDE - 0.5) & (down > -0.5) & (down < SIDE - 0.5)
    across, down = np.clip(across, 0, SIDE - 1), np.clip(down, 0, SIDE - 1)
    column, row = np.minimum(across.astype(int), SIDE - 2), np.minimum(down.astype(int), SIDE - 2)
    x, y = across - column, down - row
    weights = np.zeros_like(waves)
    for step, share in ((0, (1 - x) * (1 - y)), (1, x * (1 - y)), (SIDE, (1 - x) * y), (SIDE + 1, x * y)):
        np.add.at(weights, row * SIDE + column + step, (share * inside)[:, None] * waves)
    return weights
