"""How good models of a case are, and whether one is no worse than another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.methods.metrics import likeliest
from datadiet_cli.methods.noninferiority import Verdict, r2_scores, verdict
from datadiet_cli.steps.comparing import Arm, compare
from datadiet_cli.steps.pruning.case import Case
from datadiet_cli.steps.teaching.material import Ints
from datadiet_cli.steps.teaching.results import measured, predicted

if TYPE_CHECKING:
    from datadiet_cli.nn.models import Model

Floats = NDArray[np.float64]
MARGIN = 0.01
"""Loss that counts as none, where no setting says what may be lost."""
CONTROLS = {
    "random": "as much gone at random",
    "scratch": "the same small network from scratch",
}
"""What each control is, in words."""
_KEPT = ("accuracy", "balanced_accuracy", "macro", "worst_class", "per_class", "roc_auc", "r2", "mae", "rmse")
"""Of the figures of a model on its way."""


def margin_of(case: Case) -> float:
    """What may be lost."""
    asked = (case.settings.max_accuracy_drop, case.settings.max_drop)
    return next((value for value in asked if value is not None), MARGIN)


def said_of(case: Case, model: "Model", rows: Ints) -> Floats:
    """What a model says of some samples: (k, K) probabilities, or (k,) numbers. It is asked once about the test."""
    tested = rows is case.division.test
    if tested and model in case.answers:
        return case.answers[model]
    found = predicted(model, case.material, rows, case.context)
    model.to("cpu")
    if tested:
        case.answers[model] = found
    return found


def figures(case: Case, model: "Model", rows: Ints) -> dict[str, Any]:
    """How good a model is on some samples."""
    found = measured(said_of(case, model, rows), case.material, rows, case.spec.classes)
    return {"samples": len(rows), **{name: found[name] for name in _KEPT if name in found}}


def judged(case: Case, before: Floats, after: Floats, rows: Ints) -> Verdict:
    """Whether one model is no worse than another on some samples.

    Args:
        case: says what may be lost, and the confidence.
        before: what the dense model says of them.
        after: what the other one says.
        rows: positions of the samples.
    """
    values = case.material.goal.values[rows]
    one, other = (_scores(case, said[None], values) for said in (before, after))
    return verdict(one, other, margin_of(case), case.settings.confidence, unit="points" if case.spec.classes else "R2")


def _scores(case: Case, said: Floats, values: NDArray[Any]) -> Floats:
    if not case.spec.classes:
        return r2_scores(values, said)
    return np.stack([likeliest(one) == values for one in said]).astype(np.float64)


def compared(
    case: Case, arms: Mapping[str, Sequence["Model"]], seconds: Mapping[str, Sequence[float]], seen: Mapping[str, int]
) -> dict[str, Any]:
    """Compare the pruned model with the dense one and with the controls, by the test samples.

    Args:
        case: has the samples.
        arms: models by name, ``before`` (one) and ``after`` among them, a seed each.
        seconds: of training each model of an arm.
        seen: samples that each model of an arm learned from since it was pruned.

    Raises:
        ValueError: the test samples tell no difference.
    """
    rows = case.division.test
    seeds = len(arms["after"])
    made = []
    for name, models in arms.items():
        said = np.stack([said_of(case, model, rows) for model in models])
        if len(said) < seeds:
            said = np.broadcast_to(said, (seeds, *said.shape[1:]))
        spent = np.array(seconds[name]) if name in seconds else None
        looked = np.full(seeds, seen[name], dtype=np.int64) if name in seen else None
        made.append(Arm(name, said, seconds=spent, samples_seen=looked))
    settings = Evaluate(max_accuracy_drop=margin_of(case), confidence=case.settings.confidence)
    values = case.material.goal.values[rows]
    return compare(made, values, case.spec.classes, settings, case.context.seed, controls=CONTROLS)
