"""Copies among sounds: equal samples, or fingerprints that agree, confirmed on the waveforms."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.sounds import CAUSES, LONGEST, Samples, mono_sounds, require_soundfile
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.fingerprint import (
    Words,
    bit_error_rates,
    content_span,
    waveform_agreement,
)
from datadiet_cli.methods.fingerprint_search import comparable, likely_pairs, longest_shifts
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.files import file_preference, in_words, name_lengths, refuse_columns
from datadiet_cli.steps.likeness.hearing import Heard, listen_for_samples, listen_for_words
from datadiet_cli.steps.likeness.pool import Pool

SIMILARITY = 0.8
"""Default of `--similarity` for fingerprints: the share of bits that agree."""
MIN_AGREEMENT = 0.6
"""Least agreement of the waveforms of copies."""
SHARE = 0.8
"""Copies last at least this share of each other, silence at the ends left out, and overlap in as much."""
LONG_SHARE = 0.98
"""The same for sounds of which only the beginning is compared."""

_PAIRS_AT_ONCE = 32
_HELD_BYTES = 32 << 20
_MEASURED_AT_ONCE = 256


def by_samples(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Sounds that decode to the same samples: same rate, channels, length and values, whatever the container.

    Raises:
        ConfigError: columns were named.
        MissingExtraError: the extra that decodes sounds is not installed.
    """
    refuse_columns(pool, settings)
    require_soundfile("samples")
    heard = listen_for_samples(pool.paths, context)
    readable = heard.readable
    node = np.full(len(pool), ALONE, dtype=np.int64)
    node[readable] = distinct(heard.digest[readable], shared_only=True)

    def measure(a: Ints, b: Ints) -> Measured:
        return Measured.of(np.zeros(len(a)))

    # Where all samples are equal, more bytes are but more room for the same.
    smallest = [*_quality(heard), pool.bytes, name_lengths(pool)]
    better = smallest if settings.prefer == "largest" else file_preference(pool, settings)
    return Likeness(Candidates(node, NO_EDGES), measure, 0.0, better, in_words(heard.facts.cause, CAUSES))


