"""Acoustic fingerprints: a word of 32 bits for every 16 ms of a sound, and what two sounds have in common by them.

The words are sub-fingerprints after Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002),
section 4.2: the sign of the change in time of the difference between neighbouring bands of energy. Three things differ,
so that short clips work as well as songs: frames are shorter (128 ms, not 370), energies are compared as logarithms
above a floor, and a change must be worth mention before it counts. What lies below the floor, such as the noise of a
codec in a pause, leaves no bits.
"""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Words = NDArray[np.uint32]

RATE = 8000
"""Samples a second that all functions here expect."""
HOP = 128
"""Samples from one word to the next: 16 ms."""
WINDOW = 1024
BANDS = 33
LOWEST, HIGHEST = 300.0, 2000.0
LAG = 6
"""Words over which a change is measured: 96 ms."""
FLOOR = 1e-3
"""Of the largest energy in any band: what counts as silence."""
CHANGE = 0.1
"""Least change of the logarithm of a ratio of energies that sets a bit."""
BITS = 32

_QUIET = 1e-4
"""Of the loudest 10 ms: the power of silence at the ends."""
_SILENT = 1e-8
"""Power, full scale being 1, of what is silence altogether: -80 dB."""
_STEP = RATE // 100
_FRAMES_AT_ONCE = 1024

# What `waveform_agreement` compares: up to three passages, each cut into segments of 50 ms.
_PASSAGE, _PASSAGES = 5 * RATE, 3
_SEGMENT = RATE // 20
_REACH = 3 * HOP
_EMPHASIS = 0.9
_BAND = (200.0, 300.0, 3200.0, 3600.0)
_LOUD = 0.1


def content_span(samples: Samples) -> tuple[int, int]:
    """Where a sound begins and ends, silence at both ends left out.

    Silence is what lies 40 dB below the loudest 10 ms. A sound that is silent altogether (-80 dB) begins and ends at 0.

    Args:
        samples: (m,) float32 at `RATE`.

    Returns:
        the first sample, and the one after the last.
    """
    blocks = -(-len(samples) // _STEP)
    padded = np.zeros(blocks * _STEP, dtype=np.float64)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(blocks, _STEP)).mean(axis=1)
    loudest = power.max(initial=0.0)
    if loudest < _SILENT:
        return 0, 0
    sounding = np.flatnonzero(power > _QUIET * loudest)
    return int(sounding[0]) * _STEP, min(len(samples), (int(sounding[-1]) + 1) * _STEP)


