from pathlib import Path

import imagehash
import numpy as np
import pytest
import skimage
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from datadiet_cli.methods import hashes as kernels
from datadiet_cli.methods.hashes import HASHES, colorhash, flatness, phash, sharpness, to_hex, turned_hashes, whash
from datadiet_cli.methods.turns import TURNS, turned

PHOTOS = [
    *(Path(skimage.__file__).parent / "data").glob("*.jpg"),
    *(Path(skimage.__file__).parent / "data").glob("*.png"),
    *(Path(sklearn.__file__).parent / "datasets" / "images").glob("*.jpg"),
]

REFERENCES = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "ahash": imagehash.average_hash,
    "whash": lambda image: imagehash.whash(image, image_scale=64),
    "colorhash": imagehash.colorhash,
}


@pytest.fixture(scope="module")
def pictures():
    """The photographs inside the wheels, whole and in crops of several sizes."""
    rng = np.random.default_rng(0)
    found = []
    for path in sorted(PHOTOS):
        with Image.open(path) as image:
            image = image.convert("RGB")
        found.append(image)
        for share in (0.9, 0.6, 0.35):
            width, height = round(image.width * share), round(image.height * share)
            x, y = rng.integers(0, image.width - width), rng.integers(0, image.height - height)
            found.append(image.crop((x, y, x + width, y + height)))
    assert len(found) >= 80
    return found


def thumbnails(pictures, size, mode):
    """As ImageHash makes them."""
    return np.stack([np.asarray(p.convert(mode).resize(size, Image.Resampling.LANCZOS)) for p in pictures])


def stacks(height, width, *channels):
    shape = st.integers(0, 5).map(lambda n: (n, height, width, *channels))
    noise = hnp.arrays(np.uint8, shape, fill=st.integers(0, 255))
    seeded = st.integers(0, 2**32).map(
        lambda seed: np.random.default_rng(seed).integers(0, 256, (4, height, width, *channels), dtype=np.uint8)
    )
    return noise | seeded


class TestHashes:
    @pytest.mark.parametrize("name", ["phash", "dhash", "ahash", "colorhash"])
    def test_photographs_have_the_bits_of_imagehash(self, pictures, name):
        kind = HASHES[name]
        small = thumbnails(pictures, kind.size, kind.mode)
        # Thumbnails of the right size are not resized again; only colorhash takes pictures of any size.
        expected = [str(REFERENCES[name](Image.fromarray(picture))) for picture in small]
        assert to_hex(kind.function(small), kind.bits) == expected
        if name != "colorhash":
            assert expected == [str(REFERENCES[name](picture)) for picture in pictures]
        assert len(set(expected)) > len(pictures) / 3

    def test_whash_differs_from_imagehash_only_where_that_rounds(self, pictures):
        small = thumbnails(pictures, (64, 64), "L")
        mine = np.array([[int(b) for b in f"{int(h):064b}"] for h in whash(small)])
        theirs = np.array([imagehash.whash(p, image_scale=64).hash.ravel() for p in pictures])
        sums = small.reshape(-1, 8, 8, 8, 8).sum(axis=(2, 4)).reshape(-1, 64)
        tie = sums == np.median(sums, axis=1, keepdims=True)
        assert np.array_equal(mine[~tie], theirs[~tie])
        assert not mine[tie].any()
        assert (mine == theirs).all(axis=1).mean() > 0.9

    @pytest.mark.parametrize("name", HASHES)
    def test_a_hash_does_not_depend_on_its_neighbours(self, pictures, name):
        kind = HASHES[name]
        small = thumbnails(pictures[:20], kind.size, kind.mode)
        together = kind.function(small)
        assert together.dtype == np.uint64
        assert together.shape == (20,)
        assert np.concatenate([kind.function(small[k : k + 1]) for k in range(20)]).tolist() == together.tolist()
        assert kind.function(small[::-1])[::-1].tolist() == together.tolist()
        assert kind.function(small[:0]).shape == (0,)

    @pytest.mark.parametrize("name", HASHES)
    @given(data=st.data())
    def test_hashes_keep_to_their_bits(self, name, data):
        kind = HASHES[name]
        width, height = kind.size
        stack = data.draw(stacks(height, width, *([3] if kind.mode == "RGB" else [])))
        found = kind.function(stack)
        assert found.shape == (len(stack),)
        assert all(int(h) < 2**kind.bits for h in found)

    @given(stacks(8, 8))
    def test_ahash_on_any_pixels(self, gray):
        expected = [str(imagehash.average_hash(Image.fromarray(p))) for p in gray]
        assert to_hex(HASHES["ahash"].function(gray), 64) == expected

    @given(stacks(8, 9))
    def test_dhash_on_any_pixels(self, gray):
        expected = [str(imagehash.dhash(Image.fromarray(p))) for p in gray]
        assert to_hex(HASHES["dhash"].function(gray), 64) == expected

    @given(stacks(64, 64, 3))
    def test_colorhash_on_any_pixels(self, rgb):
        expected = [str(imagehash.colorhash(Image.fromarray(p))) for p in rgb]
        assert to_hex(colorhash(rgb), 42) == expected

    @pytest.mark.parametrize("level", [0, 1, 31, 32, 128, 255])
    def test_flat_pictures(self, level):
        flat = np.full((1, 32, 32), level, dtype=np.uint8)
        assert phash(flat)[0] == (1 << 63 if level else 0)
        assert whash(np.full((1, 64, 64), level, dtype=np.uint8))[0] == 0

    def test_phash_of_a_mirrored_picture_has_no_odd_frequencies(self):
        half = np.random.default_rng(1).integers(0, 256, (5, 32, 16), dtype=np.uint8)
        found = phash(np.concatenate([half, half[:, :, ::-1]], axis=2))
        odd = sum(1 << (63 - bit) for bit in range(64) if bit % 2)
        # They are exactly 0, so all on the same side of the median.
        assert all(int(h) & odd in (0, odd) for h in found)

    def test_every_colour_has_pillows_bin(self):
        """All reds, and every third green and blue: lightness, hue and saturation as Pillow rounds them."""
        rgb = np.stack(np.meshgrid(np.arange(256), np.arange(0, 256, 3), np.arange(0, 256, 3)), axis=-1)
        rgb = rgb.reshape(256, -1, 3).astype(np.uint8)
        image = Image.fromarray(rgb)
        hue, saturation, _ = (np.asarray(band).astype(int) for band in image.convert("HSV").split())
        lightness = np.asarray(image.convert("L"))
        six = np.digitize(hue, np.linspace(0, 255, 7)[1:-1])
        color = np.where(saturation < 170, 2 + six, np.where(saturation > 170, 8 + six, 14))
        expected = np.where(lightness < 32, 0, np.where(saturation < 85, 1, color))
        assert np.array_equal(kernels._color_bins(rgb), expected)


