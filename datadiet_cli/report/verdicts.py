"""Steps with what came of them, and their verdicts as rows: for JSON as lists, for Parquet as a frame."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.wording import text_column
from datadiet_cli.outcome import FOREIGN, Outcome

if TYPE_CHECKING:
    import polars as pl

VERDICT_COLUMNS = (
    "step",
    "step_number",
    "id",
    "action",
    "reason",
    "score",
    "threshold",
    "witness",
    "detail",
    "evidence",
)


@dataclass(frozen=True)
class StepResult:
    """A step and what came of it.

    Attributes:
        name: the step.
        settings: its effective settings.
        samples_in: samples it was given.
        outcome: its verdicts and metrics.
        seconds: wall time.
        after: the dataset that it left.
        resumed: whether the outcome was remembered from an earlier run.
    """

    name: str
    settings: Mapping[str, Any]
    samples_in: int
    outcome: Outcome
    seconds: float
    after: Dataset
    resumed: bool = False


class Rows:
    """Verdicts of all steps as rows, made when asked for."""

    def __init__(self, after: Dataset, results: Sequence[StepResult]) -> None:
        # The last source knows every sample there ever was, those that were made among them.
        self._dataset, self._results = after, results

    def columns(self) -> dict[str, list[Any]]:
        """The table of verdicts, a list each column."""
        table: dict[str, list[Any]] = {name: [] for name in VERDICT_COLUMNS}
        for number, result in enumerate(self._results):
            verdicts = result.outcome.verdicts
            table["step"] += [result.name] * len(verdicts)
            table["step_number"] += [number] * len(verdicts)
            table["id"] += self._dataset.source.ids(verdicts.sample)
            table["action"] += map(str, verdicts.action)
            table["reason"] += verdicts.reason.tolist()
            table["score"] += _numbers(verdicts.score)
            table["threshold"] += _numbers(verdicts.threshold)
            table["witness"] += names_of(self._dataset, result.outcome, verdicts.witness)
            table["detail"] += verdicts.detail.tolist()
            table["evidence"] += verdicts.evidence.tolist()
        return table

    def frame(self) -> "pl.DataFrame":
        """The table of verdicts for a Parquet file."""
        import polars as pl

        parts = []
        for number, result in enumerate(self._results):
            verdicts = result.outcome.verdicts
            columns = [
                text_column("id", self._dataset.source.ids(verdicts.sample)),
                pl.Series("action", verdicts.action.tolist(), dtype=pl.String),
                pl.Series("reason", verdicts.reason.tolist(), dtype=pl.String),
                pl.Series("score", verdicts.score).fill_nan(None),
                pl.Series("threshold", verdicts.threshold).fill_nan(None),
                text_column("witness", names_of(self._dataset, result.outcome, verdicts.witness)),
                pl.Series("detail", verdicts.detail.tolist(), dtype=pl.String),
                text_column("evidence", [e if e is None else json.dumps(e) for e in verdicts.evidence.tolist()]),
            ]
            step = [pl.lit(result.name).alias("step"), pl.lit(number, dtype=pl.Int32).alias("step_number")]
            parts.append(pl.DataFrame(columns).with_columns(step).select(VERDICT_COLUMNS))
        return pl.concat(parts)

    def parquet(self) -> bytes:
        """The verdicts as a Parquet file."""
        buffer = BytesIO()
        self.frame().write_parquet(buffer)
        return buffer.getvalue()

    def listed(self) -> list[dict[str, Any]]:
        """The verdicts as JSON objects."""
        columns = self.columns()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def names_of(before: Dataset, outcome: Outcome, codes: NDArray[np.int64]) -> list[str | None]:
    """The names of samples of INPUT and of others, None for no sample."""
    inside = codes >= 0
    if inside.all():
        return list(before.source.ids(codes))
    names: list[str | None] = [None] * len(codes)
    for position, name in zip(np.flatnonzero(inside), before.source.ids(codes[inside]), strict=True):
        names[position] = name
    for place in np.flatnonzero(codes <= FOREIGN).tolist():
        names[place] = outcome.foreign[FOREIGN - int(codes[place])]
    return names


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
