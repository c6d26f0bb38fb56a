"""New samples from real ones: decodable, like their parents in all that a loader asks for, and never the same."""

import codecs
import io
import json
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.augment import (
    ALLOWED,
    UnchangedError,
    UnreadableError,
    augment,
    describe,
    recipe,
    suffix_of,
    text_cell,
)
from datadiet_cli.encode.augment.sounds import stretched
from datadiet_cli.errors import ConfigError

PHOTOGRAPH = sorted((Path(__file__).parents[2] / "sample_data" / "images" / "test").glob("*/*.jpg"))[0]
MAX_PIXELS = 10**8
TEXT = "The quick brown fox\r\n\tjumps over the lazy dog.\n\n  And it sleeps\n"
RATE = 8000


def photograph(size=(60, 45)):
    return picture(PHOTOGRAPH.read_bytes()).convert("RGB").resize(size)


def tone(frames=4000, channels=1, level=0.5):
    moments = np.arange(frames)[:, None] / RATE
    return level * np.sin(2 * np.pi * 440 * moments * np.arange(1, channels + 1))


def write(path, parent):
    """Write a parent of any kind."""
    if isinstance(parent, str):
        path.write_bytes(parent.encode())
    elif isinstance(parent, Image.Image):
        parent.save(path)
    else:
        soundfile.write(path, parent, RATE)
    return str(path)


def picture(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return image


def made(path, strengths, kind="image", seed=0, **settings):
    return augment(kind, str(path), {"kind": kind, **strengths, "seed": seed}, MAX_PIXELS, **settings)


PARENTS = {"image": ("a.png", photograph), "audio": ("a.wav", tone), "text": ("a.txt", lambda: TEXT)}
EACH = [(kind, operation) for kind, operations in ALLOWED.items() for operation in operations]


@pytest.mark.parametrize("kind", ALLOWED)
def test_recipes_are_json_and_give_the_same_bytes_again(tmp_path, kind):
    path = write(tmp_path / PARENTS[kind][0], PARENTS[kind][1]())
    contents = []
    for number in range(12):
        drawn = recipe(kind, 3, number)
        assert drawn == recipe(kind, 3, number)
        again = json.loads(json.dumps(drawn))
        assert describe(again) == describe(drawn) != ""
        contents.append(augment(kind, path, drawn, MAX_PIXELS))
        assert contents[-1] == augment(kind, path, again, MAX_PIXELS)
    assert len({*contents, Path(path).read_bytes()}) == 13, "neither the parent nor one another"
    assert recipe(kind, 3, 0) != recipe(kind, 4, 0)


@pytest.mark.parametrize(("kind", "operation"), EACH)
def test_an_operation_may_be_wanted_alone(tmp_path, kind, operation):
    path = write(tmp_path / PARENTS[kind][0], PARENTS[kind][1]())
    names = {"kind", operation, "seed"}
    for number in range(5):
        drawn = recipe(kind, 0, number, [operation])
        assert set(drawn) == names
        full = recipe(kind, 0, number)
        assert drawn[operation] == full.get(operation, drawn[operation]), "as strong as among others"
        augment(kind, path, drawn, MAX_PIXELS)


@given(
    st.sampled_from(sorted(ALLOWED)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.none() | st.sets(st.sampled_from(ALLOWED[kind]), min_size=1))
    ),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_recipes_hold_only_what_is_wanted_and_at_least_one(case, seed, number):
    kind, operations = case
    found = set(recipe(kind, seed, number, operations)) - {"kind", "seed"}
    assert found
    assert found <= set(ALLOWED[kind] if operations is None else operations)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("video", 0, 0), "no kind 'video'; there are image, audio, text"),
        (("text", 0, 0, ["swap", "flip"]), "'flip'; the operations on text samples are dropout, swap"),
        (("text", 0, 0, []), "none; the operations"),
        (("text", -1, 0), "negative"),
        (("text", 0, -1), "negative"),
    ],
)
def test_recipes_that_cannot_be_drawn(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        recipe(*arguments)


def test_a_recipe_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a recipe for image does not suit text"):
        augment("text", str(tmp_path), recipe("image", 0, 0), MAX_PIXELS)
    with pytest.raises(ValueError, match="does not suit text"):
        text_cell("one two", recipe("audio", 0, 0))
    with pytest.raises(ValueError, match="no kind"):
        describe({})


def test_suffixes():
    expected = {
        "d/a.JPG": ".JPG", "a.b.jpeg": ".jpeg", "a.gif": ".png", "a.webp": ".webp", "a.heic": ".png", "a.ppm": ".ppm",
        "/x/.y/a.flac": ".wav", "a.WAV": ".WAV", "a.txt": ".txt", "a.text": ".text",
    }  # fmt: skip
    assert {path: suffix_of(path) for path in expected} == expected
    with pytest.raises(ValueError, match="neither"):
        suffix_of("a.csv")


BROKEN = [
    ("image", "empty.png", b"", "empty"),
    ("image", "words.png", b"no picture at all", "not-an-image"),
    ("image", "cut.jpg", PHOTOGRAPH.read_bytes()[:2000], "truncated"),
    ("image", "bomb.jpg", PHOTOGRAPH.read_bytes(), "bomb"),
    ("image", "nowhere.png", None, "unreachable"),
    ("audio", "empty.wav", b"", "empty"),
    ("audio", "words.wav", b"no sound at all", "not-audio"),
    ("audio", "nowhere.wav", None, "unreachable"),
    ("text", "empty.txt", b"", "empty"),
    ("text", "bytes.txt", b"\xff\xfe\xfd", "not-text"),
    ("text", "nowhere.txt", None, "unreachable"),
]


@pytest.mark.parametrize(("kind", "name", "content", "cause"), BROKEN, ids=[case[1] for case in BROKEN])
def test_what_cannot_be_read_says_why(tmp_path, kind, name, content, cause):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    most = 100 if cause == "bomb" else MAX_PIXELS
    with quiet_libraries(), pytest.raises(UnreadableError) as raised:
        augment(kind, str(tmp_path / name), recipe(kind, 0, 0), most)
    assert raised.value.cause == cause
    assert len(str(raised.value)) > 10


def test_a_sound_cut_off_and_one_too_long(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone())
    (tmp_path / "cut.wav").write_bytes(Path(path).read_bytes()[:3000])
    with pytest.raises(UnreadableError, match="ends in the middle"):
        made(tmp_path / "cut.wav", {"gain": 3}, "audio")
    monkeypatch.setattr("datadiet_cli.encode.augment.sounds.LARGEST", 3999)
    with pytest.raises(UnreadableError) as raised:
        made(path, {"gain": 3}, "audio")
    assert raised.value.cause == "too-long"


# Pictures


def deep(image):
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16)


