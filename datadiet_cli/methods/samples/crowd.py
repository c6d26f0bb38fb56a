"""The samples among which is chosen, how that is done, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.samples.base import Bools, Floats, Ints, Small
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.graph import knn_graph
from datadiet_cli.methods.samples.typical import TYPICAL

KEPT, BELOW, WRONG, NOT_DRAWN, COVERED = range(5)
"""Why a sample is kept or goes: its score is too low; it is likely wrong; others were drawn; others stand for it."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """The samples among which is chosen.

    Attributes:
        group: (n,) int64, what has a quota, from 0 on.
        label: (n,) int64 classes from 0 on; zeros where there are none.
        x: (n, d) float32 features, or None.
        scores: what a training told, by score, (n,) each; `confidence` is the mean probability of the own label.
        hardness: (n,) float64, the higher the likelier is the label wrong; None if nothing tells.
        wrong: (n,) float64, the probability that the label is wrong; None if nothing tells.
        recall: (g,) float64, share of each group that models which did not learn from it get right; None likewise.
    """

    group: Ints
    label: Ints
    x: Small | None = None
    scores: Mapping[str, Floats] | None = None
    hardness: Floats | None = None
    wrong: Floats | None = None
    recall: Floats | None = None

    def __len__(self) -> int:
        return len(self.group)

    def some(self, rows: Ints) -> "Crowd":
        """Those of them in (m,) int64 rows; groups keep their numbers."""
        return replace(
            self,
            group=self.group[rows],
            label=self.label[rows],
            x=None if self.x is None else self.x[rows],
            scores=None if self.scores is None else {name: values[rows] for name, values in self.scores.items()},
            hardness=None if self.hardness is None else self.hardness[rows],
            wrong=None if self.wrong is None else self.wrong[rows],
        )

    @cached_property
    def features(self) -> Small:
        """The features.

        Raises:
            ValueError: there are none.
        """
        if self.x is None:
            raise ValueError("there are no features of the samples to choose by")
        return self.x


class Plan(NamedTuple):
    """How samples are chosen; see `config.select_samples`.

    Attributes:
        method: a score, a choice by features, ``random`` or ``composite``.
        rule: of a score.
        beta: share of the hardest that goes first.
        quota: ``proportional``, ``balanced``, ``drop`` or ``none``.
        floor: share of its proportional part that each group keeps at least.
        random_share: of the kept ones, drawn at random.
        strata: of ``ccs``.
        neighbours: of ``d2`` and ``density``.
        gamma: of ``d2``.
        weights: of redundancy, noise, balance and information in ``composite``.
        information: the score that ``composite`` takes.
    """

    method: str
    rule: str = "top-k"
    beta: float = 0.0
    quota: str = "proportional"
    floor: float = 0.5
    random_share: float = 0.0
    strata: int = 50
    neighbours: int = 10
    gamma: float = 0.1
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    information: str = "el2n"


class Selection(NamedTuple):
    """What was chosen of n samples.

    Attributes:
        kept: (n,) bool.
        why: (n,) int8, `KEPT` or why it goes.
        score: (n,) float64, the higher the more worth keeping; NaN where the method has none.
        stratum: (n,) int64, of rules that have strata, from 0 for the lowest scores on; -1 otherwise.
        threshold: (n,) float64, the score that decided; NaN where there is none.
        terms: (n, 4) float64, what `composite` summed up; None for other methods.
    """

    kept: Bools
    why: NDArray[np.int8]
    score: Floats
    stratum: Ints
    threshold: Floats
    terms: Floats | None = None


def score_of(crowd: Crowd, plan: Plan, rows: Ints, seed: int, crew: Crew = ALONE) -> Floats | None:
    """The score of a method for all of a crowd, NaN outside of some rows; None where a method has no score.

    Raises:
        ValueError: it is not among the scores, or rests on what is not there.
    """
    name = plan.method
    if name in COVERAGE or name == "random":
        return None
    out = np.full(len(crowd), np.nan)
    out[rows] = named_score(crowd.some(rows), name, plan.neighbours, seed, crew)
    return out


def named_score(crowd: Crowd, name: str, neighbours: int, seed: int, crew: Crew = ALONE) -> Floats:
    """A score by name, (n,) float64: one of a training, or one of features.

    Raises:
        ValueError: there is none of this name, or samples have none.
    """
    if name == "random":
        return np.zeros(len(crowd))
    if name in TYPICAL:
        graph = knn_graph(crowd.features, neighbours, crew=crew) if name == "density" else None
        return TYPICAL[name](crowd.features, crowd.label, seed, graph)
    if crowd.scores is None or name not in crowd.scores:
        there = ", ".join(crowd.scores or ()) or "none"
        raise ValueError(f"there is no score {name}; there are: {there}")
    values = crowd.scores[name]
    missing = int(np.isnan(values).sum())
    if missing:
        raise ValueError(f"{missing:,} samples have no score {name}")
    return values
