"""Annotations of GitHub Actions: workflow commands, a line each.

GitHub shows 10 annotations of each level of a step, and drops the rest without a word; so does this, with a word.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datadiet_cli.report.formats.findings import (
    Places,
    counted,
    findings_of,
    gate_words,
    in_counts,
    message,
    varied,
    where_all,
)
from datadiet_cli.report.terminal import printable

if TYPE_CHECKING:
    import polars as pl

MOST = 10
"""Annotations of a level that GitHub shows of one step."""
COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def github(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Iterator[str]:
    """Failed gates as errors, then findings, by level and the reasons in turn, then a notice that counts the rest."""
    gates = [gate for gate in document["gates"] if not gate["passed"]]
    for gate in gates[:MOST]:
        yield command("error", gate_words(gate), title=f"datadiet {document['command']}: a gate failed")
    yield from annotations(
        findings_of(verdicts), Places.of(document), where_all(document), taken=len(gates), unsaid=len(gates[MOST:])
    )


def annotations(
    findings: "pl.DataFrame", places: Places, where: str, *, taken: int = 0, unsaid: int = 0, notices: int = 0
) -> Iterator[str]:
    """Findings as annotations.

    Args:
        findings: as `findings_of` gives them.
        places: where the samples are.
        where: words for where all findings are.
        taken: errors that were said already.
        unsaid: gates that failed but were not said.
        notices: that were said already.
    """
    import polars as pl

    shown = []
    for level, word in COMMANDS.items():
        # The last notice is for the rest.
        most = {"error": max(0, MOST - taken), "note": MOST - 1 - notices}.get(level, MOST)
        for row in varied(findings.filter(pl.col("level") == level), most):
            shown.append((row["id"], row["reason"]))
            title = f"datadiet {row['step']}: {row['reason']}"
            yield command(word, f"{places.name(row['id'])}: {message(row, places)}", places.path(row["id"]), title)
    rest = findings
    if shown:
        told = pl.DataFrame(shown, schema=["id", "reason"], orient="row")
        rest = findings.join(told, on=["id", "reason"], how="anti")
    left = ([f"{unsaid:,} failed gates"] if unsaid else []) + ([in_counts(counted(rest))] if len(rest) else [])
    if left:
        yield command("notice", f"and {'; '.join(left)}; {where}", title="datadiet: not all is shown here")


def command(level: str, text: str, file: str | None = None, title: str = "") -> str:
    """A workflow command: a line, whatever the texts are."""
    properties = [] if file is None else [f"file={_property(printable(file))}"]
    properties += [f"title={_property(printable(title))}"] if title else []
    return f"::{level} {','.join(properties)}::{_data(printable(text))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
