"""A sound file -> its samples, as they are or as mono at one rate, and a few facts. Decodes with libsndfile."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.errors import MissingExtraError

if TYPE_CHECKING:
    from soundfile import SoundFile

Samples = NDArray[np.float32]

RATE = 8000
"""Samples a second of what `mono` gives."""
LONGEST = 120
"""Seconds of a sound that `mono` gives, from its start."""

_BLOCK = 1 << 18
"""Samples decoded at a time, all channels together."""
_PIECE, _MARGIN = 10, 1
"""Seconds resampled at a time, and those around them that keep the seams from showing."""
_PASS, _STOP = 3400, 4000
"""Hertz: what lies below is kept, what lies above is gone."""
_FASTEST = 1_000_000
"""Hertz; a higher rate stands in no header but a damaged one."""
ENDLESS = 1 << 62
"""A length that libsndfile gives where a header does not tell."""
_LOSSLESS = ("PCM_", "FLOAT", "DOUBLE", "ALAC_")

CAUSES = {
    "empty": "the file is empty, or holds no sample",
    "not-audio": "not a sound that libsndfile can read",
    "truncated": "the file ends in the middle of the sound",
    "damaged": "the content is damaged",
    "unreachable": "the file cannot be opened",
}


class UnreadableSoundError(Exception):
    """A file cannot be read; the message is its cause."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of n sound files. Rows of files with a cause are zeros.

    Attributes:
        cause: (n,) object, why a file could not be read (a code of `CAUSES`), or None.
        rate: (n,) int64, samples a second of each channel.
        channels: (n,) int64.
        frames: (n,) int64, samples of each channel.
        lossless: (n,) bool, by the coding.
    """

    cause: NDArray[np.object_]
    rate: NDArray[np.int64]
    channels: NDArray[np.int64]
    frames: NDArray[np.int64]
    lossless: NDArray[np.bool_]

    @classmethod
    def blank(cls, n: int) -> "Facts":
        """Rows to fill."""
        cause = np.full(n, None, dtype=object)
        rate, channels, frames = (np.zeros(n, dtype=np.int64) for _ in range(3))
        return cls(cause, rate, channels, frames, np.zeros(n, dtype=bool))

    def __setitem__(self, part: slice, facts: "Facts") -> None:
        for name in ("cause", "rate", "channels", "frames", "lossless"):
            getattr(self, name)[part] = getattr(facts, name)


def require_soundfile(method: str, step: str = "dedup", setting: str = "method") -> None:
    """Check that sounds can be decoded here.

    Args:
        method: what wants to decode them.
        step: the step that it belongs to.
        setting: what `method` is a value of.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f"{step}: {setting} {method} decodes sounds with soundfile, which is not installed: "
            "pip install 'datadiet[audio]'"
        ) from error


def decoder() -> str:
    """What decodes sounds, with its version."""
    import soundfile

    return f"libsndfile-{soundfile.__libsndfile_version__}-numpy-{np.__version__}"


def seconds_announced(path: str) -> float:
    """How long a sound is by its header; 0 if it cannot be read or does not tell."""
    try:
        with opened(path) as file:
            return float(file.frames / file.samplerate) if file.frames < ENDLESS else 0.0
    except UnreadableSoundError:
        return 0.0


def digest_sounds(paths: Sequence[str]) -> tuple[Facts, NDArray[np.uint8]]:
    """Decode each file and digest what it sounds like, whatever the container.

    Never raises for a file: what is wrong with it is its cause.

    Returns:
        the facts; and (n, 16) uint8 BLAKE2b digests of rate, channels and all sample values. Integers of 8 to 32 bits
        and floats are all exact as 64-bit floats, so equal values have equal digests however they are stored.
    """
    facts = Facts.blank(len(paths))
    digests = np.zeros((len(paths), 16), dtype=np.uint8)
    for i, path in enumerate(paths):
        hasher = hashlib.blake2b(digest_size=16)
        try:
            with opened(path) as file:
                hasher.update(f"{file.samplerate} {file.channels} ".encode())
                frames = 0
                for block in blocks_of(file, "float64"):
                    block += 0.0  # there is one zero, not two
                    hasher.update(block.data)
                    frames += len(block)
                if not frames:
                    raise UnreadableSoundError("empty")
                _note(facts, i, file, frames)
        except UnreadableSoundError as error:
            facts.cause[i] = str(error)
        else:
            digests[i] = np.frombuffer(hasher.digest(), dtype=np.uint8)
    return facts, digests


