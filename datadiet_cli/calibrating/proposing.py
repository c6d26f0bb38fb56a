"""What to change: the value that finds most without naming more samples that nothing was done to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datadiet_cli.calibrating.measuring import Point, most_new
from datadiet_cli.calibrating.sweeping import Sweep

LEAST_GAIN = 2
"""Planted faults more that a change must find."""
MISSED = 0.5
"""A kind of which a smaller share is found is missed."""


@dataclass(frozen=True)
class Choice:
    """What is proposed for one setting.

    Attributes:
        setting: its name; empty to keep all as it is.
        point: the proposed value, or what is kept.
        before: the configured point.
        words: why, in a sentence.
    """

    setting: str
    point: Point
    before: Point
    words: str


def choose(
    sweeps: Sequence[Sweep], meant: Sequence[str], counts: Mapping[str, int], samples: int, max_false: float
) -> Choice:
    """The value with the highest mean recall of the kinds that the configuration is meant to find.

    It must not name more samples that nothing was done to than the default does: none, or so few that with 95 %
    confidence they stand for `max_false` of the data at most. It must find `LEAST_GAIN` plants more than the configured
    value, unless that names too many itself. Of equals the configured one wins, then the one that names fewest.

    Args:
        sweeps: one or more, each with a configured and a default point.
        meant: kinds of faults.
        counts: planted, by kind.
        samples: how many there are as they are.
        max_false: a share.
    """
    before = next(point for point in sweeps[0].points if point.configured)
    best, setting = before, ""
    for sweep in sweeps:
        for point in sweep.points:
            if _fits(sweep, point, samples, max_false) and _key(point, meant, counts) > _key(best, meant, counts):
                best, setting = point, sweep.setting
    if not any(_fits(sweep, before, samples, max_false) for sweep in sweeps):
        return _tighter(sweeps, before, meant, counts, samples, max_false)
    gain = sum(best.hits[name] - before.hits[name] for name in meant if name in best.hits)
    if best is before or gain < LEAST_GAIN:
        return Choice("", before, before, "keep what you have: nothing tried finds more without naming more")
    more = len(set(best.named) - set(before.named))
    return Choice(setting, best, before, f"finds {gain:,} planted faults more, and names {_samples(more)} more")


def fits(point: Point, reference: Point, samples: int, max_false: float) -> bool:
    """Whether a point names no more samples that nothing was done to than another, or few enough."""
    new = len(set(point.named) - set(reference.named))
    return new == 0 or most_new(new, samples) <= max_false


def _fits(sweep: Sweep, point: Point, samples: int, max_false: float) -> bool:
    reference = next((one for one in sweep.points if one.default), None)
    return reference is not None and fits(point, reference, samples, max_false)


def _key(point: Point, meant: Sequence[str], counts: Mapping[str, int]) -> tuple[float, bool, int]:
    return round(point.recall(meant, counts), 9), point.configured, -len(point.named)


def _tighter(
    sweeps: Sequence[Sweep],
    before: Point,
    meant: Sequence[str],
    counts: Mapping[str, int],
    samples: int,
    max_false: float,
) -> Choice:
    """The configured value names too many: the best of those that do not."""
    possible = [(p, s.setting) for s in sweeps for p in s.points if _fits(s, p, samples, max_false)]
    if not possible:
        return Choice("", before, before, "keep what you have: nothing tried names fewer")
    best, setting = max(possible, key=lambda pair: _key(pair[0], meant, counts))
    fewer = len(set(before.named) - set(best.named))
    lost = sum(max(before.hits[name] - best.hits[name], 0) for name in meant if name in best.hits)
    words = f"names {_samples(fewer)} fewer, which the default leaves alone, and finds {lost:,} planted faults less"
    return Choice(setting, best, before, words)


def missed(sweeps: Sequence[Sweep], counts: Mapping[str, int]) -> list[str]:
    """Kinds of which no value finds half."""
    points = [point for sweep in sweeps for point in sweep.points]
    return [name for name, count in counts.items() if max(p.hits[name] for p in points) < MISSED * count]


def _samples(count: int) -> str:
    return f"{count:,} untouched sample{'' if count == 1 else 's'}"
