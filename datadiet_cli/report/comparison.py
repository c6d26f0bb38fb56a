"""The comparison as a few lines for a terminal, at most 100 columns wide."""

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from datadiet_cli.report.words import size_in_words

LABEL, WIDTH = 16, 19
_ORDER = ("before", "after", "random", "cost", "scratch")
_POINTS = (
    ("accuracy", "accuracy"),
    ("macro_f1", "macro F1"),
    ("worst_class_recall", "worst class"),
    ("roc_auc", "ROC-AUC"),
)
_NUMBERS = (("r2", "R2"), ("mae", "MAE"), ("rmse", "RMSE"))
_COSTS = (
    ("samples", "samples"),
    ("bytes", "bytes"),
    ("samples_seen", "samples seen"),
    ("parameters", "parameters"),
    ("macs", "MACs"),
    ("compressed", "compressed"),
)
_BYTES = ("bytes", "compressed")
_HARD = "\N{NO-BREAK SPACE}"

Row = tuple[str, list[str]]


def table(
    block: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]] | None = None,
    inference: Mapping[str, Sequence[float]] | None = None,
    latency: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> list[str]:
    """Lines that show a comparison: figures by arm, and what the controls say.

    Args:
        block: as `compare` or `compare_models` gives it.
        seconds: of training by the clock, by arm, of each seed.
        inference: of looking at all test samples, likewise.
        latency: by arm, for each size of batch, what `nn.cost.Latency.as_json` gives.

    Returns:
        lines without line ends, at most `LABEL` and 4 times `WIDTH` wide.
    """
    lines = aligned(rows(block, seconds, inference, latency))
    for told in against_controls(block):
        said = told.replace(" %", _HARD + "%")
        folded = wrap(said, LABEL + 4 * WIDTH, subsequent_indent="  ", break_long_words=False)
        lines.extend(line.replace(_HARD, " ") for line in folded)
    return lines


def aligned(found: Sequence[Row], width: int | None = None) -> list[str]:
    """Rows as lines of columns.

    Args:
        found: what `rows` gives.
        width: columns there are; arms that find no room beside the others stand below. None where there is no limit.
    """
    arms, label, cell = len(found[0][1]), LABEL, WIDTH
    if width is not None:
        label = min(LABEL, max(len(name) for name, _ in found))
        cell = min(WIDTH, max(len(one) for _, cells in found for one in cells) + 2)
    beside = arms if width is None else max(1, (width - label) // cell)
    return [
        (f"{name:<{label}}" + "".join(f"{one:>{cell}}" for one in cells[at : at + beside])).rstrip()
        for at in range(0, arms, beside)
        for name, cells in found
    ]


def rows(
    block: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]] | None = None,
    inference: Mapping[str, Sequence[float]] | None = None,
    latency: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> list[Row]:
    """The same figures as rows of words: what each is about, and a cell for each arm; the first names the arms."""
    arms = block["arms"]
    names = _names(arms)
    found: list[Row] = [("", names)]
    of_classes = block["task"] == "classification"
    for key, label in _POINTS if of_classes else _NUMBERS:
        write = _points if of_classes else _plain
        found.append((label, [_figure(arms[name]["metrics"][key], write) for name in names]))
    for key, label in _COSTS:
        values = [arms[name]["cost"].get(key) for name in names]
        if any(value is not None for value in values):
            found.append((label, [_count(value, key) for value in values]))
    return [*found, *_times(names, seconds or {}, inference or {}, latency or {})]


def against_controls(block: Mapping[str, Any]) -> list[str]:
    """What the controls say, a sentence each; the verdict against before is told elsewhere."""
    against = block["differences"]
    names = [name for name in _names(block["arms"]) if name not in ("after", "before")]
    return [f"after against {name}: {against[name]['words']}" for name in names]


def _names(arms: Mapping[str, Any]) -> list[str]:
    return [name for name in _ORDER if name in arms]


def _figure(found: Mapping[str, Any] | None, write: Callable[[float], str]) -> str:
    """Mean, and how far its interval reaches."""
    if found is None:
        return "-"
    mean = write(found["mean"])
    return mean if found["lower"] is None else f"{mean} ± {write((found['upper'] - found['lower']) / 2)}"


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _plain(number: float) -> str:
    return f"{number:.4g}"


def _count(value: Any, key: str) -> str:
    if value is None:
        return "-"
    return size_in_words(value) if key in _BYTES else f"{value:,}"


def _times(
    names: list[str],
    seconds: Mapping[str, Sequence[float]],
    inference: Mapping[str, Sequence[float]],
    latency: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[Row]:
    """What was measured by the clock, if it was: means over seeds, medians over rounds."""
    found: list[Row] = []
    for label, taken, digits in (("training s", seconds, 1), ("inference s", inference, 3)):
        if taken:
            each = [list(taken.get(name, ())) for name in names]
            found.append((label, [f"{sum(one) / len(one):,.{digits}f}" if one else "-" for one in each]))
    for batch in sorted({one["batch"] for measured in latency.values() for one in measured}):
        cells = []
        for name in names:
            timed = [one for one in latency.get(name, ()) if one["batch"] == batch]
            cells.append(_milliseconds(timed[0]) if timed else "-")
        found.append((f"batch of {batch}", cells))
    return found


def _milliseconds(one: Mapping[str, Any]) -> str:
    """CPU time, or on a GPU the time by the clock."""
    if one["cpu"] is None:
        return f"{1000 * one['wall']:,.3g} ms"
    return f"{1000 * one['cpu']:,.3g} ms CPU"
