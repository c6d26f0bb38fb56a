"""How much each layer minds: pruned alone, with all others as they are."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from datadiet_cli.steps.pruning.case import Case
from datadiet_cli.steps.pruning.cutting import Ranking, lone
from datadiet_cli.steps.pruning.healing import Healer
from datadiet_cli.steps.pruning.judging import figures

SHARES = (0.3, 0.5, 0.7)


def measured_alone(case: Case, healer: Healer, ranking: Ranking) -> list[dict[str, Any]]:
    """Prune each group of channels, or each layer's weights, alone, and measure what is left.

    Returns:
        For each and for each of `SHARES`: ``layer``, ``share``, and the main figure straight after pruning and with
        batch norms estimated again, by the validation samples, or those of the test where there are none.
    """
    rows = case.division.validation if len(case.division.validation) else case.division.test
    names = list(ranking.units) if ranking.known is not None else list(case.tensors)
    found = []
    for name in names:
        for share in SHARES:
            state = lone(case, ranking, name, share)
            again = healer.reestimated(state)
            main = "accuracy" if case.spec.classes else "r2"
            found.append(
                {
                    "layer": name,
                    "share": share,
                    f"{main}_pruned": figures(case, state.model, rows)[main],
                    f"{main}_recalibrated": None if again is None else figures(case, again.model, rows)[main],
                }
            )
    return found


def table_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows of a table as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return buffer.getvalue().encode("utf-8", "surrogateescape")
