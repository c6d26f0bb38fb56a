"""The head of the page: what came of the run, in words, in figures, and step by step."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadiet_cli.report.words import plural, size_in_words

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Tile:
    """A figure before and after; `before` is None where there is only one."""

    label: str
    before: str | None
    after: str
    note: str = ""


@dataclass(frozen=True)
class Stop:
    """A stop on the way of the data.

    Attributes:
        title: INPUT, a step, or OUTPUT.
        count: samples that left it, in words.
        took: what it took away or added, or the name of a dataset; empty for nothing.
        link: number of the step's section, or None.
    """

    title: str
    count: str
    took: str
    link: int | None


@dataclass(frozen=True)
class Headline:
    """What came of a run.

    Attributes: `title`; `when` it was made; `tone`, one of good, warn, bad; `verdict`, sentences; `tiles`; `strip`.
    """

    title: str
    when: str
    tone: str
    verdict: list[str]
    tiles: list[Tile]
    strip: list[Stop]


def headline_of(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Headline:
    """The head of a report's page.

    Args:
        document: the report.
        verdicts: all of them.
    """
    failed = [gate for gate in document["gates"] if not gate["passed"]]
    unreadable = document["figures"]["unreadable"]
    return Headline(
        title=_name(document["input"]["path"]),
        when=time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(document["run"]["started"])).lstrip("0"),
        tone="bad" if failed else "warn" if unreadable else "good",
        verdict=_verdict(document, len(failed)),
        tiles=_tiles(document),
        strip=_strip(document, _flagged(verdicts)),
    )


def _verdict(document: Mapping[str, Any], failed: int) -> list[str]:
    before, figures, gates = document["input"], document["figures"], len(document["gates"])
    said = []
    if failed:
        said.append(f"{failed} of {plural(gates, 'gate')} failed, so nothing was written.")
    if document["output"]["what"] == "dataset":
        removed, done = figures["removed"], document["published"]
        share = f" ({removed / before['samples']:.1%})" if before["samples"] else ""
        said.append(
            f"{removed:,} of {plural(before['samples'], 'sample')} {'removed' if done else 'would go'}{share}."
            if removed
            else f"No sample {'was removed' if done else 'would go'}."
        )
        done = [f"{figures[name]:,} {name}" for name in ("added", "relabelled", "imputed", "flagged") if figures[name]]
        said += [f"{', '.join(done)}."] if done else []
    if unreadable := figures["unreadable"]:
        said.append(f"{plural(unreadable, 'sample')} could not be read.")
    if gates and not failed:
        said.append({1: "The gate held.", 2: "Both gates held."}.get(gates, f"All {gates} gates held."))
    if not document["published"] and not failed and document["output"]["what"] != "report":
        said.append("Nothing was written: it is what would become of it.")
    return said


def _tiles(document: Mapping[str, Any]) -> list[Tile]:
    before, after, figures = document["input"], document["output"], document["figures"]
    tiles = []
    if after["what"] == "dataset":
        tiles += [
            Tile(
                "samples", f"{before['samples']:,}", f"{after['samples']:,}", _less(before["samples"], after["samples"])
            ),
            Tile(
                "size",
                size_in_words(before["bytes"]),
                size_in_words(after["bytes"]),
                _less(before["bytes"], after["bytes"]),
            ),
        ]
    else:
        tiles.append(Tile("samples", None, f"{before['samples']:,}"))
    for name in ("classes", "splits"):
        if before[name]:
            left = sum(count > 0 for count in after[name].values())
            kept = after["what"] == "dataset"
            tiles.append(Tile(name, f"{len(before[name]):,}" if kept else None, f"{left:,}"))
    if after["what"] == "model":
        tiles.append(Tile("model", None, size_in_words(after["bytes"])))
    if figures["columns_dropped"]:
        tiles.append(Tile("columns gone", None, f"{figures['columns_dropped']:,}"))
    if "accuracy" in figures:
        tiles.append(_reached(document, figures))
    tiles.append(Tile("took", None, _seconds(document["run"]["seconds"])))
    return tiles


def _less(before: int, after: int) -> str:
    """The difference in per cent; empty where there is none."""
    if before == after or not before:
        return ""
    return f"{(after - before) / before:+.1%}".replace("-", "\N{MINUS SIGN}")


def _reached(document: Mapping[str, Any], figures: Mapping[str, float]) -> Tile:
    """How good the model is afterwards: its accuracy, or R2 where it tells a number."""
    blocks = [block for step in document["steps"] for block in step["metrics"].get("protocols", {}).values()]
    of_classes = all(block["task"] == "classification" for block in blocks)
    score, lost = figures["accuracy"], figures.get("accuracy_drop")
    said = "" if lost is None else f"at most {100 * lost:.1f} points lost" if of_classes else f"at most {lost:.3f} lost"
    if lost is not None and lost <= 0:
        said = "nothing lost"
    return Tile("accuracy", None, f"{score:.1%}", said) if of_classes else Tile("R2", None, f"{score:.3f}", said)


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _flagged(verdicts: "pl.DataFrame") -> dict[int, int]:
    """Samples that each step flagged: one may be flagged for several reasons, or be dropped for another."""
    import polars as pl

    key = "step_number", "id"
    dropped = verdicts.lazy().filter(pl.col("action") == "drop").select(key)
    flags = verdicts.lazy().filter(pl.col("action") == "flag").select(key).join(dropped, on=key, how="anti")
    return dict(flags.unique().group_by("step_number").len().collect().rows())


def _strip(document: Mapping[str, Any], flags: Mapping[int, int]) -> list[Stop]:
    before, after = document["input"], document["output"]
    stops = [Stop("input", f"{before['samples']:,}", _name(before["path"]), None)]
    for number, step in enumerate(document["steps"]):
        dropped = sum(step["verdicts"].get("drop", {}).values())
        if step["name"] == "open" and not dropped:
            continue
        change = step["samples_out"] - step["samples_in"]
        took = f"{change:+,}".replace("-", "\N{MINUS SIGN}") if change else ""
        flagged = flags.get(number, 0)
        told = ", ".join(part for part in (took, f"{flagged:,} flagged" if flagged else "") if part)
        stops.append(Stop(step["name"], f"{step['samples_out']:,}", told, number))
    if document["published"] and after["what"] == "dataset":
        stops.append(Stop("output", f"{after['samples']:,}", _name(after["path"]), None))
    return stops


def _name(path: str) -> str:
    """The last part of a path; of a dot, all of it."""
    return os.path.basename(path.rstrip("/")) or path
