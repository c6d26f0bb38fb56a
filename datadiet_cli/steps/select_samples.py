"""Keep the training samples that a model learns most from: the smallest part that trains as well.

Only training samples are ever dropped. No class is emptied; what has no label where others have one, and what cannot
be read, is left alone.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.config.select_samples import TERMS, SelectSamples
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.samples.choose import choose
from datadiet_cli.methods.samples.crowd import Plan, Selection
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.dynamics import DYNAMICS
from datadiet_cli.outcome import Outcome, Verdicts
from datadiet_cli.steps.choosing.base import STEP, Task, number_to_keep, task_of
from datadiet_cli.steps.choosing.enough import enough
from datadiet_cli.steps.choosing.gate import noise_to_cut, refuse_noise
from datadiet_cli.steps.choosing.known import Known, Need, known_of, need_of
from datadiet_cli.steps.choosing.scorefile import to_bytes
from datadiet_cli.steps.choosing.telling import break_even, shares, verdicts_of
from datadiet_cli.steps.choosing.tournament import FOLDS, tournament
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.safeguard import keep_classes

REASONS = {
    "not-selected": "a model learns less from it than from those that stay",
    "likely-wrong": "one of the hardest, whose labels are likeliest wrong",
    "not-drawn": "others of its like were drawn",
    "covered": "others stand for it",
    "unreadable": "the content cannot be read",
}
SCORES = ".scores.parquet"
"""How the name of the file of scores ends."""


def run(dataset: Dataset, settings: SelectSamples, context: Context) -> Outcome:
    """Choose the training samples that stay.

    Raises:
        ConfigError: the settings do not fit the data or each other; labels are too often wrong for a score of hardness.
        InputError: so many cannot be kept, a class would vanish, or scores are of other data.
        MissingExtraError: what reads or encodes the samples is not installed.
        DatadietError: memory ran out.
    """
    task = task_of(dataset, settings, context)
    _check(settings)
    if settings.shard is not None:
        return _shard(task)
    decision = _decided(task)
    known, plan, keep, chosen = decision.known, decision.plan, decision.keep, decision.chosen
    names = known.groups.names
    verdicts = verdicts_of(task, known.rows, known.crowd, plan, chosen, names)
    verdicts = keep_classes(dataset, Verdicts.join([verdicts, known.unreadable]), np.arange(dataset.rows.max() + 1))
    scores = known.scores()
    epochs = None if scores is None else scores.provenance.get("epochs")
    seen = 0 if known.scored is None else known.scored.samples_seen
    paid = break_even(seen + decision.samples_seen, epochs, len(known.rows) - keep)
    noise = {} if known.judged is None else {"noise": known.judged.as_json()}
    metrics: dict[str, Any] = {
        "method": plan.method,
        "rule": plan.rule if plan.method not in (*COVERAGE, "random", "composite") else None,
        "beta": round(plan.beta, 5),
        "asked": settings.keep,
        "chosen_from": len(known.rows),
        "kept": keep,
        "quota": plan.quota,
        "groups": shares(known.crowd, chosen, names),
        **({"terms": dict(zip(TERMS, plan.weights, strict=True))} if plan.method == "composite" else {}),
        **({} if known.looks is None else {"encoder": known.looks.encoder}),
        **({} if scores is None else {"scores": dict(scores.provenance)}),
        **noise,
        **decision.metrics,
        "break_even": paid,
        "notes": [*_notes(known), *decision.notes],
    }
    artefacts = {} if scores is None else {SCORES: to_bytes(scores)}
    return Outcome(verdicts, metrics, artefacts=artefacts, timings=decision.timings)


@dataclass(frozen=True, eq=False)
class _Decision:
    """What was chosen, how, and what that rests on.

    Attributes:
        known: what is known of the samples.
        plan: how it was chosen.
        keep: how many.
        chosen: which.
        metrics: of a tournament, of a search for the fewest.
        notes: what people should be told.
        timings: seconds.
        samples_seen: by trainings besides those that scores come from.
    """

    known: Known
    plan: Plan
    keep: int
    chosen: Selection
    metrics: dict[str, Any]
    notes: list[str]
    timings: dict[str, Any]
    samples_seen: int = 0


def _decided(task: Task) -> _Decision:
    settings, auto = task.settings, task.settings.method == "auto"
    rule = _rule(settings)
    begun = time.perf_counter()
    known = known_of(task, need_of(settings, rule), leave_out=FOLDS if auto else 0)
    notes: list[str] = []
    metrics: dict[str, Any] = {}
    scoring, seen = time.perf_counter() - begun, 0
    fewest = settings.keep == "auto"
    n = len(known.rows)
    if auto:
        # Which method is best hangs on how many stay; where that is open, on half of them.
        won = tournament(known, number_to_keep("50%" if fewest else settings.keep, n, task.path))
        plan, seen = won.plan, won.samples_seen
        metrics["tournament"] = won.table
        notes += won.notes
    else:
        plan = _plan(known, rule)
        if known.judged is not None:
            notes += refuse_noise(task, plan, known.judged)
    if fewest:
        found = enough(known, plan)
        keep, seen = found.keep, seen + found.samples_seen
        metrics["search"] = found.table
        notes += found.notes
    else:
        keep = number_to_keep(settings.keep, n, task.path)
    choosing = time.perf_counter()
    chosen = _chosen(known, plan, keep)
    timings = {
        "scoring": round(scoring, 3),
        "searching": round(choosing - begun - scoring, 3),
        "choosing": round(time.perf_counter() - choosing, 3),
    }
    return _Decision(known, plan, keep, chosen, metrics, notes, timings, seen)


def _check(settings: SelectSamples) -> None:
    method, rule = settings.method, settings.rule
    without = method in (*COVERAGE, "random", "composite", "auto")
    if without and rule != "auto":
        raise ConfigError(f"{STEP}: --rule {rule} chooses by a score, and --method {method} has none; leave it out")
    if method == "composite" and settings.information in DYNAMICS and settings.space == "model" and settings.scores:
        raise ConfigError(f"{STEP}: --space model needs a training; leave out --scores")
    if settings.shard is not None and (settings.scores or settings.record or method == "auto"):
        other = "--method auto" if method == "auto" else "--scores" if settings.scores else "--record"
        raise ConfigError(f"{STEP}: --shard trains a part of the models, which {other} has no use for; leave one out")


def _rule(settings: SelectSamples) -> str:
    if settings.rule != "auto":
        return settings.rule
    return "dual-beta" if settings.method == "dual" else "top-k"


def _plan(known: Known, rule: str) -> Plan:
    """How the settings say that samples are chosen."""
    settings = known.task.settings
    beta = settings.beta or 0.0
    if rule == "ccs" and settings.beta is None and known.judged is not None:
        beta = noise_to_cut(known.task, known.judged)
    return plan_of(settings, settings.method, rule, beta)


def plan_of(settings: SelectSamples, method: str, rule: str, beta: float) -> Plan:
    """A plan by the settings, but for method, rule and beta."""
    weights = settings.term_weights()
    return Plan(
        method=method,
        rule=rule,
        beta=beta,
        quota=settings.quota,
        floor=settings.class_floor,
        random_share=settings.random_share,
        strata=settings.strata,
        neighbours=settings.neighbours,
        gamma=settings.gamma,
        weights=(weights["redundancy"], weights["noise"], weights["balance"], weights["information"]),
        information=settings.information,
    )


def _chosen(known: Known, plan: Plan, keep: int) -> Selection:
    try:
        return choose(known.crowd, plan, keep, known.task.context.seed)
    except ValueError as error:
        raise ConfigError(f"{STEP}: {known.task.path}: {error}") from error


def _shard(task: Task) -> Outcome:
    """Scores by a part of the models, to be put together with those of the others."""
    known = known_of(task, Need(scores=True, looks=True, judged=True))
    scores = known.scores()
    assert scores is not None  # noqa: S101 - they were asked for
    assert known.scored is not None  # noqa: S101
    metrics = {"shard": task.settings.shard, "scores": dict(scores.provenance), "notes": _notes(known)}
    return Outcome(
        known.unreadable,
        metrics,
        artefacts={SCORES: to_bytes(scores)},
        timings={"scoring": round(known.scored.seconds, 3)},
    )


def _notes(known: Known) -> list[str]:
    task = known.task
    notes = list(known.scored.notes) if known.scored is not None else []
    unlabelled = int(task.dataset.training.sum()) - len(task)
    if unlabelled:
        notes.append(f"training samples without a label, which stay: {unlabelled:,}")
    if known.left_alone:
        notes.append(f"training samples that cannot be told or grouped, which stay: {known.left_alone:,}")
    return notes
