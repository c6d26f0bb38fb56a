"""Hashes of views against pictures that were really cropped or tilted, and the symmetries they keep."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from datadiet_cli.methods.hashes import phash
from datadiet_cli.methods.turns import TURNS, inverse, matrix, turned
from datadiet_cli.methods.views import CORNER, CROPS, MAPS, TILTS, WHOLE, same_corner, view_hashes

PHOTOS = sorted(
    p for p in (Path(skimage.__file__).parent / "data").glob("*.png") if p.name[:5] not in ("brick", "chess")
)[:11]


@pytest.fixture(scope="module")
def photos():
    return [Image.open(path).convert("L").resize((256, 256), Image.Resampling.BICUBIC) for path in PHOTOS]


def small(images, size=64):
    return np.stack([np.asarray(image.resize((size, size), Image.Resampling.HAMMING)) for image in images])


def apart(one, other):
    return np.bitwise_count(one ^ other)


def test_there_is_a_hash_for_each_view_and_orientation():
    found = view_hashes(np.zeros((0, 64, 64), dtype=np.uint8))
    assert found.shape == (0, len(MAPS), TURNS)
    assert len(MAPS) == len(CROPS) + len(TILTS) + 4


def test_a_crop_has_the_hash_of_its_view(photos):
    views = view_hashes(small(photos))
    for number, share in enumerate(CROPS):
        margin = 256 * (1 - share) / 2
        box = (margin, margin, 256 - margin, 256 - margin)
        cropped = [p.resize((256, 256), Image.Resampling.BICUBIC, box) for p in photos]
        near = apart(phash(small(cropped, 32)), views[:, number, 0])
        assert near.max() <= 8
        assert np.median(near) <= 2


def test_a_tilted_picture_has_the_hash_of_its_view(photos):
    views = view_hashes(small(photos))
    for number, degrees in enumerate(TILTS):
        tilted = [p.rotate(degrees, Image.Resampling.BICUBIC) for p in photos]
        near = apart(phash(small(tilted, 32)), views[:, len(CROPS) + number, 0])
        assert near.max() <= 8
        assert np.median(near) <= 2


def test_a_corner_does_not_see_the_opposite_one(photos):
    marked = []
    for photo in photos:
        copy = photo.copy()
        copy.paste(255, (int(256 * CORNER) + 6, int(256 * CORNER) + 6, 256, 256))
        marked.append(copy)
    assert (view_hashes(small(photos))[:, WHOLE, 0] == view_hashes(small(marked))[:, WHOLE, 0]).all()


@pytest.mark.parametrize("turn", range(TURNS))
def test_views_of_a_turned_picture(photos, turn):
    """A turned crop is the crop of the turned picture; a corner becomes another one; nothing is rounded on the way."""
    pictures = small(photos)
    views = view_hashes(pictures)
    again = view_hashes(np.ascontiguousarray(turned(pictures, turn)))
    for number in range(len(CROPS)):
        assert (views[:, number, turn] == again[:, number, 0]).all()
    assert (views[:, WHOLE + same_corner()[turn], turn] == again[:, WHOLE:, 0]).all()


def test_hashes_do_not_depend_on_neighbours(photos):
    pictures = small(photos)
    together = view_hashes(pictures)
    assert (view_hashes(pictures[::-1])[::-1] == together).all()
    assert (view_hashes(pictures[3:4])[0] == together[3]).all()


@pytest.mark.parametrize("turn", range(TURNS))
def test_turns_are_the_symmetries_of_a_square(turn):
    picture = np.arange(2 * 36).reshape(2, 6, 6)
    result = turned(picture, turn)
    assert (turned(result, inverse(turn)) == picture).all()
    line = (2 * np.arange(6) + 1) / 6 - 1
    x, y = matrix(turn) @ np.stack([np.tile(line, 6), np.repeat(line, 6)])
    column, row = np.rint(((x + 1) * 6 - 1) / 2).astype(int), np.rint(((y + 1) * 6 - 1) / 2).astype(int)
    assert (picture[:, row, column].reshape(2, 6, 6) == result).all()
