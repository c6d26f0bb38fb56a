"""Known edits of a sound."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.calibrating.content import Content, Made, UnfitError
from datadiet_cli.data.kinds import suffix
from datadiet_cli.encode import sounds

Samples = NDArray[np.float32]
Edit = Callable[[Samples, int, np.random.Generator], Samples]

_LARGEST = 1 << 25
"""Samples of a sound that is planted; longer ones are left alone."""


def edited(edit: Edit, *, other_format: bool = False) -> Callable[[Content, np.random.Generator], Made]:
    """An edit of (frames, channels) samples as one of files, written as 16-bit WAV, or as FLAC.

    Args:
        edit: is given the samples within -1 and 1, and their rate.
        other_format: whether a WAV becomes a FLAC file, and all else a WAV file.
    """

    def make(content: Content, rng: np.random.Generator) -> Made:
        import soundfile

        samples, rate = _decoded(content.path)
        new = np.clip(edit(samples, rate, rng), -1, 1)
        is_wav = suffix(content.path) == ".wav"
        form, ending = ("FLAC", ".flac") if is_wav and other_format else ("WAV", ".wav")
        target = io.BytesIO()
        soundfile.write(target, new, rate, format=form, subtype="PCM_16")
        return Made(target.getvalue(), ending)

    return make


def _decoded(path: str) -> tuple[Samples, int]:
    blocks: list[NDArray[Any]] = []
    try:
        with sounds.opened(path) as file:
            for block in sounds.blocks_of(file, "float32"):
                blocks.append(block)
                if sum(part.size for part in blocks) > _LARGEST:
                    raise UnfitError("too long")
            rate = int(file.samplerate)
    except sounds.UnreadableSoundError as error:
        raise UnfitError("cannot be read") from error
    if not blocks:
        raise UnfitError("no sound")
    return np.nan_to_num(np.concatenate(blocks)).astype(np.float32), rate


def _power(samples: Samples) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if power <= 0:
        raise UnfitError("silence")
    return power


def same(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Nothing but decoding and writing again."""
    del rate, rng
    return samples


def softer(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Half as loud: 6 decibels less."""
    del rate, rng
    _power(samples)
    return samples * np.float32(0.5)


def noisy(decibels: float) -> Edit:
    """White noise so many decibels below the sound."""

    def edit(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        del rate
        level = np.sqrt(_power(samples) * 10 ** (-decibels / 10))
        return samples + rng.standard_normal(samples.shape).astype(np.float32) * np.float32(level)

    return edit


def delayed(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """A twentieth of a second of silence before it."""
    del rng
    gap = np.zeros((max(1, rate // 20), samples.shape[1]), dtype=np.float32)
    return np.concatenate([gap, samples])


def trimmed(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """A twentieth gone at either end."""
    del rate, rng
    cut = len(samples) // 20
    if not cut:
        raise UnfitError("too short")
    return samples[cut:-cut]


def clipped(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """So loud that every tenth sample is cut off."""
    del rate, rng
    loud = float(np.quantile(np.abs(samples), 0.9))
    if loud <= 0:
        raise UnfitError("silence")
    return samples / np.float32(loud)


def silenced(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """As long as it was, and nothing to be heard."""
    del rate, rng
    return np.zeros_like(samples)


def hiss(samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """White noise as loud and as long in its place."""
    del rate
    return rng.standard_normal(samples.shape).astype(np.float32) * np.float32(np.sqrt(_power(samples)))
