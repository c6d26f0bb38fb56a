"""How large each group of samples shall be, and how a total is dealt out among several."""

import re
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

WORDS = ("min", "median", "mean", "max")
LARGEST = 10**15
"""No dataset is larger: what is above was mistyped."""

_NUMBER = re.compile(r"\d{1,16}")
_RATIO = re.compile(r"(?:ratio\s+)?(\d{1,9}(?:\.\d{1,9})?)\s*:\s*(\d{1,9}(?:\.\d{1,9})?)")
_MASK = (1 << 64) - 1


def target_sizes(counts: ArrayLike, target: str, *, raise_small: bool = False) -> Ints:
    """Say how many samples each group shall have.

    A group that has no samples gets none; any other is given at least one. Whether a group is then cut or raised to
    its size is the caller's choice: a size above the count asks for samples, one below it for their removal.

    Args:
        counts: (g,) int64, samples of each group.
        target: `min`, `median`, `mean` or `max` of the groups that have samples (a mean of halves is rounded up, a
            median down); a whole number; or `ratio A:B`: the largest group has at most A / B times the samples of the
            smallest, and groups within that range stay as they are.
        raise_small: for a ratio, raise the small groups to the largest instead of cutting the large ones.

    Returns:
        (g,) int64.

    Raises:
        ValueError: the target is none of these.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if counts.ndim != 1 or counts.min(initial=0) < 0:
        raise ValueError("counts must be a row of numbers that are not negative")
    text = target.strip()
    check_target(text)
    some = counts[counts > 0]
    if not len(some):
        return np.zeros_like(counts)
    ratio = _RATIO.fullmatch(text)
    if ratio:
        wanted = _within(counts, some, Fraction(ratio[1]) / Fraction(ratio[2]), raise_small)
    else:
        wanted = np.full_like(counts, int(text) if _NUMBER.fullmatch(text) else _middle(some, text))
    return np.where(counts > 0, wanted, 0).astype(np.int64)


def check_target(target: str) -> None:
    """Refuse what is no target.

    Args:
        target: as `target_sizes` takes it.

    Raises:
        ValueError: with one sentence that says what can be said instead.
    """
    text = target.strip()
    ratio = _RATIO.fullmatch(text)
    if ratio:
        large, small = Fraction(ratio[1]), Fraction(ratio[2])
        if not 0 < small <= large:
            raise ValueError(f"target {target!r}: the first number of a ratio is the larger, and none is 0")
    elif _NUMBER.fullmatch(text):
        if not 1 <= int(text) <= LARGEST:
            raise ValueError(f"target {target!r}: a number of samples is 1 or more, and at most {LARGEST:,}")
    elif text not in WORDS:
        raise ValueError(f"target {target!r} is none of {', '.join(WORDS)}, a number, or 'ratio 3:1'")


def check_groups(group: ArrayLike, quota: ArrayLike, n: int) -> tuple[Ints, Ints, Ints]:
    """Refuse groups and quotas that do not go together.

    Args:
        group: (n,) int64 from 0 on, -1 for a sample that takes no part.
        quota: (g,) int64.
        n: number of samples.

    Returns:
        group and quota as int64, and the (g,) counts.

    Raises:
        ValueError: they have the wrong shape, a group has no quota, or one with samples has a quota of none.
    """
    group, quota = np.asarray(group, dtype=np.int64), np.asarray(quota, dtype=np.int64)
    if group.shape != (n,) or quota.ndim != 1:
        raise ValueError(f"there must be a group for each of the {n:,} samples, and a quota for each group")
    if n and not -1 <= int(group.min()) <= int(group.max()) < len(quota):
        raise ValueError(f"groups are numbered from 0 to {len(quota) - 1}, or -1 for none")
    counts = np.bincount(group[group >= 0], minlength=len(quota)).astype(np.int64)
    if (quota[counts > 0] < 1).any():
        raise ValueError("a quota below 1 would empty its group")
    return group, quota, counts


def apportion(weight: ArrayLike, total: int) -> Ints:
    """Deal out whole numbers in proportion to weights: the method of largest remainders (Hamilton).

    Args:
        weight: (k,) finite, not negative; all zeros weigh the same.
        total: what is dealt out.

    Returns:
        (k,) int64 that add up to `total`, each less than 1 from its exact share; ties go to the first.
    """
    share = np.asarray(weight, dtype=np.float64)
    if not len(share):
        return np.zeros(0, dtype=np.int64)
    largest = share.max()
    # By the largest first, so that a sum cannot overflow.
    share = share / largest if largest > 0 else np.ones_like(share)
    exact = share / share.sum() * total
    whole: Ints = np.floor(exact).astype(np.int64)
    left = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole


def draws(n: int, seed: int) -> NDArray[np.float64]:
    """Draw a number for each position: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014, figure 17) of position and seed.

    Args:
        n: number of positions.
        seed: any whole number.

    Returns:
        (n,) float64 in [0, 1); that of a position depends on nothing but it and the seed.
    """
    golden = 0x9E3779B97F4A7C15
    start = np.uint64(_mixed((seed + 1) * golden & _MASK))
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(golden) + start
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)


def _middle(some: Ints, word: str) -> int:
    if word == "median":
        return max(int(np.median(some)), 1)
    if word == "mean":
        return int(Fraction(int(some.sum()), len(some)) + Fraction(1, 2))
    return int(some.min() if word == "min" else some.max())


def _within(counts: Ints, some: Ints, ratio: Fraction, raise_small: bool) -> Ints:
    """The counts, those out of the range moved to its border; in fractions, so that 3:1 of 7 is 21 and not 20."""
    if raise_small:
        return np.maximum(counts, -(-int(some.max()) * ratio.denominator // ratio.numerator))
    return np.minimum(counts, min(int(some.min()) * ratio.numerator // ratio.denominator, LARGEST))
