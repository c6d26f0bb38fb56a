"""Sound files -> a waveform and a spectrogram for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from datadiet_cli.encode.sounds import CAUSES, LONGEST, RATE, Samples, mono_sounds
from datadiet_cli.encode.vectors.classical_sounds import mel_bands
from datadiet_cli.report.html.samples.pictures import png_uri

WIDTH = 120
"""Parts of a sound that its waveform and its spectrogram show."""
_HALF = 20
"""Units that the waveform swings to either side."""
_WINDOW = 256
_FRAMES = 8
"""Windows at most that a column of the spectrogram is the mean of."""
_RANGE = 60.0
"""Decibels below the loudest that are shown."""
# From quiet to loud; even in lightness, so that it reads on paper and for the colour-blind.
_COLOURS = ((13, 8, 42), (86, 22, 108), (186, 55, 84), (249, 142, 50), (252, 246, 186))


@dataclass(frozen=True)
class Sound:
    """What a sound looks like.

    Attributes:
        waveform: inline SVG, lowest and highest values part by part; empty for one that cannot be shown.
        spectrogram: a data URI, log-mel from 80 to 3,400 Hz, upwards.
        words: length, rate and channels; why it cannot be shown if it cannot.
    """

    waveform: Markup
    spectrogram: str
    words: str


def missing(words: str) -> Sound:
    """What stands where a sound cannot be shown."""
    return Sound(Markup(), "", words)


def drawn_sounds(paths: Sequence[str]) -> list[Sound]:
    """Draw sounds. Never raises for a file: what is wrong with it is told in words."""
    sounds = []
    for _, samples, facts in mono_sounds(paths):
        cause = facts.cause[0]
        if cause is not None:
            sounds.append(missing(CAUSES[cause]))
            continue
        seconds, channels = int(facts.frames[0]) / int(facts.rate[0]), int(facts.channels[0])
        kind = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        words = f"{seconds:.2f} s, {int(facts.rate[0]):,} Hz, {kind}"
        if seconds > LONGEST:
            words += f"; the first {LONGEST} s are drawn"
        sounds.append(Sound(waveform(samples), spectrogram(samples), words))
    return sounds


def waveform(samples: Samples) -> Markup:
    """An SVG of (m,) samples, scaled to their largest value; m > 0."""
    edges = np.linspace(0, len(samples), WIDTH + 1).astype(np.int64)[:-1]
    edges = np.unique(np.minimum(edges, len(samples) - 1))
    high, low = np.maximum.reduceat(samples, edges), np.minimum.reduceat(samples, edges)
    peak = max(float(np.abs(samples).max()), 1e-9)
    across = (np.arange(len(edges)) + 0.5) * WIDTH / len(edges)
    # Silence is a line, not nothing.
    top = _HALF - np.maximum(high / peak * _HALF, 0.3)
    bottom = _HALF - np.minimum(low / peak * _HALF, -0.3)
    path = "".join(
        f"M{x:.1f} {a:.1f}V{b:.1f}" for x, a, b in zip(across.tolist(), top.tolist(), bottom.tolist(), strict=True)
    )
    return Markup(
        '<svg class="wave" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>'
    ).format(WIDTH, 2 * _HALF, path)


def spectrogram(samples: Samples) -> str:
    """A data URI of a picture of (m,) samples at `RATE`: time to the right, pitch upwards, loudness as colour."""
    levels = _levels(samples)
    colours = np.array(_COLOURS, dtype=np.float64)
    ramp = np.linspace(0, len(colours) - 1, 256)
    palette = np.stack([np.interp(ramp, np.arange(len(colours)), colours[:, k]) for k in range(3)], axis=1)
    image = Image.fromarray((levels.T[::-1] * 63).astype(np.uint8) * 4)
    image.putpalette(palette.astype(np.uint8).tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return png_uri(buffer.getvalue())


def _levels(samples: Samples) -> NDArray[np.float64]:
    """(columns, bands) from 0 to 1."""
    padded = np.pad(samples, (0, max(0, _WINDOW - len(samples)))).astype(np.float64)
    columns = max(1, min(WIDTH, len(samples) * 100 // RATE))
    # The same number of windows for each column, however long the sound is.
    starts = np.linspace(0, len(padded) - _WINDOW, columns * _FRAMES).astype(np.int64)
    frames = padded[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW)
    bands = np.square(np.abs(np.fft.rfft(frames, axis=1))) @ mel_bands()
    power = bands.reshape(columns, _FRAMES, -1).mean(axis=1)
    loudest = float(power.max())
    if loudest <= 1e-9:
        return np.zeros_like(power)
    decibels = 10 * np.log10(np.maximum(power / loudest, 1e-12))
    levels: NDArray[np.float64] = np.clip(1 + decibels / _RANGE, 0, 1)
    return levels
