"""What was compared, in a report and out of it again."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.outcome import FOREIGN, Comparisons, Outcome, Verdicts
from datadiet_cli.report.verdicts import SLICE

COLUMNS = ("id", "other", "distance", "agreement", "confirmed", "rank", "other_rank")
_PLAIN = ("threshold", "reach", "threshold_name", "floor_name", "similar", "complete")


def told(comparisons: Comparisons, ids: Sequence[str], others: Sequence[str | None]) -> dict[str, Any]:
    """Comparisons as JSON values, the pairs as rows of `COLUMNS`.

    Args:
        comparisons: p pairs.
        ids: p names of the one sample.
        others: p names of the other.
    """
    agreement = [None if value != value else value for value in comparisons.agreement.tolist()]
    columns = (
        ids,
        others,
        comparisons.distance.tolist(),
        agreement,
        comparisons.confirmed.tolist(),
        comparisons.sample_rank.tolist(),
        comparisons.other_rank.tolist(),
    )
    return {
        **{name: getattr(comparisons, name) for name in _PLAIN},
        "floor": comparisons.floor if np.isfinite(comparisons.floor) else None,
        "count": len(comparisons),
        "file": None,
        "columns": list(COLUMNS),
        "pairs": [list(row) for row in zip(*columns, strict=True)],
    }


def to_parquet(pairs: Sequence[Sequence[Any]]) -> bytes:
    """The rows of many pairs as a Parquet file."""
    import polars as pl

    buffer = BytesIO()
    table = pl.DataFrame(list(pairs), schema=list(COLUMNS), orient="row", infer_schema_length=None)
    table.write_parquet(buffer, row_group_size=SLICE)
    return buffer.getvalue()


def restored(block: Mapping[str, Any], pairs: Sequence[Sequence[Any]], row_of: Mapping[str, int]) -> Outcome:
    """An outcome without verdicts, with the comparisons of a report.

    Args:
        block: what `told` made.
        pairs: its rows, from wherever they are.
        row_of: the row of every sample in INPUT; a name that is not there is foreign.
    """
    names = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    foreign = sorted({name for column in names for name in column if name not in row_of})
    code = {name: FOREIGN - i for i, name in enumerate(foreign)} | dict(row_of)

    def column(place: int, dtype: type) -> NDArray[Any]:
        return np.array([np.nan if pair[place] is None else pair[place] for pair in pairs], dtype=dtype)

    comparisons = Comparisons(
        sample=np.array([code[name] for name in names[0]], dtype=np.int64),
        other=np.array([code[name] for name in names[1]], dtype=np.int64),
        distance=column(2, np.float64),
        agreement=column(3, np.float64),
        confirmed=column(4, np.int8),
        sample_rank=column(5, np.int64),
        other_rank=column(6, np.int64),
        floor=-np.inf if block["floor"] is None else float(block["floor"]),
        **{name: block[name] for name in _PLAIN},
    )
    return Outcome(Verdicts.join([]), foreign=tuple(foreign), comparisons=comparisons)
