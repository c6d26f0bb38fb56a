"""Perceptual hashes and other figures of small pictures, whole stacks at a time.

The hashes have the bits of the library ImageHash on the same thumbnails, the first bit in the highest place,
so that they can be compared with hashes from elsewhere. Sums are exact integers, so a picture's figures
depend neither on the CPU nor on the pictures beside it. Where ImageHash compares floats that are equal but
for rounding (blocks as bright as the median, odd frequencies of a mirrored picture), its bits are those of
the rounding errors; ours are 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.turns import TURNS, turned, turned_coefficients

Gray = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class Hash:
    """A kind of hash.

    Attributes:
        size: (width, height) of the thumbnail it wants, as Pillow gives sizes.
        mode: Pillow's mode of that thumbnail.
        bits: how many bits it has, the lowest ones of a uint64.
        function: from (n, height, width) uint8, with a last axis of 3 for RGB, to (n,) uint64.
    """

    size: tuple[int, int]
    mode: Literal["L", "RGB"]
    bits: int
    function: Callable[[Gray], Hashes]


def phash(gray: Gray) -> Hashes:
    """Hash the signs of low frequencies: 8x8 coefficients of the DCT-II, compared with their median.

    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), in the form that
    ImageHash gave it.

    Args:
        gray: (n, 32, 32) uint8.

    Returns:
        (n,) uint64 of 64 bits.
    """
    return above_median(_coefficients(gray))


def above_median(values: NDArray[np.int32] | NDArray[np.int64]) -> Hashes:
    """Hash 64 values each by whether they exceed their median, the mean of the two in the middle.

    Args:
        values: (n, 64) or (n, 8, 8), whole numbers.

    Returns:
        (n,) uint64.
    """
    flat = values.reshape(len(values), 64)
    middle = np.partition(flat, [31, 32], axis=1)[:, 31:33]
    return _pack(2 * flat > middle.sum(axis=1, keepdims=True))


def dhash(gray: Gray) -> Hashes:
    """Hash the direction of the gradient: whether each pixel is brighter than the one to its left.

    Args:
        gray: (n, 8, 9) uint8.

    Returns:
        (n,) uint64 of 64 bits.
    """
    return _pack(gray[:, :, 1:] > gray[:, :, :-1])


def ahash(gray: Gray) -> Hashes:
    """Hash the coarsest picture: whether each pixel is brighter than their mean.

    Args:
        gray: (n, 8, 8) uint8.

    Returns:
        (n,) uint64 of 64 bits.
    """
    pixels = gray.reshape(len(gray), 64).astype(np.int64)
    return _pack(pixels * 64 > pixels.sum(axis=1, keepdims=True))


def whash(gray: Gray) -> Hashes:
    """Hash the low band of a Haar wavelet, three levels down, compared with its median.

    That band is the sum of each 8x8 block. ImageHash takes the mean of the picture out first, which moves the
    median along and changes no bit.

    Args:
        gray: (n, 64, 64) uint8.

    Returns:
        (n,) uint64 of 64 bits.
    """
    return above_median(_block_sums(gray, 8).reshape(len(gray), 64))


def colorhash(rgb: NDArray[np.uint8]) -> Hashes:
    """Hash which colours a picture has, wherever they are.

    14 fractions of three bits each: the black pixels; the gray ones; and among the others six hues of faint
    and six of bright colours. The three bits are not a binary number: as in ImageHash, they say at least
    half, at least a quarter, and odd eighths.

    Args:
        rgb: (n, 64, 64, 3) uint8.

    Returns:
        (n,) uint64 of 42 bits.
    """
    n = len(rgb)
    counts = np.bincount(
        (_flat(_color_bins(rgb)) + _BINS * np.arange(n)[:, None]).ravel(), minlength=_BINS * n
    ).reshape(n, _BINS)
    pixels = rgb.shape[1] * rgb.shape[2]
    colored = np.maximum(counts[:, 2:].sum(axis=1, keepdims=True), 1)
    eighths = np.concatenate([counts[:, :2] * 8 // pixels, counts[:, 2:14] * 8 // colored], axis=1)
    eighths = np.minimum(eighths, 7)
    return _pack(np.stack([eighths >= 4, eighths >= 2, eighths % 2 == 1], axis=2))


def flatness(gray: Gray) -> NDArray[np.float64]:
    """Measure the contrast of pictures: the standard deviation of their pixels.

    Args:
        gray: (n, height, width) uint8.

    Returns:
        (n,) float64 in gray levels, 0 to 127.5; the smaller, the flatter.
    """
    return np.sqrt(_variance(gray))


def sharpness(gray: Gray) -> NDArray[np.float64]:
    """Measure fine detail: the variance of the Laplacian as a share of the variance of the picture.

    The variance of the Laplacian is a common measure of focus (Pertuz, Puig & Garcia, "Analysis of focus
    measure operators for shape-from-focus", Pattern Recognition 46(5), 2013). It grows with the square of the
    contrast, so alone it would call dark pictures blurred.

    Args:
        gray: (n, height, width) uint8, at least 3x3.

    Returns:
        (n,) float64 from 0 (a flat picture) to 64 or a little more (a chessboard of pixels); 20 for noise.
    """
    p = gray.astype(np.int16)
    around = p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]
    contrast = _variance(gray)
    return np.divide(_variance(around - 4 * p[:, 1:-1, 1:-1]), contrast, out=np.zeros(len(gray)), where=contrast > 0)


def turned_hashes(name: str, thumbnail: Gray, lying: Gray) -> Hashes:
    """Hash pictures in the eight orientations of `turns`.

    Args:
        name: a kind of hash.
        thumbnail: (n, height, width[, 3]) uint8, as that hash wants it.
        lying: (n, width, height[, 3]) uint8, a thumbnail of the same pictures with its sides exchanged.

    Returns:
        (n, 8) uint64; all the same for `colorhash`, which does not see where colours are.
    """
    if name == "phash":
        # The frequencies of a turned picture are those of the picture, so nothing has to be done twice.
        coefficients = _coefficients(thumbnail)
        turns = [above_median(turned_coefficients(coefficients, turn)) for turn in range(TURNS)]
    elif name == "colorhash":
        turns = [colorhash(thumbnail)] * TURNS
    else:
        function = HASHES[name].function
        turns = [function(turned(lying if turn & 4 else thumbnail, turn)) for turn in range(TURNS)]
    return np.stack(turns, axis=1)


HASHES: dict[str, Hash] = {
    "phash": Hash((32, 32), "L", 64, phash),
    "dhash": Hash((9, 8), "L", 64, dhash),
    "ahash": Hash((8, 8), "L", 64, ahash),
    "whash": Hash((64, 64), "L", 64, whash),
    "colorhash": Hash((64, 64), "RGB", 42, colorhash),
}


def to_hex(hashes: Hashes, bits: int) -> list[str]:
    """Write hashes in hexadecimal, as ImageHash does.

    Args:
        hashes: (n,) uint64.
        bits: how many of the lowest bits are the hash, 1 to 64.

    Returns:
        n strings of ceil(bits / 4) digits each.
    """
    digits = -(-bits // 4)
    text = hashes.astype(">u8").tobytes().hex()
    return [text[end - digits : end] for end in range(16, len(text) + 1, 16)]


# The DCT's cosines in units of 2**-22, the most that leaves room: twice the greatest coefficient,
# 2 * 32 * 32 * 255 * 2**44, just fits an int64. Rounded cosines are still symmetric: a flat picture has only
# the coefficient of its mean.
_ANGLES = np.pi / 64 * np.arange(8)[:, None] * (2 * np.arange(32) + 1)
_COSINES = np.rint(2**22 * np.cos(_ANGLES)).astype(np.int64)

_HUES = np.linspace(0, 255, 7)[1:-1]
"""Where the hues of `colorhash` part."""
_BLACK, _GRAY, _FAINT, _BRIGHT, _BETWEEN, _BINS = 0, 1, 2, 8, 14, 15
"""Bins of `colorhash`; six hues each follow _FAINT and _BRIGHT, and _BETWEEN counts, as in ImageHash, as
coloured but for no hue."""


def _flat(stack: NDArray[_Number]) -> NDArray[_Number]:
    """(n, ...) to (n, size), for n = 0 too, where reshape cannot work out a -1."""
    return stack.reshape(len(stack), math.prod(stack.shape[1:]))


def _pack(bits: NDArray[np.bool_]) -> Hashes:
    """(n,) uint64 from (n, ...) up to 64 bits each, the last one lowest."""
    flat = _flat(bits)
    padded = np.zeros((len(flat), 64), dtype=np.bool_)
    padded[:, 64 - flat.shape[1] :] = flat
    return np.packbits(padded, axis=1).view(">u8")[:, 0].astype(np.uint64)


def _coefficients(gray: Gray) -> NDArray[np.int64]:
    """(n, 8, 8) low frequencies of (n, 32, 32) pictures."""
    # Integers, because sums of floats depend on the order in which a BLAS adds: on the CPU, and on n.
    coefficients: NDArray[np.int64] = _COSINES @ gray.astype(np.int64) @ _COSINES.T
    return coefficients


def _block_sums(gray: Gray, side: int) -> NDArray[np.int32]:
    """Sum blocks of side x side pixels: (n, height, width) to (n, height / side, width / side)."""
    n, height, width = gray.shape
    blocks = gray.reshape(n, height // side, side, width // side, side)
    sums: NDArray[np.int32] = blocks.sum(axis=4, dtype=np.int32).sum(axis=2, dtype=np.int32)
    return sums


def _variance(values: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) variance of (n, ...) integers up to 2**20 or so; exact, so that 0 means that all are the same."""
    flat = _flat(values).astype(np.float64)
    size = flat.shape[1]
    # Whole numbers below 2**53 are exact in a float64, and einsum is faster on those.
    total = flat.sum(axis=1).astype(np.int64)
    squares = np.einsum("ij,ij->i", flat, flat).astype(np.int64)
    variance: NDArray[np.float64] = (size * squares - total**2) / size**2
    return variance


def _color_bins(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sort pixels (..., 3) into the bins of `colorhash`, with Pillow's lightness, hue and saturation."""
    r, g, b = (rgb[..., channel].astype(np.int32) for channel in range(3))
    lightness = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
    top, low = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    saturation = 255 * (top - low) // np.maximum(top, 1)
    bins = np.full(rgb.shape[:-1], _BETWEEN, dtype=np.int64)
    colored = (lightness >= 32) & (saturation >= 85)
    bins[~colored] = _GRAY
    bins[lightness < 32] = _BLACK
    # Hues cost the most, so only pixels that have one are asked.
    hued = colored & (saturation != 170)
    six = np.searchsorted(_HUES, _hue(r[hued], g[hued], b[hued], top[hued], low[hued]), side="right")
    bins[hued] = six + np.where(saturation[hued] < 170, _FAINT, _BRIGHT)
    return bins


def _hue(
    r: NDArray[np.int32],
    g: NDArray[np.int32],
    b: NDArray[np.int32],
    top: NDArray[np.int32],
    low: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Pillow's hue, 0 to 255, of pixels that are not gray.

    Pillow rounds to single precision on the way, which moves some hues; so does this.
    """
    single = np.float32
    spread = (top - low).astype(single)
    rc, gc, bc = ((top - channel).astype(single) / spread for channel in (r, g, b))
    green = (rc.astype(np.float64) + 2.0 - bc).astype(single)
    blue = (gc.astype(np.float64) + 4.0 - rc).astype(single)
    sector = np.where(r == top, bc - gc, np.where(g == top, green, blue))
    turn = np.fmod(sector.astype(np.float64) / 6.0 + 1.0, 1.0).astype(single)
    return np.floor(turn.astype(np.float64) * 255.0)
