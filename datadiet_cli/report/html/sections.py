"""A step's part of the page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadiet_cli.reasons import reasons_of
from datadiet_cli.report import comparison
from datadiet_cli.report.html.base import Gallery, Graph
from datadiet_cli.report.telling import PROTOCOLS, headline, remarks, timed, verdict_words
from datadiet_cli.report.words import plural

if TYPE_CHECKING:
    import polars as pl

COLUMNS = 200
"""Columns that are listed; the report has them all."""
NOTES = 20
"""Notes of a step that are shown."""
EXAMPLES = 3
"""Samples that are named for each reason."""


@dataclass(frozen=True)
class Finding:
    """Verdicts of one action and reason.

    Attributes:
        action: a code.
        reason: a code.
        words: what the reason means; empty if nobody knows.
        count: of verdicts.
        examples: ids of a few.
    """

    action: str
    reason: str
    words: str
    count: int
    examples: list[str]


@dataclass(frozen=True)
class Comparison:
    """What was compared by training, as a table: the verdict in words, rows of words, and what controls say."""

    verdict: str
    rows: list[tuple[str, list[str]]]
    controls: list[str]


@dataclass(frozen=True)
class Section:
    """What the page says of a step."""

    number: int
    name: str
    line: str | None
    samples: str
    took: str
    findings: list[Finding]
    notes: list[str]
    lines: list[str]
    comparisons: list[Comparison]
    graphs: Sequence[Graph]
    galleries: Sequence[Gallery]
    columns: list[Mapping[str, Any]]
    columns_count: int
    settings: list[tuple[str, str]]


def shown_steps(document: Mapping[str, Any]) -> list[int]:
    """Numbers of the steps that have a part; the opening has one if it found something."""
    return [number for number, step in enumerate(document["steps"]) if step["name"] != "open" or step["verdicts"]]


def section_of(
    document: Mapping[str, Any],
    verdicts: "pl.DataFrame",
    number: int,
    graphs: Sequence[Graph],
    galleries: Sequence[Gallery],
) -> Section:
    """The part of a step.

    Args:
        document: the report.
        verdicts: of all steps.
        number: of the step.
        graphs: of it.
        galleries: of it.
    """
    step, ran = document["steps"][number], document["run"]["steps"][number]
    columns = [column for column in document["columns"] if column["step_number"] == number]
    timings = ran.get("timings", {})
    return Section(
        number=number,
        name=step["name"],
        line=headline(step, columns),
        samples=f"{plural(step['samples_in'], 'sample')} in, {step['samples_out']:,} out",
        took=f"{ran['seconds']:.1f} s" + (", remembered from an earlier run" if ran["resumed"] else ""),
        findings=_findings(step, verdicts, number, reasons_of(step["name"])),
        notes=_notes(step),
        lines=[*remarks(step), *timed(step, timings)],
        comparisons=_comparisons(step, timings),
        graphs=graphs,
        galleries=galleries,
        columns=columns[:COLUMNS],
        columns_count=len(columns),
        settings=[(name, json.dumps(value)) for name, value in step["settings"].items()],
    )


def _findings(
    step: Mapping[str, Any], verdicts: "pl.DataFrame", number: int, words: Mapping[str, str]
) -> list[Finding]:
    import polars as pl

    own = verdicts.lazy().filter(pl.col("step_number") == number)
    named = own.group_by("action", "reason", maintain_order=True).agg(pl.col("id").head(EXAMPLES)).collect()
    examples = {(action, reason): ids for action, reason, ids in named.rows()}
    return [
        Finding(action, reason, words.get(reason, ""), count, examples.get((action, reason), []))
        for action, counted in step["verdicts"].items()
        for reason, count in counted.items()
    ]


def _notes(step: Mapping[str, Any]) -> list[str]:
    metrics = step["metrics"]
    notes = list(metrics.get("notes", ()))
    if len(notes) > NOTES:
        notes = [*notes[:NOTES], f"{len(notes) - NOTES:,} more notes are in the report"]
    if lost := metrics.get("against_unreadable"):
        notes.append(f"{lost:,} samples of other datasets could not be read and compared")
    if idle := metrics.get("without_effect"):
        verb = "has" if len(idle["settings"]) == 1 else "have"
        notes.append(f"{', '.join(idle['settings'])} {verb} no effect on method {idle['method']}")
    return notes


def _comparisons(step: Mapping[str, Any], timings: Mapping[str, Any]) -> list[Comparison]:
    found = []
    for protocol, block in step["metrics"].get("protocols", {}).items():
        trained, asked = (timings.get(name, {}).get(protocol) for name in ("training", "inference"))
        rows = comparison.rows(block, trained, asked, timings.get("latency"))
        said = f"{PROTOCOLS.get(protocol, '')}{verdict_words(block)}"
        found.append(Comparison(said, rows, comparison.against_controls(block)))
    return found
