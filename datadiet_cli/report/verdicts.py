"""Steps with what came of them, and their verdicts as rows: for JSON as lists, for Parquet as a frame."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.quiet import sound_parquet
from datadiet_cli.data.wording import text_column
from datadiet_cli.outcome import FOREIGN, Outcome, Verdicts

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
SLICE = 16_384
"""Verdicts that are in hand at a time."""


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
    """Verdicts of all steps as rows, made when asked for, slice by slice."""

    def __init__(self, after: Dataset, results: Sequence[StepResult]) -> None:
        # The last source knows every sample there ever was, those that were made among them.
        self._dataset, self._results = after, results

    def __len__(self) -> int:
        return sum(len(result.outcome.verdicts) for result in self._results)

    def slices(self) -> Iterator[dict[str, list[Any]]]:
        """The table of verdicts in parts of at most `SLICE` rows: a list each column."""
        for number, result in enumerate(self._results):
            for part, ids, witnesses in self._parts(result):
                yield {
                    "step": [result.name] * len(part),
                    "step_number": [number] * len(part),
                    "id": ids,
                    "action": [str(action) for action in part.action],
                    "reason": part.reason.tolist(),
                    "score": _numbers(part.score),
                    "threshold": _numbers(part.threshold),
                    "witness": witnesses,
                    "detail": part.detail.tolist(),
                    "evidence": part.evidence.tolist(),
                }

    def frame(self) -> "pl.DataFrame":
        """The table of verdicts for a Parquet file."""
        import polars as pl

        parts = [self._empty()]
        for number, result in enumerate(self._results):
            step = [pl.lit(result.name).alias("step"), pl.lit(number, dtype=pl.Int32).alias("step_number")]
            for part, ids, witnesses in self._parts(result):
                columns = [
                    text_column("id", ids),
                    pl.Series("action", part.action.tolist(), dtype=pl.String),
                    pl.Series("reason", part.reason.tolist(), dtype=pl.String),
                    pl.Series("score", part.score).fill_nan(None),
                    pl.Series("threshold", part.threshold).fill_nan(None),
                    text_column("witness", witnesses),
                    text_column("detail", part.detail.tolist()),
                    text_column("evidence", [e if e is None else json.dumps(e) for e in part.evidence.tolist()]),
                ]
                parts.append(pl.DataFrame(columns).with_columns(step).select(VERDICT_COLUMNS))
        return pl.concat(parts)

    def parquet(self) -> bytes:
        """The verdicts as a Parquet file."""
        buffer = BytesIO()
        self.frame().write_parquet(buffer, row_group_size=SLICE)
        return buffer.getvalue()

    def listed(self) -> list[dict[str, Any]]:
        """The verdicts as JSON objects."""
        return [
            dict(zip(columns, row, strict=True))
            for columns in self.slices()
            for row in zip(*columns.values(), strict=True)
        ]

    def _parts(self, result: StepResult) -> Iterator[tuple[Verdicts, list[str], list[str | None]]]:
        """The verdicts of a step in parts, each with the names of its samples and of their witnesses."""
        verdicts = result.outcome.verdicts
        # The names in a column of a table cost a reading of it.
        most = max(1, len(verdicts)) if getattr(self._dataset.source, "id_column", None) is not None else SLICE
        for begin in range(0, len(verdicts), most):
            block = _between(verdicts, begin, begin + most)
            ids = self._dataset.source.ids(block.sample)
            witnesses = names_of(self._dataset, result.outcome, block.witness)
            for start in range(0, len(block), SLICE):
                end = start + SLICE
                yield _between(block, start, end), ids[start:end], witnesses[start:end]

    def _empty(self) -> "pl.DataFrame":
        import polars as pl

        types = dict.fromkeys(VERDICT_COLUMNS, pl.String())
        return pl.DataFrame(
            schema={**types, "step_number": pl.Int32(), "score": pl.Float64(), "threshold": pl.Float64()}
        )


def _between(verdicts: Verdicts, start: int, end: int) -> Verdicts:
    """Some of the verdicts, as views."""
    return Verdicts(**{name: getattr(verdicts, name)[start:end] for name in Verdicts.__dataclass_fields__})


def table_rows(path: str) -> Iterator[dict[str, list[Any]]]:
    """The rows of a Parquet file in slices: a list each column.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none.
    """
    import polars as pl

    with open(path, "rb") as file:
        table = pl.scan_parquet(file, glob=False)
        for start in range(0, _collected(table.select(pl.len())).item(), SLICE):
            yield _collected(table.slice(start, SLICE)).to_dict(as_series=False)


def _collected(table: "pl.LazyFrame") -> "pl.DataFrame":
    with sound_parquet():
        return table.collect()


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
