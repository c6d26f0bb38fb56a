"""JSON, a value a line: the run, then its gates, then the verdicts on columns and on samples."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_LISTED = ("gates", "columns", "verdicts", "verdicts_file", "comparisons")
"""Keys of a report that get lines of their own, or are only of use to replay a decision."""
_SLICE = 16_384


def json_lines(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Iterator[str]:
    """A line of ``kind`` run, a line for each gate, column and verdict, in that order. ASCII only."""
    yield _line("run", {name: value for name, value in document.items() if name not in _LISTED})
    for gate in document["gates"]:
        yield _line("gate", gate)
    for column in document["columns"]:
        yield _line("column", column)
    for part in verdicts.iter_slices(_SLICE):
        yield "".join(_verdict(row) for row in part.iter_rows(named=True))


def _verdict(row: dict[str, Any]) -> str:
    evidence = row["evidence"]
    return _line("verdict", {**row, "evidence": None if evidence is None else json.loads(evidence)})


def _line(kind: str, values: Mapping[str, Any]) -> str:
    return json.dumps({"kind": kind, **values}) + "\n"
