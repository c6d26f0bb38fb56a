"""Charts of a pruned model: stages, layers, sensitivity, size and latency."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph
from datadiet_cli.report.html.charts.base import count, finite, inner, margin_said, percent
from datadiet_cli.report.html.charts.heat import Cell, heat
from datadiet_cli.report.html.charts.lines import Axes, Spot, curves
from datadiet_cli.report.html.charts.rows import Dot, Pair, bars, dots
from datadiet_cli.report.html.charts.scales import Scale, points_said, share_said, spread
from datadiet_cli.report.html.graphs_proof import NUMBERS, SHARES, shares

MOST = 60
"""Layers that are drawn."""
_STAGES = {"recalibrated": "batch norms again", "fine_tuned": "fine-tuned"}
_COSTS = (
    ("parameters", "parameters"),
    ("nonzero", "weights that are not 0"),
    ("macs", "MACs"),
    ("macs_nonzero", "MACs that are not 0"),
    ("bytes", "bytes"),
    ("compressed", "bytes, compressed"),
)


def model_graphs(metrics: Mapping[str, Any], beside: Callable[[str], bytes | None]) -> list[Graph | None]:
    """All that is known of a model that was pruned."""
    channels = metrics.get("structure") == "channels"
    layers = _rows(metrics.get("layers")) or (_table(beside(".layers.csv")) if "costs" in metrics else [])
    alone = _rows(metrics.get("sensitivity")) or (_table(beside(".sensitivity.csv")) if "costs" in metrics else [])
    return [
        _sizes(metrics.get("costs")),
        _stages(metrics.get("stages")),
        _tried(metrics.get("target"), of_classes=metrics.get("task") != "numbers"),
        _layers(layers, channels=channels),
        _sensitivity(alone, metrics.get("stages")),
    ]


def _sizes(costs: Any) -> Graph | None:
    pairs = []
    for key, name in _COSTS:
        dense, pruned = (finite(inner(costs, side, key)) for side in ("dense", "pruned"))
        if dense is not None and pruned is not None and dense > 0:
            pairs.append(Pair(name, 1.0, pruned / dense, f"{count(dense)} → {count(pruned)}"))
    if not pairs:
        return None
    title = "Size before and after"
    return Graph(title, bars(title, pairs), "Each bar is a share of its own number before.")


def _stages(stages: Any) -> Graph | None:
    if not isinstance(stages, Mapping):
        return None
    of_classes = any(finite(inner(one, "accuracy")) is not None for one in stages.values())
    rows = []
    for name, one in stages.items():
        value = finite(inner(one, "accuracy" if of_classes else "r2"))
        if value is not None:
            said = percent(value) if of_classes else f"{value:.3f}"
            kind = "before" if name == "dense" else "after"
            rows.append(Dot(_STAGES.get(name, str(name).replace("_", " ")), value, None, None, said, kind))
    if not rows:
        return None
    title = f"{'Accuracy' if of_classes else 'R2'} at each stage"
    ends = shares(rows) if of_classes else spread(row.value for row in rows)
    return Graph(title, dots(title, rows, ends, SHARES if of_classes else NUMBERS))


def _tried(target: Any, *, of_classes: bool) -> Graph | None:
    """What loss was proved for each share that was tried."""
    found = (_spot(row, of_classes=of_classes) for row in _rows(inner(target, "tried")))
    spots = [one for one in found if one is not None]
    if not spots:
        return None
    asked = finite(inner(target, "asked"))
    ends = [end for one in spots for end in (one.low, one.high) if end is not None]
    low, high = spread([*ends, 0.0, *([] if asked is None else [asked])])
    level = None if asked is None else (asked, f"allowed: {margin_said(asked, of_classes=of_classes)}")
    y = Scale(low, high, 0.0, 1.0, said=points_said if of_classes else NUMBERS.said)
    x = Scale(0.0, 1.0, 0.0, 1.0, said=share_said)
    unit = "points" if of_classes else "R2"
    axes = Axes(x, y, "share that goes", f"{unit} lost, on average and at most", level=level)
    words = "A dot passed: the loss is proved to be within what is allowed. A cross did not."
    return Graph("How much may go", curves("How much may go", [], axes, spots), words)


def _spot(row: Mapping[str, Any], *, of_classes: bool) -> Spot | None:
    share, value, bound = (finite(row.get(key)) for key in ("share", "difference", "loss_bound"))
    if share is None or bound is None:
        return None
    most = margin_said(round(bound, 4), of_classes=of_classes)
    found, kind = ("passed", "good") if row.get("passed") else ("did not pass", "bad")
    lost = bound if value is None else -value
    said = f"{100 * share:.4g}% gone, at most {most} lost, {found}"
    return Spot(share, lost, min(lost, bound), max(lost, bound), kind, said)


def _layers(rows: Sequence[Mapping[str, Any]], *, channels: bool) -> Graph | None:
    """What is left of each layer, the first layer first."""
    found = []
    for row in rows:
        before = finite(_number(row.get("parameters")))
        sizes = _channels(row) if channels else (before, finite(_number(row.get("nonzero_after"))))
        # Norms go as the layers that they belong to.
        if before and sizes[0] and sizes[1] is not None and "Norm" not in str(row.get("kind")):
            found.append((before, str(row.get("layer")), sizes[0], sizes[1]))
    if not found:
        return None
    largest = {place for _, place in sorted((-one[0], i) for i, one in enumerate(found))[:MOST]}
    shown = [one for i, one in enumerate(found) if i in largest]
    pairs = [Pair(name, 1.0, after / before, f"{count(before)} → {count(after)}") for _, name, before, after in shown]
    what = "channels" if channels else "weights"
    title = f"{what.capitalize()} left of each layer"
    words = f"Each bar is a share of the layer's own {what}."
    if len(found) > MOST:
        words += f" The {MOST} largest of {len(found):,} layers."
    return Graph(title, bars(title, pairs), words)


def _channels(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Output channels before and after, by the first number of a shape."""
    before, after = (str(row.get(key) or "").partition("x")[0] for key in ("shape", "shape_after"))
    return finite(_number(before)), finite(_number(after))


