"""Turn "these two look alike" into "keep this one": groups around a kept sample, never chains.

Samples that cannot be told apart by their key (equal hash, equal content digest) share a *node*; nodes that may hold
duplicates of each other are joined by an *edge*. Whether two samples really are duplicates is asked of `accept`, only
for pairs that a decision hangs on, many at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Accept = Callable[[Ints, Ints], NDArray[np.float64]]
"""Takes two (k,) arrays of samples; gives (k,) distances of the pairs, NaN where a pair is no duplicate."""

BLOCK = 1 << 20
ALONE = -1


@dataclass(frozen=True, eq=False)
class Candidates:
    """Which samples may be duplicates of which.

    Attributes:
        node: (n,) int64, the node of each sample; -1 for a sample that takes no part.
        edges: (e, 2) int64, pairs of different nodes whose samples may be duplicates too.
    """

    node: Ints
    edges: Ints

    def neighbours(self) -> tuple[Ints, Ints]:
        """Compressed adjacency of the nodes, each its own first neighbour: (nodes + 1,) starts and targets."""
        nodes = int(self.node.max(initial=-1)) + 1
        own = np.arange(nodes, dtype=np.int64)
        source = np.concatenate([own, self.edges[:, 0], self.edges[:, 1]])
        target = np.concatenate([own, self.edges[:, 1], self.edges[:, 0]])
        order = np.argsort(source, kind="stable")
        return np.searchsorted(source[order], np.arange(nodes + 1)), target[order]


def distinct(keys: NDArray[np.generic], *, shared_only: bool = False) -> Ints:
    """Number equal keys alike, in sorted order.

    Args:
        keys: (n,) or (n, k) array of any comparable dtype.
        shared_only: give -1 to keys that occur once: nothing can be their duplicate.

    Returns:
        (n,) int64 node numbers.
    """
    if keys.ndim == 2:
        keys = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
    node = np.full(len(keys), ALONE, dtype=np.int64)
    if not len(keys):
        return node
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    if shared_only:
        single = new & np.append(new[1:], True)
        order, new = order[~single], new[~single]
    node[order] = np.cumsum(new) - 1
    return node


def divided(candidates: Candidates, group: Ints) -> Candidates:
    """Candidates of which only those of the same group may be duplicates of each other.

    Args:
        candidates: who may be a duplicate of whom.
        group: (n,) int64, 0 or more.
    """
    if not len(group) or (group == group[0]).all():
        return candidates
    part = candidates.node >= 0
    width = int(group.max(initial=0)) + 1
    combined = candidates.node[part] * width + group[part]
    pairs, inverse = np.unique(combined, return_inverse=True)
    node = np.full(len(group), ALONE, dtype=np.int64)
    node[part] = inverse
    base, side = pairs // width, pairs % width
    # Each part of an edge's first node looks for the part of the second node that is of the same group.
    nodes = int(candidates.node.max(initial=-1)) + 1
    starts = np.searchsorted(base, np.arange(nodes + 1))
    first, second = candidates.edges[:, 0], candidates.edges[:, 1]
    count = starts[first + 1] - starts[first]
    one = _ranges(starts[first], count)
    wanted = np.repeat(second, count) * width + side[one]
    place = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    there = pairs[place] == wanted if len(pairs) else np.zeros(0, dtype=bool)
    return Candidates(node, np.stack([one[there], place[there]], axis=1))


def star_groups(
    candidates: Candidates, rank: Ints, accept: Accept, taking_part: NDArray[np.bool_] | None = None
) -> tuple[Ints, NDArray[np.float64]]:
    """Group duplicates around the sample of best rank, so that each member was compared with its own witness.

    The result is that of the sequential greedy rule: go through the samples by rank; whoever is no duplicate of a
    kept one is kept. All samples whose rank beats that of every undecided neighbour decide at the same time
    (Blelloch, Fineman & Shun, "Greedy sequential maximal independent set and matching are parallel on average",
    SPAA 2012, section 3), so few rounds of array operations do the work of a loop over samples.
    A duplicate of several kept samples belongs to the one of best rank, as by that rule.

    Args:
        candidates: who may be a duplicate of whom.
        rank: (n,) int64, all different; the smallest of a group is kept.
        accept: decides pairs (member, kept).
        taking_part: (n,) bool, the samples to group; all by default.

    Returns:
        witness (n,) int64, the kept sample that a duplicate belongs to, `ALONE` for kept samples and those that take
        no part; and its distance (n,) float64, NaN where there is no witness.
    """
    n = len(rank)
    witness = np.full(n, ALONE, dtype=np.int64)
    distance = np.full(n, np.nan)
    eligible = candidates.node >= 0
    if taking_part is not None:
        eligible = eligible & taking_part
    undecided = _contested(candidates, eligible) if eligible.any() else np.empty(0, dtype=np.int64)
    if not len(undecided):
        return witness, distance
    undecided = undecided[np.argsort(rank[undecided], kind="stable")]
    starts, targets = candidates.neighbours()
    while len(undecided):
        members = _Members(candidates.node[undecided], undecided, len(starts) - 1)
        best = members.first(rank)
        around = np.minimum.reduceat(best[targets], starts[:-1])
        winning = np.flatnonzero((best == around) & (members.count > 0))
        kept = members.items[members.start[winning]]
        # In the samples' own order, so that comparing them runs through memory or disk, not all over it.
        order = np.argsort(kept)
        kept, winning = kept[order], winning[order]
        open_before = np.zeros(n, dtype=bool)
        open_before[undecided] = True
        open_before[kept] = False
        for keeper, member in _meetings(kept, winning, starts, targets, members):
            _claim(witness, distance, rank, member, keeper, accept)
        undecided = undecided[open_before[undecided] & (witness[undecided] == ALONE)]
    _choose_first(candidates, rank, accept, eligible, witness, distance)
    return witness, distance


def _choose_first(
    candidates: Candidates,
    rank: Ints,
    accept: Accept,
    eligible: NDArray[np.bool_],
    witness: Ints,
    distance: NDArray[np.float64],
) -> None:
    """Give members that meet several kept samples the one of best rank, which may have been kept in a later round."""
    kept = eligible & (witness == ALONE)
    starts, targets = candidates.neighbours()
    count = np.bincount(candidates.node[kept], minlength=len(starts) - 1)
    around = np.add.reduceat(count[targets], starts[:-1])
    crowded = (witness != ALONE) & (around[candidates.node] > 1)
    if crowded.any():

        def by_rank(a: Ints, b: Ints) -> NDArray[np.float64]:
            return np.where(np.isnan(accept(a, b)), np.nan, rank[b])

        members = np.flatnonzero(crowded)
        witness[members] = nearest(candidates, rank, by_rank, crowded, kept)[0][members]
        distance[members] = accept(members, witness[members])


def nearest(
    candidates: Candidates, rank: Ints, accept: Accept, samples: NDArray[np.bool_], among: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.float64]]:
    """Find for each of some samples its nearest duplicate among others, ties by rank.

    Args:
        candidates: who may be a duplicate of whom.
        rank: (n,) int64, all different.
        accept: decides pairs (sample, other).
        samples: (n,) bool, whose duplicates are sought.
        among: (n,) bool, where they are sought.

    Returns:
        witness and distance, as `star_groups` gives them.
    """
    witness = np.full(len(rank), ALONE, dtype=np.int64)
    distance = np.full(len(rank), np.nan)
    for sample, other in pairs_between(candidates, samples, among):
        _claim(witness, distance, rank, sample, other, accept)
    return witness, distance


def pairs_between(
    candidates: Candidates, samples: NDArray[np.bool_], among: NDArray[np.bool_]
) -> Iterator[tuple[Ints, Ints]]:
    """All candidate pairs (one of `samples`, another of `among`), about a million at a time."""
    left = np.flatnonzero(samples & (candidates.node >= 0))
    right = np.flatnonzero(among & (candidates.node >= 0))
    if not len(left) or not len(right):
        return
    starts, targets = candidates.neighbours()
    members = _Members(candidates.node[right], right, len(starts) - 1)
    yield from _meetings(left, candidates.node[left], starts, targets, members)


class _Members:
    """The samples of each node, in the order given."""

    def __init__(self, node: Ints, items: Ints, nodes: int) -> None:
        order = np.argsort(node, kind="stable")
        self.items = items[order]
        self.count = np.bincount(node, minlength=nodes).astype(np.int64)
        self.start = np.cumsum(self.count) - self.count

    def first(self, rank: Ints) -> Ints:
        """The rank of each node's first member; the largest integer for an empty node."""
        best = np.full(len(self.count), np.iinfo(np.int64).max, dtype=np.int64)
        filled = self.count > 0
        best[filled] = rank[self.items[self.start[filled]]]
        return best


