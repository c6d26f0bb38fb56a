"""Vectors as whole numbers, so that what is decided on them depends on no rounding of a library."""

import numpy as np
from numpy.typing import NDArray

LENGTH = 4000
"""Of a vector. With rounding it stays below 4096, so no sum of products of two vectors reaches 2**24, and every product
is exact in float32, in whatever order it is added up."""
MOST_DIMENSIONS = 32768


def on_grid(vectors: NDArray[np.floating]) -> NDArray[np.int16]:
    """Give vectors the same length and round them to whole numbers.

    What is decided on such vectors does not depend on the order in which a library adds numbers up. The rounding
    moves a cosine by some 1e-4 at most.

    Args:
        vectors: (n, d) floats, d at most `MOST_DIMENSIONS`.

    Returns:
        (n, d) int16. A vector of zeros, or one with a number that is not finite, gives zeros.

    Raises:
        ValueError: there are too many dimensions.
    """
    if vectors.shape[1] > MOST_DIMENSIONS:
        raise ValueError(f"vectors may have {MOST_DIMENSIONS} dimensions, not {vectors.shape[1]}")
    wide = np.asarray(vectors, dtype=np.float64)
    # By the largest number first, so that no square overflows or vanishes.
    largest = np.abs(wide).max(axis=1, initial=0.0, keepdims=True)
    good = np.isfinite(largest) & (largest > 0)
    wide = np.divide(wide, largest, out=np.zeros_like(wide), where=good)
    length = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    np.divide(wide * LENGTH, length, out=wide, where=good)
    rounded: NDArray[np.int16] = np.rint(wide).astype(np.int16)
    return rounded
