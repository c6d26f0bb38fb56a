"""Decoding: every mode comes out upright, opaque and comparable, and nothing a file holds can stop the run."""

import io
import warnings
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.opening import CAUSES
from datadiet_cli.encode.pictures import Sketch, detail_files, pixel_digests, sketch_files
from datadiet_cli.encode.spool import Spool
from datadiet_cli.methods.hashes import HASHES

PHOTOGRAPHS = sorted((Path(__file__).parents[2] / "sample_data" / "images" / "test").glob("*/*.jpg"))
GRAY = Sketch((32, 32))
HASH_FUNCTIONS = {
    "phash": imagehash.phash, "dhash": imagehash.dhash, "ahash": imagehash.average_hash,
    "whash": imagehash.whash, "colorhash": imagehash.colorhash,
}  # fmt: skip


def photograph():
    return Image.open(PHOTOGRAPHS[0]).convert("RGB")


def sketched(path, sketch=GRAY):
    with quiet_libraries():
        return sketch_files([str(path)], sketch)


@pytest.mark.parametrize("method", HASHES)
def test_full_decoding_gives_the_bits_of_imagehash(method):
    sketch = Sketch(None, full_hash=method)
    found = sketch_files([str(path) for path in PHOTOGRAPHS], sketch).full_hash
    for value, path in zip(found.tolist(), PHOTOGRAPHS, strict=True):
        bits = HASH_FUNCTIONS[method](Image.open(path)).hash.ravel()
        assert value == int("".join("01"[int(bit)] for bit in bits), 2)


