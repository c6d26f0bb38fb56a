"""Small clusters of samples, and those around each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.centres import representatives
from datadiet_cli.methods.folds import hashes
from datadiet_cli.methods.pieces import one_thread
from datadiet_cli.methods.samples.base import Floats, Ints, Small
from datadiet_cli.methods.samples.closest import NUMBERS

_CELL = 128
"""Samples of a cluster, on average."""
_LARGEST = 512
"""Samples of a cluster, at most: so many equal ones are more than a cluster may hold."""


def around_each(centre: Floats, count: Ints, look: int) -> Iterator[tuple[int, Ints]]:
    """Of each cell the nearest cells, itself first, that hold `look` samples together."""
    cells = len(centre)
    square = np.einsum("ij,ij->i", centre, centre)
    step = max(NUMBERS // cells, 1)
    # So many cells are put in order at first; only where they hold too few, all are.
    usual = min(4 * look * cells // max(int(count.sum()), 1) + 1, cells)
    for top in range(0, cells, step):
        # No limit outlasts a yield: whoever asks for the next cells may be in need of its threads meanwhile.
        with one_thread():
            product = centre[top : top + step] @ centre.T
        gap = square - 2 * product
        here = np.arange(len(gap))
        gap[here, top + here] = -np.inf
        likely = np.sort(np.argpartition(gap, usual - 1, axis=1)[:, :usual], axis=1)
        likely = np.take_along_axis(likely, np.argsort(np.take_along_axis(gap, likely, 1), axis=1, kind="stable"), 1)
        for cell, some in enumerate(likely):
            if count[some].sum() < look:
                some = np.argsort(gap[cell], kind="stable")
            enough = int(np.searchsorted(np.cumsum(count[some]), look)) + 1
            yield top + cell, some[:enough]


class Cells(NamedTuple):
    """Small clusters: (n,) rows cell by cell; where each begins, and its size (c,); (c, d) float64 centres."""

    order: Ints
    start: Ints
    size: Ints
    centre: Floats


def cells_of(x: Small, seed: int) -> Cells:
    """Part samples into clusters by k-means, none of which is large; the order of the samples does not matter."""
    by_content = np.lexsort((np.arange(len(x)), hashes(x, 0)))
    cell = _parted(x[by_content], seed)
    sizes = np.bincount(cell)
    for large in np.flatnonzero(sizes > _LARGEST):
        inside = np.flatnonzero(cell == large)
        own = _parted(x[by_content[inside]], seed)
        # Where there are too many equal ones, any way to part them is as good.
        rank = np.empty(len(own), dtype=np.int64)
        rank[np.argsort(own, kind="stable")] = np.arange(len(own))
        first = np.cumsum(np.bincount(own)) - np.bincount(own)
        own = own * len(own) + (rank - first[own]) // _LARGEST
        cell[inside] = cell.max() + 1 + np.unique(own, return_inverse=True)[1]
    cell = np.unique(cell, return_inverse=True)[1]
    order = np.argsort(cell, kind="stable")
    size = np.bincount(cell).astype(np.int64)
    start = np.cumsum(size) - size
    order = by_content[order]
    centre = np.array([x[order[a : a + b]].mean(axis=0, dtype=np.float64) for a, b in zip(start, size, strict=True)])
    return Cells(order, start, size, centre - centre.mean(axis=0))


def _parted(x: Small, seed: int) -> Ints:
    witness = representatives(x, max(len(x) // _CELL, 1), seed).witness
    number: Ints = np.unique(witness, return_inverse=True)[1]
    return number
