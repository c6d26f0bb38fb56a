"""Kernels that turn pictures and sounds into the tensors of a model."""

import wave

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.inputs import pictures, reading, sounds
from datadiet_cli.engine import Engine
from datadiet_cli.errors import DatadietError
from tests.conftest import picture

PIXELS = 10**7


def shown(path, size=16):
    made, causes = pictures.decode_pictures([str(path)], size, PIXELS)
    assert causes == [None]
    assert made.shape == (1, 3, size, size)
    assert made.dtype == np.uint8
    return made[0].transpose(1, 2, 0)


# Pictures


def test_a_picture_of_the_wanted_size_keeps_its_pixels(tmp_path):
    picture(1, 16).save(tmp_path / "a.png")
    np.testing.assert_array_equal(shown(tmp_path / "a.png"), np.asarray(picture(1, 16)))
    picture(1, 16).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        np.testing.assert_array_equal(shown(tmp_path / "a.jpg"), np.asarray(image))


def test_modes_of_pictures(tmp_path):
    gray = np.asarray(picture(2, 16).convert("L"))
    saved = {
        "L": Image.fromarray(gray),
        "I;16": Image.fromarray(gray.astype(np.uint16) * 257),
        "F": Image.fromarray(gray.astype(np.float32)),
        "LA": Image.merge("LA", [Image.fromarray(gray), Image.new("L", (16, 16), 255)]),
        "P": Image.fromarray(gray).convert("P"),
    }
    for mode, image in saved.items():
        path = tmp_path / f"{mode.replace(';', '')}.{'tif' if mode == 'F' else 'png'}"
        image.save(path)
        np.testing.assert_allclose(shown(path).astype(int), np.stack([gray] * 3, axis=2), atol=1, err_msg=mode)
    bits = Image.fromarray((gray > 128).astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE)
    bits.save(tmp_path / "bits.png")
    np.testing.assert_array_equal(shown(tmp_path / "bits.png")[:, :, 0], (gray > 128) * 255)
    picture(2, 16).convert("CMYK").save(tmp_path / "cmyk.tif")
    np.testing.assert_array_equal(shown(tmp_path / "cmyk.tif"), np.asarray(picture(2, 16)))


def test_what_is_transparent_is_white(tmp_path):
    layer = picture(3, 16).convert("RGBA")
    layer.putalpha(Image.fromarray((np.arange(256).reshape(16, 16) < 128).astype(np.uint8) * 255))
    layer.save(tmp_path / "a.png")
    made = shown(tmp_path / "a.png")
    assert (made[8:] == 255).all()
    np.testing.assert_array_equal(made[:8], np.asarray(picture(3, 16))[:8])


