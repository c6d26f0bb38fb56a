"""Image files -> sharpness, exposure, contrast, colour and shape, from one reduced decoding each."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageChops

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.cached import remembered
from datadiet_cli.encode.opening import CAUSES, EmptyError, cause_of, opaque, open_picture
from datadiet_cli.encode.quality import Measures, packed, row_type, unpacked
from datadiet_cli.engine import Engine

MEASURES = ("edge_width", "bright_end", "dark_end", "contrast", "spread", "colour", "side", "elongation")
VERSION = 1
"""Of all that makes a row; to be raised with any change of numbers."""
PICTURES_AT_ONCE = 32

SIDE = 384
"""Least pixels of the shorter side after reduction. JPEG decodes to a half of 1.2 megapixels then, where a blur of
three pixels is still one and a half; at a quarter it would be lost among sharp pictures."""
VIEWED = 960
"""Pixels of the shorter side to which widths of edges are scaled down. Looked at as a whole, a picture shows no more:
what is a pixel soft in twelve megapixels is sharp."""
TILE = 8
"""Pixels of the side of a tile in which the steepest edge is looked for."""
FLAT = 3.0
"""Gray levels of standard deviation below which a picture shows nothing that could be sharp, pale or colourful."""

_CAUSES = [None, *CAUSES]
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_SHARPEST = 0.99
_EDGE, _LEAST = 0.3, 8
"""Tiles count whose surroundings have this share of the contrast of the strongest, and that many gray levels."""
_SLACK = 2
"""Levels by which the channels of a gray picture may differ after JPEG has turned them into RGB."""

Gray = NDArray[np.uint8]


def measure_pictures(
    paths: Sequence[str],
    *,
    max_pixels: int,
    cache: Cache | NoCache,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
) -> Measures:
    """Measure every picture. Never raises for a file: what is wrong with it is its cause, of `opening.CAUSES`.

    Args:
        paths: image files.
        max_pixels: larger pictures are taken for decompression bombs.
        cache: where rows are remembered.
        engine: runs the work.
        progress: told of pictures done.

    Returns:
        the causes, and these values:

        * ``edge_width``: pixels over which the sharpest edges rise, see `edge_width`.
        * ``bright_end``, ``dark_end``: brightness, from 0 for black to 1 for white, that 1 % of the pixels exceed, and
          that 1 % do not reach.
        * ``contrast``: their difference by their sum (Michelson), which the exposure does not change.
        * ``spread``: standard deviation of the pixels, in levels of 0 to 255, of the channel where it is largest.
        * ``colour``: how far the channels are apart, by the brightness; both as 1 % of the pixels exceed.
        * ``side``: square root of the number of pixels.
        * ``elongation``: the longer side by the shorter.
    """
    with quiet_libraries():
        found = remembered(
            paths,
            f"picture-quality/{VERSION}/pillow-{PIL.__version__}/{max_pixels}",
            row_type(MEASURES).itemsize,
            picture_rows,
            max_pixels,
            cache=cache,
            engine=engine,
            chunk=PICTURES_AT_ONCE,
            progress=progress,
        )
        return unpacked(len(paths), MEASURES, _CAUSES, found)


def picture_rows(paths: Sequence[str], max_pixels: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Measure some pictures: (k, width) rows, and (k,) bool, which of them to remember."""
    return packed(paths, MEASURES, _CAUSES, lambda path: _measure(path, max_pixels), cause_of)


def _measure(path: str, max_pixels: int) -> tuple[float, ...]:
    if os.stat(path).st_size == 0:
        raise EmptyError
    with open_picture(path, max_pixels) as image:
        width, height = image.size
        in_gray = image.mode in _GRAY_MODES or image.mode.startswith("I;")
        if image.format in ("JPEG", "MPO"):
            # Without the way to RGB and back: what is wanted most is the brightness, which a JPEG file has as it is.
            image.draft("YCbCr" if image.mode == "RGB" else image.mode, (SIDE, SIDE))
        image.load()
        picture = image if image.mode == "YCbCr" else opaque(image, "L" if in_gray else "RGB")
    factor = min(picture.size) // SIDE
    picture = picture.reduce(factor) if factor > 1 else picture
    gray = picture.getchannel(0) if picture.mode == "YCbCr" else picture.convert("L")
    dark, bright = _ends(gray.histogram())
    contrast = (bright - dark) / (bright + dark) if bright else np.nan
    # Colour needs no detail.
    spread, colour = _spread_and_colour(picture.reduce(4) if min(picture.size) >= SIDE else picture)
    edges = np.nan
    if spread >= FLAT:
        scale = min(width, height) / min(gray.size) * min(1.0, VIEWED / min(width, height))
        edges = edge_width(np.asarray(gray)) * scale
    else:
        contrast = colour = np.nan
    sides = float(np.sqrt(width * height)), max(width, height) / min(width, height)
    return edges, bright / 255, dark / 255, contrast, spread, colour, *sides


