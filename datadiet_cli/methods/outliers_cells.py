"""Rows of numbers and categories, checked, put in an order of their own, and on scales that detectors can work with.

What one absurd value does is bounded here: centre and spread come from the middle half of a column, and where
distances are measured a value beyond a few spreads counts by its logarithm.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HUGE = 1e6
"""Most spreads from the centre that are told apart; what is farther away, infinities too, counts as this far."""
REACH = 5.0
"""Spreads from the centre up to which a value counts in full where distances are measured; what is beyond counts by its
logarithm."""
MOST_INDICATORS = 256
"""Most columns that categories are spread out to; those beyond the most frequent share one place."""
LARGEST = 1e300
_GOLDEN, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


class Cells(NamedTuple):
    """The cells of n rows.

    Attributes:
        numbers: (n, d) float64 on any scale, NaN for missing; an infinity counts as a huge value.
        categories: (n, c) int64 codes from 0, -1 for missing.
    """

    numbers: Floats
    categories: Ints

    def take(self, rows: Ints) -> "Cells":
        """Some of the rows, in this order."""
        return Cells(self.numbers[rows], self.categories[rows])


class Oddity(NamedTuple):
    """How odd n rows are.

    Attributes:
        score: (n,) float64, finite; larger is odder.
        part: (n, d + c) float64, what each column adds, numbers first, 0 for nothing; None where a detector
            cannot tell.
        neighbours: (n, k) int64, the nearest other rows, nearest first; None where a detector looks for none.
    """

    score: Floats
    part: Floats | None
    neighbours: Ints | None


class Fitted(NamedTuple):
    """A detector that has learned what is usual.

    Attributes:
        own: how odd the rows are that it learned from.
        score: how odd other rows are: takes cells of the same columns, gives (m,) float64.
    """

    own: Oddity
    score: Callable[[Cells], Floats]


class Ruler(NamedTuple):
    """Where the columns of numbers lie, and how wide.

    Attributes:
        centre: (d,) float64, medians.
        spread: (d,) float64, comparable with a standard deviation; 0 where all numbers are equal.
    """

    centre: Floats
    spread: Floats

    def measure(self, numbers: Floats) -> Floats:
        """Give (n, d) float64 spreads from the centre, within `HUGE`; NaN for missing, 0 in a constant column.

        A value other than that of a constant column, which only rows not learned from can have, is `HUGE` away.
        """
        far = np.clip(numbers, -LARGEST, LARGEST) - self.centre
        with np.errstate(over="ignore"):
            scaled = far / np.where(self.spread > 0, self.spread, 1.0)
        constant = self.spread == 0
        if constant.any():
            scaled[:, constant] = np.where(np.isnan(far[:, constant]), np.nan, np.sign(far[:, constant]) * HUGE)
        clipped: Floats = np.clip(scaled, -HUGE, HUGE, out=scaled)
        return clipped


def checked(cells: Cells) -> Cells:
    """Give the cells as the arrays that are promised.

    Raises:
        ValueError: they are not two tables of as many rows, or a code is below -1.
    """
    numbers, categories = np.asarray(cells.numbers, dtype=np.float64), np.asarray(cells.categories)
    if numbers.ndim != 2 or categories.ndim != 2 or len(numbers) != len(categories):
        raise ValueError(f"numbers {numbers.shape} and categories {categories.shape} are not tables of the same rows")
    if categories.size and categories.dtype.kind not in "iu":
        raise ValueError(f"categories are codes, not {categories.dtype}")
    if categories.size and categories.min() < -1:
        raise ValueError("the code of a category is below -1")
    return Cells(numbers, categories.astype(np.int64, copy=False))


def shuffled(cells: Cells, seed: int) -> Ints:
    """Put rows in a random order that depends on the seed and on what is in them, not on the order they come in.

    Returns:
        (n,) int64 rows. Equal rows, which no detector can tell apart, are dealt out like any others.
    """
    n = len(cells.numbers)
    numbers = np.where(np.isnan(cells.numbers), np.nan, cells.numbers + 0.0)  # one NaN, and one zero
    words = [*np.ascontiguousarray(numbers.T).view(np.uint64), *cells.categories.T.astype(np.uint64)]
    factors = np.random.default_rng(seed).integers(1, 1 << 63, len(words) + 1, dtype=np.uint64) | np.uint64(1)
    key = np.full(n, factors[-1])
    for word, factor in zip(words, factors, strict=False):
        key += _mixed(word) * factor
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.searchsorted(ordered, ordered)
    occurrence = np.arange(n) - first
    again = np.argsort(_mixed(ordered + occurrence.astype(np.uint64) * _GOLDEN), kind="stable")
    return order[again]


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all bits (the finaliser of SplitMix64, shortened)."""
    words = (words ^ (words >> np.uint64(30))) * _MIX
    mixed: NDArray[np.uint64] = words ^ (words >> np.uint64(27))
    return mixed


