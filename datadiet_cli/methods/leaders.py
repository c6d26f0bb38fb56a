"""Leaders among vectors of which so many are alike that not all of their pairs can be kept.

The leader algorithm (Hartigan, "Clustering Algorithms", 1975, chapter 3): in order of preference, a vector near a
leader is led by it, any other becomes a leader. That is what the greedy rule of `duplicates.star_groups` decides on all
pairs, with one pair for each vector that goes: k nearly equal vectors are k - 1 pairs, not k * (k - 1) / 2. All are
compared with the leaders, block by block, so it takes time with the number of leaders, and little memory.
"""

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE as CALLER
from datadiet_cli.methods.crew import Crew
from datadiet_cli.methods.duplicates import ALONE, Candidates, star_groups
from datadiet_cli.methods.neighbours import Ints, cosines, pairs_above
from datadiet_cli.methods.pieces import one_thread, spread
from datadiet_cli.methods.shortening import Grid

Reals = NDArray[np.float64]

_BLOCK = 2048
_WIDE = 32
"""Blocks that are compared with the leaders before them at a time: enough work for many."""
_ACROSS = 4
"""Blocks of others that one piece of work compares a block with."""


def led_by(grid: Grid, least: float, order: Ints, *, crew: Crew = CALLER) -> Ints:
    """Find the leaders of some vectors.

    Args:
        grid: (n, d) int16, as `neighbours` takes them, none of zeros.
        least: the smallest cosine of a vector and its leader.
        order: (k,) int64 rows, the preferred first.
        crew: compares vectors; the answer does not depend on it.

    Returns:
        (k,) int64, the row of a leader of each, one that is preferred to it, if not the nearest; `ALONE` for a leader.
    """
    leader = np.full(len(order), ALONE, dtype=np.int64)
    leaders = np.empty(0, dtype=np.int64)
    for top in range(0, len(order), _WIDE * _BLOCK):
        wide = order[top : top + _WIDE * _BLOCK]
        near = _compared(grid, least, wide, leaders, _nothing(len(wide)), crew)
        fresh = np.empty(0, dtype=np.int64)
        for start in range(0, len(wide), _BLOCK):
            block = slice(start, start + _BLOCK)
            some = wide[block]
            found, _ = _compared(grid, least, some, fresh, (near[0][block], near[1][block]), CALLER)
            left = np.flatnonzero(found == ALONE)
            found[left] = _within(grid, least, some[left])
            leader[top + start : top + start + len(some)] = found
            fresh = np.concatenate([fresh, some[found == ALONE]])
        leaders = np.concatenate([leaders, fresh])
    return leader


def nearest_of(grid: Grid, least: float, rows: Ints, others: Ints, *, crew: Crew = CALLER) -> Ints:
    """Find the nearest of others for each of some vectors; ties go to the first in the order given.

    Args:
        grid: (n, d) int16, as `led_by` takes them.
        least: the smallest cosine.
        rows: (k,) int64.
        others: (m,) int64 rows.
        crew: compares vectors; the answer does not depend on it.

    Returns:
        (k,) int64, rows of the others; `ALONE` where none is near enough.
    """
    return _compared(grid, least, rows, others, _nothing(len(rows)), crew)[0]


Near = tuple[Ints, Reals]
"""(k,) the nearest of each, `ALONE` for none; and (k,) their cosines."""


def _nothing(k: int) -> Near:
    return np.full(k, ALONE, dtype=np.int64), np.full(k, -np.inf)


def _compared(grid: Grid, least: float, rows: Ints, others: Ints, before: Near, crew: Crew) -> Near:
    """The nearest of the others, where they are nearer than what was found before."""
    nearest, best = before[0].copy(), before[1].copy()
    tiles = [(top, left) for top in range(0, len(rows), _BLOCK) for left in range(0, len(others), _ACROSS * _BLOCK)]
    pieces = ((rows[top : top + _BLOCK], others[left : left + _ACROSS * _BLOCK]) for top, left in tiles)
    for (top, _), (row, cosine) in zip(tiles, spread(crew, _nearest, (grid, least), pieces), strict=True):
        better = np.flatnonzero(cosine > best[top : top + _BLOCK])
        best[top + better] = cosine[better]
        nearest[top + better] = row[better]
    return nearest, best


def _nearest(data: tuple[Grid, float], piece: tuple[Ints, Ints]) -> Near:
    """The first of the nearest others that are near enough, and their cosines: the very numbers of `cosines`."""
    (grid, least), (rows, others) = data, piece
    nearest, best = _nothing(len(rows))
    left = grid[rows].astype(np.float32)
    square = np.einsum("ij,ij->i", left, left).astype(np.float64)
    with one_thread():
        for start in range(0, len(others), _BLOCK):
            some = others[start : start + _BLOCK]
            right = grid[some].astype(np.float32)
            length = np.outer(square, np.einsum("ij,ij->i", right, right).astype(np.float64))
            cosine = (left @ right.T) / np.sqrt(length, out=length)
            column = cosine.argmax(axis=1)
            found = np.clip(cosine[np.arange(len(rows)), column], -1.0, 1.0)
            better = np.flatnonzero((found >= least) & (found > best))
            best[better], nearest[better] = found[better], some[column[better]]
    return nearest, best


def _within(grid: Grid, least: float, rows: Ints) -> Ints:
    """Leaders among the vectors of a block."""
    pairs = pairs_above(grid[rows], least, limit=_BLOCK**2)
    places = np.arange(len(rows), dtype=np.int64)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        return 1 - cosines(grid, rows[a], rows[b])

    kept = star_groups(Candidates(places, pairs), places, accept)[0] == ALONE
    led = pairs[kept[pairs[:, 0]] & ~kept[pairs[:, 1]]][::-1]
    leader = np.full(len(rows), ALONE, dtype=np.int64)
    leader[led[:, 1]] = rows[led[:, 0]]
    return leader
