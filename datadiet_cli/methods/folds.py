"""What all models that are learned in folds have in common: an order, folds, scaled columns, neighbours."""

import threading

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SEQUENTIAL = threading.Lock()
"""Held while a forest of scikit-learn learns or predicts: for each tree it sets the warnings of the whole process aside
and puts them back, and two threads at it would leave the process with those of neither."""
_KEPT = 30
"""Rows of a class that a sample never goes below."""


def hashes(x: Floats, seed: int) -> NDArray[np.uint64]:
    """A number for each row that depends on nothing but its content: an order that does not hang on the file's.

    Args:
        x: (n, d) float32, C-contiguous.
        seed: another gives other numbers.

    Returns:
        (n,) uint64, equal for equal rows.
    """
    rng = np.random.default_rng(seed)
    odd = rng.integers(0, 1 << 63, x.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.zeros(len(x), dtype=np.uint64)
    for start in range(0, len(x), 4096):
        # Adding zero turns -0 into 0.
        bits = (x[start : start + 4096] + np.float32(0)).view(np.uint32).astype(np.uint64)
        out[start : start + 4096] = ((bits + np.uint64(0x9E3779B9)) * odd).sum(axis=1, dtype=np.uint64)
    out ^= out >> np.uint64(32)
    out *= np.uint64(0xD6E8FEB86659FD93)
    return out ^ (out >> np.uint64(32))


def stratified(label: Ints, fit: Bools, folds: int) -> Ints:
    """Deal rows out to folds, class by class in the order they come in.

    Args:
        label: (n,) int64.
        fit: (n,) the rows to deal out.
        folds: how many.

    Returns:
        (n,) int64 folds from 0 on; -1 for the other rows. No two folds differ by more than one row, of a class too.
    """
    fold = np.full(len(label), -1, dtype=np.int64)
    rows = np.flatnonzero(fit)
    rows = rows[np.argsort(label[rows], kind="stable")]
    fold[rows] = np.arange(len(rows)) % folds
    return fold


def standardised(x: Floats) -> Floats:
    """Centre columns on their median and divide them by their spread, such that a few huge values do no harm.

    Args:
        x: (n, d) float32, n at least 1.

    Returns:
        (n, d) float32 within -10 and 10; zeros for a constant column.
    """
    some = x[:: max(1, len(x) // 10_000)].astype(np.float64)
    low, middle, high = np.quantile(some, [0.01, 0.5, 0.99], axis=0)
    spread = np.clip(some, low, high).std(axis=0)
    # Of a column that hardly ever varies, such as that of a rare category, the rare values are the whole content.
    spread = np.where(high > low, spread, some.std(axis=0))
    floor = 1e-12 + 1e-7 * np.abs(middle)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > floor)
    out = np.empty_like(x)
    for start in range(0, len(x), 4096):
        out[start : start + 4096] = np.clip((x[start : start + 4096] - middle) * scale, -10, 10)
    return out


def nearest(query: Floats, reference: Floats, k: int) -> Ints:
    """The nearest rows, by Euclidean distance.

    Args:
        query: (n, d) float32.
        reference: (m, d) float32.
        k: how many, at most m.

    Returns:
        (n, k) int64 rows of `reference`, nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    found: Ints = NearestNeighbors(algorithm="brute").fit(reference).kneighbors(query, k, return_distance=False)
    return found


def sample(learned: Ints, label: Ints, most: int) -> Ints:
    """Take the same share of every class, the first rows of each, but no fewer than 30 where there are so many.

    Args:
        learned: (m,) int64 rows.
        label: (m,) int64 their classes, not negative.
        most: about how many to take.

    Returns:
        (k,) int64 some of `learned`, in its order.
    """
    share = most / len(learned)
    if share >= 1:
        return learned
    order = np.argsort(label, kind="stable")
    count = np.bincount(label)
    rank = np.arange(len(label)) - np.repeat(np.cumsum(count) - count, count)
    kept = rank < np.maximum(np.ceil(count * share), _KEPT)[label[order]]
    some: Ints = learned[np.sort(order[kept])]
    return some
