"""SARIF 2.1.0 (OASIS, errata 01), as GitHub's code scanning reads it: reasons are rules, findings are results.

GitHub takes 25,000 results of a run, and shows 5,000 of them; the worst come first, and what is left out is said in a
notification. A sample of a folder is a file; a record of a table is a logical place in that file, as the line it begins
in is not known.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from datadiet_cli.outcome import Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.report.formats.findings import (
    FINDINGS,
    LEVELS,
    Places,
    Row,
    counted,
    findings_of,
    gate_words,
    in_counts,
    message,
    where_all,
)
from datadiet_cli.report.html.base import plain

if TYPE_CHECKING:
    import polars as pl

MOST = 25_000
"""Results that GitHub takes of one run."""
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
_SPELLED = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def sarif(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Iterator[str]:
    """A log of one run. What a baseline lists is there as suppressed."""
    findings = findings_of(verdicts, (*FINDINGS, Action.ACCEPT))
    shown, left = _worst(findings)
    rules = _rules(shown)
    numbers = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {"name": "datadiet", "version": document["datadiet"], "rules": rules}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [_invocation(document, left)],
                "originalUriBaseIds": {_ROOT: {"description": {"text": "the folder that datadiet was run in"}}},
                "columnKind": "unicodeCodePoints",
                "results": [],
            }
        ],
    }
    head, tail = json.dumps(log, indent=2).rsplit("[]", 1)
    yield head + "["
    places, before = Places.of(document), "\n"
    for row in shown.iter_rows(named=True):
        yield before + json.dumps(_result(row, numbers, places))
        before = ",\n"
    yield "]" + tail + "\n"


def _worst(findings: "pl.DataFrame") -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """The findings that are told, the worst first, and those that are not."""
    import polars as pl

    ranked = findings.sort(
        pl.col("level").replace_strict(dict(zip(LEVELS, range(3), strict=True))), maintain_order=True
    )
    return ranked.head(MOST), ranked.slice(MOST)


def _rules(findings: "pl.DataFrame") -> list[dict[str, Any]]:
    rules: dict[str, dict[str, Any]] = {}
    for step, reason, level in findings.select("step", "reason", "level").unique(maintain_order=True).iter_rows():
        text = {"text": plain(reasons_of(step).get(reason, reason))}
        rules.setdefault(
            reason,
            {
                "id": reason,
                "shortDescription": text,
                "fullDescription": text,
                "help": {"text": f"`datadiet explain` says of a sample what the verdict of {plain(step)} rests on."},
                "defaultConfiguration": {"level": level},
                "properties": {"tags": ["data", plain(step)]},
            },
        )
    return [rules[reason] for reason in sorted(rules)]


def _invocation(document: Mapping[str, Any], left: "pl.DataFrame") -> dict[str, Any]:
    """How the run went: gates that failed, and findings that are not told, are notifications."""
    started, seconds = float(document["run"]["started"]), float(document["run"]["seconds"])
    notes = [_notification("error", gate_words(gate)) for gate in document["gates"] if not gate["passed"]]
    if len(left):
        words = f"{in_counts(counted(left))} are not among these results, of which there are at most {MOST:,}"
        notes.append(_notification("warning", f"{words}; {where_all(document)}"))
    return {
        # An exit code other than 0 says what was found, not that the tool failed.
        "executionSuccessful": True,
        "exitCode": document["exit_code"],
        "startTimeUtc": _time(started),
        "endTimeUtc": _time(started + seconds),
        "toolExecutionNotifications": notes,
    }


def _notification(level: str, words: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": _message(words)}}


def _result(row: Row, numbers: Mapping[str, int], places: Places) -> dict[str, Any]:
    digest = blake2b(f"{row['reason']}\0{row['id']}".encode(), digest_size=16).hexdigest()
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": _artifact(places.path(row["id"]))}}
    if places.is_table:
        place["logicalLocations"] = [{"name": plain(row["id"]), "kind": "record"}]
    accepted = row["action"] == str(Action.ACCEPT)
    return {
        "ruleId": row["reason"],
        "ruleIndex": numbers[row["reason"]],
        "level": row["level"],
        "message": {"text": _message(f"{places.name(row['id'])}: {message(row, places)}")},
        "locations": [place],
        # The name that GitHub knows: what else it would make of lines that are none.
        "partialFingerprints": {"primaryLocationLineHash": f"{digest}:1"},
        **({"suppressions": [{"kind": "external", "status": "accepted"}]} if accepted else {}),
    }


def _artifact(path: str) -> dict[str, str]:
    # The table of verdicts spells bytes that are no UTF-8 as escapes; a URI has the bytes themselves.
    real = os.fsencode(_SPELLED.sub(lambda spelled: chr(int(spelled[1], 16)), path))
    uri = quote_from_bytes(real, safe="/")
    return {"uri": f"file://{uri}"} if os.path.isabs(path) else {"uri": uri, "uriBaseId": _ROOT}


def _message(text: str) -> str:
    """A text that has no links and no placeholders in it (SARIF 2.1.0, sections 3.11.5 and 3.11.6)."""
    return re.sub(r"[\\\[\]]", r"\\\g<0>", text).replace("{", "{{").replace("}", "}}")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
