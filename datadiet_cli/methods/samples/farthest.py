"""Greedy choices whose worths only fall while samples are chosen; k-center, the plainest of them.

The greedy rule asks for the best of all samples after each choice: n comparisons for each of m choices. Here it is
asked of a block: the samples of the highest worth so far. What the others were worth before the block is a bound of
what they are worth, as worths only fall. So as long as the best of the block is above that bound, it is the best of
all; only then are all samples brought up to date, with one product of matrices for all choices of the block. That is
the lazy evaluation of Minoux ("Accelerated greedy algorithms for maximizing submodular set functions", Optimization
Techniques, 1978), by blocks; the choices are those of the plain rule.

Distances are between samples on a grid of whole numbers, fine enough that nothing is lost but the last digits, and
coarse enough that all squares are exact: copies are at distance 0, and no tie is settled by rounding, by the order of
the samples or by the number of threads.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Bools, Floats, Ints, Picked, Small

_BLOCK = 1024
_ROWS = 512
_WHOLE = 53
"""Bits of a whole number that float64 holds exactly."""
_FINEST = 22
"""Bits of a coordinate, which float32 has to hold with its sign."""


class Space:
    """Samples between which squared distances are exact, and how near each is to those chosen.

    Attributes:
        step: distance that 1 on the grid stands for; distances finer than this count as none.
        near: (n,) float64, squared distance on the grid to the nearest chosen sample; infinite before the first. Of a
            chosen sample, to those chosen before it.
    """

    def __init__(self, x: Small) -> None:
        """Put samples on a grid.

        Args:
            x: (n, d) float32, finite.

        Raises:
            ValueError: x has not two dimensions, or is not finite.
        """
        if x.ndim != 2:
            raise ValueError(f"samples must have two dimensions, not {x.ndim}")
        if not np.isfinite(x).all():
            raise ValueError("samples must be finite")
        n, d = x.shape
        low, high = (x.min(axis=0), x.max(axis=0)) if n else (np.zeros(d), np.zeros(d))
        low, high = low.astype(np.float64), high.astype(np.float64)
        # A square is the sum of d squares of differences, each up to twice a coordinate.
        bits = min((_WHOLE - int(np.ceil(np.log2(max(d, 1))))) // 2 - 1, _FINEST)
        exponent = int(np.frexp((high - low).max(initial=0.0) / 2)[1])
        self.step = float(np.ldexp(1.0, exponent - bits))
        self.near: Floats = np.full(n, np.inf)
        self._grid: Small = np.empty((n, d), dtype=np.float32)
        for start in range(0, n, _ROWS):
            centred = x[start : start + _ROWS] - (low + high) / 2
            self._grid[start : start + _ROWS] = np.rint(centred / self.step)

    def __len__(self) -> int:
        return len(self.near)

    def middle(self) -> tuple[int, float]:
        """The sample nearest to the mean of all, the first of several; and its distance to it. For 1 sample or more."""
        mean = np.rint(self._grid.sum(axis=0, dtype=np.float64) / len(self))
        point = _right(mean[None])
        apart = np.concatenate(
            [(_left(self._grid[start : start + _ROWS]) @ point)[:, 0] for start in range(0, len(self), _ROWS)]
        )
        row = int(apart.argmin())
        return row, float(np.sqrt(apart[row])) * self.step

    def squares(self, rows: Ints, others: Ints) -> Floats:
        """Squared distances on the grid, exact: (len(rows), len(others)) float64."""
        squares: Floats = self.about(rows) @ self.towards(others)
        return squares

    def about(self, rows: Ints) -> Floats:
        """What squared distances of some samples are had from, by the product with those that `towards` gives."""
        return _left(self._grid[rows])

    def towards(self, rows: Ints) -> Floats:
        """The right factor for `about`, (d + 2, len(rows))."""
        return _right(self._grid[rows])

    def lower(self, rows: Ints, chosen: Ints) -> None:
        """Bring `near` of some samples up to date with newly chosen ones."""
        rows = rows[self.near[rows] > 0]
        point = self.towards(chosen)
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            self.near[some] = np.minimum(self.near[some], (self.about(some) @ point).min(axis=1))


def _left(grid: NDArray[Any]) -> Floats:
    wide = grid.astype(np.float64)
    square = np.einsum("ij,ij->i", wide, wide)[:, None]
    return np.hstack([-2 * wide, square, np.ones_like(square)])


def _right(grid: NDArray[Any]) -> Floats:
    wide = grid.astype(np.float64)
    square = np.einsum("ij,ij->i", wide, wide)[:, None]
    return np.ascontiguousarray(np.hstack([wide, np.ones_like(square), square]).T)


class Aim(Protocol):
    """What makes a sample worth choosing: a part of its own, and a part of its group; neither rises.

    Attributes:
        group: (n,) int64 numbers of groups from 0 on.
        need: (g,) float64, at present; minus infinity where no sample of the group may be chosen.
    """

    group: Ints
    need: Floats

    def worth(self, rows: Ints, near: Floats) -> Floats:
        """The own part of samples that are so near to those chosen, as squares on the grid; falls with them."""
        ...

    def need_then(self, group: Ints, more: Ints) -> Floats:
        """The need of groups after so many more choices of each; for 0 more `need`."""
        ...

    def take(self, row: int) -> None:
        """Note that a sample is chosen, so that the need of its group falls."""
        ...


def greedy(aim: Aim, space: Space | None, m: int, first: int | None = None) -> Ints:
    """Choose m samples, always that of the greatest worth, and of several the first.

    Takes time with n * m * d at most, most of it for products of matrices, and memory with n * d.

    Args:
        aim: what is sought; it is told of each choice.
        space: of the distances; its `near` is brought up to date. None where worth does not depend on them.
        m: how many, from 0 to n.
        first: the first choice, if it is not to be that of the greatest worth.

    Returns:
        (m,) int64 different positions in the order of the choice.
    """
    vacant = np.ones(len(aim.group), dtype=np.bool_)
    order: list[int] = []
    with threadpool_limits(1):
        while len(order) < m:
            if order or first is None:
                chosen = _from_block(aim, space, vacant, m - len(order))
            else:
                chosen = [first]
                aim.take(first)
            order += chosen
            vacant[chosen] = False
            if space is not None:
                space.lower(np.flatnonzero(vacant), np.array(chosen, dtype=np.int64))
    return np.array(order, dtype=np.int64)


def _from_block(aim: Aim, space: Space | None, vacant: Bools, most: int) -> list[int]:
    """Choose as long as the best is known to be in a block of the most promising samples: one sample at least."""
    every = np.flatnonzero(vacant)
    near = space.near if space is not None else np.full(len(vacant), np.inf)
    own = aim.worth(every, near[every])
    inside = _highest(_promise(aim, every, own), _BLOCK)
    outside = _Outside(np.delete(every, inside), np.delete(own, inside), aim)
    rows, own, close = every[inside], own[inside], near[every[inside]]
    group, about = aim.group[rows], None if space is None else space.about(rows)
    chosen: list[int] = []
    while len(chosen) < min(most, len(rows)):
        total = own + aim.need[group]
        best = int(total.argmax())
        row = int(rows[best])
        if outside.may_beat(float(total[best]), row):
            break
        chosen.append(row)
        aim.take(row)
        close[best], near[row] = np.nan, close[best]
        if space is not None and about is not None:
            close = np.minimum(close, about @ space.towards(rows[best : best + 1])[:, 0])
            own = aim.worth(rows, close)
        own[np.isnan(close)] = -np.inf
    return chosen


def _promise(aim: Aim, rows: Ints, own: Floats) -> Floats:
    """The worth of each sample when its turn comes within its group, if no sample got nearer to those chosen.

    By their worth at present the most promising would all be of the group with the greatest need, and the block at an
    end after the first choice. That of the greatest worth at present is the first by this order as well.
    """
    if len(aim.need) == 1:
        return own + aim.need
    group = aim.group[rows]
    order = np.lexsort((-own, group))
    turn = np.empty(len(rows), dtype=np.int64)
    turn[order] = running_count(group[order], len(aim.need))
    return own + aim.need_then(group, turn)


def running_count(group: Ints, groups: int) -> Ints:
    """How many of its group come before each of (k,) members of groups from 0 to groups - 1."""
    order = np.argsort(group, kind="stable")
    size = np.bincount(group, minlength=groups)
    count = np.empty(len(group), dtype=np.int64)
    count[order] = np.arange(len(group)) - (np.cumsum(size) - size)[group[order]]
    return count


def _highest(value: Floats, size: int) -> Ints:
    """Positions of the highest values, ascending; of equal ones at the border the first."""
    if len(value) <= size:
        return np.arange(len(value))
    border = np.partition(value, len(value) - size)[len(value) - size]
    above = np.flatnonzero(value > border)
    equal = np.flatnonzero(value == border)[: size - len(above)]
    return np.sort(np.concatenate([above, equal]))


class _Outside:
    """A bound of the worth of samples outside of a block, by group: the highest, and the first sample that has it."""

    def __init__(self, rows: Ints, own: Floats, aim: Aim) -> None:
        self._aim = aim
        group = aim.group[rows]
        self._top = np.full(len(aim.need), -np.inf)
        np.maximum.at(self._top, group, own)
        self._first = np.full(len(aim.need), np.iinfo(np.int64).max)
        leads = own == self._top[group]
        np.minimum.at(self._first, group[leads], rows[leads])

    def may_beat(self, worth: float, row: int) -> bool:
        total = self._top + self._aim.need
        top = total.max()
        return bool(top > worth or (top == worth and self._first[total == top].min() < row))


class _Farthest:
    """The aim of k-center: the distance to the nearest chosen sample."""

    def __init__(self, n: int) -> None:
        self.group: Ints = np.zeros(n, dtype=np.int64)
        self.need: Floats = np.zeros(1)

    def worth(self, rows: Ints, near: Floats) -> Floats:
        return near.copy()

    def need_then(self, group: Ints, more: Ints) -> Floats:
        return np.zeros(len(group))

    def take(self, row: int) -> None:
        pass


def k_center(x: Small, m: int, seed: int = 0, crew: Crew = ALONE) -> Picked:
    """Choose always the sample farthest from those chosen.

    Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38, 1985; for
    learning Sener & Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018,
    algorithm 1. The farthest that any sample is from its nearest chosen one is at most twice what it is with the best
    choice of m samples.

    The first is the sample nearest to the mean, so nothing is drawn. The choice of fewer samples is the beginning of
    that of more. Where only copies of chosen samples are left, the first come first. Takes 50,000 samples of 64 columns
    and 25,000 choices in about 4 seconds.

    Args:
        x: (n, d) float32, finite. Differences of less than some millionths of the widest column count as none, so no
            value should be off all others by much more than a thousand times.
        m: how many to choose, from 0 to n.
        seed: taken for the sake of the others; without effect.
        crew: not asked: each choice rests on the one before.

    Returns:
        Of each, the distance to the nearest one chosen before it, which never rises; of the first that to the mean.

    Raises:
        ValueError: x has not two dimensions or is not finite, or m is not from 0 to n.
    """
    space = Space(x)
    if not 0 <= m <= len(space):
        raise ValueError(f"{m} of {len(space)} samples cannot be chosen")
    if not m:
        return Picked(np.empty(0, dtype=np.int64), np.empty(0))
    first, apart = space.middle()
    order = greedy(_Farthest(len(space)), space, m, first)
    gain = np.sqrt(space.near[order]) * space.step
    gain[0] = apart
    return Picked(order, gain)
