"""Sorted neighbourhood: compare each row with those near it in several sorted orders, not with all.

Hernandez & Stolfo, "The merge/purge problem for large databases" (SIGMOD 1995): the window of section 2.2 and the
several passes of section 2.4, one for each key. Copies that one pass misses, another finds, or `second_hand` does.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def sorted_order(keys: Sequence[Ints]) -> Ints:
    """Sort rows by their first key, ties by the next ones, then by position; rows that miss the first are left out.

    Args:
        keys: arrays (n,) int64, -1 for missing.

    Returns:
        (m,) int64 rows, m <= n.
    """
    order = np.lexsort(tuple(reversed(keys)))
    return order[keys[0][order] >= 0]


def window_pairs(codes: Ints, bits: NDArray[np.float32], order: Ints, least: float, window: int) -> Iterator[Ints]:
    """Pairs of rows that stand less than `window` apart in an order, and agree in enough cells.

    Args:
        codes: (d, n) int64, equal for equal cells, -1 for missing.
        bits: (d, n) float32, what agreement in each cell is worth; 0 for missing cells.
        order: (m,) int64 rows, sorted.
        least: what the agreeing cells of a pair must be worth together.
        window: rows that are compared; each with the `window` - 1 after it.

    Yields:
        (p, 2) int64 pairs, the row that comes first in the order first; for every distance between them in turn.
    """
    codes, bits = codes[:, order], bits[:, order]
    for offset in range(1, min(window, len(order))):
        agreed = np.zeros(len(order) - offset, dtype=np.float32)
        for code, worth in zip(codes, bits, strict=True):
            agreed += np.where(code[:-offset] == code[offset:], worth[:-offset], np.float32(0))
        hit = np.flatnonzero(agreed >= least)
        yield np.stack([order[hit], order[hit + offset]], axis=1)


def second_hand(edges: Ints, degree: int) -> Ints:
    """Pairs that have a neighbour in common, and are no edges yet.

    Args:
        edges: (e, 2) int64 pairs i < j, without repetition.
        degree: nodes with more neighbours than this join nobody.

    Returns:
        (p, 2) int64 pairs i < j, sorted.
    """
    if not len(edges):
        return edges
    source = np.concatenate([edges[:, 0], edges[:, 1]])
    target = np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    few = np.bincount(source)[source] <= degree
    source, target = source[few], target[few]
    found = [edges[:0]]
    for offset in range(1, degree):
        same = source[offset:] == source[:-offset]
        if not same.any():
            break
        # Targets ascend within a node, so i < j.
        found.append(np.stack([target[:-offset][same], target[offset:][same]], axis=1))
    width = int(target.max(initial=0)) + 1
    pairs = np.concatenate(found)
    new = np.setdiff1d(pairs[:, 0] * width + pairs[:, 1], edges[:, 0] * width + edges[:, 1])
    return np.stack([new // width, new % width], axis=1)
