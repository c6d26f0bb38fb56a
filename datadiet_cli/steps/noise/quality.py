"""Samples of poor quality: blurred or dark pictures, clipped or silent sounds, texts with little in them."""

from typing import Any

import numpy as np

from datadiet_cli.config.pairs import limit
from datadiet_cli.config.words import suggestion
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.histogram import CLOSEST, Side
from datadiet_cli.methods.quality import CHECKS, Bounds, Check, bounds_of, explain
from datadiet_cli.outcome import Action, Verdicts
from datadiet_cli.steps.noise.base import POOR, Bools, Findings, Floats, Ints, divided, gathered, nothing
from datadiet_cli.steps.noise.material import STEP, Material
from datadiet_cli.steps.noise.scored import Scored, close_calls, scored

UNITS = {
    "edge_width": "width of the sharpest edges in pixels",
    "bright_end": "brightness that 99 % of it do not exceed, as a share of white",
    "dark_end": "brightness that 99 % of it exceed, as a share of white",
    "contrast": "contrast, from 0 to 1",
    "spread": "standard deviation of the pixels in levels of 255",
    "colour": "distance of the colours by the brightness",
    "side": "mean side in pixels",
    "elongation": "longer side by the shorter",
    "clipped": "share of its samples that are cut off",
    "level": "loudest moment in dB of full scale",
    "seconds": "length in seconds",
    "offset": "distance of its mean from zero, as a share of full scale",
    "snr": "dB above its noise",
    "silence": "share of it that is silence",
    "characters": "characters that are no white space",
    "length": "length in characters",
    "symbols": "share of it that is symbols",
    "foreign": "share of its letters that are in another script than nearly all texts",
    "repeated_lines": "share of its lines that are repeated",
    "repeated_phrases": "share of it that is repeated phrases",
    "broken": "share of its characters that are broken",
}
"""What is measured, in words."""


def poor_samples(material: Material) -> Findings:
    """Find faults of pictures, sounds and texts, or of the texts in the cells of a table.

    Raises:
        ConfigError: there is no such check for this kind of data.
    """
    checks = _checks(material)
    measures = material.measures
    if measures is None or not checks:
        return nothing()
    left = np.flatnonzero(material.left & (measures.causes == None))  # noqa: E711 - elementwise
    values = {name: column[left] for name, column in measures.values.items()}
    # What is usual is learned from training samples.
    training = material.dataset.training[left]
    bounds = bounds_of(
        {name: column[training] for name, column in values.items()} if training.any() else values, checks
    )
    parts, pictures = [], []
    for check in checks:
        column, ends = values[check.measure], bounds[check.name]
        faulty = (column < ends.low) | (column > ends.high)
        found = np.flatnonzero(faulty)
        pictures.append(_scored(material, left, check, column, ends, faulty))
        if len(found):
            parts.append(_verdicts(material, left[found], check, column[found], ends))
    told = {name: [_number(end) for end in ends] for name, ends in bounds.items()}
    return gathered(parts, metrics={"quality_limits": told}, scored=pictures)


def _checks(material: Material) -> list[Check]:
    """The checks that are wanted, with the limits that the user gave."""
    settings, kind = material.settings, material.measured_kind
    known = CHECKS.get(kind, {})
    limits = dict(limit(pair) for pair in settings.limits or ())
    for name in (*(settings.checks or ()), *limits):
        if name not in known:
            there = suggestion(name, known) or f"; there are {', '.join(known) or 'none'}"
            raise ConfigError(f"{STEP}: no check {name!r} for {material.dataset.kind} data{there}")
    # A limit that somebody gave is meant as it stands.
    return [
        check._replace(limit=limits[name], rule="fixed") if name in limits and check.rule in _ABSOLUTE
        else check._replace(limit=limits.get(name, check.limit))
        for name, check in known.items()
        if settings.checks is None or name in settings.checks
    ]  # fmt: skip


_ABSOLUTE = ("fixed", "typical", "minority")


def _verdicts(material: Material, found: Ints, check: Check, values: Floats, ends: Bounds) -> tuple[Verdicts, Floats]:
    beyond: Floats = np.where(values < ends.low, ends.low, ends.high)
    evidence: list[Any] = [{"measure": check.measure} for _ in found]
    return divided(
        material.dataset,
        found,
        Action(material.settings.quality_action),
        check.name,
        np.full(len(found), POOR),
        score=values,
        threshold=beyond,
        detail=[explain(check, value, ends) for value in values.tolist()],
        evidence=evidence,
    )


def _scored(material: Material, left: Ints, check: Check, values: Floats, ends: Bounds, faulty: Bools) -> Scored:
    """What all samples measure; against the end of the usual range beyond which more are, where it has two."""
    above = int((values > ends.high).sum()) >= int((values < ends.low).sum()) if np.isfinite(ends.high) else False
    both: list[tuple[float, Side]] = [(ends.low, "below"), (ends.high, "above")]
    (end, side), (far, opposite) = both[::-1] if above else both
    dataset = material.dataset
    shown, _ = scored(dataset, check.name, UNITS[check.measure], left, values, end, side, faulty)
    others, _ = close_calls(dataset, check.name, left, values, far, opposite, ~faulty)
    calls = sorted([*shown.calls, *others], key=lambda call: abs(call[1]["score"] - call[1]["threshold"]))
    return Scored(shown.found, shown.histogram, calls[:CLOSEST])


def _number(end: float) -> float | None:
    return end if np.isfinite(end) else None
