"""Listen to every sound once: facts, a digest and the words of its fingerprint; recalled if heard before."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.cached import remembered
from datadiet_cli.encode.sounds import (
    CAUSES,
    LONGEST,
    RATE,
    Facts,
    decoder,
    digest_sounds,
    mono_sounds,
    seconds_announced,
)
from datadiet_cli.methods.fingerprint import HOP, LAG, Words, content_span, sub_fingerprints, telling
from datadiet_cli.steps.context import Context

Ints = NDArray[np.int64]
Rows = NDArray[np.uint8]

WORDS = "sound-words/1"
SAMPLES = "sound-samples/1"
"""Namespaces of the cache. A change in what is remembered of a sound needs another number."""

_FILES_AT_ONCE = 8
_CAUSES = (None, *CAUSES)
_HEAD = np.dtype(
    [
        ("cause", "u1"),
        ("lossless", "u1"),
        ("telling", "u1"),
        ("fits", "u1"),
        ("channels", "<u4"),
        ("rate", "<i8"),
        ("frames", "<i8"),
        ("seconds", "<f8"),
        ("count", "<i8"),
        ("digest", "u1", 16),
    ]
)
# Rows of the cache have one width, and fingerprints have not; so a sound goes into the narrowest that it fits.
_ROOM = tuple(seconds * RATE // HOP + LAG for seconds in (4, 30, LONGEST))


@dataclass(frozen=True, eq=False)
class Heard:
    """What is remembered of n sounds.

    Attributes:
        facts: of the files.
        seconds: (n,) float64, how long each lasts; without silence at the ends if it is telling.
        telling: (n,) bool, whether it has words that tell it from others.
        digest: (n, 16) uint8, of the words and the length; of all samples where there are no words.
        words: uint32 words of all sounds, one sound after the other.
        starts: (n + 1,) int64, where the words of each begin.
    """

    facts: Facts
    seconds: NDArray[np.float64]
    telling: NDArray[np.bool_]
    digest: NDArray[np.uint8]
    words: Words
    starts: Ints

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(n,) bool, the sounds without a cause."""
        readable: NDArray[np.bool_] = self.facts.cause == None  # noqa: E711 - elementwise
        return readable


def listen_for_samples(paths: list[str], context: Context) -> Heard:
    """Digest all samples of every sound; no words."""
    with quiet_libraries():
        return _Listener(paths, context).run(SAMPLES, sample_rows, (0,))


def listen_for_words(paths: list[str], context: Context) -> Heard:
    """Take the fingerprint of every sound; the digest of all samples where a fingerprint would tell nothing."""
    with quiet_libraries():
        # Where nothing is remembered there is no width to save.
        rooms = _ROOM if context.cache.enabled else _ROOM[-1:]
        return _Listener(paths, context).run(WORDS, word_rows, rooms)


