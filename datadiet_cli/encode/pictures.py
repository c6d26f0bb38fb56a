"""An image file -> small normalised pictures and a few facts, from one decode."""

import hashlib
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

DETAIL = 64
FLAT = 4.0
"""Standard deviation, in gray levels, below which a picture has no content that a hash could tell."""

# EPS and PostScript are programs that Pillow has another program run; metafiles and the stubs cannot be drawn.
_REFUSED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
_LOSSY = frozenset({"AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP"})
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
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


@dataclass(frozen=True)
class Sketch:
    """What to make of each picture.

    Attributes:
        size: (width, height) of the thumbnail that a hash wants; None for no thumbnail.
        mode: ``L`` or ``RGB``.
        full_hash: an imagehash function to run on the fully decoded picture instead of a thumbnail.
        digest: whether to digest the pixels of every picture, rather than only of flat and animated ones.
        sharp: side of an extra gray picture to measure sharpness on; 0 for none.
        max_pixels: larger pictures are taken for decompression bombs.
    """

    size: tuple[int, int] | None
    mode: Literal["L", "RGB"] = "L"
    full_hash: str | None = None
    digest: bool = False
    sharp: int = 0
    max_pixels: int = 89_478_485


@dataclass(frozen=True, eq=False)
class Pictures:
    """Facts and small pictures of n files. Rows of files with a cause are zeros.

    Attributes:
        cause: (n,) object, why a file could not be read (a code of `CAUSES`), or None.
        pixels: (n,) int64, width times height before any scaling.
        colour: (n,) bool, more than gray levels.
        lossless: (n,) bool, by the format.
        guarded: (n,) bool, flat or animated: only equal pixels make it a duplicate.
        digest: (n, 16) uint8, of all pixels, where guarded or asked for.
        thumbnail: (n, height, width[, 3]) uint8, as the sketch asked.
        full_hash: (n,) uint64, where the sketch asked for it.
        detail: (n, 64, 64) uint8, gray.
        sharp: (n, sharp, sharp) uint8, gray.
    """

    cause: NDArray[np.object_]
    pixels: NDArray[np.int64]
    colour: NDArray[np.bool_]
    lossless: NDArray[np.bool_]
    guarded: NDArray[np.bool_]
    digest: NDArray[np.uint8]
    thumbnail: NDArray[np.uint8]
    full_hash: NDArray[np.uint64]
    detail: NDArray[np.uint8]
    sharp: NDArray[np.uint8]

    @classmethod
    def blank(cls, n: int, sketch: Sketch) -> "Pictures":
        """Rows to fill."""
        width, height = sketch.size or (0, 0)
        channels = (3,) if sketch.mode == "RGB" else ()
        return cls(
            cause=np.full(n, None, dtype=object),
            pixels=np.zeros(n, dtype=np.int64),
            colour=np.zeros(n, dtype=bool),
            lossless=np.zeros(n, dtype=bool),
            guarded=np.zeros(n, dtype=bool),
            digest=np.zeros((n, 16), dtype=np.uint8),
            thumbnail=np.zeros((n, height, width, *channels), dtype=np.uint8),
            full_hash=np.zeros(n, dtype=np.uint64),
            detail=np.zeros((n, DETAIL, DETAIL), dtype=np.uint8),
            sharp=np.zeros((n, sketch.sharp, sketch.sharp), dtype=np.uint8),
        )


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep what the decoding libraries say of damaged files off stderr; the causes in `Pictures` say it better.

    Some of it is printed by C code, so the file descriptor itself is turned away. Python's own `sys.stderr` goes on
    only if it was opened on another descriptor, as the command line does.
    """
    spare = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(silence, 2)
            yield
    finally:
        os.dup2(spare, 2)
        os.close(spare)
        os.close(silence)


def sketch_files(paths: Sequence[str], sketch: Sketch) -> Pictures:
    """Decode each file once and sketch it. Never raises for a file: what is wrong with it is its cause."""
    pictures = Pictures.blank(len(paths), sketch)
    for i, path in enumerate(paths):
        try:
            _sketch_one(path, sketch, pictures, i)
        except Exception as error:
            pictures.cause[i] = cause_of(error)
    return pictures


class _BombError(Exception):
    pass


def cause_of(error: Exception) -> str:
    """The cause code for what Pillow raised on a file."""
    if isinstance(error, _BombError | Image.DecompressionBombError):
        return "bomb"
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
    Image.init()
    # The bound is checked here, by --max-pixels, before anything is decoded; Pillow's own would warn or raise.
    Image.MAX_IMAGE_PIXELS = None
    return sorted(set(Image.ID) - _REFUSED)


def _open(path: str, max_pixels: int) -> Image.Image:
    formats = _formats()
    image = Image.open(path, formats=formats)
    if image.width * image.height > max_pixels:
        image.close()
        raise _BombError
    return image


def _sketch_one(path: str, sketch: Sketch, out: Pictures, i: int) -> None:
    with open(path, "rb") as file:
        if not file.read(1):
            out.cause[i] = "empty"
            return
    with _open(path, sketch.max_pixels) as image:
        width, height = image.size
        out.colour[i] = image.mode not in _GRAY_MODES
        out.lossless[i] = image.format not in _LOSSY
        # Only the first frame is looked at, so a film is no duplicate of its first picture. A camera's
        # multi-picture file is one photograph with previews.
        animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        orientation = _orientation(image)
        if sketch.full_hash is None:
            _draft(image, sketch)
        image.load()
        picture = _opaque(image, "RGB" if sketch.mode == "RGB" else "L")
        gray = _upright(_reduced(picture, max(DETAIL, sketch.sharp)), orientation)
        if sketch.mode == "RGB" and sketch.size is not None:
            out.thumbnail[i] = np.asarray(gray.resize(sketch.size, Image.Resampling.BOX))
        if gray.mode != "L":
            gray = gray.convert("L")
        if sketch.mode == "L" and sketch.size is not None:
            out.thumbnail[i] = np.asarray(gray.resize(sketch.size, Image.Resampling.LANCZOS))
        out.detail[i] = np.asarray(gray.resize((DETAIL, DETAIL), Image.Resampling.BOX))
        if sketch.sharp:
            # Smooth where it enlarges: the steps of a box filter would pass for sharp edges.
            out.sharp[i] = np.asarray(gray.resize((sketch.sharp, sketch.sharp), Image.Resampling.BICUBIC))
        out.guarded[i] = animated or float(out.detail[i].std()) < FLAT
        if sketch.full_hash is not None and not out.guarded[i]:
            _full_hash(_upright(image, orientation), sketch.full_hash, out, i)
    if sketch.digest or out.guarded[i]:
        out.digest[i] = np.frombuffer(_pixel_digest(path, sketch.max_pixels, orientation), dtype=np.uint8)
    # Last, so that a file that failed on the way has no facts.
    out.pixels[i] = width * height


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _draft(image: Image.Image, sketch: Sketch) -> None:
    if image.format in ("JPEG", "MPO"):
        side = max(DETAIL, sketch.sharp, *(sketch.size or (0,)))
        image.draft(sketch.mode if image.mode in ("RGB", "L") else image.mode, (side, side))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Shrink by a whole factor first: as good for a thumbnail, and much cheaper than a long filter."""
    factor = min(image.size) // (2 * side)
    return image.reduce(factor) if factor > 1 else image


