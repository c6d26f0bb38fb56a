"""Image files -> small pictures of one size, as a convolutional network takes them."""

import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from datadiet_cli.encode.cache import LIMIT, Cache, NoCache
from datadiet_cli.encode.cached import Made, remembered
from datadiet_cli.encode.inputs.reading import Causes, Room, read, zeros
from datadiet_cli.encode.opening import CAUSES, decode_each, opaque, open_picture, orientation_of, upright
from datadiet_cli.engine import Engine

_MOST_AT_ONCE, _CHUNK_BYTES = 64, 4 << 20
_FINER = 2
"""How many times the wanted size a JPEG file is decoded to at least, before the filter makes it smooth."""
_REMEMBERED = 64
"""Pixels a side up to which pictures are remembered: recalling one takes a seventh of the time of decoding it."""
_SHARE_OF_CACHE = 4
_CODES = tuple(sorted(CAUSES))
_UNREACHABLE = "unreachable"


def read_pictures(
    paths: Sequence[str | None],
    size: int,
    max_pixels: int,
    *,
    cache: Cache | NoCache,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
    room: Room = tempfile.gettempdir,
) -> tuple[NDArray[np.uint8], Causes]:
    """Pictures of files, small ones by way of what is remembered, if they do not crowd out all else there.

    Args:
        paths: n image files, None for none.
        size: pixels a side.
        max_pixels: larger pictures are taken for decompression bombs.
        cache: where pictures are remembered.
        engine: runs the kernel.
        progress: told of pictures done.
        room: gives the folder of a large array.

    Returns:
        (n, 3, size, size) uint8, and (n,) object; as `decode_pictures` gives them.
    """
    width = 1 + 3 * size * size
    if not cache.enabled or size > _REMEMBERED or len(paths) * width > LIMIT // _SHARE_OF_CACHE:
        chunk = max(1, min(_MOST_AT_ONCE, _CHUNK_BYTES // width))
        return read(
            paths,
            decode_pictures,
            size,
            max_pixels,
            row=(3, size, size),
            dtype=np.uint8,
            engine=engine,
            chunk=chunk,
            progress=progress,
            room=room,
        )
    out = zeros((len(paths), 3, size, size), np.uint8, room)
    causes, names = np.full(len(paths), None, dtype=object), np.array([None, *_CODES], dtype=object)
    there = np.array([i for i, path in enumerate(paths) if path is not None], dtype=np.int64)
    namespace = f"inputs/picture/1/pillow-{PIL.__version__}/{size}/{max_pixels}"
    files = [path for path in paths if path is not None]
    for positions, rows in remembered(
        files,
        namespace,
        width,
        _rows,
        size,
        max_pixels,
        cache=cache,
        engine=engine,
        chunk=_MOST_AT_ONCE,
        progress=progress,
    ):
        out[there[positions]] = rows[:, 1:].reshape(len(rows), 3, size, size)
        causes[there[positions]] = names[rows[:, 0]]
    return out, causes


def _rows(paths: Sequence[str], size: int, max_pixels: int) -> Made:
    """What is remembered of a file: the number of its cause, 0 for none, and its pixels."""
    pictures, causes = decode_pictures(paths, size, max_pixels)
    codes = np.array([0 if cause is None else _CODES.index(cause) + 1 for cause in causes], dtype=np.uint8)
    lasting = np.array([cause != _UNREACHABLE for cause in causes], dtype=bool)
    return np.hstack([codes[:, None], pictures.reshape(len(paths), -1)]), lasting


def decode_pictures(paths: Sequence[str], size: int, max_pixels: int) -> tuple[NDArray[np.uint8], list[str | None]]:
    """Decode the first frame of each file, upright, on white where it is transparent, and bring it to one size.

    All of a picture is kept: one that is no square is squeezed, for nothing tells on which side its content is. A
    picture of the wanted size keeps its pixels. Never raises for a file: what is wrong with it is its cause.

    Args:
        paths: k image files.
        size: pixels a side.
        max_pixels: larger pictures are taken for decompression bombs.

    Returns:
        (k, 3, size, size) uint8 RGB, zeros for a file with a cause; and k codes of `opening.CAUSES`, or None.
    """
    pictures = np.zeros((len(paths), 3, size, size), dtype=np.uint8)
    causes = decode_each(paths, pictures, lambda path: _picture(path, size, max_pixels).transpose(2, 0, 1))
    return pictures, causes


def _picture(path: str, size: int, max_pixels: int) -> NDArray[np.uint8]:
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image)
        if image.format in ("JPEG", "MPO"):
            # Decoded in reduced size, which for photographs is most of the work.
            image.draft(image.mode, (_FINER * size, _FINER * size))
        image.load()
        picture = opaque(image, "RGB")
        factor = min(picture.size) // (_FINER * size)
        if factor > 1:
            picture = picture.reduce(factor)
        picture = upright(picture, orientation)
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.BICUBIC)
        return np.asarray(picture)
