"""The same planted sample under several settings: thresholds of `dedup`, and what `denoise` offers to move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datadiet_cli.calibrating.faults import Fault, Part
from datadiet_cli.calibrating.meant import HASHES
from datadiet_cli.calibrating.measuring import Point, hits, named
from datadiet_cli.calibrating.planting import Planted
from datadiet_cli.calibrating.running import Laboratory, replayable
from datadiet_cli.config.base import Settings
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.denoise import Denoise
from datadiet_cli.config.pairs import limit
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.quality import CHECKS
from datadiet_cli.outcome import Outcome
from datadiet_cli.steps.likeness import FINDERS

_DISTANCES: tuple[float, ...] = (0, 2, 4, 6, 8, 10, 12, 14, 16)
_ALIKE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
GRIDS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    **dict.fromkeys(sorted(HASHES), ("max_distance", _DISTANCES)),
    "simhash": ("max_distance", _DISTANCES),
    "minhash": ("similarity", (*_ALIKE, 0.99)),
    "fingerprint": ("similarity", _ALIKE),
    "sorted-neighbourhood": ("similarity", (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "embedding": ("similarity", (0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 0.995)),
    "near": ("tolerance", (1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)),
}
"""Method -> the setting that its threshold comes from, and the values that are tried."""
CORRELATIONS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
FALSE_FLAGS = (0.001, 0.01, 0.05)
LABELS = ("confident-learning", "knn")
STRICTNESS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Factors that limits of quality are made stricter by."""
REFUSALS = (ConfigError, InputError)
"""What a step says where a search is so wide that too many pairs would be within reach."""


@dataclass(frozen=True)
class Sweep:
    """What was found at several values of a setting.

    Attributes:
        setting: its name; ``strictness`` for all limits of quality together; empty where nothing can be moved.
        points: ascending, or in the order of the methods; the configured one is among them, the default one not where
            it is refused for this data, or where several settings differ from their defaults.
        reference: what is found with the defaults of all settings that are moved, where that is no point of the first
            sweep.
    """

    setting: str
    points: Sequence[Point]
    reference: Point | None = None


@dataclass(frozen=True, eq=False)
class Plots:
    """The sample as it is, and with faults.

    Attributes:
        part: what the faults are planted for.
        plain: as it is.
        planted: with faults.
        faults: by name.
    """

    part: Part
    plain: Planted
    planted: Planted
    faults: Mapping[str, Fault]

    def point(self, value: Any, plain: Outcome, planted: Outcome) -> Point:
        """What these two outcomes say of a value."""
        found = hits(self.part, planted.verdicts, self.planted.plants, self.faults)
        rows, witnesses = named(self.part, plain.verdicts)
        return Point(value, found, rows, witnesses)


Pair = tuple[Outcome, Outcome]


def method_of(settings: Dedup, kind: str) -> str:
    """The method of `dedup`, also where it is to be found out."""
    return settings.method if settings.method != "auto" else next(iter(FINDERS[kind]))


def sweep_dedup(lab: Laboratory, plots: Plots, settings: Dedup, kind: str, *, move: bool = True) -> list[Sweep]:
    """The threshold of the method, and for hashes of pictures the least correlation at the configured distance.

    A single run at the loosest value tells what was compared, which the others are decided on; where it cannot tell
    all, each value is run.

    Args:
        lab: runs the step.
        plots: the sample.
        settings: of the step.
        kind: of the data.
        move: whether to try other values than the configured one.

    Raises:
        DatadietError: as the step itself.
    """
    own = _both(lab, plots, "dedup", settings)
    method = method_of(settings, kind)
    setting, grid = GRIDS.get(method, ("", ()))
    configured = _value(settings, setting, own[0])
    if configured is None or not move:
        return [Sweep("", [replace(plots.point(configured, *own), configured=True, default=True)])]
    default = _default(lab, plots, settings, setting)
    first = _sweep(lab, plots, settings, own, setting, grid, configured, default)
    if method not in HASHES or not settings.verify:
        return [first]
    usual = Dedup.model_fields["min_correlation"].default
    floor = settings.min_correlation
    if floor != usual:
        # The default of the one setting is judged at the default of the other.
        both = settings.model_copy(update={setting: default, "min_correlation": usual})
        first = replace(first, reference=plots.point(None, *_both(lab, plots, "dedup", both)))
    return [first, _sweep(lab, plots, settings, own, "min_correlation", CORRELATIONS, floor, usual)]


def _sweep(
    lab: Laboratory,
    plots: Plots,
    settings: Dedup,
    own: Pair,
    setting: str,
    grid: Sequence[float],
    configured: float,
    default: float | None,
) -> Sweep:
    wanted = {configured} if default is None else {configured, default}
    values = sorted({*grid, *wanted})
    loosest = max if setting in ("max_distance", "tolerance") else min
    reach, pasts = _widest(lab, plots, settings, own, setting, [loosest(values), loosest(wanted), configured])
    values = [value for value in values if loosest(value, reach) == reach]
    plain, planted = (replayable(past) for past in pasts)
    if plain is None or planted is None:
        # Too many pairs to compare them all: each value takes a run, so that fewer are tried.
        values = sorted({*values[::-2], *wanted} & set(values))

    def point(value: float) -> Point:
        at = settings.model_copy(update={setting: value})
        outcomes = own
        if value != configured:
            outcomes = (
                lab.run("plain", "dedup", at, plots.plain, plain),
                lab.run(plots.part, "dedup", at, plots.planted, planted),
            )
        return _marked(plots.point(value, *outcomes), configured, default)

    return Sweep(setting, [point(value) for value in values])