def with_alpha(image):
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.mark.parametrize(
    ("name", "change", "mode"),
    [
        ("a.jpg", lambda p: p, "RGB"),
        ("gray.jpg", lambda p: p.convert("L"), "L"),
        ("inks.jpg", lambda p: p.convert("CMYK"), "CMYK"),
        ("a.png", lambda p: p, "RGB"),
        ("gray.png", lambda p: p.convert("L"), "L"),
        ("bits.png", lambda p: p.convert("1", dither=Image.Dither.NONE), "1"),
        ("alpha.png", with_alpha, "RGBA"),
        ("gray-alpha.png", lambda p: with_alpha(p).convert("LA"), "LA"),
        ("palette.png", lambda p: p.quantize(64), "RGB"),
        ("deep.png", deep, "I;16"),
        ("palette.gif", lambda p: p.quantize(64), "RGB"),
        ("alpha.webp", with_alpha, "RGBA"),
        ("a.bmp", lambda p: p, "RGB"),
        ("a.ppm", lambda p: p, "RGB"),
        ("inks.tif", lambda p: p.convert("CMYK"), "CMYK"),
        ("float.tif", lambda p: Image.fromarray(np.asarray(p.convert("L")) / np.float32(255) - 1), "F"),
        ("whole.tif", lambda p: Image.fromarray(np.asarray(p.convert("L")).astype(np.int32) * 1000), "I"),
    ],
)
def test_every_mode_and_format_keeps_its_own(tmp_path, name, change, mode):
    path = tmp_path / name
    write(path, change(photograph()))
    strengths = {"flip": True, "rotate": 5.0, "crop": [0.05, 0.05, 0.9], "colour": [1.1, 0.9, 1.1], "noise": 3.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = picture(made(path, strengths))
    parent = picture(path.read_bytes())
    assert (new.mode, new.size) == (mode, parent.size)
    assert new.format == (parent.format if suffix_of(name) == path.suffix else "PNG")
    values, old = np.asarray(new, dtype=float), np.asarray(parent, dtype=float)
    if mode in ("I;16", "I", "F"):
        assert old.min() <= values.min() < values.max() <= old.max(), "no number that was not there"
    shown, plain = (np.asarray(image.convert("RGB"), dtype=float) for image in (new, parent))
    if mode not in ("I", "F", "I;16"):
        assert 0 < np.abs(shown[:, ::-1] - plain).mean() < 60
        assert np.abs(shown - plain).mean() > np.abs(shown[:, ::-1] - plain).mean(), "mirrored"


def test_a_file_named_for_another_format_is_written_as_named(tmp_path):
    with_alpha(photograph()).save(tmp_path / "liar.jpg", "PNG")
    new = picture(made(tmp_path / "liar.jpg", {"noise": 3.0}))
    assert (new.format, new.mode) == ("JPEG", "RGB")


def test_a_mirrored_picture_is_mirrored_exactly(tmp_path):
    for image in (photograph(), deep(photograph()), with_alpha(photograph())):
        path = write(tmp_path / "a.png", image)
        new = picture(made(path, {"flip": True}))
        assert np.array_equal(np.asarray(new), np.asarray(image)[:, ::-1])


def test_turning_and_cropping_are_those_of_pillow_within_the_edges(tmp_path):
    image = photograph((200, 150))
    path = write(tmp_path / "a.png", image)
    turned = np.asarray(picture(made(path, {"rotate": 8.0})), dtype=int)
    expected = np.asarray(image.rotate(8, Image.Resampling.BICUBIC), dtype=int)
    assert np.array_equal(turned[30:-30, 30:-30], expected[30:-30, 30:-30])
    cropped = np.asarray(picture(made(path, {"crop": [0.1, 0.05, 0.8]})), dtype=int)
    expected = np.asarray(image.resize(image.size, Image.Resampling.BICUBIC, (20, 7.5, 180, 127.5)), dtype=int)
    assert np.abs(cropped - expected).mean() < 1


@pytest.mark.parametrize("size", [(64, 64), (100, 10), (1, 300), (2, 1)])
def test_no_corner_is_black(tmp_path, size):
    path = write(tmp_path / "a.png", Image.new("L", size, 200))
    with pytest.raises(UnchangedError, match="plain"):
        made(path, {"rotate": 10.0, "crop": [0.0, 0.0, 0.98]})


def test_colours_and_noise_are_as_strong_as_told(tmp_path):
    path = write(tmp_path / "a.png", Image.new("RGB", (100, 100), (100, 120, 140)))
    brighter = np.asarray(picture(made(path, {"colour": [1.1, 1.0, 1.0]})))
    assert brighter[0, 0].tolist() == [110, 132, 154]
    gray = np.asarray(picture(made(path, {"colour": [1.0, 1.0, 0.0]})))
    assert gray[0, 0].tolist() == [116] * 3
    noisy = np.asarray(picture(made(path, {"noise": 5.0})), dtype=float)
    assert noisy.std(axis=(0, 1)) == pytest.approx([5, 5, 5], rel=0.05)
    other = np.asarray(picture(made(path, {"noise": 5.0}, seed=1)))
    assert not np.array_equal(noisy, other)


def test_alpha_is_moved_but_not_toned(tmp_path):
    image = with_alpha(photograph())
    path = write(tmp_path / "a.png", image)
    new = picture(made(path, {"colour": [1.1, 1.1, 1.1], "noise": 5.0}))
    assert np.array_equal(np.asarray(new)[..., 3], np.asarray(image)[..., 3])


def test_a_picture_on_its_side_comes_out_upright(tmp_path):
    image, exif = photograph((80, 40)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95, icc_profile=b"as it was")
    new = picture(made(tmp_path / "a.jpg", {"crop": [0.0, 0.0, 0.98]}))
    assert new.size == (40, 80)
    assert not new.getexif()
    assert new.info["icc_profile"] == b"as it was"
    expected = np.asarray(image.transpose(Image.Transpose.ROTATE_270), dtype=float)
    assert np.abs(np.asarray(new, dtype=float) - expected).mean() < 12


@pytest.mark.parametrize("value", [0, 255])
def test_noise_changes_even_white_and_black(tmp_path, value):
    path = write(tmp_path / "a.png", Image.new("RGB", (20, 20), (value,) * 3))
    made(path, {"colour": [1.15, 1.15, 1.2], "noise": 1.0})
    with pytest.raises(UnchangedError):
        made(path, {"colour": [1.15, 1.15, 1.2]})


# Sounds


def heard(data):
    file = soundfile.SoundFile(io.BytesIO(data))
    return file.read(always_2d=True), file


@pytest.mark.parametrize(
    ("name", "channels", "subtype"),
    [
        ("a.wav", 1, "PCM_16"), ("eight.wav", 1, "PCM_U8"), ("float.wav", 2, "FLOAT"), ("a.flac", 2, "PCM_24"),
        ("a.ogg", 2, "VORBIS"), ("many.wav", 7, "PCM_16"),
    ],
)  # fmt: skip
def test_sounds_keep_rate_channels_and_length(tmp_path, name, channels, subtype):
    soundfile.write(tmp_path / name, tone(5000, channels), 11_025, subtype=subtype)
    for number in range(6):
        samples, file = heard(augment("audio", str(tmp_path / name), recipe("audio", 0, number), MAX_PIXELS))
        assert (file.format, file.subtype, file.samplerate) == ("WAV", "PCM_16", 11_025)
        assert samples.shape == (5000, channels)
        assert 0.1 < samples.std() < 0.8


def test_shift_turns_in_a_circle_without_a_click(tmp_path):
    ramp = np.linspace(-0.9, 0.9, RATE)[:, None]
    path = write(tmp_path / "a.wav", ramp)
    samples, _ = heard(made(path, {"shift": 0.1}, "audio"))
    away = np.r_[0:760, 840:8000]
    assert np.allclose(samples[away], np.roll(ramp, 800, axis=0)[away], atol=1e-4)
    assert np.abs(np.diff(samples[:, 0])).max() < 0.05
    back, _ = heard(made(path, {"shift": -0.1}, "audio"))
    assert np.allclose(back[:7000], ramp[800:7800], atol=1e-4)


def test_noise_is_as_far_below_the_sound_as_told(tmp_path):
    parent = tone(20_000, 2)
    path = write(tmp_path / "a.wav", parent)
    samples, _ = heard(made(path, {"noise": 20.0}, "audio"))
    noise = samples - parent
    assert 20 * np.log10(parent.std() / noise.std()) == pytest.approx(20, abs=0.2)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.05, "each channel has its own"


def test_gain_never_clips(tmp_path):
    quiet, loud = (write(tmp_path / f"{level}.wav", tone(level=level)) for level in (0.3, 0.99))
    for path, expected in ((quiet, 0.3 * 10**0.3), (loud, 0.99 / 10**0.3)):
        samples, _ = heard(made(path, {"gain": 6.0}, "audio"))
        assert np.abs(samples).max() == pytest.approx(expected, rel=0.01)
    soundfile.write(tmp_path / "over.wav", 4 * tone(), RATE, subtype="FLOAT")
    samples, _ = heard(made(tmp_path / "over.wav", {"noise": 40.0}, "audio"))
    assert (np.abs(samples) > 0.999).mean() < 0.01, "scaled down, not cut"


@pytest.mark.parametrize("speed", [0.9, 0.97, 1.03, 1.1])
def test_stretching_keeps_the_pitch(speed):
    samples = tone(3 * RATE).astype(np.float32)
    out = stretched(samples, speed, RATE)
    assert len(out) == round(len(samples) / speed)
    spectrum = np.abs(np.fft.rfft(out[:, 0] * np.hanning(len(out)))) ** 2
    peak = int(spectrum.argmax())
    assert peak * RATE / len(out) == pytest.approx(440, abs=1)
    assert spectrum[peak - 5 : peak + 6].sum() > 0.99 * spectrum.sum(), "pure"
    assert out.std() == pytest.approx(samples.std(), rel=0.02)


def test_stretching_moves_events_in_proportion():
    samples = np.zeros((RATE * 2, 1), dtype=np.float32)
    rng = np.random.default_rng(0)
    for second in (0.5, 1.5):
        at = round(second * RATE)
        samples[at : at + 400, 0] = rng.standard_normal(400)
    out = np.abs(stretched(samples, 1.1, RATE)[:, 0])
    for second in (0.5, 1.5):
        at = round((second + 0.025) * RATE / 1.1)
        assert out[at - 400 : at + 400].sum() > 0.9 * out.sum() / 2


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 319, 320, 321])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_shortest_sounds(tmp_path, frames, channels):
    path = write(tmp_path / "a.wav", tone(frames + 1, channels)[1:])
    for number in range(8):
        try:
            samples, _ = heard(augment("audio", path, recipe("audio", 0, number), MAX_PIXELS))
        except UnchangedError:
            assert frames < 3
        else:
            assert samples.shape == (frames, channels)


