"""Open an image file, whatever it holds, and bring what it shows into one form: upright, opaque, eight bits."""

import os
import struct
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

# Imported for what they add to Pillow's table of formats, as `Image.preinit` does for the other common ones.
_ADDED = (TiffImagePlugin, WebPImagePlugin)

# EPS and PostScript are programs that Pillow has another program run; metafiles and the stubs cannot be drawn.
_REFUSED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_COMMON = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112

CAUSES = {
    "empty": "the file is empty",
    "not-an-image": "not an image that Pillow can read",
    "truncated": "the file ends in the middle of the picture",
    "bomb": "more pixels than --max-pixels allows",
    "damaged": "the content is damaged",
    "unreachable": "the file cannot be opened",
}


class EmptyError(Exception):
    """A file has no bytes."""


class BombError(Exception):
    """A picture has more pixels than the user allows."""


def cause_of(error: Exception) -> str:
    """The cause code for what Pillow raised on a file."""
    if isinstance(error, BombError | Image.DecompressionBombError):
        return "bomb"
    if isinstance(error, EmptyError):
        return "empty"
    if isinstance(error, EOFError):
        return "truncated"
    if isinstance(error, UnidentifiedImageError):
        return "not-an-image"
    if isinstance(error, OSError) and error.errno is not None:
        return "unreachable"
    words = str(error).lower()
    if isinstance(error, OSError | SyntaxError | struct.error) and ("truncated" in words or "eof" in words):
        return "truncated"
    return "damaged"


@cache
def _formats() -> list[str]:
    """Every format but the refused ones. Looking at them all loads some forty modules, so it is done when needed."""
    Image.init()
    return sorted(set(Image.ID) - _REFUSED)


def open_picture(path: str, max_pixels: int) -> Image.Image:
    """Open an image file, decoding nothing yet.

    Raises:
        BombError: its header announces more than `max_pixels` pixels.
        OSError: it is no image, or cannot be read. Damaged files raise anything.
    """
    # The bound is checked here, before anything is decoded; Pillow's own would warn or raise.
    Image.MAX_IMAGE_PIXELS = None
    try:
        image = Image.open(path, formats=_COMMON)
    except UnidentifiedImageError:
        image = Image.open(path, formats=_formats())
    if image.width * image.height > max_pixels:
        image.close()
        raise BombError
    return image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; a picture with unreadable EXIF data is as good as one without."""
    if image.format in ("JPEG", "MPO") and not {"exif", "xmp"} & image.info.keys():
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data raises anything
        return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture as its EXIF orientation says."""
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def opaque(image: Image.Image, mode: str) -> Image.Image:
    """Bring any mode to 8-bit gray or colour, on white where it is transparent."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _to_eight_bits(image)
    elif image.mode == "LAB":
        image = image.getchannel(0)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    if image.mode == "P" and mode == "L":
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    # The white of a picture of numbers is the first of the usual ones that it does not exceed.
    whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    white = next((white for white in whites if high <= white), None)
    if low >= 0 and white is not None:
        low, high = 0.0, white
    scaled = (values - low) * (255.0 / (high - low)) if high > low else values * 0
    return Image.fromarray(scaled.astype(np.uint8))


def decode_each(
    paths: Sequence[str], out: NDArray[np.uint8], decode: Callable[[str], NDArray[np.uint8]]
) -> list[str | None]:
    """Decode files one after the other; what is wrong with one is its cause.

    Args:
        paths: k files.
        out: (k, ...) uint8, what was decoded is put into; rows of files with a cause stay as they are.
        decode: gives the row of a file; may raise whatever decoders do.

    Returns:
        k codes of `CAUSES`, or None.
    """
    causes: list[str | None] = []
    for i, path in enumerate(paths):
        cause = None
        try:
            if os.stat(path).st_size == 0:
                cause = "empty"
            else:
                out[i] = decode(path)
        except Exception as error:  # noqa: BLE001, RUF100 - Pillow's decoders raise anything on damaged bytes
            cause = cause_of(error)
        causes.append(cause)
    return causes
