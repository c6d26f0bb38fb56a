"""Known edits of a picture: copies that should be recognised, and faults that should be named."""

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from datadiet_cli.calibrating.content import Content, Made, UnfitError
from datadiet_cli.data.kinds import suffix
from datadiet_cli.encode.opening import opaque, open_picture, orientation_of, upright

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]

_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", {"quality": 95})),
    ".webp": ("WEBP", {"quality": 95}),
    ".bmp": ("BMP", {}),
}
"""By suffix; all others are written as PNG."""
_SMALLEST = 8
"""Pixels of a side below which a picture is not made smaller."""


def edited(edit: Edit, form: str | None = None, **options: Any) -> Callable[[Content, np.random.Generator], Made]:
    """An edit of pixels as one of files.

    Args:
        edit: of an upright picture in 8-bit gray or colour.
        form: the suffix of the format to write; the picture's own where it can be written, or else .png, for None.
        options: of the writer.
    """

    def make(content: Content, rng: np.random.Generator) -> Made:
        picture = edit(_decoded(content), rng)
        return _written(picture, form or _own_form(content.path), options)

    return make


def other_format(content: Content, rng: np.random.Generator) -> Made:
    """The same picture as PNG if it is none, or else as JPEG of high quality."""
    del rng
    return _written(_decoded(content), ".jpg" if suffix(content.path) == ".png" else ".png", {})


def _decoded(content: Content) -> Image.Image:
    try:
        with open_picture(content.path, content.max_pixels) as image:
            orientation = orientation_of(image)
            image.load()
            gray = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;")
            return upright(opaque(image, "L" if gray else "RGB"), orientation)
    except Exception as error:
        raise UnfitError("cannot be decoded") from error


def _own_form(path: str) -> str:
    own = suffix(path)
    return own if own in _FORMATS else ".png"


def _written(picture: Image.Image, form: str, options: dict[str, Any]) -> Made:
    name, usual = _FORMATS.get(form, ("PNG", {}))
    target = io.BytesIO()
    picture.save(target, name, **{**usual, **options})
    return Made(target.getvalue(), form)


def same(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Nothing but decoding and writing again."""
    del rng
    return picture


def resized(factor: float) -> Edit:
    """Both sides longer or shorter by a factor."""

    def edit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        del rng
        sides = [round(side * factor) for side in picture.size]
        if min(sides) < _SMALLEST or sides[0] * sides[1] > 1 << 26:
            raise UnfitError("too small or too large to be resized")
        return picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)

    return edit


def cropped(share: float) -> Edit:
    """A share of each side gone, divided at random between its two ends."""

    def edit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        across, down = round(width * share), round(height * share)
        if not across or not down or min(width - across, height - down) < _SMALLEST:
            raise UnfitError("too small to be cropped")
        left, top = int(rng.integers(across + 1)), int(rng.integers(down + 1))
        return picture.crop((left, top, left + width - across, top + height - down))

    return edit


def flipped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Left and right changed."""
    del rng
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def rotated(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned by a quarter to the left or to the right."""
    turn = Image.Transpose.ROTATE_90 if rng.random() < 0.5 else Image.Transpose.ROTATE_270
    return picture.transpose(turn)


def toned(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness and contrast a fifth higher or lower."""
    up, more = (1.2 if one < 0.5 else 0.8 for one in rng.random(2).tolist())
    return ImageEnhance.Contrast(ImageEnhance.Brightness(picture).enhance(up)).enhance(more)


def blurred(share: float) -> Edit:
    """A Gaussian blur as wide as a share of the shorter side, a third of a pixel at least."""

    def edit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        del rng
        return picture.filter(ImageFilter.GaussianBlur(max(min(picture.size) * share, 1 / 3)))

    return edit


def marked(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A band of another tone over a tenth of the height, half transparent, as a watermark is."""
    width, height = picture.size
    band = max(1, height // 10)
    top = int(rng.integers(max(height - band, 0) + 1))
    part = picture.crop((0, top, width, top + band))
    white = Image.new(part.mode, part.size, "white")
    new = picture.copy()
    new.paste(Image.blend(part, white, 0.5), (0, top))
    return new


def darkened(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A tenth of the light."""
    del rng
    return picture.point(lambda level: level * 0.1)


def noise(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Noise of the picture's size in its place, of a grain, a tint and a contrast of its own.

    Pictures of noise that are all alike would be a class rather than outliers.
    """
    grain = int(rng.choice([1, 2, 4, 8]))
    width, height = (max(1, side // grain) for side in picture.size)
    channels = 1 if picture.mode == "L" else 3
    low = rng.integers(0, 128, channels)
    high = low + rng.integers(64, 128, channels)
    pixels = rng.integers(low, high, (height, width, channels), dtype=np.uint8)
    fine = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return fine.resize(picture.size, Image.Resampling.NEAREST)


def scrambled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Negative, and its sixteen parts in another order: the tones and lines of another domain."""
    width, height = (side - side % 4 for side in picture.size)
    if min(width, height) < _SMALLEST:
        raise UnfitError("too small to be scrambled")
    pixels = 255 - np.asarray(picture)[:height, :width]
    rest = pixels.shape[2:]
    parts = pixels.reshape(4, height // 4, 4, width // 4, *rest).swapaxes(1, 2).reshape(16, -1)
    mixed = parts[rng.permutation(16)].reshape(4, 4, height // 4, width // 4, *rest)
    return Image.fromarray(np.ascontiguousarray(mixed.swapaxes(1, 2).reshape(height, width, *rest)))


def cut_off(content: Content, rng: np.random.Generator) -> Made:
    """The first half of the file's bytes."""
    del rng
    size = os.path.getsize(content.path)
    if size < 2:
        raise UnfitError("nothing to cut off")
    with open(content.path, "rb") as file:
        return Made(file.read(size // 2), content.suffix)
