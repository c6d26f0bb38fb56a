"""Samples as a page shows them: whatever they are, and whatever is wrong with them."""

import base64
import os
import re
import sys
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.report.html.samples.content import Content
from datadiet_cli.report.html.samples.sounds import spectrogram, waveform
from datadiet_cli.report.html.samples.texts import difference, excerpt
from tests.conftest import class_folders, picture, table


def content(root, **reading):
    return Content(open_dataset(str(root), Reading(**reading)), max_pixels=1_000_000, encoding=None, workers=2)


def shown(uri):
    """The picture of a data URI."""
    head, _, data = uri.partition(";base64,")
    assert head in ("data:image/png", "data:image/webp")
    return Image.open(BytesIO(base64.b64decode(data, validate=True)))


class TestPictures:
    @pytest.fixture
    def root(self, tmp_path):
        return class_folders(tmp_path / "in", {"cat/a.png": 1})

    def test_a_photograph_is_small_upright_and_recognisable(self, root):
        picture(1, 300).resize((300, 200)).save(root / "cat" / "b.jpg", quality=95, exif=_turned(6))
        found = content(root).pictures(["cat/b.jpg"])["cat/b.jpg"]
        assert (found.width, found.height, found.words) == (75, 112, "200 x 300 pixels")
        small = shown(found.uri)
        assert small.size == (75, 112)
        expected = picture(1, 300).resize((300, 200)).transpose(Image.Transpose.ROTATE_270).resize((75, 112))
        difference = np.abs(np.asarray(small.convert("RGB"), float) - np.asarray(expected, float))
        assert difference.mean() < 8

    def test_few_pixels_are_shown_as_they_are_and_enlarged_by_a_whole_factor(self, root):
        art = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 28), dtype=np.uint8))
        art.save(root / "cat" / "art.png")
        found = content(root).pictures(["cat/art.png"])["cat/art.png"]
        assert found.art
        assert (found.width, found.height) == (28 * 4, 9 * 4)
        assert np.array_equal(np.asarray(shown(found.uri)), np.asarray(art))

    def test_what_is_transparent_lies_on_a_ground_that_hides_neither_black_nor_white(self, root):
        drawing = np.zeros((40, 40, 4), dtype=np.uint8)
        drawing[:10] = 255  # white
        drawing[10:20, :, 3] = 255  # black
        Image.fromarray(drawing).save(root / "cat" / "icon.png")
        pixels = np.asarray(shown(content(root).pictures(["cat/icon.png"])["cat/icon.png"].uri).convert("L"))
        assert pixels[0, 0] == 255
        assert pixels[15, 0] == 0
        assert 100 < pixels[30, 0] < 220

    def test_sixteen_bits_and_the_first_frame_of_an_animation(self, root):
        ramp = np.linspace(0, 65535, 50 * 50).reshape(50, 50).astype(np.uint16)
        Image.fromarray(ramp).save(root / "cat" / "deep.png")
        frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
        frames[0].save(root / "cat" / "film.gif", save_all=True, append_images=frames[1:])
        found = content(root).pictures(["cat/deep.png", "cat/film.gif"])
        deep = np.asarray(shown(found["cat/deep.png"].uri).convert("L"))
        assert deep[0, 0] == 0
        assert deep[-1, -1] == 255
        assert shown(found["cat/film.gif"].uri).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
        assert "first frame" in found["cat/film.gif"].words

    def test_what_cannot_be_shown_says_why(self, root):
        folder = root / "cat"
        whole = (folder / "a.png").read_bytes()
        (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
        (folder / "none.png").write_bytes(b"")
        (folder / "words.png").write_text("no picture")
        Image.new("1", (2000, 2000)).save(folder / "bomb.png")
        (folder / "away.png").symlink_to("/etc/passwd")
        (folder / "gone.png").write_bytes(whole)
        reader = content(root)
        (folder / "gone.png").unlink()
        found = reader.pictures([f"cat/{name}.png" for name in ("cut", "none", "words", "bomb", "away", "gone", "new")])
        assert {name: one.words for name, one in found.items()} == {
            "cat/cut.png": "the file ends in the middle of the picture",
            "cat/none.png": "the file is empty",
            "cat/words.png": "not an image that Pillow can read",
            "cat/bomb.png": "more pixels than --max-pixels allows",
            "cat/away.png": "a symbolic link that leads out of INPUT; --follow-symlinks allows it",
            "cat/gone.png": "the file cannot be opened",
        }
        assert not any(one.uri for one in found.values())

    def test_without_input_nothing_is_known(self):
        nothing = Content(None, max_pixels=1, encoding=None, workers=None)
        for known in (nothing.pictures, nothing.sounds, nothing.texts, nothing.records, nothing.groups, nothing.sizes):
            assert known(["a", "b"]) == {}

    def test_names_that_are_no_utf8_are_found_in_both_spellings(self, root):
        name = "cat/" + os.fsdecode(b"\xff<b>.png")
        picture(2).save(root / name)
        escaped = "cat/\\udcff<b>.png"
        assert list(content(root).pictures([name, escaped])) == [escaped]
        assert content(root).groups([name, "cat/a.png"]) == {escaped: ("cat", None), "cat/a.png": ("cat", None)}


def _turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


class TestTexts:
    def test_are_read_from_their_beginning_and_say_what_is_wrong(self, tmp_path):
        root = tmp_path / "in"
        root.mkdir()
        files = {"a": "käse".encode(), "long": "é".encode() * 200_000, "bad": b"\xff\xfe\x00", "none": b""}
        files |= {"wide": "weit".encode("utf-16"), "latin": b"caf\xe9 au lait"}
        for name, data in files.items():
            (root / f"{name}.txt").write_bytes(data)
        found = content(root).texts([f"{name}.txt" for name in files])
        told = {name: found[f"{name}.txt"] for name in files}
        assert (told["a"].text, told["a"].words) == ("käse", "4 characters")
        assert told["wide"].text == "weit"
        assert set(told["long"].text) == {"é"}
        assert told["long"].words == "the first 128 KiB of it"
        assert told["none"].words == "the file is empty"
        assert told["latin"].text is None
        assert "UTF-8" in told["latin"].words

    def test_differences_are_marked_word_by_word(self):
        one, other, said = difference("call 0900 now\nfor cash", "call 0800 now\nfor free cash")
        assert str(one) == "call <mark>0900</mark> now for cash"
        assert str(other) == "call <mark>0800</mark> now for <mark>free </mark>cash"
        assert said == ""
        assert difference("same", "same") == ("same", "same", "the same, letter by letter")

    def test_what_differs_far_behind_is_found_and_it_says_where(self):
        common = "word " * 5000
        one, other, said = difference(common + "left " + common, common + "right " + common)
        assert "<mark>left</mark>" in one
        assert "<mark>right</mark>" in other
        assert said == "from character 24,961 on; 200 words are compared"
        assert max(len(one), len(other)) < 600

    @given(
        st.lists(st.sampled_from(["a", "b", " ", "\n", "<i>", "漢", "\x1b", "\udcff", "x" * 50]), max_size=60),
        st.lists(st.sampled_from(["a", "b", " ", "\n", "<i>", "漢", "\x1b", "\udcff", "x" * 50]), max_size=60),
    )
    def test_nothing_in_them_runs_and_what_is_unmarked_is_in_both(self, left, right):
        one, other, _ = difference("".join(left), "".join(right), most=10_000)
        for html in (one, other):
            assert re.sub(r'</?mark>|<span class="gap">|</span>', "", html).count("<") == 0
            assert html.isprintable()
        same = [re.sub("<mark>.*?</mark>", "", str(html)) for html in (one, other)]
        assert same[0] == same[1]

    def test_an_excerpt_says_how_long_the_whole_is(self):
        assert excerpt("<img src=x onerror=alert(1)>\n\n\tand") == "&lt;img src=x onerror=alert(1)&gt; and"
        long = excerpt("abcd " * 2000)
        assert long.endswith('… <span class="gap">(10,000 characters)</span>')
        assert len(long) < 500


class TestSounds:
    def test_a_spectrogram_has_a_tone_where_it_sounds(self):
        seconds = np.arange(8000, dtype=np.float32) / 8000
        silence = np.zeros(8000, dtype=np.float32)
        for hertz, low, high in ((200, 0.75, 1.0), (3000, 0.0, 0.25)):
            sound = np.concatenate([silence, np.sin(2 * np.pi * hertz * seconds).astype(np.float32)])
            loud = np.asarray(shown(spectrogram(sound)))
            assert (loud[:, :50] == 0).all()
            row = loud[:, 70:].mean(axis=1).argmax() / len(loud)
            assert low <= row <= high

    def test_a_waveform_reaches_as_far_as_the_loudest(self):
        sound = np.zeros(1200, dtype=np.float32)
        sound[605] = 0.25
        heights = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", waveform(sound))
        assert len(heights) == 120
        assert min(heights, key=lambda line: float(line[1])) == ("60.5", "0.0", "20.3")
        assert waveform(np.zeros(1, dtype=np.float32)).count("M") == 1

    def test_files_are_drawn_with_their_length(self, tmp_path):
        root = tmp_path / "in"
        root.mkdir()
        soundfile.write(root / "a.wav", np.random.default_rng(0).normal(0, 0.1, (11025, 2)), 22050)
        soundfile.write(root / "silent.wav", np.zeros(100), 8000)
        (root / "cut.wav").write_bytes((root / "a.wav").read_bytes()[:500])
        found = content(root).sounds(["a.wav", "silent.wav", "cut.wav"])
        assert found["a.wav"].words == "0.50 s, 22,050 Hz, stereo"
        assert shown(found["a.wav"].spectrogram).height == 40
        assert (np.asarray(shown(found["silent.wav"].spectrogram)) == 0).all()
        assert found["cut.wav"].words == "the file ends in the middle of the sound"
        assert not found["cut.wav"].spectrogram

    def test_without_the_extra_they_are_named_only(self, tmp_path, monkeypatch):
        root = tmp_path / "in"
        root.mkdir()
        soundfile.write(root / "a.wav", np.zeros(100), 8000)
        monkeypatch.setitem(sys.modules, "soundfile", None)
        assert "datadiet[audio]" in content(root).sounds(["a.wav"])["a.wav"].words


class TestRecords:
    def test_cells_of_the_records_that_are_asked_for(self, tmp_path):
        rows = [[f"r{i}", f"<b>{i}</b>", "" if i == 1 else i / 2] for i in range(5)]
        path = table(tmp_path / "in.csv", ["id", "words", "size"], rows)
        reader = content(path, id_column="id")
        found = reader.records(["r3", "r1", "r9"])
        assert found == {
            "r3": {"id": "r3", "words": "<b>3</b>", "size": "1.5"},
            "r1": {"id": "r1", "words": "<b>1</b>", "size": None},
        }

    def test_of_a_wide_table_with_long_cells_what_is_wanted(self, tmp_path):
        names = [f"c{i}" for i in range(1000)]
        path = table(tmp_path / "in.csv", names, [["y" * 30_000, *["1"] * 999]])
        found = content(path).records(["0"], ["c999"])["0"]
        assert len(found) == 201
        assert found["c999"] == "1"
        assert found["c0"] == "y" * 20_000 + "…"
