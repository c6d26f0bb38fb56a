"""Measures of sounds: each fault shows in its own measure; tones, music and short words are good as they are."""

import warnings

import numpy as np
import pytest
import soundfile

from datadiet_cli.encode.cache import NoCache
from datadiet_cli.encode.quality.sounds import MEASURES, clipped, measure_sounds, signal_to_noise
from datadiet_cli.engine import Engine
from datadiet_cli.methods.quality import CHECKS, find_faults

RATE = 16_000
CHECKED = list(CHECKS["audio"].values())


def speech(seconds=1.5, seed=0):
    """Syllables of a gliding voice with pauses between them, and a little noise; the largest value is one half."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.9 * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase + k * k) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None) ** 2
    sound = voice * syllables + rng.normal(0, 0.002, len(time))
    return 0.5 * sound / np.abs(sound).max()


def noise_at(sound, decibels, seed=1):
    """The sound with white noise of so many decibels less than itself."""
    noise = np.random.default_rng(seed).normal(0, sound.std(), len(sound))
    return 0.3 * (sound + noise * 10 ** (-decibels / 20))


def measured(folder, sounds, rate=RATE, **coding):
    paths = []
    for number, samples in enumerate(sounds):
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], samples, rate, **coding)
    return look(paths)


def look(paths, engine="serial"):
    with Engine(engine, 2) as runner, warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure_sounds(paths, cache=NoCache(), engine=runner)


def names(found, i):
    return {name for name, faulty in find_faults(found.values, CHECKED).items() if faulty[i]}


def tone(hertz, seconds=1.5):
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


SOUNDS = {
    "clipped": ({"clipped"}, lambda s: np.clip(3 * s, -0.9, 0.9)),
    "clipped, then made quiet": ({"clipped"}, lambda s: 0.1 * np.clip(3 * s, -0.9, 0.9)),
    "clipped on one channel": ({"clipped"}, lambda s: np.stack([s, np.clip(3 * s, -0.9, 0.9)], axis=1)),
    "zeros": ({"silent"}, lambda s: 0 * s),
    "next to nothing": ({"silent"}, lambda s: 0.0005 * s),
    "too short": ({"too-short", "odd-length"}, lambda s: s[2000:2800]),
    "long": ({"odd-length"}, lambda s: np.tile(s, 20)),
    "offset": ({"dc-offset"}, lambda s: 0.5 * s + 0.1),
    "noisy": ({"low-snr"}, lambda s: noise_at(s, -3)),
    "noisy between zeros": ({"low-snr"}, lambda s: np.pad(noise_at(s, -3), 9000)),
    "mostly silence": ({"mostly-silence"}, lambda s: np.pad(s[:5000], (0, 100_000))),
    "loud": (set(), lambda s: 1.999 * s),
    "quiet": (set(), lambda s: 0.01 * s),
    "channels against each other": (set(), lambda s: np.stack([s, -s], axis=1)),
    "tone": (set(), lambda s: 0.5 * tone(440)),
    "low tone": (set(), lambda s: 0.9 * tone(30.3)),
    "chord": (set(), lambda s: 0.2 * (tone(261.6) + tone(329.6) + tone(392))),
    "organ": (set(), lambda s: 0.1 * sum(tone(65.4 * k) / k for k in range(1, 30))),
    "square": (set(), lambda s: 0.5 * np.sign(tone(200.1))),
    "word in a second": (set(), lambda s: np.pad(s[:5000], (4000, 7000))),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_fault_is_found_and_nothing_else_is(tmp_path, kind):
    expected, change = SOUNDS[kind]
    good = [speech(1 + 0.1 * seed, seed) for seed in range(9)]
    found = measured(tmp_path, [*good, change(good[5])])
    assert [names(found, i) for i in range(9)] == [set()] * 9
    assert names(found, 9) == expected


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_loud_tones_are_not_clipped_in_any_coding(tmp_path, subtype):
    found = measured(tmp_path, [0.9 * tone(100.3), speech() * 1.99], subtype=subtype)
    assert found.values["clipped"].max() < 0.001


@pytest.mark.parametrize("drive", [1.2, 2.0, 5.0])
def test_the_share_of_clipped_samples_is_counted(drive):
    samples = np.clip(drive * tone(100.3), -1, 1).astype(np.float32)
    expected = (np.abs(samples) == 1).mean()
    assert clipped(samples) == pytest.approx(expected, abs=0.001)
    assert clipped(0.1 * samples) == clipped(samples)


@pytest.mark.parametrize("decibels", [-5, 0, 5, 10])
def test_the_ratio_of_sound_to_noise_is_told(decibels):
    from datadiet_cli.encode.sounds import resample

    for sound in (speech(4, 2), tone(440, 4)):
        mixed = noise_at(sound, decibels).astype(np.float32)
        # Half of the noise lies above what is left.
        assert signal_to_noise(resample(mixed, RATE)) == pytest.approx(decibels + 3, abs=2.5)


def test_the_values_are_in_their_units(tmp_path):
    found = measured(tmp_path, [0.5 * tone(440, 2) + 0.25], rate=RATE)
    values = {name: column[0] for name, column in found.values.items()}
    assert values["seconds"] == 2
    assert values["offset"] == pytest.approx(0.25, abs=1e-3)
    assert values["level"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
    assert values["silence"] == 0


def test_numbers_beyond_all_bounds_do_no_harm(tmp_path):
    samples = speech()
    samples[100:103] = [np.nan, np.inf, -1e300]
    found = measured(tmp_path, [samples, np.ones(1), np.full(3, np.nan)], subtype="DOUBLE")
    assert found.causes.tolist() == [None] * 3
    assert not any(np.isinf(column).any() for column in found.values.values())


def test_files_that_cannot_be_read_have_a_cause_and_no_values(tmp_path):
    soundfile.write(tmp_path / "good.wav", speech(), RATE)
    whole = (tmp_path / "good.wav").read_bytes()
    for name, content in {"empty": b"", "text": b"no sound at all", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
    found = look([str(tmp_path / name) for name in ("empty", "text", "cut", "good.wav", "absent")])
    assert found.causes.tolist() == ["empty", "not-audio", "truncated", None, "unreachable"]
    for column in found.values.values():
        assert np.isnan(column[[0, 1, 2, 4]]).all()
        assert not np.isnan(column[3])


def test_neither_the_order_nor_the_engine_makes_a_difference(tmp_path):
    first = measured(tmp_path, [speech(1, seed) for seed in range(12)])
    order = np.random.default_rng(0).permutation(12)
    again = look([str(tmp_path / f"{i}.wav") for i in order], "threads")
    for name in MEASURES:
        assert np.array_equal(first.values[name][order], again.values[name])
