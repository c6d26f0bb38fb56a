"""A calibration as lines for a terminal: a table for each setting that was moved, and what to make of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from datadiet_cli.report.terminal import printable

WIDTH = 100
_CELL = 6
_SHOWN = 3
_TITLES = {
    "copies": "copies",
    "broken": "broken samples",
    "quality": "poor quality",
    "outliers": "odd samples",
    "labels": "wrong labels",
}
_SHORT = {"confident-learning": "confid.", "self-confidence": "self", "normalised-margin": "margin"}
_HARD = "\N{NO-BREAK SPACE}"


def lines(document: Mapping[str, Any]) -> list[str]:
    """Everything that a calibration found, without line ends, at most `WIDTH` wide but for names of samples.

    Args:
        document: as `--json` prints it.
    """
    there, samples = document["input"], document["samples"]
    told = [
        f"{printable(there['path'])}: {samples:,} of {there['training']:,} training samples, {there['layout']}",
    ]
    for part in document["parts"]:
        told += ["", *_part(part)]
    left_out = document["not_planted"]
    if left_out:
        why: dict[str, list[str]] = {}
        for name, reason in left_out.items():
            why.setdefault(reason, []).append(name)
        told += ["", *_folded("not planted: " + "; ".join(f"{', '.join(n)} ({r})" for r, n in why.items()))]
    planted = max((fault["planted"] for part in document["parts"] for fault in part["faults"].values()), default=1)
    told += ["", *_resolution(planted, samples)]
    return told


def _resolution(planted: int, samples: int) -> list[str]:
    half = _half_width(planted)
    return _folded(
        f"{planted} of a kind resolve a recall by about {half} points either way, {samples:,} samples a rate "
        f"of false findings by {100 / samples:.2g} points. Untouched samples that are named may have real faults, so "
        "that rate is an upper bound."
    )


def _half_width(n: int) -> int:
    """Of a 95 % interval around a half, in points."""
    return round(98 / math.sqrt(n + 3.84))


def _part(part: Mapping[str, Any]) -> Iterator[str]:
    faults = part["faults"]
    yield f"{part['step']}, {_TITLES[part['part']]}: {sum(f['planted'] for f in faults.values()):,} planted"
    for sweep in part["sweeps"]:
        yield from _table(sweep, faults)
    yield from _false(part)
    proposal = part["proposal"]
    words = proposal["words"]
    if proposal["settings"]:
        change = ", ".join(f"{name}: {_value(value)}" for name, value in proposal["settings"].items())
        words = f"propose {change}: {words}"
    yield from _folded(f"  -> {words}", "     ")
    if part["missed"]:
        yield from _folded(f"  -> missed at every value: {', '.join(part['missed'])}", "     ")
    for other in part["others"]:
        yield from _folded(f"  -> {_other(other)}", "     ")


def _other(other: Mapping[str, Any]) -> str:
    change = ", ".join(f"{name}: {_value(value)}" for name, value in other["settings"].items())
    found = ", ".join(f"{name}{_HARD}({_percent(other['recall'][name]['share'])}{_HARD}%)" for name in other["finds"])
    named = other["more_named"]
    return f"{change} would find {found}, and name {named:,} more untouched sample{'' if named == 1 else 's'}"


def _table(sweep: Mapping[str, Any], faults: Mapping[str, Any]) -> Iterator[str]:
    points = sweep["points"]
    width = max(16, *(len(name) + 2 for name in faults), len(sweep["setting"]))
    heads = [f"[{_head(p['value'])}]" if p["configured"] else _head(p["value"]) for p in points]
    cell = max(_CELL, *(len(head) + 1 for head in heads)) if sweep["setting"] else _CELL
    if sweep["setting"]:
        yield f"  {sweep['setting']:<{width}}" + "".join(f"{head:>{cell}}" for head in heads)
    now = next(point for point in points if point["configured"])
    for name, fault in faults.items():
        cells = "".join(f"{_percent(p['recall'][name]['share']):>{cell}}" for p in points)
        interval = now["recall"][name]
        mark = "" if fault["meant"] else " *"
        between = f"{_percent(interval['lower'])} to {_percent(interval['upper'])} %"
        yield f"  {name + mark:<{width}}{cells}  {interval['found']} of {interval['of']}, {between}"
    rate = "".join(f"{100 * p['false']['share']:>{cell}.1f}" for p in points)
    yield f"  {'untouched named':<{width}}{rate}  {now['false']['named']} of {now['false']['of']}"
    if any(not fault["meant"] for fault in faults.values()):
        yield "  * these settings are not meant to find it"


def _false(part: Mapping[str, Any]) -> Iterator[str]:
    point = next(point for point in part["sweeps"][0]["points"] if point["configured"])
    false = point["false"]
    if not false["named"]:
        yield f"  no untouched sample is named (at most {100 * false['upper']:.1f} % of the data)"
        return
    yield f"  at most {100 * false['share']:.1f} % of untouched samples are named in error; look at these:"
    for one in false["first"][:_SHOWN]:
        yield f"    {printable(one['id'])}" + ("" if one["witness"] is None else f" like {printable(one['witness'])}")
    if (more := false["named"] - _SHOWN) > 0:
        yield f"    and {more:,} more; --json names {len(false['first'])} for each value"


def _head(value: Any) -> str:
    return "" if value is None else _SHORT.get(value, value) if isinstance(value, str) else f"{value:g}"


def _value(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _folded(text: str, indent: str = "  ") -> list[str]:
    parts = wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace(_HARD, " ") for part in parts]
