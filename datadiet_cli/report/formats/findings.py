"""What the formats have in common: which verdicts are findings, how bad they are, where they are, and their words."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadiet_cli.outcome import Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.report.html.base import LONGEST, plain
from datadiet_cli.report.terminal import met, printable

if TYPE_CHECKING:
    import polars as pl

FINDINGS = (Action.DROP, Action.FLAG, Action.RELABEL)
"""Actions that say something against a sample as it was."""
LEVELS = ("error", "warning", "note")
"""How bad a finding is: a sample that cannot be read; one that is likely wrong; one that is merely not needed."""
CHOOSING = ("balance", "select-features", "select-samples")
"""Steps that leave out samples with which nothing is wrong."""
DONE = {
    "drop": "dropped",
    "flag": "flagged",
    "relabel": "relabelled",
    "impute": "filled in",
    "add": "added",
    "weigh": "weighed",
    "accept": "accepted",
}

Row = Mapping[str, Any]


def findings_of(verdicts: "pl.DataFrame", actions: tuple[Action, ...] = FINDINGS) -> "pl.DataFrame":
    """The findings among verdicts, in their order; of what several steps say of a sample for a reason, the last.

    Args:
        verdicts: as `frame.verdict_frame` gives them.
        actions: that make a verdict a finding.

    Returns:
        the columns of `verdicts`, and ``level``, one of `LEVELS`.
    """
    import polars as pl

    chosen = verdicts.filter(pl.col("action").is_in([str(action) for action in actions]))
    merely = pl.col("step").is_in(CHOOSING) | (pl.col("action") == str(Action.ACCEPT))
    level = (
        pl.when((pl.col("reason") == "unreadable") & (pl.col("action") != str(Action.ACCEPT)))
        .then(pl.lit("error"))
        .when(merely)
        .then(pl.lit("note"))
        .otherwise(pl.lit("warning"))
    )
    return chosen.unique(["id", "reason"], keep="last", maintain_order=True).with_columns(level.alias("level"))


def varied(findings: "pl.DataFrame", most: int) -> Iterator[dict[str, Any]]:
    """The first findings of each reason in turn, so that a common one does not hide the others.

    Args:
        findings: a table with a column ``reason``.
        most: rows that are given.
    """
    import polars as pl

    turn = pl.int_range(pl.len()).over("reason").alias("turn")
    return findings.with_columns(turn).sort("turn", maintain_order=True).head(most).drop("turn").iter_rows(named=True)


def counted(findings: "pl.DataFrame") -> list[tuple[str, int]]:
    """Reasons with the number of their findings, the most frequent first."""
    import polars as pl

    table = findings.group_by("reason").len().sort(pl.col("len"), "reason", descending=[True, False])
    return [(str(reason), int(count)) for reason, count in table.iter_rows()]


def in_counts(counts: list[tuple[str, int]]) -> str:
    """Reasons with numbers, as words."""
    return ", ".join(f"{count:,} {plain(reason)}" for reason, count in counts)


@dataclass(frozen=True)
class Places:
    """Where the samples of a report are.

    Attributes:
        input: INPUT, as the report has it.
        is_table: whether the samples are records of that file, and not files below that folder.
    """

    input: str
    is_table: bool

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Places":
        """The places of a report's samples."""
        return cls(str(document["input"]["path"]), document["input"]["kind"] == "row")

    def path(self, sample: str) -> str:
        """The file of a sample, relative to the working directory if it is below that, else absolute."""
        path = os.path.abspath(self.input if self.is_table else os.path.join(self.input, sample))
        here = os.getcwd().rstrip(os.sep) + os.sep
        return path.removeprefix(here)

    def name(self, sample: str, most: int = LONGEST) -> str:
        """A sample in words."""
        shown = plain(sample, most)
        return f"record {shown} of {plain(os.path.basename(self.input.rstrip('/')))}" if self.is_table else shown

    def witness(self, sample: str) -> str:
        """A sample that another one is compared with; it may be of another dataset."""
        return f"record {sample}" if self.is_table and sample.isdecimal() else plain(sample)


def message(row: Row, places: Places) -> str:
    """One finding as a sentence: what was done and why, and what that rests on."""
    reason = plain(row["reason"])
    words = reasons_of(row["step"]).get(row["reason"])
    said = f"{DONE.get(row['action'], plain(row['action']))} by {plain(row['step'])}: "
    said += f"{words} ({reason})" if words else reason
    if row["witness"] is not None:
        said += f", compared with {places.witness(row['witness'])}"
    if row["score"] is not None:
        limit = "" if row["threshold"] is None else f" (threshold {row['threshold']:g})"
        said += f", score {row['score']:g}{limit}"
    return said + (f"; {plain(row['detail'])}" if row["detail"] else "")


def gate_words(gate: Mapping[str, Any]) -> str:
    """A gate and how it went."""
    return f"{plain(gate['name'])} {gate_result(gate)}"


def gate_result(gate: Mapping[str, Any]) -> str:
    """How a gate went."""
    return f"{plain(gate['limit'])}: {'passed' if gate['passed'] else 'FAILED'} with {met(gate)}"


def where_all(document: Mapping[str, Any]) -> str:
    """Where all verdicts are to be found."""
    output = document["output"]
    if output["path"] is None or not (document["published"] or output["what"] == "report"):
        return "--format json prints all"
    path = output["path"] if output["what"] == "report" else output["path"].rstrip("/") + ".report.json"
    return f"all are in {printable(path)}"
