"""Find rows that are unlike the others, and say how many of them are: detectors, and where to cut their scores."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.calibration import clean_copies, core_of, threshold_of
from datadiet_cli.methods.outliers_cells import Cells, Fitted, Floats, Ints, Oddity, checked, shuffled
from datadiet_cli.methods.outliers_distance import isolation_forest, knn, lof, mahalanobis
from datadiet_cli.methods.outliers_marginal import ecod, hbos, iqr, mad, zscore

__all__ = ["DETECTORS", "FEW", "Cells", "Found", "Oddity", "find_outliers"]

FEW = 20
"""Among fewer rows than this only what lies far off is odd: there are too few to say what is usual."""
FAR = 10.0
"""That many median absolute deviations (times 1.4826) from the median is far off."""
_BEYOND, _FARTHEST = 0.99, 100.0
_GUARD = 2000

Fit = Callable[[Cells, int], Fitted]


class Found(NamedTuple):
    """Which of n rows are outliers, and why.

    Attributes:
        odd: (n,) bool.
        score: (n,) float64, larger is odder.
        threshold: a row is odd whose score is above it.
        part: (n, d + c) float64, what each column adds, numbers first; 0 for nothing, as for a missing cell. Where
            the detector cannot tell, how far each cell by itself is from the middle of its column, in spreads.
        neighbours: (n, k) int64, nearest other rows; None where the detector looks for none.
    """

    odd: NDArray[np.bool_]
    score: Floats
    threshold: float
    part: Floats
    neighbours: Ints | None


def auto(cells: Cells, seed: int) -> Fitted:
    """What several detectors agree on: global, marginal and local ones.

    Each gives a row the share of rows that it finds as odd or odder. As of p-values of several tests (Fisher,
    "Statistical Methods for Research Workers", 1932, section 21.1), the mean of their negative logarithms counts, of
    isolation forest, Mahalanobis distance, ECOD, HBOS and nearest neighbours: being very odd to one weighs more than
    being somewhat odd to all. Shares cannot tell how far off a row is, so beyond what clean copies of the data reach
    each detector adds the distance, in units in which the exponential tail of the copies' scores falls to its e-th
    part; so does the largest distance of a cell from its column's median.
    """
    members = [fit(cells, seed) for fit in (isolation_forest, mahalanobis, ecod, hbos, knn)]
    by_cell = mad(cells, seed)
    ordered = [np.sort(member.own.score) for member in members]

    def agreed(scores: list[Floats]) -> Floats:
        agreement: Floats = np.mean([_surprise(*both) for both in zip(scores, ordered, strict=True)], axis=0)
        return agreement

    own = [member.own.score for member in members]
    agreement = agreed(own)
    copies = clean_copies(cells, core_of(agreement), _GUARD, seed)
    tails = [_tail(member.score(copies)) for member in (*members, by_cell)]

    def joint(scores: list[Floats], far: Floats, agreement: Floats) -> Floats:
        beyond = [tail(score) for tail, score in zip(tails, [*scores, far], strict=True)]
        total: Floats = agreement + np.mean(beyond, axis=0)
        return total

    def score(cells: Cells) -> Floats:
        scores = [member.score(cells) for member in members]
        return joint(scores, by_cell.score(cells), agreed(scores))

    spreads, directions = by_cell.own.part, members[1].own.part
    part = spreads if directions is None or spreads is None else np.maximum(spreads, np.sqrt(directions))
    return Fitted(Oddity(joint(own, by_cell.own.score, agreement), part, members[-1].own.neighbours), score)


def find_outliers(cells: Cells, detector: str, rate: float, seed: int) -> Found:
    """Find rows that are odder than rows of the same data without its outliers would be.

    How many there are the data say: scores are compared with those of clean copies (`calibration`), never a fixed
    share. Among fewer than `FEW` rows nothing is odd but what is `FAR` off. Neither the order of the rows nor the
    number of threads changes a row's score.

    Args:
        cells: n rows, 0 or more.
        detector: a name in `DETECTORS`.
        rate: the share of clean rows that may be taken for outliers.
        seed: of what is drawn.

    Raises:
        ValueError: the detector is unknown, the rate is not above 0 and below 0.5, or the tables do not fit together.
    """
    if detector not in _FITS:
        raise ValueError(f"unknown detector '{detector}', not one of {', '.join(_FITS)}")
    if not 0 < rate < 0.5:
        raise ValueError(f"a rate of {rate:g} is not above 0 and below 0.5")
    cells = checked(cells)
    order = shuffled(cells, seed)
    cells = cells.take(order)
    fitted = _fitted(detector, cells, seed)
    own = fitted.own
    spreads = None if own.part is not None and len(order) >= FEW else mad(cells, seed).own.part
    if len(order) >= FEW:
        threshold = threshold_of(fitted, cells, rate, seed + 1)
    else:
        assert spreads is not None  # noqa: S101 - what `mad` promises
        threshold = own.score[spreads.max(axis=1, initial=0.0) < FAR].max(initial=own.score.min(initial=0.0))
    part = own.part if own.part is not None else spreads
    assert part is not None  # noqa: S101
    back = _inverse(order)
    return Found(
        (own.score > threshold)[back], own.score[back], float(threshold), part[back], _renamed(own.neighbours, order)
    )


def _inverse(order: Ints) -> Ints:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back


def _renamed(neighbours: Ints | None, order: Ints) -> Ints | None:
    """Neighbours of rows that were put in an order, of the rows as they were."""
    return None if neighbours is None else order[neighbours][_inverse(order)]


def _surprise(score: Floats, ordered: Floats) -> Floats:
    """Negative logarithm of the share of scores that are as large or larger, ties by half."""
    n = len(ordered)
    above = n - (np.searchsorted(ordered, score, "left") + np.searchsorted(ordered, score, "right")) / 2
    surprise: Floats = -np.log(np.maximum(above, 0.5) / n)
    return surprise


def _tail(scores: Floats) -> Callable[[Floats], Floats]:
    """How far beyond nearly all of some scores another one is, in mean excesses of those that are there too."""
    edge = float(np.quantile(scores, _BEYOND))
    excess = scores[scores > edge] - edge
    usual = float(excess.mean()) if len(excess) else 0.0
    unit = max(usual, (edge - float(np.median(scores))) / 10, 1e-9)
    return lambda score: np.clip((score - edge) / unit, 0.0, _FARTHEST)


_FITS: dict[str, Fit] = {
    "zscore": zscore,
    "mad": mad,
    "iqr": iqr,
    "isolation-forest": isolation_forest,
    "lof": lof,
    "knn": knn,
    "ecod": ecod,
    "hbos": hbos,
    "mahalanobis": mahalanobis,
    "auto": auto,
}


def _fitted(detector: str, cells: Cells, seed: int) -> Fitted:
    if len(cells.numbers):
        return _FITS[detector](cells, seed)
    part = np.zeros((0, cells.numbers.shape[1] + cells.categories.shape[1]))
    return Fitted(Oddity(np.zeros(0), part, None), lambda other: np.zeros(len(other.numbers)))


def _detector(name: str) -> Callable[[Cells, int], Oddity]:
    """A detector for rows in any order."""

    def judge(cells: Cells, seed: int) -> Oddity:
        cells = checked(cells)
        order = shuffled(cells, seed)
        own, back = _fitted(name, cells.take(order), seed).own, _inverse(order)
        return Oddity(own.score[back], None if own.part is None else own.part[back], _renamed(own.neighbours, order))

    return judge


DETECTORS: dict[str, Callable[[Cells, int], Oddity]] = {name: _detector(name) for name in _FITS}
"""How odd rows are, by name; the second argument is the seed."""
