"""What a picture looks like, in numbers made by hand: colours, directions of edges, and itself in small."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ClassicalImages:
    """Needs nothing, and sees less than a network: pictures of the same layout and colours are alike to it.

    Three parts of unit length make up a vector, so a cosine is a weighted mean of three:

    - colours: histogram of 4 x 4 x 4 colours in each quarter of the picture;
    - edges: histogram of 9 directions in each of 8 x 8 cells, weighted by contrast, each cell taken for as bright as
      the others (Dalal & Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, section 6);
    - the picture itself at 16 x 16, gray, without its mean brightness.

    Args:
        device: not used.
    """

    size = (64, 64)
    dimensions = 4 * 64 + 64 * 9 + 256
    similarity = 0.98
    namespace = "classical/1"
    _WEIGHTS = (0.2, 0.4, 0.4)

    def __init__(self, device: str) -> None:
        self._device = device

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Encode (k, 64, 64, 3) pictures as (k, 1088) vectors."""
        # Whole numbers, hence the same anywhere: the weights of BT.601 in 256ths.
        gray = (pictures @ np.array([77, 150, 29], dtype=np.uint16)).astype(np.float64) / 256
        small = gray.reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(-1, 256)
        parts = (_colours(pictures), _edges(gray), small - small.mean(axis=1, keepdims=True))
        return np.hstack([np.sqrt(weight) * _unit(part) for weight, part in zip(self._WEIGHTS, parts, strict=True)])


def _colours(pictures: NDArray[np.uint8]) -> Floats:
    k = len(pictures)
    code = (pictures >> 6).astype(np.int64) @ np.array([16, 4, 1])
    quarter = np.add.outer(np.arange(64) // 32 * 2, np.arange(64) // 32)
    place = np.arange(k)[:, None, None] * 256 + quarter * 64 + code
    counts = np.bincount(place.ravel(), minlength=k * 256).reshape(k, 256)
    # The root takes the weight off large plain areas; it turns the product into the coefficient of Bhattacharyya.
    root: Floats = np.sqrt(counts)
    return root


def _edges(gray: Floats) -> Floats:
    k = len(gray)
    down, right = np.gradient(gray, axis=(1, 2))
    contrast = np.hypot(down, right)
    turn = np.arctan2(down, right) / np.pi * 9
    first = np.floor(turn)
    share = turn - first
    cell = np.add.outer(np.arange(64) // 8 * 8, np.arange(64) // 8)
    base = (np.arange(k)[:, None, None] * 64 + cell) * 9
    total = np.zeros(k * 576)
    for direction, part in ((first, 1 - share), (first + 1, share)):
        place = base + direction.astype(np.int64) % 9
        total += np.bincount(place.ravel(), (contrast * part).ravel(), minlength=k * 576)
    cells = total.reshape(k, 64, 9)
    # A cell without contrast stays near nothing: one gray level a pixel over a cell counts as half.
    length = np.sqrt(np.square(cells).sum(axis=2, keepdims=True) + 64.0**2)
    scaled: Floats = (cells / length).reshape(k, 576)
    return scaled


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    out = np.zeros_like(rows)
    np.divide(rows, length, out=out, where=length > 0)
    return out