def _widest(
    lab: Laboratory, plots: Plots, settings: Dedup, own: Pair, setting: str, wanted: Sequence[float]
) -> tuple[float, Pair]:
    """The first of some values that is not refused, the configured one last, and what it finds."""
    *wider, configured = dict.fromkeys(wanted)
    for value in wider:
        try:
            return value, _both(lab, plots, "dedup", settings.model_copy(update={setting: value}))
        except REFUSALS:
            # The configured value was not, so that it is for too many pairs within reach.
            continue
    return configured, own


def _default(lab: Laboratory, plots: Plots, settings: Dedup, setting: str) -> float | None:
    """The value of a threshold where none is given; that of a similarity is the method's own, and a run tells it.

    None if that run is refused, though the configured one is not.
    """
    bare = settings.model_copy(update={setting: Dedup.model_fields[setting].default})
    if setting != "similarity":
        return _value(bare, setting, None)
    try:
        return _value(bare, setting, lab.run("plain", "dedup", bare, plots.plain))
    except REFUSALS:
        return None


def _marked(point: Point, configured: Any, default: Any) -> Point:
    return replace(point, configured=point.value == configured, default=point.value == default)


def _value(settings: Dedup, setting: str, outcome: Outcome | None) -> float | None:
    """The value of a threshold, also where it is the method's own; None if it cannot be told."""
    if not setting:
        return None
    given = getattr(settings, setting)
    if given is not None:
        return float(given) if setting != "max_distance" else int(given)
    if setting == "max_distance":
        return settings.distance
    past = outcome.comparisons if outcome is not None else None
    return None if past is None else round(1 - past.threshold if past.similar else past.threshold, 9)


def _both(lab: Laboratory, plots: Plots, step: str, settings: Settings) -> Pair:
    plain = lab.run("plain", step, settings, plots.plain)
    return plain, lab.run(plots.part, step, settings, plots.planted)


def alone(settings: Denoise, part: Part) -> Denoise:
    """The settings with the family of a part alone, after the search for what is broken, and without brakes."""
    family = {"quality": "quality", "outliers": "outliers", "labels": "labels"}.get(part, "")
    off = {name: "none" for name in ("quality", "outliers", "labels") if name != family}
    brakes = {"max_dropped": None, "max_dropped_per_class": None, "min_per_class": 1, "on_limit": "fail"}
    return settings.model_copy(update={**off, **brakes})


def sweep_denoise(lab: Laboratory, plots: Plots, settings: Denoise, kind: str) -> list[Sweep]:
    """What the family of a part offers to move, each value run.

    Raises:
        DatadietError: as the step itself.
    """
    base = alone(settings, plots.part)
    setting, configured, default, variants = _variants(base, plots, kind)
    points = [
        _marked(plots.point(value, *_both(lab, plots, "denoise", at)), configured, default)
        for value, at in variants.items()
    ]
    if plots.part != "quality" or base.limits is None:
        return [Sweep(setting, points)]
    # Limits of one's own are no default, however strict.
    usual = plots.point(None, *_both(lab, plots, "denoise", base.model_copy(update={"limits": None})))
    return [Sweep(setting, [replace(point, default=False) for point in points], usual)]


def _variants(base: Denoise, plots: Plots, kind: str) -> tuple[str, Any, Any, dict[Any, Denoise]]:
    """The setting, its configured and its default value, and the settings for each value."""
    if plots.part == "outliers":
        values = sorted({*FALSE_FLAGS, base.false_flags})
        at = {value: base.model_copy(update={"false_flags": value}) for value in values}
        return "false_flags", base.false_flags, Denoise.model_fields["false_flags"].default, at
    if plots.part == "labels":
        now = LABELS[0] if base.labels == "auto" else base.labels
        return (
            "labels",
            now,
            LABELS[0],
            {name: base.model_copy(update={"labels": name}) for name in dict.fromkeys((*LABELS, now))},
        )
    if plots.part == "quality" and (limits := movable_limits(base, plots.faults, kind)):
        return "strictness", 1.0, 1.0, {factor: stricter(base, limits, factor) for factor in STRICTNESS}
    return "", None, None, {None: base}


def movable_limits(settings: Denoise, faults: Mapping[str, Fault], kind: str) -> dict[str, tuple[float, bool]]:
    """Limits of quality that faults are told by and that a factor can move: value, and whether more is worse."""
    given = dict(limit(pair) for pair in settings.limits or ())
    reasons = {reason for fault in faults.values() for reason in fault.reasons}
    return {
        name: (given.get(name, check.limit), check.above)
        for name, check in CHECKS.get("text" if kind == "row" else kind, {}).items()
        if name in reasons
        and check.rule in ("fixed", "typical")
        and given.get(name, check.limit) > 0
        and (settings.checks is None or name in settings.checks)
    }


def stricter(settings: Denoise, limits: Mapping[str, tuple[float, bool]], factor: float) -> Denoise:
    """The settings with these limits stricter by a factor; the very same for 1."""
    if factor == 1 or not limits:
        return settings
    given = dict(limit(pair) for pair in settings.limits or ())
    for name, (value, above) in limits.items():
        moved = value / factor if above else value * factor
        # What is a share cannot be more than all.
        given[name] = float(f"{min(moved, 1.0) if value <= 1 else moved:.4g}")
    return settings.model_copy(update={"limits": [f"{name}={value!r}" for name, value in given.items()]})
