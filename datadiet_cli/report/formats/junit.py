"""JUnit XML, as Jenkins and GitLab read it: gates are tests, and so are steps.

A gate that failed is a failure. Findings are none, or a diet that works would always be red: a reason with findings is
a case that passed, with the samples in its output. Samples that cannot be read were not looked at: a case that was
skipped.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from datadiet_cli.reasons import reasons_of
from datadiet_cli.report.formats.findings import Places, counted, findings_of, gate_words, message, where_all
from datadiet_cli.report.html.base import plain
from datadiet_cli.report.terminal import printable

if TYPE_CHECKING:
    import polars as pl

SHOWN = 100
"""Samples of a reason that are named."""


def junit(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Iterator[str]:
    """Suites ``gates``, ``steps`` and ``findings``, those that have any case."""
    findings = findings_of(verdicts)
    suites = {
        "gates": [_gate(gate) for gate in document["gates"]],
        "steps": [_step(number, step, document) for number, step in enumerate(document["steps"])],
        "findings": [_reason(reason, count, findings, document) for reason, count in counted(findings)],
    }
    failed = sum(not gate["passed"] for gate in document["gates"])
    skipped = int((findings["level"] == "error").any())
    tests, seconds = sum(map(len, suites.values())), float(document["run"]["seconds"])
    stamp = datetime.fromtimestamp(float(document["run"]["started"]), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield _open("testsuites", name=_command(document), tests=tests, failures=failed, errors=0, time=f"{seconds:.3f}")
    for name, cases in suites.items():
        if not cases:
            continue
        yield _open(
            "testsuite",
            name=f"{_command(document)} {name}",
            tests=len(cases),
            failures=failed if name == "gates" else 0,
            errors=0,
            skipped=skipped if name == "findings" else 0,
            time=f"{seconds if name == 'steps' else 0:.3f}",
            timestamp=stamp,
        )
        yield from cases
        yield "</testsuite>\n"
    yield "</testsuites>\n"


def _gate(gate: Mapping[str, Any]) -> str:
    words = gate_words(gate)
    body = "" if gate["passed"] else f'<failure message={_quoted(words)} type="gate">{_text(words)}</failure>\n'
    return _case("gates", f"{plain(gate['name'])} {plain(gate['limit'])}", 0.0, body or _output(words))


def _step(number: int, step: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    lines = [f"samples: {step['samples_in']:,} -> {step['samples_out']:,}"]
    for action, reasons in step["verdicts"].items():
        lines += [f"{plain(action)}: {count:,} {plain(reason)}" for reason, count in reasons.items()]
    seconds = float(document["run"]["steps"][number]["seconds"])
    return _case("steps", f"{number} {step['name']}", seconds, _output("\n".join(lines)))


def _reason(reason: str, count: int, findings: "pl.DataFrame", document: Mapping[str, Any]) -> str:
    import polars as pl

    places = Places.of(document)
    rows = findings.filter(pl.col("reason") == reason).head(SHOWN)
    lines = [f"{places.name(row['id'])}: {message(row, places)}" for row in rows.iter_rows(named=True)]
    lines += [f"and {count - SHOWN:,} more; {where_all(document)}"] if count > SHOWN else []
    words = reasons_of(rows["step"][0]).get(reason, "")
    skipped = (
        f"<skipped message={_quoted(f'{count:,} samples could not be read')}/>\n" if reason == "unreadable" else ""
    )
    told = f"{reason} ({count:,}): {words}" if words else f"{reason} ({count:,})"
    return _case("findings", told, 0.0, skipped + _output("\n".join(lines)))


def _case(suite: str, name: str, seconds: float, body: str) -> str:
    return _open("testcase", classname=f"datadiet.{suite}", name=name, time=f"{seconds:.3f}") + body + "</testcase>\n"


def _open(element: str, **attributes: object) -> str:
    return f"<{element} {' '.join(f'{name}={_quoted(str(value))}' for name, value in attributes.items())}>\n"


def _output(text: str) -> str:
    return f"<system-out>{_text(text)}</system-out>\n"


def _command(document: Mapping[str, Any]) -> str:
    return f"datadiet {document['command']}"


# XML 1.0 has no way to write most control characters, not even as references: they are shown as escapes.
def _quoted(text: str) -> str:
    return quoteattr(printable(text))


def _text(text: str) -> str:
    return escape(printable(text, keep_lines=True))
