"""What pruning a model came to, in lines for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

_STAGES = {
    "dense": "dense", "pruned": "pruned", "recalibrated": "batch norms again", "fine_tuned": "fine-tuned",
}  # fmt: skip
_TRIED = 12
_HOW = {"channels": "channels", "weights": "weights", "n:m": "n of m weights"}


def headline(metrics: Mapping[str, Any]) -> str:
    """What became smaller, in a line."""
    dense, pruned = (metrics["costs"][name] for name in ("dense", "pruned"))
    if metrics["structure"] == "channels":
        what = f"{dense['parameters']:,} -> {pruned['parameters']:,} parameters, MACs {_ratio(dense, pruned, 'macs')}"
    else:
        what = (
            f"{dense['nonzero']:,} -> {pruned['nonzero']:,} weights that are not 0, compressed "
            f"{_ratio(dense, pruned, 'compressed')}"
        )
    return f"{metrics['model']}, {_HOW[metrics['structure']]} by {metrics['criterion']}: {what}"


def details(metrics: Mapping[str, Any]) -> list[str]:
    """How it went: the target, and how good the model was at each stage."""
    lines = []
    if (told := _target(metrics["target"])) is not None:
        lines.append(told)
    main = "accuracy" if metrics["task"] == "classes" else "r2"
    found = [f"{_STAGES[name]} {_shown(one[main], main)}" for name, one in metrics["stages"].items()]
    lines.append(f"{'accuracy' if main == 'accuracy' else 'R2'}: {', '.join(found)}")
    return lines


def timing(latency: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Where and how it was timed, and how much faster the model is."""
    if not latency.get("after"):
        return []
    after, before = latency["after"], latency["before"]
    key = "wall" if after[0]["cpu"] is None else "cpu"
    faster = ", ".join(
        f"{one[key] / max(two[key], 1e-12):.2f}x as fast with {two['batch']}"
        for one, two in zip(before, after, strict=True)
    )
    one = after[0]
    threads = f"{one['threads']} thread{'' if one['threads'] == 1 else 's'}"
    return [f"{faster}; timed turn by turn by {one['runtime']}, {threads}, {one['processor']}"]


def _target(target: Mapping[str, Any]) -> str | None:
    if target["name"] != "max_accuracy_drop":
        return None
    tried = ", ".join(
        f"{one['share']:.0%} {'ok' if one['passed'] else 'no'} ({100 * one['loss_bound']:.1f})"
        for one in target["tried"][:_TRIED]
    )
    return f"a loss of no more than these points is proved on {target['samples']:,} validation samples: {tried}"


def _ratio(dense: Mapping[str, int], pruned: Mapping[str, int], name: str) -> str:
    return f"{pruned[name] / max(1, dense[name]):.2f}x"


def _shown(value: float | None, main: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if main == "accuracy" else f"{value:.3f}"
