"""How many samples each group keeps, and groups that were left short raised again."""

import numpy as np

from datadiet_cli.methods.samples.base import Bools, Floats, Ints
from datadiet_cli.methods.targets import apportion

QUOTAS = ("proportional", "balanced", "drop")
_SURE = 1e-6
"""A class that is always right still counts for this much, so that a budget no other class can take goes to it."""
_ROUNDING = 1e-9


def quotas(
    counts: Ints,
    keep: int,
    how: str,
    *,
    floor: float = 0.5,
    recall: Floats | None = None,
    there: Ints | None = None,
) -> Ints:
    """Deal out a budget among groups.

    - ``proportional``: each keeps the same share.
    - ``balanced``: each keeps as many as the others, or all where it has fewer.
    - ``drop``: the share a group keeps is in proportion to 1 - recall, and what is more than a group has goes to the
      others in the same proportion (Vysogorets et al., "DRoP: Distributionally robust data pruning", ICLR 2025,
      algorithm 1).

    Whatever the way, a group with samples keeps one at least, and at least a share of its proportional part. Where the
    budget is too small for all these least parts, what is above one each shrinks in proportion.

    Args:
        counts: (g,) int64, samples of each group, 0 or more.
        keep: how many are kept in all.
        how: one of `QUOTAS`.
        floor: share of its proportional part, rounded down, that a group keeps at least.
        recall: (g,) float64 in [0, 1], for ``drop``; NaN where it is not known, which counts as the mean of the others.
        there: (g,) int64, how many of each can still be kept, where some went before; at most its count. What a group
            gets does not hang on how many of its samples went, as long as there are enough. All for None.

    Returns:
        (g,) int64 that add up to `keep`, none of them more than is there. Remainders go to the largest, ties to the
        first.

    Raises:
        ValueError: there are fewer samples than are to be kept, or more groups; or what is given does not fit.
    """
    counts = np.asarray(counts, dtype=np.int64)
    if counts.ndim != 1 or counts.min(initial=0) < 0:
        raise ValueError("counts must be a row of numbers that are not negative")
    most = counts if there is None else np.asarray(there, dtype=np.int64)
    if most.shape != counts.shape or (most < 0).any() or (most > counts).any():
        raise ValueError("what is there of a group is from none to all of its samples")
    total, some = int(most.sum()), int((most > 0).sum())
    if not 0 <= keep <= total:
        raise ValueError(f"there are {total:,} samples to choose from, so {keep:,} cannot be kept")
    if keep < some:
        raise ValueError(f"keep {keep:,} leaves no sample of {some - keep:,} of {some:,} groups")
    if not 0 <= floor <= 1:
        raise ValueError(f"the floor of groups is a share from 0 to 1, not {floor:g}")
    weight = _weights(counts, how, recall)
    if not some:
        return counts.copy()
    weight = np.where(most > 0, weight, 0.0)
    least = _least(counts, most, keep, floor)
    quota = apportion(weight, keep)
    if ((quota >= least) & (quota <= most)).all():
        return quota
    return _whole(_filled(weight, least, most, keep), least, most, keep)


def floors(counts: Ints, keep: int, floor: float) -> Ints:
    """(g,) int64, what each group keeps at least, whatever the way; see `quotas`."""
    return _least(counts, counts, keep, floor)


