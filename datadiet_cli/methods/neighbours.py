"""Exact search for all pairs of vectors whose cosine is at least some value.

Like SemDeDup (Abbas et al., "SemDeDup: Data-efficient learning at web-scale through semantic deduplication",
arXiv:2303.09540, section 3) it deals vectors out to k-means buckets, but it loses no pair at the border of two
buckets: of another bucket it searches what is near enough to the plane between the two, and leaves out only what
cannot be within reach. Nor are all dimensions multiplied: `P` being the vectors in the few directions that hold most
of them, and `r` the length of what is left, `x . y <= P(x) . P(y) + r(x) r(y)` (Cauchy and Schwarz), so a product of
few dimensions sorts out nearly all pairs, and only the others are multiplied in full.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.buckets import Plan, Room, all_in_one, dealt_out, gap
from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.pieces import one_thread, spread
from datadiet_cli.methods.shortening import SLACK, Floats, Grid, directions, squares

Ints = NDArray[np.int64]
LONGEST = 4095
"""Length up to which no sum of products of two vectors reaches 2**24, so that a product is exact in float32, in
whatever order a library adds it up."""
MOST_PAIRS = 20_000_000
BUCKETS_FROM = 200_000
"""With fewer vectors all are compared with all: in few dimensions that takes less time than making buckets."""
_NARROW = 0.05
"""Within so small a distance buckets pay from a quarter of the vectors on: hardly two of them meet."""

_TILE = 2048
_WORTH, _ACROSS = 32, 8
"""Tiles that are one piece of work: so many of two buckets, of which most have little within reach; of one bucket each
counts for several."""
_PAIRS = 1 << 14
_DENSE = 64
"""One product of a whole tile is quicker than this share of its pairs one by one."""


class TooManyPairsError(ValueError):
    """More pairs are this alike than anybody can look at."""


def cosines(grid: Grid, a: Ints, b: Ints) -> NDArray[np.float64]:
    """Cosines of pairs of vectors of whole numbers, the same on every machine.

    Args:
        grid: (n, d) int16, no longer than `LONGEST`.
        a: (k,) int64 rows.
        b: (k,) int64 rows.

    Returns:
        (k,) float64; NaN where a vector is zero.
    """
    out = np.empty(len(a))
    for start in range(0, len(a), _PAIRS):
        one = grid[a[start : start + _PAIRS]].astype(np.float32)
        other = grid[b[start : start + _PAIRS]].astype(np.float32)
        product = np.einsum("ij,ij->i", one, other).astype(np.float64)
        # One root of a whole number: the cosine of equal vectors is 1 to the last bit.
        length = np.sqrt(squares(one) * squares(other))
        part = out[start : start + _PAIRS]
        part[:] = np.nan
        np.divide(product, length, out=part, where=length > 0)
    return np.clip(out, -1.0, 1.0)


def pairs_above(
    grid: Grid,
    least: float,
    *,
    limit: int = MOST_PAIRS,
    crew: Crew = ALONE,
    room: Room = np.zeros,
    seed: int = 0,
    buckets_from: int = BUCKETS_FROM,
) -> Ints:
    """Find every pair of vectors with a cosine of `least` or more. Exact.

    Pass distinct vectors: k equal ones are k * (k - 1) / 2 pairs. Beside the vectors and the answer it needs some
    150 to 600 bytes a vector, most of them in arrays that `room` makes.

    Args:
        grid: (n, d) int16, no longer than `LONGEST`; a vector of zeros is in no pair.
        least: the smallest cosine.
        limit: give up at more pairs.
        crew: compares vectors; the answer does not depend on it.
        room: makes the large arrays.
        seed: for the sample that the plan is made from; the answer does not depend on it.
        buckets_from: with that many vectors buckets are made; with a quarter of them for a `least` close to 1.

    Returns:
        (p, 2) int64, rows (i, j) with i < j, sorted.

    Raises:
        TooManyPairsError: there are more than `limit`.
        ValueError: a vector is too long.
    """
    n = len(grid)
    if n < 2:
        return np.empty((0, 2), dtype=np.int64)
    _check_lengths(grid)
    with one_thread():
        short = directions(grid, least, np.random.default_rng(seed))
    reach = float(np.sqrt(max(2 - 2 * least, 0.0))) + SLACK
    bucketed = n >= (buckets_from if reach > _NARROW else buckets_from // 4)
    plan = dealt_out(grid, short, crew, room, seed) if bucketed else all_in_one(grid, short, crew, room)
    found: list[Ints] = []
    total = 0
    data = (grid, plan.bound, plan.order, _Rest(plan.start, plan.middle, plan.least, least, reach, limit))
    for pairs in spread(crew, _pairs, data, _pieces(plan, reach)):
        total += len(pairs)
        if total > limit:
            raise TooManyPairsError(f"more than {limit:,} pairs have a similarity of {least:g} or more")
        found.append(pairs)
    keys = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
    keys.sort()
    return np.stack(np.divmod(keys, n), axis=1)


def _check_lengths(grid: Grid) -> None:
    for start in range(0, len(grid), _TILE):
        wide = grid[start : start + _TILE].astype(np.float64)
        if np.einsum("ij,ij->i", wide, wide).max(initial=0.0) > LONGEST**2:
            raise ValueError(f"a vector is longer than {LONGEST}")


@dataclass(frozen=True, eq=False)
class _Rest:
    """What is to be known beside the vectors; see `Plan` and `pairs_above`."""

    start: Ints
    middle: Floats
    nearest: Floats
    least: float
    reach: float
    limit: int


Tile = tuple[int, int, int]
"""A bucket, and the first and the last but one of the places in the order that are looked at: at most `_TILE`."""
Piece = tuple[Tile, list[Tile]]
"""A tile, and those to compare it with; itself among them for each with each of the same."""


def _pieces(plan: Plan, reach: float) -> Iterator[Piece]:
    """Cut the comparison of what may be within reach into pieces of bounded size."""
    tiles = [
        [(bucket, top, min(top + _TILE, stop)) for top in range(start, stop, _TILE)]
        for bucket, (start, stop) in enumerate(pairwise(plan.start.tolist()))
    ]
    within = plan.least + plan.least.T <= reach
    for bucket, own in enumerate(tiles):
        others = [
            tile for other in (np.flatnonzero(within[bucket, bucket + 1 :]) + bucket + 1) for tile in tiles[other]
        ]
        for number, tile in enumerate(own):
            yield from ((tile, own[i : i + _WORTH // _ACROSS]) for i in range(number, len(own), _WORTH // _ACROSS))
            yield from ((tile, others[i : i + _WORTH]) for i in range(0, len(others), _WORTH))


def _pairs(data: tuple[Grid, Floats, Ints, _Rest], piece: Piece) -> Ints:
    """The pairs (i, j), i < j, of a piece as i * n + j; of more than the limit not all."""
    search = _Search(*data)
    tile, others = piece
    found, total = [np.empty(0, dtype=np.int64)], 0
    with one_thread():
        for other in others:
            found.append(search.pairs(tile, other))
            total += len(found[-1])
            if total > search.rest.limit:
                break
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class _Search:
    """Finds the pairs of two tiles; see `Plan` for what it is made of."""

    grid: Grid
    bound: Floats
    order: Ints
    rest: _Rest

    def pairs(self, tile: Tile, other: Tile) -> Ints:
        """The pairs (i, j), i < j, as i * n + j."""
        one, two = self.bound[tile[1] : tile[2]], self.bound[other[1] : other[2]]
        rows, others = self.order[tile[1] : tile[2]], self.order[other[1] : other[2]]
        if tile[0] != other[0]:
            near, other_near = self._within_reach(one, two, tile[0], other[0])
            one, two, rows, others = one[near], two[other_near], rows[near], others[other_near]
        least = self.rest.least
        product = one @ two.T
        hits = np.flatnonzero(product.ravel() >= least - SLACK)
        if not len(hits):
            return np.empty(0, dtype=np.int64)
        i, j = np.divmod(hits, len(others))
        if tile == other:
            hits, i, j = hits[i < j], i[i < j], j[i < j]
        if len(hits) * _DENSE > product.size:
            alike = self._dense(rows, others, hits) >= least
        else:
            alike = cosines(self.grid, rows[i], others[j]) >= least
        a, b = rows[i[alike]], others[j[alike]]
        return np.minimum(a, b) * len(self.grid) + np.maximum(a, b)

    def _within_reach(self, one: Floats, two: Floats, bucket: int, other: int) -> tuple[NDArray[np.bool_], ...]:
        """What of two tiles of different buckets may be within reach of each other."""
        rest = self.rest
        own, foreign = rest.middle[bucket], rest.middle[other]
        away, other_away = gap(one, own, foreign), gap(two, foreign, own)
        near = away + rest.nearest[other, bucket] <= rest.reach
        return near, other_away + away.min() <= rest.reach

    def _dense(self, rows: Ints, others: Ints, hits: Ints) -> NDArray[np.float64]:
        """What `cosines` gives, for so many pairs of a tile that one product of all is quicker; as exact."""
        one, other = self.grid[rows].astype(np.float32), self.grid[others].astype(np.float32)
        product = (one @ other.T).ravel()[hits].astype(np.float64)
        length = np.sqrt(np.outer(squares(one), squares(other))).ravel()[hits]
        cosine = np.full(len(hits), np.nan)
        np.divide(product, length, out=cosine, where=length > 0)
        return cosine
