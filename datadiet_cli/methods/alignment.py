"""Lay one small picture over another: crops, borders, small turns and shifts.

Inverse compositional image alignment (Baker & Matthews, "Lucas-Kanade 20 Years On: A Unifying Framework", IJCV 56(3),
2004, section 3.2) with affine warps, on the points where the picture changes most (Dellaert & Collins, "Fast
Image-Based Tracking by Selective Pixel Integration", ICCV workshop 1999). Residuals are normalised in contrast and
clipped, so that a mark on one of the pictures does not pull.

Points are (x, y) from -1 to 1 in either picture. An affine map is (2, 3), from points of the template to points of
the picture that is laid over it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

ROWS, COLUMNS = 32, 16
"""Of each of 32x16 patches the pixel that changes most takes part."""
CLIP = 2.0
"""Residuals beyond this, in units of their spread, pull no harder."""
STEP = 0.08
"""Most that a coefficient of the map may change in one iteration."""
SMOOTH = 8
"""Pixels of a side of the blocks whose interpolated means are taken out of a picture."""
ZOOM, STRETCH, TILT, FILL = 1.8, 1.2, 12.0, 0.5
"""A map that enlarges or shrinks a picture more than this, stretches it more along one axis than the other, tilts it by
more degrees, or shows it on less of the template, has gone astray."""


class Template(NamedTuple):
    """What k pictures are aligned to.

    Attributes:
        points: (k, 3, p) float32, x, y and 1 of each point.
        values: (k, p) float32.
        gains: (k, 6, p) float32: how far a residual at a point moves each coefficient of the map.
    """

    points: Singles
    values: Singles
    gains: Singles

    def take(self, rows: NDArray[np.int64]) -> "Template":
        """Some of them, or some of them often."""
        return Template(self.points[rows], self.values[rows], self.gains[rows])


def band(pictures: NDArray[np.generic]) -> Singles:
    """Take what is coarse out of pictures: the interpolated means of 8x8 pixels.

    Args:
        pictures: (n, side, side); side a multiple of 8.

    Returns:
        (n, side, side) float32.
    """
    n, side, _ = pictures.shape
    cells = side // SMOOTH
    fine = pictures.astype(np.float32)
    means = fine.reshape(n, cells, SMOOTH, side).sum(axis=2).reshape(n, cells, cells, SMOOTH).sum(axis=3)
    means /= np.float32(SMOOTH**2)
    where = (np.arange(side) + 0.5) / SMOOTH - 0.5
    low = np.clip(np.floor(where), 0, cells - 1).astype(np.int64)
    high = np.clip(np.floor(where) + 1, 0, cells - 1).astype(np.int64)
    share = (where - np.floor(where)).astype(np.float32)
    rows = means[:, low] * (1 - share)[:, None] + means[:, high] * share[:, None]
    coarse: Singles = rows[:, :, low] * (1 - share) + rows[:, :, high] * share
    return fine - coarse


def halved(pictures: NDArray[np.generic]) -> Singles:
    """(n, side, side) to (n, side / 2, side / 2), the means of 2x2 pixels."""
    fine = pictures.astype(np.float32)
    rows = fine[:, ::2] + fine[:, 1::2]
    sums = rows[:, :, ::2] + rows[:, :, 1::2]
    sums *= np.float32(0.25)
    return sums


def template(bands: Singles) -> Template:
    """Prepare pictures, (k, side, side) as `band` gives them, to be aligned to."""
    k, side, _ = bands.shape
    across, down = np.zeros_like(bands), np.zeros_like(bands)
    np.subtract(bands[:, :, 2:], bands[:, :, :-2], out=across[:, :, 1:-1])
    np.subtract(bands[:, 2:], bands[:, :-2], out=down[:, 1:-1])
    chosen = _where_it_changes(across * across + down * down)
    column, row = chosen % side, chosen // side
    x, y = ((2 * axis + 1) / side - 1 for axis in (column, row))
    points = np.stack([x, y, np.ones_like(x)], axis=1).astype(np.float32)
    unit = np.float32(side / 4)
    dx, dy = (np.take_along_axis(slope.reshape(k, -1), chosen, 1) * unit for slope in (across, down))
    steepest = np.concatenate([dx[:, None] * points, dy[:, None] * points], axis=1)
    # Products as small as these a BLAS never shares out among threads, so they come out the same.
    hessian = (steepest @ steepest.transpose(0, 2, 1)).astype(np.float64)
    stiff = np.trace(hessian, axis1=1, axis2=2)[:, None, None] * 1e-4 + 1e-6
    inverse = np.linalg.inv(hessian + stiff * np.eye(6)).astype(np.float32)
    return Template(points, np.take_along_axis(bands.reshape(k, -1), chosen, 1), inverse @ steepest)


def align(template: Template, bands: Singles, start: Doubles, steps: int) -> Doubles:
    """Improve maps.

    Args:
        template: k pictures.
        bands: (k, side, side) the pictures to lay over them, as `band` gives them.
        start: (k, 2, 3) maps to begin with.
        steps: iterations.

    Returns:
        (k, 2, 3) float64 maps.
    """
    maps = start
    for _ in range(steps):
        values, inside = _sampled(bands, maps, template.points)
        values *= inside
        wanted = template.values * inside
        power, wanted_power = (values * values).sum(axis=1), (wanted * wanted).sum(axis=1)
        contrast = np.sqrt(wanted_power / np.maximum(power, np.float32(1e-6)))[:, None]
        error = values * contrast - wanted
        spread = CLIP * np.sqrt((error * error).mean(axis=1, keepdims=True))
        change = (template.gains @ np.clip(error, -spread, spread)[:, :, None])[:, :, 0].astype(np.float64)
        maps = _composed(maps, np.clip(change, -STEP, STEP))
    return maps


def resampled(pictures: Singles, maps: Doubles) -> tuple[Singles, Singles]:
    """Show pictures as the templates do.

    Args:
        pictures: (k, side, side).
        maps: (k, 2, 3).

    Returns:
        (k, side, side) float32, and (k, side, side) float32, 1 inside the picture, 0 outside.
    """
    k, side, _ = pictures.shape
    line = (2 * np.arange(side, dtype=np.float32) + 1) / np.float32(side) - 1
    points = np.stack([np.tile(line, side), np.repeat(line, side), np.ones(side * side, np.float32)])
    values, inside = _sampled(pictures, maps, points)
    return values.reshape(k, side, side), inside.reshape(k, side, side)


def sound(maps: Doubles, inside: Singles) -> NDArray[np.bool_]:
    """(k,) bool, whether maps show the picture in about its size and shape, and on enough of the template."""
    size = np.linalg.svd(maps[:, :, :2], compute_uv=False)
    fits: NDArray[np.bool_] = (size[:, 0] < ZOOM) & (size[:, 1] > 1 / ZOOM) & (size[:, 0] < STRETCH * size[:, 1])
    # However it is turned by quarters, one of the two entries of a row is small.
    slant = np.abs(maps[:, :, :2])
    fits &= (slant.min(axis=2) < np.sin(np.deg2rad(TILT)) * slant.max(axis=2)).all(axis=1)
    shown: NDArray[np.bool_] = inside.mean(axis=(1, 2)) > FILL
    return fits & shown


def _where_it_changes(slope: Singles) -> NDArray[np.int64]:
    """(k, 512) the pixel of each patch that changes most, by number."""
    k, side, _ = slope.shape
    height, width = side // ROWS, side // COLUMNS
    patches = slope.reshape(k, ROWS, height, COLUMNS, width).transpose(0, 1, 3, 2, 4).reshape(k, ROWS, COLUMNS, -1)
    best = patches.argmax(axis=3)
    row = np.arange(ROWS)[:, None] * height + best // width
    column = np.arange(COLUMNS) * width + best % width
    chosen: NDArray[np.int64] = (row * side + column).reshape(k, -1)
    return chosen


def _sampled(pictures: Singles, maps: Doubles, points: Singles) -> tuple[Singles, Singles]:
    """Interpolate pictures (k, side, side) at the images of points, (k, 3, p) or (3, p); and 1 for those inside."""
    side = pictures.shape[1]
    # Pixel centres at whole numbers.
    scaled = (maps * (side / 2)).astype(np.float32)
    scaled[:, :, 2] += np.float32((side - 1) / 2)
    x, y = (
        scaled[:, i, :1] * points[..., 0, :] + scaled[:, i, 1:2] * points[..., 1, :] + scaled[:, i, 2:] for i in (0, 1)
    )
    last = np.float32(side - 1)
    inside = ((x > -0.51) & (x < last + 0.51) & (y > -0.51) & (y < last + 0.51)).astype(np.float32)
    x, y = np.clip(x, 0, last), np.clip(y, 0, last)
    column, row = np.minimum(x.astype(np.int32), side - 2), np.minimum(y.astype(np.int32), side - 2)
    x -= column
    y -= row
    flat = pictures.reshape(-1)
    corner = row * np.int32(side) + column
    corner += np.arange(len(pictures), dtype=np.int32)[:, None] * np.int32(side * side)
    upper, right = flat.take(corner), flat.take(corner + 1)
    right -= upper
    upper += right * x
    corner += np.int32(side)
    lower, right = flat.take(corner), flat.take(corner + 1)
    right -= lower
    lower += right * x
    lower -= upper
    lower *= y
    upper += lower
    return upper, inside


def _composed(maps: Doubles, change: Doubles) -> Doubles:
    """The maps after the inverse of a small change, (k, 6), of the template."""
    k = len(maps)
    whole, moved = np.zeros((k, 3, 3)), np.zeros((k, 3, 3))
    whole[:, :2], whole[:, 2, 2] = maps, 1
    moved[:, :2] = change.reshape(k, 2, 3)
    moved += np.eye(3)
    product: Doubles = whole @ np.linalg.inv(moved)
    return product[:, :2]
