"""One worth per sample out of what it adds, whether it is right, what its class lacks, and what it teaches."""

from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.samples.base import Floats, Ints, Small
from datadiet_cli.methods.samples.farthest import Space, greedy, running_count

Weights = tuple[float, float, float, float]

_PROBES = 512
_USUAL = 0.9
"""Quantile of the distances to a random choice that makes up the unit of redundancy."""


class Composite(NamedTuple):
    """Samples chosen one after the other by their worth, which is the weighted sum of four terms.

    Attributes:
        order: (m,) int64 different positions, in the order of the choice.
        worth_at_choice: (m,) float64, `worth` in that order; never rises, but for samples chosen for the sake of their
            group.
        terms: (n, 4) float64 in [0, 1]: redundancy, noise, balance and information as they were when the sample was
            chosen, or at the end for one that was not. The higher, the more worth keeping, noise and redundancy too: 1
            for a sample that is surely right, or unlike all that are chosen.
        worth: (n,) float64, the sum of the terms times their weights.
        unit: distance from the nearest chosen sample at which a sample is not redundant at all.
    """

    order: Ints
    worth_at_choice: Floats
    terms: Floats
    worth: Floats
    unit: float


def composite(
    x: Small | None,
    m: int,
    *,
    wrong: Floats,
    score: Floats,
    group: Ints,
    quota: Ints,
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
    seed: int = 0,
) -> Composite:
    """Choose greedily by w_r * redundancy + w_n * noise + w_b * balance + w_i * information.

    For sample i and the samples S chosen so far:

    - redundancy: the distance to the nearest in S over a unit, cut to 1; 1 as long as S is empty. The unit is what is
      usual for a choice of m at random: 90 % of samples have one of it nearer than that. As the term is cut, an outlier
      is worth no more than any sample in a gap, other than in `k_center`.
    - noise: 1 - the probability that the label or the sample is wrong.
    - balance: max(0, 1 - samples of its group in S / quota). A quota is a need, not a limit: a group may get more or
      less. But when only as many choices are left as groups without a sample, each of these gets one.
    - information: the rank of the score within the group from 0 to 1 (the middle of the ranks for equal scores; 1/2
      for a group of one), so that hard groups are not preferred to others: that is what balance is for.

    Redundancy and balance only fall while S grows, so the choices are the exact ones of the greedy rule (`greedy`).

    Args:
        x: (n, d) float32, finite, features that distances are taken of (see `k_center`); None if there are none: then
            redundancy is 0 for all, and its weight without effect.
        m: how many to choose, from 0 to n.
        wrong: (n,) float64 in [0, 1], probability that the label or the sample is wrong.
        score: (n,) float64, finite, the higher, the more worth keeping.
        group: (n,) int64, number of the group (class) from 0 on; all 0 for none.
        quota: (g,) int64, 0 or more, samples that each group needs.
        weights: of redundancy, noise, balance and information, 0 or more.
        seed: of the random choice that the unit of redundancy comes from.

    Returns:
        The choice, and the terms of all samples. Equal worth goes to the first. If m is at least the number of groups
        that have samples, each of these has one in the choice.

    Raises:
        ValueError: an argument is not as described, or no term has a weight.
    """
    _check(len(score) if x is None else len(x), m, wrong, score, group, quota)
    if not (np.isfinite(weights).all() and min(weights) >= 0):
        raise ValueError("weights must be finite and 0 or more")
    if max(weights if x is not None else weights[1:]) == 0:
        raise ValueError("no term of the worth has a weight")
    space = None if x is None else Space(x)
    fixed = np.stack([1 - wrong, _rank_within(score, group)], axis=1)
    aim = _Worth(fixed, group, quota, weights, unit=0.0 if space is None else _usual(space, m, seed), m=m)
    order = greedy(aim, space, m)
    terms = np.empty((len(score), 4))
    terms[:, 0] = 0 if space is None else aim.redundancy(space.near)
    terms[:, 1], terms[:, 3] = fixed.T
    terms[:, 2] = _need(_taken_before(order, group, len(quota)), quota[group])
    worth = aim.combined(terms[:, 0], fixed) + weights[2] * terms[:, 2]
    return Composite(order, worth[order], terms, worth, 0.0 if space is None else aim.unit * space.step)


