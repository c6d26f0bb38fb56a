"""A sound file -> a WAV file of 16 bits with the same rate, channels and length: shifted, stretched, louder, noisy."""

import io

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode import sounds
from datadiet_cli.encode.augment import Recipe, UnchangedError, UnreadableError
from datadiet_cli.encode.sounds import Samples

LARGEST = 1 << 26
"""Samples of all channels of a sound beyond which it is a recording to be cut rather than a sample."""
CAUSES = {**sounds.CAUSES, "too-long": f"more than {LARGEST >> 20} million samples"}

_WHITE = 1 << 15
_SILENCE = 1e-5
"""Effective value below which a sound of 16 bits is silent; its noise is then 60 decibels below full scale."""
_FADE = 0.005
"""Seconds that a sound takes to fade at the seam where its end meets its beginning."""
_WINDOW, _SEARCH = 0.04, 0.01
"""Seconds of the pieces that stretching moves, and how far it looks for those that fit."""


def augment_sound(path: str, recipe: Recipe) -> bytes:
    """Carry out a recipe on a sound file; see `augment.augment`.

    A sound stretched keeps its length: what is too long loses both ends alike, what is too short is mirrored there. One
    that goes beyond full scale is scaled down to it.
    """
    import soundfile

    samples, rate = _decoded(path)
    plain = _integers(samples)
    if "stretch" in recipe:
        samples = _fitted(stretched(samples, recipe["stretch"], rate), len(samples))
    if "shift" in recipe:
        samples = _shifted(samples, recipe["shift"], rate)
    if "noise" in recipe:
        samples = _noisy(samples, recipe["noise"], recipe["seed"])
    if "gain" in recipe:
        samples = _gained(samples, recipe["gain"])
    new = _integers(samples)
    if np.array_equal(new, plain):
        raise UnchangedError(f"{path}: silence, or too short to be changed")
    target = io.BytesIO()
    soundfile.write(target, new, rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def _decoded(path: str) -> tuple[Samples, int]:
    """All samples, (m, channels) float32, and their rate."""
    blocks: list[NDArray[np.floating]] = []
    length = 0
    try:
        with sounds.opened(path) as file:
            for block in sounds.blocks_of(file, "float32"):
                blocks.append(block)
                length += block.size
                if length > LARGEST:
                    raise UnreadableError("too-long", CAUSES["too-long"])
            rate = int(file.samplerate)
        if not length:
            raise sounds.UnreadableSoundError("empty")
    except sounds.UnreadableSoundError as error:
        raise UnreadableError(str(error), CAUSES[str(error)]) from error
    samples = np.nan_to_num(np.concatenate(blocks), posinf=1, neginf=-1)
    return _limited(samples), rate


def _limited(samples: Samples) -> Samples:
    peak = _peak(samples)
    return samples / np.float32(peak) if peak > 1 else samples


def _peak(samples: Samples) -> float:
    return float(max(samples.max(initial=0), -samples.min(initial=0)))


def _integers(samples: Samples) -> NDArray[np.int16]:
    # As libsndfile reads them: full scale is 32768, which only the negative side reaches.
    scaled: Samples = np.rint(_limited(samples) * np.float32(_WHITE))
    return np.minimum(scaled, np.float32(_WHITE - 1)).astype(np.int16)


def _shifted(samples: Samples, part: float, rate: int) -> Samples:
    """Turn a sound in a circle, and fade at the seam, which would click."""
    frames = len(samples)
    offset = (round(part * frames) or (1 if part > 0 else -1)) % frames
    turned = np.roll(samples, offset, axis=0)
    fade = min(round(_FADE * rate), offset, frames - offset)
    ramp = ((np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)[:, None]
    turned[offset : offset + fade] *= ramp
    turned[offset - fade : offset] *= ramp[::-1]
    return turned


def _noisy(samples: Samples, decibels: float, seed: int) -> Samples:
    """Add white noise, each channel its own, so many decibels below the mean power of the whole sound."""
    power = float(np.mean(np.square(samples), dtype=np.float64)) ** 0.5
    deviation = power * 10 ** (-decibels / 20) if power > _SILENCE else 1e-3
    noise = np.random.default_rng(seed).standard_normal(samples.shape, dtype=np.float32)
    noise *= np.float32(deviation)
    noise += samples
    return noise


def _gained(samples: Samples, decibels: float) -> Samples:
    """Change the level; one that would clip is lowered by as much instead, for it would stay as it is otherwise."""
    if _peak(samples) * 10 ** (decibels / 20) > 1:
        decibels = -abs(decibels)
    return samples * np.float32(10 ** (decibels / 20))


def _fitted(samples: Samples, length: int) -> Samples:
    """The middle of a longer sound, or a shorter one with its ends mirrored."""
    spare = len(samples) - length
    if spare >= 0:
        return samples[spare // 2 : spare // 2 + length]
    return np.pad(samples, ((-spare // 2, -spare - -spare // 2), (0, 0)), mode="symmetric")


def stretched(samples: Samples, speed: float, rate: int) -> Samples:
    """Make a sound faster or slower at the same pitch, by moving overlapping pieces of it.

    Waveform similarity overlap-add: Verhelst and Roelands, "An overlap-add technique based on waveform similarity
    (WSOLA) for high quality time-scale modification of speech" (ICASSP 1993). Each piece is taken from near where it
    ought to be, there where it is most like what would follow the piece before it. All channels move together.

    Args:
        samples: (m, channels) float32.
        speed: how many times as fast, near 1.
        rate: samples a second.

    Returns:
        (m / speed, channels) float32, rounded; at least one frame. A sound shorter than a piece is resampled, pitch and
        all.
    """
    frames = max(1, round(len(samples) / speed))
    hop = max(8, round(_WINDOW / 2 * rate))
    reach = max(4, round(_SEARCH * rate))
    if len(samples) < 2 * hop:
        moments = np.linspace(0, len(samples) - 1, frames)
        tracks = [np.interp(moments, np.arange(len(samples)), track) for track in samples.T]
        return np.stack(tracks, axis=1).astype(np.float32)
    # The pieces begin half a piece before the sound, so that each frame of it lies in two.
    margin = 2 * (hop + reach)
    padded = np.pad(samples, ((margin, margin + 4 * hop), (0, 0)))
    mixed = padded.mean(axis=1, dtype=np.float32)
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)).astype(np.float32)[:, None]
    out = np.zeros((frames + 4 * hop, samples.shape[1]), dtype=np.float32)
    begin = margin - hop
    for at in range(-hop, frames, hop):
        ideal = margin + round(at * speed)
        if at > -hop:
            begin = ideal - reach + _best_fit(mixed[begin + hop : begin + 3 * hop], mixed[ideal - reach :], reach)
        out[at + hop : at + 3 * hop] += window * padded[begin : begin + 2 * hop]
    return out[hop : hop + frames]


def _best_fit(template: Samples, track: Samples, reach: int) -> int:
    """Where, of the first 2 * reach + 1 positions of a track, it is most like a template: by normalised correlation."""
    length = len(template)
    region = track[: length + 2 * reach]
    size = 1 << (len(region) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(region, size) * np.conj(np.fft.rfft(template, size)), size)[: 2 * reach + 1]
    energy = np.cumsum(np.square(region, dtype=np.float64))
    energy = energy[length - 1 :] - np.concatenate([[0.0], energy[:-length]])
    likeness = product / np.sqrt(np.maximum(energy, 1e-9 * max(float(energy.max()), 1e-12)))
    if float(likeness.max()) <= 0:
        return reach
    return int(np.argmax(likeness))
