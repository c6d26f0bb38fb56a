"""Other ways of looking, tried where kinds of faults are missed at every threshold of the configured one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datadiet_cli.calibrating.measuring import Point
from datadiet_cli.calibrating.proposing import fits
from datadiet_cli.calibrating.running import Laboratory
from datadiet_cli.calibrating.sweeping import Plots, Sweep, method_of, sweep_dedup
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.errors import ConfigError

_OTHERS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "image": ({"method": "phash", "level": "fast"}, {"method": "phash", "level": "thorough"}),
    "text": ({"method": "minhash"},),
    "audio": ({"method": "fingerprint"},),
    "row": ({"method": "near"}, {"method": "minhash"}, {"method": "sorted-neighbourhood"}),
}
"""What is tried, by kind of data; a value that is configured already is not tried again."""

_TELLING = 0.25
"""Another way is worth telling for a kind of which it finds this share."""
_PRICE = 2.0
"""What a share of more untouched samples named costs, in shares of what is missed and found instead."""


@dataclass(frozen=True)
class Alternative:
    """Another way of looking, at the value of its threshold that finds most of what is missed.

    Attributes:
        settings: what is to be set.
        point: what it finds.
        finds: kinds that are missed otherwise, and of which it finds a quarter or more.
        fits: whether it names no more samples that nothing was done to than the configured way, or few enough.
        more: how many more it names.
    """

    settings: Mapping[str, Any]
    point: Point
    finds: Sequence[str]
    fits: bool
    more: int


def try_others(
    lab: Laboratory,
    plots: Plots,
    settings: Dedup,
    kind: str,
    gone: Sequence[str],
    counts: Mapping[str, int],
    before: Point,
    max_false: float,
) -> list[Alternative]:
    """Try other ways of `dedup`, and keep those that find what is missed.

    Args:
        lab: runs them.
        plots: the sample.
        settings: as configured.
        kind: of the data.
        gone: kinds of faults that are missed.
        counts: planted, by kind.
        before: the configured point.
        max_false: as `proposing.choose` has it.
    """
    found = []
    for change in _OTHERS.get(kind, ()):
        now = {"method": method_of(settings, kind), "level": settings.level}
        if not gone or all(now.get(name) == value for name, value in change.items()):
            continue
        # Each method has thresholds of its own.
        at = settings.model_copy(update={"max_distance": None, "similarity": None, **change})
        try:
            # Looking harder at pictures takes longest, and moves the same thresholds.
            sweeps = sweep_dedup(lab, plots, at, kind, move=kind != "image")
        except ConfigError:
            # It does not suit this data, as texts of a table without texts.
            continue
        tried = _best(change, sweeps, gone, counts, before, len(plots.plain.dataset), max_false)
        if tried.finds:
            found.append(tried)
    found.sort(key=lambda one: (-one.point.recall(gone, counts), one.more))
    # What finds less of it, and names no fewer, is not worth a word.
    return [
        one
        for place, one in enumerate(found)
        if not any(set(one.finds) <= set(other.finds) and one.more >= other.more for other in found[:place])
    ]


def _best(
    change: Mapping[str, Any],
    sweeps: Sequence[Sweep],
    gone: Sequence[str],
    counts: Mapping[str, int],
    before: Point,
    samples: int,
    max_false: float,
) -> Alternative:
    tried = [(sweep.setting, point) for sweep in sweeps for point in sweep.points]

    def worth(pair: tuple[str, Point]) -> tuple[float, float, int, bool]:
        point = pair[1]
        more = len(set(point.named) - set(before.named)) / samples
        worth = round(point.recall(gone, counts) - _PRICE * more, 9)
        return worth, point.recall(list(counts), counts), -len(point.named), point.default

    setting, point = max(tried, key=worth)
    usual = not setting or point.default
    more = len(set(point.named) - set(before.named))
    found = [name for name in gone if point.hits[name] >= _TELLING * counts[name]]
    return Alternative(
        dict(change) if usual else {**change, setting: point.value},
        point,
        found if worth((setting, point))[0] > 0 else [],
        fits(point, before, samples, max_false),
        more,
    )
