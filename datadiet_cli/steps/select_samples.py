"""Keep the training samples that a model learns most from: the smallest part that trains as well.

Only training samples are ever dropped. No class is emptied; what has no label where others have one, and what cannot
be read, is left alone.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from datadiet_cli.config.select_samples import TERMS, SelectSamples
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.samples.choose import choose
from datadiet_cli.methods.samples.coverage import COVERAGE
from datadiet_cli.methods.samples.crowd import Plan, Selection
from datadiet_cli.outcome import Outcome, Verdicts
from datadiet_cli.steps.choosing.base import STEP, Task, number_to_keep, task_of
from datadiet_cli.steps.choosing.candidates import check_candidates
from datadiet_cli.steps.choosing.earlier import as_before, signed, unused
from datadiet_cli.steps.choosing.enough import enough
from datadiet_cli.steps.choosing.gate import noise_to_cut, refuse_noise
from datadiet_cli.steps.choosing.known import Known, Need, known_of, need_of
from datadiet_cli.steps.choosing.plans import UNSCORED, plan_of, usual_rule
from datadiet_cli.steps.choosing.scorefile import SCORES, to_bytes
from datadiet_cli.steps.choosing.telling import break_even, shares, verdicts_of
from datadiet_cli.steps.choosing.tournament import FOLDS, tournament
from datadiet_cli.steps.choosing.trials import need_labels
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.safeguard import keep_classes
from datadiet_cli.steps.teaching.lessons import resumable


def run(dataset: Dataset, settings: SelectSamples, context: Context) -> Outcome:
    """Choose the training samples that stay.

    Raises:
        ConfigError: the settings do not fit the data or each other; labels are too often wrong for a score of hardness.
        InputError: so many cannot be kept, a class would vanish, or scores are of other data.
        MissingExtraError: what reads or encodes the samples is not installed.
        DatadietError: memory ran out.
    """
    typed, settings = "method" in settings.model_fields_set, as_before(settings)
    _check(settings, typed)
    with ExitStack() as kept, resumable(context, "trainings that came to an end are remembered for the same command"):
        task = task_of(dataset, settings, context, kept)
        if settings.shard is not None:
            return _shard(task)
        _check_size(task)
        return _told(task, _decided(task))


def _told(task: Task, decision: "_Decision") -> Outcome:
    """The outcome of a decision."""
    dataset, settings = task.dataset, task.settings
    known, plan, keep, chosen = decision.known, decision.plan, decision.keep, decision.chosen
    names = known.groups.names
    verdicts = verdicts_of(task, known.rows, known.crowd, plan, chosen, names)
    verdicts = keep_classes(
        dataset, Verdicts.join([verdicts, known.unreadable]), np.arange(int(dataset.rows.max()) + 1)
    )
    scores = known.scores()
    epochs = None if scores is None else scores.provenance.get("epochs")
    seen = 0 if known.scored is None else known.scored.samples_seen
    paid = break_even(seen + decision.samples_seen, epochs, len(known.rows) - keep)
    noise = {} if known.judged is None else {"noise": known.judged.as_json()}
    metrics: dict[str, Any] = {
        "method": plan.method,
        "rule": plan.rule if plan.method not in UNSCORED else None,
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
        "notes": [*unused(settings), *_notes(known), *decision.notes],
    }
    artefacts = {} if scores is None else {SCORES: to_bytes(signed(scores, plan))}
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
    rule = settings.rule if settings.rule != "auto" else usual_rule(settings.method)
    if auto:
        need_labels(task, "--method auto", "--method k-center or another that needs no labels")
    if settings.keep == "auto":
        need_labels(task, "--keep auto", "a share or a number")
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


def _check(settings: SelectSamples, typed: bool) -> None:
    """Refuse settings that do not go together; `typed` is whether the user has named the method."""
    method, rule = settings.method, settings.rule
    check_candidates(settings)
    unneeded = method in (*COVERAGE, "random") and not settings.beta and settings.space != "model"
    unneeded &= settings.quota != "drop"
    given = "--scores" if settings.scores is not None else "--record" if settings.record is not None else None
    if given is not None and unneeded and typed:
        raise ConfigError(f"{STEP}: {given} tells nothing that --method {method} chooses by; leave it out")
    if method == "auto" and settings.space == "model":
        raise ConfigError(f"{STEP}: --space model: the model would have seen the samples that judge --method auto")
    for flag, value, whose in (
        ("--weights", settings.weights, "composite"),
        ("--candidates", settings.candidates, "auto"),
    ):
        if value is not None and method != whose:
            raise ConfigError(f"{STEP}: {flag} is for --method {whose}, not {method}; leave it out")
    if method in (*UNSCORED, "auto") and rule != "auto":
        raise ConfigError(f"{STEP}: --rule {rule} chooses by a score, and --method {method} has none; leave it out")
    if settings.shard is not None and method in (*COVERAGE, "random"):
        raise ConfigError(
            f"{STEP}: --shard trains a part of the models, and --method {method} needs none; leave it out"
        )
    if settings.shard is not None and (settings.scores or settings.record or method == "auto"):
        other = "--method auto" if method == "auto" else "--scores" if settings.scores else "--record"
        raise ConfigError(f"{STEP}: --shard trains a part of the models, which {other} has no use for; leave one out")


def _check_size(task: Task) -> None:
    """Refuse what can be known to be too few before anything is read or trained.

    Raises:
        ConfigError: a group would vanish.
        InputError: so many cannot be kept, or none.
    """
    keep = task.settings.keep
    if keep == "auto":
        return
    number, code = number_to_keep(keep, len(task), task.path), task.groups.code
    groups = len(np.unique(code[code >= 0]))
    if number < groups:
        raise ConfigError(
            f"{STEP}: {task.path}: --keep {keep} keeps {number:,}, and there are {groups:,} classes or groups, "
            f"none of which may vanish; keep {groups:,} or more"
        )


def _plan(known: Known, rule: str) -> Plan:
    """How the settings say that samples are chosen."""
    settings = known.task.settings
    beta = settings.beta or 0.0
    if rule == "ccs" and settings.beta is None and known.judged is not None:
        beta = noise_to_cut(known.task, known.judged)
    elif settings.method == "composite" and settings.beta is None and known.judged is not None:
        # Of a sample that is wrong all other terms are high: it is like nothing else, and hard to learn.
        beta = known.judged.rate or 0.0
    return plan_of(settings, settings.method, rule, beta)


def _chosen(known: Known, plan: Plan, keep: int) -> Selection:
    try:
        return choose(known.crowd, plan, keep, known.task.context.seed, known.task.context.engine)
    except ValueError as error:
        raise ConfigError(f"{STEP}: {known.task.path}: {error}") from error


def _shard(task: Task) -> Outcome:
    """Scores by a part of the models, to be put together with those of the others."""
    known = known_of(task, Need(scores=True, looks=True, judged=True))
    scores = known.scores()
    assert scores is not None  # noqa: S101 - they were asked for
    assert known.scored is not None  # noqa: S101
    metrics = {
        "shard": task.settings.shard,
        "scored": len(known.rows),
        "scores": dict(scores.provenance),
        "notes": _notes(known),
    }
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
    unread = len(np.unique(known.unreadable.sample))
    if unread:
        notes.append(f"training samples that cannot be read, which stay: {unread:,}")
    if known.left_alone > unread:
        why = "flat, silent or empty, or of no group"
        notes.append(
            f"training samples that nothing tells from others ({why}), which stay: {known.left_alone - unread:,}"
        )
    return notes
