"""A chart of the features that a step scored: which were kept, and how they scored."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph, plain
from datadiet_cli.report.html.charts.base import count, finite, inner
from datadiet_cli.report.html.charts.rows import Pair, bars

MOST = 30
"""Features that have a bar."""


def feature_graph(columns: Any, number: int, metrics: Mapping[str, Any]) -> Graph | None:
    """Scores of a step's features, the highest first; filled where they were kept.

    Args:
        columns: those of the report.
        number: of the step.
        metrics: of the step.
    """
    several = isinstance(columns, Sequence) and not isinstance(columns, str)
    found = [
        (score, str(inner(column, "column")), inner(column, "action") == "keep")
        for column in (columns if several else ())
        if inner(column, "step_number") == number
        and (score := finite(inner(column, "score"))) is not None
        and score >= 0
    ]
    if not any(score for score, _, _ in found):
        return None
    order = sorted(found, key=lambda one: (-one[0], one[1]))
    pairs = [Pair(name, score, score if kept else 0.0, count(score)) for score, name, kept in order[:MOST]]
    unit = str(metrics.get("score_unit") or "")
    title = f"Scores of features, {plain(unit)}" if unit else "Scores of features"
    rest = order[MOST:]
    words = ""
    if rest:
        kept = sum(one[2] for one in rest)
        words = f"And {len(rest):,} more with lower scores, of which {kept:,} were kept."
    return Graph(title, bars(title, pairs, legend=("dropped", "kept")), words)
