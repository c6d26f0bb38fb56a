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

from datadiet_cli.encode.opening import BombError, EmptyError, cause_of, opaque, open_picture, orientation_of, upright

SMALL = 64
LONGEST_FILM = 16
"""How many times the pixels of the largest picture an animation may have in all its frames."""

_LOSSY = frozenset({"AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP"})
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


@dataclass(frozen=True)
class Sketch:
    """What to make of each picture.

    Attributes:
        size: (width, height) of the thumbnail that a hash wants; None for no thumbnail.
        mode: ``L`` or ``RGB``.
        full_hash: an imagehash function to run on the fully decoded picture, besides the thumbnail.
        sharp: side of an extra gray picture to measure sharpness on; 0 for none.
        upright: whether to turn each picture as its EXIF orientation says.
        max_pixels: larger pictures are taken for decompression bombs.
    """

    size: tuple[int, int] | None
    mode: Literal["L", "RGB"] = "L"
    full_hash: str | None = None
    sharp: int = 0
    upright: bool = True
    max_pixels: int = 89_478_485


@dataclass(frozen=True, eq=False)
class Pictures:
    """Facts and small pictures of n files. Rows of files with a cause are zeros.

    Attributes:
        cause: (n,) object, why a file could not be read (a code of `opening.CAUSES`), or None.
        sides: (n, 2) int64, width and height before any scaling, turned upright where asked.
        tones: (n,) uint8, 2 for colours, 1 for gray levels, 0 for black and white only.
        lossless: (n,) bool, by the format.
        animated: (n,) bool, more than one frame, of which only the first is looked at.
        full_hash: (n,) uint64, and unhashed: (n,) bool, too small for that hash; where the sketch asked for it.
        thumbnail: (n, height, width[, 3]) uint8, as the sketch asked.
        lying: (n, width, height[, 3]) uint8, the same of the transposed picture, transposed back: a thumbnail that
            is no square cannot be turned by 90 degrees.
        small: (n, 64, 64) uint8, gray.
        sharp: (n, sharp, sharp) uint8, gray.
    """

    cause: NDArray[np.object_]
    sides: NDArray[np.int64]
    tones: NDArray[np.uint8]
    lossless: NDArray[np.bool_]
    animated: NDArray[np.bool_]
    full_hash: NDArray[np.uint64]
    unhashed: NDArray[np.bool_]
    thumbnail: NDArray[np.uint8]
    lying: NDArray[np.uint8]
    small: NDArray[np.uint8]
    sharp: NDArray[np.uint8]

    @classmethod
    def blank(cls, n: int, sketch: Sketch) -> "Pictures":
        """Rows to fill."""
        width, height = sketch.size or (0, 0)
        channels = (3,) if sketch.mode == "RGB" else ()
        return cls(
            cause=np.full(n, None, dtype=object),
            sides=np.zeros((n, 2), dtype=np.int64),
            tones=np.zeros(n, dtype=np.uint8),
            lossless=np.zeros(n, dtype=bool),
            animated=np.zeros(n, dtype=bool),
            full_hash=np.zeros(n, dtype=np.uint64),
            unhashed=np.zeros(n, dtype=bool),
            thumbnail=np.zeros((n, height, width, *channels), dtype=np.uint8),
            lying=np.zeros((n, width, height, *channels), dtype=np.uint8),
            small=np.zeros((n, SMALL, SMALL), dtype=np.uint8),
            sharp=np.zeros((n, sketch.sharp, sketch.sharp), dtype=np.uint8),
        )


def sketch_files(paths: Sequence[str], sketch: Sketch) -> Pictures:
    """Decode each file once and sketch it. Never raises for a file: what is wrong with it is its cause."""
    pictures = Pictures.blank(len(paths), sketch)
    for i, path in enumerate(paths):
        pictures.cause[i] = _attempt(_sketch_one, path, sketch, pictures, i)
    return pictures


def detail_files(paths: Sequence[str], side: int, max_pixels: int, turned: bool) -> NDArray[np.uint8]:
    """Decode each file to a larger gray picture.

    Args:
        paths: image files.
        side: pixels of a side of the pictures.
        max_pixels: larger pictures are taken for decompression bombs.
        turned: whether to turn each picture as its EXIF orientation says.

    Returns:
        (n, side, side) uint8; zeros, a picture that agrees with none, for a file that cannot be read any more.
    """
    pictures = np.zeros((len(paths), side, side), dtype=np.uint8)
    for i, path in enumerate(paths):
        _attempt(_detail_one, path, max_pixels, turned, pictures[i])
    return pictures


def pixel_digests(paths: Sequence[str], sketch: Sketch) -> tuple[NDArray[np.uint8], NDArray[np.object_]]:
    """Digest the size and every pixel of every frame, the same for any lossless format and mode that shows them.

    Returns:
        (n, 16) uint8, and (n,) object, why a file could not be read, or None.
    """
    digests = np.zeros((len(paths), 16), dtype=np.uint8)
    causes = np.full(len(paths), None, dtype=object)
    for i, path in enumerate(paths):
        causes[i] = _attempt(_digest_one, path, sketch, digests[i])
    return digests, causes