def mono_sounds(paths: Sequence[str]) -> Iterator[tuple[int, Samples, Facts]]:
    """Decode the first `LONGEST` seconds of each file, with all channels mixed, at `RATE`.

    Never raises for a file: what is wrong with it is its cause.

    Yields:
        position, (m,) float32 samples between -1 and 1 as a rule (none for a file with a cause), and facts of one row.
        The frames are those of the whole file.
    """
    for i, path in enumerate(paths):
        facts = Facts.blank(1)
        samples = np.empty(0, dtype=np.float32)
        try:
            with opened(path) as file:
                limit = LONGEST * file.samplerate
                mixed = [block.mean(axis=1, dtype=np.float32) for block in blocks_of(file, "float32", limit)]
                frames = sum(map(len, mixed))
                if not frames:
                    raise UnreadableSoundError("empty")
                samples = resample(np.nan_to_num(np.concatenate(mixed)), file.samplerate)
                _note(facts, 0, file, frames if frames < limit or file.frames >= ENDLESS else file.frames)
        except UnreadableSoundError as error:
            facts.cause[0] = str(error)
        yield i, samples, facts


def _note(facts: Facts, i: int, file: "SoundFile", frames: int) -> None:
    facts.rate[i], facts.channels[i], facts.frames[i] = file.samplerate, file.channels, frames
    facts.lossless[i] = file.subtype.startswith(_LOSSLESS)


@contextmanager
def opened(path: str) -> Iterator["SoundFile"]:
    """Open a sound file for as long as the context lasts.

    Raises:
        UnreadableSoundError: it cannot be read; the message is a code of `CAUSES`.
    """
    import soundfile

    try:
        # By its descriptor: what a file is is told by its content, not by its name.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableSoundError("unreachable") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableSoundError("unreachable")
        if status.st_size == 0:
            raise UnreadableSoundError("empty")
        try:
            file = soundfile.SoundFile(descriptor, closefd=False)
        except (soundfile.SoundFileError, TypeError, ValueError) as error:
            raise UnreadableSoundError("not-audio") from error
        with file:
            if file.frames == 0:
                raise UnreadableSoundError("empty")
            if not 0 < file.samplerate <= _FASTEST:
                raise UnreadableSoundError("damaged")
            if _cut_off(file):
                raise UnreadableSoundError("truncated")
            yield file
    except OSError as error:
        raise UnreadableSoundError("unreachable") from error
    finally:
        os.close(descriptor)


def _cut_off(file: "SoundFile") -> bool:
    """Whether libsndfile found less in a file than its header announces, and said so in its log."""
    for line in file.extra_info.splitlines():
        if line.lstrip().startswith(("data :", "SSND :", "Data Size")) and "(should be" in line:
            announced = line.partition(":")[2].split()[0]
            # Programs that write to a pipe cannot know the length; what they put there is no announcement.
            return announced.isdigit() and 0 < int(announced) < 0x7FFFF000
    return False


def blocks_of(file: "SoundFile", dtype: str, limit: int | None = None) -> Iterator[NDArray[np.floating]]:
    """Decode a file block by block, (frames, channels) each, up to a number of frames."""
    import soundfile

    size = max(1, _BLOCK // file.channels)
    # The length of MP3 files is an estimate where the header does not tell it.
    estimated = file.frames >= ENDLESS or file.subtype.startswith("MPEG_")
    left = min(ENDLESS if limit is None else limit, ENDLESS if estimated else file.frames)
    while left > 0:
        try:
            block = file.read(min(size, left), dtype=dtype, always_2d=True)
        except soundfile.SoundFileError as error:
            raise UnreadableSoundError("damaged") from error
        if not len(block):
            break
        left -= len(block)
        yield block
    if left > 0 and not estimated:
        raise UnreadableSoundError("truncated")


def resample(samples: Samples, rate: int) -> Samples:
    """Bring samples to `RATE`, by the Fourier transform of overlapping pieces.

    Args:
        samples: (m,) float32.
        rate: samples a second, a whole number.

    Returns:
        (round up of m * RATE / rate,) float32, without what lies above 4 kHz.
    """
    if rate == RATE:
        return samples
    length = -(-len(samples) * RATE // rate)
    out = np.empty(length, dtype=np.float32)
    for second in range(0, -(-length // RATE), _PIECE):
        whole = min(_PIECE, -(-length // RATE) - second) + 2 * _MARGIN
        piece = np.zeros(whole * rate, dtype=np.float32)
        begin = (second - _MARGIN) * rate
        part = samples[max(begin, 0) : begin + len(piece)]
        offset = max(-begin, 0)
        piece[offset : offset + len(part)] = part
        spectrum = np.fft.rfft(piece)
        gain = _gain(whole)
        kept = np.zeros(len(gain), dtype=np.complex64)
        shared = min(len(gain), len(spectrum))
        kept[:shared] = spectrum[:shared] * gain[:shared]
        resampled = np.fft.irfft(kept, whole * RATE) * np.float32(RATE / rate)
        target = out[second * RATE : (second + _PIECE) * RATE]
        target[:] = resampled[_MARGIN * RATE : _MARGIN * RATE + len(target)]
    return out


@lru_cache(maxsize=2 * _PIECE)
def _gain(seconds: int) -> Samples:
    """The low-pass filter: one, then half a period of a cosine, then nothing."""
    hertz = np.arange(seconds * RATE // 2 + 1) / seconds
    slope = np.clip((hertz - _PASS) / (_STOP - _PASS), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * slope)).astype(np.float32)