def _ends(histogram: Sequence[int]) -> tuple[float, float]:
    """The levels that 1 % of the pixels do not reach, and that 1 % exceed."""
    below = np.cumsum(histogram)
    low, high = np.searchsorted(below, [0.01 * below[-1], 0.99 * below[-1]])
    return float(low), float(high)


def _spread_and_colour(picture: Image.Image) -> tuple[float, float]:
    if picture.mode == "L":
        return _deviation(picture.histogram()), 0.0
    red, green, blue = picture.convert("RGB").split()
    highest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    lowest = ImageChops.darker(ImageChops.darker(red, green), blue)
    apart, brightness = (_ends(band.histogram())[1] for band in (ImageChops.subtract(highest, lowest), highest))
    spread = max(_deviation(band.histogram()) for band in (red, green, blue))
    return spread, max(apart - _SLACK, 0.0) / max(brightness, 1.0)


def _deviation(histogram: Sequence[int]) -> float:
    """The standard deviation of pixels, in levels."""
    counts, levels = np.array(histogram, dtype=np.float64), np.arange(256.0)
    mean = counts @ levels / counts.sum()
    return float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))


def edge_width(gray: Gray) -> float:
    """The width of the sharpest edges: how many pixels they take from dark to bright.

    The width of edges as a measure of blur that contrast does not change is that of Marziliano, Dufaux, Winkler &
    Ebrahimi, "A no-reference perceptual blur metric" (ICIP 2002); that the sharpest places and not the mean should
    speak for a picture, so that a soft background is no fault, is that of S3 (Vu, Phan & Chandler, "S3: a spectral
    and spatial measure of local perceived sharpness in natural images", IEEE TIP 21(3), 2012). An edge
    that rises by `range` in all and by `slope` from one pixel to the next takes ``range / slope`` pixels. The slope is
    the steepest in a tile of `TILE` pixels, the range that of the tile and those around it. Only tiles count that
    have an edge, and whose range is no less than 0.3 of the largest: noise and the ghosts of JPEG are weaker.

    Args:
        gray: (height, width) uint8.

    Returns:
        Pixels, 1 for a step, about 2.5 standard deviations for a Gaussian blur, up to those of three tiles: of the
        edges that count, one in a hundred is no wider. NaN if there is none.
    """
    tile = min(TILE, *gray.shape)
    height, width = (length // tile * tile for length in gray.shape)
    gray = gray[:height, :width]
    steps = np.zeros_like(gray)
    steps[:, :-1] = _apart(gray[:, 1:], gray[:, :-1])
    np.maximum(steps[:-1], _apart(gray[1:], gray[:-1]), out=steps[:-1])
    slope, highest, lowest = (
        _by_tile(values, tile, choose)
        for values, choose in ((steps, np.maximum), (gray, np.maximum), (gray, np.minimum))
    )
    around = _around(highest, np.maximum) - _around(lowest, np.minimum)
    # An edge between two tiles has half of its range in either, or a step that is in none of them.
    has_edge = 3 * np.maximum(highest - lowest, slope).astype(np.int64) >= around
    counts = has_edge & (around >= max(_EDGE * int(around.max()), _LEAST))
    if not counts.any():
        return float("nan")
    widths = around[counts] / np.maximum(slope[counts], 1).astype(np.float64)
    return float(np.quantile(widths, 1 - _SHARPEST))


def _apart(a: Gray, b: Gray) -> Gray:
    return np.asarray(np.maximum(a, b) - np.minimum(a, b))


def _by_tile(values: Gray, tile: int, choose: np.ufunc) -> Gray:
    height, width = values.shape
    rows = choose.reduce(values.reshape(height // tile, tile, width), axis=1)
    # Along an axis that is not the last, numpy takes many values at a time.
    turned = np.ascontiguousarray(rows.T).reshape(width // tile, tile, height // tile)
    return np.ascontiguousarray(choose.reduce(turned, axis=1).T)


def _around(values: Gray, choose: np.ufunc) -> Gray:
    """The highest (or lowest) of each tile and the eight around it."""
    down = values.copy()
    choose(down[1:], values[:-1], out=down[1:])
    choose(down[:-1], values[1:], out=down[:-1])
    across = down.copy()
    choose(across[:, 1:], down[:, :-1], out=across[:, 1:])
    choose(across[:, :-1], down[:, 1:], out=across[:, :-1])
    return across
