"""An image file -> a new one of the same size and format: mirrored, turned, cropped, in other tones, noisy.

A new picture is upright and has no EXIF data; of an animation it shows the first frame. It has its parent's mode where
the format holds it (gray stays gray, alpha and 16 bits stay); a palette becomes colours. What turning brings in from
beyond the edges is what lies within them, mirrored, so that no corner is black; a picture so long that this is not
enough is turned by less. Numbers of more than 8 bits stay between their smallest and their largest.
"""

import io
import math
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datadiet_cli.data.kinds import suffix
from datadiet_cli.encode.augment import Recipe, UnchangedError, UnreadableError
from datadiet_cli.encode.opening import CAUSES, EmptyError, cause_of, opaque, open_picture, orientation_of, upright

Pixels = NDArray[Any]

_BAND = 1 << 18
"""Pixels whose tones are changed at a time."""
_GRAY_WEIGHTS = (np.float32(0.299), np.float32(0.587), np.float32(0.114))


class _Format(NamedTuple):
    name: str
    modes: tuple[str, ...]
    options: dict[str, Any]


_JPEG = _Format("JPEG", ("L", "RGB", "CMYK"), {"quality": 95})
_PNG = _Format("PNG", ("1", "L", "LA", "RGB", "RGBA", "I;16"), {})
_TIFF = _Format("TIFF", ("1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"), {})
_PPM = _Format("PPM", ("L", "RGB", "I;16"), {})
_FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    **dict.fromkeys((".ppm", ".pgm"), _PPM),
    ".webp": _Format("WEBP", ("RGB", "RGBA"), {"quality": 95}),
    ".bmp": _Format("BMP", ("1", "L", "RGB"), {}),
}
"""By suffix; all others are written as PNG."""


class _Parent(NamedTuple):
    """A decoded picture: L, LA, RGB, RGBA or, for numbers of more than 8 bits, F; and the mode to write it in."""

    image: Image.Image
    mode: str
    profile: bytes | None


def augment_picture(path: str, recipe: Recipe, max_pixels: int) -> bytes:
    """Carry out a recipe on an image file; see `augment.augment`."""
    form = _FORMATS.get(suffix(path), _PNG)
    try:
        parent = _decoded(path, form, max_pixels)
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        cause = cause_of(error)
        raise UnreadableError(cause, CAUSES[cause]) from error
    plain = np.asarray(parent.image)
    span = (float(plain.min()), float(plain.max())) if parent.image.mode == "F" else (0.0, 255.0)
    moved = _moved(parent.image, recipe)
    toned = _toned(np.asarray(moved), recipe, span)
    new = _finished(toned, parent.mode)
    if np.array_equal(np.asarray(new), np.asarray(_finished(plain, parent.mode))):
        raise UnchangedError(f"{path}: too plain a picture to be changed by this")
    target = io.BytesIO()
    profile = {} if parent.profile is None else {"icc_profile": parent.profile}
    new.save(target, form.name, **form.options, **profile)
    return target.getvalue()


def _decoded(path: str, form: _Format, max_pixels: int) -> _Parent:
    if os.stat(path).st_size == 0:
        raise EmptyError
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image)
        image.load()
        if not all(image.size):
            raise EmptyError
        mode = _mode_for(image, form)
        # The profile of four inks, or of another space, does not tell what the colours made of them are.
        profile = image.info.get("icc_profile") if image.mode in ("L", "LA", "P", "RGB", "RGBA") else None
        picture = _working(image, mode)
        return _Parent(upright(picture, orientation), mode, profile if isinstance(profile, bytes) else None)


def _mode_for(image: Image.Image, form: _Format) -> str:
    """The mode to write: the one nearest to the parent's that the format holds."""
    mode = image.mode
    if mode.startswith("I;"):
        mode = "I;16"
    elif mode == "I" and "I" not in form.modes:
        low, high = image.getextrema()
        mode = "I;16" if float(low) >= 0 and float(high) <= 65535 else "L"  # type: ignore[arg-type]
    elif image.has_transparency_data:
        mode = "LA" if mode in ("1", "L", "LA", "La") else "RGBA"
    if mode in form.modes:
        return mode
    gray = mode in ("1", "L", "LA", "I;16", "I", "F", "LAB")
    nearest = (["RGBA"] if mode in ("LA", "RGBA") else []) + (["L"] if gray else []) + ["RGB"]
    return next(mode for mode in nearest if mode in form.modes)