def test_silence_gets_a_little_noise(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros((4000, 1)))
    samples, _ = heard(made(path, {"noise": 30.0}, "audio"))
    assert samples.std() == pytest.approx(1e-3, rel=0.1)
    with pytest.raises(UnchangedError, match="silence"):
        made(path, {"shift": 0.1, "stretch": 0.9, "gain": -3.0}, "audio")


def test_numbers_that_are_none(tmp_path):
    parent = tone()
    parent[10:20] = [[np.nan], [np.inf], [-np.inf], [np.nan], [0], [0], [0], [0], [0], [0]]
    soundfile.write(tmp_path / "a.wav", parent, RATE, subtype="FLOAT")
    samples, _ = heard(augment("audio", str(tmp_path / "a.wav"), recipe("audio", 0, 0), MAX_PIXELS))
    assert np.isfinite(samples).all()


# Texts


def test_words_are_left_out_and_swapped_within_their_lines(tmp_path):
    path = write(tmp_path / "a.txt", TEXT)
    for number in range(30):
        new = augment("text", path, recipe("text", 0, number), MAX_PIXELS).decode()
        old_lines, lines = TEXT.split("\n"), new.split("\n")
        assert len(lines) == len(old_lines)
        for old, line in zip(old_lines, lines, strict=True):
            assert set(line.split()) <= set(old.split())
            assert bool(line.split()) == bool(old.split())
            assert line[: len(line) - len(line.lstrip())] == old[: len(old) - len(old.lstrip())]
            assert line.endswith("\r") == old.endswith("\r")


