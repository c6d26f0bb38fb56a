"""Pairs of near binary hashes, when there are more hashes than memory holds.

The search of `methods.hamming`, turn by turn: the hashes are dealt out to bucket files by the first bits of the chunk
whose turn it is. Two hashes that may be near lie in buckets whose numbers differ in no more bits than the chunk allows,
so a worker joins two buckets at a time, by the other bits of the chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.engine import Engine, Exchange
from datadiet_cli.grouping import portions
from datadiet_cli.methods.hamming import Sets, planned, search, sets_between, sets_within
from datadiet_cli.methods.hamming_join import (
    Buckets,
    Columns,
    Found,
    Join,
    Rule,
    join,
    keys_of,
    pairs_of,
    rule_of,
    sort_into_buckets,
)
from datadiet_cli.methods.hamming_plan import Chunk

Hashes = NDArray[np.uint64]

_ROW_BYTES, _KEY_BYTES = 40, 16
"""Memory to search a hash in, beside thrice the hash itself; and for each key that a chunk may have. Measured."""
_AT_ONCE = 1 << 18
"""Hashes that are dealt out together."""
_MOST_BITS = 8
"""A hash is read once for each difference that two buckets may have: the more buckets, the more reading."""
_WORTH_A_BUCKET = 1 << 12
_TOGETHER = 8
"""Buckets that one is joined with in a piece of work."""


class _Meeting(NamedTuple):
    """A bucket, and the differences to the numbers of those that it is joined with."""

    bucket: int
    differences: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two sets in bucket files.

    Attributes:
        exchange: the files.
        pieces: how many there are.
    """

    exchange: Exchange
    pieces: int

    def sorted(self, bucket: int, bits: Sequence[int]) -> Buckets:
        """The hashes of a bucket, sorted by some of their bits."""
        found = self.exchange.read(bucket, range(self.pieces))
        return sort_into_buckets(np.ascontiguousarray(found["hashes"].T), bits, found["rows"])


@dataclass(frozen=True, eq=False)
class _Turn:
    """What workers need to know when it is the turn of a chunk.

    Attributes:
        rule: which pairs count.
        chunk: its bits, of which the first name the bucket.
        first: how many these are.
        one: the hashes.
        other: those they are compared with; the same for themselves.
    """

    rule: Rule
    chunk: Chunk
    first: int
    one: _Side
    other: _Side

    def meetings(self) -> Iterator[_Meeting]:
        """Which buckets may hold hashes that are near each other; of the same set each two once."""
        for bucket in range(1 << self.first):
            differences = [
                difference
                for difference in Chunk(self.chunk.bits[: self.first], self.chunk.flips).masks()
                if not self.rule.within or bucket <= bucket ^ difference
            ]
            for at in range(0, len(differences), _TOGETHER):
                yield _Meeting(bucket, tuple(differences[at : at + _TOGETHER]))


def pairs_within(hashes: Hashes, radius: int, engine: Engine) -> NDArray[np.int64]:
    """Find every pair of hashes within a radius: as `methods.hamming.pairs_within`, within the memory limit.

    Args:
        hashes: (n,) or (n, words) uint64, best all different.
        radius: greatest distance in bits, 0 or more.
        engine: says what is too large, and does the work.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted. They, too, are held in memory.

    Raises:
        ValueError: as there.
        DatadietError: a bucket file was lost.
        OSError: one cannot be written.
    """
    return _search(sets_within(hashes, radius), engine)


def pairs_between(one: Hashes, other: Hashes, radius: int, engine: Engine) -> NDArray[np.int64]:
    """Find every pair of two sets within a radius: as `methods.hamming.pairs_between`, within the memory limit.

    Args:
        one: (n,) or (n, words) uint64.
        other: (m,) or (m, words) uint64.
        radius: greatest distance in bits, 0 or more.
        engine: says what is too large, and does the work.

    Returns:
        (p, 2) int64, rows (i, j), sorted. They, too, are held in memory.

    Raises:
        ValueError: as there.
        DatadietError: a bucket file was lost.
        OSError: one cannot be written.
    """
    return _search(sets_between(one, other, radius), engine)


def _search(sets: Sets, engine: Engine) -> NDArray[np.int64]:
    words, n = sets.one.shape
    chunks = planned(sets)
    # Where all pairs are compared, nothing is held but the hashes.
    if chunks is None:
        return search(sets, None, engine)
    hashes = n if sets.within else n + sets.other.shape[1]
    size = hashes * (_ROW_BYTES + 24 * words) + (_KEY_BYTES << max(len(chunk.bits) for chunk in chunks))
    if not engine.too_large(size):
        return search(sets, chunks, engine)
    buckets = min(2 * portions(size, engine), hashes // _WORTH_A_BUCKET)
    return in_buckets(sets, chunks, min(max(buckets - 1, 0).bit_length(), _MOST_BITS), engine)


def in_buckets(sets: Sets, chunks: Sequence[Chunk], first: int, engine: Engine) -> NDArray[np.int64]:
    """Search by a plan, through bucket files.

    Args:
        sets: what is searched.
        chunks: the plan.
        first: how many bits of a chunk name a bucket, at most.
        engine: does the work.

    Returns:
        (p, 2) int64 as `methods.hamming.search` gives them.
    """
    words, width = len(sets.one), sets.other.shape[1]
    parts: list[Found] = []
    for number, chunk in enumerate(chunks):
        bits = min(first, len(chunk.bits))
        rule = rule_of(sets.radius, chunks, number, words, width, within=sets.within)
        one = _dealt(sets.one, chunk.bits[:bits], engine)
        other = one if sets.within else _dealt(sets.other, chunk.bits[:bits], engine)
        turn = _Turn(rule, chunk, bits, one, other)
        parts += engine.each(meet, turn, turn.meetings())
        for side in (one, other):
            side.exchange.remove()
    return pairs_of(parts, width)


def _dealt(columns: Columns, bits: tuple[int, ...], engine: Engine) -> _Side:
    exchange = engine.exchange("hashes", 1 << len(bits))
    # No hashes at all are a piece as well: an empty one.
    starts = range(0, max(columns.shape[1], 1), _AT_ONCE)
    pieces = ((number, start, columns[:, start : start + _AT_ONCE]) for number, start in enumerate(starts))
    return _Side(exchange, sum(engine.each(deal, (exchange, bits), pieces)))


def deal(how: tuple[Exchange, tuple[int, ...]], piece: tuple[int, int, Columns]) -> int:
    """Write some hashes, from row `start` on, into buckets by some of their bits; gives 1, for one piece."""
    (exchange, bits), (number, start, columns) = how, piece
    rows = np.arange(start, start + columns.shape[1])
    bucket = keys_of(columns, bits).astype(np.int64)
    exchange.write(number, bucket, {"rows": rows, "hashes": columns.T})
    return 1


def meet(turn: _Turn, meeting: _Meeting) -> Found:
    """Join a bucket with others; pairs (i, j) as i * m + j, m being the number of hashes in the other set."""
    bits = turn.chunk.bits[turn.first :]
    one = turn.one.sorted(meeting.bucket, bits)
    found = [np.empty(0, dtype=np.int64)]
    for difference in meeting.differences:
        alone = turn.rule.within and not difference
        other = None if alone else turn.other.sorted(meeting.bucket ^ difference, bits)
        work = Join(turn.rule, one, other)
        masks = list(Chunk(bits, turn.chunk.flips - difference.bit_count()).masks())
        found += [join(work, piece) for piece in work.pieces(masks)]
    return np.concatenate(found)
