"""`method: auto`: try methods, rules and cuts out on samples that they did not see, and take one that beats random.

Successive halving (Jamieson & Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
AISTATS 2016): all candidates are trained on two folds, the better half on a third, the best few on all, and the very
best with other seeds as well. Random takes part in every rung. All of a fold learn by the same seed and are judged by
the same samples, so that differences are paired.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.folded import folded
from datadiet_cli.methods.intervals import Interval
from datadiet_cli.methods.noninferiority import Unit, amount, percent
from datadiet_cli.methods.samples.crowd import Crowd, Plan
from datadiet_cli.methods.samples.quotas import quotas
from datadiet_cli.steps.choosing.base import STEP, Floats, Ints
from datadiet_cli.steps.choosing.candidates import RANDOM, Candidate, candidates_of
from datadiet_cli.steps.choosing.known import Known
from datadiet_cli.steps.choosing.plans import UNSCORED, plan_of
from datadiet_cli.steps.choosing.told import HARDNESS
from datadiet_cli.steps.choosing.trials import Choices, Job, Trials, dealt, need_labels, number_in, seeds_of
from datadiet_cli.steps.teaching.material import material_of

FOLDS = 5
FIRST_SEED = 2000
"""Trainings of a tournament have other seeds than those that scores come from, or that a comparison makes."""
_FIRST, _SECOND = (0, 1), (2,)
"""The folds of the first two rungs."""
_BEST, _FINALISTS = 5, 2
_SEEDS = 3
_FEWEST = 2 * FOLDS


class Won(NamedTuple):
    """What a tournament came to.

    Attributes:
        plan: of the winner.
        table: of all candidates, the best first, for the report.
        notes: what people should be told.
        samples_seen: by all trainings.
    """

    plan: Plan
    table: list[dict[str, Any]]
    notes: list[str]
    samples_seen: int = 0


@dataclass(eq=False)
class _Entry:
    """A candidate, what its trainings said, by seed and fold, and the rung that it got to."""

    candidate: Candidate
    said: dict[tuple[int, int], Floats] = field(default_factory=dict)
    rung: int = 0


def tournament(known: Known, keep: int) -> Won:
    """Find out which method is best where so many samples stay.

    Args:
        known: of the samples, with the scores of models each of which left one of `FOLDS` folds out. Where scores were
            made before, those of all samples are taken.
        keep: how many of those that can be chosen from stay.

    Raises:
        ConfigError: there are no labels, a candidate of the settings is none, or a training diverges.
        InputError: there are too few samples.
    """
    task, n = known.task, len(known.rows)
    need_labels(task, "--method auto", "--method k-center or another that needs no labels")
    _check(known, keep)
    notes: list[str] = []
    field_, told = candidates_of(known, 1 - keep / n)
    if len(field_) == 1 or keep == n:
        why = "everything stays" if keep == n else "there is nothing but random to try"
        return Won(_plan(known, RANDOM), [], [*told, f"method auto: {why}, so no tournament was held"])
    arena = _Arena.of(known, keep)
    if min(map(len, arena.judged)) * FOLDS < _FEWEST:
        # Samples that cannot be chosen from have a fold as well.
        raise _too_few(task.path, n)
    if not known.scored or not known.scored.single:
        notes.append(
            "method auto: the scores were made before, by models that saw the samples which judge them here; this may "
            "flatter methods that choose by scores"
        )
    entries = [_Entry(one) for one in field_]
    finalists, random = _rungs(arena, entries), entries[0]
    best = max(finalists, key=arena.mean)
    differences = {id(one): arena.difference(one, random, len(entries) - 1) for one in finalists}
    seen = differences[id(best)]
    won = best if seen.lower > 0 else random
    table = _table(arena, entries, differences, won)
    notes = [*told, *notes, _words(best.candidate, seen, arena.trials.unit)]
    return Won(_plan(known, won.candidate), table, notes, arena.trials.samples_seen)


def _check(known: Known, keep: int) -> None:
    path, n = known.task.path, len(known.rows)
    if n < _FEWEST:
        raise _too_few(path, n)
    try:
        quotas(np.bincount(known.crowd.group), keep, "proportional")
    except ValueError as error:
        raise ConfigError(f"{STEP}: {path}: {error}") from error


def _too_few(path: str, n: int) -> InputError:
    return InputError(
        f"{STEP}: {path}: {n} training samples are too few to try methods out; at least {_FEWEST} are needed; name "
        "--method"
    )


def _rungs(arena: "_Arena", entries: Sequence[_Entry]) -> list[_Entry]:
    """Hold the tournament; the finalists, without random."""
    random, rest = entries[0], list(entries[1:])
    everyone = [*_FIRST, *_SECOND, *(fold for fold in range(arena.folds) if fold not in (*_FIRST, *_SECOND))]
    half = max((len(rest) + 1) // 2, min(len(rest), _BEST))
    plans = [
        (len(rest), everyone[:2], 1),
        (half, everyone[:3], 1),
        (min(half, _BEST), everyone, 1),
        (min(half, _FINALISTS), everyone, _SEEDS),
    ]
    for rung, (size, folds, seeds) in enumerate(plans, 1):
        rest = sorted(rest, key=lambda one: -arena.mean(one))[:size] if rung > 1 else rest
        arena.play([random, *rest], folds, seeds, f"tournament, rung {rung} of {len(plans)}")
        for one in (random, *rest):
            one.rung = rung
    return rest


@dataclass(frozen=True, eq=False)
class _Arena:
    """Where candidates meet.

    Attributes:
        known: of the samples.
        trials: trains and asks.
        choices: among the samples outside of each fold.
        judged: (m,) int64 positions of the samples of each fold.
        keep: how many are chosen outside of each fold.
        seeds: of trainings.
    """

    known: Known
    trials: Trials
    choices: Sequence[Choices]
    judged: Sequence[Ints]
    keep: Sequence[int]
    seeds: Sequence[int]

    @classmethod
    def of(cls, known: Known, keep: int) -> "_Arena":
        task = known.task
        material = None if known.scored is None else known.scored.material
        if material is None:
            material = material_of(task.view, task.settings, task.context, STEP)
        rows = known.rows
        there = np.flatnonzero(material.usable[rows] & material.goal.known[rows])
        single = [] if known.scored is None else known.scored.single
        if known.scored is not None and len(single):
            fold, folds = known.scored.fold[rows], len(single)
        else:
            fold, folds = dealt(task, rows[there], FOLDS)[rows], FOLDS
        choices, judged, keeps = [], [], []
        for f in range(folds):
            learned, out = there[fold[there] != f], there[fold[there] == f]
            crowd = known.crowd.some(learned)
            if single:
                crowd = _as_told(crowd, single[f], rows[learned])
            choices.append(Choices(crowd, rows[learned], task, {}))
            judged.append(rows[out])
            keeps.append(number_in(keep, len(rows), crowd))
        seeds = seeds_of(task.context, FIRST_SEED, folds * _SEEDS)
        return cls(known, Trials(task, material, "tournament"), choices, judged, keeps, seeds)

    @property
    def folds(self) -> int:
        return len(self.choices)

    def play(self, entries: Iterable[_Entry], folds: Sequence[int], seeds: int, said: str) -> None:
        """Train what has not been trained yet on the folds, with so many seeds."""
        wanted = [
            (one, number, fold)
            for one in entries
            for number in range(seeds)
            for fold in folds
            if (number, fold) not in one.said
        ]
        jobs = []
        tell = self.known.task.context.progress(f"{said}, choosing", len(wanted))
        for one, number, fold in wanted:
            plan, seed = _plan(self.known, one.candidate), self.seeds[number * self.folds + fold]
            rows = self.choices[fold].chosen(plan, self.keep[fold], seed)
            jobs.append(Job(rows, self.judged[fold], seed))
            tell(1)
        for (one, number, fold), values in zip(wanted, self.trials.run(jobs, said), strict=True):
            one.said[number, fold] = values

    def scores(self, entry: _Entry, like: _Entry | None = None) -> Floats:
        """(S, m) scores of an entry's trainings by seed, all folds in a row; only of trainings that `like` had too."""
        there = sorted(entry.said if like is None else like.said)
        seeds = sorted({number for number, _ in there})
        folds = [fold for fold in range(self.folds) if all((number, fold) in there for number in seeds)]
        values = np.stack([np.concatenate([entry.said[number, fold] for fold in folds]) for number in seeds])
        return self.trials.scores(values, np.concatenate([self.judged[fold] for fold in folds]))

    def mean(self, entry: _Entry) -> float:
        """Mean accuracy, or R2, of an entry so far."""
        return float(self.scores(entry).mean())

    def difference(self, entry: _Entry, other: _Entry, tried: int) -> Interval:
        """How far an entry, one of so many that were tried, is ahead of another, where both had all trainings.

        The trainings of a fold have nothing to do with those of another, so that there are many of them.
        """
        ahead = self.scores(entry) - self.scores(other, like=entry)
        folds = np.split(ahead, np.cumsum([len(rows) for rows in self.judged])[:-1], axis=1)
        # Of many one is ahead by luck: the interval holds for all that were tried at once (Bonferroni).
        sure = 1 - (1 - self.known.task.settings.confidence) / max(tried, 1)
        return folded(folds, sure, within=self.trials.bound)


