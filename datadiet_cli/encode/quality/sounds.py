"""Sound files -> clipping, loudness, length, offset, noise and silence, from one decoding each, with libsndfile."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode import sounds
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.cached import remembered
from datadiet_cli.encode.quality import Measures, packed, row_type, unpacked
from datadiet_cli.encode.sounds import CAUSES, LONGEST, RATE, Samples, decoder, resample
from datadiet_cli.engine import Engine

MEASURES = ("clipped", "level", "seconds", "offset", "snr", "silence")
VERSION = 1
"""Of all that makes a row; to be raised with any change of numbers."""
SOUNDS_AT_ONCE = 8

SILENT = -60.0
"""Decibels below full scale where a sound is silent: what ffmpeg's silencedetect and librosa's trim take."""
_PAUSE = 40.0
"""Decibels below its loudest moment where a sound pauses."""
_QUIETEST = 1e-6
_MOST = 1 << 24
"""Samples of all channels that are looked at."""
_LOUDEST = 1e6
"""Of a sample; files of floating-point numbers may hold any."""

_MOMENT = RATE // 50
_WINDOW, _HOP, _LEAST_WINDOWS = 512, 128, 8
_QUIET = 0.1
"""Quantile over time in which noise shows between the sounds, and for how many neighbouring frequencies alike."""
_NEIGHBOURS = 9
_STEADY = 0.5
_PADDING = 1e-6
_DEEPEST = 2

_CAUSES = (None, *CAUSES)


def measure_sounds(
    paths: Sequence[str],
    *,
    cache: Cache | NoCache,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
) -> Measures:
    """Measure every sound. Never raises for a file: what is wrong with it is its cause, of `encode.sounds.CAUSES`.

    Of a long sound the first two minutes are measured, and its whole length.

    Args:
        paths: sound files.
        cache: where rows are remembered.
        engine: runs the work.
        progress: told of sounds done.

    Returns:
        the causes, and these values, of the worst channel (the last two of the loudest):

        * ``clipped``: share of the samples on flat tops, see `clipped`.
        * ``level``: decibels below full scale of the loudest 20 ms, without the offset; -120 where all is zero.
        * ``seconds``: how long it lasts.
        * ``offset``: the mean, by full scale.
        * ``snr``: decibels from noise to sound, see `signal_to_noise`; NaN for a silent sound and one below 0.2 s.
        * ``silence``: share of the time that is silent or 40 dB below the loudest 20 ms; NaN for a silent sound.
    """
    with quiet_libraries():
        found = remembered(
            paths,
            f"sound-quality/{VERSION}/{decoder()}",
            row_type(MEASURES).itemsize,
            sound_rows,
            cache=cache,
            engine=engine,
            chunk=SOUNDS_AT_ONCE,
            progress=progress,
        )
        return unpacked(len(paths), MEASURES, _CAUSES, found)


def sound_rows(paths: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Measure some sounds: (k, width) rows, and (k,) bool, which of them to remember."""
    return packed(paths, MEASURES, _CAUSES, _measure, _cause_of)


def _cause_of(error: Exception) -> str:
    if isinstance(error, sounds.UnreadableSoundError):
        return str(error)
    raise error


