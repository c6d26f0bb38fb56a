"""Decision trees that are grown in threads, each on rows drawn with replacement, some beside shuffled columns."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.selection.base import Floats, Ints, Target
from datadiet_cli.methods.selection.design import Design
from datadiet_cli.methods.selection.order import Ordered

Singles = NDArray[np.float32]
_Out = TypeVar("_Out")

MOST_ROWS = 10_000
"""Rows that a tree learns from, at most, drawn anew for each."""
SPLIT_SECONDS = 6e-8
"""What it takes to sort in one row by one column, on an ordinary machine."""
DEEPEST = 40


class Material(NamedTuple):
    """What trees are grown from.

    Attributes:
        x: (n, D) float32.
        owner: (D,) column of each dimension.
        columns: how many columns, p.
        values: (n,) classes or numbers; numbers are standardised.
        classes: whether they are classes.
    """

    x: Singles
    owner: Ints
    columns: int
    values: Ints | Floats
    classes: bool

    @classmethod
    def of(cls, problem: Ordered) -> "Material":
        """Columns as dimensions, as a linear model has them: a tree does not mind their scale."""
        design = Design.fit(problem.columns)
        x = design.matrix(problem.columns).astype(np.float32)
        return cls(x, design.owner, problem.columns.count, *plain(problem.target))

    def only(self, columns: Ints) -> "Material":
        """Some of the columns, by ascending position."""
        inside = np.isin(self.owner, columns)
        owner = np.searchsorted(columns, self.owner[inside])
        return Material(self.x[:, inside], owner, len(columns), self.values, self.classes)

    def with_shadows(self, rng: np.random.Generator) -> "Material":
        """With p more columns, each a copy of another one that is shuffled as a whole."""
        n, width = self.x.shape
        x = np.empty((n, 2 * width), dtype=np.float32)
        x[:, :width] = self.x
        starts = np.searchsorted(self.owner, np.arange(self.columns + 1))
        for start, end in pairwise(starts):
            x[:, width + start : width + end] = self.x[rng.permutation(n), start:end]
        return Material(x, np.concatenate([self.owner, self.owner + self.columns]), 2 * self.columns, *self[3:])


def plain(target: Target) -> tuple[Ints | Floats, bool]:
    """Values that trees learn, and whether they are classes: those that occur, or standardised numbers."""
    if target.classes:
        return np.unique(target.values, return_inverse=True)[1], True
    peak = max(float(np.abs(target.values).max()), 1e-300)
    small = target.values / peak
    spread = float(small.std())
    return (small - small.mean()) / (spread if spread > 0 else 1.0), False


def seconds(rows: int, dimensions: int, depth: int = DEEPEST) -> float:
    """An estimate of what a tree costs."""
    rows = min(rows, MOST_ROWS)
    return float(rows * min(np.log2(rows + 1), depth) * np.sqrt(dimensions) * SPLIT_SECONDS + 1e-3)


class Tree(NamedTuple):
    """A grown tree.

    Attributes:
        importance: (D,) its decrease in impurity by dimension; adds up to 1, or to 0 for a tree without a split.
        inner: the tree, see `sklearn.tree._tree.Tree`.
        weight: (n,) how often it saw each row.
        seed: for what is drawn later.
    """

    importance: Floats
    inner: Any
    weight: Ints
    seed: int


def grow(
    material: Material, seeds: Ints, use: Callable[[Tree], _Out], *, depth: int = DEEPEST, workers: int = 1
) -> Iterator[_Out]:
    """Grow trees that look at the root of the number of dimensions at each split, and use each one.

    Trees are grown one by one and not by a forest of scikit-learn, which sets aside the warnings of the whole process.

    Args:
        material: n rows, two or more.
        seeds: one for each tree.
        use: what to make of a tree; is called in several threads.
        depth: how deep a tree may be.
        workers: threads.

    Returns:
        What `use` made of them, in the order of the seeds.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if material.classes else DecisionTreeRegressor
    n = len(material.x)

    def one(seed: int) -> _Out:
        rng = np.random.default_rng([int(seed), n])
        weight = np.bincount(rng.integers(0, n, min(n, MOST_ROWS)), minlength=n)
        tree = kind(max_features="sqrt", max_depth=depth, random_state=int(rng.integers(1 << 31)))
        seen = np.flatnonzero(weight) if n > MOST_ROWS else slice(None)
        tree.fit(material.x[seen], material.values[seen], weight[seen].astype(np.float64), check_input=False)
        return use(Tree(tree.tree_.compute_feature_importances(), tree.tree_, weight, int(rng.integers(1 << 62))))

    with ThreadPoolExecutor(max(1, workers)) as threads:
        yield from threads.map(one, seeds)
