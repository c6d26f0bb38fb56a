"""Decoding: the samples are the same whatever the container, and what cannot be read says why."""

import sys

import numpy as np
import pytest
import soundfile

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.sounds import (
    CAUSES,
    RATE,
    digest_sounds,
    mono_sounds,
    require_soundfile,
    resample,
    seconds_announced,
)
from datadiet_cli.errors import MissingExtraError


def integers(frames=3000, channels=2, seed=0):
    """Samples of 16 bits."""
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (frames, channels), dtype=np.int16)


def write(path, samples, rate=16_000, **coding):
    soundfile.write(path, samples, rate, **coding)
    return str(path)


def digest(*paths):
    facts, digests = digest_sounds(paths)
    assert facts.cause.tolist() == [None] * len(paths)
    return [row.tobytes() for row in digests]


def cause(path):
    with quiet_libraries():
        facts, digests = digest_sounds([str(path)])
        heard = list(mono_sounds([str(path)]))
    assert not digests.any()
    assert facts.frames.tolist() == [0]
    assert [(i, len(samples), own.cause[0]) for i, samples, own in heard] == [(0, 0, facts.cause[0])]
    return facts.cause[0]


def test_the_container_does_not_matter(tmp_path):
    samples = integers()
    paths = [write(tmp_path / f"a.{suffix}", samples) for suffix in ("wav", "flac", "aiff", "au", "caf", "w64", "rf64")]
    wide = samples.astype(np.int32) << 16
    paths += [write(tmp_path / f"{bits}.wav", wide, subtype=bits) for bits in ("PCM_24", "PCM_32")]
    paths += [write(tmp_path / "24.flac", wide, subtype="PCM_24")]
    paths += [write(tmp_path / f"{kind}.wav", samples / 2**15, subtype=kind) for kind in ("FLOAT", "DOUBLE")]
    assert len(set(digest(*paths))) == 1


def test_a_name_without_a_suffix_or_with_a_wrong_one_does_not_matter(tmp_path):
    first = write(tmp_path / "a.flac", integers())
    for name in ("plain", "wrong.raw", "wrong.mp3", "sp ace\udcff.wav"):
        (tmp_path / name).write_bytes((tmp_path / "a.flac").read_bytes())
        assert digest(first, str(tmp_path / name))[0] == digest(str(tmp_path / name))[0]


def test_whatever_differs_makes_another_digest(tmp_path):
    samples = integers()
    last_bit, louder = samples.copy(), samples.astype(np.int32) << 16
    last_bit[-1, 1] ^= 1
    louder[-1, 1] += 1 << 8
    paths = [
        write(tmp_path / "a.wav", samples),
        write(tmp_path / "rate.wav", samples, 16_001),
        write(tmp_path / "bit.wav", last_bit),
        write(tmp_path / "24.wav", louder, subtype="PCM_24"),
        write(tmp_path / "shorter.wav", samples[:-1]),
        write(tmp_path / "swapped.wav", samples[:, ::-1]),
        write(tmp_path / "one.wav", samples[:, 0]),
        write(tmp_path / "flat.wav", samples.reshape(-1)),
    ]
    assert len(set(digest(*paths))) == len(paths)


def test_minus_zero_is_zero(tmp_path):
    zeros = np.zeros(100)
    assert len(set(digest(*(write(tmp_path / f"{s}.wav", s * zeros, subtype="FLOAT") for s in (1, -1))))) == 1


def test_facts(tmp_path):
    paths = [write(tmp_path / "a.wav", integers()), write(tmp_path / "b.ogg", integers(channels=1), 44_100)]
    facts, _ = digest_sounds(paths)
    assert facts.rate.tolist() == [16_000, 44_100]
    assert facts.channels.tolist() == [2, 1]
    assert facts.frames.tolist() == [3000, 3000]
    assert facts.lossless.tolist() == [True, False]
    again = [own for _, _, own in mono_sounds(paths)]
    assert [int(own.frames[0]) for own in again] == [3000, 3000]
    assert seconds_announced(paths[0]) == 3000 / 16_000


