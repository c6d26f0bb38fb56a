"""Make a model smaller, heal it, and prove by test samples what it lost."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datadiet_cli import __version__
from datadiet_cli.config.base import percentage
from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Brake, Outcome
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.pruning.arms import arms_of, courses_of, origin_of
from datadiet_cli.steps.pruning.case import HEAD, STEP, Case, case_of
from datadiet_cli.steps.pruning.checks import check
from datadiet_cli.steps.pruning.cutting import Ranking, ranked
from datadiet_cli.steps.pruning.healing import Healer, gentle_recipe, own_recipe
from datadiet_cli.steps.pruning.judging import compared
from datadiet_cli.steps.pruning.proving import cost_of, layers_of, notes_of, stages_of
from datadiet_cli.steps.pruning.schedules import Course
from datadiet_cli.steps.pruning.searching import unresolved
from datadiet_cli.steps.pruning.sensitivity import measured_alone, table_of
from datadiet_cli.steps.pruning.timing import timed
from datadiet_cli.steps.teaching.lessons import Place, resumable
from datadiet_cli.transformfile import transform_files

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model

FOLDER = ".pruned"
BATCHES = (1, 16)
"""Samples at a time that models are timed with."""
LAYERS, SENSITIVITY = ".layers.csv", ".sensitivity.csv"


def run(dataset: Dataset, settings: PruneModel, context: Context) -> Outcome:
    """Prune a model and give its folder.

    Raises:
        ConfigError: the settings do not fit the model or the data, or a training diverges.
        InputError: the model cannot be read or pruned, or the target cannot be reached.
        MissingExtraError: what reads the samples, or writes ONNX, is not installed.
        DatadietError: memory ran out.
    """
    if settings.onnx:
        from datadiet_cli.nn.onnxfile import need_onnx

        need_onnx()
    check(settings)
    case = case_of(dataset, settings, context)
    with Place(STEP, [_key(case)], context) as place, resumable(context):
        return _pruned(case, Healer(case, place))


def _key(case: Case) -> str:
    """Of what the trainings of a run have in common; each one's checkpoint knows its weights besides."""
    told = (__version__, case.settings.model_dump_json(), case.spec.as_json(), case.material.digest)
    return f"{told} {case.context.seed} {case.context.device}"


def _pruned(case: Case, healer: Healer) -> Outcome:
    settings = case.settings
    origin, first = origin_of(case, healer)
    ranking = ranked(case, origin, settings.criterion, case.context.seed)
    courses, target, brakes = courses_of(case, healer, ranking)
    course = courses[0]
    arms, taken, seen = arms_of(case, healer, ranking, courses, first)
    costs = {"dense": cost_of(case, case.model), "pruned": cost_of(case, course.final.model)}
    block = _compared(case, arms, taken, seen, costs)
    rows = layers_of(case, case.model, course.final.model)
    artefacts = {LAYERS: table_of(rows)}
    alone = measured_alone(case, healer, ranking) if settings.sensitivity else None
    if alone is not None:
        artefacts[SENSITIVITY] = table_of(alone)
    written, folder = _written(case, course)
    whole = _whole(ranking)
    notes = [*case.material.notes, *case.division.notes, *notes_of(case, course, whole), *block["notes"]]
    metrics = {
        **_asked(case, target),
        "gone": course.final.gone,
        "costs": costs,
        "stages": stages_of(case, case.model, course),
        "epochs": course.epochs,
        "regularised": None if first is None else {"penalty": settings.regularise, "epochs": first.epochs},
        "rounds": list(course.rounds),
        "layers": rows,
        "whole": whole,
        "sensitivity": alone,
        "files": written,
        "protocols": {"pruning": block},
        "notes": [*notes, *unresolved(target), *_said_of_random(block)],
    }
    models = {"before": case.model, "after": course.final.model}
    latency = timed(case, models, BATCHES, _sessions(case, folder))
    timings = {
        "training": {"pruning": {name: [round(s, 3) for s in each] for name, each in taken.items()}},
        "latency": {name: [one.as_json() for one in each] for name, each in latency.items()},
    }
    return Outcome(
        case.material.unreadable(case.context),
        metrics,
        brakes=[*brakes, *_gates(case, costs, block)],
        artefacts=artefacts,
        folders={FOLDER: folder},
        figures=block["figures"],
        timings=timings,
    )


