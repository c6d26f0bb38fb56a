"""The most that can go without losing more than may be lost."""

from typing import Any

from datadiet_cli.config.base import percentage
from datadiet_cli.errors import ConfigError
from datadiet_cli.outcome import Brake
from datadiet_cli.steps.pruning.case import STEP, Case
from datadiet_cli.steps.pruning.cutting import Ranking
from datadiet_cli.steps.pruning.healing import Healer
from datadiet_cli.steps.pruning.judging import judged, said_of
from datadiet_cli.steps.pruning.schedules import Course, one_shot


def searched(case: Case, healer: Healer, ranking: Ranking) -> tuple[Course, dict[str, Any], list[Brake]]:
    """Try the sparsities of the grid upwards, each to its end, and take the last whose loss is proved small enough.

    It ends with the first that is not: so no proof needs a correction for the others (a fixed sequence of tests;
    Maurer, Hothorn and Lehmacher, 1995), as that of the best among many would. They are judged by the validation
    samples, so that the test samples, which chose nothing, have the last word.

    Returns:
        How the chosen one was pruned (where none is good enough, the first), what to tell of the target,
        and the gate.

    Raises:
        ConfigError: there are no validation samples.
    """
    asked = case.settings.max_accuracy_drop
    assert asked is not None  # noqa: S101 - the target of this search
    rows = case.division.validation
    if not len(rows):
        raise ConfigError(f"{STEP}: --max-accuracy-drop is chosen by validation samples, and there are none")
    dense = said_of(case, case.model, rows)
    tried: list[tuple[Course, dict[str, Any]]] = []
    for share in sorted(set(case.settings.grid)):
        course = one_shot(case, healer, ranking, share)
        found = judged(case, dense, said_of(case, course.final.model, rows), rows)
        told = {
            "share": share,
            "difference": found.difference,
            "loss_bound": found.loss_bound,
            "resolution": found.resolution,
            "passed": found.noninferior,
        }
        tried.append((course, told))
        if not found.noninferior:
            break
    good = [one for one in tried if one[1]["passed"]]
    course, told = good[-1] if good else tried[0]
    target = {
        "name": "max_accuracy_drop",
        "asked": asked,
        "samples": len(rows),
        "share": told["share"],
        "resolution": told["resolution"],
        "reached": told["loss_bound"],
        "tried": [one for _, one in tried],
    }
    limit = f"<= {percentage(asked)}"
    return course, target, [Brake("max_accuracy_drop", limit, told["loss_bound"], passed=bool(good))]


def unresolved(target: dict[str, Any]) -> list[str]:
    """What to say if the validation samples are too few for what was asked."""
    if target["name"] != "max_accuracy_drop" or target["resolution"] <= target["asked"]:
        return []
    return [
        f"{target['samples']:,} validation samples can prove a loss of {100 * target['resolution']:.1f} points at "
        f"best, and {100 * target['asked']:g} were asked for; more samples, or a larger --max-accuracy-drop, allow a "
        "proof"
    ]
