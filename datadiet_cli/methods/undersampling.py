"""Which samples of over-large groups go.

Two kinds of rules. Those that choose cut a group to its quota exactly: `random`, `cluster`, `near-miss`, `hardness`.
Those that clean (`CLEANING`) take only what stands at a border or among others, and never more than is over the quota,
so they may well leave a group larger: `tomek`, `enn`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datadiet_cli.methods.centres import representatives
from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.targets import check_groups, draws

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]

NOBODY = -1
"""Witness of a sample that was compared with none."""

_NEAR = 3
"""Neighbours that near-miss and ENN look at, as both papers do."""


class Removed(NamedTuple):
    """The samples that go.

    Attributes:
        row: (k,) int64 ascending.
        score: (k,) float64, what the rule went by; see each rule.
        witness: (k,) int64, the sample it was compared with, or `NOBODY`.
    """

    row: Ints
    score: Reals
    witness: Ints


@dataclass(frozen=True, eq=False)
class Surplus:
    """What a rule is given: see `undersample`; `excess` is how many samples of each group are too many."""

    x: NDArray[np.float32]
    group: Ints
    label: Ints
    excess: Ints
    difficulty: Reals | None
    seed: int
    crew: Crew

    @cached_property
    def draw(self) -> Reals:
        """(n,) a random number for each position, which settles ties: none of an ordered file's ends is favoured."""
        return draws(len(self.group), self.seed)

    @cached_property
    def crowded(self) -> NDArray[np.bool_]:
        """(n,) samples of over-large groups."""
        some = self.group >= 0
        some[some] = self.excess[self.group[some]] > 0
        return some

    def take(self, rows: Ints, *badness: Reals) -> Ints:
        """Places in `rows` of those that go: of each group the worst, as many as are too many."""
        order = np.lexsort((self.draw[rows], *(-part for part in reversed(badness)), self.group[rows]))
        group = self.group[rows][order]
        rank = np.arange(len(order)) - np.searchsorted(group, group)
        return np.sort(order[rank < self.excess[group]])


Rule = Callable[[Surplus], Removed]


def undersample(
    x: NDArray[np.float32],
    group: ArrayLike,
    quota: ArrayLike,
    method: str,
    *,
    difficulty: ArrayLike | None = None,
    seed: int = 0,
    label: ArrayLike | None = None,
    crew: Crew = ALONE,
) -> Removed:
    """Choose the samples of over-large groups that go. No group is cut below its quota, hence none is emptied.

    Args:
        x: (n, d) float32, finite, in scales that distances make sense in; not looked at by `random` and `hardness`.
        group: (n,) int64 from 0 on; -1 for a sample that takes no part, not even as a neighbour.
        quota: (g,) int64, samples that each group shall have; 1 or more for a group with samples.
        method: a key of `UNDER`.
        difficulty: (n,) float64, finite, for `hardness`: higher is harder.
        seed: of what is random.
        label: (n,) int64, the class, where groups are finer than classes: `near-miss`, `tomek` and `enn` compare a
            sample with those of other classes; by default groups are classes.
        crew: compares samples; the answer does not depend on it.

    Returns:
        The samples that go, in ascending order. The same input gives the same answer; ties are settled by the draw of
        the sample's position.

    Raises:
        ValueError: an array has the wrong shape, x is not finite, a quota would empty a group, the method is unknown,
            or it is `hardness` and there is no difficulty.
    """
    if method not in UNDER:
        raise ValueError(f"method {method!r} is none of {', '.join(UNDER)}")
    if x.ndim != 2:
        raise ValueError("samples must be a matrix, one row each")
    numbers, quotas, counts = check_groups(group, quota, len(x))
    labels = numbers if label is None else np.asarray(label, dtype=np.int64)
    if labels.shape != numbers.shape:
        raise ValueError("there must be a label for each sample")
    if method not in BLIND and not np.isfinite(x).all():
        raise ValueError("samples hold numbers that are not finite")
    excess = np.maximum(counts - quotas, 0)
    if not excess.any():
        return _removed([])
    given = None if difficulty is None else np.asarray(difficulty, dtype=np.float64)
    return UNDER[method](Surplus(x, numbers, labels, excess, given, seed, crew))


def random(task: Surplus) -> Removed:
    """Those with the largest draw; score: the draw, in [0, 1). A larger quota keeps all that a smaller one does."""
    rows = np.flatnonzero(task.crowded)
    gone = rows[task.take(rows, task.draw[rows])]
    return Removed(gone, task.draw[gone], np.full(len(gone), NOBODY))


def cluster(task: Surplus) -> Removed:
    """All but the real sample nearest to each of as many centres of k-means as may stay.

    Yen & Lee, "Cluster-based under-sampling approaches for imbalanced data distributions", Expert Systems with
    Applications 36(3), 2009; real samples instead of centres as in Lin et al., Information Sciences 409, 2017,
    strategy 2. Score: the distance to the sample of its cluster that stays, the witness.
    """
    parts = []
    for some in _members(task):
        keep = len(some) - int(task.excess[task.group[some[0]]])
        chosen = representatives(task.x[some], keep, task.seed)
        gone = np.ones(len(some), dtype=bool)
        gone[chosen.kept] = False
        parts.append(Removed(some[gone], chosen.distance[gone], some[chosen.witness[gone]]))
    return _removed(parts)