def _compared(
    case: Case, arms: "Mapping[str, Sequence[Model]]", taken: Any, seen: Any, costs: dict[str, Any]
) -> dict[str, Any]:
    try:
        block = compared(case, arms, taken, seen)
    except ValueError as error:
        where = case.material.dataset.source.path
        raise InputError(f"{STEP}: {where}: the test samples tell no difference: {error}") from error
    for name, one in (("before", costs["dense"]), ("after", costs["pruned"])):
        block["arms"][name]["cost"] |= one
    return block


def _asked(case: Case, target: dict[str, Any]) -> dict[str, Any]:
    """What was to be done, and with what."""
    settings, recipe = case.settings, gentle_recipe(case)
    return {
        "model": case.spec.model,
        "task": case.material.goal.task,
        "classes": list(case.spec.classes),
        "criterion": settings.criterion,
        "structure": settings.structure,
        "schedule": settings.schedule,
        "target": target,
        "learned_from": len(case.division.train),
        "validation_samples": len(case.division.validation),
        "test_samples": len(case.division.test),
        "recipe": None if recipe is None else recipe.as_json(),
    }


def _whole(ranking: Ranking) -> dict[str, str]:
    """Layers that stay whole, but for the last one, of which that is no news."""
    found = {} if ranking.known is None else ranking.known.structure.whole
    return {name: why for name, why in found.items() if name != HEAD}


def _said_of_random(block: dict[str, Any]) -> list[str]:
    against = block["differences"].get("random")
    if against is None or against["verdict"]["lower"] > 0:
        return []
    if against["verdict"]["difference"] <= 0:
        return ["the criterion did not beat random choice: training healed what was left, whatever went"]
    return ["that the criterion beats random choice is not proved by so few test samples"]


def _gates(case: Case, costs: dict[str, Any], block: dict[str, Any]) -> list[Brake]:
    """That something went, and the gates that were asked for."""
    settings = case.settings
    gone = costs["dense"]["nonzero"] - costs["pruned"]["nonzero"]
    found = [Brake("pruned", ">= 1 weight", gone, passed=gone > 0)]
    if settings.max_drop is not None:
        value = block["figures"]["accuracy_drop"]
        limit = f"<= {percentage(settings.max_drop)}"
        found.append(Brake("max_drop", limit, value, passed=value <= settings.max_drop))
    if settings.beat_random:
        against = block["differences"].get("random")
        lower = 0.0 if against is None else against["verdict"]["lower"]
        found.append(Brake("beat_random", "> 0%", lower, passed=lower > 0))
    return found


def _written(case: Case, course: Course) -> tuple[dict[str, Any], str]:
    """A folder with the model, and how far its files are from the model in memory."""
    from datadiet_cli.nn.modelfile import save

    folder = case.context.new_folder()
    recipe = own_recipe(case).as_json()
    told = {"pruned_by": case.settings.criterion, "structure": case.settings.structure, "gone": course.final.gone}
    try:
        description = save(
            folder,
            course.final.model,
            case.spec,
            examples=case.examples,
            extra={"recipe": recipe, "pruning": told},
            fresh=True,
            loader=True,
            onnx=case.settings.onnx,
        )
    except ValueError as error:
        raise InputError(f"{STEP}: {case.named}: {error}") from error
    if case.known.transform is not None:
        for ending, content in transform_files([case.known.transform], case.material.dataset.kind).items():
            write_atomically(os.path.join(folder, f"vectors{ending}"), content)
    return {"differences": description["differences"]}, folder


def _sessions(case: Case, folder: str) -> dict[str, Any]:
    """The pruned model in ONNX Runtime, if it was written."""
    if not case.settings.onnx:
        return {}
    from datadiet_cli.nn.onnxfile import ort_session

    return {"after in ONNX Runtime": ort_session(os.path.join(folder, "model.onnx"), case.settings.threads)}
