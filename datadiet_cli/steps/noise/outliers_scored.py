"""What all samples scored that outliers were looked for among, and those that were only just not odd."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from datadiet_cli.methods.crew import ALONE, Crew
from datadiet_cli.methods.nearest import nearest
from datadiet_cli.methods.outliers import FEW
from datadiet_cli.outcome import NO_WITNESS
from datadiet_cli.steps.features import Features
from datadiet_cli.steps.noise import oddities
from datadiet_cli.steps.noise.base import Bools, Floats, Ints
from datadiet_cli.steps.noise.material import Material
from datadiet_cli.steps.noise.scored import Scored, calls_of, scored

SEVERAL = "several detectors together"
"""What ``auto`` is, in words."""


class Group(NamedTuple):
    """Samples that were compared with each other.

    Attributes:
        members: (m,) rows of the features, ascending.
        score: (m,) float64, larger is odder.
        threshold: what is odd scores more.
        odd: (m,) bool.
        neighbours: (m, k) int64, the nearest members of each; None where the detector looks for none.
    """

    members: Ints
    score: Floats
    threshold: float
    odd: Bools
    neighbours: Ints | None


def scored_groups(material: Material, groups: Sequence[Group]) -> Scored:
    """The scores of all groups; where every class has a threshold of its own, each as a multiple of it."""
    dataset, by_class, detector = material.dataset, material.settings.per_class, material.settings.outliers
    by = SEVERAL if detector == "auto" else detector
    unit = f"how odd a sample is, by {by}" + (", by the threshold of its class" * by_class)
    used = [one for one in groups if len(one.members) and (not by_class or 0 < one.threshold < np.inf)]
    if not used:
        return Scored(0, None)
    members, score, odd, limit, able, number = (
        np.concatenate(column) for column in zip(*(_columns(one, k) for k, one in enumerate(used)), strict=True)
    )
    shown, threshold = (score / limit, 1.0) if by_class else (score, used[0].threshold)
    places = material.places[members]
    found, chosen = scored(dataset, "outlier", unit, places, shown, threshold, "above", odd, able)
    starts = np.cumsum([0, *(len(one.members) for one in used)])
    witness = [
        _witness(material, used[k], at - int(starts[k]))
        for at, k in zip(chosen.tolist(), number[chosen].tolist(), strict=True)
    ]
    rows = dataset.rows[places[chosen]]
    calls = calls_of(dataset, "outlier", rows, score[chosen], limit[chosen], np.array(witness, dtype=np.int64))
    return Scored(found.found, found.histogram, calls)


def _columns(one: Group, number: int) -> tuple[Ints, Floats, Bools, Floats, Bools, Ints]:
    """Members, score, odd, threshold, whether they could have been just below it, and the number of the group."""
    n = len(one.members)
    # The threshold of few samples is the largest score that is not far off, so that there is always one that has it.
    able = np.full(n, n >= FEW)
    return one.members, one.score, one.odd, np.full(n, one.threshold), able, np.full(n, number, dtype=np.int64)


def _witness(material: Material, group: Group, at: int) -> int:
    """The row of the sample that a member of a group is least unlike."""
    by_columns = has_columns(material.features)
    near = nearest_of(material.features, group.members, group.neighbours, np.array([at]), by_columns)
    return int(material.dataset.rows[material.places[near[0, 0]]]) if near.shape[1] else NO_WITNESS


def has_columns(features: Features) -> bool:
    """Whether samples are looked at column by column."""
    cells = features.cells
    return cells is not None and cells.numbers.shape[1] + cells.categories.shape[1] > 0


def nearest_of(
    features: Features, members: Ints, neighbours: Ints | None, odd: Ints, by_columns: bool, crew: Crew = ALONE
) -> Ints:
    """(k, at most `NAMED`) the nearest members of odd ones: those the detector went by or, without columns, any.

    Args:
        features: of all samples.
        members: (m,) rows of them, ascending.
        neighbours: as `Group` has them.
        odd: (k,) places among the members.
        by_columns: whether the samples were looked at column by column.
        crew: compares samples.
    """
    if neighbours is not None and neighbours.shape[1]:
        return members[neighbours[odd, : oddities.NAMED]]
    if by_columns:
        return np.empty((len(odd), 0), dtype=np.int64)
    return nearest(features.matrix, members[odd], members, oddities.NAMED, crew=crew).row
