"""New rows for small groups of a table, each made of one or two real rows, which it names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.mixed import Space
from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.targets import apportion, check_groups, draws

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]

_AROUND = 10
"""Neighbours of all classes by which Borderline-SMOTE tells who is in danger."""
_BLOCK = 1 << 16


class Synthetic(NamedTuple):
    """Rows that were made, by group, and by parent within one.

    Attributes:
        parent: (m,) int64, the row that each was made from.
        other: (m,) int64, the row on the way to which it lies; the parent itself for a copy.
        weight: (m,) float64 in [0, 1), how far it is on that way.
        numbers: (m, d) float64.
        categories: (m, c) int64.
        group: (m,) int64.
    """

    parent: Ints
    other: Ints
    weight: Reals
    numbers: Reals
    categories: Ints
    group: Ints


@dataclass(frozen=True, eq=False)
class Shortage:
    """What a method is given to say how many rows each of a group's rows shall be the parent of.

    Attributes:
        rows: (k,) int64, the rows of the group.
        count: rows to make.
        neighbours: as `oversample` takes it.
        draw: (k,) float64, a random number for each row.
        foreign: gives the share of rows of other classes among some rows' k nearest, as (k,) float64.
    """

    rows: Ints
    count: int
    neighbours: int
    draw: Reals
    foreign: Callable[[int], Reals]


class Method(NamedTuple):
    """A way to make rows.

    Attributes:
        allot: how many rows each row of a group is the parent of, (k,) int64 that add up to `count`.
        between: the new row lies between two; else it is a copy.
        vote: the neighbours vote for its categories; else they are the parent's.
    """

    allot: Callable[[Shortage], Ints]
    between: bool = True
    vote: bool = False


def oversample(
    numbers: ArrayLike,
    categories: ArrayLike,
    group: ArrayLike,
    quota: ArrayLike,
    method: str,
    *,
    neighbours: int = 5,
    seed: int = 0,
    whole: ArrayLike | None = None,
    label: ArrayLike | None = None,
    crew: Crew = ALONE,
) -> Synthetic:
    """Make as many rows for each group that has some as its quota wants; none for the others.

    A parent is a row of the group, the other one of its nearest in the same group. Columns are divided by their
    standard deviation before distances are taken. A category that differs counts like the median standard deviation
    of the group's numbers (Chawla et al. 2002, section 6.1), in every method. Distances leave missing numbers out.
    With many values a column of categories is hashed for the distance, so that all take at most 512 columns.

    A new number lies between those of its two rows; where the other's is missing, it is the parent's. A new cell is
    missing only where the parent's is. The only row of a group is copied.

    Args:
        numbers: (n, d) float64, NaN for missing.
        categories: (n, c) int64 codes from 0 on, -1 for missing.
        group: (n,) int64 from 0 on; -1 for a row that takes no part.
        quota: (g,) int64, rows that each group shall have; 1 or more for a group with rows.
        method: a key of `OVER`.
        neighbours: 1 or more, how many of the nearest the other is drawn from; fewer in a group that has fewer.
        seed: of what is random.
        whole: (d,) bool, columns of whole numbers, which stay whole.
        label: (n,) int64, the class, where groups are finer than classes: `borderline` and `adasyn` look for rows of
            other classes; by default groups are classes.
        crew: compares rows; the answer does not depend on it.

    Returns:
        Exactly quota - count rows for each group that has fewer than its quota, and not none.

    Raises:
        ValueError: an array has the wrong shape, a number is infinite, neighbours is below 1, or the method unknown.
    """
    if method not in OVER:
        raise ValueError(f"method {method!r} is none of {', '.join(OVER)}")
    if neighbours < 1:
        raise ValueError("neighbours must be 1 or more")
    table = _table(numbers, categories, whole)
    numbered, quotas, counts = check_groups(group, quota, len(table.numbers))
    labels = numbered if label is None else np.asarray(label, dtype=np.int64)
    if labels.shape != numbered.shape:
        raise ValueError("there must be a label for each row")
    short = np.flatnonzero((counts > 0) & (quotas > counts))
    maker = OVER[method]
    space = (
        Space(table.numbers, table.categories, np.flatnonzero(numbered >= 0)) if maker.between and len(short) else None
    )
    draw = draws(len(numbered), seed)
    order = np.argsort(numbered, kind="stable")
    ends = np.searchsorted(numbered[order], np.arange(len(quotas) + 1))
    made = []
    for some in short.tolist():
        rows = order[ends[some] : ends[some + 1]]
        foreign = _foreign(space, rows, labels, crew)
        task = Shortage(rows, int(quotas[some] - counts[some]), neighbours, draw[rows], foreign)
        rng = np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, some])
        made.append(_children(table, space, task, maker, rng, crew))
    return _joined(table, made, quotas[short] - counts[short], short)


@dataclass(frozen=True, eq=False)
class _Table:
    numbers: Reals
    categories: Ints
    whole: Bools


def _table(numbers: ArrayLike, categories: ArrayLike, whole: ArrayLike | None) -> _Table:
    cells, codes = np.asarray(numbers, dtype=np.float64), np.asarray(categories, dtype=np.int64)
    if cells.ndim != 2 or codes.ndim != 2 or len(cells) != len(codes):
        raise ValueError("numbers and categories must be matrices of as many rows")
    if np.isinf(cells).any():
        raise ValueError("a number is infinite")
    flags = np.zeros(cells.shape[1], dtype=bool) if whole is None else np.asarray(whole, dtype=bool)
    if flags.shape != cells.shape[1:]:
        raise ValueError("it must be said of each column of numbers whether they are whole")
    return _Table(cells, codes, flags)


def _foreign(space: Space | None, rows: Ints, label: Ints, crew: Crew) -> Callable[[int], Reals]:
    def share(k: int) -> Reals:
        if space is None:
            return np.zeros(len(rows))
        x, known = space.points(rows, space.rows)
        near = nearest(x, np.searchsorted(space.rows, rows), np.arange(len(x)), k, known, crew=crew).row
        foreign = label[space.rows[near]] != label[rows][:, None]
        return np.asarray(foreign.mean(axis=1)) if near.shape[1] else np.zeros(len(rows))

    return share


def _children(
    table: _Table, space: Space | None, task: Shortage, maker: Method, rng: np.random.Generator, crew: Crew
) -> tuple[Ints, Ints, Reals, Ints]:
    """Parents, others, weights and categories of the rows of a group."""
    times = maker.allot(task)
    parents = np.flatnonzero(times)
    place = np.repeat(np.arange(len(parents)), times[parents])
    parent = task.rows[parents][place]
    categories = table.categories[parent]
    width = min(task.neighbours, len(task.rows) - 1)
    if space is None or not width:
        return parent, parent, np.zeros(len(parent)), categories
    x, known = space.points(task.rows, task.rows)
    near = task.rows[nearest(x, parents, np.arange(len(x)), width, known, crew=crew).row]
    other = near[place, rng.integers(0, width, len(parent))]
    weight = rng.random(len(parent))
    if maker.vote:
        categories = _voted(table.categories, task.rows[parents], near)[place]
    return parent, other, weight, categories


def _voted(categories: Ints, parents: Ints, near: Ints) -> Ints:
    """The most frequent value of the neighbours; in a tie the parent's, else that of the nearest in the tie."""
    own = categories[parents]
    out = own.copy()
    for column in range(categories.shape[1]):
        vote = categories[near, column]
        votes = np.zeros(vote.shape)
        for each in vote.T:
            votes += vote == each[:, None]
        votes[vote < 0] = 0
        votes += 0.5 * ((vote == own[:, column, None]) & (vote >= 0))
        best = votes.argmax(axis=1)[:, None]
        winner = np.take_along_axis(vote, best, axis=1)[:, 0]
        # A missing cell stays missing, and neighbours that are all missing say nothing.
        out[:, column] = np.where((own[:, column] >= 0) & (winner >= 0), winner, own[:, column])
    return out


