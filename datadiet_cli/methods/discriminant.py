"""Linear discriminant analysis with a covariance shrunk by a closed form, for many folds at the price of one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Wide = NDArray[np.float64]

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Moments:
    """What linear discriminant analysis has to know of some rows. Moments of disjoint rows add up.

    Attributes:
        count: (K,) float64, rows of each class.
        total: (K, d) float64, sums of the rows of each class.
        gram: (d, d) float64, sum of the outer products of the rows.
    """

    count: Wide
    total: Wide
    gram: Wide

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.gram + other.gram)

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.count - other.count, self.total - other.total, self.gram - other.gram)


def moments(x: Floats, label: Ints, classes: int) -> Moments:
    """Sum up some rows.

    Args:
        x: (n, d) float32 rows, centred more or less, or digits are lost.
        label: (n,) int64 in [0, classes).
        classes: number of classes K.
    """
    from scipy.sparse import csr_array

    total = np.zeros((classes, x.shape[1]))
    gram = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _BLOCK):
        some = x[start : start + _BLOCK].astype(np.float64)
        own = label[start : start + _BLOCK]
        total += csr_array((np.ones(len(some)), (own, np.arange(len(some)))), shape=(classes, len(some))) @ some
        gram += some.T @ some
    return Moments(np.bincount(label, minlength=classes).astype(np.float64), total, gram)


@dataclass(frozen=True, eq=False)
class Discriminant:
    """A fitted linear discriminant.

    Attributes:
        weight: (d, K) float64.
        bias: (K,) float64; -inf for a class that was not there.
    """

    weight: Wide
    bias: Wide

    def probability(self, x: Floats) -> Wide:
        """Posterior probabilities.

        Args:
            x: (n, d) float32.

        Returns:
            (n, K) float64, rows sum to 1.
        """
        score: Wide = x.astype(np.float64) @ self.weight + self.bias
        score -= score.max(axis=1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(axis=1, keepdims=True)
        return score


def discriminant(seen: Moments, fourth: float) -> Discriminant:
    """Fit linear discriminant analysis (Fisher, 1936) from moments; priors are the shares of the classes.

    The pooled covariance within classes is shrunk towards a multiple of the identity as far as its own error demands:
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
    Analysis 88(2), 2004, section 3.3.

    Args:
        seen: moments of the rows to learn from, at least one row.
        fourth: mean over these rows of the squared squared distance to the mean of their class, see `spread`.
    """
    count, n, d = seen.count, seen.count.sum(), seen.total.shape[1]
    here = count > 0
    mean = np.divide(seen.total, count[:, None], out=np.zeros_like(seen.total), where=here[:, None])
    covariance = (seen.gram - seen.total.T @ mean) / n
    level = max(float(np.trace(covariance)) / d, 0.0)
    square = float((covariance**2).sum())
    away = square / d - level**2
    error = (fourth - square) / (d * n)
    shrinkage = float(np.clip(error / away, 0.0, 1.0)) if away > 0 else 1.0
    covariance *= 1 - shrinkage
    # A trace of the identity, so that rows that hardly vary can be inverted too.
    covariance.flat[:: d + 1] += shrinkage * level + 1e-6 * level + 1e-12
    weight = np.linalg.solve(covariance, mean.T)
    with np.errstate(divide="ignore"):
        bias = np.log(count / n) - 0.5 * np.einsum("kd,dk->k", mean, weight)
    return Discriminant(weight, bias)


def spread(x: Floats, label: Ints, seen: Moments) -> Wide:
    """Squared squared distances of rows to the means of their classes.

    Args:
        x: (n, d) float32 rows.
        label: (n,) int64 classes, all in `seen`.
        seen: moments that the means are taken from.

    Returns:
        (n,) float64.
    """
    here = np.maximum(seen.count, 1)
    mean = (seen.total / here[:, None]).astype(np.float32)
    out = np.empty(len(x))
    for start in range(0, len(x), _BLOCK):
        away = x[start : start + _BLOCK] - mean[label[start : start + _BLOCK]]
        out[start : start + _BLOCK] = np.einsum("nd,nd->n", away, away, dtype=np.float64) ** 2
    return out
