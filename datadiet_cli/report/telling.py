"""What a step did that is no verdict on a sample, in lines for the terminal."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from datadiet_cli.report import pruning
from datadiet_cli.report.bars import class_bars
from datadiet_cli.report.choices import candidates, changed_classes, chosen, dynamic, trials
from datadiet_cli.report.comparison import against_controls, aligned, rows, table
from datadiet_cli.report.screen import Kind

NAMED = 12
"""Columns that are named."""
PROTOCOLS = {
    "epochs": "",
    "iterations": "as many steps as before takes: ",
    "models": "",
    "pruning": "",
}
WIDTH = 92
"""Columns of a line that is broken; it stands further to the right."""


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
        return _judged_by(metrics)
    if step["name"] == "select-samples":
        return chosen(metrics)
    if step["name"] == "prune-model":
        return pruning.headline(metrics)
    if step["name"] == "apply":
        return _applied(metrics)
    if columns:
        return _columns(columns, step)
    return None


def details(step: Mapping[str, Any], timings: Mapping[str, Any]) -> list[str]:
    """Further lines.

    Args:
        step: of the report.
        timings: of the step, from the report's block `run`.
    """
    return [line for _, lines in blocks(step, timings) for line in lines]


def blocks(
    step: Mapping[str, Any], timings: Mapping[str, Any], width: int | None = None
) -> list[tuple[Kind, list[str]]]:
    """Further lines, with those that belong together in a block.

    Args:
        step: of the report.
        timings: of the step, from the report's block `run`.
        width: columns that bars and tables may fill; words are then left to be folded. None for the usual widths.

    Returns:
        what each block is, and its lines.
    """
    found: list[tuple[Kind, list[str]]] = []
    if step["name"] == "balance":
        found.append(("bars", class_bars(step["metrics"], width)))
    elif step["name"] == "select-samples":
        found += [("candidates", candidates(step["metrics"])), ("bars", changed_classes(step["metrics"], width))]
    else:
        found.append(("words", remarks(step)))
    for protocol, block in step["metrics"].get("protocols", {}).items():
        said = f"{PROTOCOLS.get(protocol, '')}{verdict_words(block)}"
        trained, asked = (timings.get(name, {}).get(protocol) for name in ("training", "inference"))
        measured = (block, trained, asked, timings.get("latency"))
        if width is None:
            found += [("words", _wrapped(said)), ("table", table(*measured))]
        else:
            found += [("words", [said]), ("table", aligned(rows(*measured), width)), ("words", against_controls(block))]
    return [*found, ("words", timed(step, timings))]


def _wrapped(said: str) -> list[str]:
    # The blank before a percent sign is none to break a line at.
    lines = wrap(said.replace(" %", "\N{NO-BREAK SPACE}%"), WIDTH, break_long_words=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def remarks(step: Mapping[str, Any]) -> list[str]:
    """What a step tried or aimed at."""
    if step["name"] == "select-samples":
        return trials(step["metrics"])
    if step["name"] == "train":
        return dynamic(step["metrics"])
    return pruning.details(step["metrics"]) if step["name"] == "prune-model" else []


def timed(step: Mapping[str, Any], timings: Mapping[str, Any]) -> list[str]:
    """How much faster a model has become."""
    return pruning.timing(timings.get("latency", {})) if step["name"] == "prune-model" else []


def _judged_by(metrics: Mapping[str, Any]) -> str:
    tested = f"{metrics['test_samples']:,} test sample{'' if metrics['test_samples'] == 1 else 's'}"
    if "model" not in metrics:
        return f"two models, {tested}"
    seeds = next(iter(metrics["protocols"].values()))["seeds"]
    return f"{metrics['model']}, trained with {seeds} seeds each, {tested}"


def verdict_words(block: Mapping[str, Any]) -> str:
    """The verdict in words, and how small a loss the test could have ruled out."""
    words, finest = str(block["words"]), block["verdict"]["resolution"]
    if "at best" in words:
        return words
    unit = f"{100 * finest:.1f} points" if block["task"] == "classification" else f"{finest:.3f} of R2"
    return f"{words}; the test can resolve {unit}"


def _trained(metrics: Mapping[str, Any]) -> str:
    epochs = f"{metrics['epochs']:,} epoch{'' if metrics['epochs'] == 1 else 's'}"
    model = f"{metrics['model']}, {metrics['parameters']:,} weights, {epochs}"
    found = [f"{name} {_figure(metrics[name])}" for name in ("validation", "test") if name in metrics]
    return "; ".join([f"{model} on {metrics['learned_from']:,} samples", *found])


def _figure(found: Mapping[str, Any]) -> str:
    if "accuracy" in found:
        return f"accuracy {found['accuracy']:.1%}, macro F1 {found['macro']['f1']:.1%} of {found['samples']:,}"
    r2 = found["r2"]
    return f"R2 {'-' if r2 is None else format(r2, '.3f')} of {found['samples']:,}"


def _applied(metrics: Mapping[str, Any]) -> str | None:
    if "dimensions" in metrics:
        return f"vectors of {metrics['dimensions']:,} dimensions, in OUTPUT.features.parquet"
    if "columns_after" in metrics:
        return f"{metrics['columns_before']:,} columns became {metrics['columns_after']:,}"
    return None


def _columns(columns: Sequence[Mapping[str, Any]], step: Mapping[str, Any]) -> str:
    """How many columns stay, the best first; those that are no features, or were left alone, have no rank."""
    made = [column for column in columns if column["action"] == "make"]
    ranked = [c for c in columns if c["action"] == "drop" or (c["action"] == "keep" and c["rank"] is not None)]
    kept = sorted((c for c in ranked if c["action"] == "keep"), key=lambda c: c["rank"])
    method = step["settings"].get("method")
    by = f" by {method}" if method else ""
    what = f"{step['metrics'].get('unit', 'column')}s"
    if made:
        return f"{len(made):,} columns made of {len(ranked):,} {what}{by}: {_named(made)}"
    if not ranked:
        return f"no {what} to choose from"
    return f"kept {len(kept):,} of {len(ranked):,} {what}{by}" + (f": {_named(kept)}" if kept else "")


def _named(columns: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(column["column"] for column in columns[:NAMED])
    return f"{names} and {len(columns) - NAMED:,} more" if len(columns) > NAMED else names
