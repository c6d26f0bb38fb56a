"""What every way to rank columns must hold; a new one joins by being registered."""

import numpy as np

from datadiet_cli.methods.selection.base import NONE, Columns, Target

CLASSES, NUMBERS = "classes", "numbers"


def plain(x, categories=None):
    """Columns of numbers, and of categories if any."""
    x = np.asarray(x, dtype=np.float64)
    if categories is None:
        categories = np.empty((len(x), 0), dtype=np.int64)
    return Columns(x, np.asarray(categories, dtype=np.int64))


def problem(kind=CLASSES, n=160, seed=0, missing=0.06):
    """Five numbers and four categories: number 0 and category 0 (position 5) tell the target, some tell nothing.

    Number 3 is constant, number 4 and category 3 are all missing.
    """
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 3, n)
    x = rng.normal(size=(n, 5))
    x[:, 0] += 3 * hidden
    x[:, 3] = 7.25
    categories = rng.integers(0, 4, (n, 4))
    categories[:, 0] = np.where(rng.random(n) < 0.9, (hidden + 1) % 3, categories[:, 0] % 3)
    x[rng.random(x.shape) < missing] = np.nan
    categories[rng.random(categories.shape) < missing] = -1
    x[:, 4], categories[:, 3] = np.nan, -1
    values = hidden if kind == CLASSES else hidden + 0.1 * rng.normal(size=n)
    return Columns(x, categories), Target(values, 3 if kind == CLASSES else 0)


def check(ranking, columns):
    """A ranking that can be worked with."""
    p = columns.count
    assert ranking.score.shape == (p,)
    assert not np.isinf(ranking.score).any()
    assert sorted(ranking.rank.tolist()) == list(range(1, p + 1))
    assert ranking.unit
    assert all(isinstance(note, str) for note in ranking.notes)
    if ranking.chosen is not None:
        assert ranking.chosen.shape == (p,)
        assert ranking.chosen.dtype == bool
    if ranking.witness is not None:
        assert ranking.witness.shape == (p,)
        assert ((ranking.witness >= NONE) & (ranking.witness < p)).all()
        assert (ranking.witness != np.arange(p)).all()


def same(one, other, atol=1e-9):
    """Two rankings say the same."""
    np.testing.assert_allclose(one.score, other.score, rtol=1e-9, atol=atol)
    assert (one.rank == other.rank).all()
    assert (one.chosen is None) == (other.chosen is None)
    assert one.chosen is None or (one.chosen == other.chosen).all()
    assert one.witness is None or (one.witness == other.witness).all()


def holds(rank, **options):
    """Ranks the same again, by any number of workers, of rows in any order; mixed columns with holes, both targets."""
    for kind in (CLASSES, NUMBERS):
        columns, target = problem(kind)
        before = columns.numbers.copy(), columns.categories.copy(), target.values.copy()
        first = rank(columns, target, **options)
        check(first, columns)
        after = columns.numbers, columns.categories, target.values
        assert all(np.array_equal(a, b, equal_nan=a.dtype == float) for a, b in zip(before, after, strict=True))
        same(first, rank(columns, target, workers=3, **options))
        rows = np.random.default_rng(5).permutation(len(columns))
        moved = rank(columns.rows(rows), target.rows(rows), **options)
        np.testing.assert_allclose(first.score, moved.score, rtol=1e-7, atol=1e-9)
        assert first.chosen is None or (first.chosen == moved.chosen).all()


def informative(rank, **options):
    """What tells the target comes before what does not."""
    for kind in (CLASSES, NUMBERS):
        columns, target = problem(kind)
        place = rank(columns, target, **options).rank
        assert max(place[0], place[5]) < min(place[1], place[2], place[6], place[7]), kind


def survives(rank, **options):
    """Odd shapes and skewed data are ranked, or refused in words."""
    for kind in (CLASSES, NUMBERS):
        columns, target = problem(kind)
        several = [(columns.rows(np.arange(n)), target.rows(np.arange(n))) for n in (0, 1, 2, 3, 6)]
        several.append((Columns(columns.numbers[:, :0], columns.categories[:, :0]), target))
        several.append((Columns(columns.numbers[:, :0], columns.categories), target))
        several.append((Columns(columns.numbers[:, :1], columns.categories[:, :0]), target))
        several.append((Columns(columns.numbers[:, 3:], columns.categories[:, 3:]), target))
        several.append((columns, Target(np.zeros_like(target.values), target.classes)))
        huge = np.where(np.isnan(columns.numbers), np.nan, columns.numbers * 1e200)
        several.append((Columns(huge, columns.categories), target))
        several.append((Columns(huge * 1e-300 * 1e-205, columns.categories), target))
        for some, wanted in several:
            check(rank(some, wanted, **options), some)