def _joined(table: _Table, made: list[tuple[Ints, Ints, Reals, Ints]], sizes: Ints, short: Ints) -> Synthetic:
    if not made:
        nobody = np.empty(0, dtype=np.int64)
        return Synthetic(nobody, nobody, np.empty(0), table.numbers[:0], table.categories[:0], nobody)
    parent, other, weight, categories = (np.concatenate(part) for part in zip(*made, strict=True))
    numbers = np.empty((len(parent), table.numbers.shape[1]))
    for start in range(0, len(parent), _BLOCK):
        block = slice(start, start + _BLOCK)
        numbers[block] = _between(table, parent[block], other[block], weight[block, None])
    return Synthetic(parent, other, weight, numbers, categories, np.repeat(short, sizes))


def _between(table: _Table, parent: Ints, other: Ints, weight: Reals) -> Reals:
    one = table.numbers[parent]
    if not weight.any():
        return one
    two = table.numbers[other]
    np.copyto(two, one, where=np.isnan(two))
    low, high = np.minimum(one, two), np.maximum(one, two)
    # Not one + weight * (two - one), whose difference may overflow.
    one *= 1 - weight
    two *= weight
    one += two
    one[:, table.whole] = np.rint(one[:, table.whole])
    # Of two equal numbers the same, whatever was rounded; NaN stays NaN.
    return np.clip(one, low, high, out=one)


def evenly(task: Shortage) -> Ints:
    """Every row as often as any other, give or take one (Chawla et al., JAIR 16, 2002, section 4.2)."""
    return _evenly(task, np.arange(len(task.rows)))


def in_danger(task: Shortage) -> Ints:
    """Rows at the border: Borderline-SMOTE1 (Han, Wang & Mao, ICIC 2005, section 3).

    Of their ten nearest rows at least half, but not all, are of other classes. Where no row is, all are parents.
    """
    share = task.foreign(_AROUND)
    danger = np.flatnonzero((share >= 0.5) & (share < 1))
    return _evenly(task, danger if len(danger) else np.arange(len(task.rows)))


def by_density(task: Shortage) -> Ints:
    """The more, the more of a row's neighbours are of other classes: ADASYN (He et al., IJCNN 2008, section II).

    Where no row has any, all are parents. Shares are rounded by largest remainders, so that the total is met.
    """
    return apportion(task.foreign(task.neighbours), task.count)


def _evenly(task: Shortage, some: Ints) -> Ints:
    times = np.zeros(len(task.rows), dtype=np.int64)
    each, left = divmod(task.count, len(some))
    times[some] = each
    times[some[np.argsort(task.draw[some], kind="stable")[:left]]] += 1
    return times


OVER: dict[str, Method] = {
    "repeat": Method(evenly, between=False),
    "smote": Method(evenly),
    "borderline": Method(in_danger),
    "adasyn": Method(by_density),
    "smote-nc": Method(evenly, vote=True),
}
