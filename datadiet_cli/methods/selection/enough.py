"""How many of the ranked columns are enough to predict about as well as all of them do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.selection.base import Columns, Floats, Ints, Ranking, Target
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.folding import folds_of, subsample
from datadiet_cli.methods.selection.linear import Aim, product, ridge, softmax
from datadiet_cli.methods.selection.order import Ordered, ordered
from datadiet_cli.methods.selection.trees import Material, Tree, grow, plain

Rank = Callable[..., Ranking]

REPEATS, SURE = 2, 0.95
MOST_ROWS, FEWEST_ROWS = 5000, 500
TREES, PENALTY = 25, 0.01
_MOST_CELLS = 10_000_000


class Point(NamedTuple):
    """A number of columns, and what they are worth.

    Attributes:
        m: so many columns, the first of the ranking.
        score: mean over the folds: accuracy, or R2.
        difference: score of all columns less this one's.
        bound: the difference is below it, at 95 % (one-sided).
    """

    m: int
    score: float
    difference: float
    bound: float


@dataclass(frozen=True)
class Enough:
    """The fewest columns that are enough.

    Attributes:
        m: how many.
        by_mean: the fewest that were tried whose mean difference alone, whatever its error, is small enough.
        table: all numbers that were tried, ascending; the last is all columns.
        score: of all columns.
        interval: of that score, 95 %.
        measure: ``accuracy`` or ``R2``.
        notes: what a reader of the report should know.
    """

    m: int
    by_mean: int
    table: tuple[Point, ...]
    score: float
    interval: tuple[float, float]
    measure: str
    notes: tuple[str, ...]


def enough(
    columns: Columns,
    target: Target,
    ranking: Ranking,
    *,
    max_drop: float,
    folds: int = 5,
    seed: int = 0,
    workers: int = 1,
    rank: Rank | None = None,
) -> Enough:
    """Find the fewest columns whose cross-validated score is not worse than that of all by more than `max_drop`.

    The score is that of the mean of two models, of which one is linear (ridge, logistic for classes) and the other one
    a forest of 25 trees, so that columns count that only mean something together. It is taken in `folds` folds, dealt
    out twice. 1, 2, 3, 5, 8, 12, ... columns are tried until the upper bound of the paired difference is no more than
    `max_drop`; then numbers between the last two, by halves. The bound is of the corrected resampled t-test (Nadeau
    and Bengio, "Inference for the generalization error", Machine Learning 52, 2003), since folds share rows.

    With `rank`, columns are ranked anew in the training rows of each fold; else the same ranking, which has seen
    the test rows, serves all folds, which flatters small numbers, and `notes` say so.

    Args:
        columns: n rows.
        target: what they shall predict.
        ranking: of these columns.
        max_drop: of accuracy, or R2; 0 or more.
        folds: at least 2; fewer where there are not as many rows.
        seed: of folds, trees, and the rows that are taken of more than 5,000.
        workers: threads.
        rank: the method that made the ranking.

    Returns:
        All columns where nothing less is sure to be enough, or with fewer than 10 rows. One column where the
        target has one value.

    Raises:
        ValueError: `max_drop` is negative, there are fewer than 2 folds, or the parts do not fit together.
    """
    if max_drop < 0 or folds < 2:
        raise ValueError(f"a drop of {max_drop:g} in {folds} folds: at least 0 in at least 2 are needed")
    if ranking.rank.shape != (columns.count,):
        raise ValueError(f"a ranking of {len(ranking.rank)} columns, not of {columns.count}")
    problem = ordered(columns, target)
    measure = "accuracy" if target.classes else "R2"
    if problem.hopeless or len(columns) < 2 * folds:
        constant = len(columns) >= 2 and problem.hopeless is not None
        m = min(1, columns.count) if constant else columns.count
        why = problem.hopeless or f"{len(columns)} rows are too few for {folds} folds: all columns are kept"
        return Enough(m, m, (), float("nan"), (float("nan"), float("nan")), measure, (why,))
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        trial, notes = _Trial.of(problem, ranking, folds, seed, workers, rank)
        if rank is None:
            notes.append("the ranking has seen the rows it is judged by: few columns may look better than they are")
        return _searched(trial, max_drop, measure, notes)


@dataclass(frozen=True, eq=False)
class _Split:
    """Rows to learn from and rows to predict, and the order in which columns come."""

    learned: Ints
    held: Ints
    best_first: Ints
    seed: int


@dataclass(frozen=True, eq=False)
class _Trial:
    """Everything that is needed to score a number of columns.

    Attributes:
        columns: n rows, in canonical order.
        target: of them.
        splits: J of them.
        workers: threads.
    """

    columns: Columns
    target: Target
    splits: tuple[_Split, ...]
    workers: int

    @classmethod
    def of(
        cls, problem: Ordered, ranking: Ranking, folds: int, seed: int, workers: int, rank: Rank | None
    ) -> "tuple[_Trial, list[str]]":
        n, p = len(problem.rows), problem.columns.count
        most = min(MOST_ROWS, max(FEWEST_ROWS, _MOST_CELLS // p))
        rows = subsample(problem.target, most, seed)
        notes = [f"cross-validated on {len(rows):,} of {n:,} rows"] if len(rows) < n else []
        columns, target = problem.columns.rows(rows), problem.target.rows(rows)
        best_first = np.argsort(ranking.rank[problem.place])
        pairs = []
        for repeat in range(REPEATS):
            fold = folds_of(target, folds, seed + repeat)
            pairs += [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(int(fold.max()) + 1)]

        def split(number: int) -> _Split:
            learned, held = pairs[number]
            order = best_first
            if rank is not None:
                own = rank(columns.rows(learned), target.rows(learned), keep=None, seed=seed, workers=1)
                order = np.argsort(own.rank)
            return _Split(learned, held, order, seed + number)

        with ThreadPoolExecutor(max(1, workers)) as threads:
            return cls(columns, target, tuple(threads.map(split, range(len(pairs)))), workers), notes

    def scores(self, m: int) -> Floats:
        """(J,) the score of the first m columns in each split."""
        with ThreadPoolExecutor(max(1, self.workers)) as threads:
            return np.array(list(threads.map(lambda split: self._score(split, m), self.splits)))

    def _score(self, split: _Split, m: int) -> float:
        columns = self.columns.only(np.sort(split.best_first[:m]))
        seen = columns.rows(split.learned)
        design = Design.fit(seen)
        x, new = design.matrix(seen), design.matrix(columns.rows(split.held))
        aim = Aim.of(self.target)
        middle = x.mean(axis=0)
        some = aim.rows(split.learned)
        beta, bias = ridge(x - middle, some, PENALTY)
        linear = product(new - middle, beta) + bias
        predicted = (softmax(linear) if aim.logistic else linear) + self._trees(x, new, split, aim, design, m)
        truth = aim.y[split.held]
        if aim.logistic:
            return float((predicted.argmax(axis=1) == truth.argmax(axis=1)).mean())
        # The variance of all rows, 1, and not of the fold: of few rows that may be next to nothing.
        return 1 - float(((predicted / 2 - truth) ** 2).mean())

    def _trees(self, x: Floats, new: Floats, split: _Split, aim: Aim, design: Design, m: int) -> Floats:
        """(r, K) what the forest says of new rows."""
        values, classes = plain(self.target.rows(split.learned))
        material = Material(x.astype(np.float32), design.owner, m, values, classes)
        cells = new.astype(np.float32)

        def use(tree: Tree) -> Floats:
            said: Floats = tree.inner.predict(cells)
            return said

        seeds = np.random.default_rng([split.seed, m]).integers(1 << 62, size=TREES)
        said = sum(grow(material, seeds, use), np.zeros(1)) / TREES
        if not classes:
            spread, middle = self._unit(split)
            return np.asarray(said * spread + middle)
        out = np.zeros((len(new), aim.y.shape[1]))
        out[:, np.flatnonzero(aim.y[split.learned].any(axis=0))] = said
        return out

    def _unit(self, split: _Split) -> tuple[float, float]:
        """Spread and mean of the numbers learned from, in those of all numbers."""
        own = Aim.of(self.target).y[split.learned]
        return float(own.std()) or 1.0, float(own.mean())


def _searched(trial: _Trial, max_drop: float, measure: str, notes: list[str]) -> Enough:
    p = trial.columns.count
    whole = trial.scores(p)
    low, high = _interval(trial, whole)
    points = {p: Point(p, float(whole.mean()), 0.0, 0.0)}

    def fits(m: int) -> bool:
        if m not in points:
            own = trial.scores(m)
            points[m] = Point(m, float(own.mean()), float((whole - own).mean()), _bound(trial, whole - own))
        return points[m].bound <= max_drop

    below = 0
    for m in _grid(p):
        if fits(m):
            break
        below = m
    while m - below > 1:
        middle = (below + m) // 2
        m, below = (middle, below) if fits(middle) else (m, middle)
    table = tuple(points[key] for key in sorted(points))
    by_mean = next(point.m for point in table if point.difference <= max_drop)
    if m == p > 1:
        notes.append(_why_all(table, max_drop, by_mean, measure))
    return Enough(m, by_mean, table, float(whole.mean()), (low, high), measure, tuple(notes))


def _why_all(table: tuple[Point, ...], max_drop: float, by_mean: int, measure: str) -> str:
    closest = min(table[:-1], key=lambda point: point.bound)
    text = f"no fewer columns are sure to lose at most {max_drop:g} of {measure}: all are kept"
    if by_mean < table[-1].m:
        text += (
            f"; {by_mean} lose no more on average, but so few rows cannot show it: the least that can be said is "
            f"that {closest.m} lose at most {max(closest.bound, 0):.3f}"
        )
    return text


def _grid(p: int) -> list[int]:
    """1, 2, 3, 5, 8, 12, 18, ... and p."""
    grid, m = [], 1
    while m < p:
        grid.append(m)
        m = max(m + 1, round(m * 1.5 + 0.1))
    return [*grid, p]


def _error(trial: _Trial, values: Floats) -> float:
    """Standard error of a mean over splits that share rows."""
    ratio = float(np.mean([len(split.held) / len(split.learned) for split in trial.splits]))
    return float(np.sqrt((1 / len(values) + ratio) * values.var(ddof=1)))


def _bound(trial: _Trial, difference: Floats) -> float:
    from scipy.stats import t

    return float(difference.mean() + t.ppf(SURE, len(difference) - 1) * _error(trial, difference))


def _interval(trial: _Trial, scores: Floats) -> tuple[float, float]:
    from scipy.stats import t

    half = float(t.ppf((1 + SURE) / 2, len(scores) - 1)) * _error(trial, scores)
    return float(scores.mean()) - half, min(1.0, float(scores.mean()) + half)
