"""What dynamic pruning is worth: its model beside others that were trained with as many samples.

That a training which leaves samples out loses nothing proves little: it also learned from fewer samples. So the same
seeds are trained with random samples in each pass, or in fewer passes of all samples, at the same cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.train import Train
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.intervals import crossed
from datadiet_cli.methods.metrics import likeliest
from datadiet_cli.methods.noninferiority import r2_scores
from datadiet_cli.nn.recipe import Recipe
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.division import Division
from datadiet_cli.steps.teaching.lessons import Lesson, Place, teach
from datadiet_cli.steps.teaching.material import Ints
from datadiet_cli.steps.teaching.results import measured, predicted

if TYPE_CHECKING:
    from datadiet_cli.nn.training import Fitted

Floats = NDArray[np.float64]

_FIELDS = ("dynamic", "dynamic_share", "dynamic_until")
"""Of settings and recipe: which samples a pass leaves out."""
NOWHERE = "dynamic: there is no split for validation or test to compare on, so no controls were trained"


@dataclass(frozen=True, eq=False)
class Judge:
    """What models are compared on.

    Attributes:
        split: ``test`` or ``validation``.
        rows: (k,) int64 positions, at least 1.
    """

    split: str
    rows: Ints


def dynamic_of(settings: Train, step: str) -> dict[str, Any]:
    """What of a recipe says which samples a pass leaves out.

    Raises:
        ConfigError: all samples are to be left out, or none ever.
    """
    if settings.dynamic == "none":
        return {}
    if settings.dynamic_share == 1:
        raise ConfigError(f"{step}: --dynamic-share 1 leaves out all samples; it must be below 1")
    if settings.dynamic_until == 0:
        raise ConfigError(f"{step}: --dynamic-until 0 leaves out no samples; it must be above 0")
    return {field: getattr(settings, field) for field in _FIELDS}


def wants_controls(settings: Train) -> bool:
    """Whether there is something to be compared with."""
    return settings.dynamic != "none" and bool(controls_of(settings))


def controls_of(settings: Train) -> list[str]:
    """What dynamic training is compared with; random samples are no control of random samples."""
    if "none" in settings.controls:
        return []
    return [name for name in ("random", "epochs") if name in settings.controls and name != settings.dynamic]


def judge_of(division: Division) -> Judge | None:
    """The test samples, or else those for validation; None if there are neither."""
    for split, rows in (("test", division.test), ("validation", division.validation)):
        if len(rows):
            return Judge(split, rows)
    return None


def compared(
    lessons: Sequence[Lesson],
    fitted: "Sequence[Fitted]",
    judge: Judge,
    settings: Train,
    context: Context,
    place: Place,
    step: str,
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Train the controls of dynamic trainings, each with the seed of the one that it is compared with.

    Args:
        lessons: the dynamic trainings, at least one.
        fitted: what came of them.
        judge: what all are compared on.
        settings: name the controls.
        context: the run.
        place: where checkpoints are kept.
        step: who asks, for messages.

    Returns:
        For the report, and the seconds of each training, by arm.
    """
    names = controls_of(settings)
    arms: dict[str, list[Fitted]] = {"dynamic": list(fitted)}
    asked = {"dynamic": [predicted(one.model, lessons[0].material, judge.rows, context) for one in fitted]}
    for name in names:
        arms[name], asked[name] = [], []
        for number, lesson in enumerate(lessons):
            other = _control(name, lesson, fitted[number])
            trained = teach(other, settings, context, step, folder=place.room(f"{name}-{number}"))
            arms[name].append(trained)
            asked[name].append(predicted(trained.model, lesson.material, judge.rows, context))
    full = lessons[0].recipe.epochs * len(lessons[0].rows)
    told = {
        "method": settings.dynamic,
        "split": judge.split,
        "samples": len(judge.rows),
        "samples_of_full_training": full,
        "arms": {name: _arm(arms[name], asked[name], lessons[0], judge, full) for name in arms},
        "differences": {name: _difference(asked["dynamic"], asked[name], lessons[0], judge) for name in names},
    }
    return told, {name: [round(one.seconds, 3) for one in made] for name, made in arms.items()}


def _control(name: str, lesson: Lesson, done: "Fitted") -> Lesson:
    """A training with as many samples as another one had; its schedule comes to its own end."""
    n, recipe = len(lesson.rows), lesson.recipe
    plain = replace(recipe, **{field: getattr(Recipe(), field) for field in _FIELDS})
    if name == "random":
        # So that the sampler's total, rounded, is the number of samples seen.
        share = max(0.0, 1 - done.samples_seen / (n * done.epochs))
        other = replace(plain, dynamic="random", dynamic_share=share, dynamic_until=1.0, epochs=done.epochs)
    else:
        steps, passes = _steps(n, recipe.batch_size, done.samples_seen)
        other = replace(plain, iterations=steps, epochs=passes)
    # It goes back to its best pass as the other one does, but stops no earlier.
    other = replace(other, patience=None if recipe.patience is None else other.epochs)
    return replace(lesson, recipe=other, said=f"control: {name}" if name == "random" else "control: fewer epochs")


def _steps(n: int, batch_size: int, seen: int) -> tuple[int, int]:
    """How many steps, and passes, over all of n samples come nearest to so many samples seen."""
    from datadiet_cli.nn.batches import steps_of

    each = steps_of(n, batch_size)
    passes, rest = divmod(seen, n)
    # Of a pass the larger batches come first.
    size, larger = divmod(n, each)
    sums = np.concatenate([[0], np.cumsum(np.where(np.arange(each) < larger, size + 1, size))])
    steps = max(1, passes * each + int(np.abs(sums - rest).argmin()))
    return steps, -(-steps // each)


def _arm(made: "Sequence[Fitted]", said: Sequence[Floats], lesson: Lesson, judge: Judge, full: int) -> dict[str, Any]:
    """What trainings took, and how good they are: means over the seeds, and the main figure of each."""
    found = [measured(one, lesson.material, judge.rows, lesson.spec.classes) for one in said]
    seen = [one.samples_seen for one in made]
    told: dict[str, Any] = {
        "samples_seen": seen,
        "share_of_full_training": float(np.mean(seen)) / full,
        "epochs": [one.epochs for one in made],
        "steps": [one.steps for one in made],
    }
    if lesson.material.goal.task == "classes":
        values = {
            "accuracy": [one["accuracy"] for one in found],
            "macro_f1": [one["macro"]["f1"] for one in found],
            "worst_class_recall": [one["worst_class"]["recall"] for one in found],
        }
    else:
        values = {name: [one[name] for one in found] for name in ("r2", "mae", "rmse")}
    told |= {name: None if None in own else float(np.mean(own)) for name, own in values.items()}
    main = next(iter(values))
    return {**told, f"{main}_by_seed": values[main]}


def _difference(dynamic: Sequence[Floats], control: Sequence[Floats], lesson: Lesson, judge: Judge) -> Any:
    """How much better dynamic training is, in accuracy or R2, by seeds and samples; None if that cannot be told."""
    values = lesson.material.goal.values[judge.rows]
    if lesson.material.goal.task == "classes":
        one, other = (np.stack([likeliest(said) == values for said in all_]) for all_ in (dynamic, control))
        found = crossed(one.astype(np.float64) - other, within=1)
    elif len(values) < 2 or (values == values[0]).all():
        return None
    else:
        found = crossed(r2_scores(values, np.stack(dynamic)) - r2_scores(values, np.stack(control)))
    return {"mean": found.mean, "lower": found.lower, "upper": found.upper, "confidence": found.confidence}