def _opaque(image: Image.Image, mode: str) -> Image.Image:
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


def _full_hash(image: Image.Image, name: str, out: Pictures, i: int) -> None:
    import imagehash

    functions: dict[str, Callable[..., imagehash.ImageHash]] = {
        "phash": imagehash.phash,
        "dhash": imagehash.dhash,
        "ahash": imagehash.average_hash,
        "whash": imagehash.whash,
        "colorhash": imagehash.colorhash,
    }
    try:
        bits = functions[name](image).hash.ravel()
    except AssertionError:
        # whash wants at least 8 pixels on a side; a smaller picture counts by its pixels.
        out.guarded[i] = True
        return
    out.full_hash[i] = int("".join("1" if bit else "0" for bit in bits), 2)


def _pixel_digest(path: str, max_pixels: int, orientation: int) -> bytes:
    """Digest the size and every pixel of every frame, the same for any lossless format and mode that shows them."""
    digest = hashlib.blake2b(digest_size=16)
    with _open(path, max_pixels) as image:
        frames = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
        for frame in range(frames):
            if frame:
                image.seek(frame)
            picture = _upright(image, orientation)
            digest.update(struct.pack("<II", *picture.size))
            digest.update(_canonical(picture).tobytes())
    return digest.digest()


def _canonical(image: Image.Image) -> NDArray[np.generic]:
    """The pixels in one form: RGBA with no colour where nothing shows, or numbers where there are more than 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return np.asarray(image).astype("<f8")
    if image.mode == "LAB":
        return np.asarray(image)
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels[..., 3] == 0] = 0
    return pixels