def sample_rows(paths: Sequence[str], room: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Digest files: rows of the cache, and which of them to remember. Never raises for a file."""
    facts, digests = digest_sounds(paths)
    head = _heads(facts)
    head["digest"], head["seconds"] = digests, facts.frames / np.maximum(facts.rate, 1)
    return _rows(head, room), head["cause"] != _CAUSES.index("unreachable")


def word_rows(paths: Sequence[str], room: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Take fingerprints: rows of the cache, and which of them to remember. Never raises for a file.

    A sound of more words than there is room for is not said to fit, and has none.
    """
    head = _heads(Facts.blank(len(paths)))
    rows = _rows(head, room)
    space = rows[:, _HEAD.itemsize :].view("<u4")
    limit = (room - LAG) * HOP / RATE
    fitting = [i for i, path in enumerate(paths) if room == _ROOM[-1] or seconds_announced(path) <= limit]
    head["fits"] = 0
    for i, samples, facts in mono_sounds([paths[i] for i in fitting]):
        row = slice(fitting[i], fitting[i] + 1)
        begin, end = content_span(samples)
        words = sub_fingerprints(samples[begin:end])
        if len(words) > room:
            continue
        if telling(words):
            head[row] = _heads(facts)
            # What follows after the part that was heard counts as sound.
            seconds = (end - begin) / RATE + max(0.0, facts.frames[0] / facts.rate[0] - LONGEST)
            digest = hashlib.blake2b(f"{seconds:.2f} ".encode() + words.tobytes(), digest_size=16).digest()
            head["telling"][row], head["count"][row], head["seconds"][row] = True, len(words), seconds
            head["digest"][row] = np.frombuffer(digest, dtype=np.uint8)
            space[row, : len(words)] = words
        elif facts.cause[0] is None:
            exact, _ = sample_rows([paths[fitting[i]]], 0)
            head[row] = exact.view(_HEAD)[:, 0]
        else:
            head[row] = _heads(facts)
    rows[:, : _HEAD.itemsize] = head.view(np.uint8).reshape(len(paths), -1)
    return rows, head["cause"] != _CAUSES.index("unreachable")


def _heads(facts: Facts) -> NDArray[np.void]:
    head = np.zeros(len(facts.cause), dtype=_HEAD)
    head["cause"] = [_CAUSES.index(cause) for cause in facts.cause.tolist()]
    head["lossless"], head["channels"] = facts.lossless, facts.channels
    head["rate"], head["frames"], head["fits"] = facts.rate, facts.frames, True
    return head


def _rows(head: NDArray[np.void], room: int) -> Rows:
    rows = np.zeros((len(head), _HEAD.itemsize + 4 * room), dtype=np.uint8)
    rows[:, : _HEAD.itemsize] = head.view(np.uint8).reshape(len(head), -1)
    return rows


class _Listener:
    """Gathers rows of the cache into what is remembered."""

    def __init__(self, paths: list[str], context: Context) -> None:
        self.paths, self.context = paths, context
        self.head = np.zeros(len(paths), dtype=_HEAD)
        self.words: list[Words] = [np.empty(0, dtype=np.uint32)] * len(paths)

    def run(self, namespace: str, kernel: Callable[..., tuple[Rows, NDArray[np.bool_]]], rooms: Sequence[int]) -> Heard:
        """Listen to all; to those that do not fit again, with more room."""
        todo = np.arange(len(self.paths))
        tell = self.context.progress("listening to sounds", len(todo))
        for room in rooms:
            self._listen(todo, f"{namespace}/{room}/{decoder()}", kernel, room)
            left = todo[self.head["fits"][todo] == 0]
            tell(len(todo) - len(left))
            todo = left
        return self._heard()

    def _listen(
        self, todo: Ints, namespace: str, kernel: Callable[..., tuple[Rows, NDArray[np.bool_]]], room: int
    ) -> None:
        found = remembered(
            [self.paths[i] for i in todo.tolist()],
            namespace,
            _HEAD.itemsize + 4 * room,
            kernel,
            room,
            cache=self.context.cache,
            engine=self.context.engine,
            chunk=_FILES_AT_ONCE,
        )
        for positions, rows in found:
            head = np.ascontiguousarray(rows[:, : _HEAD.itemsize]).view(_HEAD)[:, 0]
            self.head[todo[positions]] = head
            for i, count, row in zip(todo[positions].tolist(), head["count"].tolist(), rows, strict=True):
                self.words[i] = row[_HEAD.itemsize : _HEAD.itemsize + 4 * count].view("<u4").astype(np.uint32)

    def _heard(self) -> Heard:
        head = self.head
        facts = Facts(
            cause=np.array(_CAUSES, dtype=object)[head["cause"]],
            rate=head["rate"].copy(),
            channels=head["channels"].astype(np.int64),
            frames=head["frames"].copy(),
            lossless=head["lossless"] > 0,
        )
        starts = np.concatenate([[0], np.cumsum(head["count"])]).astype(np.int64)
        words = np.concatenate([*self.words, np.empty(0, dtype=np.uint32)])
        return Heard(facts, head["seconds"].copy(), head["telling"] > 0, head["digest"].copy(), words, starts)
