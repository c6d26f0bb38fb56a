"""What pruning changed: figures at each stage, costs, layers, and how long it takes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.steps.pruning.case import Case
from datadiet_cli.steps.pruning.judging import figures, said_of
from datadiet_cli.steps.pruning.schedules import Course
from datadiet_cli.steps.teaching.results import costs_of, curve_of

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model


def stages_of(case: Case, dense: "Model", course: Course) -> dict[str, Any]:
    """How good the model was on the test samples: dense, straight after pruning, and after each thing that heals."""
    states = {"pruned": course.pruned, "recalibrated": course.recalibrated, "fine_tuned": course.healed}
    models = {"dense": dense, **{name: state.model for name, state in states.items() if state is not None}}
    rows, classes = case.division.test, case.spec.classes
    return {
        name: {**figures(case, model, rows), **curve_of(said_of(case, model, rows), case.material, rows, classes)}
        for name, model in models.items()
    }


def cost_of(case: Case, model: "Model") -> dict[str, Any]:
    """What a model costs, but for its time: the same in each run."""
    from datadiet_cli.nn.cost import effective_macs

    return {**costs_of(model, case.examples), "macs_nonzero": effective_macs(model, case.examples)}


def layers_of(case: Case, dense: "Model", pruned: "Model") -> list[dict[str, Any]]:
    """Each layer before and after."""
    from datadiet_cli.nn.cost import layers

    after = {layer.name: layer for layer in layers(pruned, case.examples)}
    rows = []
    for one in layers(dense, case.examples):
        other = after[one.name]
        rows.append(
            {
                "layer": one.name,
                "kind": one.kind,
                "shape": "x".join(map(str, one.shape)),
                "shape_after": "x".join(map(str, other.shape)),
                "parameters": one.parameters,
                "parameters_after": other.parameters,
                "nonzero_after": other.nonzero,
                "macs": one.macs,
                "macs_after": other.macs,
            }
        )
    return rows


def notes_of(case: Case, course: Course, whole: Mapping[str, str]) -> list[str]:
    """What people should know."""
    from datadiet_cli.nn.pruning.starting import without_start

    settings = case.settings
    notes: list[str] = []
    if settings.structure != "channels":
        notes.append(
            "zeros do not make dense kernels faster: the model takes as long as before, and only a compressed file is "
            "smaller; --structure channels makes it faster"
        )
    if (undrawn := without_start(course.final.model)) and "scratch" in settings.controls:
        notes.append(f"from scratch: {_some(undrawn)} begin near 0, for no layer says how they begin")
    if settings.structure == "n:m":
        notes.append("n:m zeros are faster only by sparse kernels of CUDA, in half precision and in large layers")
    if course.unranked:
        notes.append(f"{settings.criterion} says nothing of {_some(course.unranked)}: they stay whole")
    if whole:
        notes.append(f"layers whose outputs all stay: {_some([f'{name} ({why})' for name, why in whole.items()])}")
    return notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