def near_miss(task: Surplus) -> Removed:
    """Those far from the samples of the small classes: NearMiss-1 (Mani & Zhang, ICML workshop, 2003, section 3).

    What stays has the smallest mean distance to its three nearest samples of other classes' groups that are not cut;
    where all others are cut too, of all other classes. Score: that distance. Witness: the nearest of them.
    """
    small = ~task.crowded & (task.group >= 0)
    parts = []
    for some in _members(task):
        foreign = (task.label != task.label[some[0]]) & (task.group >= 0)
        among = np.flatnonzero(foreign & small if (foreign & small).any() else foreign)
        near = nearest(task.x, some, among, _NEAR, crew=task.crew)
        alone = not near.row.shape[1]
        mean = np.zeros(len(some)) if alone else near.distance.mean(axis=1)
        witness = np.full(len(some), NOBODY) if alone else near.row[:, 0]
        gone = task.take(some, mean)
        parts.append(Removed(some[gone], mean[gone], witness[gone]))
    return _removed(parts)


def tomek(task: Surplus) -> Removed:
    """Those in Tomek links: two samples of different classes, each the nearest to the other.

    Tomek, "Two modifications of CNN", IEEE Transactions on Systems, Man, and Cybernetics 6, 1976, modification 2.
    Where there are more links than samples too many, the closest go. Score: the distance to the other, the witness.
    """
    everyone = np.flatnonzero(task.group >= 0)
    labels = task.label[everyone]
    # One end of a link is not of the largest class: only from there do links have to be sought.
    rest = everyone[labels != np.bincount(labels - labels.min()).argmax() + labels.min()]
    forth = nearest(task.x, rest, everyone, 1, crew=task.crew)
    if not forth.row.shape[1]:
        return _removed([])
    foreign = task.label[rest] != task.label[forth.row[:, 0]]
    one, other, distance = rest[foreign], forth.row[foreign, 0], forth.distance[foreign, 0]
    far, place = np.unique(other, return_inverse=True)
    mutual = nearest(task.x, far, everyone, 1, crew=task.crew).row[place, 0] == one
    pairs = np.stack([one[mutual], other[mutual]])
    # Between two small classes a link is found from both ends.
    ends, first = np.unique(np.concatenate([pairs[0], pairs[1]]), return_index=True)
    partner = np.concatenate([pairs[1], pairs[0]])[first]
    gap = np.tile(distance[mutual], 2)[first]
    linked = task.crowded[ends]
    ends, partner, gap = ends[linked], partner[linked], gap[linked]
    gone = task.take(ends, -gap)
    return Removed(ends[gone], gap[gone], partner[gone])


def enn(task: Surplus) -> Removed:
    """Those whose class is outvoted by their three nearest neighbours: edited nearest neighbours.

    Wilson, "Asymptotic properties of nearest neighbor rules using edited data", IEEE Transactions on Systems, Man, and
    Cybernetics 2(3), 1972, section III; in a tie between classes a sample stays. Where more are outvoted than are too
    many, those go first that most neighbours speak against, then those nearest to such. Score: the share of neighbours
    of other classes. Witness: the nearest of them.
    """
    rows = np.flatnonzero(task.crowded)
    near = nearest(task.x, rows, np.flatnonzero(task.group >= 0), _NEAR, crew=task.crew)
    if not near.row.shape[1]:
        return _removed([])
    vote, own = task.label[near.row], task.label[rows][:, None]
    foreign = vote != own
    # The votes for each neighbour's class; those for the own class do not count.
    votes = (vote[:, :, None] == vote[:, None, :]).sum(axis=2) * foreign
    out = np.flatnonzero(votes.max(axis=1) > (~foreign).sum(axis=1))
    first = foreign[out].argmax(axis=1)
    share = foreign[out].mean(axis=1)
    gone = task.take(rows[out], share, -near.distance[out, first])
    return Removed(rows[out][gone], share[gone], near.row[out, first][gone])


def hardness(task: Surplus) -> Removed:
    """Those that are hardest to tell: instance hardness threshold (Smith, Martinez & Giraud-Carrier, 2014, s. 5).

    "An instance level analysis of data complexity", Machine Learning 95. Score: the difficulty that was given, for
    instance 1 minus the probability of the own class, out of fold.
    """
    if task.difficulty is None:
        raise ValueError("hardness wants to know how difficult each sample is")
    if task.difficulty.shape != task.group.shape or not np.isfinite(task.difficulty[task.crowded]).all():
        raise ValueError("there must be a finite difficulty for each sample")
    rows = np.flatnonzero(task.crowded)
    gone = rows[task.take(rows, task.difficulty[rows])]
    return Removed(gone, task.difficulty[gone], np.full(len(gone), NOBODY))


def _members(task: Surplus) -> list[Ints]:
    """The samples of each over-large group."""
    rows = np.flatnonzero(task.crowded)
    order = np.argsort(task.group[rows], kind="stable")
    sizes = np.bincount(task.group[rows])
    return np.split(rows[order], np.cumsum(sizes[sizes > 0])[:-1])


def _removed(parts: list[Removed]) -> Removed:
    if not parts:
        return Removed(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64))
    row, score, witness = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(row)
    return Removed(row[order], score[order], witness[order])


UNDER: dict[str, Rule] = {
    "random": random,
    "cluster": cluster,
    "near-miss": near_miss,
    "tomek": tomek,
    "enn": enn,
    "hardness": hardness,
}
CLEANING = frozenset({"tomek", "enn"})
"""Rules that may remove fewer than are too many."""
BLIND = frozenset({"random", "hardness"})
"""Rules that do not look at x."""
