"""Which charts a report has."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datadiet_cli.report.html.base import Graph
from datadiet_cli.report.html.charts.base import inner
from datadiet_cli.report.html.graphs_choice import choice_graphs
from datadiet_cli.report.html.graphs_features import feature_graph
from datadiet_cli.report.html.graphs_groups import group_graph, sizes_of
from datadiet_cli.report.html.graphs_model import latency_graph, model_graphs
from datadiet_cli.report.html.graphs_proof import proof_graphs
from datadiet_cli.report.html.graphs_scores import score_graphs
from datadiet_cli.report.html.graphs_training import training_graphs

Beside = Callable[[str], bytes | None]
"""Gives the content of a file beside OUTPUT by its ending, such as ``.layers.csv``; None where there is none."""


def graphs_of(document: Mapping[str, Any], number: int, beside: Beside | None = None) -> list[Graph]:
    """All charts that a step has numbers for.

    Args:
        document: a report; one of another version has the charts of the numbers that are known.
        number: of the step.
        beside: gives files beside OUTPUT; None where nobody looks.
    """
    step = document["steps"][number]
    metrics = step.get("metrics") or {}
    ran: Sequence[Any] = inner(document, "run", "steps") or []
    timings = inner(ran[number], "timings") if number < len(ran) else None
    groups = sizes_of(metrics.get("groups"))
    found = [
        group_graph("Groups before and after", groups, "groups"),
        feature_graph(document.get("columns"), number, metrics),
        *choice_graphs(metrics),
        *training_graphs(metrics),
        *model_graphs(metrics, beside or (lambda _ending: None)),
        *proof_graphs(metrics),
        latency_graph(inner(timings, "latency")),
        *score_graphs(metrics, step.get("verdicts")),
    ]
    return [graph for graph in found if graph is not None]


def overview_of(document: Mapping[str, Any]) -> list[Graph]:
    """The charts at the head of the page: what became of classes and splits."""
    found = []
    for key in ("classes", "splits"):
        before, after = (inner(document, side, key) for side in ("input", "output"))
        if isinstance(before, Mapping):
            later = after if isinstance(after, Mapping) else before
            sizes = {name: {"before": before.get(name, 0), "after": later.get(name, 0)} for name in {**before, **later}}
            found.append(group_graph(f"{key.capitalize()} before and after", sizes_of(sizes), key, unchanged=True))
    return [graph for graph in found if graph is not None]
