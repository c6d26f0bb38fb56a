"""What scores out of a training record are made of: one epoch, means over epochs, and windows of epochs.

A quantity is (T, n) numbers for T epochs and n samples, maybe mapped from disk, NaN where a sample took no part in an
epoch. It is worked on in blocks of columns in float64, so memory does not grow with n, and every sum is taken epoch by
epoch: a sample's result does not depend on where it stands among the others.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.samples.base import Bools, Floats

_CELLS = 1 << 18  # of a block, so that it and what is made of it stay near the processor

Worth = Callable[[Floats, Floats, Floats], Floats]
"""The worth of windows by the mean, the sum of squared deviations from it, and the count of their values: all (K, c)
float64 for K windows and c samples. Called for counts of less than two as well, and not heard there."""


def at(values: NDArray[Any], epoch: int) -> Floats:
    """The values of one epoch; where a sample took no part in it, of its last epoch before that, else its next one.

    Args:
        values: (T, n) numbers.
        epoch: from 0 to T - 1.

    Returns:
        (n,) float64, NaN where a sample took part in no epoch.
    """
    taken = np.array(values[epoch], dtype=np.float64)
    for other in (*range(epoch - 1, -1, -1), *range(epoch + 1, len(values))):
        absent = np.flatnonzero(np.isnan(taken))
        if not len(absent):
            break
        taken[absent] = values[other][absent]
    return taken


def means(values: NDArray[Any]) -> Floats:
    """The mean over the epochs that a sample took part in: (T, n) numbers, T > 0, to (n,) float64, NaN for none."""
    return over_windows(values, len(values), lambda mean, spread, count: mean, fewest=1)


def deviations(values: NDArray[Any]) -> Floats:
    """The standard deviation over epochs, divided by their count: (T, n) numbers, T > 0, to (n,); NaN for only one."""
    return over_windows(values, len(values), lambda mean, spread, count: np.sqrt(spread / np.maximum(count, 1)))


def over_windows(values: NDArray[Any], size: int, worth: Worth, *, decay: float = 1.0, fewest: int = 2) -> Floats:
    """The weighted mean of what windows of successive epochs are worth.

    Args:
        values: (T, n) numbers.
        size: epochs of a window, from 1 to T; there is one that begins at each of the first T - size + 1 epochs.
        worth: of windows.
        decay: what a window weighs against the one that begins an epoch later.
        fewest: values of a window without which it is left out.

    Returns:
        (n,) float64, NaN where all windows are left out.
    """
    score = np.empty(values.shape[1])
    weights = decay ** np.arange(len(values) - size, -1, -1, dtype=np.float64)[:, None]
    for columns in blocks(values):
        mean, spread, count = _moments(np.array(values[:, columns], dtype=np.float64), size)
        told = np.where(count >= fewest, weights, 0.0)
        score[columns] = _ratio(_total(told * worth(mean, spread, count)), _total(told), np.nan)
    return score


def forgotten(correct: NDArray[Any], part: Bools) -> Floats:
    """How often samples went from correct to wrong between successive epochs that they took part in.

    Args:
        correct: (T, n) bool.
        part: (T, n) bool, whether a sample took part.

    Returns:
        (n,) float64; T for a sample that was never correct.
    """
    known = np.zeros(correct.shape[1], dtype=np.bool_)
    learned, times = known.copy(), np.zeros(correct.shape[1])
    for right, there in zip(correct, part, strict=True):
        times += known & there & ~right
        known = np.where(there, right, known)
        learned |= known
    return np.where(learned, times, float(len(correct)))


def blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Blocks of columns that together are all of them."""
    epochs, n = values.shape
    width = max(1, _CELLS // epochs)
    return (slice(start, start + width) for start in range(0, n, width))


def _moments(block: Floats, size: int) -> tuple[Floats, Floats, Floats]:
    """Mean, sum of squared deviations, and count of the values of each window: (K, c) each."""
    part = (~np.isnan(block)).astype(np.float64)
    block = np.where(part > 0, block, 0.0)
    spans = [slice(first, len(block) - size + 1 + first) for first in range(size)]
    count = _total(part[span] for span in spans)
    mean = _ratio(_total(block[span] for span in spans), count, 0.0)
    # Two passes: running sums of squares would lose the small deviations of a sample that is learned.
    return mean, _total(part[span] * (block[span] - mean) ** 2 for span in spans), count


def _total(rows: Iterable[Floats]) -> Floats:
    # One after the other: numpy sums a column that stands alone in another order than one among others.
    return functools.reduce(np.add, rows)


def _ratio(a: Floats, b: Floats, without: float) -> Floats:
    ratio: Floats = np.divide(a, b, out=np.full(b.shape, without), where=b > 0)
    return ratio
