"""Number equal keys alike, when there are more of them than memory holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.engine import Engine, Exchange
from datadiet_cli.grouping import portions
from datadiet_cli.methods.duplicates import ALONE, distinct

Ints = NDArray[np.int64]
Keys = NDArray[np.generic]

_ROW_BYTES = 26
"""Memory to sort and number a key, beside twice the key itself: measured."""
_AT_ONCE = 1 << 18
"""Keys that are dealt out together."""
_MOST, _SAMPLE = 256, 1 << 14


@dataclass(frozen=True, eq=False)
class _Deal:
    """How keys are dealt out.

    Attributes:
        exchange: where they go.
        bounds: (b,) sorted keys that are all different: the least of each range but the first.
        many: (m,) those of them that so many keys equal that they have a bucket of their own, before the rest of the
            range.
    """

    exchange: Exchange
    bounds: Keys
    many: Keys

    def buckets(self, keys: Keys) -> Ints:
        """Where each key goes; a smaller key goes nowhere behind."""
        return np.searchsorted(self.bounds, keys, side="right") + np.searchsorted(self.many, keys, side="left")


class _Dealt(NamedTuple):
    """A piece, and how many of its keys are in each bucket of equal keys."""

    number: int
    many: Sequence[int]


class _Portion(NamedTuple):
    number: int
    start: int
    keys: Keys


def numbered(keys: Keys, engine: Engine, *, shared_only: bool = False) -> Ints:
    """Number equal keys alike, in sorted order: what `methods.duplicates.distinct` gives, within the memory limit.

    Args:
        keys: (n,) integers or bytes, or (n, k) of any dtype, which are compared as bytes.
        engine: says what is too large, and does the work.
        shared_only: give -1 to keys that occur once: nothing can be their duplicate.

    Returns:
        (n,) int64 node numbers.

    Raises:
        DatadietError: a bucket file was lost.
        OSError: one cannot be written.
    """
    size = len(keys) * bytes_needed(keys)
    if not engine.too_large(size):
        return distinct(keys, shared_only=shared_only)
    return in_buckets(keys, engine, min(portions(size, engine), _MOST), shared_only=shared_only)


def bytes_needed(keys: Keys) -> int:
    """Memory that `distinct` takes for one of these keys, beside the array that holds them."""
    return _ROW_BYTES + 2 * keys.dtype.itemsize * int(np.prod(keys.shape[1:]))


def in_buckets(keys: Keys, engine: Engine, buckets: int, *, shared_only: bool = False) -> Ints:
    """The same through bucket files; see `numbered`.

    Args:
        keys: as there.
        engine: does the work.
        buckets: how many parts of about as many keys to deal out, by their order. Equal keys that would fill more than
            a part are never read together, for they all have one number.
        shared_only: as there.
    """
    node = engine.zeros((len(keys),), np.int64)
    node[:] = ALONE
    if not len(keys):
        return node
    bounds, many = _cuts(keys, buckets)
    exchange = engine.exchange("keys", len(bounds) + 1 + len(many))
    deal_of = _Deal(exchange, bounds, many)
    own = deal_of.buckets(many).tolist()
    try:
        done = list(engine.each(deal, deal_of, _portions(keys)))
        work = list(_work(exchange.buckets, own, done))
        total = 0
        for task, (rows, numbers, count) in zip(work, engine.each(number, (exchange, shared_only), work), strict=True):
            node[rows] = total + numbers
            total += count if task.last else 0
    finally:
        exchange.remove()
    return node


def _cuts(keys: Keys, buckets: int) -> tuple[Keys, Keys]:
    """Where to cut the keys in parts of about as many, and which of the cuts are keys that fill more than a part."""
    sample = np.sort(_comparable(keys[:: max(1, len(keys) // _SAMPLE)]))
    places = np.unique(len(sample) * np.arange(1, buckets) // buckets)
    bounds, often = np.unique(sample[places], return_counts=True)
    return bounds, bounds[often > 1]


class _Task(NamedTuple):
    """A bucket to be numbered, or some pieces of a bucket of equal keys.

    Attributes:
        bucket: its number.
        pieces: of the files it is read from.
        equal: whether all its keys are equal.
        last: whether nothing of the bucket is left.
    """

    bucket: int
    pieces: Sequence[int]
    equal: bool
    last: bool


def _work(buckets: int, own: list[int], done: list[_Dealt]) -> Iterator[_Task]:
    """What is to be read together: whole buckets, but of a bucket of equal keys about `_AT_ONCE` of them."""
    everything = [piece.number for piece in done]
    for bucket in range(buckets):
        if bucket not in own:
            yield _Task(bucket, everything, equal=False, last=True)
            continue
        there = [(piece.number, piece.many[own.index(bucket)]) for piece in done]
        part = np.cumsum([count for _, count in there]) // _AT_ONCE
        pieces = [piece for piece, _ in there]
        cut = np.flatnonzero(np.diff(part)) + 1
        for some in np.split(np.array(pieces), cut):
            yield _Task(bucket, some.tolist(), equal=True, last=some[-1] == pieces[-1])


def _portions(keys: Keys) -> Iterator[_Portion]:
    for at, start in enumerate(range(0, len(keys), _AT_ONCE)):
        yield _Portion(at, start, np.asarray(keys[start : start + _AT_ONCE]))


def deal(how: _Deal, portion: _Portion) -> _Dealt:
    """Deal keys out to buckets."""
    keys = _comparable(portion.keys)
    bucket = how.buckets(keys)
    rows = np.arange(portion.start, portion.start + len(keys))
    how.exchange.write(portion.number, bucket, {"rows": rows, "keys": portion.keys})
    count = np.bincount(bucket, minlength=how.exchange.buckets)
    return _Dealt(portion.number, count[how.buckets(how.many)].tolist())


def number(what: tuple[Exchange, bool], task: _Task) -> tuple[Ints, Ints, int]:
    """Number the keys of a bucket: which rows, their numbers from 0 on, and how many numbers there are."""
    exchange, shared_only = what
    found = exchange.read(task.bucket, task.pieces)
    if task.equal:
        # Two of them at least were in the sample.
        return found["rows"], np.zeros(len(found["rows"]), dtype=np.int64), 1
    node = distinct(found["keys"], shared_only=shared_only)
    part = np.flatnonzero(node != ALONE)
    return found["rows"][part], node[part], int(node.max(initial=ALONE)) + 1


def _comparable(keys: Keys) -> Keys:
    """(n,) keys, as `distinct` compares them."""
    if keys.ndim == 1:
        return keys
    return np.ascontiguousarray(keys).view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
