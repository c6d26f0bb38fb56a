"""What a step did that is no verdict on a sample, in lines for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.bars import class_bars
from datadiet_cli.report.comparison import table

NAMED = 12
"""Columns that are named."""
ASIDE = ("label", "id", "set-aside")
"""Why a column stays that is no feature."""
PROTOCOLS = {
    "epochs": "",
    "iterations": "as many steps as before takes",
    "models": "",
}


def headline(step: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> str | None:
    """What a step did, in a line; None for a step that only speaks of samples.

    Args:
        step: of the report.
        columns: the verdicts on columns that it made.
    """
    metrics = step["metrics"]
    if step["name"] == "train":
        return _trained(metrics)
    if step["name"] == "evaluate":
        return str(next(iter(metrics["protocols"].values()))["words"])
    if columns:
        return _columns(columns, step["settings"].get("method"))
    return None


def details(step: Mapping[str, Any], timings: Mapping[str, Any]) -> list[str]:
    """Further lines.

    Args:
        step: of the report.
        timings: of the step, from the report's block `run`.
    """
    if step["name"] == "balance":
        return class_bars(step["metrics"])
    if step["name"] != "evaluate":
        return []
    lines: list[str] = []
    for protocol, block in step["metrics"]["protocols"].items():
        if PROTOCOLS.get(protocol):
            lines.append(f"{PROTOCOLS[protocol]}:")
        lines += table(block, timings.get("training", {}).get(protocol), timings.get("latency"))
    return lines


def _trained(metrics: Mapping[str, Any]) -> str:
    model = f"{metrics['model']}, {metrics['parameters']:,} weights, {metrics['epochs']} epochs"
    found = [f"{name} {_figure(metrics[name])}" for name in ("validation", "test") if name in metrics]
    return "; ".join([f"{model} on {metrics['learned_from']:,} samples", *found])


def _figure(found: Mapping[str, Any]) -> str:
    if "accuracy" in found:
        return f"accuracy {found['accuracy']:.1%} of {found['samples']:,}"
    r2 = found["r2"]
    return f"R2 {'-' if r2 is None else format(r2, '.3f')} of {found['samples']:,}"


def _columns(columns: Sequence[Mapping[str, Any]], method: str | None) -> str:
    columns = [column for column in columns if column["reason"] not in ASIDE]
    kept = sorted((c for c in columns if c["action"] == "keep"), key=lambda c: c["rank"] or 0)
    made = [c for c in columns if c["action"] == "make"]
    total = sum(c["action"] != "make" for c in columns)
    by = f" by {method}" if method else ""
    if made:
        return f"{len(made):,} columns out of {total:,}{by}: {_named(made)}"
    return f"kept {len(kept):,} of {total:,} columns{by}: {_named(kept)}"


def _named(columns: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(column["column"] for column in columns[:NAMED])
    return f"{names} and {len(columns) - NAMED:,} more" if len(columns) > NAMED else names
