"""Copies among sounds, through the step and the command line, on files as codecs write them."""

import io
import shutil
import sys

import numpy as np
import pytest
import soundfile

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.open import open_dataset
from datadiet_cli.encode.cache import Cache
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError
from datadiet_cli.outcome import NO_WITNESS
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.dedup import run
from datadiet_cli.steps.likeness import hearing
from datadiet_cli.steps.likeness.hearing import listen_for_words, word_rows
from tests.conftest import report

RATE = 16_000


def melody(seed, seconds=2.0, speed=1.0):
    """Notes that fade, over a little noise, like no other seed's."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.002, int(seconds * RATE / speed))
    moments = np.arange(len(sound)) / RATE
    for begin in np.arange(0, seconds, 0.2) / speed:
        since = moments - begin
        tone = sum(np.sin(2 * np.pi * rng.uniform(200, 2500) * since) for _ in range(3))
        sound += 0.1 * tone * np.exp(-8 * np.maximum(since, 0)) * (since >= 0)
    return sound


def up(sound, times):
    """The same at a higher rate."""
    spectrum = np.fft.rfft(sound)
    return np.fft.irfft(spectrum, len(sound) * times) * times


COPIES = {
    "copy.wav": lambda s: (s, RATE, {}),
    "a.flac": lambda s: (s, RATE, {}),
    "a.aiff": lambda s: (s, RATE, {"subtype": "PCM_24"}),
    "a.mp3": lambda s: (s, RATE, {}),
    "a.ogg": lambda s: (s, RATE, {}),
    "opus.ogg": lambda s: (up(s, 3), 48_000, {"format": "OGG", "subtype": "OPUS"}),
    "quiet.wav": lambda s: (0.3 * s, RATE, {}),
    "inverted.wav": lambda s: (-s, RATE, {}),
    "stereo.wav": lambda s: (np.stack([s, 0.5 * s], axis=1), RATE, {}),
    "32k.wav": lambda s: (up(s, 2), 2 * RATE, {}),
    "silence.wav": lambda s: (np.pad(s, (RATE, RATE // 2)), RATE, {}),
    "silence.mp3": lambda s: (np.pad(s, RATE), RATE, {}),
    "noisy.wav": lambda s: (s + np.random.default_rng(0).normal(0, 0.05 * s.std(), len(s)), RATE, {}),
    "begins-later.wav": lambda s: (s[RATE // 6 :], RATE, {}),
}
NONE = {
    "another.wav": lambda s: (melody(1), RATE, {}),
    "half.wav": lambda s: (s[: len(s) // 2], RATE, {}),
    "faster.wav": lambda s: (melody(0, speed=1.05), RATE, {}),
    "backwards.wav": lambda s: (s[::-1], RATE, {}),
}


def save(path, sound, rate=RATE, **coding):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, **coding)
    return path


def decide(root, method="fingerprint", engine="serial", workers=1, cache=None, **settings):
    """Who goes, and in favour of whom."""
    dataset = open_dataset(str(root))
    with Engine(engine, workers) as running:
        context = Context(running) if cache is None else Context(running, cache=cache)
        outcome = run(dataset, Dedup(method=method, **settings), context)
    verdicts = outcome.verdicts
    witness = [None if w == NO_WITNESS else dataset.source.ids(np.array([w]))[0] for w in verdicts.witness]
    names = dataset.source.ids(verdicts.sample)
    return {
        name: (reason, other, float(score))
        for name, reason, other, score in zip(names, verdicts.reason, witness, verdicts.score, strict=True)
    }


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """One sound in all variants."""
    root = tmp_path_factory.mktemp("zoo")
    sound = melody(0)
    save(root / "original.wav", sound)
    for name, make in (COPIES | NONE).items():
        samples, rate, coding = make(sound)
        save(root / name, samples, rate, **coding)
    return root


@pytest.fixture(scope="module")
def few(zoo, tmp_path_factory):
    """Some of them."""
    root = tmp_path_factory.mktemp("few")
    for name in ("original.wav", "copy.wav", "a.mp3", "stereo.wav", "silence.mp3", "half.wav"):
        shutil.copy(zoo / name, root / name)
    return root


@pytest.fixture(scope="module")
def decided(zoo):
    return decide(zoo)


def test_copies_go_and_others_stay(decided):
    assert len(decided) == len(COPIES), "one of the copies and the original stays"
    assert set(decided) <= {*COPIES, "original.wav"}
    assert {(reason, witness) for reason, witness, _ in decided.values()} == {("duplicate", "32k.wav")}


def test_engine_and_workers_change_nothing(few):
    decided = decide(few)
    assert len(decided) == 4
    assert decide(few, engine="threads", workers=4) == decided
    assert decide(few, engine="processes", workers=2) == decided


@pytest.mark.parametrize("name", COPIES)
def test_each_kind_of_copy_is_found(zoo, tmp_path, name):
    for file in ("original.wav", name):
        shutil.copy(zoo / file, tmp_path / file)
    save(tmp_path / "another.wav", melody(2))
    assert len(decide(tmp_path)) == 1


def test_a_second_time_nothing_is_decoded_for_fingerprints(few, tmp_path, monkeypatch):
    decided = decide(few)
    environment = {"DATADIET_CACHE_DIR": str(tmp_path / "cache")}
    with Cache(environment) as cache:
        assert decide(few, cache=cache) == decided
    heard = []
    monkeypatch.setattr(hearing, "word_rows", lambda paths, room: heard.extend(paths) or word_rows(paths, room))
    with Cache(environment) as cache:
        assert decide(few, cache=cache) == decided
    assert not heard


def test_what_is_remembered_is_what_was_heard(zoo, tmp_path):
    save(tmp_path / "long.flac", np.tile(melody(3), 3))
    save(tmp_path / "silent.wav", np.zeros(RATE))
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    paths = sorted(map(str, [*zoo.iterdir(), *tmp_path.iterdir()]))
    plain = listen_for_words(paths, Context())
    for _ in range(2):
        with Cache({"DATADIET_CACHE_DIR": str(tmp_path / "cache")}) as cache:
            heard = listen_for_words(paths, Context(cache=cache))
        for name in ("words", "starts", "seconds", "telling", "digest", "readable"):
            np.testing.assert_array_equal(getattr(heard, name), getattr(plain, name))
        assert heard.facts.cause.tolist() == plain.facts.cause.tolist()
    assert np.diff(plain.starts).max() > hearing._ROOM[0], "one does not fit the narrowest rows"


def test_same_samples(zoo):
    assert {name: found[1] for name, found in decide(zoo, "samples").items()} == {"original.wav": "copy.wav"}


def test_same_samples_whatever_the_container(tmp_path):
    whole = (melody(0) * 30_000).astype(np.int16)
    for name in ("a.wav", "b.flac", "c.aiff", "d.wav"):
        save(tmp_path / name, whole if name != "d.wav" else whole + 1)
    decided = decide(tmp_path, "samples")
    assert len(decided) == 2
    assert {(reason, score) for reason, _, score in decided.values()} == {("duplicate", 0.0)}
    assert "d.wav" not in decided


def test_silent_short_and_even_sounds_are_copies_of_the_same_samples_only(tmp_path):
    tick = melody(0, 0.05)
    for number, sound in enumerate((np.zeros(RATE), np.zeros(RATE), np.zeros(RATE + 1), tick, tick, 0.5 * tick)):
        save(tmp_path / f"{number}.wav", sound)
    for number, pitch in enumerate((300, 330, 1200)):
        save(tmp_path / f"hum{number}.wav", 0.5 * np.sin(2 * np.pi * pitch * np.arange(2 * RATE) / RATE))
    assert {name: found[1] for name, found in decide(tmp_path).items()} == {"1.wav": "0.wav", "4.wav": "3.wav"}


def test_takes_of_one_word_are_no_copies(tmp_path):
    """The same notes at nearly the same times and pitches: fingerprints agree, waveforms do not."""
    rng = np.random.default_rng(0)
    moments = np.arange(RATE // 2) / RATE
    for take in range(4):
        pitch = 120 * (1 + 0.004 * take)
        voice = sum(np.sin(2 * np.pi * pitch * k * moments + rng.uniform(0, 6)) / k for k in range(1, 20))
        shape = np.interp(moments, [0, 0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 0.3, 0.9, 0.5, 0])
        save(tmp_path / f"{take}.wav", 0.1 * voice * shape + rng.normal(0, 0.001, len(moments)))
    assert decide(tmp_path) == {}
    assert decide(tmp_path, verify=False) != {}


def test_similarity_is_what_the_setting_says(few):
    strict = decide(few, similarity=1.0)
    assert 0 < len(strict) < len(decide(few))


@pytest.mark.parametrize("method", ["samples", "fingerprint"])
def test_what_cannot_be_read_is_told(tmp_path, method, datadiet):
    content = io.BytesIO()
    soundfile.write(content, melody(0), RATE, format="WAV")
    files = {
        "a.wav": content.getvalue(),
        "b.wav": content.getvalue(),
        "cut.wav": content.getvalue()[:50_000],
        "empty.wav": b"",
        "words.mp3": b"no sound " * 50,
    }
    (tmp_path / "in").mkdir()
    for name, held in files.items():
        (tmp_path / "in" / name).write_bytes(held)
    done = datadiet("dedup", tmp_path / "in", tmp_path / "out", "--method", method)
    assert done.code == 3
    assert "Traceback" not in done.err
    assert not (tmp_path / "out" / "b.wav").exists()
    assert (tmp_path / "out" / "cut.wav").exists()
    document = report(tmp_path / "out")
    assert document["input"]["kind"] == "audio"
    assert {row["id"]: row["detail"] for row in document["verdicts"] if row["reason"] == "unreadable"} == {
        "cut.wav": "truncated: the file ends in the middle of the sound",
        "empty.wav": "empty: the file is empty, or holds no sample",
        "words.mp3": "not-audio: not a sound that libsndfile can read",
    }
    told = decide(tmp_path / "in", method)
    assert {name for name, found in told.items() if found[0] == "unreadable"} == {"cut.wav", "empty.wav", "words.mp3"}


def test_of_equal_samples_the_smallest_file_stays(tmp_path):
    sound = (melody(0) * 2**15).astype(np.int16)
    for name, coding in {"a.wav": {"subtype": "FLOAT"}, "b.wav": {}, "c.flac": {}, "d.flac": {}}.items():
        save(tmp_path / name, sound / 2**15, **coding)
    assert {name: other for name, (_, other, _) in decide(tmp_path, "samples").items()} == {
        "a.wav": "c.flac",
        "b.wav": "c.flac",
        "d.flac": "c.flac",
    }
    assert set(decide(tmp_path, "samples", prefer="first")) == {"b.wav", "c.flac", "d.flac"}


@pytest.mark.parametrize("method", ["samples", "fingerprint"])
def test_files_have_no_columns(few, method):
    with pytest.raises(ConfigError, match="--columns needs a table"):
        decide(few, method, columns=["text"])


@pytest.mark.parametrize("method", ["samples", "fingerprint"])
def test_without_the_extra_one_line_says_so(tmp_path, method, datadiet, monkeypatch):
    save(tmp_path / "in" / "a.wav", melody(0, 0.2))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    done = datadiet("dedup", tmp_path / "in", tmp_path / "out", "--method", method)
    assert done.code == 2
    assert f"method {method}" in done.complaint
    assert "datadiet[audio]" in done.complaint


def test_preference_among_copies(tmp_path):
    sound = melody(0)
    save(tmp_path / "a.mp3", sound)
    save(tmp_path / "b.wav", 0.5 * sound)
    save(tmp_path / "c.wav", np.stack([sound, 0.5 * sound], axis=1))
    save(tmp_path / "d.wav", up(sound, 2), 2 * RATE)
    assert {found[1] for found in decide(tmp_path).values()} == {"d.wav"}
    assert {found[1] for found in decide(tmp_path, prefer="first").values()} == {"a.mp3"}