def _as_told(crowd: Crowd, told: Mapping[str, Floats], rows: Ints) -> Crowd:
    """Samples as one model alone saw them, which has left a fold out."""
    scores = {name: values[rows] for name, values in told.items()}
    return replace(crowd, scores=scores, hardness=scores[HARDNESS])


def _plan(known: Known, one: Candidate) -> Plan:
    return plan_of(known.task.settings, one.method, one.rule, one.beta)


def _table(
    arena: _Arena, entries: Sequence[_Entry], differences: dict[int, Interval], won: _Entry
) -> list[dict[str, Any]]:
    random, figure = entries[0], "accuracy" if arena.trials.unit == "points" else "r2"
    rows = []
    for one in sorted(entries, key=lambda one: (-one.rung, -arena.mean(one))):
        candidate, seen = one.candidate, differences.get(id(one))
        ahead = float((arena.scores(one) - arena.scores(random, like=one)).mean())
        rows.append(
            {
                "candidate": candidate.name,
                "method": candidate.method,
                "rule": None if candidate.method in UNSCORED else candidate.rule,
                "beta": round(candidate.beta, 5),
                "trainings": len(one.said),
                figure: round(arena.mean(one), 6),
                "difference": None if one is random else round(ahead, 6),
                "interval": None if seen is None else [round(seen.lower, 6), round(seen.upper, 6)],
                "rung": one.rung,
                "picked": one is won,
            }
        )
    return rows


def _words(best: Candidate, seen: Interval, unit: Unit) -> str:
    sure = f"{percent(seen.confidence)}: {amount(seen.lower, unit)} to {amount(seen.upper, unit)}"
    if seen.lower > 0:
        return f"method auto: {best.name} is {amount(seen.mean, unit)} ahead of random ({sure})"
    where = "ahead" if seen.mean >= 0 else "behind"
    return (
        f"method auto: no method is proved to beat random, so random it is; the best, {best.name}, was "
        f"{amount(abs(seen.mean), unit)} {where} ({sure})"
    )