def test_many_blocks_are_one_sound(tmp_path):
    samples = integers(300_000, 3)
    assert len(set(digest(write(tmp_path / "a.wav", samples), write(tmp_path / "a.flac", samples)))) == 1
    (_, mono, _), = mono_sounds([str(tmp_path / "a.wav")])  # fmt: skip
    assert len(mono) == 150_000


def test_causes(tmp_path):
    paths = {}
    for suffix in ("wav", "aiff", "au", "flac", "mp3"):
        write(tmp_path / f"a.{suffix}", integers(60_000))
        paths[suffix] = (tmp_path / f"a.{suffix}").read_bytes()
    broken = {
        "empty.wav": (b"", "empty"),
        "junk.wav": (integers().tobytes(), "not-audio"),
        "words.mp3": (b"all but a sound " * 99, "not-audio"),
        "head.flac": (paths["flac"][:30], "not-audio"),
        "cut.wav": (paths["wav"][:100_000], "truncated"),
        "cut.aiff": (paths["aiff"][:100_000], "truncated"),
        "cut.au": (paths["au"][:100_000], "truncated"),
        "cut.flac": (paths["flac"][:100_000], "damaged"),
        "holes.mp3": (paths["mp3"][:9000] + integers(5000).tobytes() + paths["mp3"][20_000:], "damaged"),
    }
    for name, (content, why) in broken.items():
        (tmp_path / name).write_bytes(content)
        assert cause(tmp_path / name) == why, name
    write(tmp_path / "none.wav", np.zeros((0, 1)))
    assert cause(tmp_path / "none.wav") == "empty"
    assert cause(tmp_path / "nowhere.wav") == "unreachable"
    assert cause(tmp_path) == "unreachable"
    assert {why for _, why in broken.values()} | {"unreachable"} == set(CAUSES)


def test_a_length_that_a_pipe_could_not_know_is_not_missed(tmp_path):
    content = bytearray((tmp_path / "a.wav").read_bytes() if write(tmp_path / "a.wav", integers()) else b"")
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "pipe.wav").write_bytes(content)
    assert len(set(digest(str(tmp_path / "a.wav"), str(tmp_path / "pipe.wav")))) == 1


def test_only_the_beginning_of_a_long_sound_is_resampled(tmp_path):
    path = write(tmp_path / "long.flac", np.zeros(130 * 1000, dtype=np.int16), 1000)
    (_, mono, facts), = mono_sounds([path])  # fmt: skip
    assert len(mono) == 120 * RATE
    assert facts.frames.tolist() == [130_000]


@pytest.mark.parametrize("rate", [4000, 6000, 8000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000])
def test_a_tone_stays_a_tone_at_any_rate(rate):
    seconds = 21.3
    moments = np.arange(int(seconds * rate)) / rate
    resampled = resample(np.sin(2 * np.pi * 440 * moments).astype(np.float32), rate)
    assert resampled.dtype == np.float32
    assert len(resampled) == -(-len(moments) * RATE // rate)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(resampled)) / RATE)
    inner = slice(100, len(resampled) - 100)
    assert np.abs(resampled - expected)[inner].max() < 2e-3


def test_what_is_too_high_does_not_come_back_lower():
    moments = np.arange(3 * 44_100) / 44_100
    resampled = resample(np.sin(2 * np.pi * 5000 * moments).astype(np.float32), 44_100)
    assert np.abs(resampled[200:-200]).max() < 2e-3


def test_channels_are_mixed(tmp_path):
    one, other = integers(8000, 1, 1) / 2**15, integers(8000, 1, 2) / 2**15
    path = write(tmp_path / "a.wav", np.hstack([one, other]), RATE, subtype="FLOAT")
    (_, mono, _), = mono_sounds([path])  # fmt: skip
    np.testing.assert_allclose(mono, (one + other)[:, 0] / 2, atol=1e-6)


def test_without_soundfile_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match=r"dedup: method samples .* pip install 'datadiet\[audio\]'"):
        require_soundfile("samples")