def sub_fingerprints(samples: Samples) -> Words:
    """Turn a sound into words.

    The words do not change with the volume, and hardly with coding and sampling rate.

    Args:
        samples: (m,) float32 at `RATE`, without silence at the ends. What is around them counts as silence.

    Returns:
        (about m / `HOP`,) uint32.
    """
    padded = np.zeros(len(samples) + WINDOW + LAG * HOP, dtype=np.float32)
    padded[WINDOW // 2 + LAG * HOP :][: len(samples)] = samples
    energy = _band_energies(sliding_window_view(padded, WINDOW)[::HOP])
    loudness = np.log(energy + np.maximum(FLOOR * energy.max(initial=0), np.finfo(np.float32).tiny))
    slope = np.diff(loudness, axis=1)
    bits = slope[:-LAG] - slope[LAG:] > CHANGE
    return np.packbits(bits, axis=1).view(">u4").ravel().astype(np.uint32)


def _band_energies(frames: Samples) -> Samples:
    """(frames, bands) float32 energies between `LOWEST` and `HIGHEST`, each band as wide as the next in octaves."""
    edges = np.round(np.geomspace(LOWEST, HIGHEST, BANDS + 1) * WINDOW / RATE).astype(np.int64)
    window = np.hanning(WINDOW).astype(np.float32)
    energy = np.empty((len(frames), BANDS), dtype=np.float32)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        spectrum = np.fft.rfft(frames[part] * window)[:, : edges[-1]]
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        energy[part] = np.add.reduceat(power, edges[:-1], axis=1)
    return energy


def telling(words: Words, least: int = 8) -> bool:
    """Whether words say enough to tell sounds apart: at least so many different ones that are not nearly blank."""
    return len(np.unique(words[np.bitwise_count(words) >= BITS // 8])) >= least


def bit_error_rates(
    words: Words, starts: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], shifts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find how well paired sounds agree where they agree best (Haitsma & Kalker, section 4.3).

    Args:
        words: all words of all sounds, one sound after the other.
        starts: (n + 1,) int64, where the words of each sound begin.
        a: (k,) int64, one sound of each pair.
        b: (k,) int64, the other.
        shifts: (k,) int64, how many words the two may be shifted against each other, either way.

    Returns:
        (k,) float64, the least share of bits that differ where the two overlap; and (k,) int64, how many words later
        the same is in `a` than in `b`. Equally good shifts go to the smaller, then to the positive.
    """
    best = np.full(len(a), np.inf)
    shift = np.zeros(len(a), dtype=np.int64)
    length = np.diff(starts)
    for size in range(int(shifts.max(initial=-1)) + 1):
        for trial in (size, -size) if size else (0,):
            later, earlier = max(trial, 0), max(-trial, 0)
            overlap = np.minimum(length[a] - later, length[b] - earlier)
            open_ = np.flatnonzero((shifts >= size) & (overlap > 0))
            rate = _differing(words, starts[a[open_]] + later, starts[b[open_]] + earlier, overlap[open_])
            better = open_[rate < best[open_]]
            best[better] = rate[rate < best[open_]]
            shift[better] = trial
    return best, shift


def _differing(
    words: Words, first: NDArray[np.int64], second: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The share of bits that differ between runs of words."""
    if len(length) == 1:
        run = int(length[0])
        differ = words[first[0] : first[0] + run] ^ words[second[0] : second[0] + run]
        only: NDArray[np.float64] = np.bitwise_count(differ).sum(dtype=np.int64, keepdims=True) / (BITS * run)
        return only
    before = np.cumsum(length) - length
    within = np.arange(int(length.sum())) - np.repeat(before, length)
    differ = words[within + np.repeat(first, length)] ^ words[within + np.repeat(second, length)]
    if not len(length):
        return np.empty(0)
    counts: NDArray[np.float64] = np.add.reduceat(np.bitwise_count(differ), before, dtype=np.int64) / (BITS * length)
    return counts


def waveform_agreement(a: Samples, b: Samples, shift: int) -> float:
    """Compare two sounds by their waveforms, which tell apart what words do not: two takes of one spoken digit.

    Both are band-passed (300 Hz to 3.2 kHz, high frequencies raised), passages of five seconds are aligned by their
    cross-correlation, and the correlation of every loud segment of 50 ms is taken. Codecs leave all of them high;
    another take matches in some at best.

    Args:
        a: (m,) float32 at `RATE`, without silence at the ends.
        b: as `a`.
        shift: how many words later the same is in `a`.

    Returns:
        the lower quartile of the correlations, at most 1. Inverted polarity does not matter.
    """
    later, earlier = max(shift, 0) * HOP, max(-shift, 0) * HOP
    length = min(len(a) - later, len(b) - earlier)
    if length < _SEGMENT:
        return 0.0
    passage = min(length, _PASSAGE)
    begins = np.linspace(0, length - passage, _PASSAGES if length > _PASSAGE else 1).astype(np.int64).tolist()
    found = [_segments(a, b, later + begin, earlier + begin, passage) for begin in begins]
    correlation, loudness = (np.concatenate(part) for part in zip(*found, strict=True))
    loud = loudness > _LOUD * loudness.max(initial=0)
    return float(np.percentile(correlation[loud], 25, method="lower")) if loud.any() else 0.0


def _segments(a: Samples, b: Samples, in_a: int, in_b: int, length: int) -> tuple[NDArray[np.float64], ...]:
    """Correlation and loudness of the segments of one passage."""
    size = 1 << (length + 2 * _REACH - 1).bit_length()
    one, other = (_spectrum(sound, begin, length, size) for sound, begin in ((a, in_a), (b, in_b)))
    correlation = np.fft.irfft(one * other.conj(), size)
    lags = np.arange(-_REACH, _REACH + 1)
    at_lag = correlation[lags]
    lag = int(lags[np.abs(at_lag).argmax()])
    x = np.fft.irfft(one, size)[max(lag, 0) : length + min(lag, 0)]
    y = np.fft.irfft(other, size)[max(-lag, 0) : length + min(-lag, 0)] * np.sign(correlation[lag])
    count = max(1, len(x) // _SEGMENT)
    x, y = (part[: count * _SEGMENT].reshape(count, -1) for part in (x, y))
    power = np.square(x).sum(axis=1) * np.square(y).sum(axis=1)
    return (x * y).sum(axis=1) / np.sqrt(np.maximum(power, np.finfo(float).tiny)), power**0.25


def _spectrum(sound: Samples, begin: int, length: int, size: int) -> NDArray[np.complex128]:
    """The Fourier transform of a passage, filtered without a shift in phase."""
    spectrum: NDArray[np.complex128] = np.fft.rfft(sound[begin : begin + length].astype(np.float64), size)
    return spectrum * _gain(size)


@lru_cache(maxsize=8)
def _gain(size: int) -> NDArray[np.float64]:
    turn = 2 * np.pi * np.fft.rfftfreq(size)
    gain: NDArray[np.float64] = np.interp(turn * RATE / (2 * np.pi), _BAND, (0, 1, 1, 0))
    gain *= np.abs(1 - _EMPHASIS * np.exp(-1j * turn))
    return gain
