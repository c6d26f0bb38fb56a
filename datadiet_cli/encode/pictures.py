"""An image file -> small normalised pictures and a few facts, from one decode."""

import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datadiet_cli.encode.opening import BombError, cause_of, opaque, open_picture, orientation_of, upright

DETAIL = 64
LONGEST_FILM = 16
"""How many times the pixels of the largest picture an animation may have in all its frames."""
FLAT = 4.0
"""Standard deviation, in gray levels, below which a picture has no content that a hash could tell."""

_LOSSY = frozenset({"AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP"})
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


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
        cause: (n,) object, why a file could not be read (a code of `opening.CAUSES`), or None.
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


def sketch_files(paths: Sequence[str], sketch: Sketch) -> Pictures:
    """Decode each file once and sketch it. Never raises for a file: what is wrong with it is its cause."""
    pictures = Pictures.blank(len(paths), sketch)

    def attempt(work: Callable[[str, Sketch, Pictures, int], None], i: int) -> None:
        try:
            work(paths[i], sketch, pictures, i)
        except Exception as error:  # Pillow's decoders raise anything on damaged bytes
            pictures.cause[i] = cause_of(error)
            pictures.pixels[i] = 0

    for i in range(len(paths)):
        attempt(_sketch_one, i)
    pictures.guarded[:] |= _flat(pictures.detail)
    for i in np.flatnonzero((pictures.guarded | sketch.digest) & (pictures.pixels > 0)).tolist():
        attempt(_digest_one, i)
    return pictures


def _flat(detail: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) bool, whether the standard deviation is below `FLAT`; in whole numbers, hence the same anywhere."""
    values = detail.reshape(len(detail), -1).astype(np.int64)
    count = values.shape[1]
    spread = count * np.einsum("ij,ij->i", values, values) - values.sum(axis=1) ** 2
    below: NDArray[np.bool_] = spread < int(FLAT * count) ** 2
    return below


def _sketch_one(path: str, sketch: Sketch, out: Pictures, i: int) -> None:
    if os.stat(path).st_size == 0:
        out.cause[i] = "empty"
        return
    with open_picture(path, sketch.max_pixels) as image:
        width, height = image.size
        out.colour[i] = image.mode not in _GRAY_MODES
        out.lossless[i] = image.format not in _LOSSY
        # Only the first frame is looked at, so a film is no duplicate of its first picture. A camera's
        # multi-picture file is one photograph with previews.
        out.guarded[i] = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        orientation = orientation_of(image)
        if sketch.full_hash is None:
            _draft(image, sketch)
        image.load()
        picture = opaque(image, "RGB" if sketch.mode == "RGB" else "L")
        gray = upright(_reduced(picture, max(DETAIL, sketch.sharp)), orientation)
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
        if sketch.full_hash is not None:
            _full_hash(upright(image, orientation), sketch.full_hash, out, i)
    # Last, so that a file that failed on the way has no facts.
    out.pixels[i] = width * height


def _digest_one(path: str, sketch: Sketch, out: Pictures, i: int) -> None:
    out.digest[i] = np.frombuffer(_pixel_digest(path, sketch.max_pixels), dtype=np.uint8)


def _draft(image: Image.Image, sketch: Sketch) -> None:
    if image.format in ("JPEG", "MPO"):
        side = max(DETAIL, sketch.sharp, *(sketch.size or (0,)))
        image.draft(sketch.mode if image.mode in ("RGB", "L") else image.mode, (side, side))


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """Shrink by a whole factor first: as good for a thumbnail, and much cheaper than a long filter."""
    factor = min(image.size) // (2 * side)
    return image.reduce(factor) if factor > 1 else image


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


def _pixel_digest(path: str, max_pixels: int) -> bytes:
    """Digest the size and every pixel of every frame, the same for any lossless format and mode that shows them."""
    digest = hashlib.blake2b(digest_size=16)
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image)
        frames = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
        if frames * image.width * image.height > max_pixels * LONGEST_FILM:
            raise BombError
        for frame in range(frames):
            if frame:
                image.seek(frame)
            picture = upright(image, orientation)
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