@given(st.text(st.sampled_from("ab漢カ \n\r\té."), max_size=60), st.integers(0, 99))
def test_any_text(text, number):
    drawn = recipe("text", 0, number)
    new = text_cell(text, drawn)
    assert new == text_cell(text, drawn)
    assert len(new) <= len(text)
    assert new.count("\n") == text.count("\n")
    for old, line in zip(text.replace("\r", "\n").split("\n"), new.replace("\r", "\n").split("\n"), strict=True):
        assert bool(line.split()) == bool(old.split()), "no line is emptied"
    lines = [line.split() for line in text.replace("\r", "\n").split("\n")]
    if any(one != two for words in lines for one, two in pairwise(words)):
        assert new != text


def test_only_as_many_words_go_as_told():
    text = " ".join(f"word{i}" for i in range(1000))
    shorter = text_cell(text, {"kind": "text", "dropout": 0.1, "seed": 0}).split()
    assert len(shorter) == 900
    assert shorter == sorted(shorter, key=lambda word: int(word[4:])), "the others stay in order"
    swapped = text_cell(text, {"kind": "text", "swap": 0.1, "seed": 0}).split()
    assert sorted(swapped) == sorted(text.split())
    assert sum(one != two for one, two in zip(swapped, text.split(), strict=True)) == 200


