"""What all samples scored: histograms for the report, and the samples that were only just not found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.methods.histogram import Side, closest, drawn
from datadiet_cli.outcome import NO_WITNESS, Action, Verdicts

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST = 12
"""Histograms of a run of the step."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What samples scored that were looked at for one reason.

    Attributes:
        found: how many of them have it.
        histogram: of the scores, as the report has it; None where no sample has a score.
        calls: the samples that were only just not found, the nearest first: row, and the call as the report has it.
    """

    found: int
    histogram: Mapping[str, Any] | None
    calls: Sequence[tuple[int, Mapping[str, Any]]] = ()


def scored(
    dataset: Dataset,
    reason: str,
    unit: str,
    places: Ints,
    score: Floats,
    threshold: float | None,
    side: Side,
    found: Bools,
    open_: Bools | None = None,
) -> tuple[Scored, Ints]:
    """Describe scores that were held against one threshold, which is no finding itself.

    Args:
        dataset: the dataset.
        reason: the code of what was looked for.
        unit: words for the axis.
        places: (n,) positions in the dataset.
        score: (n,) float64; NaN where there is none.
        threshold: None, or not finite, where nothing could be found.
        side: of the threshold on which findings lie.
        found: (n,) bool.
        open_: (n,) bool, those that could have been found; all of them by default.

    Returns:
        It, with calls that name no witness; and the places of the calls in the arrays.
    """
    limit = np.nan if threshold is None else threshold
    left = ~found if open_ is None else ~found & open_
    calls, chosen = close_calls(dataset, reason, places, score, limit, side, left)
    return Scored(int(found.sum()), drawn(reason, unit, score, threshold, side, inclusive=False), calls), chosen


def close_calls(
    dataset: Dataset, reason: str, places: Ints, score: Floats, threshold: float, side: Side, open_: Bools
) -> tuple[list[tuple[int, Mapping[str, Any]]], Ints]:
    """Samples that were only just not found, as calls that name no witness, and where they are in the arrays.

    Args:
        dataset: the dataset.
        reason: the code of what was looked for.
        places: (n,) positions in the dataset.
        score: (n,) float64; NaN where there is none.
        threshold: not finite where nothing could be found.
        side: of the threshold on which findings lie.
        open_: (n,) bool, those that were not found, though they could have been.
    """
    chosen = closest(score, threshold, side, open_)
    limits = np.full(len(chosen), threshold)
    return calls_of(dataset, reason, dataset.rows[places[chosen]], score[chosen], limits), chosen


def calls_of(
    dataset: Dataset, reason: str, rows: Ints, score: Floats, threshold: Floats, witness: Ints | None = None
) -> list[tuple[int, Mapping[str, Any]]]:
    """Calls as the report has them, each with its row.

    Args:
        dataset: the dataset.
        reason: the code of what was looked for.
        rows: (k,) rows of the samples.
        score: (k,) float64.
        threshold: (k,) float64.
        witness: (k,) rows of the samples that speak against them, `NO_WITNESS` for none.
    """
    names = dataset.source.ids(rows)
    others: list[str | None] = [None] * len(rows)
    if witness is not None:
        there = np.flatnonzero(witness != NO_WITNESS)
        for place, name in zip(there.tolist(), dataset.source.ids(witness[there]), strict=True):
            others[place] = name
    columns = zip(rows.tolist(), names, others, score.tolist(), threshold.tolist(), strict=True)
    return [
        (row, {"reason": reason, "id": name, "witness": other, "score": own, "threshold": limit})
        for row, name, other, own, limit in columns
    ]


def pictured(parts: Sequence[Scored], verdicts: Verdicts) -> dict[str, Any]:
    """The metrics ``histograms`` and ``close_calls``; nothing where nothing was scored.

    Args:
        parts: what was scored, in order.
        verdicts: all of them. A sample that goes for another reason was no close call.
    """
    shown = [one for one in parts if one.histogram is not None]
    if not shown:
        return {}
    # Those with something to see come first.
    ordered = sorted(shown, key=lambda one: (not one.found, not one.calls))
    calls = [call for one in parts for call in one.calls]
    gone = np.isin([row for row, _ in calls], verdicts.sample[verdicts.action == Action.DROP])
    left = [dict(call) for (_, call), dropped in zip(calls, gone.tolist(), strict=True) if not dropped]
    return {"histograms": [dict(one.histogram or {}) for one in ordered[:MOST]], "close_calls": left}
