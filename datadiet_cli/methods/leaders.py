"""Leaders among vectors of which so many are alike that not all of their pairs can be kept.

The leader algorithm (Hartigan, "Clustering Algorithms", 1975, chapter 3): in order of preference, a vector near a
leader is led by it, any other becomes a leader. That is what the greedy rule of `duplicates.star_groups` decides on all
pairs, with one pair for each vector that goes: k nearly equal vectors are k - 1 pairs, not k * (k - 1) / 2. All are
compared with the leaders, block by block, so it takes time with the number of leaders, and little memory.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.duplicates import ALONE, Candidates, star_groups
from datadiet_cli.methods.neighbours import Grid, Ints, cosines, pairs_above

_BLOCK = 2048


def led_by(grid: Grid, least: float, order: Ints, *, workers: int = 1) -> Ints:
    """Find the leaders of some vectors.

    Args:
        grid: (n, d) int16, as `neighbours` takes them, none of zeros.
        least: the smallest cosine of a vector and its leader.
        order: (k,) int64 rows, the preferred first.
        workers: threads to use; the answer does not depend on it.

    Returns:
        (k,) int64, the row of a leader of each, one that is preferred to it, if not the nearest; `ALONE` for a leader.
    """
    leader = np.full(len(order), ALONE, dtype=np.int64)
    leaders = np.empty(0, dtype=np.int64)
    for start in range(0, len(order), _BLOCK):
        some = order[start : start + _BLOCK]
        found = nearest_of(grid, least, some, leaders, workers=workers)
        left = np.flatnonzero(found == ALONE)
        found[left] = _within(grid, least, some[left], workers)
        leader[start : start + _BLOCK] = found
        leaders = np.concatenate([leaders, some[found == ALONE]])
    return leader


def nearest_of(grid: Grid, least: float, rows: Ints, others: Ints, *, workers: int = 1) -> Ints:
    """Find the nearest of others for each of some vectors; ties go to the first in the order given.

    Args:
        grid: (n, d) int16, as `led_by` takes them.
        least: the smallest cosine.
        rows: (k,) int64.
        others: (m,) int64 rows.
        workers: threads to use; the answer does not depend on it.

    Returns:
        (k,) int64, rows of the others; `ALONE` where none is near enough.
    """
    nearest = np.full(len(rows), ALONE, dtype=np.int64)
    best = np.full(len(rows), -np.inf)
    tiles = [(top, left) for top in range(0, len(rows), _BLOCK) for left in range(0, len(others), _BLOCK)]

    def compare(tile: tuple[int, int]) -> tuple[Ints, NDArray[np.float64]]:
        top, left = tile
        return _best(grid[rows[top : top + _BLOCK]], grid[others[left : left + _BLOCK]])

    with ThreadPoolExecutor(workers) as threads:
        # A few tiles at a time, so that what waits for its turn stays small.
        for first in range(0, len(tiles), 4 * workers):
            some = tiles[first : first + 4 * workers]
            for (top, left), (column, cosine) in zip(some, threads.map(compare, some), strict=True):
                better = np.flatnonzero((cosine >= least) & (cosine > best[top : top + _BLOCK]))
                best[top + better] = cosine[better]
                nearest[top + better] = others[left + column[better]]
    return nearest


def _best(one: Grid, other: Grid) -> tuple[Ints, NDArray[np.float64]]:
    """The first of the nearest others, and its cosine: the very number that `cosines` gives."""
    left, right = one.astype(np.float32), other.astype(np.float32)
    square = [np.einsum("ij,ij->i", side, side).astype(np.float64) for side in (left, right)]
    cosine = (left @ right.T) / np.sqrt(np.outer(*square))
    column = cosine.argmax(axis=1)
    return column, np.clip(cosine[np.arange(len(one)), column], -1.0, 1.0)


def _within(grid: Grid, least: float, rows: Ints, workers: int) -> Ints:
    """Leaders among the vectors of a block."""
    pairs = pairs_above(grid[rows], least, limit=_BLOCK**2, workers=workers)
    places = np.arange(len(rows), dtype=np.int64)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        return 1 - cosines(grid, rows[a], rows[b])

    kept = star_groups(Candidates(places, pairs), places, accept)[0] == ALONE
    led = pairs[kept[pairs[:, 0]] & ~kept[pairs[:, 1]]][::-1]
    leader = np.full(len(rows), ALONE, dtype=np.int64)
    leader[led[:, 1]] = rows[led[:, 0]]
    return leader