def by_fingerprint(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Sounds that sound the same: gain, coding, sampling rate, channels and silence at the ends do not matter.

    Sounds that are silent, too short or too even for a fingerprint are copies of the same samples only.

    Raises:
        ConfigError: columns were named.
        MissingExtraError: the extra that decodes sounds is not installed.
    """
    refuse_columns(pool, settings)
    require_soundfile("fingerprint")
    paths = pool.paths
    heard = listen_for_words(paths, context)
    threshold = round(1 - (SIMILARITY if settings.similarity is None else settings.similarity), 12)
    node, first = _nodes(heard)
    reach = 1.5 * threshold + 0.02
    pairs, distance, shift = _search(heard, first, reach, context)
    nodes = len(first)
    key = pairs[:, 0] * nodes + pairs[:, 1]

    def look_up(a: Ints, b: Ints) -> tuple[NDArray[np.bool_], Ints, NDArray[np.bool_]]:
        """Whether the nodes of each pair are one; else their place among the edges, and whether it is one."""
        one, other = node[a], node[b]
        wanted = np.minimum(one, other) * nodes + np.maximum(one, other)
        place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        there = key[place] == wanted if len(key) else np.zeros(len(a), dtype=bool)
        return one == other, place, there

    def measure(a: Ints, b: Ints) -> Measured:
        same, place, there = look_up(a, b)
        found = np.where(same, 0.0, np.nan)
        found[there] = distance[place[there]]
        return Measured.of(found)

    def confirm(a: Ints, b: Ints) -> NDArray[np.bool_]:
        _, place, there = look_up(a, b)
        later = np.zeros(len(a), dtype=np.int64)
        later[there] = np.where(node[a] < node[b], 1, -1)[there] * shift[place[there]]
        # Sounds without a fingerprint share a node only if all samples are equal; nothing is left to confirm.
        agree = ~heard.telling[a]
        todo = np.flatnonzero(~agree)
        todo = todo[np.lexsort((b[todo], a[todo]))]
        items = [(paths[a[i]], paths[b[i]], int(later[i])) for i in todo.tolist()]
        with quiet_libraries():
            for part, found in context.engine.map(agreements, items, chunk=_PAIRS_AT_ONCE):
                agree[todo[part]] = found >= MIN_AGREEMENT
        return agree

    return Likeness(
        Candidates(node, pairs),
        measure,
        threshold,
        _preference(pool, heard, settings),
        in_words(heard.facts.cause, CAUSES),
        threshold_name="similarity",
        confirm=confirm if settings.verify else None,
        similar=True,
        reach=reach,
        metrics={"silent_or_too_short": int((heard.readable & ~heard.telling).sum()), "fingerprint_pairs": len(pairs)},
    )


def agreements(pairs: Sequence[tuple[str, str, int]]) -> NDArray[np.float64]:
    """Decode paired files once more and compare their waveforms, (n,) float64; 0 where one cannot be read."""
    held: dict[str, Samples] = {}
    found = np.zeros(len(pairs))
    for i, (one, other, shift) in enumerate(pairs):
        # Many pairs have a sound in common, so sounds are held as long as they do not take much memory.
        if sum(sound.nbytes for sound in held.values()) > _HELD_BYTES:
            held = {}
        for path in (one, other):
            if path not in held:
                held[path] = _content(path)
        found[i] = waveform_agreement(held[one], held[other], shift)
    return found


def _content(path: str) -> Samples:
    """The sound of a file, without silence at the ends."""
    ((_, samples, _),) = mono_sounds([path])
    begin, end = content_span(samples)
    return samples[begin:end]


def _nodes(heard: Heard) -> tuple[Ints, Ints]:
    """One node for sounds of the same digest; (n,) node of each sound, and the first sound of each node."""
    readable = np.flatnonzero(heard.readable)
    node = np.full(len(heard.seconds), ALONE, dtype=np.int64)
    keys = np.concatenate([heard.telling[readable, None].astype(np.uint8), heard.digest[readable]], axis=1)
    node[readable] = distinct(keys)
    first = np.unique(node[readable], return_index=True)[1]
    return node, readable[first]


def _search(heard: Heard, first: Ints, reach: float, context: Context) -> tuple[Ints, NDArray[np.float64], Ints]:
    """Pairs of nodes whose fingerprints differ in at most a share of their bits, that share, and their shift.

    Returns:
        (k, 2) int64 sorted, the smaller first; (k,) float64; (k,) int64, words that the first one is behind.
    """
    nodes = np.flatnonzero(heard.telling[first])
    count = np.diff(heard.starts)[first[nodes]]
    own = np.concatenate([[0], np.cumsum(count)])
    words = heard.words[np.arange(own[-1]) + np.repeat(heard.starts[first[nodes]] - own[:-1], count)]
    seconds = heard.seconds[first[nodes]]
    pairs = likely_pairs(words, own, seconds, SHARE)
    # Of long sounds the ends were not heard: at least their lengths must agree.
    long = (seconds > LONGEST)[pairs].any(axis=1)
    pairs = pairs[~long | comparable(seconds, LONG_SHARE, pairs[:, 0], pairs[:, 1])]
    distance, shift = np.empty(len(pairs)), np.empty(len(pairs), dtype=np.int64)
    tell = context.progress("comparing fingerprints", len(pairs))
    parts = [slice(begin, begin + _MEASURED_AT_ONCE) for begin in range(0, len(pairs), _MEASURED_AT_ONCE)]
    found = context.engine.each(_compare, (words, own), (pairs[part] for part in parts))
    for part, (rates, shifts) in zip(parts, found, strict=True):
        distance[part], shift[part] = rates, shifts
        tell(len(rates))
    near = distance <= reach
    return nodes[pairs[near]].reshape(-1, 2), distance[near], shift[near]


def _compare(data: tuple[Words, Ints], pairs: Ints) -> tuple[NDArray[np.float64], Ints]:
    (words, starts), a, b = data, pairs[:, 0], pairs[:, 1]
    return bit_error_rates(words, starts, a, b, longest_shifts(starts, SHARE, a, b))


def _preference(pool: Pool, heard: Heard, settings: Dedup) -> list[NDArray[np.generic]]:
    better = file_preference(pool, settings)
    return [*_quality(heard), *better] if settings.prefer == "largest" else better


def _quality(heard: Heard) -> list[NDArray[np.generic]]:
    """Lossless first: decoders lengthen what is lossy, and Opus always says 48 kHz, so its figures tell little."""
    facts = heard.facts
    return [~facts.lossless, -facts.rate, -facts.channels, -heard.seconds.round(1)]
