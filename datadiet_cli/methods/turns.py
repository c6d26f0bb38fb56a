"""The eight orientations of a picture: as it is, mirrored, turned by quarters, or both.

Orientation `turn`, 0 to 7, is made of three bits: transpose first (4), then flip top to bottom (2), then flip left to
right (1). They are the symmetries of a square, the dihedral group of order 8.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.generic)
_Signed = TypeVar("_Signed", np.int64, np.float64)

TURNS = 8
FLIPS = (0, 1, 2, 3)
QUARTERS = (0, 3, 5, 6)
ALL = (0, 1, 2, 3, 4, 5, 6, 7)
WORDS = (
    None,
    "mirrored",
    "mirrored top to bottom",
    "turned by 180 degrees",
    "mirrored and turned by 90 degrees",
    "turned by 90 degrees",
    "turned by 90 degrees",
    "mirrored and turned by 90 degrees",
)


def turned(pictures: NDArray[_Number], turn: int) -> NDArray[_Number]:
    """Turn pictures, (n, height, width, ...); a view where that is possible."""
    if turn & 4:
        pictures = pictures.swapaxes(1, 2)
    if turn & 2:
        pictures = pictures[:, ::-1]
    return pictures[:, :, ::-1] if turn & 1 else pictures


def inverse(turn: int) -> int:
    """The orientation that undoes another one: only the quarter turns are not their own."""
    return {5: 6, 6: 5}.get(turn, turn)


def turned_coefficients(coefficients: NDArray[_Signed], turn: int) -> NDArray[_Signed]:
    """The DCT-II of turned pictures from theirs, (n, k, k): mirroring changes the sign of odd frequencies."""
    signs = np.where(np.arange(coefficients.shape[1]) % 2, -1, 1).astype(coefficients.dtype)
    if turn & 4:
        coefficients = coefficients.swapaxes(1, 2)
    if turn & 2:
        coefficients = coefficients * signs[:, None]
    return coefficients * signs if turn & 1 else coefficients


def matrix(turn: int) -> NDArray[np.float64]:
    """(2, 2): where a point (x, y) of the turned picture lies in the picture, both from -1 to 1."""
    across, down = (-1.0 if turn & 1 else 1.0), (-1.0 if turn & 2 else 1.0)
    return np.array([[0.0, down], [across, 0.0]] if turn & 4 else [[across, 0.0], [0.0, down]])


MATRICES = np.stack([matrix(turn) for turn in range(TURNS)])
"""(8, 2, 2) float64, `matrix` of each orientation."""
