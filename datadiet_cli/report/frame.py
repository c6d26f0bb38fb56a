"""The verdicts of a report as one table, from wherever they are."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.data.mirror import local
from datadiet_cli.data.quiet import sound_parquet
from datadiet_cli.data.wording import text_column
from datadiet_cli.report.verdicts import VERDICT_COLUMNS, Rows

if TYPE_CHECKING:
    import polars as pl


def verdict_frame(document: Mapping[str, Any], report: str | None) -> "pl.DataFrame":
    r"""All verdicts of a report, in its order.

    Args:
        document: of a run, or read from a file.
        report: that file, which may name another one beside it; None for a document of a run.

    Returns:
        columns `VERDICT_COLUMNS`: texts, but ``step_number`` (integer), ``score`` and ``threshold`` (float64, null for
        none). ``evidence`` is JSON, or null. Bytes that are not UTF-8 are spelled as escapes (``\\udcXX``).

    Raises:
        OSError: the file beside the report cannot be read.
        ValueError: the verdicts are damaged.
    """
    import polars as pl

    rows, named = document["verdicts"], document["verdicts_file"]
    if isinstance(rows, Rows):
        return rows.frame()
    if named is not None:
        path = os.path.join(os.path.dirname(report or ""), os.path.basename(named))
        with open(local(path), "rb") as file, sound_parquet():
            return pl.read_parquet(file).select(VERDICT_COLUMNS)
    return _of(rows)


def _of(rows: Sequence[Mapping[str, Any]]) -> "pl.DataFrame":
    import polars as pl

    def texts(name: str) -> list[str | None]:
        return [row[name] for row in rows]

    def numbers(name: str) -> "pl.Series":
        return pl.Series(name, [row[name] for row in rows], dtype=pl.Float64, strict=False)

    return pl.DataFrame(
        [
            text_column("step", texts("step")),
            pl.Series("step_number", [row["step_number"] for row in rows], dtype=pl.Int32),
            *(text_column(name, texts(name)) for name in ("id", "action", "reason")),
            numbers("score"),
            numbers("threshold"),
            *(text_column(name, texts(name)) for name in ("witness", "detail")),
            text_column("evidence", [None if row["evidence"] is None else json.dumps(row["evidence"]) for row in rows]),
        ]
    )