def test_pictures_are_upright_and_whole(tmp_path):
    side = Image.new("RGB", (64, 32), "black")
    side.paste("red", (48, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    side.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    made = shown(tmp_path / "a.jpg", 8)
    # The right quarter is at the bottom, squeezed to a square like the rest.
    assert made[7, :, 0].min() > 200
    assert made[:5, :, 0].max() < 40


@pytest.mark.parametrize("size", [8, 33])
def test_reduced_decoding_shows_what_full_decoding_does(tmp_path, size):
    picture(4, 512).resize((500, 400)).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        full = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(shown(tmp_path / "a.jpg", size) - full).mean() < 5


def test_pictures_that_cannot_be_read(tmp_path):
    picture(1, 64).save(tmp_path / "good.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:400])
    Image.new("L", (4000, 3000)).save(tmp_path / "bomb.png")
    names = ["empty", "text", "cut", "bomb", "gone", "good"]
    made, causes = pictures.decode_pictures([str(tmp_path / f"{name}.png") for name in names], 8, PIXELS)
    assert causes == ["empty", "not-an-image", "truncated", "bomb", "unreachable", None]
    assert not made[:5].any()
    assert made[5].any()


def test_remembered_pictures_are_the_same(tmp_path):
    paths = []
    for i in range(5):
        paths.append(str(tmp_path / f"{i}.png"))
        picture(i % 3, 20).save(paths[-1])
    (tmp_path / "0.png").write_bytes(b"no picture")
    asked = [None, *paths, str(tmp_path / "gone.png"), paths[1]]
    with Engine("threads", 2) as engine:
        plain, causes = pictures.read_pictures(asked, 16, PIXELS, cache=NoCache(), engine=engine)
        for _ in range(2):
            with Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
                made, why = pictures.read_pictures(asked, 16, PIXELS, cache=cache, engine=engine)
            np.testing.assert_array_equal(made, plain)
            assert why.tolist() == causes.tolist() == [None, "not-an-image", *[None] * 4, "unreachable", None]
    assert not plain[0].any()
    np.testing.assert_array_equal(plain[7], plain[2])


def test_a_large_array_lies_in_a_file(tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i, path in enumerate(paths):
        picture(i, 16).save(path)
    rooms = []

    def room():
        rooms.append(tmp_path / "room")
        rooms[0].mkdir(exist_ok=True)
        return str(rooms[0])

    with Engine("serial") as engine:
        small, _ = pictures.read_pictures(paths, 16, PIXELS, cache=NoCache(), engine=engine, room=room)
        assert not rooms
        monkeypatch.setattr(reading, "IN_MEMORY", 1000)
        large, _ = pictures.read_pictures(paths, 16, PIXELS, cache=NoCache(), engine=engine, room=room)
    assert isinstance(large, np.memmap)
    np.testing.assert_array_equal(large, small)
    assert not list(rooms[0].iterdir())
    with pytest.raises(DatadietError, match=r"no room for .* GiB"):
        reading.zeros((1 << 50,), np.uint8, room)


# Sounds


def wav(path, samples, rate=8000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return str(path)


def test_sounds_at_the_rate_keep_their_samples(tmp_path):
    pytest.importorskip("soundfile")
    whole = np.random.default_rng(0).integers(-32768, 32768, 3000).astype("<i2")
    path = wav(tmp_path / "a.wav", whole)
    made, causes = sounds.decode_sounds([path, path], 4096)
    assert causes == [None, None]
    assert made.dtype == np.int16
    np.testing.assert_array_equal(made[0, :3000], whole)
    assert not made[0, 3000:].any()
    np.testing.assert_array_equal(sounds.decode_sounds([path], 2048)[0][0], whole[:2048])


def test_sounds_are_mixed_and_brought_to_one_rate(tmp_path):
    pytest.importorskip("soundfile")
    time = np.arange(44_100) / 44_100
    left = np.sin(2 * np.pi * 440 * time) * 16_000
    path = wav(tmp_path / "a.wav", np.stack([left, 0 * left], axis=1).astype("<i2"), 44_100, 2)
    (made,), causes = sounds.decode_sounds([path], 4000)
    assert causes == [None]
    expected = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000) * 8_000
    np.testing.assert_allclose(made[200:], expected[200:], atol=20)


def test_sounds_that_cannot_be_read(tmp_path):
    pytest.importorskip("soundfile")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_bytes(b"no sound")
    paths = [str(tmp_path / name) for name in ("empty.wav", "text.wav", "gone.wav")]
    made, causes = sounds.decode_sounds(paths, 2048)
    assert causes == ["empty", "not-audio", "unreachable"]
    assert not made.any()


def test_the_length_of_sounds(tmp_path):
    pytest.importorskip("soundfile")
    paths = [wav(tmp_path / f"{i}.wav", np.zeros(800 * i, "<i2")) for i in range(1, 21)]
    with Engine("serial") as engine:
        assert sounds.length_for(paths, engine) == -(-round(np.quantile(np.arange(1, 21), 0.95) * 800) // 256) * 256
        assert sounds.length_for(paths[:1], engine) == sounds.SHORTEST
        long = wav(tmp_path / "long.wav", np.zeros(8000 * 30, "<i2"))
        assert sounds.length_for([long], engine) == 80_128
        assert sounds.length_for([None, str(tmp_path / "gone.wav")], engine) == 8192
