"""What to change: the value that finds most without naming more samples that nothing was done to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datadiet_cli.calibrating.measuring import Point, most_new
from datadiet_cli.calibrating.sweeping import Sweep
from datadiet_cli.report.words import plural

_SAMPLE = "untouched sample"
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

    It must not name more samples that nothing was done to than the defaults do: none, or so few that with 95 %
    confidence they stand for `max_false` of the data at most. It must find `LEAST_GAIN` plants more than the configured
    value, unless that names too many itself. Of equals the configured one wins, then the default, then the nearest to
    it. Where no default can be run, the configured value stands in for it.

    Args:
        sweeps: one or more, each with a configured point, the same in all.
        meant: kinds of faults.
        counts: planted, by kind.
        samples: how many there are as they are.
        max_false: a share.
    """
    before = next(point for point in sweeps[0].points if point.configured)
    reference = _reference(sweeps)
    fitting = [
        (_key(sweep, place, meant, counts), sweep.setting, point)
        for sweep in sweeps
        for place, point in enumerate(sweep.points)
        if fits(point, reference or before, samples, max_false)
    ]
    if not fitting:
        told = plural(len(set(before.named) - set((reference or before).named)), _SAMPLE)
        words = f"names {told} that the defaults leave alone, and no value tried mends that alone: try the defaults"
        return Choice("", before, before, words)
    _, setting, best = max(fitting, key=lambda one: one[0])
    if reference is not None and not fits(before, reference, samples, max_false):
        return Choice(setting, best, before, _taken_back(best, before, reference, meant))
    gain = sum(best.hits[name] - before.hits[name] for name in meant if name in best.hits)
    alone = "" if reference is not None else "; the default cannot be run on this data, so that it is not compared with"
    if best.configured or gain < LEAST_GAIN:
        return Choice("", before, before, f"keep what you have: nothing tried finds more without naming more{alone}")
    more = len(set(best.named) - set(before.named))
    return Choice(
        setting, best, before, f"finds {gain:,} planted faults more, and names {plural(more, _SAMPLE)} more{alone}"
    )


def fits(point: Point, reference: Point, samples: int, max_false: float) -> bool:
    """Whether a point names no more samples that nothing was done to than another, or few enough."""
    new = len(set(point.named) - set(reference.named))
    return new == 0 or most_new(new, samples) <= max_false


def _reference(sweeps: Sequence[Sweep]) -> Point | None:
    """What the defaults find; None if they could not be run."""
    if sweeps[0].reference is not None:
        return sweeps[0].reference
    return next((point for point in sweeps[0].points if point.default), None)


def _key(
    sweep: Sweep, place: int, meant: Sequence[str], counts: Mapping[str, int]
) -> tuple[float, bool, bool, int, int]:
    """What is better is greater."""
    point = sweep.points[place]
    centre = next((i for i, one in enumerate(sweep.points) if one.default), None)
    if centre is None:
        centre = next(i for i, one in enumerate(sweep.points) if one.configured)
    return (
        round(point.recall(meant, counts), 9),
        point.configured,
        point.default,
        -abs(place - centre),
        -len(point.named),
    )


def _taken_back(best: Point, before: Point, reference: Point, meant: Sequence[str]) -> str:
    """Why the configured value, which names too many, gives way to the best of those that do not."""
    fewer = set(before.named) - set(best.named)
    alone = fewer - set(reference.named)
    of_which = "which the default leaves alone"
    if alone != fewer:
        of_which = f"{len(alone):,} of which the default leaves alone"
    lost = sum(max(before.hits[name] - best.hits[name], 0) for name in meant if name in best.hits)
    less = f"{lost:,} planted fault{'' if lost == 1 else 's'}" if lost else "no planted fault"
    return f"names {plural(len(fewer), _SAMPLE)} fewer, {of_which}, and finds {less} less"


def missed(sweeps: Sequence[Sweep], counts: Mapping[str, int]) -> list[str]:
    """Kinds of which no value finds half."""
    points = [point for sweep in sweeps for point in sweep.points]
    return [name for name, count in counts.items() if max(p.hits[name] for p in points) < MISSED * count]
