"""Relief: columns that tell a row from its nearest neighbours of another class, whatever they do alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target, ranks
from datadiet_cli.methods.selection.checks import predicted
from datadiet_cli.methods.selection.order import ordered, unranked

NEIGHBOURS = 10
REGRESSION_NEIGHBOURS, _SIGMA = 70, 20.0
BUDGET = 4_000_000_000
"""Cells that rows are compared by, at most; a few seconds. Where all rows with all others would be more, a sample."""
LEAST_ROWS = 30
_LOW, _HIGH = 0.05, 0.95
_CELLS = 1 << 21


def relief(
    columns: Columns,
    target: Target | None,
    *,
    seed: int = 0,
    workers: int = 1,
    neighbours: int | None = None,
    **_: object,
) -> Ranking:
    """Rank by ReliefF, and by RReliefF for a target of numbers.

    Kononenko, "Estimating Attributes: Analysis and Extensions of RELIEF", ECML 1994; Robnik-Sikonja and Kononenko,
    "Theoretical and Empirical Analysis of ReliefF and RReliefF", Machine Learning 53, 2003, figures 2 and 3. The
    difference of two numbers is their distance as a share of the range from the 5th to the 95th percentile, and at
    most 1, so that outliers do not shrink the rest; of two categories it is 0 or 1. A pair of which a cell is missing
    does not count for that column (RELIEF-C); in the search for neighbours a missing number stands at the median, and a
    missing category is a value of its own. The score is the mean difference from the nearest rows of other classes
    less that from the nearest of the same class.

    Args:
        columns: n rows.
        target: what they shall predict.
        seed: draws the rows whose neighbours are looked for, where these are not all.
        workers: threads to use; the answer does not depend on it.
        neighbours: 10 of each class by default; 70 for numbers, weighted by their rank.

    Raises:
        ValueError: see `checks.predicted`.
    """
    problem = ordered(columns, predicted(columns, target))
    if problem.hopeless:
        return unranked(problem, "weight", problem.hopeless)
    cells = _cells(problem.columns)
    rows, notes = _rows(len(cells), columns.count, seed)
    if problem.target.classes:
        judge = _classes(cells, problem.target.values.astype(np.int64), neighbours or NEIGHBOURS)
        kinds = min(problem.target.classes, len(cells))
    else:
        judge = _regression(cells, problem.target.values, neighbours or REGRESSION_NEIGHBOURS)
        kinds = 1
    width = max(len(cells), (neighbours or REGRESSION_NEIGHBOURS) * columns.count, kinds)
    step = max(_CELLS // width, 1)
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    total = np.zeros((4, columns.count))
    with ThreadPoolExecutor(workers) as threads:
        # Sums are added in the order of the blocks, whoever worked them out.
        for found in threads.map(judge, parts):
            total += found
    score = _weights(total, bool(problem.target.classes))
    return problem.back(Ranking(score, ranks(score), "weight", notes=notes))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells on a scale of differences.

    Attributes:
        numbers: (n, d) float64 between 0 and 1, the median where missing.
        categories: (n, c) int64.
        known: (n, d + c) bool, None if all are.
    """

    numbers: Floats
    categories: Ints
    known: Bools | None

    def __len__(self) -> int:
        return len(self.numbers)

    def distances(self, rows: Ints) -> Floats:
        """Sums of differences (b, n), infinite from a row to itself."""
        if self.numbers.shape[1]:
            out: Floats = cdist(self.numbers[rows], self.numbers, "cityblock")
        else:
            out = np.zeros((len(rows), len(self)))
        for column in self.categories.T:
            out += column[rows, None] != column
        out[np.arange(len(rows)), rows] = np.inf
        return out

    def differences(self, rows: Ints, near: Ints) -> tuple[Floats, Bools | None]:
        """Of rows (b,) and their neighbours (b, k): differences (b, k, p), 0 where not known, and which are known."""
        gap = np.abs(self.numbers[rows, None] - self.numbers[near])
        if self.categories.shape[1]:
            gap = np.concatenate([gap, self.categories[rows, None] != self.categories[near]], axis=2)
        if self.known is None:
            return gap, None
        both = self.known[rows, None] & self.known[near]
        return gap * both, both