class TestToHex:
    @given(st.integers(1, 64), st.lists(st.integers(0, 2**64 - 1), max_size=6))
    def test_same_digits_as_imagehash(self, bits, values):
        values = [value % 2**bits for value in values]
        expected = [str(imagehash.ImageHash(np.array([[int(b) for b in f"{v:0{bits}b}"]]) == 1)) for v in values]
        assert to_hex(np.array(values, dtype=np.uint64), bits) == expected


class TestFlatnessAndSharpness:
    @given(stacks(7, 9))
    def test_flatness_is_the_standard_deviation(self, gray):
        assert flatness(gray) == pytest.approx(gray.std(axis=(1, 2)), abs=1e-9)

    def test_flatness_of_a_flat_picture_is_zero_exactly(self):
        gray = np.full((3, 64, 64), [[[1]], [[77]], [[255]]], dtype=np.uint8)
        assert flatness(gray).tolist() == [0, 0, 0]
        assert sharpness(gray).tolist() == [0, 0, 0]

    @given(stacks(7, 9))
    def test_sharpness_is_the_laplacians_share_of_the_variance(self, gray):
        cross = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        for found, picture in zip(sharpness(gray), gray.astype(float), strict=True):
            laplacian = ndimage.convolve(picture, cross)[1:-1, 1:-1]
            assert found == (pytest.approx(laplacian.var() / picture.var()) if picture.std() else 0)

    def test_blur_lowers_sharpness_and_darkness_does_not(self, pictures):
        sharp = thumbnails(pictures, (64, 64), "L")
        blurred = np.stack([ndimage.gaussian_filter(p, 1.5) for p in sharp])
        dark = (sharp // 4).astype(np.uint8)
        assert (sharpness(blurred) < sharpness(sharp)).all()
        textured = flatness(sharp) > 20
        assert sharpness(dark)[textured] == pytest.approx(sharpness(sharp)[textured], rel=0.1, abs=0.1)


class TestTurnedHashes:
    """The hashes of turned pictures are those of the pictures, turned."""

    @pytest.mark.parametrize("name", [name for name in HASHES if name != "colorhash"])
    def test_equal_the_hashes_of_turned_thumbnails(self, pictures, name):
        kind = HASHES[name]
        standing = thumbnails(pictures, kind.size, kind.mode)
        lying = thumbnails(pictures, kind.size[::-1], kind.mode)
        found = turned_hashes(name, standing, lying)
        assert found.shape == (len(pictures), TURNS)
        for turn in range(TURNS):
            upright = turned(lying if turn & 4 else standing, turn)
            assert upright.shape == standing.shape
            assert (kind.function(np.ascontiguousarray(upright)) == found[:, turn]).all()

    @given(stacks(32, 32))
    def test_are_exact_for_phash_on_any_pixels(self, gray):
        found = turned_hashes("phash", gray, gray)
        for turn in range(TURNS):
            assert phash(turned(gray, turn)).tolist() == found[:, turn].tolist()

    def test_colours_have_no_orientation(self, pictures):
        small = thumbnails(pictures[:5], (64, 64), "RGB")
        assert (turned_hashes("colorhash", small, small) == colorhash(small)[:, None]).all()


def test_figures_do_not_depend_on_neighbours(pictures):
    gray = thumbnails(pictures[:9], (64, 64), "L")
    for k in range(9):
        assert flatness(gray)[k] == flatness(gray[k : k + 1])[0]
        assert sharpness(gray)[k] == sharpness(gray[k : k + 1])[0]