@pytest.mark.parametrize("text", ["", "  \n", "word", " word\n", "one\ntwo\n"])
def test_a_text_of_one_word_a_line_stays(tmp_path, text):
    assert text_cell(text, recipe("text", 0, 0)) == text
    if text:
        with pytest.raises(UnchangedError, match="no word"):
            augment("text", write(tmp_path / "a.txt", text), recipe("text", 0, 0), MAX_PIXELS)


def test_texts_are_written_in_the_encoding_they_are_read_in(tmp_path):
    words = "grüße aus köln"
    drawn = recipe("text", 0, 0)
    expected = text_cell(words, drawn)
    cases = [
        ("latin-1", words.encode("latin-1"), expected.encode("latin-1")),
        (None, words.encode(), expected.encode()),
    ]
    cases.append((None, codecs.BOM_UTF16_LE + words.encode("utf-16-le"), expected.encode()))
    for encoding, content, new in cases:
        (tmp_path / "a.txt").write_bytes(content)
        assert augment("text", str(tmp_path / "a.txt"), drawn, MAX_PIXELS, encoding) == new
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + "мир и да".encode())
    new = augment("text", str(tmp_path / "a.txt"), drawn, MAX_PIXELS, "latin-1")
    assert new == codecs.BOM_UTF8 + text_cell("мир и да", drawn).encode(), "a mark, for latin-1 has no such letters"
    with pytest.raises(ConfigError, match="unknown"):
        augment("text", str(tmp_path / "a.txt"), drawn, MAX_PIXELS, "no-such-code")
