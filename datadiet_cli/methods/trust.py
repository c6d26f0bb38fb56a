"""Whether features tell classes apart well enough to say that a label is wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.confident import blocks
from datadiet_cli.methods.discriminant import discriminant, moments, spread
from datadiet_cli.methods.folds import hashes, nearest, sample, stratified

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

AGREEMENT = 0.67
"""Floor of the agreement of models that learned from different rows."""
LESS = 0.7
"""Agreement with the labels given, of which some may be wrong, need only be so much of that floor."""
_ROWS = 6000
_PARTS = 3
_NEAR = 15


@dataclass(frozen=True)
class Trust:
    """How well features tell classes apart. NaN where there are no rows to say it.

    Attributes:
        accuracy: cross-validated accuracy: share of rows whose likeliest class is the label given.
        purity: share of nearest neighbours with the label of the row.
        chance: accuracy of who always says the commonest label.
        kappa: accuracy, corrected for chance: 0 is no better, 1 is perfect (Cohen, 1960).
        agreement: kappa of two models that learned from different rows, on rows that neither has seen. Wrong labels
            lower accuracy, but models of good features agree all the same; models of poor features do not.
        trusted: whether agreement and kappa reach their floors, so that samples may be deleted upon it.
    """

    accuracy: float
    purity: float
    chance: float
    kappa: float
    agreement: float
    trusted: bool


def trust(
    x: Floats,
    label: Ints,
    fit: Bools,
    probability: Floats,
    neighbours: Ints | None = None,
    *,
    floor: float = AGREEMENT,
    seed: int = 0,
) -> Trust:
    """Measure how well features tell classes apart.

    For the agreement rows are dealt out to three parts of at most some 2,000, a mean of shrinkage LDA and nearest
    neighbours is learned from each, and each two are compared on the third.

    Args:
        x: (n, d) float32 features, of scales that can be compared: to bring each to the same spread would make as much
            of the last direction of a reduced space as of the first.
        label: (n,) int64 in [0, K), -1 for none.
        fit: (n,) labelled rows that count.
        probability: (n, K) float32, out of fold.
        neighbours: (n, k) int64 rows, -1 for none.
        floor: the least agreement that is trusted; 0 trusts all.
        seed: for the parts.
    """
    classes = probability.shape[1]
    rows = np.flatnonzero(fit & (label >= 0))
    nothing = float("nan")
    if not len(rows):
        return Trust(nothing, nothing, nothing, nothing, nothing, False)
    own = label[rows]
    best = np.zeros(len(rows), dtype=np.int64)
    for some in blocks(len(rows), classes):
        best[some] = probability[rows[some]].argmax(axis=1)
    accuracy = float((best == own).mean())
    chance = float(np.bincount(own).max()) / len(own)
    kappa = cohen(best, own, classes)
    purity = nothing if neighbours is None else _purity(neighbours[rows], own, label)
    agreement = _agreement(np.ascontiguousarray(x[rows], dtype=np.float32), own, classes, seed)
    return Trust(accuracy, purity, chance, kappa, agreement, bool(agreement >= floor and kappa >= LESS * floor))


def cohen(one: Ints, other: Ints, classes: int) -> float:
    """Agreement corrected for chance; 0 where both always say the same one thing.

    Args:
        one: (n,) int64 in [0, classes).
        other: (n,) int64.
        classes: number of classes.
    """
    n = len(one)
    if not n:
        return 0.0
    by_chance = float((np.bincount(one, minlength=classes) / n) @ (np.bincount(other, minlength=classes) / n))
    return (float((one == other).mean()) - by_chance) / (1 - by_chance) if by_chance < 1 - 1e-12 else 0.0


def _purity(neighbours: Ints, own: Ints, label: Ints) -> float:
    there = neighbours >= 0
    same = there & (label[neighbours] == own[:, None])
    return float(same.sum() / there.sum()) if there.any() else float("nan")


def _agreement(x: Floats, label: Ints, classes: int, seed: int) -> float:
    from threadpoolctl import threadpool_limits

    # In the order of hashes, so that neither sample nor parts hang on the order of rows.
    order = np.lexsort((label, hashes(x, seed)))
    order = sample(order, label[order], _ROWS)
    x, label = x[order], label[order]
    part = stratified(label, np.ones(len(x), dtype=bool), _PARTS)
    if len(x) < 2 * _PARTS:
        return 0.0
    with threadpool_limits(1):
        said = np.stack([_say(x, label, part == p, classes) for p in range(_PARTS)])
    kappas = [cohen(said[p - 1, part == p], said[p - 2, part == p], classes) for p in range(_PARTS)]
    return float(np.mean(kappas))


def _say(x: Floats, label: Ints, learned: Bools, classes: int) -> Ints:
    """The class of every row, by a model of some."""
    z, own = x[learned], label[learned]
    seen = moments(z, own, classes)
    model = discriminant(seen, float(spread(z, own, seen).mean()))
    k = min(_NEAR, max(3, len(z) // (2 * len(np.unique(own)))), len(z))
    votes = own[nearest(x, z, k)]
    out = np.zeros(len(x), dtype=np.int64)
    for some in blocks(len(x), classes):
        both = model.probability(x[some])
        for column in range(k):
            both[np.arange(len(both)), votes[some, column]] += 1 / k
        out[some] = both.argmax(axis=1)
    return out
