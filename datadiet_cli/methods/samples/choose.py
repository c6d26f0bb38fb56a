"""Choose samples: what every method and every rule has in common.

First the hardest go, if a share of them is to (most wrong labels are among them); then each group gets its quota, and
within a group a rule chooses by scores, or a method by features. A share may be drawn at random beside that, which
protects against a score that fails (Ayed & Hayou, "Data pruning and neural scaling laws", 2023, section 5).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Bools, Floats, Graph, Ints, Pool
from datadiet_cli.methods.samples.composite import composite
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.crowd import (
    BELOW,
    COVERED,
    KEPT,
    NOT_DRAWN,
    WRONG,
    Crowd,
    Plan,
    Selection,
    named_score,
    score_of,
)
from datadiet_cli.methods.samples.graph import knn_graph
from datadiet_cli.methods.samples.quotas import floors, quotas, repaired
from datadiet_cli.methods.samples.rules import RULES
from datadiet_cli.methods.targets import apportion

_OF_RULE = {"top-k": BELOW, "ccs": NOT_DRAWN, "d2": COVERED, "dual-beta": NOT_DRAWN}
_RANDOM = 0x5EED
"""Apart from the seed of a rule, so that what is drawn beside it is not the same draw."""


def choose(crowd: Crowd, plan: Plan, keep: int, seed: int, crew: Crew = ALONE) -> Selection:
    """Choose exactly `keep` samples.

    Args:
        crowd: n samples.
        plan: how.
        keep: from 1 to n.
        seed: of what is drawn.
        crew: compares samples; the answer does not depend on it.

    Raises:
        ValueError: a group would vanish, or the method lacks scores, features or labels, said in one sentence.
    """
    n = len(crowd)
    if not 1 <= keep <= n:
        raise ValueError(f"there are {n:,} samples to choose from, so {keep:,} cannot be kept")
    found = _Found.nothing(n)
    counts = np.bincount(crowd.group, minlength=_groups(crowd))
    if keep < int((counts > 0).sum()):
        quotas(counts, keep, "proportional")  # says which way it fails
    floor = floors(counts, keep, plan.floor)
    left = _cut(crowd, plan, keep, floor, seed, found)
    drawn = round(keep * plan.random_share)
    if plan.method == "composite":
        _by_worth(crowd, plan, (keep, keep - drawn), _Left(left, seed, crew), found)
        _at_random(np.zeros(n, dtype=np.int64), left, np.array([drawn]), seed ^ _RANDOM, found)
        _repair(crowd, floor, left, found.score, seed, found)
        return found.selection()
    score = score_of(crowd, plan, left, seed, crew)
    if plan.quota == "none":
        group, quota = np.zeros(n, dtype=np.int64), np.array([keep])
    else:
        group, some = crowd.group, np.bincount(crowd.group[left], minlength=len(counts))
        quota = quotas(counts, keep, plan.quota, floor=plan.floor, recall=crowd.recall, there=some)
    scored = quota - apportion(quota, drawn)
    _by_groups(_Work(crowd, plan, score, group, left, keep, crew), scored, seed, found)
    _at_random(group, left, quota - scored, seed ^ _RANDOM, found)
    if plan.quota == "none" and len(counts) > 1:
        _repair(crowd, floor, left, score, seed, found)
    return found.selection()


@dataclass(frozen=True, eq=False)
class _Found:
    """What is decided so far."""

    kept: Bools
    why: NDArray[np.int8]
    score: Floats
    stratum: Ints
    threshold: Floats
    terms: list[Floats]

    @classmethod
    def nothing(cls, n: int) -> "_Found":
        return cls(
            np.zeros(n, dtype=bool),
            np.full(n, NOT_DRAWN, dtype=np.int8),
            np.full(n, np.nan),
            np.full(n, -1, dtype=np.int64),
            np.full(n, np.nan),
            [],
        )

    def selection(self) -> Selection:
        why = np.where(self.kept, KEPT, self.why).astype(np.int8)
        terms = self.terms[0] if self.terms else None
        return Selection(self.kept, why, self.score, self.stratum, self.threshold, terms)


@dataclass(frozen=True, eq=False)
class _Work:
    """What a choice group by group is made from."""

    crowd: Crowd
    plan: Plan
    score: Floats | None
    group: Ints
    left: Ints
    keep: int
    crew: Crew


def _groups(crowd: Crowd) -> int:
    return int(crowd.group.max(initial=-1)) + 1


def _cut(crowd: Crowd, plan: Plan, keep: int, floor: Ints, seed: int, found: _Found) -> Ints:
    """Let the hardest go, as far as the budget and the floors of groups allow; the rows of the others."""
    n = len(crowd)
    share = min(round(plan.beta * n), n - keep)
    if share <= 0:
        return np.arange(n)
    hardness = crowd.hardness
    if plan.rule == "ccs" and crowd.scores is not None and plan.method in crowd.scores:
        # As its paper has it: the hardest are those of the score that the strata are of.
        hardness = crowd.scores[plan.method]
    if hardness is None:
        raise ValueError("nothing tells which labels are likely wrong, so none can go first; beta must be 0")
    order = np.lexsort((np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF).random(n), -hardness))
    own = crowd.group[order]
    by_group = np.argsort(own, kind="stable")
    counts = np.bincount(own, minlength=len(floor))
    rank = np.empty(n, dtype=np.int64)
    rank[by_group] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    goes = order[rank < (counts - floor)[own]][:share]
    found.why[goes] = WRONG
    found.score[goes] = hardness[goes]
    if len(goes):
        found.threshold[goes] = hardness[goes].min()
    left = np.ones(n, dtype=bool)
    left[goes] = False
    return np.flatnonzero(left)


def _by_groups(work: _Work, quota: Ints, seed: int, found: _Found) -> None:
    """Let a rule, or a method by features, choose in each group."""
    crowd, plan, left = work.crowd, work.plan, work.left
    graph = _graph(work) if plan.rule == "d2" and work.score is not None else None
    place = np.full(len(crowd), -1, dtype=np.int64)
    members = left[np.argsort(work.group[left], kind="stable")]
    sizes = np.bincount(work.group[left], minlength=len(quota))
    for g, rows in enumerate(np.split(members, np.cumsum(sizes)[:-1])):
        if not len(rows):
            continue
        q, own = int(quota[g]), _seed(seed, g)
        if plan.method == "random":
            found.kept[rows[np.random.default_rng(own).permutation(len(rows))[:q]]] = True
        elif work.score is None:
            picked = COVERAGE[plan.method](crowd.features[rows], q, own, work.crew)
            found.why[rows] = COVERED
            found.kept[rows[picked.order]] = True
            found.score[rows[picked.order]] = 1 - np.arange(len(picked.order)) / max(len(picked.order), 1)
        else:
            place[rows] = np.arange(len(rows))
            _by_rule(work, rows, q, own, None if graph is None else _within(graph, left, rows, place), found)


def _by_rule(work: _Work, rows: Ints, quota: int, seed: int, graph: Graph | None, found: _Found) -> None:
    crowd, plan = work.crowd, work.plan
    score = np.zeros(0) if work.score is None else work.score[rows]
    easiness = None if crowd.scores is None else crowd.scores.get("confidence")
    pool = Pool(
        score,
        quota,
        seed,
        plan.strata,
        plan.gamma,
        graph,
        None if easiness is None else easiness[rows],
        1 - work.keep / max(len(crowd), 1),
    )
    chosen = RULES[plan.rule](pool)
    found.kept[rows] = chosen.kept
    found.why[rows] = _OF_RULE[plan.rule]
    found.score[rows] = score
    found.stratum[rows] = chosen.stratum
    found.threshold[rows] = chosen.threshold


def _graph(work: _Work) -> Graph:
    """The nearest others of each sample that is left, within its group; by place among those that are left.

    By direction alone, as the paper of `d2` has it: the length of a vector says more of a sample than of its likeness.
    """
    x = work.crowd.features[work.left]
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    unit = np.divide(x, length, out=np.zeros_like(x), where=length > 0, casting="same_kind")
    return knn_graph(unit, work.plan.neighbours, group=work.group[work.left], crew=work.crew)


def _within(graph: Graph, left: Ints, rows: Ints, place: Ints) -> Graph:
    """The part of a graph that is a group's, by place in the group."""
    mine = np.searchsorted(left, rows)
    near = graph.neighbour[mine]
    return Graph(np.where(near >= 0, place[left[near]], -1), graph.distance[mine])


