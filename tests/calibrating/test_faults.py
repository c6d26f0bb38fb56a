"""Every kind of fault, on a sample that can bear it."""

import io

import numpy as np
import pytest
from PIL import Image

from datadiet_cli.calibrating.cells import Record
from datadiet_cli.calibrating.content import Content, UnfitError
from datadiet_cli.calibrating.faults import REASONS, faults_of
from datadiet_cli.calibrating.names import ALL_NAMES
from datadiet_cli.outcome import FIGURES
from tests.conftest import picture

KINDS = ("image", "text", "audio", "file", "row")
SPEECH = (
    "The tomatoes have been pruned along the hedge, and the old piano is out of tune. Nobody has looked at the "
    "roof since the storm! Will you come on Sunday, or is it too far? We could eat in the garden."
)
CELLS = {"a": "1.5", "b": "20", "c": "3000.25", "d": SPEECH, "e": "red", "f": "7"}
RECORD = Record(CELLS, ("a", "b", "c", "f"), ("a", "c"), ("d", "e"), ("d",))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    picture(1).save(folder / "p.png")
    (folder / "t.txt").write_text(SPEECH)
    (folder / "f.bin").write_bytes(b"\0\1\2\3")
    import soundfile

    time = np.arange(8000) / 8000
    soundfile.write(folder / "s.wav", np.sin(440 * 2 * np.pi * time * (1 + time)) * 0.5 * time, 8000)
    names = {"image": "p.png", "text": "t.txt", "audio": "s.wav", "file": "f.bin"}
    files = {kind: Content(str(folder / name), 10**6, None) for kind, name in names.items()}
    return {**files, "row": RECORD}


def test_the_names_for_the_help_are_those_of_all_kinds():
    assert set(ALL_NAMES) == {name for kind in KINDS for name in faults_of(kind)}
    assert len(set(ALL_NAMES)) == len(ALL_NAMES)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in faults_of(kind)])
def test_a_fault_changes_what_it_says_and_comes_out_the_same_again(kind, name, originals):
    fault = faults_of(kind)[name]
    assert fault.reasons <= {"duplicate", "conflict", "conflict-minority"}.union(*FIGURES.values())
    assert fault.reasons & REASONS[fault.part]
    if fault.make is None:
        assert fault.relabelled
        return
    original = originals[kind]
    made, again = (fault.make(original, np.random.default_rng(3)) for _ in range(2))
    assert made == again
    if kind == "row":
        cells = {**CELLS, **made}
        assert set(made) <= set(CELLS)
        assert (cells == CELLS) == (name in ("exact-copy", "other-label"))
        return
    with open(original.path, "rb") as file:
        same = file.read() == made.data
    assert same == (name in ("exact-copy", "other-label"))


@pytest.mark.parametrize(
    ("name", "size"),
    [("half-size", (32, 32)), ("double-size", (128, 128)), ("crop-5", (61, 61)), ("crop-15", (54, 54))],
)
def test_a_picture_has_the_size_that_the_fault_says(name, size, originals):
    made = faults_of("image")[name].make(originals["image"], np.random.default_rng(0))
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == size


def test_a_flip_is_a_flip_and_dark_is_dark(originals):
    def pixels(name):
        made = faults_of("image")[name].make(originals["image"], np.random.default_rng(0))
        with Image.open(io.BytesIO(made.data)) as image:
            return np.asarray(image)

    with Image.open(originals["image"].path) as image:
        before = np.asarray(image)
    assert np.array_equal(pixels("flip"), before[:, ::-1])
    assert pixels("dark").max() <= 26
    assert np.array_equal(np.sort(pixels("scrambled"), axis=None), np.sort(255 - before, axis=None))


def test_noise_of_a_thousandth_stays_within_a_thousandth():
    made = faults_of("row")["noise-1e-3"].make(RECORD, np.random.default_rng(5))
    assert set(made) == {"a", "c"}
    gaps = [abs(float(text) / float(CELLS[name]) - 1) for name, text in made.items()]
    assert all(4e-4 < gap < 1.1e-3 for gap in gaps)


def test_typing_errors_are_one_for_fifty_letters():
    made = faults_of("row")["typos"].make(RECORD, np.random.default_rng(1))["d"]
    assert len(made) == len(SPEECH)
    letters = sum(character.isalpha() for character in SPEECH)
    assert sum(a != b for a, b in zip(made, SPEECH, strict=True)) == letters // 50


@pytest.mark.parametrize("name", ["typos", "sentence-gone", "words-swapped", "truncated", "garbled", "shuffled"])
def test_a_text_of_hardly_anything_is_left_alone(name):
    poor = Record({"d": "7"}, (), (), ("d",), ("d",))
    with pytest.raises(UnfitError):
        faults_of("row")[name].make(poor, np.random.default_rng(0))


@pytest.mark.parametrize("text", ["\u0414\u043b\u044f \u0434\u0440\u0443\u0437\u0435\u0439, e.g.", "1234 5678", "   "])
def test_a_text_that_is_not_latin_cannot_become_foreign(text):
    with pytest.raises(UnfitError):
        faults_of("row")["foreign"].make(Record({"d": text}, (), (), ("d",), ("d",)), np.random.default_rng(0))


def test_a_picture_that_cannot_be_decoded_is_left_alone(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(UnfitError):
        faults_of("image")["flip"].make(Content(str(tmp_path / "x.png"), 10**6, None), np.random.default_rng(0))
