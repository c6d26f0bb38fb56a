"""What was found out about one part of the faults, and how it is told in a file of settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datadiet_cli.calibrating.alternatives import Alternative
from datadiet_cli.calibrating.faults import Part
from datadiet_cli.calibrating.proposing import Choice
from datadiet_cli.calibrating.sweeping import Plots, Sweep
from datadiet_cli.config.pipeline import Step


@dataclass(frozen=True, eq=False)
class Section:
    """What was found out about one part.

    Attributes:
        part: what the faults are planted for.
        plots: the sample, as it is and with faults.
        counts: planted faults, by kind.
        meant: kinds that the settings are meant to find.
        sweeps: what was found at which value.
        choice: what is proposed.
        missed: kinds of which no value finds half.
        others: other ways of looking that find some of these.
    """

    part: Part
    plots: Plots
    counts: Mapping[str, int]
    meant: Sequence[str]
    sweeps: Sequence[Sweep]
    choice: Choice
    missed: Sequence[str]
    others: Sequence[Alternative] = field(default_factory=tuple)


def given(step: Step, moved: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a step as they would be written, with those that are moved."""
    told = step.settings.model_dump(mode="json")
    return {**{name: told[name] for name in step.settings.model_fields_set}, **moved}


def comment(section: Section) -> list[str]:
    """What the settings of a part rest on."""
    choice, counts = section.choice, section.counts
    planted = sum(counts[name] for name in section.meant)
    lines = [f"{section.part}: {choice.words}"]
    if planted:
        now, then = choice.point.recall(section.meant, counts), choice.before.recall(section.meant, counts)
        change = f", {then:.0%} before" if choice.setting else ""
        lines.append(f"  mean recall {now:.0%} of {planted:,} planted{change}")
    for other in section.others:
        to_set = ", ".join(f"{name}: {value}" for name, value in other.settings.items())
        lines.append(f"  {to_set} would find {', '.join(other.finds)}; {other.more:,} more untouched samples named")
    return lines
