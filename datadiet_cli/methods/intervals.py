"""How far a figure can be trusted that rests on a few trainings and on a sample of test data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

GRID = 256
"""Where there are many different values, they are resampled on a grid of the standard deviation over this."""
_DISTINCT = 4096
_CELLS = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie.

    Attributes:
        mean: the figure.
        lower: end of the two-sided interval.
        upper: end of the two-sided interval.
        confidence: of the interval, above 0, below 1.
    """

    mean: float
    lower: float
    upper: float
    confidence: float

    def as_json(self) -> dict[str, float]:
        """As the report has it."""
        return {"mean": self.mean, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds and test samples, both of which might have been others.

    Attributes:
        mean: the plain mean.
        lower: end of the two-sided interval.
        upper: end of the two-sided interval.
        least: one-sided: the mean of all seeds and test samples is above it with the confidence.
        most: one-sided: it is below it.
        resolution: what lies between the middle of the interval and a one-sided bound: the smallest difference from
            nothing that such data can prove.
        seeds_error: standard error by the choice of seeds; NaN for one seed.
        samples_error: standard error by the choice of test samples.
        confidence: of all of these.
    """

    mean: float
    lower: float
    upper: float
    least: float
    most: float
    resolution: float
    seeds_error: float
    samples_error: float
    confidence: float


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval of a mean.

    Args:
        values: (S,) numbers, finite, such as the accuracy of each seed; two at least.
        confidence: above 0, below 1.

    Raises:
        ValueError: there are fewer than two values, or not all are finite.
    """
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=np.float64)
    _check(confidence)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError("an interval over seeds takes two finite values or more")
    mean = float(x.mean())
    # Equal values have no spread; their mean may differ from them in the last digit.
    spread = float(x.std(ddof=1)) if (x != x[0]).any() else 0.0
    reach = float(stdtrit(len(x) - 1, (1 + confidence) / 2)) * spread / float(np.sqrt(len(x)))
    return Interval(mean, mean - reach, mean + reach, confidence)


