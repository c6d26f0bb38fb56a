"""Reports made by hand, of any size and with any texts in them."""

from typing import Any

import polars as pl

from datadiet_cli.report.frame import verdict_frame


def verdict(id: str, reason: str = "duplicate", action: str = "drop", **changes: Any) -> dict[str, Any]:
    """A verdict of dedup, with changes."""
    row = {
        "step": "dedup",
        "step_number": 1,
        "id": id,
        "action": action,
        "reason": reason,
        "score": 2.0,
        "threshold": 12.0,
        "witness": None,
        "detail": None,
        "evidence": None,
    }
    return {**row, **changes}


def document(rows: list[dict[str, Any]], kind: str = "image", **changes: Any) -> dict[str, Any]:
    """A report with these verdicts, with changes."""
    verdicts: dict[str, dict[str, int]] = {}
    for row in rows:
        of_action = verdicts.setdefault(row["action"], {})
        of_action[row["reason"]] = of_action.get(row["reason"], 0) + 1
    census = {"samples": 1000, "bytes": 5000, "classes": {"cat": 600, "dog": 400}, "splits": {}, "fingerprint": "0f"}
    figures = ("removed", "samples", "added", "relabelled", "imputed", "flagged", "unreadable")
    step = {"settings": {}, "samples_in": 1000, "samples_out": 900, "metrics": {}}
    made = {
        "report_version": 1,
        "datadiet": "1.0",
        "command": "dedup",
        "exit_code": 0,
        "published": True,
        "input": {"path": "in.csv" if kind == "row" else "in", "kind": kind, "layout": "flat folder", **census},
        "output": {"path": "out", "what": "dataset", **census, "samples": 900},
        "figures": dict.fromkeys(figures, 0),
        "settings": {"seed": 0},
        "steps": [
            {**step, "name": "open", "verdicts": {}, "samples_out": 1000},
            {**step, "name": "dedup", "verdicts": verdicts, "settings": {"max_distance": 12}},
        ],
        "comparisons": None,
        "gates": [],
        "verdicts_count": len(rows),
        "verdicts_file": None,
        "verdicts": rows,
        "columns": [],
        "artefacts": [],
        "environment": {},
        "run": {"started": 1.7e9, "seconds": 2.5, "steps": [{"seconds": 0.5}, {"seconds": 2.0}]},
    }
    return {**made, **changes}


def frame(made: dict[str, Any]) -> pl.DataFrame:
    """The verdicts of such a report."""
    return verdict_frame(made, None)
