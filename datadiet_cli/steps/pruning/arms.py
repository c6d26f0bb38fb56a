"""What is trained and compared: the pruned model, with several seeds if asked for, and the controls."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datadiet_cli.outcome import Brake
from datadiet_cli.steps.pruning.amounts import reached, share_for
from datadiet_cli.steps.pruning.case import Case
from datadiet_cli.steps.pruning.cutting import Ranking, State, alike, begun, ranked
from datadiet_cli.steps.pruning.healing import Healed, Healer, gentle_recipe, regularised
from datadiet_cli.steps.pruning.schedules import Course, from_scratch, run_schedule
from datadiet_cli.steps.pruning.searching import searched
from datadiet_cli.steps.teaching.lessons import seed_of

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model


def origin_of(case: Case, healer: Healer) -> tuple[State, Healed | None]:
    """What is pruned: the dense model, one that learned nothing, or one trained towards small weights, and how."""
    from datadiet_cli.nn.pruning.starting import fresh

    if case.settings.fresh:
        return begun(case, fresh(case.model, seed_of(case.context.seed, 0))), None
    state = begun(case, case.model)
    done = regularised(case, healer, state)
    if done is None:
        return state, None
    return done.state, done


def courses_of(case: Case, healer: Healer, ranking: Ranking) -> tuple[list[Course], dict[str, Any], list[Brake]]:
    """The pruned models, a seed each."""
    brakes: list[Brake] = []
    if case.settings.target == "max_accuracy_drop":
        first, target, brakes = searched(case, healer, ranking)
        share = float(target["share"])
    else:
        share, target = share_for(case, ranking)
        limited = case.settings.target != "sparsity" or case.settings.sparsity is not None
        first = run_schedule(case, healer, ranking, share, limited=limited, number=0)
        target, brakes = reached(case, target, first.final)
    others = [
        run_schedule(case, healer, ranking, share, limited=True, number=number)
        for number in range(1, case.settings.seeds)
    ]
    return [first, *others], target, brakes


def arms_of(
    case: Case, healer: Healer, ranking: Ranking, courses: list[Course], before: Healed | None
) -> tuple[dict[str, list["Model"]], dict[str, list[float]], dict[str, int]]:
    """All models that are compared, the seconds of their trainings, and the samples that they learned from.

    What a model learned before it was pruned, towards small weights, counts for those that it helped.
    """
    spent, looked = (0.0, 0) if before is None else (before.seconds, before.samples_seen)
    wanted = [] if "none" in case.settings.controls else case.settings.controls
    arms: dict[str, list[Model]] = {"before": [case.model], "after": [one.final.model for one in courses]}
    taken = {"after": [spent + one.seconds for one in courses]}
    seen = {"after": looked + courses[0].samples_seen}
    anything = courses[0].final.gone > ranking.state.gone
    if "random" in wanted and case.settings.criterion != "random" and anything:
        found = [_random(case, healer, ranking, course, number) for number, course in enumerate(courses)]
        arms["random"] = [one.final.model for one in found]
        taken["random"], seen["random"] = [spent + one.seconds for one in found], looked + found[0].samples_seen
    if "scratch" in wanted and anything:
        passes = 0 if before is None else before.epochs
        made = [from_scratch(case, healer, one, passes, number) for number, one in enumerate(courses)]
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
