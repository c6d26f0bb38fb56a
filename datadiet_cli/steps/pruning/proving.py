"""What pruning changed: figures at each stage, costs, layers, and how long it takes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli.steps.pruning.case import Case
from datadiet_cli.steps.pruning.judging import figures
from datadiet_cli.steps.pruning.schedules import Course

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model

BATCHES = (1, 16)


def stages_of(case: Case, dense: "Model", course: Course) -> dict[str, Any]:
    """How good the model was on the test samples: dense, straight after pruning, and after each thing that heals."""
    states = {"pruned": course.pruned, "recalibrated": course.recalibrated, "fine_tuned": course.healed}
    found = {"dense": figures(case, dense, case.division.test)}
    for name, state in states.items():
        if state is not None:
            found[name] = figures(case, state.model, case.division.test)
    return found


def cost_of(case: Case, model: "Model") -> dict[str, Any]:
    """What a model costs, but for its time: the same in each run."""
    from datadiet_cli.nn.cost import bytes_of, parameters
    from datadiet_cli.nn.cost_macs import effective_macs, macs

    count, size = parameters(model), bytes_of(model.state_dict())
    return {
        "parameters": count.total,
        "nonzero": count.nonzero,
        "macs": macs(model, case.examples),
        "macs_nonzero": effective_macs(model, case.examples),
        "bytes": size.raw,
        "compressed": size.compressed,
    }


def layers_of(case: Case, dense: "Model", pruned: "Model") -> list[dict[str, Any]]:
    """Each layer before and after."""
    from datadiet_cli.nn.cost_macs import layers

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


def timed(case: Case, models: Mapping[str, "Model"], sessions: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Time models side by side, and what of them runs elsewhere.

    Args:
        case: has samples, and says where and by how many threads.
        models: by name.
        sessions: by name, callables that take the same inputs on the CPU.
    """
    from datadiet_cli.nn.cost import latency
    from datadiet_cli.nn.device import to_device

    for model in models.values():
        model.to(case.device)
    try:
        inputs = to_device(case.examples, case.device)
        given = {**dict.fromkeys(models, inputs), **dict.fromkeys(sessions, case.examples)}
        found = latency({**models, **sessions}, given, batches=BATCHES, threads=case.settings.threads)
    finally:
        for model in models.values():
            model.to("cpu")
    return {name: [one.as_json() for one in each] for name, each in found.items()}


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
