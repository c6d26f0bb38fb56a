"""What is said of a choice: a verdict for each sample that goes, and figures for the report."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from datadiet_cli.config.select_samples import TERMS
from datadiet_cli.methods.samples.crowd import BELOW, COVERED, NOT_DRAWN, WRONG, Crowd, Plan, Selection
from datadiet_cli.methods.samples.graph import nearest_kept
from datadiet_cli.outcome import NO_WITNESS, Action, Verdicts
from datadiet_cli.steps.choosing.base import Floats, Ints, Task
from datadiet_cli.steps.choosing.plans import UNSCORED

REASON_OF = {BELOW: "not-selected", WRONG: "likely-wrong", NOT_DRAWN: "not-drawn", COVERED: "covered"}
WHY = {BELOW: "below", WRONG: "wrong", NOT_DRAWN: "not-drawn", COVERED: "covered"}


def verdicts_of(task: Task, rows: Ints, crowd: Crowd, plan: Plan, chosen: Selection, names: Sequence[str]) -> Verdicts:
    """A verdict for each sample that goes.

    Args:
        task: what the step was given.
        rows: (k,) int64 positions in view of those that were chosen from.
        crowd: what was known of them.
        plan: how it was chosen.
        chosen: what was.
        names: of the groups.
    """
    gone = np.flatnonzero(~chosen.kept)
    if not len(gone):
        return Verdicts.join([])
    witness, distance = np.full(len(rows), -1, dtype=np.int64), np.full(len(rows), np.nan)
    if crowd.x is not None and chosen.kept.any():
        witness, distance = nearest_kept(crowd.x, chosen.kept, crew=task.context.engine)
    ids = task.view.source.ids(task.view.rows[rows])
    percentile = _percentiles(np.where(chosen.why == WRONG, np.nan, chosen.score), crowd.group)
    counts = np.bincount(crowd.group, minlength=len(names))
    kept = np.bincount(crowd.group[chosen.kept], minlength=len(names))
    evidence, details = [], []
    for i in gone.tolist():
        g, why = int(crowd.group[i]), int(chosen.why[i])
        facts: dict[str, Any] = {
            "method": plan.method,
            "rule": None if plan.method in UNSCORED else plan.rule,
            "score": _number(chosen.score[i]),
            "percentile": _number(percentile[i], 2),
            "class": names[g] if len(names) > 1 else None,
            "kept_of_class": [int(kept[g]), int(counts[g])],
            "stratum": int(chosen.stratum[i]) if chosen.stratum[i] >= 0 else None,
            "strata": plan.strata if chosen.stratum[i] >= 0 else None,
            "why": WHY[why],
            "nearest_kept": ids[int(witness[i])] if witness[i] >= 0 else None,
            "distance": _number(distance[i]),
            "terms": None if chosen.terms is None else dict(zip(TERMS, map(_number, chosen.terms[i]), strict=True)),
        }
        evidence.append(facts)
        details.append(_words(facts))
    source = task.view.rows[rows]
    return Verdicts.join(
        [
            Verdicts.of(
                source[gone[some]],
                Action.DROP,
                REASON_OF[why],
                score=chosen.score[gone[some]],
                threshold=chosen.threshold[gone[some]],
                witness=np.where(witness[gone[some]] >= 0, source[witness[gone[some]]], NO_WITNESS),
                detail=[details[k] for k in some.tolist()],
                evidence=[evidence[k] for k in some.tolist()],
            )
            for why in REASON_OF
            if len(some := np.flatnonzero(chosen.why[gone] == why))
        ]
    )


def _words(facts: dict[str, Any]) -> str:
    kept, of = facts["kept_of_class"]
    whom = f" of class {facts['class']}" if facts["class"] is not None else ""
    many = f"{kept:,} of {of:,}{whom} stay"
    if facts["why"] == "wrong":
        return f"among the hardest, whose labels are likeliest wrong; {many}"
    if facts["why"] == "covered":
        return f"others stand for it; {many}"
    if facts["why"] == "not-drawn":
        where = f" from stratum {facts['stratum'] + 1} of {facts['strata']}" if facts["stratum"] is not None else ""
        return f"not drawn{where}; {many}"
    return f"{facts['method']} is higher for {100 - facts['percentile']:.0f} %; {many}"


def _number(value: float, digits: int = 6) -> float | None:
    """A number as JSON has it, to so many significant digits."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _percentiles(score: Floats, group: Ints) -> Floats:
    """Share of the samples of a group whose score is not above one's own, in per cent; NaN without a score."""
    out = np.full(len(score), np.nan)
    known = np.flatnonzero(np.isfinite(score))
    order = known[np.lexsort((score[known], group[known]))]
    own, values = group[order], score[order]
    counts = np.bincount(own, minlength=int(group.max(initial=0)) + 1)
    start = np.cumsum(counts) - counts
    # Of equal scores all have the rank of the last.
    last = np.append((np.diff(own) != 0) | (np.diff(values) != 0), True)
    end = np.flatnonzero(last)
    rank = end[np.searchsorted(end, np.arange(len(order)))] - start[own] + 1
    out[order] = 100 * rank / counts[own]
    return out


def shares(crowd: Crowd, chosen: Selection, names: Sequence[str]) -> dict[str, Any]:
    """How many of each group there were, and how many stay."""
    counts = np.bincount(crowd.group, minlength=len(names)).tolist()
    kept = np.bincount(crowd.group[chosen.kept], minlength=len(names)).tolist()
    return {name: {"before": a, "after": b} for name, a, b in zip(names, counts, kept, strict=True)}


def break_even(samples_seen: int, epochs: int | None, gone: int) -> dict[str, Any] | None:
    """After how many trainings scoring has paid for itself, counted in samples that a model is shown.

    Args:
        samples_seen: by the trainings that scores come from.
        epochs: of one training.
        gone: samples that each further training is spared, every epoch.
    """
    if not samples_seen or not epochs or not gone:
        return None
    return {
        "samples_seen_by_scoring": samples_seen,
        "samples_spared_by_training": epochs * gone,
        "trainings": math.ceil(samples_seen / (epochs * gone)),
    }
