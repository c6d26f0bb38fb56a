"""The sounds of the sample data: third-of-a-second tones and noises of four kinds, computed, never the same twice."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

RATE, SECONDS, EACH = 8000, 0.3, 24
KINDS = ("falling", "hiss", "rising", "steady")


def _course(kind: str, time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The frequency over time, in hertz."""
    start = rng.uniform(300, 900)
    share = time / time[-1]
    if kind == "steady":
        return np.full(len(time), start * rng.uniform(1, 1.6))
    turn = share if kind == "rising" else 1 - share
    return start * (1 + rng.uniform(0.8, 1.5) * turn)


def _sound(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(RATE * SECONDS)) / RATE
    noise = rng.normal(0, 1, len(time))
    if kind == "hiss":
        tone = np.convolve(noise, np.ones(int(rng.integers(1, 5))), "same")
    else:
        phase = 2 * np.pi * np.cumsum(_course(kind, time, rng)) / RATE
        tone = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.1 * noise
    rise = np.minimum(np.minimum(time, time[-1] - time) / 0.03, 1)
    return tone * rise / np.abs(tone).max() * rng.uniform(0.3, 0.9)


def make_sounds(rng: np.random.Generator) -> dict[str, bytes]:
    """WAV files by name, ``KIND_NUMBER.wav``: 8 kHz, mono, 16 bits."""
    files = {}
    for kind in KINDS:
        for number in range(EACH):
            buffer = io.BytesIO()
            with wave.open(buffer, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes((_sound(kind, rng) * 32767).astype("<i2").tobytes())
            files[f"{kind}_{number:02d}.wav"] = buffer.getvalue()
    return files