def _attempt(work: Callable[..., None], *args: object) -> str | None:
    """Do something with a file; the cause where that fails."""
    try:
        work(*args)
    except Exception as error:  # Pillow's decoders raise anything on damaged bytes
        return cause_of(error)
    return None


def _sketch_one(path: str, sketch: Sketch, out: Pictures, i: int) -> None:
    if os.stat(path).st_size == 0:
        raise EmptyError
    with open_picture(path, sketch.max_pixels) as image:
        width, height = image.size
        tones = 0 if image.mode == "1" else 1 if image.mode in _GRAY_MODES else 2
        lossless = image.format not in _LOSSY
        # A camera's multi-picture file is one photograph with previews.
        animated = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        orientation = orientation_of(image) if sketch.upright else 1
        if sketch.full_hash is None:
            _draft(image, max(SMALL, sketch.sharp, *(sketch.size or (0,))), "RGB" if sketch.mode == "RGB" else "L")
        image.load()
        picture = opaque(image, "RGB" if sketch.mode == "RGB" else "L")
        reduced = upright(_reduced(picture, max(SMALL, sketch.sharp)), orientation)
        gray = reduced.convert("L") if reduced.mode != "L" else reduced
        # A filter that weighs by distance: mirrored pictures stay mirrored, which Pillow's box does not care for.
        small = gray.resize((SMALL, SMALL), Image.Resampling.HAMMING)
        out.small[i] = np.asarray(small)
        if sketch.size is not None and sketch.full_hash is not None:
            _thumbnails(upright(picture, orientation), sketch.size, out, i)
        elif sketch.size is not None:
            # The small picture shows all that a hash sees, and is much quicker to shrink.
            _thumbnails(small if sketch.mode == "L" else reduced, sketch.size, out, i)
        if sketch.sharp:
            # Smooth where it enlarges: the steps of a box filter would pass for sharp edges.
            out.sharp[i] = np.asarray(gray.resize((sketch.sharp, sketch.sharp), Image.Resampling.BICUBIC))
        if sketch.full_hash is not None:
            _full_hash(upright(image, orientation), sketch.full_hash, out, i)
    # Last, so that a file that failed on the way has no facts.
    out.sides[i] = (height, width) if orientation > 4 else (width, height)
    out.tones[i], out.lossless[i], out.animated[i] = tones, lossless, animated


def _thumbnails(image: Image.Image, size: tuple[int, int], out: Pictures, i: int) -> None:
    filtering = Image.Resampling.BOX if image.mode == "RGB" else Image.Resampling.LANCZOS
    out.thumbnail[i] = np.asarray(image.resize(size, filtering))
    out.lying[i] = out.thumbnail[i] if size[0] == size[1] else np.asarray(image.resize(size[::-1], filtering))


def _detail_one(path: str, max_pixels: int, turned: bool, out: NDArray[np.uint8]) -> None:
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image) if turned else 1
        _draft(image, len(out), "L")
        gray = _reduced(opaque(image, "L"), len(out))
        out[:] = np.asarray(upright(gray, orientation).resize(out.shape, Image.Resampling.HAMMING))


def _digest_one(path: str, sketch: Sketch, out: NDArray[np.uint8]) -> None:
    out[:] = np.frombuffer(_pixel_digest(path, sketch), dtype=np.uint8)


def _draft(image: Image.Image, side: int, mode: Literal["L", "RGB"]) -> None:
    """Have a JPEG file decoded in reduced size, which for some sizes is most of the work."""
    if image.format in ("JPEG", "MPO"):
        image.draft(mode if image.mode in ("RGB", "L") else image.mode, (side, side))


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
        out.unhashed[i] = True
        return
    out.full_hash[i] = int("".join("1" if bit else "0" for bit in bits), 2)


def _pixel_digest(path: str, sketch: Sketch) -> bytes:
    digest = hashlib.sha256()  # which CPUs have instructions for
    with open_picture(path, sketch.max_pixels) as image:
        orientation = orientation_of(image) if sketch.upright else 1
        frames = int(getattr(image, "n_frames", 1)) if image.format != "MPO" else 1
        if frames * image.width * image.height > sketch.max_pixels * LONGEST_FILM:
            raise BombError
        for frame in range(frames):
            if frame:
                image.seek(frame)
            picture = upright(image, orientation)
            digest.update(struct.pack("<II", *picture.size))
            digest.update(np.ascontiguousarray(_canonical(picture)).data)
    return digest.digest()[:16]


def _canonical(image: Image.Image) -> NDArray[np.generic]:
    """The pixels in one form: RGB, RGBA where something shows through, or numbers of more than 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return np.asarray(image).astype("<f8")
    if image.mode == "LAB":
        return np.asarray(image)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    pixels = np.array(image.convert("RGBA"))
    if (pixels[..., 3] == 255).all():
        return pixels[..., :3]
    pixels[pixels[..., 3] == 0] = 0  # a colour that does not show
    return pixels
