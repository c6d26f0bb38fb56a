"""How much each class, or each sample, should count in training: balance without a sample less or more."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]
Scheme = Callable[[Reals, float | None], Reals]


def class_weights(counts: ArrayLike, scheme: str, beta: float | None = None) -> Reals:
    """Weigh classes by how many samples they have.

    Args:
        counts: (g,) samples of each class.
        scheme: a key of `WEIGHTS`.
        beta: for `effective-number`, in [0, 1): 0 weighs all classes the same, near 1 is like `class`. The paper tries
            .9, .99, .999 and .9999. By default (n - 1) / n for n samples in all.

    Returns:
        (g,) float64, such that the mean over all samples is 1; 0 for a class without samples.

    Raises:
        ValueError: the scheme is unknown, or beta or a count is out of range.
    """
    if scheme not in WEIGHTS:
        raise ValueError(f"scheme {scheme!r} is none of {', '.join(WEIGHTS)}")
    if beta is not None and not 0 <= beta < 1:
        raise ValueError(f"beta is {beta:g}, but must be 0 or more and less than 1")
    count = _counted(counts)
    weight = np.zeros(len(count))
    some = count > 0
    if some.any():
        weight[some] = WEIGHTS[scheme](count[some], beta)
        weight *= count.sum() / (weight @ count)
    return weight


def sample_weights(label: ArrayLike, weight: ArrayLike, quality: ArrayLike | None = None) -> Reals:
    """Weigh samples by their class, and within it by how sure their label is.

    Args:
        label: (n,) int64; -1 for a sample of no class.
        weight: (g,) float64 of each class.
        quality: (n,) float64 in [0, 1], for instance of the label; NaN where unknown, which counts as 1.

    Returns:
        (n,) float64. Qualities change what a sample counts within its class, not what the class counts in all: a class
        of bad samples is as important as before. A class whose qualities are all 0 keeps equal weights. A sample of no
        class weighs 1.

    Raises:
        ValueError: a label has no weight, or a quality is out of range.
    """
    label, weight = np.asarray(label, dtype=np.int64), np.asarray(weight, dtype=np.float64)
    if len(label) and not -1 <= int(label.min()) <= int(label.max()) < len(weight):
        raise ValueError(f"labels are numbered from 0 to {len(weight) - 1}, or -1 for none")
    out = np.ones(len(label))
    some = label >= 0
    own = label[some]
    out[some] = weight[own]
    if quality is None:
        return out
    sure = np.nan_to_num(np.asarray(quality, dtype=np.float64), nan=1.0)
    if sure.shape != label.shape or ((sure < 0) | (sure > 1)).any():
        raise ValueError("there must be a quality from 0 to 1 for each sample")
    total = np.bincount(own, weights=sure[some], minlength=len(weight))
    size = np.bincount(own, minlength=len(weight))
    # A sum too small to be divided by is none.
    usable = total > 1e-200
    scale = np.divide(size, total, out=np.zeros(len(weight)), where=usable)
    out[some] *= np.where(usable[own], sure[some] * scale[own], 1.0)
    return out


def prior_threshold(counts: ArrayLike) -> Reals:
    """Say where to cut the probabilities of a model that was trained on what there is, untouched.

    With two classes, call a sample positive where its probability is at least the threshold of the positive class;
    with more, divide each class's probability by its threshold and take the largest (with two classes that is the
    same). It is the decision that makes the mean recall of the classes largest if the probabilities are right (Elkan,
    "The foundations of cost-sensitive learning", IJCAI 2001, theorem 1, with costs inverse to the priors).

    Args:
        counts: (g,) samples of each class.

    Returns:
        (g,) float64, the share of each class; 1 for a class without samples, which is never to be called.

    Raises:
        ValueError: a count is negative.
    """
    count = _counted(counts)
    share: Reals = np.divide(count, count.sum(), out=np.ones(len(count)), where=count > 0)
    return share


def _counted(counts: ArrayLike) -> Reals:
    count = np.asarray(counts, dtype=np.float64)
    if count.ndim != 1 or not np.isfinite(count).all() or count.min(initial=0) < 0:
        raise ValueError("counts must be a row of numbers that are not negative")
    return count


def inverse(count: Reals, beta: float | None) -> Reals:
    """1 / count: every class counts the same in all (King & Zeng, Political Analysis 9(2), 2001, section 4.2)."""
    return 1 / count


def inverse_root(count: Reals, beta: float | None) -> Reals:
    """1 / sqrt(count): half-way, on a logarithmic scale, to `class` (Mahajan et al., arXiv:1805.00932, section 2.2)."""
    return 1 / np.sqrt(count)


def effective_number(count: Reals, beta: float | None) -> Reals:
    """(1 - beta) / (1 - beta ** count) (Cui et al., arXiv:1901.05555, equation 2)."""
    less = 1 / max(float(count.sum()), 2.0) if beta is None else 1 - beta
    if less == 1:
        return np.ones(len(count))
    # 1 - beta ** count without the digits that cancel.
    return np.asarray(less / -np.expm1(count * np.log1p(-less)))


WEIGHTS: dict[str, Scheme] = {
    "class": inverse,
    "inverse-sqrt": inverse_root,
    "effective-number": effective_number,
    "sample": inverse,
}
"""`sample` weighs classes as `class` does, and leaves it to `sample_weights` to tell the samples of one apart."""
