"""What a sound says rather than how it was recorded: a few numbers for the envelope of its spectrum, part by part."""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.vectors.classical_sounds import course_of, log_mel, mel_bands

_NUMBERS = 13
_PARTS = 5


class Mfcc:
    """Mel-frequency cepstral coefficients 1 to 13, averaged in each of five parts of the sound.

    Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", IEEE TASSP
    28(4), 1980. The coefficient of loudness, number 0, is left out.

    Args:
        device: not used.
    """

    dimensions = _NUMBERS * _PARTS
    similarity = 0.99
    namespace = "mfcc/1"

    def __init__(self, device: str) -> None:
        self._mel = mel_bands()

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Encode (m,) samples at 8,000 a second as a (65,) vector; None for silence or too few of them."""
        log = log_mel(samples, self._mel)
        if log is None or len(log) < _PARTS:
            return None
        course = course_of(log, _PARTS)
        coefficients: NDArray[np.float64] = course @ _cosines(course.shape[1])
        return coefficients.ravel()


def _cosines(bands: int) -> NDArray[np.float64]:
    """(bands, numbers) orthonormal cosines (DCT-II), the constant one left out."""
    number = np.arange(1, _NUMBERS + 1)
    wave: NDArray[np.float64] = np.sqrt(2 / bands) * np.cos(np.pi * (np.arange(bands)[:, None] + 0.5) * number / bands)
    return wave