def paired(before: ArrayLike, after: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean difference of pairs, after less before.

    Args:
        before: (S,) numbers, one for each seed.
        after: (S,) numbers of the same seeds.
        confidence: above 0, below 1.

    Raises:
        ValueError: there are fewer than two pairs, or their numbers differ.
    """
    one, other = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"pairs of {one.shape} and {other.shape} values")
    return t_interval(other - one, confidence)


def wilson(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927): sound for small n and shares of 0 and 1.

    Args:
        hits: how many of n.
        n: 1 at least.
        confidence: above 0, below 1.

    Raises:
        ValueError: not 0 <= hits <= n, or no n.
    """
    from scipy.special import ndtri

    _check(confidence)
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no share")
    square = float(ndtri((1 + confidence) / 2)) ** 2
    share = hits / n
    middle = (share + square / (2 * n)) / (1 + square / n)
    reach = float(np.sqrt(square * (share * (1 - share) / n + square / (4 * n * n)))) / (1 + square / n)
    lower, upper = min(max(middle - reach, 0.0), share), max(min(middle + reach, 1.0), share)
    return Interval(share, lower, upper, confidence)


def bootstrap(scores: ArrayLike, resamplings: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile interval of a mean by resampling (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, §13).

    What is drawn is how often each different value comes, so that a million outcomes of 0 and 1 cost no more than two.
    Of more than some thousand different values those within a `GRID`-th of the standard deviation are taken together.
    The result does not hang on the order of the values. It says nothing where all values are equal: see `crossed`.

    Args:
        scores: (n,) finite numbers, n at least 1: one for each test sample, such as the difference of correctness.
        resamplings: how many, at least 1.
        confidence: above 0, below 1.
        seed: of what is drawn.

    Raises:
        ValueError: there are no values, or not all are finite.
    """
    x = np.asarray(scores, dtype=np.float64)
    _check(confidence)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all() or resamplings < 1:
        raise ValueError("a bootstrap takes a row of finite values, one at least, and one resampling at least")
    values, counts = _grouped(x)
    means = np.empty(resamplings)
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // len(values))
    share = counts / counts.sum()
    for start in range(0, resamplings, step):
        drawn = random.multinomial(len(x), share, size=min(step, resamplings - start))
        # einsum adds in one order whatever the processor's threads; so do the ends that are read off below.
        means[start : start + step] = np.einsum("bk,k->b", drawn.astype(np.float64), values) / len(x)
    lower, upper = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    mean = float(x.mean())
    return Interval(mean, min(float(lower), mean), max(float(upper), mean), confidence)


def crossed(scores: ArrayLike, confidence: float = 0.95, *, within: float | None = None) -> Crossed:
    """Interval of a mean over seeds and test samples, drawn each from many.

    Scores are taken as `mean + seed + sample + rest`, crossed random effects without replication; the variance of the
    mean is `(MS_seed + MS_sample - MS_rest) / (S n)`, but not below what the samples alone make of it, and its degrees
    of freedom are Satterthwaite's (Searle, Casella & McCulloch, Variance Components, 1992, §4.3; §5 for the mean
    squares). To add the variances of the two means would count the rest twice.

    Where scores are bounded and most are zero, as differences of correctness are, what was not met may exist all the
    same: with no difference among 100 samples, up to 3 in 100 may differ. As in the interval of Agresti & Coull
    (Am. Stat. 52(2), 1998), and of Agresti & Min for pairs (Stat. Med. 24, 2005), z^2 samples are added, half of them
    at either side, as large as those that differ are with one at the bound among them.

    With one seed the interval is about these trainings only, by the samples.

    Args:
        scores: (S, n) finite numbers, n at least 1; at least 2 unless `within` is given.
        confidence: above 0, below 1.
        within: no score is beyond this on either side, such as 1 for a difference of correctness; None if there is no
            such bound.

    Raises:
        ValueError: there are too few values, or some are not finite or out of bounds.
    """
    from scipy.special import ndtri

    x = np.asarray(scores, dtype=np.float64)
    _check(confidence)
    least = 2 if within is None else 1
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < least or not np.isfinite(x).all():
        raise ValueError(f"it takes finite scores of one seed and {least} samples at least")
    if within is not None and float(np.abs(x).max()) > within:
        raise ValueError(f"scores beyond {within:g}")
    one_sided = _moments(x, 0.0 if within is None else float(ndtri(confidence)) ** 2, within or 0.0)
    both_sides = _moments(x, 0.0 if within is None else float(ndtri((1 + confidence) / 2)) ** 2, within or 0.0)
    reach, wide = one_sided.reach(confidence), both_sides.reach((1 + confidence) / 2)
    end = np.inf if within is None else within
    return Crossed(
        mean=float(x.mean()),
        lower=max(both_sides.middle - wide, -end),
        upper=min(both_sides.middle + wide, end),
        least=max(one_sided.middle - reach, -end),
        most=min(one_sided.middle + reach, end),
        resolution=min(reach, end),
        seeds_error=float(np.sqrt(one_sided.by_seed / x.size)) if len(x) > 1 else float("nan"),
        samples_error=float(np.sqrt(one_sided.by_sample / x.size)),
        confidence=confidence,
    )


@dataclass(frozen=True)
class _Moments:
    """Middle of an interval, mean squares, and what follows for the standard error."""

    middle: float
    by_seed: float
    by_sample: float
    error: float
    freedom: float

    def reach(self, share: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, share)) * self.error


def _moments(x: Floats, added: float, bound: float) -> _Moments:
    """Mean squares of the table with so many samples added."""
    seeds, n = x.shape
    samples = n + added
    of_sample, of_seed = x.mean(axis=0), x.sum(axis=1) / samples
    middle = float(of_seed.mean())
    # As in `t_interval`: what is equal has no spread.
    if (of_seed == of_seed[0]).all():
        middle = float(of_seed[0])
    differ = np.count_nonzero(np.abs(x).max(axis=0))
    square = (float((of_sample**2).sum()) + bound**2) / (differ + 1)
    # Of the samples added half are at +sqrt(square), half at -sqrt(square).
    beyond = added * (square + middle**2)
    between_samples = seeds * (float(((of_sample - middle) ** 2).sum()) + beyond)
    free_samples = samples - 1
    by_sample = between_samples / free_samples
    if seeds == 1:
        return _Moments(middle, 0.0, by_sample, float(np.sqrt(by_sample / samples)), free_samples)
    between_seeds = samples * float(((of_seed - middle) ** 2).sum())
    total = float(((x - middle) ** 2).sum()) + seeds * beyond
    free_seeds, free_rest = seeds - 1, (seeds - 1) * free_samples
    rest = max(total - between_samples - between_seeds, 0.0) / free_rest
    by_seed = between_seeds / free_seeds
    variance = max(by_seed + by_sample - rest, by_sample)
    spent = by_seed**2 / free_seeds + by_sample**2 / free_samples + rest**2 / free_rest
    freedom = max(variance**2 / spent if spent > 0 else 1.0, min(free_seeds, free_samples))
    return _Moments(middle, by_seed, by_sample, float(np.sqrt(variance / (seeds * samples))), freedom)


def _grouped(x: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The different values and how often each comes; near ones together if there are too many."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) <= _DISTINCT:
        return values, counts
    spread = float(values.repeat(counts).std())
    cell = np.floor((values - values[0]) * (GRID / spread))
    first = np.flatnonzero(np.diff(cell, prepend=-1.0))
    together = np.add.reduceat(counts, first)
    return np.add.reduceat(values * counts, first) / together, together


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence:g} is not between 0 and 1")
