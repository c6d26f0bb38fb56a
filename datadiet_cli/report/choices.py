"""What `select-samples` chose by, and what it tried, in lines for the terminal; what dynamic pruning came to."""

from collections.abc import Mapping
from typing import Any

from datadiet_cli.report.bars import class_bars

_CONTROLS = {"random": "random samples", "epochs": "fewer epochs"}
SHOWN = 6
"""Candidates of a tournament that are shown."""


def chosen(metrics: Mapping[str, Any]) -> str:
    """How many stay, by what, and when that has paid for itself."""
    if "shard" in metrics:
        scores = metrics["scores"]
        many = f"{len(scores['seeds'])} model{'' if len(scores['seeds']) == 1 else 's'}"
        return f"scored {metrics['scored']:,} training samples by {many}, part {metrics['shard']}"
    by = " by ".join(filter(None, (metrics["method"], metrics["rule"])))
    cut = f" after a cut of the hardest {metrics['beta']:.1%}" if metrics["beta"] >= 0.0005 else ""
    said = f"{by}{cut} kept {metrics['kept']:,} of {metrics['chosen_from']:,} training samples"
    paid = metrics["break_even"]
    if paid is not None:
        many = f"{paid['trainings']:,} training{'' if paid['trainings'] == 1 else 's'}"
        said += f"; it pays for itself after {many}"
    return said


def trials(metrics: Mapping[str, Any]) -> list[str]:
    """The best of a tournament and random, the search for the fewest, and the groups if any is much changed."""
    return candidates(metrics) + changed_classes(metrics)


def candidates(metrics: Mapping[str, Any]) -> list[str]:
    """The best of a tournament and random, and the search for the fewest."""
    if "shard" in metrics:
        return []
    tried = metrics.get("tournament", ())
    lines = [_candidate(row) for row in tried[:SHOWN]]
    if len(tried) > SHOWN:
        lines.append(f"and {len(tried) - SHOWN} more candidates, in the report")
    searched = [f"{row['part']:<8} {row['share']:4.0%} kept: {row['words']}" for row in metrics.get("search", ())]
    return lines + searched


def changed_classes(metrics: Mapping[str, Any], width: int | None = None) -> list[str]:
    """Bars of the classes where their shares have changed by more than a tenth."""
    if "shard" in metrics:
        return []
    groups = {name: row for name, row in metrics["groups"].items() if row["before"]}
    before = sum(row["before"] for row in groups.values())
    after = sum(row["after"] for row in groups.values())
    if not after or all(
        abs(row["after"] / after - row["before"] / before) < 0.1 * row["before"] / before for row in groups.values()
    ):
        return []
    return class_bars({"groups": groups}, width)


def dynamic(metrics: Mapping[str, Any]) -> list[str]:
    """What a training with dynamic pruning reached, beside its controls."""
    told, recipe = metrics.get("dynamic"), metrics["recipe"]
    if not recipe.get("dynamic"):
        return []
    if told is None:
        share = metrics["samples_seen"] / (recipe["epochs"] * metrics["learned_from"])
        return [f"{recipe['dynamic']} took {share:.0%} of a full training"]
    lines = []
    for name, arm in told["arms"].items():
        score = f"accuracy {arm['accuracy']:.1%}" if "accuracy" in arm else _r2(arm["r2"])
        said = told["method"] if name == "dynamic" else _CONTROLS[name]
        line = f"{said:<14} {score} of {told['split']}, {arm['share_of_full_training']:.0%} of a full training"
        lines.append(line + _ahead(told["differences"].get(name), told["method"], "accuracy" in arm))
    return lines


def _r2(value: float | None) -> str:
    """R2 in words; of a single sample there is none."""
    return "no R2" if value is None else f"R2 {value:.3f}"


def _ahead(difference: Mapping[str, float] | None, method: str, points: bool) -> str:
    """How far dynamic pruning is ahead of a control."""
    if difference is None:
        return ""
    unit, name = (100, "points") if points else (1, "of R2")
    mean, low, high = (unit * difference[key] for key in ("mean", "lower", "upper"))
    return f"; {method} {mean:+.1f} {name} ({low:+.1f} to {high:+.1f})"


def _candidate(row: Mapping[str, Any]) -> str:
    score = f"{row['accuracy']:.1%}" if "accuracy" in row else f"R2 {row['r2']:.3f}"
    unit = (100, "points") if "accuracy" in row else (1, "of R2")
    ahead = "" if row["difference"] is None else f"{unit[0] * row['difference']:+.1f} {unit[1]} to random"
    if row["interval"] is not None:
        low, high = (unit[0] * end for end in row["interval"])
        ahead += f" ({low:+.1f} to {high:+.1f})"
    elif row["difference"] is not None:
        # Of fewer trainings than the others, so the score itself would not compare.
        score, ahead = "", f"{ahead}, out in round {row['rung']}"
    mark = "*" if row["picked"] else " "
    return f"{mark} {row['candidate']:<22} {score:>7} {ahead}".rstrip()
