"""Wrong targets of regression: numbers far from what models say that did not learn from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.folds import SEQUENTIAL, hashes, nearest, standardised, stratified
from datadiet_cli.methods.pieces import one_thread

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Wide = NDArray[np.float64]
Bools = NDArray[np.bool_]

FALSE_FLAGS = 0.03
"""Expected share of right targets among those flagged."""
NEAR = 10
TREES = 60
LEAF = 3
TREE_ROWS = 4000
REFERENCE = 8192
_LOCAL = 50
_FLOOR = 0.3
_RIDGE = 1e-2
_FEWEST = 20
_ROUNDS = 2
_PRIOR = 200
_TAILS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, np.inf)
_USUAL = 5
_NORMAL = 1.959963984540054
_MEDIAN = 0.6744897501960817


@dataclass(frozen=True, eq=False)
class OddTargets:
    """Which targets are wrong.

    Attributes:
        wrong: (n,) whether a target is: its score is below the threshold.
        score: (n,) float64 in [0, 1], how likely so large a residual is for a right target; 1 where there is none.
        threshold: the score below which a target is wrong; 0 where nothing could be learned.
        suggested: (n,) float64, the target that the models say; NaN where nothing could be learned.
        residual: (n,) float64, target less suggestion, in local standard deviations; NaN where there is none.
        noise_rate: estimated share of wrong targets among the rows to learn from.
        interval: low and high, 95 % (Wilson, 1927).
    """

    wrong: Bools
    score: Wide
    threshold: float
    suggested: Wide
    residual: Wide
    noise_rate: float
    interval: tuple[float, float]


def find_odd_targets(
    x: Floats, target: Wide, fit: Bools, *, folds: int = 5, seed: int = 0, crew: Crew = ALONE
) -> OddTargets:
    """Find wrong targets.

    A target is predicted by models of the other folds: the median of ridge regression, the median of the 10 nearest
    neighbours and extremely randomised trees. What it is off is divided by the typical error of the 50 nearest rows,
    so that noise which is not the same everywhere is no reason to doubt. How heavy the tails of right residuals are
    is told, for each side by itself, from the middle of their distribution (that of Student with the ratio of
    quantiles observed), and as many are flagged as keep the share of false ones at 3 %: Benjamini and Hochberg,
    "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57(1), 1995. Where right
    errors are often far off themselves, as those of Student with 3 degrees of freedom, little is flagged.

    Args:
        x: (n, d) float32 features, finite.
        target: (n,) float64, NaN for none.
        fit: (n,) rows to learn from, all with a target; with less than 20 nothing is flagged.
        folds: number of folds, at least 2.
        seed: for folds and trees.
        crew: works on the folds side by side.

    Raises:
        ValueError: shapes do not fit, or a feature or a target is infinite, or a row to learn from has none.
    """
    x = np.ascontiguousarray(x, dtype=np.float32)
    _check(x, target, fit, folds)
    n = len(x)
    residual = np.full(n, np.nan)
    if int(fit.sum()) < max(_FEWEST, folds):
        return OddTargets(np.zeros(n, bool), np.ones(n), 0.0, np.full(n, np.nan), residual, 0.0, (0.0, 1.0))
    # Numbers of any size are learned alike, and squares do not overflow.
    centre, scale = _scale(target[fit])
    suggested = _predicted(x, (target - centre) / scale, fit, folds, seed, crew) * scale + centre
    has = ~np.isnan(target)
    off = (target - suggested) / scale
    residual[has] = (off / _local(x, off, fit))[has]
    score, threshold = _flag(residual, fit)
    wrong = score < threshold
    return OddTargets(wrong, score, threshold, suggested, residual, *_rate(wrong & fit, threshold, fit))


def _check(x: Floats, target: Wide, fit: Bools, folds: int) -> None:
    if x.ndim != 2 or target.shape != x.shape[:1] or fit.shape != x.shape[:1]:
        raise ValueError(f"features {x.shape}, targets {target.shape} and rows to learn from {fit.shape} do not fit")
    if folds < 2:
        raise ValueError(f"{folds} folds: at least 2 are needed")
    if not np.isfinite(x).all():
        raise ValueError("a feature is missing or infinite")
    if np.isinf(target).any():
        raise ValueError("a target is infinite")
    if np.isnan(target[fit]).any():
        raise ValueError("a row to learn from has no target")


def _scale(target: Wide) -> tuple[float, float]:
    """Median, and a spread that is never 0."""
    centre = float(np.median(target))
    away = np.abs(target / 2 - centre / 2)
    scale = 2 * (float(np.median(away)) or float(away.max()))
    return centre, scale or 1.0


@dataclass(frozen=True, eq=False)
class _Data:
    """Everything that the folds share.

    Attributes:
        z: (n, d) scaled features.
        y: (n,) targets.
        fold: (n,) folds, -1 for rows that are not learned from.
        seed: for trees.
    """

    z: Floats
    y: Wide
    fold: Ints
    seed: int


def _predicted(x: Floats, target: Wide, fit: Bools, folds: int, seed: int, crew: Crew) -> Wide:
    order = np.lexsort((target, hashes(x, seed)))
    fold = stratified(np.zeros(len(x), dtype=np.int64), fit[order], folds)
    with one_thread():
        data = _Data(standardised(x[order]), target[order], fold, seed)
    out = np.full(len(x), np.nan)
    tasks = [f for f in range(-1, folds) if (fold == f).any()]
    for rows, said in crew.each(_of_fold, data, tasks):
        out[order[rows]] = said
    return out


def _of_fold(data: _Data, f: int) -> tuple[Ints, Wide]:
    """Rows of a fold, and what models of the others say of them."""
    rows, learned = np.flatnonzero(data.fold == f), np.flatnonzero((data.fold != f) & (data.fold >= 0))
    x, y, seed = data.z[learned], data.y[learned], data.seed + f + 1
    with one_thread():
        said = [model(data.z[rows], x, y, seed) for model in (_ridge, _neighbours, _trees)]
    return rows, np.median(said, axis=0)


def _ridge(query: Floats, x: Floats, y: Wide, seed: int) -> Wide:
    # A wrong target may be of any size: none pulls further than the rest reach.
    low, high = np.quantile(y, [0.01, 0.99])
    wide, held = np.column_stack([x, np.ones(len(x))]).astype(np.float64), np.clip(y, low, high)
    gram = wide.T @ wide
    gram.flat[:: len(gram) + 1] += _RIDGE * len(x)
    weight = np.linalg.solve(gram, wide.T @ held)
    said: Wide = np.clip(query.astype(np.float64) @ weight[:-1] + weight[-1], low, high)
    return said


def _neighbours(query: Floats, x: Floats, y: Wide, seed: int) -> Wide:
    x, y = x[:REFERENCE], y[:REFERENCE]
    said: Wide = np.median(y[nearest(query, x, min(NEAR, len(x)))], axis=1)
    return said


def _trees(query: Floats, x: Floats, y: Wide, seed: int) -> Wide:
    from sklearn.ensemble import ExtraTreesRegressor

    capped = len(x) > TREE_ROWS
    forest = ExtraTreesRegressor(
        TREES,
        min_samples_leaf=LEAF,
        max_features=0.5,
        bootstrap=capped,
        max_samples=TREE_ROWS if capped else None,
        random_state=seed,
    )
    low, high = np.quantile(y, [0.01, 0.99])
    with SEQUENTIAL:
        said: Wide = forest.fit(x, np.clip(y, low, high)).predict(query)
    return said


def _local(x: Floats, off: Wide, fit: Bools) -> Wide:
    """The typical size of a residual near each row, as a standard deviation."""
    size = np.abs(off[fit])
    everywhere = float(np.median(size)) or float(size.mean())
    if not everywhere:
        return np.ones(len(x))
    order = np.lexsort((off, hashes(x, 0)))
    rows = order[fit[order]]
    z = standardised(x[order])
    z[order] = z.copy()
    reference = rows[:REFERENCE]
    k = min(_LOCAL, len(reference))
    with one_thread():
        local = np.median(np.abs(off[reference])[nearest(z, z[reference], k)], axis=1)
    # A few rows that were hit by chance are no reason to doubt all others.
    out: Wide = np.maximum(local, _FLOOR * everywhere) / _MEDIAN
    return out


def _flag(residual: Wide, fit: Bools) -> tuple[Wide, float]:
    """Scores and the threshold; what is flagged has no say in how the rest is spread, hence some rounds."""
    known, threshold = fit, 0.0
    score = np.ones(len(residual))
    for _ in range(_ROUNDS):
        score = _chance(residual, known)
        threshold = _benjamini_hochberg(score[fit])
        kept = fit & (score >= threshold)
        if (kept == known).all() or 2 * int(kept.sum()) < int(fit.sum()):
            break
        known = kept
    return score, threshold


def _chance(residual: Wide, known: Bools) -> Wide:
    """Probability of a right target to be that far off, by the tails that the middle of the residuals foretells.

    To either side by itself: errors may well be lopsided.
    """
    from scipy.stats import norm, t

    laws = [norm if np.isinf(tail) else t(tail) for tail in _TAILS]
    ratios = np.array([float(law.ppf(0.875) / law.ppf(0.75)) for law in laws])
    away = np.nan_to_num(residual - np.median(residual[known]))
    chance: Wide = np.ones(len(residual))
    for side in (-1, 1):
        here = side * away > 0
        size = np.abs(away)
        if not (here & known).any():
            continue
        middle, outer = np.quantile(size[here & known], [0.5, 0.75])
        n = int((here & known).sum())
        # Of few rows the ratio says little.
        ratio = (n * outer / middle + _PRIOR * ratios[_USUAL]) / (n + _PRIOR) if middle else np.inf
        law = laws[int(np.abs(ratios - min(ratio, ratios[0])).argmin())]
        middle = middle or float(size[here & known].mean())
        chance[here] = 2 * law.sf(size[here] * float(law.ppf(0.75)) / middle)
    return np.clip(chance, 0, 1)


def _benjamini_hochberg(chance: Wide) -> float:
    """The score below which all are flagged; if none is, that below which the first would be."""
    ranked = np.sort(chance)
    held = np.flatnonzero(ranked <= FALSE_FLAGS * np.arange(1, len(ranked) + 1) / len(ranked))
    if not len(held):
        return FALSE_FLAGS / len(ranked)
    return float(np.nextafter(ranked[held[-1]], 2))


def _rate(wrong: Bools, threshold: float, fit: Bools) -> tuple[float, tuple[float, float]]:
    n = int(fit.sum())
    rate = max(float(wrong.sum()) / n - threshold, 0.0)
    square = _NORMAL**2
    middle = (rate + square / (2 * n)) / (1 + square / n)
    away = _NORMAL * float(np.sqrt(rate * (1 - rate) / n + square / (4 * n * n))) / (1 + square / n)
    return rate, (max(0.0, middle - away), min(1.0, middle + away))
