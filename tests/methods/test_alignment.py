"""Alignment against known warps, and agreement against what it must see and what it must not."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from scipy import ndimage

from datadiet_cli.methods.agreement import BLOCK, agreement, plain, residual
from datadiet_cli.methods.alignment import align, band, halved, resampled, sound, template

PHOTOS = [p for p in sorted((Path(skimage.__file__).parent / "data").glob("*.png")) if "chess" not in p.name]
SIDE = 64
SAME = np.eye(2, 3)[None]


@pytest.fixture(scope="module")
def photos():
    images = [Image.open(path).convert("L").resize((4 * SIDE, 4 * SIDE)) for path in PHOTOS]
    pictures = np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.HAMMING)) for image in images])
    return pictures[~plain(residual(pictures))]


def warped(picture, place):
    """By scipy: where a point of the result lies in the picture is said by `place`."""
    swap = place[0][::-1, [1, 0, 2]]
    middle = (SIDE - 1) / 2
    offset = middle + swap[:, 2] * SIDE / 2 - swap[:, :2] @ [middle, middle]
    return ndimage.affine_transform(picture.astype(float), swap[:, :2], offset, order=1, mode="nearest")


def moved(scale=1.0, degrees=0.0, x=0.0, y=0.0):
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([[[scale * cosine, -scale * sine, x], [scale * sine, scale * cosine, y]]])


@pytest.mark.parametrize("place", [moved(), moved(0.9), moved(1, 7), moved(1.1, -3, 0.05, -0.1), moved(x=0.5)])
def test_resampling_equals_scipy(photos, place):
    for picture in photos[:4]:
        mine, inside = resampled(picture[None].astype(np.float32), place)
        kept = inside[0] > 0
        assert kept.mean() > 0.7
        assert mine[0][kept] == pytest.approx(warped(picture, place)[kept], abs=0.05)


@pytest.mark.parametrize("place", [moved(0.95), moved(1, 3), moved(1, -3), moved(0.97, 1, 0.02, -0.03), moved(1.05)])
def test_alignment_finds_the_warp(photos, place):
    target = np.stack([warped(picture, place) for picture in photos])
    maps = np.repeat(SAME, len(photos), axis=0)
    for one, other in ((halved(target), halved(photos)), (target, photos)):
        maps = align(template(band(one)), band(other), maps, 6)
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]]).T * np.array([[0.8], [0.8], [1]])
    error = np.abs(maps @ corners - place @ corners).max(axis=(1, 2)) * SIDE / 2
    assert np.median(error) < 0.3, "in pixels"
    shown, inside = resampled(photos.astype(np.float32), maps)
    assert sound(maps, inside).all()
    found = agreement(residual(shown), residual(target), inside).assured()
    assert (found > 0.8).mean() > 0.9
    before = agreement(residual(photos), residual(target)).assured()
    assert np.median(found) > np.median(before) + 0.1


def test_a_pair_is_aligned_alike_beside_any_others(photos):
    target = np.stack([warped(picture, moved(0.96)) for picture in photos])
    start = np.repeat(SAME, len(photos), axis=0)
    together = align(template(band(target)), band(photos), start, 4)
    for k in (0, len(photos) - 1):
        alone = align(template(band(target[k : k + 1])), band(photos[k : k + 1]), SAME, 4)
        assert alone[0] == pytest.approx(together[k], abs=1e-5)


def test_maps_that_have_gone_astray():
    inside = np.ones((6, SIDE, SIDE), dtype=np.float32)
    inside[5, 10:] = 0
    stretched = SAME * [[[1], [1.5]]]
    maps = np.concatenate([moved(), moved(2.5), moved(0.3), moved(1, 30), stretched, moved()])
    assert sound(maps, inside).tolist() == [True, False, False, False, False, False]


class TestResidual:
    @given(hnp.arrays(np.uint8, (2, 16, 16)))
    def test_has_no_means_of_rows_and_columns(self, pictures):
        blocks = residual(pictures).reshape(2, 2, BLOCK, 2, BLOCK)
        assert np.abs(blocks.sum(axis=4)).max() < 1e-3
        assert np.abs(blocks.sum(axis=2)).max() < 1e-3

    @given(hnp.arrays(np.uint8, (1, 16, 16), elements=st.integers(0, 100)), st.integers(0, 100))
    def test_does_not_see_brightness_or_slopes(self, pictures, more):
        slope = np.arange(16)[:, None] + 2 * np.arange(16)
        assert residual(pictures + slope + more) == pytest.approx(residual(pictures), abs=1e-4)


class TestAgreement:
    def test_is_symmetric_and_full_for_equals(self, photos):
        details = residual(photos)
        assert agreement(details, details).assured() == pytest.approx(1, abs=0.01)
        one, other = agreement(details, details[::-1]), agreement(details[::-1], details)
        assert one.assured().tolist() == other.assured().tolist()

    def test_different_photographs_do_not_agree(self, photos):
        details = residual(photos)
        for step in range(1, len(photos)):
            found = agreement(details, np.roll(details, step, axis=0)).assured()
            assert found.max() < 0.45

    def test_contrast_and_brightness_do_no_harm(self, photos):
        weaker = np.rint(photos * 0.6 + 40).astype(np.uint8)
        assert agreement(residual(photos), residual(weaker)).assured().min() > 0.9

    def test_a_mark_over_a_part_does_no_harm(self, photos):
        marked = photos.copy()
        marked[:, 40:56, 30:60] = 255
        found = agreement(residual(photos), residual(marked)).assured()
        assert np.median(found) > 0.95
        assert found.min() > 0.7

    def test_the_same_mark_makes_no_copies(self, photos):
        marked = photos.copy()
        marked[:, 48:60, 8:40] = 255
        details = residual(marked)
        found = [agreement(details, np.roll(details, step, axis=0)).assured().max() for step in range(1, len(photos))]
        assert max(found) < 0.75

    def test_pages_of_text_with_one_layout_do_not_agree(self):
        rng = np.random.default_rng(0)

        def page():
            image = Image.new("L", (1024, 1024), "white")
            draw = ImageDraw.Draw(image)
            for line in range(32):
                words = ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 9))) for _ in range(22)]
                draw.text((60, 30 + 30 * line), " ".join(words), fill="black")
            return np.asarray(image.resize((256, 256), Image.Resampling.HAMMING))

        details = residual(np.stack([page() for _ in range(6)]))
        for step in range(1, 6):
            assert agreement(details, np.roll(details, step, axis=0)).assured().max() < 0.4

    def test_few_cells_must_agree_better(self):
        rng = np.random.default_rng(1)
        noise = rng.normal(0, 30, (2, SIDE, SIDE))
        many = noise[0] + 0.5 * noise[1]
        few, as_few = noise[:1].copy(), many[None].copy()
        for picture in (few, as_few):
            picture[:, :, 16:] = 0
        wide = agreement(residual(noise[:1]), residual(many[None])).assured()
        narrow = agreement(residual(few), residual(as_few)).assured()
        assert narrow < wide < 1
        assert agreement(residual(few), residual(as_few)).assured(2.0) < narrow

    @given(hnp.arrays(np.uint8, (1, SIDE, SIDE)), hnp.arrays(np.uint8, (1, SIDE, SIDE)))
    @settings(max_examples=30)
    def test_any_pixels(self, one, other):
        found = agreement(residual(one), residual(other)).assured()
        assert -1 <= found[0] <= 1

    def test_plain_pictures(self, photos):
        sky = np.tile(np.linspace(150, 230, SIDE)[:, None], (1, SIDE))
        sky[17:22, 33:38] = 20
        assert plain(residual(np.stack([sky, np.full((SIDE, SIDE), 9.0)]))).tolist() == [True, True]
        assert not plain(residual(photos)).any()
        details = residual(sky[None])
        assert agreement(details, details).assured()[0] < 0.1, "too little to go by"