def ruler(numbers: Floats) -> Ruler:
    """Measure columns by their middle half.

    The spread is that of a normal distribution with the same quartiles, or with the same mean distance from the
    median if that is more: a column that is mostly one value has quartiles that are no wider than nothing (Iglewicz &
    Hoaglin, "How to Detect and Handle Outliers", 1993, section 3).

    Args:
        numbers: (n, d) float64, NaN for missing.
    """
    d = numbers.shape[1]
    centre, spread = np.zeros(d), np.zeros(d)
    for j in range(d):
        column = numbers[:, j]
        known = np.clip(column[~np.isnan(column)], -LARGEST, LARGEST)
        if len(known):
            low, centre[j], high = np.percentile(known, [25, 50, 75])
            quartiles = high / 1.349 - low / 1.349
            # The mean distance, each distance no more than a few of the spread that the quartiles suggest.
            far = np.abs(known / 2 - centre[j] / 2) * 2
            mean = np.minimum(far, REACH * quartiles).mean() if quartiles > 0 else _mean(far)
            spread[j] = max(quartiles, 1.2533 * mean)
    return Ruler(centre, spread)


def _mean(far: Floats) -> float:
    """Mean of distances of which most are 0, by those that are not, none of them counting for many others."""
    positive = far[far > 0]
    if not len(positive):
        return 0.0
    return float(np.minimum(positive, REACH * np.median(positive)).sum() / len(far))


def squashed(scaled: Floats, reach: float = REACH) -> Floats:
    """Shorten, in place, what is beyond `reach` to its logarithm, and put missing cells at the centre, 0."""
    np.nan_to_num(scaled, copy=False)
    size = np.abs(scaled)
    far = size > reach
    scaled[far] = np.sign(scaled[far]) * (reach + np.log1p(size[far] - reach))
    return scaled


class Shares(NamedTuple):
    """How frequent the categories of one column are, among the cells that are not missing.

    Attributes:
        share: (k,) float64, of each code.
        rarity: (k,) float64, of the cells whose category is as rare or rarer; where no value comes twice none is
            rare, and this is 1.
        unseen: what a code that was never seen has.
    """

    share: Floats
    rarity: Floats
    unseen: float

    def shares_of(self, codes: Ints) -> Floats:
        """(m,) float64 shares; 1 for missing."""
        return self._of(codes, self.share)

    def rarity_of(self, codes: Ints) -> Floats:
        """(m,) float64 rarities; 1 for missing."""
        return self._of(codes, self.rarity)

    def _of(self, codes: Ints, values: Floats) -> Floats:
        table = np.append(values, [self.unseen, 1.0])
        found: Floats = table[np.where(codes < 0, len(values) + 1, np.minimum(codes, len(values)))]
        return found


def shares(codes: Ints) -> Shares:
    """Count the categories of one column, (n,) int64; their codes may have any gaps between them."""
    known = codes[codes >= 0]
    if not len(known):
        return Shares(np.zeros(0), np.zeros(0), 1.0)
    count = np.bincount(known)
    order = np.argsort(count, kind="stable")
    ordered = count[order]
    upto = np.cumsum(ordered)[np.searchsorted(ordered, ordered, "right") - 1]
    rarity = np.empty(len(count))
    rarity[order] = upto / len(known)
    unseen = 0.5 / len(known)
    return Shares(np.maximum(count / len(known), unseen), np.maximum(rarity, unseen), unseen)


class Indicators(NamedTuple):
    """A way to spread categories out to 0 and 1.

    Attributes:
        places: takes (m, c) codes, gives (m, places) float64.
        column: (places,) int64, the column of categories that each place stands for.
    """

    places: Callable[[Ints], Floats]
    column: Ints


def indicators(categories: Ints) -> Indicators:
    """Prepare to spread categories out, so that two different ones are as far apart as two usual numbers.

    Two usual numbers, of spread 1, are the root of 2 apart, and so are two indicators. A missing cell lies in the
    middle of all. Only the most frequent categories have a place of their own.
    """
    c = categories.shape[1]
    most = max(1, MOST_INDICATORS // max(c, 1))
    table: list[tuple[Ints, Floats]] = []
    for j in range(c):
        share = shares(categories[:, j]).share
        kept = np.sort(np.argsort(-share, kind="stable")[:most])
        table.append((kept, share[kept]))

    def places(codes: Ints) -> Floats:
        blocks = [np.zeros((len(codes), 0))]
        for j, (kept, share) in enumerate(table):
            column = codes[:, j : j + 1]
            blocks.append(np.where(column < 0, share, (column == kept).astype(np.float64)))
        return np.concatenate(blocks, axis=1)

    return Indicators(places, np.repeat(np.arange(c), [len(kept) for kept, _ in table]))


class Space(NamedTuple):
    """A way to lay rows out as points whose distances can be measured.

    Attributes:
        points: takes cells of the columns it was made for, gives (m, places) float64.
        column: (places,) int64, the column that each place comes from, numbers first.
    """

    points: Callable[[Cells], Floats]
    column: Ints


def space(cells: Cells, reach: float = REACH) -> Space:
    """Learn from cells how to lay out rows: numbers in spreads, squashed beyond `reach`, and indicators."""
    d = cells.numbers.shape[1]
    scale, spread_out = ruler(cells.numbers), indicators(cells.categories)
    used = np.flatnonzero(scale.spread > 0)
    narrow = Ruler(scale.centre[used], scale.spread[used])

    def points(cells: Cells) -> Floats:
        scaled = squashed(narrow.measure(cells.numbers[:, used]), reach)
        return np.concatenate([scaled, spread_out.places(cells.categories)], axis=1)

    return Space(points, np.concatenate([used, d + spread_out.column]))
