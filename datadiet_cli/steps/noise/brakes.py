"""Brakes: how much may go as noise, overall and of each class, before a run stops or lets only the surest go."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.base import percentage
from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.outcome import Action, Brake, Verdicts
from datadiet_cli.steps.noise.base import Findings, Floats, Ints

SHOWN = 5
"""Limits that are told one by one, the overall one first."""
LEAVES = (Action.DROP, Action.RELABEL)
"""Actions after which a class has a sample less."""


def braked(dataset: Dataset, settings: Denoise, findings: Findings) -> tuple[Findings, list[Brake]]:
    """Hold the findings against the limits.

    Returns:
        With ``fail`` the findings as they are, and the limits that are broken; with ``cap`` the findings with the
        least certain drops turned to flags, as many as break a limit, and no broken limit.
    """
    broken = list(_broken(dataset, settings, findings.verdicts))
    if not broken or settings.on_limit == "fail":
        more = [f"{len(broken) - SHOWN:,} more limits of classes are broken"] if len(broken) > SHOWN else []
        said = replace(findings, notes=(*findings.notes, *more))
        return said, [brake for brake, _, _ in broken[:SHOWN]]
    verdicts = findings.verdicts
    reached: list[str] = []
    while broken:
        brake, members, most = broken[0]
        verdicts = _capped(dataset, verdicts, findings.certainty, members, most, brake.name.partition(" ")[0])
        reached.append(f"{brake.name} {brake.limit}: only the surest go")
        broken = list(_broken(dataset, settings, verdicts))
    more = [f"and {len(reached) - SHOWN:,} limits of other classes"] if len(reached) > SHOWN else []
    notes = [*findings.notes, *reached[:SHOWN], *more]
    stays = set(verdicts.sample[verdicts.action == Action.RELABEL].tolist())
    labels = {row: name for row, name in findings.labels.items() if row in stays}
    return replace(findings, verdicts=verdicts, notes=tuple(notes), labels=labels), []


def _broken(dataset: Dataset, settings: Denoise, verdicts: Verdicts) -> Iterator[tuple[Brake, Ints, int]]:
    """Each broken limit, with the rows it is about and how many of them may go."""
    # What cannot be read is no question of how sure one is.
    broken = np.isin(dataset.rows, verdicts.sample[verdicts.reason == "unreadable"])
    training = dataset.rows[dataset.training & ~broken]
    gone = np.isin(dataset.rows, verdicts.sample[verdicts.action == Action.DROP]) & ~broken
    left = np.isin(dataset.rows, verdicts.sample[np.isin(verdicts.action.astype(str), [str(a) for a in LEAVES])])
    if (limit := settings.max_dropped) is not None and len(training):
        share = float((gone & dataset.training).sum()) / len(training)
        if share > limit:
            yield Brake("max_dropped", f"<= {percentage(limit)}", share), training, int(limit * len(training))
    place, label, classes = dataset.memberships()
    known = dataset.training[place] & (label >= 0)
    sizes = np.bincount(label[known], minlength=len(classes))
    lost = np.bincount(label[known & left[place]], minlength=len(classes))
    for code in np.flatnonzero(lost).tolist():
        members = dataset.rows[place[known & (label == code)]]
        yield from _of_class(settings, classes[code], members, int(sizes[code]), int(lost[code]))


def _of_class(settings: Denoise, name: str, members: Ints, size: int, lost: int) -> Iterator[tuple[Brake, Ints, int]]:
    limit = settings.max_dropped_per_class
    if limit is not None and lost / size > limit:
        yield (
            Brake(f"max_dropped_per_class ({name})", f"<= {percentage(limit)}", lost / size),
            members,
            int(limit * size),
        )
    # A class that had fewer samples to begin with keeps them all.
    floor = min(settings.min_per_class, size)
    if floor > 1 and size - lost < floor:
        yield Brake(f"min_per_class ({name})", f">= {floor}", size - lost), members, size - floor


def _capped(dataset: Dataset, verdicts: Verdicts, certainty: Floats, members: Ints, most: int, name: str) -> Verdicts:
    """The verdicts with all but the `most` surest departures among some rows turned to flags."""
    leaving = np.isin(verdicts.action.astype(str), [str(action) for action in LEAVES])
    if name == "max_dropped":
        leaving = verdicts.action == Action.DROP
    concerned = np.flatnonzero(leaving & np.isin(verdicts.sample, members))
    samples = verdicts.sample[concerned]
    rows, where = np.unique(samples, return_inverse=True)
    surest = np.full(len(rows), -np.inf)
    np.maximum.at(surest, where, certainty[concerned])
    kept_back = rows[np.lexsort((rows, -surest))[most:]]
    return flagged(verdicts, concerned[np.isin(samples, kept_back)], f"kept: {name} is reached")


def flagged(verdicts: Verdicts, which: NDArray[np.int64], words: str) -> Verdicts:
    """The verdicts with some of them turned to flags, and why."""
    action, detail = verdicts.action.copy(), verdicts.detail.copy()
    action[which] = Action.FLAG
    detail[which] = [f"{said}; {words}" if said else words for said in detail[which].tolist()]
    return replace(verdicts, action=action, detail=detail)