def _cells(columns: Columns) -> _Cells:
    numbers = columns.numbers
    missing = np.isnan(numbers)
    known = np.hstack([~missing, columns.categories >= 0])
    out = np.zeros_like(numbers)
    for place in range(numbers.shape[1]):
        some = ~missing[:, place]
        column = numbers[some, place]
        if not len(column):
            continue
        column = column / (np.abs(column).max() or 1.0)
        low, middle, high = np.quantile(column, [_LOW, 0.5, _HIGH])
        if high <= low:
            low, high = column.min(), column.max()
        spread = high - low if high - low > 1e-12 else np.inf
        out[:, place] = min(max((middle - low) / spread, 0.0), 1.0)
        out[some, place] = np.clip((column - low) / spread, 0, 1)
    return _Cells(out, columns.categories, None if known.all() else known)


def _rows(n: int, p: int, seed: int) -> tuple[Ints, tuple[str, ...]]:
    """Rows to look for neighbours of."""
    most = max(BUDGET // (n * max(p, 1)), LEAST_ROWS)
    if n <= most:
        return np.arange(n), ()
    rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    return rows, (f"relief: neighbours of {most} of {n} rows, among all",)


def _nearest(distance: Floats, k: int) -> Ints:
    """Places of the k smallest in each row, in no order."""
    if k >= distance.shape[1]:
        return np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    return np.argpartition(distance, k - 1, axis=1)[:, :k]


def _classes(cells: _Cells, code: Ints, k: int) -> Callable[[Ints], Floats]:
    """Sums of differences and of weights, of hits and of misses; rows come sorted by class."""
    size = np.bincount(code)
    share = size / len(code)
    ends = np.cumsum(size)

    def judge(rows: Ints) -> Floats:
        # A row alone in its class has nothing to be compared with.
        rows = rows[size[code[rows]] > 1]
        out = np.zeros((4, cells.numbers.shape[1] + cells.categories.shape[1]))
        distance = cells.distances(rows)
        for kind in np.flatnonzero(size):
            first = ends[kind] - size[kind]
            own = code[rows] == kind
            for side, some in ((0, np.flatnonzero(own)), (2, np.flatnonzero(~own))):
                there = size[kind] - (side == 0)
                if not len(some) or not there:
                    continue
                near = first + _nearest(distance[some, first : ends[kind]], min(k, there))
                weight = np.ones(len(some)) if side == 0 else share[kind] / (1 - share[code[rows[some]]])
                gap, known = cells.differences(rows[some], near)
                weight = weight / near.shape[1]
                out[side] += np.einsum("b,bkp->p", weight, gap)
                plain = weight.sum() * near.shape[1]
                out[side + 1] += plain if known is None else np.einsum("b,bkp->p", weight, known.astype(np.float64))
        return out

    return judge


def _regression(cells: _Cells, values: Floats | Ints, k: int) -> Callable[[Ints], Floats]:
    """Sums of weights, of differences of the target, of the column, and of their product."""
    top = np.abs(values).max()
    scaled = values / (top or 1.0)
    scaled = (scaled - scaled.min()) / (scaled.max() - scaled.min())
    k = min(k, len(values) - 1)
    decay = np.exp(-((np.arange(1, k + 1) / _SIGMA) ** 2))
    decay /= decay.sum()

    def judge(rows: Ints) -> Floats:
        distance = cells.distances(rows)
        near = _nearest(distance, k)[:, :k]
        order = np.lexsort((near, np.take_along_axis(distance, near, axis=1)), axis=1)
        near = np.take_along_axis(near, order, axis=1)
        gap, known = cells.differences(rows, near)
        apart = np.abs(scaled[rows, None] - scaled[near]) * decay
        weight = np.broadcast_to(decay, apart.shape)
        there = np.ones((1, 1, gap.shape[2])) if known is None else known.astype(np.float64)
        there = np.broadcast_to(there, gap.shape)
        return np.array(
            [np.einsum("bk,bkp->p", left, right) for right in (there, gap) for left in (weight, apart)],
            dtype=np.float64,
        )

    return judge


def _weights(total: Floats, classes: bool) -> Floats:
    """Weights of columns from the sums; NaN for a column that no pair is known of."""
    if classes:
        hit, hits, miss, misses = total
        known = (hits > 0) & (misses > 0)
        score = miss / np.where(known, misses, 1) - hit / np.where(known, hits, 1)
        return np.where(known, score, np.nan)
    pairs, apart, gap, both = total
    known = (apart > 0) & (pairs - apart > 0)
    score = both / np.where(known, apart, 1) - (gap - both) / np.where(known, pairs - apart, 1)
    return np.where(known, score, np.nan)