def _seed(seed: int, group: int) -> int:
    return int(
        np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, group]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def _at_random(group: Ints, left: Ints, quota: Ints, seed: int, found: _Found) -> None:
    """Draw so many of each group, among those that are left and not chosen yet."""
    if not quota.any():
        return
    rng = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF)
    rest = rng.permutation(left[~found.kept[left]])
    order = rest[np.argsort(group[rest], kind="stable")]
    counts = np.bincount(group[rest], minlength=len(quota))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    found.kept[order[rank < quota[group[order]]]] = True


def _repair(crowd: Crowd, floor: Ints, left: Ints, score: Floats | None, seed: int, found: _Found) -> None:
    """Raise groups that were left below their floor, where nobody had a quota."""
    worth = found.score[left] if score is None else score[left]
    group = crowd.group[left]
    most = np.bincount(group, minlength=len(floor))
    # What cannot be drawn any more because it went as likely wrong does not count; `_cut` leaves each its floor.
    before = found.kept.copy()
    found.kept[left] = repaired(found.kept[left], np.nan_to_num(worth), group, np.minimum(floor, most), seed)
    # Not the score decided on those, but that another class has so few.
    found.threshold[before != found.kept] = np.nan


class _Left(NamedTuple):
    """Samples that are left to choose from, the seed, and who compares them."""

    rows: Ints
    seed: int
    crew: Crew


def _by_worth(crowd: Crowd, plan: Plan, keep: tuple[int, int], task: _Left, found: _Found) -> None:
    """Choose by the sum of all terms at once; of so many that stay, so many by worth."""
    left, seed, crew = task
    some = crowd.some(left)
    group, n = some.group, len(left)
    counts, there = (np.bincount(some, minlength=_groups(crowd)) for some in (crowd.group, group))
    how = "proportional" if plan.quota == "none" else plan.quota
    redundancy, soundness, balance, information = plan.weights
    # As it comes: what a class has already counts for nothing.
    weights = (redundancy, soundness, 0.0 if plan.quota == "none" else balance, information)
    quota = quotas(counts, keep[0], how, floor=plan.floor, recall=crowd.recall, there=there)
    wrong = np.zeros(n) if some.wrong is None else some.wrong
    score = named_score(some, plan.information, plan.neighbours, seed, crew)
    made = composite(
        some.x, keep[1], wrong=wrong, score=score, group=group, quota=quota, weights=weights, seed=seed
    )  # fmt: skip
    found.why[left] = BELOW
    found.kept[left[made.order]] = True
    found.score[left] = made.worth
    terms = np.full((len(crowd), 4), np.nan)
    terms[left] = made.terms
    found.terms.append(terms)
