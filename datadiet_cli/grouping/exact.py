"""Number equal keys alike, when there are more of them than memory holds."""

from collections.abc import Iterator
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
        bounds: (buckets - 1,) sorted keys: the least of each bucket but the first.
    """

    exchange: Exchange
    bounds: Keys


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
        buckets: how many to deal the keys out to, by their order, so that each has about as many.
        shared_only: as there.
    """
    node = engine.zeros((len(keys),), np.int64)
    node[:] = ALONE
    if not len(keys):
        return node
    sample = np.sort(_comparable(keys[:: max(1, len(keys) // _SAMPLE)]))
    bounds = np.unique(sample[len(sample) * np.arange(1, buckets) // buckets])
    exchange = engine.exchange("keys", len(bounds) + 1)
    try:
        done = list(engine.each(deal, _Deal(exchange, bounds), _portions(keys)))
        total = 0
        for rows, numbers, count in engine.each(number, (exchange, done, shared_only), range(exchange.buckets)):
            node[rows] = total + numbers
            total += count
    finally:
        exchange.remove()
    return node


def _portions(keys: Keys) -> Iterator[_Portion]:
    for at, start in enumerate(range(0, len(keys), _AT_ONCE)):
        yield _Portion(at, start, np.asarray(keys[start : start + _AT_ONCE]))


def deal(how: _Deal, portion: _Portion) -> int:
    """Deal keys out to buckets; the number of the piece."""
    keys = _comparable(portion.keys)
    bucket = np.searchsorted(how.bounds, keys, side="right").astype(np.int64)
    rows = np.arange(portion.start, portion.start + len(keys))
    how.exchange.write(portion.number, bucket, {"rows": rows, "keys": portion.keys})
    return portion.number


def number(what: tuple[Exchange, list[int], bool], bucket: int) -> tuple[Ints, Ints, int]:
    """Number the keys of a bucket: which rows, their numbers from 0 on, and how many numbers there are."""
    exchange, pieces, shared_only = what
    found = exchange.read(bucket, pieces)
    node = distinct(found["keys"], shared_only=shared_only)
    part = np.flatnonzero(node != ALONE)
    return found["rows"][part], node[part], int(node.max(initial=ALONE)) + 1


def _comparable(keys: Keys) -> Keys:
    """(n,) keys, as `distinct` compares them."""
    if keys.ndim == 1:
        return keys
    return np.ascontiguousarray(keys).view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
