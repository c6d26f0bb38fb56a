"""Which units go, and how much at a time: ranked lists under limits, and schedules of how the share rises."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from datadiet_cli.nn.pruning.base import Bools, Floats, Ints
from datadiet_cli.nn.pruning.ranking import ROUNDING, at_least, checked_share, lowest, together

UnitScope = Literal["layer", "global", "isomorphic"]


@dataclass(frozen=True)
class UnitLimits:
    """How many units stay, whatever they are worth.

    Attributes:
        protect: share of all parameters that stays at least.
        per_layer: share of the units of each group that stays at least.
        least: units of each group that stay at least, 1 or more.
        round_to: the channels that a group keeps are a multiple of this number, or all of them.

    Raises:
        ValueError: a number is out of its range.
    """

    protect: float = 0.0
    per_layer: float = 0.1
    least: int = 1
    round_to: int = 1

    def __post_init__(self) -> None:
        checked_share("protect", self.protect)
        checked_share("per_layer", self.per_layer)
        if self.least < 1 or self.round_to < 1:
            raise ValueError(f"least and round_to must be 1 or more, not {self.least} and {self.round_to}")

    def minimum(self, units: int) -> int:
        """Units of a group of so many that stay at least, before rounding."""
        return min(max(self.least, at_least(self.per_layer, units)), units)


class _Set(NamedTuple):
    """Groups that are ranked together, and what goes of them first.

    Attributes:
        groups: names, ascending.
        total: units of them.
        order: (k,) the group that each unit that may go is of, lowest scores first.
        moments: (k,) the share up to which each of them stays.
    """

    groups: list[str]
    total: int
    order: Ints
    moments: Floats


def choose_units(
    scores: Mapping[str, Floats],
    units: Mapping[str, int],
    *,
    share: float,
    scope: UnitScope = "layer",
    signatures: Mapping[str, str] | None = None,
    limits: UnitLimits | None = None,
    least: Mapping[str, int] | None = None,
    weights: Mapping[str, int] | None = None,
    total: int | None = None,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, Bools]:
    """Decide which units of each group stay. The result does not depend on the order of the groups.

    A larger share keeps some of the units that a smaller one keeps, and no others, if nothing else changes.

    Of units of the same score the first ones go first, by name of the group, then by position. Where limits hold some,
    the next ones of the same set go instead, as far as there are any. Whole multiples of `UnitLimits.round_to` are
    reached by keeping more: less than the share may go.

    Args:
        scores: by group, (units,) float64, finite: what each unit is worth. Groups without scores stay whole, and count
            as none of the units that a share is taken of.
        units: of each group.
        share: of the units that go. By ``layer``, each group keeps ``int(units * (1 - share))``, as Torch-Pruning has
            it. In other scopes ``round(share * units)`` go of each set that is ranked together.
        scope: what is ranked together: the units of each group, all units, or those of groups of one signature (Fang et
            al., "Isomorphic pruning for vision models", ECCV 2024).
        signatures: of each group with scores, for the scope ``isomorphic``.
        limits: what stays in any case.
        least: units of each group that stay besides, where a share of what is there says nothing: of a network that
            was cut before.
        weights: by group, parameters that go with one unit, for `UnitLimits.protect`; 1 for groups without. They are
            added up as if each unit went alone; as two units share weights, more may stay than is asked for.
        total: parameters that `UnitLimits.protect` is a share of; by default those of all units.
        kinds: of each group; only ``channels`` are rounded. Groups without one are channels.

    Returns:
        (units,) bool by group, True for those that stay, in the order of `units`.

    Raises:
        ValueError: scores that are not finite or not of their group's length, a group without units or a signature, or
            a share or scope that there is not.
    """
    limits = limits or UnitLimits()
    checked_share("share", share)
    _check_scores(scores, units)
    steps = {name: limits.round_to if (kinds or {}).get(name, "channels") == "channels" else 1 for name in units}
    floor = {name: max(limits.minimum(count), min((least or {}).get(name, 0), count)) for name, count in units.items()}
    floor = {name: _rounded(floor[name], count, steps[name]) for name, count in units.items()}
    parts = together(sorted(scores), scope, get_args(UnitScope), signatures)
    sets = [_set_of(names, scores, floor, scope) for names in parts]
    costs = {name: (weights or {}).get(name, 1) for name in units}
    whole = sum(costs[name] * count for name, count in units.items()) if total is None else total
    affordable = _affordable(sets, costs, whole * (1 - limits.protect))
    kept = {name: np.ones(count, dtype=bool) for name, count in units.items()}
    for some, most in zip(sets, affordable, strict=True):
        going = min(_going(share, some.total, scope), most)
        counts = np.bincount(some.order[:going], minlength=len(some.groups))
        for name, lost in zip(some.groups, counts.tolist(), strict=True):
            stay = _rounded(units[name] - lost, units[name], steps[name])
            kept[name] = ~lowest(np.asarray(scores[name], dtype=np.float64)[None], units[name] - stay)[0]
    return kept


def least_share(meets: Callable[[float], bool], *, resolution: float = 0.001) -> float | None:
    """The smallest share that meets a target which all larger ones meet too, such as so many parameters at most.

    What `choose_units` keeps only shrinks as the share rises; so does whatever is counted from it alone.

    Args:
        meets: whether a share does; asked about ``log2(1 / resolution)`` times.
        resolution: the answer is a multiple of it, or 1.

    Returns:
        None if not even a share of 1 does.

    Raises:
        ValueError: `resolution` is not above 0 and at most 1.
    """
    if not 0 < resolution <= 1:
        raise ValueError(f"resolution must be above 0, and at most 1, not {resolution:g}")
    steps = math.ceil(1 / resolution - ROUNDING)
    if meets(0.0):
        return 0.0
    if not meets(1.0):
        return None
    low, high = 0, steps
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle * resolution) else (middle, high)
    return min(high * resolution, 1.0)


def cubic(share: float, rounds: int, start: float = 0.0) -> list[float]:
    """Shares that have gone after each round: much at first, where it costs little, and ever less.

    Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017, eq. 1.

    Args:
        share: that has gone after the last round.
        rounds: how many, at least 1.
        start: that has gone before the first.

    Returns:
        One share per round, the last exactly `share`.

    Raises:
        ValueError: no rounds, or shares that are none.
    """
    checked_share("share", share)
    checked_share("start", start)
    if rounds < 1:
        raise ValueError(f"there must be 1 round or more, not {rounds}")
    return [share + (start - share) * (1 - step / rounds) ** 3 for step in range(1, rounds)] + [share]


@dataclass
class Adaptive:
    """A share that rises while the network bears it, and steps back and halves its step where it does not.

    It knows nothing of networks: prune to `proposal`, heal, and `tell` whether the loss is within tolerance; if not,
    go back to the network of `best`. A share that was not borne may be proposed again, from a healed network that is
    nearer to it. It ends after ``limit / resolution + log2(step / resolution)`` tries at most.

    Attributes:
        step: by which the next proposal rises.
        resolution: steps below it are not tried.
        limit: the highest share that is proposed.
        best: the highest share that was borne; at the start, what has gone before.
        tried: each share and whether it was borne, in order.

    Raises:
        ValueError: a number is out of its range.
    """

    step: float = 0.1
    resolution: float = 0.0125
    limit: float = 1.0
    best: float = 0.0
    tried: list[tuple[float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not (0 < self.resolution <= self.step < math.inf):
            raise ValueError(f"0 < resolution <= step must hold, not {self.resolution:g} and {self.step:g}")
        if not 0 <= self.best <= self.limit < math.inf:
            raise ValueError(f"the start must be between 0 and the limit {self.limit:g}, not {self.best:g}")

    @property
    def proposal(self) -> float | None:
        """The share to try next, above `best`; None at the end."""
        if self.step < self.resolution - ROUNDING * self.resolution or self.best >= self.limit:
            return None
        # What is left after many steps by the rounding of floats is no try of its own.
        following = self.best + self.step
        return self.limit if following > self.limit - ROUNDING * self.resolution else following

    def tell(self, borne: bool) -> None:
        """Say whether the network bears the `proposal`.

        Raises:
            ValueError: there is none.
        """
        share = self.proposal
        if share is None:
            raise ValueError("the search is at its end")
        self.tried.append((share, borne))
        if borne:
            self.best = share
        else:
            # Of the step that was taken, which the limit may have cut.
            self.step = (share - self.best) / 2


def _rounded(count: int, units: int, step: int) -> int:
    """The next multiple, or all."""
    return min(-(-count // step) * step, units)


def _going(share: float, total: int, scope: UnitScope) -> int:
    """How many of a set go."""
    return total - int(total * (1 - share) + ROUNDING) if scope == "layer" else round(share * total)


def _set_of(names: list[str], scores: Mapping[str, Floats], least: Mapping[str, int], scope: UnitScope) -> _Set:
    """Units of groups that may go, the lowest first.

    What a group holds are its highest scores, however many go: it can be set apart beforehand.
    """
    arrays = [np.asarray(scores[name], dtype=np.float64) for name in names]
    free = [lowest(array[None], len(array) - least[name])[0] for name, array in zip(names, arrays, strict=True)]
    worth = np.concatenate([array[flags] for array, flags in zip(arrays, free, strict=True)])
    owners = np.repeat(np.arange(len(names)), [int(flags.sum()) for flags in free])
    total = sum(map(len, arrays))
    # The shares at which `_going` takes one more.
    moments = (np.arange(len(worth)) + (0.0 if scope == "layer" else 0.5)) / total
    return _Set(names, total, owners[np.argsort(worth, kind="stable")], moments)


def _affordable(sets: Sequence[_Set], costs: Mapping[str, int], budget: float) -> list[int]:
    """How many units of each set may go, in the order in which a rising share takes them, before a budget is spent."""
    if not sets:
        return []
    which = np.repeat(np.arange(len(sets)), [len(some.order) for some in sets])
    moments = np.concatenate([some.moments for some in sets])
    prices = np.concatenate([np.array([costs[name] for name in some.groups])[some.order] for some in sets])
    order = np.argsort(moments, kind="stable")
    spent = np.cumsum(prices[order], dtype=np.float64)
    enough = np.searchsorted(spent, budget * (1 + 1e-12), side="right")
    return [int(most) for most in np.bincount(which[order[:enough]], minlength=len(sets))]


def _check_scores(scores: Mapping[str, Floats], units: Mapping[str, int]) -> None:
    """Refuse scores that belong to no units, or cannot be ranked."""
    for name, count in units.items():
        if count < 1:
            raise ValueError(f"{name} has no units")
    for name, values in scores.items():
        if name not in units:
            raise ValueError(f"there are scores of {name}, which is no group")
        if np.shape(values) != (units[name],):
            raise ValueError(f"scores of {name} have shape {np.shape(values)}, not ({units[name]},)")
        if not np.isfinite(values).all():
            raise ValueError(f"scores of {name} are not finite")