def _check(n: int, m: int, wrong: Floats, score: Floats, group: Ints, quota: Ints) -> None:
    if not len(wrong) == len(score) == len(group) == n:
        raise ValueError("there must be as many probabilities, scores and groups as samples")
    if not 0 <= m <= n:
        raise ValueError(f"{m} of {n} samples cannot be chosen")
    # Not a number is neither at least 0 nor at most 1.
    if not ((wrong >= 0) & (wrong <= 1)).all():
        raise ValueError("probabilities of being wrong must be from 0 to 1")
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite")
    if n and not 0 <= group.min() <= group.max() < len(quota):
        raise ValueError("groups must be numbered from 0 on, with a quota for each")
    if len(quota) and quota.min() < 0:
        raise ValueError("quotas must be 0 or more")


class _Worth:
    """The aim of the composite, and the floor of one sample for each group."""

    def __init__(self, fixed: Floats, group: Ints, quota: Ints, weights: Weights, *, unit: float, m: int) -> None:
        self.group = group
        self.unit = unit
        self._fixed, self._quota, self._weights = fixed, quota, weights
        self._count = np.zeros(len(quota), dtype=np.int64)
        self._left = m
        self._without = len(np.unique(group))
        every = np.arange(len(quota), dtype=np.int64)
        self.need: Floats = self.need_then(every, np.zeros(len(quota), dtype=np.int64))

    def redundancy(self, near: Floats) -> Floats:
        """Of squared distances on the grid; the name of the term: 1 is not redundant at all."""
        if self.unit > 0:
            return np.minimum(np.sqrt(near) / self.unit, 1.0)
        return np.where(near > 0, 1.0, 0.0)

    def combined(self, redundancy: Floats, fixed: Floats) -> Floats:
        """The worth without the part of balance, always added up in the same order."""
        own: Floats = self._weights[0] * redundancy + (self._weights[1] * fixed[:, 0] + self._weights[3] * fixed[:, 1])
        return own

    def worth(self, rows: Ints, near: Floats) -> Floats:
        return self.combined(self.redundancy(near), self._fixed[rows])

    def need_then(self, group: Ints, more: Ints) -> Floats:
        need = self._weights[2] * _need(self._count[group] + more, self._quota[group])
        if self._left == self._without:
            need[self._count[group] + more > 0] = -np.inf
        return need

    def take(self, row: int) -> None:
        group = self.group[row : row + 1]
        self._without -= int(self._count[group[0]] == 0)
        self._left -= 1
        self._count[group] += 1
        self.need[group] = self.need_then(group, np.zeros(1, dtype=np.int64))
        if self._left == self._without:
            self.need[self._count > 0] = -np.inf


def _need(count: Ints, quota: Ints) -> Floats:
    """How much of its quota is lacking; nothing of none."""
    return np.where(quota > 0, np.maximum(0.0, 1 - count / np.maximum(quota, 1)), 0.0)


def _taken_before(order: Ints, group: Ints, groups: int) -> Ints:
    """How many of its group were chosen before each sample: (n,) int64; of samples not chosen, how many at all."""
    before: Ints = np.bincount(group[order], minlength=groups)[group]
    before[order] = running_count(group[order], groups)
    return before


def _rank_within(score: Floats, group: Ints) -> Floats:
    """The rank of each score within its group, in (0, 1), the lowest first; equal scores have the middle of theirs."""
    if not len(score):
        return np.empty(0)
    order = np.lexsort((score, group))
    value, of = score[order], group[order]
    starts = np.r_[True, (value[1:] != value[:-1]) | (of[1:] != of[:-1])]
    run = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    last = np.r_[first[1:], len(order)] - 1
    size = np.bincount(group)
    rank = np.empty(len(order))
    rank[order] = ((first + last)[run] / 2 - (np.cumsum(size) - size)[of] + 0.5) / size[of]
    return rank


def _usual(space: Space, m: int, seed: int) -> float:
    """The 0.9-quantile of the distances of some samples to the nearest of m drawn ones, on the grid.

    Copies of drawn samples do not count. 0 if there is nothing else.
    """
    rng = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
    n = len(space)
    drawn = np.sort(rng.permutation(n)[:m])
    probes = np.sort(rng.permutation(n)[:_PROBES])
    near = np.full(len(probes), np.inf)
    for start in range(0, len(drawn), _PROBES):
        some = drawn[start : start + _PROBES]
        squares = space.squares(probes, some)
        near = np.minimum(near, np.where(squares > 0, squares, np.inf).min(axis=1))
    near = near[np.isfinite(near)]
    return float(np.sqrt(np.quantile(near, _USUAL))) if len(near) else 0.0
