"""Dimensions of tensors position by position: which positions, in whatever tensors, can only go together.

Each position of a dimension of a weight has a number of its own. Where an operation lines two dimensions up, their
numbers are tied; where it needs a dimension as it is, its numbers are held. What is tied to something held stays.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Factor(NamedTuple):
    """A part of a dimension: of a fixed size, or made of positions that may go.

    Attributes:
        size: a number, or an expression in free sizes such as that of the batch.
        ids: (size,) int64, numbers of the positions; None if all of them stay whatever happens.
        origin: the place where it was split off a dimension.
    """

    size: Any
    ids: Ints | None = None
    origin: str | None = None


Dim = tuple[Factor, ...]
"""Factors in row-major order. None means a size of one."""
Shape = tuple[Dim, ...]


class Ties:
    """Numbers of positions, which of them are tied, and which are held."""

    def __init__(self) -> None:
        self.count = 0
        self._edges: list[tuple[Ints, Ints]] = []
        self._held: list[tuple[Ints, str]] = []
        self._labels = np.zeros(0, dtype=np.int64)
        self._stale = False

    def new(self, count: int) -> Ints:
        """Numbers for so many positions."""
        self.count += count
        self._stale = True
        return np.arange(self.count - count, self.count, dtype=np.int64)

    def tie(self, a: Ints, b: Ints) -> None:
        """Let positions go together, one by one; arrays of equal or broadcastable shapes."""
        a, b = np.broadcast_arrays(a, b)
        self._edges.append((a.ravel(), b.ravel()))
        self._stale = True

    def hold(self, ids: Ints, reason: str) -> None:
        """Let positions stay, and say why. The first reason counts."""
        if ids.size:
            self._held.append((ids.ravel(), reason))

    def labels(self) -> Ints:
        """(count,) int64: equal for positions that are tied."""
        if self._stale:
            ends = [np.concatenate(side) for side in zip(*self._edges, strict=True)] if self._edges else []
            a, b = ends or (np.zeros(0, dtype=np.int64),) * 2
            links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(self.count, self.count))
            self._labels = connected_components(links, directed=False)[1].astype(np.int64)
            self._stale = False
        return self._labels

    def held(self) -> dict[int, str]:
        """Labels of what stays, each with its first reason."""
        labels = self.labels()
        found: dict[int, str] = {}
        for ids, reason in self._held:
            for label in np.unique(labels[ids]).tolist():
                found.setdefault(label, reason)
        return found

    def stays(self, ids: Ints) -> bool:
        """Whether all of some positions are held by what is known so far."""
        if not self._held:
            return False
        labels = self.labels()
        known = np.unique(labels[np.concatenate([held for held, _ in self._held])])
        return bool(np.isin(labels[ids], known).all())


def plain(size: Any) -> Any:
    """A size as a number or a symbolic expression, which can be multiplied and divided without a guard."""
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression) if expression.is_Integer else expression


def fixed(size: Any) -> Dim:
    """A dimension that stays as it is."""
    return () if isinstance(size, int) and size == 1 else (Factor(size),)


def axis(ids: Ints) -> Dim:
    """A dimension of positions that may go."""
    return (Factor(len(ids), ids),)


def size_of(dim: Dim) -> Any:
    """How many positions a dimension has, before any goes."""
    size: Any = 1
    for factor in dim:
        size = size * factor.size
    return size


def is_one(dim: Dim) -> bool:
    """Whether a dimension has one position, so that it is stretched where another one has more."""
    return all(isinstance(factor.size, int) and factor.size == 1 for factor in dim)


def numbers(dims: Iterable[Dim]) -> Ints:
    """All numbers of positions in some dimensions."""
    found = [factor.ids for dim in dims for factor in dim if factor.ids is not None]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def over(size: Any, part: Any) -> Any:
    """A size divided by another; None if that leaves a rest, or may do so."""
    if isinstance(size, int) and isinstance(part, int):
        return size // part if part and size % part == 0 else None
    quotient = size / part
    if isinstance(quotient, float):
        return None
    top, bottom = quotient.as_numer_denom()
    if bottom != 1:
        return None
    return int(top) if top.is_Integer else top


def joined(ties: Ties, factors: Sequence[Factor]) -> Dim:
    """Factors as a dimension: those beside each other that have known sizes become one.

    Two of them that could both lose positions cannot be one: what would be left has gaps. Both are held.
    """
    made: list[Factor] = []
    for factor in factors:
        if isinstance(factor.size, int) and factor.size == 1 and factor.ids is None:
            continue
        if made and isinstance(made[-1].size, int) and isinstance(factor.size, int):
            made[-1] = _pair(ties, made[-1], factor)
        else:
            made.append(factor)
    return tuple(made)


def _pair(ties: Ties, a: Factor, b: Factor) -> Factor:
    if a.ids is not None and b.ids is not None:
        a, b = (f if f.ids is None or not ties.stays(f.ids) else Factor(f.size) for f in (a, b))
    if a.ids is not None and b.ids is not None:
        if 1 not in (a.size, b.size):
            for part in (a.ids, b.ids):
                ties.hold(part, "its outputs are flattened together with others that could go")
            return Factor(a.size * b.size)
        ties.hold(a.ids if a.size == 1 else b.ids, "there is one of it")
        return b if a.size == 1 else a
    if a.ids is None and b.ids is None:
        return Factor(a.size * b.size)
    if a.ids is not None:
        return Factor(a.size * b.size, np.repeat(a.ids, b.size)) if b.size > 1 else a
    assert b.ids is not None  # noqa: S101 - the last case
    return Factor(a.size * b.size, np.tile(b.ids, a.size)) if a.size > 1 else b