def _sensitivity(rows: Sequence[Mapping[str, Any]], stages: Any) -> Graph | None:
    main = "accuracy" if any("accuracy_pruned" in row for row in rows) else "r2"
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        share, straight, again = (
            finite(_number(row.get(key))) for key in ("share", f"{main}_pruned", f"{main}_recalibrated")
        )
        value = straight if again is None else again
        if share is not None and value is not None:
            found.setdefault(str(row.get("layer")), {})[share] = value
    if not found:
        return None
    best = finite(inner(stages, "dense", main))
    top = max(value for own in found.values() for value in own.values())
    top = top if best is None else max(top, best)
    low = min(value for own in found.values() for value in own.values())
    columns = sorted({share for own in found.values() for share in own})
    worst = sorted(found, key=lambda name: (min(found[name].values()), name))[:MOST]
    names = [name for name in found if name in set(worst)]
    cells = [[_cell(found[name].get(share), top, low, main) for share in columns] for name in names]
    title = f"{main.capitalize()} where a layer is pruned alone"
    words = "Columns are shares that went; the darker a cell, the more is lost."
    if len(found) > MOST:
        words += f" The {MOST} layers of {len(found):,} that mind most."
    return Graph(title, heat(title, names, [share_said(share) for share in columns], cells), words)


def _cell(value: float | None, top: float, low: float, main: str) -> Cell | None:
    if value is None:
        return None
    return Cell(
        percent(value) if main == "accuracy" else f"{value:.2f}", (top - value) / (top - low) if top > low else 0.0
    )


def latency_graph(latency: Any) -> Graph | None:
    """Times of a batch, before and after, of each size of batch that was timed."""
    before, after = (_rows(inner(latency, side)) for side in ("before", "after"))
    pairs = []
    for one in after:
        other = next((row for row in before if row.get("batch") == one.get("batch")), None)
        own, was = _seconds(one), None if other is None else _seconds(other)
        if own is not None and was is not None and own > 0:
            said = f"{1e3 * was:.3g} → {1e3 * own:.3g} ms"
            pairs.append(Pair(f"batch of {inner(one, 'batch')}", 1.0, own / was, said) if was else Pair("", 0, 0, said))
    pairs = [pair for pair in pairs if pair.before]
    if not pairs:
        return None
    title = "Time of a batch before and after"
    how = ", ".join(str(after[0][key]) for key in ("runtime", "processor") if after[0].get(key))
    return Graph(title, bars(title, pairs), f"Each bar is a share of its own time before. {how}".strip())


def _seconds(row: Mapping[str, Any]) -> float | None:
    cpu = finite(row.get("cpu"))
    return finite(row.get("wall")) if cpu is None else cpu


def _rows(values: Any) -> list[Mapping[str, Any]]:
    several = isinstance(values, Sequence) and not isinstance(values, str | bytes)
    return [row for row in values if isinstance(row, Mapping)] if several else []


def _table(content: bytes | None) -> list[Mapping[str, Any]]:
    """Rows of a CSV file."""
    if content is None:
        return []
    return list(csv.DictReader(io.StringIO(content.decode("utf-8", "surrogateescape"))))


def _number(value: Any) -> Any:
    """A number that may be spelled, as in a CSV file; None for any other text."""
    if not isinstance(value, str):
        return value
    digits = value.strip().removeprefix("-").replace(".", "", 1).replace("e-", "", 1).replace("e+", "", 1)
    return float(value) if digits.isdecimal() and digits.isascii() else None
