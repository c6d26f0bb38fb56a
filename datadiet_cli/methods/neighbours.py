"""Exact search for all pairs of vectors whose cosine is at least some value.

Like SemDeDup (Abbas et al., "SemDeDup: Data-efficient learning at web-scale through semantic deduplication",
arXiv:2303.09540, section 3) it deals vectors out to k-means buckets, but it loses no pair at the border of two
buckets: of another bucket it searches what is near enough to the plane between the two, and leaves out only what
cannot be within reach. Nor are all dimensions multiplied: `P` being the vectors in the few directions that hold most
of them, and `r` the length of what is left, `x . y <= P(x) . P(y) + r(x) r(y)` (Cauchy and Schwarz), so a product of
few dimensions sorts out nearly all pairs, and only the others are multiplied in full.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.buckets import deal, meetings

Ints = NDArray[np.int64]
Grid = NDArray[np.int16]
Floats = NDArray[np.float32]

LONGEST = 4095
"""Length up to which no sum of products of two vectors reaches 2**24, so that a product is exact in float32, in
whatever order a library adds it up."""
MOST_PAIRS = 20_000_000
BUCKETS_FROM = 200_000
"""With fewer vectors all are compared with all: in few dimensions that takes less time than making buckets."""
_NARROW = 0.05
"""Within so small a distance buckets pay from a quarter of the vectors on: hardly two of them meet."""

_TILE = 2048
_PAIRS = 1 << 14
_SLACK = 1e-4
"""What float32 may be wrong by in a bound; whoever passes the bound is measured exactly."""
_DENSE = 64
"""One product of a whole tile is quicker than this share of its pairs one by one."""
_FEW = (32, 64, 128, 256)
_SAMPLE = 1024


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
        length = np.sqrt(_squares(one) * _squares(other))
        part = out[start : start + _PAIRS]
        part[:] = np.nan
        np.divide(product, length, out=part, where=length > 0)
    return np.clip(out, -1.0, 1.0)


def pairs_above(
    grid: Grid,
    least: float,
    *,
    limit: int = MOST_PAIRS,
    workers: int = 1,
    seed: int = 0,
    buckets_from: int = BUCKETS_FROM,
) -> Ints:
    """Find every pair of vectors with a cosine of `least` or more. Exact.

    Pass distinct vectors: k equal ones are k * (k - 1) / 2 pairs. Beside the vectors and the answer it needs some
    300 to 1,000 bytes a vector.

    Args:
        grid: (n, d) int16, no longer than `LONGEST`; a vector of zeros is in no pair.
        least: the smallest cosine.
        limit: give up at more pairs.
        workers: threads to use; the answer does not depend on it.
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
    short = _shortened(grid, least, np.random.default_rng(seed))
    reach = float(np.sqrt(max(2 - 2 * least, 0.0))) + _SLACK
    if n >= (buckets_from if reach > _NARROW else buckets_from // 4):
        parts = meetings(deal(short.plane, seed), reach)
    else:
        parts = iter([(np.arange(n), None)])
    tiles = (tile for part in parts for tile in _tiles(*part))
    found: list[Ints] = []
    total = 0
    search = _Search(grid, short.bound, least)
    with ThreadPoolExecutor(workers) as threads:
        for pairs in _ahead(threads, search, tiles, 4 * workers):
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


Tile = tuple[Ints, Ints | None]
"""Rows, and the others to compare them with; None for each with each of the same rows."""


def _ahead(
    threads: ThreadPoolExecutor, search: Callable[[Tile], Ints], tiles: Iterator[Tile], most: int
) -> Iterator[Ints]:
    """Like map, with only some tiles under way, so that an abandoned search ends soon."""
    waiting = []
    try:
        for tile in tiles:
            waiting.append(threads.submit(search, tile))
            if len(waiting) >= most:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()


@dataclass(frozen=True, eq=False)
class _Search:
    """Finds the pairs of a tile.

    Attributes:
        grid: (n, d) int16 vectors.
        bound: (n, p) float32 vectors whose products are no smaller than the cosines, up to the slack.
        least: the smallest cosine.
    """

    grid: Grid
    bound: Floats
    least: float

    def __call__(self, tile: Tile) -> Ints:
        """The pairs (i, j), i < j, of a tile as i * n + j."""
        rows, others = tile
        others = rows if others is None else others
        product = self.bound[rows] @ self.bound[others].T
        hits = np.flatnonzero(product.ravel() >= self.least - _SLACK)
        i, j = np.divmod(hits, len(others))
        if others is rows:
            hits, i, j = hits[i < j], i[i < j], j[i < j]
        if len(hits) * _DENSE > product.size:
            near = self._dense(rows, others, hits) >= self.least
        else:
            near = cosines(self.grid, rows[i], others[j]) >= self.least
        a, b = rows[i[near]], others[j[near]]
        return np.minimum(a, b) * len(self.grid) + np.maximum(a, b)

    def _dense(self, rows: Ints, others: Ints, hits: Ints) -> NDArray[np.float64]:
        """What `cosines` gives, for so many pairs of a tile that one product of all is quicker; as exact."""
        one, other = self.grid[rows].astype(np.float32), self.grid[others].astype(np.float32)
        product = (one @ other.T).ravel()[hits].astype(np.float64)
        length = np.sqrt(np.outer(_squares(one), _squares(other))).ravel()[hits]
        cosine = np.full(len(hits), np.nan)
        np.divide(product, length, out=cosine, where=length > 0)
        return cosine


@dataclass(frozen=True, eq=False)
class _Short:
    """Vectors in few directions.

    Attributes:
        plane: (n, p) float32, the unit vectors in the chosen directions.
        bound: (n, p + 1) float32, the same and the length of what is left; or the unit vectors in full.
    """

    plane: Floats
    bound: Floats


def _shortened(grid: Grid, least: float, rng: np.random.Generator) -> _Short:
    """Choose the directions from a sample, as many as make the search cheapest on it."""
    n, d = grid.shape
    sample = _unit(grid[np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))])
    directions = np.linalg.svd(sample, full_matrices=False)[2]
    cheapest, chosen = float(d), 0
    for few in _FEW:
        if few >= min(d, len(directions)):
            break
        plane = sample @ directions[:few].T
        bound = np.column_stack([plane, _rest(plane)])
        passing = ((bound @ bound.T >= least - _SLACK).sum() - len(bound)) / max(len(bound) ** 2 - len(bound), 1)
        # To measure a pair costs more than its share of a matrix product: its numbers are gathered and widened.
        cost = few + 10 * d * passing
        if cost < cheapest:
            cheapest, chosen = cost, few
    basis = np.ascontiguousarray(directions[: chosen or min(d, _FEW[1])].T)
    plane = np.empty((n, basis.shape[1]), dtype=np.float32)
    full = None if chosen else np.empty((n, d), dtype=np.float32)
    for start in range(0, n, _TILE):
        unit = _unit(grid[start : start + _TILE])
        plane[start : start + _TILE] = unit @ basis
        if full is not None:
            full[start : start + _TILE] = unit
    return _Short(plane, np.column_stack([plane, _rest(plane)]) if full is None else full)


def _rest(plane: Floats) -> Floats:
    rest: Floats = np.sqrt(np.maximum(1 - _squares(plane), 0)).astype(np.float32)
    return rest


def _squares(rows: Floats) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
    return total


def _unit(grid: Grid) -> Floats:
    wide = grid.astype(np.float32)
    length = np.sqrt(_squares(wide))[:, None].astype(np.float32)
    return np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)


def _tiles(rows: Ints, others: Ints | None) -> Iterator[Tile]:
    """Cut a comparison into pieces of bounded size."""
    for top in range(0, len(rows), _TILE):
        some = rows[top : top + _TILE]
        if others is None:
            yield some, None
        for left in range(top + _TILE if others is None else 0, len(rows if others is None else others), _TILE):
            yield some, (rows if others is None else others)[left : left + _TILE]
