"""Make a model smaller, heal it, and prove by test samples what it lost."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datadiet_cli.config.base import percentage
from datadiet_cli.config.prune_model import PruneModel
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Brake, Outcome
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.pruning.amounts import share_for, target_of
from datadiet_cli.steps.pruning.case import HEAD, STEP, Case, case_of
from datadiet_cli.steps.pruning.cutting import Ranking, State, alike, begun, ranked
from datadiet_cli.steps.pruning.healing import Healer, case_is_fresh, gentle_recipe, regularised
from datadiet_cli.steps.pruning.judging import compared
from datadiet_cli.steps.pruning.proving import cost_of, layers_of, notes_of, stages_of, timed
from datadiet_cli.steps.pruning.schedules import Course, finished, from_scratch, run_schedule
from datadiet_cli.steps.pruning.searching import searched, unresolved
from datadiet_cli.steps.pruning.sensitivity import measured_alone, table_of
from datadiet_cli.steps.teaching.lessons import Place, resumable, seed_of
from datadiet_cli.transformfile import transform_files

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model

REASONS = {"unreadable": "the content cannot be read"}
FOLDER = ".pruned"
LAYERS, SENSITIVITY = ".layers.csv", ".sensitivity.csv"


def run(dataset: Dataset, settings: PruneModel, context: Context) -> Outcome:
    """Prune a model and give its folder.

    Raises:
        ConfigError: the settings do not fit the model or the data, or a training diverges.
        InputError: the model cannot be read or pruned, or the target cannot be reached.
        MissingExtraError: what reads the samples, or writes ONNX, is not installed.
        DatadietError: memory ran out.
    """
    case = case_of(dataset, settings, context)
    target_of(case)
    with Place(STEP, [_key(case)], context) as place, resumable(context):
        return _pruned(case, Healer(case, place))


def _key(case: Case) -> str:
    """Of what the trainings of a run have in common; each one's checkpoint knows its weights besides."""
    settings = case.settings.model_dump_json()
    return f"{settings} {case.spec.as_json()} {case.material.digest} {case.context.seed} {case.context.device}"


def _pruned(case: Case, healer: Healer) -> Outcome:
    settings = case.settings
    origin, first = _origin(case, healer)
    ranking = ranked(case, origin, settings.criterion, case.context.seed)
    courses, target, brakes = _courses(case, healer, ranking)
    course = courses[0]
    arms, taken, seen = _arms(case, healer, ranking, courses)
    costs = {"dense": cost_of(case, case.model), "pruned": cost_of(case, course.final.model)}
    rows = layers_of(case, case.model, course.final.model)
    try:
        block = compared(case, arms, taken, seen)
    except ValueError as error:
        where = case.material.dataset.source.path
        raise InputError(f"{STEP}: {where}: the test samples tell no difference: {error}") from error
    for name, one in (("before", costs["dense"]), ("after", costs["pruned"])):
        block["arms"][name]["cost"] |= one
    whole = _whole(ranking)
    notes = [*case.material.notes, *case.division.notes, *notes_of(case, course, whole), *block["notes"]]
    recipe = gentle_recipe(case)
    metrics: dict[str, Any] = {
        "model": case.spec.model,
        "task": case.material.goal.task,
        "classes": list(case.spec.classes),
        "criterion": settings.criterion,
        "structure": settings.structure,
        "schedule": settings.schedule,
        "target": target,
        "gone": course.final.gone,
        "learned_from": len(case.division.train),
        "validation_samples": len(case.division.validation),
        "test_samples": len(case.division.test),
        "costs": costs,
        "stages": stages_of(case, case.model, course),
        "recipe": None if recipe is None else recipe.as_json(),
        "epochs": course.epochs,
        "regularised": first,
        "rounds": list(course.rounds),
        "layers": rows,
        "whole": whole,
        "protocols": {"pruning": block},
    }
    artefacts = {LAYERS: table_of(rows)}
    if settings.sensitivity:
        metrics["sensitivity"] = measured_alone(case, healer, ranking)
        artefacts[SENSITIVITY] = table_of(metrics["sensitivity"])
    written, folder = _written(case, course)
    metrics["files"] = written
    if (few := unresolved(target)) is not None:
        notes.append(few)
    metrics["notes"] = [*notes, *_said_of_random(block)]
    timings = {
        "training": {"pruning": {name: [round(s, 3) for s in each] for name, each in taken.items()}},
        "latency": timed(case, {"before": case.model, "after": course.final.model}, _sessions(case, folder)),
    }
    brakes += _gates(case, costs, block)
    figures = block["figures"]
    verdicts = case.material.unreadable(case.context)
    return Outcome(
        verdicts, metrics, brakes=brakes, artefacts=artefacts, folders={FOLDER: folder}, figures=figures,
        timings=timings,
    )  # fmt: skip


