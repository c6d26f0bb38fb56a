"""How far a mean can be trusted that comes from several trainings on each of several folds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.intervals import Interval, crossed

Floats = NDArray[np.float64]


class _Squares(NamedTuple):
    """Sums of squares of a table between its rows, between its columns, and of the rest; degrees of freedom of each."""

    square: Floats
    free: Floats


def folded(scores: Sequence[Floats], confidence: float = 0.95, *, within: float | None = None) -> Interval:
    """Interval of the mean of all folds, whose trainings have nothing to do with those of other folds.

    In each fold trainings and samples are crossed, as in `intervals.crossed`; mean squares are taken together over the
    folds, so that a few trainings of each tell well how much they differ. The variance of the mean is
    `(MS_training + MS_sample - MS_rest) / (S N)`, but not below what the samples alone make of it, with Satterthwaite's
    degrees of freedom (Searle, Casella & McCulloch, Variance Components, 1992, §4.3). The ends are those of
    `intervals.crossed` of the samples' means over trainings where these are wider, which bears in mind what was not
    met: no difference among a few samples is no proof.

    Args:
        scores: for each fold (S, m) finite numbers, the s-th row by its s-th training; S and m at least 2.
        confidence: above 0, below 1.
        within: no score is beyond this on either side; None if there is no such bound.

    Raises:
        ValueError: there are too few values, folds differ in S, or some are not finite or out of bounds.
    """
    from scipy.special import stdtrit

    tables = [np.asarray(table, dtype=np.float64) for table in scores]
    if not tables or any(table.ndim != 2 or min(table.shape) < 2 for table in tables):
        raise ValueError("it takes scores of two trainings and two samples in each fold at least")
    if len({len(table) for table in tables}) > 1:
        raise ValueError("folds have the same number of trainings")
    whole = np.concatenate(tables, axis=1)
    by_sample = crossed(whole.mean(axis=0, keepdims=True), confidence, within=within)
    parts = [_squares(table) for table in tables]
    free = np.sum([part.free for part in parts], axis=0)
    training, sample, rest = np.sum([part.square for part in parts], axis=0) / free
    variance = max(training + sample - rest, sample)
    spent = float((np.array([training, sample, rest]) ** 2 / free).sum())
    freedom = max(variance**2 / spent if spent > 0 else 1.0, free.min())
    reach = float(stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance / whole.size))
    mean = float(whole.mean())
    return Interval(mean, min(mean - reach, by_sample.lower), max(mean + reach, by_sample.upper), confidence)


def _squares(x: Floats) -> _Squares:
    trainings, samples = x.shape
    mean = x.mean()
    between = samples * float(((x.mean(axis=1) - mean) ** 2).sum())
    among = trainings * float(((x.mean(axis=0) - mean) ** 2).sum())
    rest = max(float(((x - mean) ** 2).sum()) - between - among, 0.0)
    free = [trainings - 1, samples - 1, (trainings - 1) * (samples - 1)]
    return _Squares(np.array([between, among, rest]), np.array(free, dtype=np.float64))
