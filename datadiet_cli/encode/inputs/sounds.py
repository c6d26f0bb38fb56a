"""Sound files -> waves of one length, mono, at 8,000 samples a second."""

import tempfile
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.inputs.reading import Causes, Room, read
from datadiet_cli.encode.sounds import RATE, UnreadableSoundError, blocks_of, opened, resample, seconds_announced
from datadiet_cli.engine import Engine

AT_ONCE = 16
LONGEST = 10.0
"""Seconds of a sound that a model hears at most, from its start."""
SHARE = 0.95
"""Share of the sounds to learn from that are heard whole."""
SHORTEST = 2048
"""Samples of the shortest wave, a quarter of a second: a few frames of a spectrum."""
_STEP = 256
_MARGIN = 1
"""Seconds beyond the end that the filter of the resampler looks at."""
_FULL = 32768.0


def read_sounds(
    paths: Sequence[str | None],
    samples: int,
    *,
    engine: Engine,
    progress: Callable[[int], None] = lambda _: None,
    room: Room = tempfile.gettempdir,
) -> tuple[NDArray[np.int16], Causes]:
    """Waves of files.

    Args:
        paths: n sound files, None for none.
        samples: of a wave.
        engine: runs the kernel.
        progress: told of sounds done.
        room: gives the folder of a large array.

    Returns:
        (n, samples) int16, and (n,) object; as `decode_sounds` gives them.
    """
    return read(
        paths,
        decode_sounds,
        samples,
        row=(samples,),
        dtype=np.int16,
        engine=engine,
        chunk=AT_ONCE,
        progress=progress,
        room=room,
    )


def length_for(paths: Sequence[str | None], engine: Engine) -> int:
    """Samples that are enough for most sounds, by what their headers tell.

    Args:
        paths: of the sounds to learn from, None for none.
        engine: opens them.
    """
    seconds, _ = read(paths, _announced, row=(), dtype=np.float64, engine=engine, chunk=AT_ONCE)
    known = seconds[seconds > 0]
    usual = float(np.quantile(known, SHARE)) if len(known) else 1.0
    return max(SHORTEST, -(-round(min(usual, LONGEST) * RATE) // _STEP) * _STEP)


def _announced(paths: Sequence[str]) -> tuple[NDArray[np.float64], list[str | None]]:
    return np.array([seconds_announced(path) for path in paths], dtype=np.float64), [None] * len(paths)


def decode_sounds(paths: Sequence[str], samples: int) -> tuple[NDArray[np.int16], list[str | None]]:
    """Decode the start of each file, all channels mixed.

    Never raises for a file: what is wrong with it is its cause.

    Args:
        paths: k sound files.
        samples: of a wave, at 8,000 a second; longer sounds are cut, shorter ones end in zeros.

    Returns:
        (k, samples) int16, zeros for a file with a cause; and k codes of `encode.sounds.CAUSES`, or None.
    """
    waves = np.zeros((len(paths), samples), dtype=np.int16)
    causes: list[str | None] = []
    for i, path in enumerate(paths):
        cause = None
        try:
            wave = _wave(path, samples)
            waves[i, : len(wave)] = np.clip(np.rint(wave * np.float32(_FULL)), -_FULL, _FULL - 1)
        except UnreadableSoundError as error:
            cause = str(error)
        causes.append(cause)
    return waves, causes


def _wave(path: str, samples: int) -> NDArray[np.float32]:
    with opened(path) as file:
        limit = -(-samples * file.samplerate // RATE) + _MARGIN * file.samplerate
        mixed = [block.mean(axis=1, dtype=np.float32) for block in blocks_of(file, "float32", limit)]
        if not sum(map(len, mixed)):
            raise UnreadableSoundError("empty")
        return resample(np.nan_to_num(np.concatenate(mixed)), file.samplerate)[:samples]