@pytest.mark.parametrize("method", [name for name in HASHES if name != "colorhash"])
def test_fast_decoding_stays_close_to_full_decoding(method):
    paths = [str(path) for path in PHOTOGRAPHS]
    fast = HASHES[method].function(sketch_files(paths, Sketch(HASHES[method].size)).thumbnail)
    full = sketch_files(paths, Sketch(None, full_hash=method)).full_hash
    assert np.bitwise_count(fast ^ full).max() <= 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("palette.png", lambda p: p.quantize(256)),
        ("palette.gif", lambda p: p.quantize(256)),
        ("cmyk.jpg", lambda p: p.convert("CMYK")),
        ("gray.png", lambda p: p.convert("L")),
        ("gray-alpha.png", lambda p: p.convert("LA")),
        ("alpha.png", lambda p: p.convert("RGBA")),
        ("deep.png", lambda p: Image.fromarray(np.asarray(p.convert("L")).astype(np.uint16) * 257)),
        ("float.tif", lambda p: Image.fromarray(np.asarray(p.convert("L")).astype(np.float32) / 255)),
        ("lab.tif", lambda p: Image.fromarray(np.asarray(p.convert("YCbCr")), "YCbCr").convert("RGB")),
        ("small.webp", lambda p: p),
        ("upper.JPG", lambda p: p),
    ],
)
def test_every_mode_and_format_shows_the_same_picture(tmp_path, name, change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        change(photograph()).save(tmp_path / name)
    photograph().save(tmp_path / "plain.png")
    one, plain = sketched(tmp_path / name), sketched(tmp_path / "plain.png")
    assert one.cause[0] is None
    difference = one.small[0].astype(int) - plain.small[0].astype(int)
    assert np.abs(difference).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = photograph().resize((320, 200))
    wide.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    ImageOps.exif_transpose(Image.open(tmp_path / "turned.jpg")).save(tmp_path / "upright.png")
    turned, upright = sketched(tmp_path / "turned.jpg"), sketched(tmp_path / "upright.png")
    assert np.abs(turned.small.astype(int) - upright.small.astype(int)).mean() < 3
    assert turned.sides[0].tolist() == upright.sides[0].tolist(), "the true sides, before any scaling"
    assert turned.sides[0].prod() == 320 * 200


def test_orientation_is_ignored_on_request(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph().resize((320, 200)).save(tmp_path / "tagged.jpg", exif=exif, quality=95)
    photograph().resize((320, 200)).save(tmp_path / "plain.jpg", quality=95)
    stored = Sketch((32, 32), upright=False)
    tagged, plain = sketched(tmp_path / "tagged.jpg", stored), sketched(tmp_path / "plain.jpg", stored)
    assert (tagged.small == plain.small).all()
    assert tagged.sides[0].tolist() == [320, 200]


@pytest.mark.parametrize("side", [64, 256])
def test_mirrored_files_give_mirrored_pictures(tmp_path, side):
    """Whatever the resampling does, it does alike on both sides; copies would differ from their witness otherwise."""
    wide = photograph().resize((333, 217))
    wide.save(tmp_path / "a.png")
    ImageOps.mirror(wide).save(tmp_path / "b.png")
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    one, other = sketch_files(paths, GRAY).small if side == 64 else detail_files(paths, side, 10**9, True)
    assert np.abs(one.astype(int) - other[:, ::-1]).max() <= 1


def test_details_of_what_cannot_be_read_are_blank(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    photograph().save(tmp_path / "b.jpg")
    details = detail_files([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg"), str(tmp_path / "c")], 128, 10**9, True)
    assert details.shape == (3, 128, 128)
    assert details.any(axis=(1, 2)).tolist() == [False, True, False]


def test_drawings_on_transparent_ground_differ(tmp_path):
    for name, box in {"a.png": (5, 5, 30, 60), "b.png": (30, 20, 60, 40)}.items():
        drawing = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        drawing.paste((0, 0, 0, 255), box)
        drawing.save(tmp_path / name)
    assert (sketched(tmp_path / "a.png").small != sketched(tmp_path / "b.png").small).any()


def test_pixel_digests_see_the_picture_not_the_file(tmp_path):
    photograph().save(tmp_path / "a.png")
    photograph().save(tmp_path / "b.bmp")
    photograph().save(tmp_path / "c.tif", compression="tiff_lzw")
    changed = np.array(photograph())
    changed[0, 0, 0] ^= 1
    Image.fromarray(changed).save(tmp_path / "d.png")
    photograph().convert("RGBA").save(tmp_path / "e.png")
    clear = photograph().convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    clear.save(tmp_path / "f.png")
    names = ["a.png", "b.bmp", "c.tif", "d.png", "e.png", "f.png", "none.png"]
    digest, causes = pixel_digests([str(tmp_path / name) for name in names], Sketch(None))
    assert [(row == digest[0]).all() for row in digest] == [True, True, True, False, True, False, False]
    assert causes.tolist() == [None] * 6 + ["unreachable"]


def test_pixels_that_do_not_show_have_no_colour(tmp_path):
    for name, hidden in {"a.png": (9, 9, 9, 0), "b.png": (200, 0, 0, 0)}.items():
        picture = photograph().convert("RGBA")
        picture.paste(hidden, (0, 0, 20, 20))
        picture.save(tmp_path / name)
    digest, _ = pixel_digests([str(tmp_path / "a.png"), str(tmp_path / "b.png")], Sketch(None))
    assert (digest[0] == digest[1]).all()


def bomb():
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg():
    buffer = io.BytesIO()
    photograph().save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("cause", "make"),
    [
        ("empty", lambda: b""),
        ("not-an-image", lambda: b"<html>not here</html>"),
        ("not-an-image", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("truncated", lambda: jpeg()[: len(jpeg()) // 2]),
        ("bomb", bomb),
    ],
)
def test_causes(tmp_path, cause, make):
    (tmp_path / "x.jpg").write_bytes(make())
    assert sketched(tmp_path / "x.jpg").cause[0] == cause


def test_a_file_that_is_not_there_is_unreachable(tmp_path):
    assert sketched(tmp_path / "gone.png").cause[0] == "unreachable"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_never_raise(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged"
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]))
    buffer = io.BytesIO()
    photograph().resize((40, 30)).save(buffer, form)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    found = sketched(path)
    assert found.cause[0] is None or found.cause[0] in CAUSES
    assert (found.sides[0] > 0).all() == (found.cause[0] is None)
    _, causes = pixel_digests([str(path)], GRAY)
    assert causes[0] is None or causes[0] in CAUSES


def test_noise_of_the_decoders_stays_off_stderr(tmp_path, capfd):
    photograph().convert("1").save(tmp_path / "a.tif", compression="group4")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[200:1200] = b"\x55" * 1000
    (tmp_path / "a.tif").write_bytes(bytes(content))
    sketched(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


def test_a_spool_gives_back_rows_in_any_order():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (50, 3, 5), dtype=np.uint8)
    positions = np.sort(rng.permutation(80)[:50])
    with Spool((3, 5)) as spool:
        for part in (slice(20, 50), slice(0, 20)):
            spool.put(positions[part], rows[part])
        order = rng.permutation(50)
        assert (spool.take(positions[order]) == rows[order]).all()
        assert spool.take(positions[:0]).shape == (0, 3, 5)
