"""Image files -> vectors, by any encoder of pictures."""

from collections.abc import Sequence

import numpy as np
import PIL
import xxhash
from numpy.typing import NDArray
from PIL import Image

from datadiet_cli.encode.cached import Made
from datadiet_cli.encode.opening import CAUSES, decode_each, opaque, open_picture, orientation_of, upright
from datadiet_cli.encode.vectors.making import Choice, as_rows

CODES = tuple(sorted(CAUSES))
AT_ONCE = 32
FLAT = 4.0
"""Standard deviation, in gray levels, below which a picture has no content that an encoder could tell."""


def namespace(max_pixels: int) -> str:
    """What a vector depends on beside the encoder."""
    return f"image/1/pillow-{PIL.__version__}/{max_pixels}"


def encode_images(paths: Sequence[str], choice: Choice, max_pixels: int) -> Made:
    """Decode pictures and encode them. Never raises for a file: what is wrong with it is its cause."""
    encoder = choice.make()
    width, height = encoder.size
    pictures = np.zeros((len(paths), height, width, 3), dtype=np.uint8)
    causes = decode_each(paths, pictures, lambda path: _picture(path, (width, height), max_pixels))
    good = np.array([cause is None for cause in causes], dtype=bool)
    plain = np.zeros(len(paths), dtype=np.uint64)
    flat = good & (pictures.std(axis=(1, 2)).max(axis=1) < FLAT)
    plain[flat] = [xxhash.xxh3_64_intdigest(pictures[i].tobytes()) | 1 for i in np.flatnonzero(flat).tolist()]
    vectors = np.zeros((len(paths), encoder.dimensions))
    content = good & ~flat
    if content.any():
        vectors[content] = encoder(pictures[content])
    return as_rows(vectors, causes, plain, CODES)


def _picture(path: str, size: tuple[int, int], max_pixels: int) -> NDArray[np.uint8]:
    """All of the first frame, upright, in a size."""
    with open_picture(path, max_pixels) as image:
        orientation = orientation_of(image)
        side = 2 * max(size)
        if image.format in ("JPEG", "MPO"):
            image.draft("RGB" if image.mode == "RGB" else image.mode, (side, side))
        image.load()
        picture = opaque(image, "RGB")
        factor = min(picture.size) // side
        if factor > 1:
            picture = picture.reduce(factor)
        return np.asarray(upright(picture, orientation).resize(size, Image.Resampling.BICUBIC))
