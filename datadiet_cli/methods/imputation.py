"""Values for missing cells: what is usual in the column, or what the nearest rows have."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.scaling import magnitude

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEIGHBOURS = 5
MOST_DONORS = 8192
"""Of more rows than this so many are drawn: their neighbours are hardly farther, and the work stays linear."""
_SPARE = 3
"""So many more are found than are asked for, so that rounding does not settle ties at the border."""
_CROWD = 64
"""The nearest rows of all, among which those that have a cell are looked for first."""
_PAIRS = 1 << 22
"""Distances in memory at once."""


class Filled(NamedTuple):
    """A table whose gaps are filled as far as a row has neighbours.

    Attributes:
        numbers: (n, d) float64; NaN where no other row has the cell and shares another cell.
        codes: (n, c) int64; -1 there.
    """

    numbers: Floats
    codes: Ints


def median(values: Floats) -> float:
    """The median of (m,) finite values, m > 0; between two values their middle."""
    return float(np.median(values / 2) * 2)


def mean(values: Floats) -> float:
    """The mean of (m,) finite values, m > 0, whatever their order."""
    unit = magnitude(values)
    return float(np.mean(np.sort(values / unit)) * unit)


def mode(values: Floats) -> float:
    """The most frequent of (m,) finite values, m > 0; of several the least.

    Returns:
        NaN if no value occurs twice, so that none is usual, unless there is but one.
    """
    different, times = np.unique(values, return_counts=True)
    return float(different[times.argmax()]) if times.max() > 1 or len(different) == 1 else np.nan


STATISTICS: Mapping[str, Callable[[Floats], float]] = MappingProxyType({"median": median, "mean": mean, "mode": mode})
"""What may be put into missing cells of a column of numbers."""


def typical(values: Floats, statistic: str) -> float:
    """One value that stands for a column of numbers.

    Args:
        values: (n,) float64; NaN and infinite ones do not count.
        statistic: a key of `STATISTICS`.

    Returns:
        NaN if no value counts, or there is no mode.

    Raises:
        ValueError: there is no such statistic.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"the statistic must be one of {', '.join(STATISTICS)}, not {statistic!r}")
    finite = values[np.isfinite(values)]
    return STATISTICS[statistic](finite) + 0.0 if len(finite) else np.nan


def commonest(codes: Ints) -> int:
    """The most frequent category; of several the one with the least code.

    Args:
        codes: (n,) int64, -1 for a missing cell.

    Returns:
        -1 if no category occurs twice, so that none is usual, unless there is but one.
    """
    different, times = np.unique(codes[codes >= 0], return_counts=True)
    if not len(different) or (len(different) > 1 and times.max() == 1):
        return -1
    return int(different[times.argmax()])


