"""Herding: few samples whose mean is that of all.

Welling, "Herding dynamical weights to learn" (ICML 2009). As a greedy choice of samples: Chen, Welling & Smola,
"Super-samples from kernel herding" (UAI 2010), section 4, here with the features themselves, without replacement, and
without their assumption that all have the same length.
"""

import numpy as np
import threadpoolctl

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Floats, Picked, Small

_ROWS = 1 << 14  # worked on at once in float64
_TINY = np.float32(1e-36)


def herding(x: Small, m: int, seed: int = 0, crew: Crew = ALONE) -> Picked:
    """Choose one sample after the other, each time the one that brings the mean of the chosen nearest to that of all.

    With c_i a sample less the mean of all, and s the sum of those chosen, that is the one with the least |s + c_i|, so
    the least <s, c_i> + |c_i|^2 / 2; of equals the first. The first m' of m chosen are those of herding for m'. A
    choice takes the product of x and one vector, in O(n d).

    Args:
        x: (n, d) float32, finite.
        m: how many to choose, from 0 to n.
        seed: not looked at, for nothing is drawn.
        crew: not asked: each choice rests on the one before.

    Returns:
        m samples. Their gain is minus the distance of the two means after the choice, in the unit of x: 0 at most, and
        not always rising.

    Raises:
        ValueError: x is not (n, d), or not finite, or m is not from 0 to n.
    """
    if x.ndim != 2:
        raise ValueError(f"samples must have two dimensions, not {x.ndim}")
    if not 0 <= m <= len(x):
        raise ValueError(f"herding chooses from 0 to {len(x)} samples, not {m}")
    order, gain = np.empty(m, dtype=np.int64), np.empty(m)
    if not m:
        return Picked(order, gain)
    centred, unit = _centred(x)
    total = np.zeros(centred.shape[1])
    herd = _Herd(centred)
    del centred  # the herd has a copy
    with threadpoolctl.threadpool_limits(1, "blas"):
        for step in range(m):
            order[step], row = herd.take(total)
            total += row
            gain[step] = 0.0 - unit * float(np.sqrt(np.sum(total**2))) / (step + 1)
    return Picked(order, gain)


class _Herd:
    """Samples that are left to choose from; those that are equal count as one, of which the first is next.

    The least is looked for in float32, and whatever may be it, within the error of that, compared in float64 row by
    row: so no choice hangs on the order in which a BLAS sums up.
    """

    def __init__(self, centred: Small) -> None:
        keys = centred.view(np.dtype((np.void, centred.dtype.itemsize * centred.shape[1]))).ravel()
        _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
        self._rows = centred[first]
        self._waiting = np.argsort(kind, kind="stable")
        size = np.bincount(kind)
        self._end = np.cumsum(size)
        self._next = self._end - size
        # Of the rounding of d products and sums and of the vector itself, with some room, and of what float32 has no
        # numbers for.
        self._error = np.float32((centred.shape[1] + 4) * np.finfo(np.float32).eps)
        self._half = 0.5 * np.einsum("ij,ij->i", self._rows, self._rows)
        self._length, self._least_slack = np.sqrt(2 * self._half), self._error * self._half + _TINY

    def take(self, total: Floats) -> tuple[int, Small]:
        """Take the sample whose sum with this vector, (d,) float64, is the shortest: its position, and its row."""
        found = self._rows @ total.astype(np.float32) + self._half
        slack = self._length * np.float32(self._error * np.sqrt(np.sum(total**2))) + self._least_slack
        some = np.flatnonzero(found - slack <= np.min(found + slack))
        worth = np.concatenate([_exact(self._rows[some[at : at + _ROWS]], total) for at in range(0, len(some), _ROWS)])
        some = some[worth == worth.min()]
        kind = some[np.argmin(self._waiting[self._next[some]])]
        sample = int(self._waiting[self._next[kind]])
        self._next[kind] += 1
        if self._next[kind] == self._end[kind]:
            self._half[kind] = np.inf
        return sample, self._rows[kind]


def _exact(rows: Small, total: Floats) -> Floats:
    wide = rows.astype(np.float64)
    wide *= 0.5 * wide + total
    worth: Floats = wide.sum(axis=1)
    return worth


def _centred(x: Small) -> tuple[Small, float]:
    """The samples less their mean, in a unit that lets no square of them overflow, and that unit.

    Raises:
        ValueError: x is not finite.
    """
    blocks = [slice(start, start + _ROWS) for start in range(0, len(x), _ROWS)]
    if not all(np.isfinite(x[rows]).all() for rows in blocks):
        raise ValueError("samples must be finite")
    # Summed up in the order of their size, so that the mean does not hang on the order of the samples.
    mean = np.array([np.sort(column).sum(dtype=np.float64) for column in x.T]) / len(x)
    most = max(np.max(np.abs(x[rows] - mean), initial=0.0) for rows in blocks)
    # A power of two changes no digit, and 0.0 makes one zero of both.
    unit = float(np.ldexp(1.0, int(np.frexp(most)[1])))
    centred = np.zeros((len(x), max(x.shape[1], 1)), dtype=np.float32)
    for rows in blocks:
        centred[rows, : x.shape[1]] = (x[rows] - mean) / unit + 0.0
    return centred, unit
