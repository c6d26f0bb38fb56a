"""What a sound is like, in numbers made by hand: the course of its mel spectrum, on the scale of loudness we hear."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.encode.cached import Made
from datadiet_cli.encode.sounds import CAUSES, RATE, mono_sounds
from datadiet_cli.encode.vectors.making import Choice, as_rows

CODES = tuple(sorted(CAUSES))
AT_ONCE = 16
NAMESPACE = "audio/1"

_WINDOW, _HOP = 256, 80
_BANDS = 40
_PARTS = 12
_QUIET = 1e-10
"""Power that is as good as none: 100 dB below full scale."""
_RANGE = 1e-6
"""Nor does what is 60 dB below the loudest count: coding and resampling leave noise there."""


class ClassicalSounds:
    """The log-mel spectrum averaged in twelve parts of the sound, and how much it varies in each band.

    The mean of all is taken off, so loudness does not matter; silence at both ends is cut away.
    (Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", IEEE TASSP
    28(4), 1980, for the bands.)

    Args:
        device: not used.
    """

    dimensions = _BANDS * (_PARTS + 1)
    similarity = 0.99
    namespace = "classical/1"

    def __init__(self, device: str) -> None:
        self._mel = mel_bands()

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Encode (m,) samples at 8,000 a second as a (520,) vector; None for silence or too few of them."""
        log = log_mel(samples, self._mel)
        if log is None or len(log) < _PARTS:
            return None
        return np.concatenate([course_of(log, _PARTS).ravel(), log.std(axis=0)])


def course_of(log: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """(parts, bands) means of (frames, bands), part by part."""
    edges = np.linspace(0, len(log), parts + 1).astype(np.int64)
    return np.array([log[a:b].mean(axis=0) for a, b in pairwise(edges.tolist())])


def log_mel(samples: NDArray[np.float32], mel: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The logarithm of the power in each band, frame by frame, from the first loud frame to the last.

    Args:
        samples: (m,) at 8,000 a second.
        mel: as `mel_bands` gives it.

    Returns:
        (frames, bands) with a mean of 0; None for silence, or fewer samples than a frame has.
    """
    if len(samples) < _WINDOW:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _WINDOW)[::_HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1))) / _WINDOW
    bands: NDArray[np.float64] = power @ mel
    total = bands.sum(axis=1)
    loud = np.flatnonzero(total > max(total.max() * 1e-4, _QUIET))
    if not len(loud):
        return None
    bands = bands[loud[0] : loud[-1] + 1]
    log: NDArray[np.float64] = np.log(np.maximum(bands, bands.max() * _RANGE))
    log -= log.mean()
    return log


def mel_bands() -> NDArray[np.float64]:
    """(frequencies, bands) triangles, evenly spaced in mel from 80 to 3,400 Hz."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (80, 3400))
    corners = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(_WINDOW, 1 / RATE)[:, None]
    # A band narrower than the spacing of frequencies still gets the nearest one.
    width = RATE / _WINDOW
    up = (frequency - corners[:-2]) / np.maximum(corners[1:-1] - corners[:-2], width)
    down = (corners[2:] - frequency) / np.maximum(corners[2:] - corners[1:-1], width)
    return np.maximum(np.minimum(up, down), 0)


def encode_sounds(paths: Sequence[str], choice: Choice) -> Made:
    """Decode sounds and encode them. Never raises for a file: what is wrong with it is its cause."""
    encoder = choice.make()
    vectors = np.zeros((len(paths), encoder.dimensions))
    causes: list[str | None] = [None] * len(paths)
    plain = np.zeros(len(paths), dtype=np.uint64)
    for i, samples, facts in mono_sounds(paths):
        causes[i] = facts.cause[0]
        vector = encoder(samples) if causes[i] is None else None
        if vector is not None:
            vectors[i] = vector
        elif causes[i] is None:
            plain[i] = xxhash.xxh3_64_intdigest(samples.tobytes()) | 1
    return as_rows(vectors, causes, plain, CODES)