def _working(image: Image.Image, mode: str) -> Image.Image:
    """Bring a picture into the mode that it is worked on in, that of writing or one with finer steps."""
    if mode in ("I;16", "I", "F"):
        numbers = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0, neginf=0)
        return Image.fromarray(numbers)
    if mode in ("LA", "RGBA"):
        return image if image.mode == mode else image.convert("RGBA").convert(mode)
    return opaque(image, "L" if mode in ("1", "L") else "RGB")


def _finished(pixels: Pixels, mode: str) -> Image.Image:
    """A picture in the mode to write."""
    if mode in ("I;16", "I"):
        return Image.fromarray(np.rint(pixels).astype(np.uint16 if mode == "I;16" else np.int32))
    image = Image.fromarray(pixels)
    return image if image.mode == mode else image.convert(mode, dither=Image.Dither.NONE)


def _moved(image: Image.Image, recipe: Recipe) -> Image.Image:
    """Mirror, then turn about the middle of what is cropped and enlarge that: one resampling for both."""
    if recipe.get("flip"):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "rotate" not in recipe and "crop" not in recipe:
        return image
    width, height = image.size
    left, top, size = recipe.get("crop", (0.0, 0.0, 1.0))
    # No further than the mirrored picture reaches.
    most = math.asin(min(image.size) / max(image.size))
    angle = max(-most, min(most, math.radians(recipe.get("rotate", 0.0))))
    cos, sin = size * math.cos(angle), size * math.sin(angle)
    # From the new picture to the old one, x' = ax + by + c and y' = dx + ey + f, counter-clockwise as seen.
    a, b, d, e = cos, -sin, sin, cos
    c = (left + size / 2) * width - (a * width + b * height) / 2
    f = (top + size / 2) * height - (d * width + e * height) / 2
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, width) for y in (0, height)]
    xs, ys = zip(*corners, strict=True)
    # Two more for the filter.
    over = [math.ceil(max(0.0, beyond)) + 2 for beyond in (-min(xs), max(xs) - width, -min(ys), max(ys) - height)]
    margins = [(over[2], over[3]), (over[0], over[1])]
    pixels = np.asarray(image)
    padded = Image.fromarray(np.pad(pixels, margins + [(0, 0)] * (pixels.ndim - 2), mode="symmetric"))
    matrix = (a, b, c + over[0], d, e, f + over[2])
    return padded.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _toned(pixels: Pixels, recipe: Recipe, span: tuple[float, float]) -> Pixels:
    """Change brightness, contrast and saturation, then add noise; alpha stays. All values stay in the span."""
    if "colour" not in recipe and "noise" not in recipe:
        return pixels
    low, high = span
    flat = pixels.reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[2])
    tones = flat.shape[1] - (flat.shape[1] in (2, 4))
    whole = pixels.dtype != np.float32
    bands = [slice(at, at + _BAND) for at in range(0, len(flat), _BAND)]
    mean = 0.0
    if "colour" in recipe:
        mean = sum(float(_gray(flat[band, :tones]).sum(dtype=np.float64)) for band in bands) / len(flat) - low
    rng = np.random.default_rng(recipe["seed"])
    deviation = np.float32(recipe.get("noise", 0.0) / 255 * (high - low))
    out = flat.copy()
    for band in bands:
        values = flat[band, :tones].astype(np.float32) - np.float32(low)
        if "colour" in recipe:
            # Within the span already here, so that noise shows where all is white.
            values = np.clip(_coloured(values, recipe["colour"], mean), 0, high - low)
        if "noise" in recipe:
            values += rng.standard_normal(values.shape, dtype=np.float32) * deviation
        values = np.clip(values, 0, high - low) + np.float32(low)
        out[band, :tones] = np.rint(values) if whole else values
    return out.reshape(pixels.shape)


def _coloured(values: Pixels, factors: list[float], mean: float) -> Pixels:
    brightness, contrast, saturation = map(np.float32, factors)
    if values.shape[1] == 3:
        gray = _gray(values)[:, None]
        values = gray + (values - gray) * saturation
    # Contrast is about the mean of the whole picture, which brightness moves as well.
    return (values * contrast + np.float32(mean) * (1 - contrast)) * brightness


def _gray(values: Pixels) -> Pixels:
    """(m, 1 or 3) tones to (m,) float32 grays."""
    if values.shape[1] == 1:
        return values[:, 0].astype(np.float32)
    # No matrix product: its last digits are a matter of how many threads it takes.
    red, green, blue = (values[:, i] * weight for i, weight in enumerate(_GRAY_WEIGHTS))
    gray: Pixels = red + green + blue
    return gray
