"""Kernels that turn files, texts and cells into the tensors of a model."""

import wave

import numpy as np
import polars as pl
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.cells import cells_of
from datadiet_cli.encode.inputs import cells, pictures, reading, sounds, words
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


# Texts


def numbers(texts, length=20, buckets=1000):
    return words.hash_texts(pl.DataFrame({"t": texts}, schema={"t": pl.String}), length, buckets, None)[0]


def test_words_and_pairs_take_turns():
    made = numbers(["Big red dog", "red dog", None, " \n", "BIG  ﬂea"], 8)
    assert made.dtype == np.int32
    assert [np.count_nonzero(row) for row in made] == [5, 3, 0, 0, 3]
    np.testing.assert_array_equal(made[0, 2:5], made[1, :3])
    assert made[4, 0] == made[0, 0]
    assert made[4, 2] == numbers(["flea"])[0, 0]
    assert made[0, 1] != made[0, 3]
    np.testing.assert_array_equal(numbers(["Big red dog"], 3), made[:1, :3])
    digest = xxhash.xxh3_64_intdigest(b"red", seed=20_090_614)
    assert made[1, 0] == digest % 1000 + 1


def test_words_of_other_scripts():
    def first(text):
        return words._WORD.findall(text)

    assert first("don't stop!!! 3.5€") == ["don", "'", "t", "stop", "!!!", "3", ".", "5€"]
    assert first("日本語 text") == ["日", "本", "語", "text"]
    assert first("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


@settings(max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=6), st.integers(1, 12), st.integers(1, 50))
def test_any_text_has_numbers_in_range(texts, length, buckets):
    made = numbers(texts, length, buckets)
    assert made.shape == (len(texts), length)
    assert made.min(initial=0) >= 0
    assert made.max(initial=0) <= buckets
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(made[i], numbers([text], length, buckets)[0])
        ends = np.flatnonzero(made[i] == 0)
        assert not len(ends) or not made[i, ends[0] :].any()


def test_the_length_of_texts(tmp_path):
    frame = pl.DataFrame({"t": [" ".join(["a"] * i) for i in range(1, 101)]})
    with Engine("serial") as engine:
        assert words.length_for(frame, None, engine) == 2 * 99 - 1
        assert words.length_for(pl.DataFrame({"t": ["a b"]}), None, engine) == words.FEWEST
        assert words.length_for(pl.DataFrame({"t": ["a " * 9000]}), None, engine) == 2 * words.MOST_WORDS - 1
        (tmp_path / "a.txt").write_bytes("\ufeffder große Hund".encode("utf-16-le"))
        assert words.length_for([None, str(tmp_path / "a.txt")], None, engine) == words.FEWEST
        made, causes = words.read_texts([None, str(tmp_path / "a.txt"), "gone"], 8, 99, None, engine=engine)
    assert causes.tolist() == [None, None, "unreachable"]
    np.testing.assert_array_equal(made[1:2], numbers(["Der GROSSE hund"], 8, 99))


# Cells


def columns(**values):
    """(typed, texts) as a table gives them."""
    typed = pl.DataFrame(values, strict=False)
    return typed, typed.select(pl.all().cast(pl.String))


def test_numbers_are_read_by_their_form():
    rows = 30
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, rows), eager=True)
    typed, texts = columns(
        real=np.linspace(0, 1, rows) + 0.1,
        dirty=["?", *map(str, np.arange(rows - 1) * 1.5)],
        date=dates,
        moment=dates.cast(pl.Datetime("us")).dt.offset_by("6h"),
        day=[int(date.strftime("%Y%m%d")) for date in dates],
    )
    fitted = cells.number_options(cells_of(typed, texts))
    assert fitted["forms"] == ["real", "real", "date", "time", "day"]
    made = cells.numbers_by(typed, texts, fitted)
    assert made.dtype == np.float32
    assert np.isnan(made[0, 1])
    np.testing.assert_array_equal(made[:, 2], made[:, 4])
    np.testing.assert_allclose(made[:, 3] - made[:, 2], 0.25, atol=1e-2)
    # A few rows of a CSV, in which columns look like something else.
    odd = pl.DataFrame({name: [texts[name][5], "no number", None] for name in texts.columns})
    again = cells.numbers_by(odd, odd, fitted)
    np.testing.assert_allclose(again[0], made[5], rtol=1e-6)
    assert np.isnan(again[1:]).all()


def test_numbers_that_float32_cannot_tell_apart():
    seconds = 1.7e9 + np.arange(50.0) * 7 % 31
    typed, texts = columns(
        stamp=seconds, huge=np.arange(50.0) * 1e290, tiny=np.arange(50.0) * 1e-300, usual=seconds % 5 + 0.5
    )
    fitted = cells.number_options(cells_of(typed, texts))
    made = cells.numbers_by(typed, texts, fitted)
    assert np.isfinite(np.square(made)).all()
    assert fitted["centres"][3] == 0
    assert fitted["scales"][0] == fitted["scales"][3] == 1
    for i, values in enumerate(typed.to_numpy().T):
        np.testing.assert_array_equal(np.argsort(made[:, i], kind="stable"), np.argsort(values, kind="stable"))
        assert len(np.unique(made[:, i])) == len(np.unique(values))
    plain, words_ = columns(x=np.arange(50) * 0.5)
    assert set(cells.number_options(cells_of(plain, words_))) == {"columns", "forms"}
    far, said = columns(
        stamp=[1e300, np.inf, -np.inf], huge=[1e308, 1.0, 1.0], tiny=[1e300, 1.0, 1.0], usual=[1e300, 1.0, 1.0]
    )
    assert np.array_equal(np.isnan(cells.numbers_by(far, said, fitted)[:, 0]), [False, True, True])
    assert np.abs(np.nan_to_num(cells.numbers_by(far, said, fitted))).max() == 2.0**60


def test_values_of_categories():
    typed, texts = columns(
        colour=["red", "blue", None, "red", "blue", ""] * 5,
        flag=[True, False, None, True, False, False] * 5,
        code=[1, 2, None, 1, 2, 2] * 5,
    )
    fitted = cells.category_options(cells_of(typed, texts))
    assert fitted == {"columns": ["colour", "flag", "code"], "values": [["blue", "red"], ["false", "true"], ["1", "2"]]}
    made, some = cells.categories_by(texts, fitted)
    assert made.dtype == np.int64
    assert made[:6].tolist() == [[2, 2, 1], [1, 1, 2], [0, 0, 0], [2, 2, 1], [1, 1, 2], [0, 1, 2]]
    assert some[:6].tolist() == [True, True, False, True, True, True]
    other = pl.DataFrame({"code": ["1.0", "x", " 2 "], "flag": ["TRUE", "no", None], "colour": ["Red", "red", "green"]})
    made, some = cells.categories_by(other, fitted)
    assert made.tolist() == [[0, 2, 1], [2, 0, 0], [0, 0, 2]]
    assert some.all()


def test_rare_values_of_a_category_share_none(monkeypatch):
    monkeypatch.setattr(cells, "MOST_VALUES", 2)
    typed, texts = columns(word=["a", "b", "b", "c", "c", "c"])
    fitted = cells.category_options(cells_of(typed, texts))
    assert fitted["values"] == [["b", "c"]]
    assert cells.categories_by(texts, fitted)[0].ravel().tolist() == [0, 1, 1, 2, 2, 2]
