"""Image files -> thumbnails for a page."""

import base64
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from datadiet_cli.encode.opening import CAUSES, EmptyError, cause_of, opaque, open_picture, orientation_of, upright

PIXEL_ART = 64
"""Pixels of the longest side up to which a picture is shown pixel by pixel, larger than it is."""
_ART_SIDE = 128
"""Pixels up to which it is enlarged, by a whole factor; a third of that where thumbnails are small."""
_GROUND = (176, 180, 186)
"""What shows through transparent pixels: neither black nor white drawings vanish on it."""
_QUALITY = 70


@dataclass(frozen=True)
class Picture:
    """A thumbnail.

    Attributes:
        uri: of the picture, as a data URI; empty for one that cannot be shown.
        width: pixels that it is to be shown with.
        height: likewise.
        words: what it is, in words, such as ``400 x 533 pixels``; why it cannot be shown if it cannot.
        art: whether its pixels are to be seen.
    """

    uri: str
    width: int
    height: int
    words: str
    art: bool = False


def missing(words: str) -> Picture:
    """What stands where a picture cannot be shown."""
    return Picture("", 0, 0, words)


def thumbnails(paths: Sequence[str], side: int, max_pixels: int) -> list[Picture]:
    """Make thumbnails. Never raises for a file: what is wrong with it is told in words.

    Args:
        paths: image files.
        side: pixels of the longest side.
        max_pixels: larger pictures are taken for decompression bombs.
    """
    return [_attempt(path, side, max_pixels) for path in paths]


def _attempt(path: str, side: int, max_pixels: int) -> Picture:
    try:
        return _thumbnail(path, side, max_pixels)
    except Exception as error:  # noqa: BLE001, RUF100 - Pillow's decoders raise anything on damaged bytes
        return missing(CAUSES[cause_of(error)])


def _thumbnail(path: str, side: int, max_pixels: int) -> Picture:
    if os.stat(path).st_size == 0:
        raise EmptyError
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image)
        width, height = image.size[::-1] if orientation > 4 else image.size
        words = f"{width:,} x {height:,} pixels"
        if getattr(image, "is_animated", False) and image.format != "MPO":
            words += ", the first frame of an animation"
        if image.format in ("JPEG", "MPO"):
            # The filter below makes a better picture of a larger one.
            enlarged = 1.5 * side / max(image.size)
            least = (math.ceil(image.width * enlarged), math.ceil(image.height * enlarged))
            image.draft(image.mode if image.mode in ("RGB", "L") else None, least)
        image.load()
        art = max(image.size) <= PIXEL_ART
        small = upright(_coloured(image, side), orientation)
    if not art:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    wanted = _ART_SIDE if side > PIXEL_ART else _ART_SIDE // 3
    factor = max(1, wanted // max(small.size)) if art else 1
    return Picture(_uri(small, art), small.width * factor, small.height * factor, words, art)


def _coloured(image: Image.Image, side: int) -> Image.Image:
    """In 8-bit gray or colours, without transparency, and not much larger than needed."""
    factor = max(1, min(max(image.size) // (4 * side), min(image.size)))
    if image.has_transparency_data:
        # Reduced first: it is much quicker, and weighs colours by how much they show.
        layer = image.convert("RGBA").reduce(factor)
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*_GROUND, 255)), layer).convert("RGB")
    gray = image.mode in ("1", "L", "F", "LAB") or image.mode.startswith("I")
    return opaque(image, "L" if gray else "RGB").reduce(factor)


def _uri(image: Image.Image, art: bool) -> str:
    buffer = BytesIO()
    if art:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return png_uri(buffer.getvalue()) if art else f"data:image/webp;base64,{_base64(buffer.getvalue())}"


def png_uri(data: bytes) -> str:
    """The bytes of a PNG file as a data URI."""
    return f"data:image/png;base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