def _contested(candidates: Candidates, eligible: NDArray[np.bool_]) -> Ints:
    """Samples that share a node or an edge with another eligible sample; nobody else needs deciding."""
    samples = np.flatnonzero(eligible)
    nodes = int(candidates.node.max(initial=-1)) + 1
    count = np.bincount(candidates.node[samples], minlength=nodes)
    contested = count > 1
    if len(candidates.edges):
        both = (count[candidates.edges] > 0).all(axis=1)
        contested[candidates.edges[both].ravel()] = True
    return samples[contested[candidates.node[samples]]]


def _meetings(
    left: Ints, left_node: Ints, starts: Ints, targets: Ints, members: _Members
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of each left sample with every member of its node and of the neighbouring nodes, in blocks."""
    degree = starts[left_node + 1] - starts[left_node]
    hop_left = np.repeat(left, degree)
    hop_node = targets[_ranges(starts[left_node], degree)]
    load = members.count[hop_node]
    # Cut where the number of pairs passes another block; a single hop never needs cutting in practice.
    cut = np.flatnonzero(np.diff(np.cumsum(load) // BLOCK, prepend=0))
    for part in np.split(np.arange(len(load)), cut):
        if not len(part):
            continue
        a = np.repeat(hop_left[part], load[part])
        b = members.items[_ranges(members.start[hop_node[part]], load[part])]
        different = a != b
        if different.any():
            yield a[different], b[different]


def _ranges(start: Ints, length: Ints) -> Ints:
    """Concatenate arange(s, s + l) for each s, l."""
    total = int(length.sum())
    before = np.repeat(np.cumsum(length) - length, length)
    return np.arange(total, dtype=np.int64) - before + np.repeat(start, length)


def _claim(
    witness: Ints, distance: NDArray[np.float64], rank: Ints, member: Ints, keeper: Ints, accept: Accept
) -> None:
    """Give each member the nearest keeper that accepts it, if nearer than the one it has."""
    found = accept(member, keeper)
    good = ~np.isnan(found)
    member, keeper, found = member[good], keeper[good], found[good]
    if len(member) and np.bincount(member).max() > 1:
        order = np.lexsort((rank[keeper], found, member))
        member, keeper, found = member[order], keeper[order], found[order]
        first = np.ones(len(member), dtype=bool)
        first[1:] = member[1:] != member[:-1]
        member, keeper, found = member[first], keeper[first], found[first]
    has = witness[member] != ALONE
    held = np.where(has, distance[member], np.inf)
    held_rank = np.where(has, rank[witness[member]], np.iinfo(np.int64).max)
    better = (found < held) | ((found == held) & (rank[keeper] < held_rank))
    witness[member[better]] = keeper[better]
    distance[member[better]] = found[better]
