"""Mutual information of each column with the target, by nearest neighbours for numbers and by counting for categories.

Rows in which a column's cell is missing do not count for that column.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from datadiet_cli.methods.selection.association import crossed
from datadiet_cli.methods.selection.base import Bools, Columns, Floats, Ints, Ranking, Target, ranks
from datadiet_cli.methods.selection.checks import FEWEST, predicted, thinned

NEIGHBOURS = 3
_LITTLE = 1e-9


def mutual_information(columns: Columns, target: Target | None, *, workers: int = 1, **_: object) -> Ranking:
    """Rank by mutual information with the target, in nats, not below 0.

    Numbers with classes: Ross, "Mutual Information between Discrete and Continuous Data Sets", PLoS ONE 9(2), 2014,
    and so categories with a number, by exchanging both. Numbers with a number: Kraskov, Stoegbauer and Grassberger,
    "Estimating mutual information", Phys. Rev. E 69, 2004, first estimator. Both with three neighbours; where so many
    numbers are equal all of these are counted (Gao et al., "Estimating Mutual Information for Discrete-Continuous
    Mixtures", NIPS 2017). Elsewhere equal numbers are moved apart by next to nothing, the same whatever the order.
    Categories with classes: the entropies of the observed shares, corrected as by Miller and Madow (1955), values of
    fewer than five rows taken together.

    Args:
        columns: n rows.
        target: what they shall predict.
        workers: threads to use; the answer does not depend on it.

    Raises:
        ValueError: see `checks.predicted`.
    """
    target = predicted(columns, target)
    values, classes = target.values, target.classes
    categories = thinned(columns.categories)

    def of_number(place: int) -> float:
        x = columns.numbers[:, place]
        known = ~np.isnan(x)
        if classes:
            return _told(known, lambda: with_classes(x[known], values[known].astype(np.int64)))
        return _told(known, lambda: with_numbers(x[known], values[known].astype(np.float64)))

    def of_category(place: int) -> float:
        code = categories[:, place]
        known = code >= 0
        if classes:
            return _told(known, lambda: of_counts(code[known], values[known].astype(np.int64)))
        return _told(known, lambda: with_classes(values[known].astype(np.float64), code[known]))

    with ThreadPoolExecutor(workers) as threads:
        score = [*threads.map(of_number, range(columns.numbers.shape[1]))]
        score += threads.map(of_category, range(categories.shape[1]))
    found = np.array(score, dtype=np.float64)
    return Ranking(found, ranks(found), "nats")


def _told(known: "np.ndarray", measure: Callable[[], float]) -> float:
    return measure() if known.sum() >= FEWEST else float("nan")


def with_classes(x: Floats, code: Ints, k: int = NEIGHBOURS) -> float:
    """Mutual information of numbers and classes (Ross 2014, equation 4).

    Args:
        x: (n,) float64, finite.
        code: (n,) int64 from 0 on; rows that are alone in their class do not count.
        k: neighbours in a row's own class; fewer in a class that has fewer.

    Returns:
        Nats, not below 0.
    """
    size = np.bincount(code, minlength=1)
    some = size[code] > 1
    x, code = x[some], code[some]
    if not len(x) or (size > 1).sum() < 2:
        return 0.0
    order = np.lexsort((x, code))
    own = x[order]
    everyone = np.sort(x)
    near, spare = np.empty((2, len(x))), np.zeros(len(x))
    ends = np.cumsum(np.bincount(code))
    start = 0
    for end in ends[np.diff(ends, prepend=0) > 0]:
        part = own[start:end]
        wanted = min(k, len(part) - 1)
        low, high, at_once = _reach(part, wanted)
        near[0, start:end] = _within(part, low, high)
        near[1, start:end] = _within(everyone, low, high)
        # Where equal numbers set the radius, not the k-th neighbour, the row itself counts as one of them: the mean of
        # the digamma of a count is the logarithm of what is expected only with one more. In part, where both do.
        spare[start:end] = np.where(near[0, start:end] > wanted, np.where(at_once, 1.0, 0.5), 0.0)
        start = end
    local = digamma(near[0] + spare) - digamma(near[1] + spare) - digamma(size[code[order]])
    return max(float(digamma(len(x)) + local.mean()), 0.0)


def with_numbers(x: Floats, y: Floats, k: int = NEIGHBOURS) -> float:
    """Mutual information of two numbers (Kraskov et al. 2004, equation 8).

    Args:
        x: (n,) float64, finite.
        y: (n,) float64, finite.
        k: neighbours.

    Returns:
        Nats, not below 0.
    """
    x, y = _scaled(x), _scaled(y)
    k = min(k, len(x) - 1)
    if k < 1 or not x.any() or not y.any():
        return 0.0
    order = np.lexsort((y, x))
    pairs = np.column_stack([x[order], y[order]])
    new = np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)])
    first = np.flatnonzero(new)
    copies = np.diff(np.append(first, len(pairs)))
    copy = np.arange(len(pairs)) - np.repeat(first, copies)
    # No more copies of a point than its neighbours can be: else a search among equal points takes time by their square.
    few = copy <= k
    many = copies > k
    local = digamma(copies).astype(np.float64)
    loose = np.column_stack([_loosened(pairs[:, axis], axis) for axis in (0, 1)])
    distance = np.zeros(len(first))
    distance[~many] = cKDTree(loose[few]).query(loose[first[~many]], k=k + 1, p=np.inf)[0][:, -1]
    local[~many] = digamma(k)
    for axis in (0, 1):
        local[many] -= digamma(_strictly(np.sort(pairs[:, axis]), pairs[first[many], axis], distance[many]))
        local[~many] -= digamma(_strictly(np.sort(loose[:, axis]), loose[first[~many], axis], distance[~many]))
    return max(float(digamma(len(x)) + (local * copies).sum() / len(x)), 0.0)


def of_counts(one: Ints, other: Ints) -> float:
    """Mutual information of two categories, in nats, not below 0."""
    table = crossed(one, other)
    n = max(table.rows, 1)
    count = table.size.astype(np.float64)
    plain = float((count * np.log(count * n / (table.one.astype(np.float64) * table.other))).sum() / n)
    return max(plain + (table.shape[0] + table.shape[1] - len(count) - 1) / (2 * n), 0.0)


def _reach(part: Floats, k: int) -> tuple[Floats, Floats, Bools]:
    """From where to where sorted numbers have their k nearest others, and if all of them are equal: (n,) each."""
    n = len(part)
    radius = np.full(n, np.inf)
    for below in range(k + 1):
        middle = slice(below, n - (k - below))
        left = part[middle] - part[: n - k]
        right = part[k:] - part[middle]
        radius[middle] = np.minimum(radius[middle], np.maximum(left, right))
    # A little farther, so that the k-th neighbour is not lost by rounding.
    spare = 4 * np.spacing(np.abs(part) + radius)
    return part - radius - spare, part + radius + spare, radius == 0


def _within(numbers: Floats, low: Floats, high: Floats) -> Ints:
    """How many of sorted numbers lie between, less one: a number is no neighbour of itself."""
    between: Ints = np.searchsorted(numbers, high, "right") - np.searchsorted(numbers, low, "left") - 1
    return between


def _strictly(numbers: Floats, at: Floats, distance: Floats) -> Ints:
    """How many of sorted numbers are nearer than a distance, itself included; those that are equal at distance 0."""
    spare = np.minimum(4 * np.spacing(np.abs(at) + distance), distance / 2)
    high = np.searchsorted(numbers, at + distance - spare, "right")
    nearer: Ints = high - np.searchsorted(numbers, at - distance + spare, "left")
    return nearer


def _loosened(x: Floats, seed: int) -> Floats:
    """Numbers of spread 1 in a fixed order, moved a little where some are equal.

    On a grid many neighbours are equally far; to count only those that are nearer finds ties where there are none.
    """
    if len(np.unique(x)) == len(x):
        return x
    return x + _LITTLE * np.random.default_rng(seed).standard_normal(len(x))


def _scaled(x: Floats) -> Floats:
    """Centred, by the standard deviation; zeros if it does not vary."""
    top = np.abs(x).max(initial=0.0)
    x = x / top if top > 0 else x
    x = x - x.mean()
    spread = x.std()
    return x / spread if spread > 1e-12 else np.zeros_like(x)
