"""Charts of a training: loss and accuracy by epoch, samples seen, and the controls of dynamic training."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph
from datadiet_cli.report.html.charts.base import finite, inner, known, percent
from datadiet_cli.report.html.charts.lines import MOST_POINTS, Axes, Curve, curves
from datadiet_cli.report.html.charts.rows import Border, Dot, dots
from datadiet_cli.report.html.charts.scales import Scale, share_said, spread
from datadiet_cli.report.html.graphs_proof import NUMBERS, POINTS, SHARES, difference, gaps, shares

_SKEWED = 100
"""Where the greatest loss is so many times the least, the axis goes by powers of ten."""


def training_graphs(metrics: Mapping[str, Any]) -> list[Graph | None]:
    """Curves by epoch, and what dynamic training is compared with."""
    history = metrics.get("history")
    rows = [] if not isinstance(history, Sequence) or isinstance(history, str) else list(history)
    best = finite(metrics.get("best_epoch"))
    best = None if best is None or best >= len(rows) else best
    return [
        _by_epoch(rows, "Loss by epoch", "loss", best),
        _by_epoch(rows, "Accuracy by epoch", "accuracy", best),
        _by_epoch(rows, "Mean absolute error by epoch", "error", best),
        _by_epoch(rows, "Share of the samples seen by epoch", "share_seen", None),
        *_dynamic(metrics.get("dynamic")),
    ]


def _by_epoch(rows: Sequence[Any], title: str, key: str, best: float | None) -> Graph | None:
    names = {"share_seen": "samples seen"}
    drawn = []
    x: list[float | None] = [float(epoch) for epoch in range(1, len(rows) + 1)]
    for style, (name, own) in enumerate([(names.get(key, "training"), key), ("validation", f"validation_{key}")]):
        y = known([inner(row, own) for row in rows])
        told = [value for value in y if value is not None]
        if told:
            drawn.append(Curve(name, x, y, style, _course(told, key)))
    if not drawn or len(rows) < 2:
        return None
    upright = None if best is None else (best, f"the best epoch, {best:.0f}")
    values = [value for one in drawn for value in one.y if value is not None]
    axes = Axes(
        Scale(1.0, float(len(rows)), 0.0, 1.0), _height(values, key), "epoch", key.replace("_", " "), upright=upright
    )
    words = f"{MOST_POINTS} of {len(rows):,} epochs are drawn." if len(rows) > MOST_POINTS else ""
    return Graph(title, curves(title, drawn, axes), words)


def _height(values: Sequence[float], key: str) -> Scale:
    """The vertical axis: shares from 0 to 1, losses from 0, or by powers of ten."""
    if key in ("accuracy", "share_seen"):
        return Scale(0.0, 1.0, 0.0, 1.0, said=share_said)
    least, most = min(values), max(values)
    if least > 0 and most > _SKEWED * least:
        return Scale(least, most, 0.0, 1.0, log=True, said=lambda value: f"{value:.2g}")
    ends = spread([*values, 0.0])
    return Scale(*ends, 0.0, 1.0, said=lambda value: f"{value:.4g}")


def _course(told: Sequence[float], key: str) -> str:
    """First and last, and the best between."""
    write = percent if key in ("accuracy", "share_seen") else "{:.4g}".format
    best = max(told) if key in ("accuracy", "share_seen") else min(told)
    extra = "" if key == "share_seen" else f", at best {write(best)}"
    return f"{write(told[0])} at first, {write(told[-1])} at last{extra}"


def _dynamic(told: Any) -> list[Graph | None]:
    arms = inner(told, "arms")
    if not isinstance(arms, Mapping):
        return []
    of_classes = any(finite(inner(one, "accuracy")) is not None for one in arms.values())
    rows = [one for name, arm in arms.items() if (one := _arm(str(name), arm, told, of_classes)) is not None]
    if not rows:
        return []
    title = "Dynamic training and its controls"
    ends = shares(rows) if of_classes else spread([v for r in rows for v in (r.value, r.low, r.high) if v is not None])
    drawn = dots(title, rows, ends, SHARES if of_classes else NUMBERS)
    words = "Means over trainings, with lines from the worst to the best. The share is that of a full training."
    return [Graph(title, drawn, words), _ahead(inner(told, "differences"), of_classes)]


def _arm(name: str, arm: Any, told: Any, of_classes: bool) -> Dot | None:
    main = "accuracy" if of_classes else "r2"
    value, spent = finite(inner(arm, main)), finite(inner(arm, "share_of_full_training"))
    if value is None:
        return None
    each = [one for one in known(inner(arm, f"{main}_by_seed")) if one is not None]
    low, high = (min(each), max(each)) if len(each) > 1 else (None, None)
    shown = str(inner(told, "method") or name) if name == "dynamic" else {"epochs": "fewer epochs"}.get(name, name)
    if spent is not None:
        shown = f"{shown}, {spent:.0%}"
    said = percent(value) if of_classes else f"{value:.3f}"
    kinds = {"dynamic": "after", "random": "random"}
    return Dot(shown, value, low, high, said, kinds.get(name, "cost"))


def _ahead(against: Any, of_classes: bool) -> Graph | None:
    if not isinstance(against, Mapping):
        return None
    rows = [one for name, own in against.items() if (one := difference(f"against {name}", own, of_classes)) is not None]
    if not rows:
        return None
    title = "Dynamic training ahead of its controls"
    borders = [Border(0.0, "no difference", kind="zero")]
    words = f"{'In points of accuracy' if of_classes else 'In R2'}; right of the line dynamic training is better."
    return Graph(title, dots(title, rows, gaps(rows, borders), POINTS if of_classes else NUMBERS, borders), words)
