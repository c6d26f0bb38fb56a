"""Detectors that look at whole rows: how near others are, how easily cut off, how far from the middle.

Rows are laid out as points (`outliers_cells.space`): numbers in spreads of their column, categories as indicators.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from datadiet_cli.methods.outliers_cells import Cells, Fitted, Floats, Ints, Oddity, space
from datadiet_cli.methods.outliers_marginal import rarity_in_spreads

NEIGHBOURS = 20
REFERENCES = 4096
"""Rows that others are compared with; of more, a random choice of as many takes part (Sugiyama & Borgwardt, "Rapid
distance-based outlier detection via sampling", NeurIPS 2013)."""
TREES = 200
ROWS_PER_TREE = 256
WIDEST = 512
"""Most places of points whose covariance is estimated; wider points are projected at random."""
_NARROWED = 256
_CORE = 0.75
_STEPS = 4
_ROWS_A_PLACE = 10
"""With fewer rows their covariance would say more about these rows than about others, and be left out."""
_SHRINKAGE = 0.05
_SQUASH = 3.0
_NEAREST = 0.01
"""Points nearer than this share of the usual distance count as that far apart."""

Singles = NDArray[np.float32]


def knn(cells: Cells, seed: int) -> Fitted:
    """Mean distance to the 20 nearest rows.

    Ramaswamy et al., "Efficient Algorithms for Mining Outliers from Large Data Sets", SIGMOD 2000, with the mean of the
    distances for the largest (Angiulli & Pizzuti, "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002).
    """
    graph = _near(cells)
    if not graph.references:
        return Fitted(Oddity(np.zeros(len(cells.numbers)), None, graph.row), _no_opinion(cells).score)

    def score(cells: Cells) -> Floats:
        distance, _ = graph.search(cells, 1)
        # A row equal to one that is known stands for that one, which is no neighbour of itself.
        same = distance[:, 0] <= _NEAREST * np.median(distance)
        means: Floats = np.where(same, distance[:, 1:].mean(axis=1), distance[:, :-1].mean(axis=1))
        return means

    return Fitted(Oddity(graph.distance.mean(axis=1), None, graph.row), score)


def lof(cells: Cells, seed: int) -> Fitted:
    """Local outlier factor: how much sparser it is around a row than around its 20 nearest ones.

    Breunig et al., "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000, definitions 3 to 7. Equal rows count
    as one, as with the k-distinct-distance of the remark after definition 6, so a heap of copies does not make
    everything around it odd.
    """
    graph = _near(cells, distinct=True)
    references = graph.references
    if not references:
        return Fitted(Oddity(np.zeros(len(cells.numbers)), None, graph.row), _no_opinion(cells).score)
    reach = graph.distance[:references, -1]
    least = max(float(np.median(reach)) * _NEAREST, 1e-12)
    usual = np.maximum(reach, least)

    def sparsity(distance: Floats, place: Ints) -> Floats:
        mean: Floats = np.maximum(usual[place], distance).mean(axis=1)
        return mean

    density = 1 / sparsity(graph.distance[:references], graph.place[:references])
    own = density[graph.place].mean(axis=1) * sparsity(graph.distance, graph.place)

    def score(cells: Cells) -> Floats:
        distance, place = graph.search(cells)
        factor = density[place].mean(axis=1) * sparsity(distance, place)
        # A row equal to one that is known is as odd as that one, which is no neighbour of itself.
        factors: Floats = np.where(distance[:, 0] <= least, own[place[:, 0]], factor)
        return factors

    return Fitted(Oddity(own[graph.inverse], None, graph.row), score)


def isolation_forest(cells: Cells, seed: int) -> Fitted:
    """How few random cuts set a row apart, from 0 to 1 (Liu, Ting & Zhou, ICDM 2008), in 200 trees of 256 rows.

    Categories are cut by how rare they are.
    """
    from sklearn.ensemble import IsolationForest

    layout = space(cells._replace(categories=cells.categories[:, :0]))
    rarity = rarity_in_spreads(cells)

    def points(cells: Cells) -> Singles:
        numbers = layout.points(cells._replace(categories=cells.categories[:, :0]))
        return np.concatenate([numbers, rarity(cells)], axis=1).astype(np.float32)

    learned = points(cells)
    if len(learned) < 2 or not learned.shape[1]:
        return _no_opinion(cells)
    forest = IsolationForest(
        n_estimators=TREES, max_samples=min(ROWS_PER_TREE, len(learned)), random_state=seed % (1 << 32), n_jobs=1
    ).fit(learned)

    def score(points: Singles) -> Floats:
        odd: Floats = -forest.score_samples(points)
        return odd

    return Fitted(Oddity(score(learned), None, None), lambda cells: score(points(cells)))


def mahalanobis(cells: Cells, seed: int) -> Fitted:
    """Squared Mahalanobis distance from the middle of the three quarters of the rows that lie closest together.

    These are found by concentration steps (Rousseeuw & Van Driessen, "A Fast Algorithm for the Minimum Covariance
    Determinant Estimator", Technometrics 1999, section 3), from numbers squashed beyond 3 spreads and with the
    covariance shrunk towards a multiple of the identity, so collinear columns do no harm. What a column adds is its
    share of the sum, at least 0; with more than 512 places none is told.
    """
    layout = space(cells, _SQUASH)
    learned = layout.points(cells)
    places = learned.shape[1]
    if len(learned) < 2 or not places:
        return _no_opinion(cells)
    turn: Floats | None = None
    if places > WIDEST:
        turn = np.random.default_rng(seed).normal(size=(places, _NARROWED)) / np.sqrt(_NARROWED)
        learned = _product(learned, turn)
    middle, inverse = _concentrated(learned)

    def added(points: Floats) -> Floats:
        off = points - middle
        each: Floats = off * _product(off, inverse)
        return each

    def score(cells: Cells) -> Floats:
        points = layout.points(cells)
        total: Floats = added(points if turn is None else _product(points, turn)).sum(axis=1)
        return np.maximum(total, 0.0)

    each = added(learned)
    part = None
    if turn is None:
        part = np.zeros((len(each), cells.numbers.shape[1] + cells.categories.shape[1]))
        for place, column in enumerate(layout.column):
            part[:, column] += each[:, place]
        np.maximum(part, 0.0, out=part)
        part[np.concatenate([np.isnan(cells.numbers), cells.categories < 0], axis=1)] = 0.0
    return Fitted(Oddity(np.maximum(each.sum(axis=1), 0.0), part, None), score)


def _no_opinion(cells: Cells) -> Fitted:
    return Fitted(Oddity(np.zeros(len(cells.numbers)), None, None), lambda cells: np.zeros(len(cells.numbers)))


def _product(one: Floats, other: Floats) -> Floats:
    """A product of matrices whose last digits do not depend on the number of threads."""
    with threadpool_limits(1):
        product: Floats = one @ other
    return product


def _concentrated(points: Floats) -> tuple[Floats, Floats]:
    """Middle and inverse covariance of the core of points."""
    n, places = points.shape
    core = np.ones(n, dtype=bool)
    middle, inverse = np.zeros(places), np.eye(places)
    for _ in range(_STEPS):
        middle = points[core].mean(axis=0)
        off = points[core] - middle
        with threadpool_limits(1):
            covariance = off.T @ off / len(off)
            usual = np.trace(covariance) / places or 1.0
            # The fewer rows to a place, the less their covariance is to be trusted.
            shrinkage = min(_SHRINKAGE + places / len(off), 1.0) if len(off) >= _ROWS_A_PLACE * places else 1.0
            covariance *= 1 - shrinkage
            covariance[np.diag_indices(places)] += shrinkage * usual
            inverse = np.linalg.inv(covariance)
        off = points - middle
        distance = (off * _product(off, inverse)).sum(axis=1)
        core = distance <= np.quantile(distance, _CORE)
    return middle, inverse


class _Near(NamedTuple):
    """The nearest reference points of rows.

    Attributes:
        distance: (m, k) float64.
        place: (m, k) int64, which of the references.
        row: (n, k) int64, which of the rows.
        references: how many references there are; the first so many of the m are these.
        inverse: (n,) int64, which of the m a row is.
        search: takes cells, and of how many neighbours more than k; gives distances and places of the nearest
            references, (m, k + more).
    """

    distance: Floats
    place: Ints
    row: Ints
    references: int
    inverse: Ints
    search: Callable[..., tuple[Floats, Ints]]


def _near(cells: Cells, *, distinct: bool = False) -> _Near:
    """Find the nearest neighbours of rows among the first `REFERENCES`: rows come in random order."""
    from sklearn.neighbors import NearestNeighbors

    layout = space(cells)
    points = layout.points(cells).astype(np.float32)
    n = len(points)
    chosen, inverse = _references(points, distinct=distinct)
    k = min(NEIGHBOURS, len(chosen) - 1)
    if k < 1 or not points.shape[1]:
        none = np.zeros((n, 0), dtype=np.int64)
        return _Near(np.zeros((n, 0)), none, none, 0, inverse, lambda cells: (np.zeros((len(cells.numbers), 0)), none))
    index = NearestNeighbors(n_neighbors=k, n_jobs=1).fit(points[chosen])

    def ask(points: Singles | None, count: int) -> tuple[Floats, Ints]:
        if points is not None and not len(points):
            return np.zeros((0, count)), np.zeros((0, count), dtype=np.int64)
        with threadpool_limits(1):
            distance, place = index.kneighbors(points, count)
        return distance.astype(np.float64), place.astype(np.int64)

    def search(cells: Cells, more: int = 0) -> tuple[Floats, Ints]:
        return ask(layout.points(cells).astype(np.float32), k + more)

    among, others = ask(None, k), ask(points[min(n, REFERENCES) :], k)
    distance, place = (np.concatenate(both) for both in zip(among, others, strict=True))
    return _Near(distance, place, chosen[place][inverse], len(chosen), inverse, search)


def _references(points: Singles, *, distinct: bool) -> tuple[Ints, Ints]:
    """Rows that serve as references, and for each row its place among references and then all others."""
    n = len(points)
    several = min(n, REFERENCES)
    if not distinct or not points.shape[1]:
        return np.arange(several), np.arange(n)
    some = np.ascontiguousarray(points[:several]) + np.float32(0.0)
    whole = some.view(np.dtype((np.void, some.dtype.itemsize * some.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return first.astype(np.int64), np.concatenate([inverse, len(first) + np.arange(n - several)])
