"""Count what was found: planted faults by kind, and samples that nothing was done to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.calibrating.faults import REASONS, Fault, Part
from datadiet_cli.calibrating.planting import Plant
from datadiet_cli.methods.intervals import wilson
from datadiet_cli.outcome import Action, Verdicts

FINDINGS = (Action.DROP, Action.FLAG, Action.RELABEL, Action.WEIGH)
"""What is done to samples that something is wrong with; a missing cell that is filled is none on its own."""
SHOWN = 5


@dataclass(frozen=True)
class Point:
    """What a setting of one value finds.

    Attributes:
        value: of the setting.
        hits: planted faults that were found, by kind.
        named: rows of samples as they are that were named, ascending.
        witnesses: of each of them the sample that it was compared with, -1 for none.
        configured: whether the value is the configured one.
        default: whether it is the default.
    """

    value: Any
    hits: Mapping[str, int]
    named: tuple[int, ...]
    witnesses: tuple[int, ...] = ()
    configured: bool = False
    default: bool = False

    def recall(self, names: Sequence[str], counts: Mapping[str, int]) -> float:
        """The mean share found of some kinds; 0 for none of them."""
        shares = [self.hits[name] / counts[name] for name in names if counts.get(name)]
        return sum(shares) / len(shares) if shares else 0.0


def hits(part: Part, verdicts: Verdicts, plants: Sequence[Plant], faults: Mapping[str, Fault]) -> dict[str, int]:
    """How many plants of each kind were found.

    A copy is found if it and its original are named as copies of each other, or both of the same third sample.
    Whatever else was planted is found if a reason that rightly names it is given.
    """
    found = dict.fromkeys(dict.fromkeys(plant.fault for plant in plants), 0)
    groups: dict[int, set[int]] = {}
    reasons: dict[int, set[str]] = {}
    for row, reason, witness in zip(
        verdicts.sample.tolist(), verdicts.reason.tolist(), verdicts.witness.tolist(), strict=True
    ):
        reasons.setdefault(row, set()).add(reason)
        if reason in REASONS["copies"] and witness >= 0:
            groups.setdefault(row, {row}).add(witness)
    for plant in plants:
        right = faults[plant.fault].reasons
        if part == "copies":
            both = groups.get(plant.row, {plant.row}) & groups.get(plant.original, {plant.original})
            found[plant.fault] += bool(both)
        else:
            found[plant.fault] += bool(reasons.get(plant.row, set()) & right)
    return found


def named(part: Part, verdicts: Verdicts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows that findings of a part name, ascending, and the first witness of each."""
    reasons = REASONS[part]
    said: dict[int, int] = {}
    for row, action, reason, witness in zip(
        verdicts.sample.tolist(),
        verdicts.action.tolist(),
        verdicts.reason.tolist(),
        verdicts.witness.tolist(),
        strict=True,
    ):
        if action in FINDINGS and reason in reasons:
            said.setdefault(row, witness)
    rows = sorted(said)
    return tuple(rows), tuple(said[row] for row in rows)


def share(count: int, of: int) -> dict[str, Any]:
    """A share with its Wilson interval, as JSON values."""
    interval = wilson(count, of)
    return {
        "found": count,
        "of": of,
        "share": round(interval.mean, 4),
        "lower": round(interval.lower, 4),
        "upper": round(interval.upper, 4),
    }


def told(point: Point, counts: Mapping[str, int], ids: Sequence[str]) -> dict[str, Any]:
    """A point as JSON values.

    Args:
        point: what was found.
        counts: planted faults by kind.
        ids: of the samples, by row.
    """
    pairs = sorted(
        (ids[row], ids[witness] if 0 <= witness < len(ids) else None)
        for row, witness in zip(point.named, point.witnesses, strict=True)
    )
    false = share(len(point.named), len(ids))
    false["named"] = false.pop("found")
    return {
        "value": point.value,
        "configured": point.configured,
        "default": point.default,
        "recall": {name: share(point.hits[name], count) for name, count in counts.items()},
        "false": {**false, "first": [{"id": name, "witness": other} for name, other in pairs[:SHOWN]]},
    }


def most_new(new: int, of: int) -> float:
    """The largest share that so many more of so many samples may stand for: the upper end of Wilson's interval."""
    return float(np.round(wilson(new, of).upper, 6))