def from_neighbours(numbers: Floats, codes: Ints, teaching: Bools, k: int = NEIGHBOURS, seed: int = 0) -> Filled:
    """Fill each gap with the mean, or the most frequent category, of the k nearest rows that have the cell.

    A distance is the root of the mean over the cells that both rows have (Gower, "A General Coefficient of Similarity
    and Some of Its Properties", Biometrics 27(4), 1971, section 2) of squared differences (Wilson & Martinez,
    "Improved Heterogeneous Distance Functions", JAIR 6, 1997, section 2.3): 1 for two categories; numbers are divided
    by what lies between the 5th and 95th percentile, where Gower has the whole range, and held within 1 of the median,
    so that a single wild value neither shrinks its column nor decides by itself. Rows that share no cell are no
    neighbours. Of rows that are equally near the first is taken, unless more are than are looked at; of categories that
    are equally frequent that of the nearest row.

    Runs on one thread: then the answer does not depend on how many there are.

    Args:
        numbers: (n, d) float64, NaN for a missing cell; infinite ones are wild values, and never put in.
        codes: (n, c) int64, categories by number, -1 for a missing cell.
        teaching: (n,) bool, rows that may be neighbours and that tell the scale; others are only filled.
        k: neighbours wanted; as many as there are, if there are fewer.
        seed: which `MOST_DONORS` rows are neighbours, of more.

    Raises:
        ValueError: the shapes do not fit, or k is less than 1.
    """
    n = len(teaching)
    if numbers.ndim != 2 or codes.ndim != 2 or len(numbers) != n or len(codes) != n:
        raise ValueError(f"numbers {numbers.shape}, codes {codes.shape} and teaching {teaching.shape} do not fit")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    filled = Filled(numbers.copy(), codes.copy())
    gap = np.concatenate([np.isnan(numbers), codes < 0], axis=1)
    rows, donors = np.flatnonzero(gap.any(axis=1)), np.flatnonzero(teaching)
    if not len(rows) or not len(donors):
        return filled
    scaled = _scaled(numbers, teaching)
    if len(donors) > MOST_DONORS:
        donors = np.sort(np.random.default_rng(seed).choice(donors, MOST_DONORS, replace=False))
    table = _Table(scaled, codes, ~gap, donors)
    step = max(_PAIRS // len(donors), 1)
    with threadpool_limits(1):
        for start in range(0, len(rows), step):
            _fill(filled, numbers, table, rows[start : start + step], k)
    return filled


class _Table(NamedTuple):
    scaled: Floats
    """(n, d), 0 where a cell is missing."""
    codes: Ints
    has: Bools
    """(n, d + c)"""
    donors: Ints


def _fill(filled: Filled, numbers: Floats, table: _Table, rows: Ints, k: int) -> None:
    """Fill the gaps of some rows, column by column."""
    d = numbers.shape[1]
    roughly = _roughly(table, rows)
    gives = table.has[table.donors]
    gives[:, :d] &= np.isfinite(numbers[table.donors])
    crowd = _nearest(table, rows, _least(roughly, max(_CROWD, k + _SPARE)))
    for column in np.flatnonzero(~table.has[rows].all(axis=0)).tolist():
        lacking = np.flatnonzero(~table.has[rows, column])
        near = _able(crowd[lacking], gives[:, column], k)
        # Where too few of the crowd have the cell, all donors are asked.
        few = np.flatnonzero((near < 0).any(axis=1)) if len(table.donors) > crowd.shape[1] else np.empty(0, np.int64)
        if len(few):
            far = np.where(gives[:, column], roughly[lacking[few]], np.float32(np.inf))
            near[few] = _able(_nearest(table, rows[lacking[few]], _least(far, k + _SPARE)), gives[:, column], k)
        donors = np.where(near >= 0, table.donors[near], -1)
        if column < d:
            filled.numbers[rows[lacking], column] = _means(numbers[:, column], donors)
        else:
            filled.codes[rows[lacking], column - d] = _votes(table.codes[:, column - d], donors)


def _able(places: Ints, gives: Bools, k: int) -> Ints:
    """(r, k) the first k places of donors in each row that give a cell; -1 behind them where there are fewer."""
    able = (places >= 0) & gives[places]
    first = np.argsort(~able, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(np.where(able, places, -1), first, axis=1)
    return np.pad(chosen, ((0, 0), (0, k - chosen.shape[1])), constant_values=-1)


def _nearest(table: _Table, rows: Ints, places: Ints) -> Ints:
    """(r, a) places of donors, those of each row by exact distance, ties by place; -1 for those that share no cell."""
    places = np.sort(places, axis=1)
    distance = np.empty(places.shape)
    step = max(_PAIRS // max(places.shape[1] * table.has.shape[1], 1), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        distance[part] = _exactly(table, rows[part], table.donors[places[part]])
    places[np.isinf(distance)] = -1
    return np.take_along_axis(places, np.argsort(distance, axis=1, kind="stable"), axis=1)


def _least(distance: NDArray[np.float32], count: int) -> Ints:
    """(r, count) places of the least distances of each row, in any order; all places if there are fewer."""
    if count >= distance.shape[1]:
        return np.tile(np.arange(distance.shape[1]), (len(distance), 1))
    return np.argpartition(distance, count - 1, axis=1)[:, :count]


def _scaled(numbers: Floats, teaching: Bools) -> Floats:
    """(n, d) numbers from -1 to 1 about the median of each column; 0 for missing ones."""
    scaled = np.zeros(numbers.shape)
    for j, column in enumerate(numbers.T):
        known = column[teaching & np.isfinite(column)]
        if not len(known):
            continue
        unit = magnitude(known)
        low, centre, high = np.quantile(known / unit, [0.05, 0.5, 0.95])
        spread = high - low or np.ptp(known / unit) or 1.0
        with np.errstate(over="ignore"):
            scaled[:, j] = np.clip((column / unit - centre) / spread, -1, 1)
    return np.nan_to_num(scaled, copy=False)


def _roughly(table: _Table, rows: Ints) -> NDArray[np.float32]:
    """(r, m) squared distances of rows from the donors, by products of matrices; infinite where no cell is shared."""
    d = table.scaled.shape[1]
    left, right = (table.scaled[some].astype(np.float32) for some in (rows, table.donors))
    had, has = (table.has[some].astype(np.float32) for some in (rows, table.donors))
    square = np.asarray((left * left) @ has[:, :d].T, dtype=np.float32)
    square += had[:, :d] @ (right * right).T
    square -= 2 * (left @ right.T)
    square += had[:, d:] @ has[:, d:].T
    for column in table.codes.T.astype(np.int32):
        # A missing cell equals none, not even another missing one.
        mine = column[rows]
        square -= np.where(mine < 0, -2, mine)[:, None] == column[table.donors]
    shared = had @ has.T
    np.divide(square, shared, out=square, where=shared > 0)
    square[shared == 0] = np.inf
    return square


def _exactly(table: _Table, rows: Ints, found: Ints) -> Floats:
    """(r, f) squared distances of pairs, by differences: equal rows are equally far, to the last bit."""
    both = table.has[rows][:, None] & table.has[found]
    numbers = (table.scaled[rows][:, None] - table.scaled[found]) ** 2
    parts = np.concatenate([numbers, table.codes[rows][:, None] != table.codes[found]], axis=2)
    shared = both.sum(axis=2)
    total = np.where(both, parts, 0.0).sum(axis=2)
    distance: Floats = np.where(shared > 0, total / np.maximum(shared, 1), np.inf)
    return distance


def _means(values: Floats, near: Ints) -> Floats:
    """(r,) the mean of what the neighbours have, NaN without any."""
    counts = near >= 0
    times = counts.sum(axis=1)
    # No sum is too large, and none depends on which neighbour is the nearest.
    unit = float(2 ** near.shape[1].bit_length())
    parts = np.sort(np.where(counts, values[near] / unit, 0.0), axis=1)
    return np.where(times > 0, parts.sum(axis=1) / np.maximum(times, 1) * unit, np.nan)


def _votes(codes: Ints, near: Ints) -> Ints:
    """(r,) the most frequent category of the neighbours, of several the nearest one's; -1 without any."""
    votes = np.where(near >= 0, codes[near], -1)
    times = (votes[:, :, None] == votes[:, None, :]).sum(axis=2) * (votes >= 0)
    chosen: Ints = np.take_along_axis(votes, times.argmax(axis=1)[:, None], axis=1)[:, 0]
    return chosen