def repaired(kept: Bools, score: Floats, group: Ints, floor: Ints, seed: int) -> Bools:
    """Raise groups below their floor by their best samples, and lower others by their worst; as many stay as before.

    Args:
        kept: (n,) bool.
        score: (n,) float64, the higher the more worth keeping; ties are settled by a draw.
        group: (n,) int64 from 0 to g - 1.
        floor: (g,) int64, how many each keeps at least.
        seed: of that draw.

    Returns:
        (n,) bool, as many of them true as in `kept`.

    Raises:
        ValueError: a group has fewer samples than its floor, or all floors are more than is kept.
    """
    sizes = np.bincount(group, minlength=len(floor))
    if len(sizes) > len(floor) or (sizes < floor).any():
        raise ValueError("the floor of a group is at most the number of its samples")
    if floor.sum() > kept.sum():
        raise ValueError(
            f"the groups keep {int(floor.sum()):,} samples at least, more than the {int(kept.sum()):,} kept"
        )
    lack = floor - np.bincount(group[kept], minlength=len(floor))
    if not (lack > 0).any():
        return kept.copy()
    draw = np.random.default_rng(seed & 0xFFFFFFFFFFFFFFFF).random(len(kept))
    out, kept = np.flatnonzero(~kept), kept.copy()
    best = out[np.lexsort((draw[out], -score[out]))]
    raised = best[_turn(group[best]) < lack[group[best]]]
    there = np.flatnonzero(kept)
    worst = there[np.lexsort((draw[there], score[there]))]
    # The lowest of each group that may go, which come in the order of all.
    lowered = worst[_turn(group[worst]) < -lack[group[worst]]][: len(raised)]
    kept[raised], kept[lowered] = True, False
    return kept


def _weights(counts: Ints, how: str, recall: Floats | None) -> Floats:
    """What the quotas are in proportion to, as long as no bound is met."""
    if how == "proportional":
        return counts.astype(np.float64)
    if how == "balanced":
        return (counts > 0).astype(np.float64)
    if how != "drop":
        raise ValueError(f"quotas are {', '.join(QUOTAS)}, not {how}")
    if recall is None or recall.shape != counts.shape:
        raise ValueError("quotas by drop need the recall of each group")
    known = ~np.isnan(recall)
    if not ((recall[known] >= 0) & (recall[known] <= 1)).all():
        raise ValueError("recall is a number from 0 to 1")
    filled = np.where(known, recall, recall[known].mean() if known.any() else 0.0)
    weight: Floats = counts * np.maximum(1 - filled, _SURE)
    return weight


def _least(counts: Ints, most: Ints, keep: int, floor: float) -> Ints:
    """What each group keeps whatever the way."""
    part = counts * (keep / max(int(counts.sum()), 1))
    least = np.clip(np.floor(part * floor + _ROUNDING).astype(np.int64), np.minimum(most, 1), most)
    above = least - (most > 0)
    spare = keep - int((most > 0).sum())
    # Many groups of a single sample can take what the floors of others rest on.
    return least if above.sum() <= spare else np.minimum(most, 1) + apportion(above, spare)


def _filled(weight: Floats, least: Ints, most: Ints, keep: int) -> Floats:
    """Shares t x weight, held within bounds, with t such that they add up to `keep`.

    The sum is piecewise linear in t: its bends are where a share leaves its lower or meets its upper bound.
    """
    some = weight > 0
    low, high, slope = least[some] / weight[some], most[some] / weight[some], weight[some]
    bends = np.concatenate([low, high])
    order = np.argsort(bends, kind="stable")
    turn = np.concatenate([slope, -slope])[order]
    bends = bends[order]
    steep = np.cumsum(turn)
    reached = np.concatenate([[0.0], np.cumsum(steep[:-1] * np.diff(bends))]) + float(least.sum())
    place = max(int(np.searchsorted(reached, keep, side="right")) - 1, 0)
    rise = steep[place]
    t = bends[place] + ((keep - reached[place]) / rise if rise > 0 else 0.0)
    # On level ground `rise` may be what rounding left of 0.
    t = min(t, bends[min(place + 1, len(bends) - 1)])
    share: Floats = np.clip(t * weight, least, most)
    return share


def _whole(share: Floats, least: Ints, most: Ints, keep: int) -> Ints:
    """Round to whole numbers within bounds that add up to `keep`, by largest remainders."""
    quota = np.clip(np.floor(share + _ROUNDING).astype(np.int64), least, most)
    while (left := keep - int(quota.sum())) != 0:
        step = 1 if left > 0 else -1
        free = np.flatnonzero(quota < most if left > 0 else quota > least)
        quota[free[np.argsort((quota - share)[free] * step, kind="stable")][: abs(left)]] += step
    return quota


def _turn(group: Ints) -> Ints:
    """How many of the same group come before each."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    turn = np.empty(len(group), dtype=np.int64)
    turn[order] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return turn
