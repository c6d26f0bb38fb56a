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
from datadiet_cli.encode.pictures import Sketch, sketch_files
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
    difference = one.detail[0].astype(int) - plain.detail[0].astype(int)
    assert np.abs(difference).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = photograph().resize((320, 200))
    wide.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    ImageOps.exif_transpose(Image.open(tmp_path / "turned.jpg")).save(tmp_path / "upright.png")
    turned, upright = sketched(tmp_path / "turned.jpg"), sketched(tmp_path / "upright.png")
    assert np.abs(turned.detail.astype(int) - upright.detail.astype(int)).mean() < 3
    assert turned.pixels[0] == 320 * 200, "the true size, before any scaling"


def test_drawings_on_transparent_ground_differ(tmp_path):
    for name, box in {"a.png": (5, 5, 30, 60), "b.png": (30, 20, 60, 40)}.items():
        drawing = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        drawing.paste((0, 0, 0, 255), box)
        drawing.save(tmp_path / name)
    assert (sketched(tmp_path / "a.png").detail != sketched(tmp_path / "b.png").detail).any()


def test_pixel_digests_see_the_picture_not_the_file(tmp_path):
    photograph().save(tmp_path / "a.png")
    photograph().save(tmp_path / "b.bmp")
    photograph().save(tmp_path / "c.tif", compression="tiff_lzw")
    changed = np.array(photograph())
    changed[0, 0, 0] ^= 1
    Image.fromarray(changed).save(tmp_path / "d.png")
    digest = sketch_files(
        [str(tmp_path / n) for n in ("a.png", "b.bmp", "c.tif", "d.png")], Sketch(None, digest=True)
    ).digest
    assert (digest[0] == digest[1]).all()
    assert (digest[0] == digest[2]).all()
    assert (digest[0] != digest[3]).any()


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
    assert (found.pixels[0] > 0) == (found.cause[0] is None)


def test_noise_of_the_decoders_stays_off_stderr(tmp_path, capfd):
    photograph().convert("1").save(tmp_path / "a.tif", compression="group4")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[200:1200] = b"\x55" * 1000
    (tmp_path / "a.tif").write_bytes(bytes(content))
    sketched(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""