def _origin(case: Case, healer: Healer) -> tuple[State, dict[str, Any] | None]:
    """What is pruned: the dense model, one trained towards small weights, or one that has learned nothing."""
    from datadiet_cli.nn.pruning.starting import fresh

    if case_is_fresh(case):
        return begun(case, fresh(case.model, seed_of(case.context.seed, 0))), None
    state = begun(case, case.model)
    done = regularised(case, healer, state)
    if done is None:
        return state, None
    return done.state, {"penalty": case.settings.regularise, "epochs": done.epochs}


def _courses(case: Case, healer: Healer, ranking: Ranking) -> tuple[list[Course], dict[str, Any], list[Brake]]:
    """The pruned models, a seed each."""
    brakes: list[Brake] = []
    if case.settings.target == "max_accuracy_drop":
        first, target, brakes = searched(case, healer, ranking)
        share = first.final.gone
    else:
        share, target = share_for(case, ranking)
        limited = case.settings.target != "sparsity" or case.settings.sparsity is not None
        first = run_schedule(case, healer, ranking, share, limited=limited, number=0)
    others = [
        finished(case, healer, first.pruned, f"fine-tuning, seed {number + 1}", number)
        for number in range(1, case.settings.seeds)
    ]
    return [first, *others], target, brakes


def _arms(
    case: Case, healer: Healer, ranking: Ranking, courses: list[Course]
) -> tuple[dict[str, list["Model"]], dict[str, list[float]], dict[str, int]]:
    """All models that are compared, the seconds of their trainings, and the samples that they learned from."""
    wanted = [] if "none" in case.settings.controls else case.settings.controls
    arms: dict[str, list[Model]] = {"before": [case.model], "after": [one.final.model for one in courses]}
    taken = {"after": [one.seconds for one in courses]}
    seen = {"after": courses[0].samples_seen}
    anything = courses[0].final.gone > ranking.state.gone
    if "random" in wanted and case.settings.criterion != "random" and anything:
        found = [_random(case, healer, ranking, course, number) for number, course in enumerate(courses)]
        arms["random"] = [one.final.model for one in found]
        taken["random"], seen["random"] = [one.seconds for one in found], found[0].samples_seen
    if "scratch" in wanted and anything:
        made = [from_scratch(case, healer, one.final, one, number) for number, one in enumerate(courses)]
        arms["scratch"] = [one.state.model for one in made]
        taken["scratch"], seen["scratch"] = [one.seconds for one in made], made[0].samples_seen
    return arms, taken, seen


def _random(case: Case, healer: Healer, ranking: Ranking, course: Course, number: int) -> Course:
    """As much gone at random, of the same model, and healed as long."""
    seed = seed_of(case.context.seed, 1000 + number)
    by_chance = ranked(case, ranking.state, "random", seed)
    state = alike(case, by_chance, course.final)
    again = healer.reestimated(state)
    recipe = gentle_recipe(case)
    if recipe is None or not course.epochs:
        return Course(state, again, None, 0, 0, 0.0)
    recipe = replace(recipe, epochs=course.epochs)
    done = healer.trained(again or state, recipe, "control: random", number=number, teacher=True)
    return Course(state, again, done.state, done.epochs, done.samples_seen, done.seconds)


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
    told = {"pruned_by": case.settings.criterion, "structure": case.settings.structure, "gone": course.final.gone}
    try:
        description = save(
            folder, course.final.model, case.spec, examples=case.examples, extra={"pruning": told}, fresh=True,
            loader=True, onnx=case.settings.onnx,
        )  # fmt: skip
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
