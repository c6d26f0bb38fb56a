"""How many labels are likely wrong, which, and which classes are hard: by models that did not learn from the sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.methods.mislabelled import find_mislabelled
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.trust import trust
from datadiet_cli.steps.choosing.base import Bools, Floats, Task


@dataclass(frozen=True, eq=False)
class Judged:
    """What models of the features say of labels.

    Attributes:
        wrong: (n,) float64, one less the probability of the label given; NaN where nothing tells.
        right: (n,) float64, whether the likeliest class is the label given, 1 or 0; NaN likewise.
        rate: estimated share of wrong labels; None where it cannot be estimated.
        interval: of the rate, 95 %.
        why: why it cannot be estimated.
    """

    wrong: Floats
    right: Floats
    rate: float | None
    interval: tuple[float, float] | None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the report, and for the scores' provenance."""
        told = None if self.rate is None or self.interval is None else [round(end, 5) for end in self.interval]
        return {"rate": None if self.rate is None else round(self.rate, 5), "interval": told, "why": self.why}


def judged(task: Task) -> Judged:
    """Judge the labels of the samples in view.

    The share of wrong labels is told only where the features deserve it, by the rule that `denoise` has.
    """
    nothing = np.full(len(task), np.nan)
    classes = len(task.classes)
    if classes < 2:
        return Judged(nothing, nothing, None, None, "labels are no classes" if task.goal else "there are none")
    looks, context = task.looks, task.context
    fit: Bools = looks.usable
    label = task.label
    if len(np.unique(label[fit])) < 2:
        return Judged(nothing, nothing, None, None, "fewer than two classes have samples that can be read")
    tell = context.progress("judging labels", 1)
    found = out_of_fold(looks.matrix, label, fit, classes, seed=context.seed, crew=context.engine)
    tell(1)
    probability = found.probability
    own = probability[np.arange(len(task)), label].astype(np.float64)
    wrong = np.where(fit, 1 - own, np.nan)
    right = np.where(fit, (probability.argmax(axis=1) == label).astype(np.float64), np.nan)
    known = trust(looks.matrix, label, fit, probability, found.neighbours, seed=context.seed)
    if not known.trusted:
        why = f"two models of the features agree too seldom (kappa {known.agreement:.2f})"
        return Judged(wrong, right, None, None, why)
    said = find_mislabelled(probability, np.where(fit, label, -1), fit, neighbours=found.neighbours)
    return Judged(wrong, right, said.noise_rate, said.interval)
