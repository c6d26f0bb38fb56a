"""What differs between two runs, in words, as JSON, and as GitHub reads it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datadiet_cli.report.differences import ABSENT, Change, Differences
from datadiet_cli.report.formats.findings import Places, Row, counted, in_counts, varied
from datadiet_cli.report.formats.github import annotations, command
from datadiet_cli.report.formats.markdown import code, table, verdict_details
from datadiet_cli.report.html.base import plain
from datadiet_cli.report.terminal import printable, verdict_line

if TYPE_CHECKING:
    import polars as pl

SHOWN = 20
"""Lines of a kind in words, unless all are asked for."""
DIFF_VERSION = 1
_VALUE = 80


@dataclass(frozen=True)
class Compared:
    """Two reports and what differs between them.

    Attributes:
        names: the files of the reports.
        after: the second report.
        found: what differs.
        unknown: why it is not known which samples only one of the datasets has; empty if it is.
    """

    names: tuple[str, str]
    after: Mapping[str, Any]
    found: Differences
    unknown: str = ""


def in_words(compared: Compared, most: int | None) -> Iterator[str]:
    """Lines for people.

    Args:
        compared: what to tell.
        most: lines of a kind; None for all.
    """
    found = compared.found
    yield " -> ".join(map(printable, compared.names)) + "\n"
    if not found:
        yield "nothing differs\n"
        return
    for title, changes in _changes(found).items():
        if changes:
            yield from _listed(title, (_change(change) for change in changes), len(changes), most)
    for title, ids in _samples(found).items():
        if len(ids):
            yield from _listed(f"{title}: {len(ids):,}", (printable(name) for name in ids), len(ids), most)
    if compared.unknown:
        yield f"samples of only one dataset: not known; {printable(compared.unknown)}\n"
    yield f"findings: {_tally(found)}\n"
    is_table = Places.of(compared.after).is_table
    for title, findings in found.findings.items():
        if len(findings):
            tell = _alteration if title == "changed" else _verdict
            rows = findings.iter_rows(named=True) if most is None else varied(findings, most)
            lines = (tell(_recorded(row) if is_table else row) for row in rows)
            yield from _listed(f"{title}: {in_counts(counted(findings))}", lines, len(findings), most)


def as_json(compared: Compared) -> Iterator[str]:
    """A JSON object; a finding a line."""
    found = compared.found
    head = {
        "diff_version": DIFF_VERSION,
        "before": compared.names[0],
        "after": compared.names[1],
        **{title: [_pair(change) for change in changes] for title, changes in _changes(found).items()},
    }
    yield json.dumps(head, indent=2).removesuffix("\n}")
    for title, ids in _samples(found).items():
        yield f',\n  "{title.replace(" ", "_")}": ' + (json.dumps(ids.to_list()) if found.samples else "null")
    yield ',\n  "findings": {'
    before = "\n"
    for title, findings in found.findings.items():
        counts = {"count": len(findings), "by_reason": dict(counted(findings))}
        yield f'{before}    "{title}": ' + json.dumps(counts).removesuffix("}") + ', "verdicts": ['
        yield from _rows(findings)
        before = "]},\n"
    yield "]}\n  }\n}\n"


def _rows(findings: "pl.DataFrame") -> Iterator[str]:
    """Findings as JSON, a line each."""
    before = "\n"
    for row in findings.iter_rows(named=True):
        evidence = row["evidence"]
        yield f"{before}      " + json.dumps({**row, "evidence": None if evidence is None else json.loads(evidence)})
        before = ",\n"


def as_github(compared: Compared) -> Iterator[str]:
    """New findings as annotations, and a notice that counts them all."""
    found = compared.found
    if any(len(findings) for findings in found.findings.values()):
        yield command("notice", _tally(found), title="datadiet diff")
    yield from annotations(found.new, Places.of(compared.after), "datadiet diff --all names all", notices=1)


def as_markdown(compared: Compared) -> Iterator[str]:
    """Tables of what changed, and the findings folded away."""
    found = compared.found
    yield f"## datadiet diff: {_tally(found) if found else 'nothing differs'}\n\n"
    yield " → ".join(code(name) for name in compared.names) + "\n\n"
    for title, changes in _changes(found).items():
        yield from table((title, "before", "after"), changes, _row)
    for title, ids in _samples(found).items():
        if len(ids):
            yield f"{len(ids):,} {title}\n\n"
    places = Places.of(compared.after)
    for title, findings in found.findings.items():
        yield from verdict_details(findings, places, f"{title} findings", "datadiet diff --all names all")


FORMATS: Mapping[str, Callable[[Compared], Iterator[str]]] = {
    "json": as_json,
    "github": as_github,
    "markdown": as_markdown,
}
"""Every form but words."""


def _changes(found: Differences) -> dict[str, list[Change]]:
    return {
        "run": found.facts,
        "input": found.inputs,
        "settings": found.settings,
        "figures": found.figures,
        "gates": found.gates,
    }


def _samples(found: Differences) -> "dict[str, pl.Series]":
    import polars as pl

    none = pl.Series("id", [], dtype=pl.String)
    gone, new = found.samples or (none, none)
    return {"new samples": new, "gone samples": gone}


def _tally(found: Differences) -> str:
    told = [f"{len(findings):,} {title}" for title, findings in found.findings.items()]
    return ", ".join(told) if any(map(len, found.findings.values())) else "none new, gone or changed"


def _listed(title: str, lines: Iterator[str], count: int, most: int | None) -> Iterator[str]:
    yield f"{title}\n"
    for number, line in enumerate(lines):
        if number == most:
            break
        yield f"  {line}\n"
    if most is not None and count > most:
        yield f"  and {count - most:,} more; --all names all\n"


def _change(change: Change) -> str:
    return f"{plain(change.name)}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: Any) -> str:
    """A JSON value as it may be shown; a text is one without quotes."""
    if value is ABSENT:
        return "(none)"
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _VALUE)


def _row(change: Change) -> tuple[str, ...]:
    return code(change.name), code(_value(change.before)), code(_value(change.after))


def _pair(change: Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after}
    return {"name": change.name, **{side: value for side, value in values.items() if value is not ABSENT}}


def _recorded(row: Row) -> Row:
    """A finding of a table, whose samples are records."""
    names = {name: row[name] for name in ("id", "witness", "witness_before") if row.get(name) is not None}
    return {**row, **{name: f"record {sample}" for name, sample in names.items()}}


def _verdict(row: Row) -> str:
    return verdict_line(row).strip()


def _alteration(row: Row) -> str:
    """What is otherwise now about a finding."""
    parts = [
        f"{name} {_value(row[f'{name}_before'])} -> {_value(row[name])}"
        for name in ("action", "witness", "suggested")
        if row[name] != row[f"{name}_before"]
    ]
    return f"{printable(row['id'])}: {printable(row['reason'])}: {'; '.join(parts)}"