def _measure(path: str) -> tuple[float, ...]:
    with sounds.opened(path) as file:
        rate = file.samplerate
        limit = max(1, min(LONGEST * rate, _MOST // file.channels))
        blocks = [block.astype(np.float32) for block in sounds.blocks_of(file, "float32", limit)]
        frames = sum(map(len, blocks))
        if not frames:
            raise sounds.UnreadableSoundError("empty")
        length = frames if frames < limit or file.frames >= sounds.ENDLESS else file.frames
    samples = np.concatenate(blocks)
    np.clip(np.nan_to_num(samples, copy=False), -_LOUDEST, _LOUDEST, out=samples)
    flat = max(clipped(channel) for channel in samples.T)
    offsets = samples.mean(axis=0, dtype=np.float64)
    samples -= offsets.astype(np.float32)
    loudest = int(np.argmax(np.square(samples, dtype=np.float64).mean(axis=0)))
    return flat, *_heard(resample(np.ascontiguousarray(samples[:, loudest]), rate), length / rate, offsets)


def _heard(samples: Samples, seconds: float, offsets: NDArray[np.float64]) -> tuple[float, ...]:
    moment = min(_MOMENT, len(samples))
    moments = samples[: len(samples) // moment * moment].reshape(-1, moment)
    levels = 20 * np.log10(np.maximum(np.sqrt(np.square(moments, dtype=np.float64).mean(axis=1)), _QUIETEST))
    level = float(levels.max())
    snr = silence = float("nan")
    if level >= SILENT:
        snr = signal_to_noise(samples)
        silence = float((levels < max(SILENT, level - _PAUSE)).mean())
    return level, seconds, float(np.abs(offsets).max()), snr, silence


def clipped(samples: Samples) -> float:
    """The share of samples that are cut off at the top or the bottom, however loud the sound is.

    They are the runs of three and more samples (as Audacity's "Find Clipping" has it) that are all at the largest
    value, or at the smallest, and that the wave enters or leaves by a jump: a step of several of the levels that the
    file has there. A soft tone in eight bits stays for long on its highest level too, but enters it from the next.
    What was cut off before a lossy coding has no flat tops any more.

    Args:
        samples: (m,) float32, of one channel.
    """
    cut = 0
    for wave in (samples, -samples):
        top = wave.max()
        at_top = np.flatnonzero(wave == top)
        below = wave[wave < top]
        if len(at_top) < 3 or not len(below):
            continue
        starts = np.flatnonzero(np.diff(at_top, prepend=-2) > 1)
        first, lengths = at_top[starts], np.diff(np.append(starts, len(at_top)))
        before, after = first - 1, first + lengths
        # The ends of the sound are no jumps.
        steps = np.maximum(
            np.where(before >= 0, top - wave[np.maximum(before, 0)], 0),
            np.where(after < len(wave), top - wave[np.minimum(after, len(wave) - 1)], 0),
        )
        cut += int(lengths[(lengths >= 3) & (steps > 2.5 * (top - below.max()))].sum())
    return cut / len(samples)


def signal_to_noise(samples: Samples) -> float:
    """How much louder than its noise a sound is.

    The power of noise at each frequency is told from the quiet moments, as by Martin, "Noise power spectral density
    estimation based on optimal smoothing and minimum statistics" (IEEE Trans. Speech Audio Proc. 9(5), 2001): the
    power of Gaussian noise in a window is exponentially distributed, hence its mean is the tenth quantile by 0.105.
    What does not come and go at all is a tone and no noise, and so is a peak among its neighbours: noise is the
    median of nine frequencies. Sound that is noise by nature (rain, applause) has a low ratio too.

    Args:
        samples: (m,) float32 at 8 kHz.

    Returns:
        decibels, of the power of all that is not noise by that of noise, -60 to 60; NaN if less than 0.2 s of it are
        no silence.
    """
    if len(samples) < _WINDOW + (_LEAST_WINDOWS - 1) * _HOP:
        return float("nan")
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    shape = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(windows * shape, axis=1)[:, _DEEPEST:]
    power = np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)
    # Zeros put around a sound are not its quiet moments.
    loudness = power.sum(axis=1)
    power = power[loudness > _PADDING * loudness.max()]
    if len(power) < _LEAST_WINDOWS:
        return float("nan")
    mean, low = power.mean(axis=0), np.quantile(power, _QUIET, axis=0)
    noise = np.where(low > _STEADY * mean, 0.0, low / -np.log1p(-_QUIET))
    padded = np.pad(noise, _NEIGHBOURS // 2, mode="reflect")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=1)
    total, noisy = float(mean.sum()), float(np.minimum(smooth, mean).sum())
    least = 1e-6 * total
    return float(10 * np.log10(max(total - noisy, least) / max(noisy, least)))
