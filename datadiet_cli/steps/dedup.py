"""Remove duplicates and near-duplicates.

A way of recognising copies says who may be a copy of whom (`likeness.find`). Then, in this order: a training sample
that is in another dataset already (`against`) is contamination and goes; one that is a copy of an evaluation sample
leaks and goes; copies of the same label form groups around the sample that is kept; copies with contradicting labels
are conflicts. Evaluation samples are never dropped, only flagged.
"""

import os
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.open import open_dataset
from datadiet_cli.errors import InputError
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, divided, nearest, pairs_between, star_groups
from datadiet_cli.outcome import FOREIGN, Action, Outcome, Verdicts, unique
from datadiet_cli.reasons import REASONS
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness import find
from datadiet_cli.steps.likeness.base import Likeness
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.record import Recorder, shown
from datadiet_cli.steps.likeness.replay import replayed
from datadiet_cli.steps.safeguard import keep_classes

CONTRADICTING = ("conflict", "conflict-minority")
"""Reasons that are about two labels."""


def run(dataset: Dataset, settings: Dedup, context: Context) -> Outcome:
    """Decide which samples are copies.

    Raises:
        ConfigError: the settings do not fit the kind of data.
        InputError: a named column does not exist, or a dataset to hold against is of another kind.
    """
    pool = Pool(dataset, _others(dataset, settings, context))
    with ExitStack() as stack:
        past = context.replay
        likeness = replayed(pool, settings, past) if past else find(pool, settings, context, stack)
        recorder = Recorder(pool, likeness)
        decision = _Decision(pool, settings, likeness, recorder)
        decision.contamination()
        decision.leaks()
        decision.copies()
        decision.unlabelled()
        decision.conflicts()
        comparisons, calls = recorder.finish()
    verdicts = Verdicts.join(decision.parts)
    rank = np.full(int(dataset.rows.max(initial=-1)) + 1, 0, dtype=np.int64)
    rank[dataset.rows] = likeness.rank[: len(dataset)]
    verdicts = keep_classes(dataset, verdicts, rank)
    metrics = {**_metrics(verdicts, likeness), **_elsewhere(pool, likeness), **calls}
    return Outcome(verdicts, metrics, comparisons=comparisons).with_names(pool.names[len(dataset) :])


def _elsewhere(pool: Pool, likeness: Likeness) -> dict[str, Any]:
    """The other datasets, and how many samples of theirs could not be read and hence not compared."""
    if not pool.others:
        return {}
    lost = int(((likeness.causes != None) & pool.foreign).sum())  # noqa: E711 - elementwise
    states = {other.source.path: other.source.fingerprint() for other in pool.others}
    return {"against": states, "against_unreadable": lost}


def _others(dataset: Dataset, settings: Dedup, context: Context) -> tuple[Dataset, ...]:
    """The datasets to hold against."""
    opened = []
    for path in settings.against or ():
        if os.path.realpath(path) == os.path.realpath(dataset.source.path):
            raise InputError(f"{path}: --against is INPUT itself, of which nothing would be left; name another dataset")
        other = open_dataset(path, context.reading.of_another())
        if other.kind != dataset.kind:
            raise InputError(
                f"{path}: holds {other.kind} samples and {dataset.source.path} {dataset.kind} samples; "
                "--against needs the same kind"
            )
        opened.append(other)
    return tuple(opened)


def _metrics(verdicts: Verdicts, likeness: Likeness) -> dict[str, int]:
    found = {reason: len(unique(verdicts.sample[verdicts.reason == reason])) for reason in REASONS["dedup"]}
    size = np.bincount(verdicts.witness[verdicts.reason == "duplicate"])
    groups = {"groups": int((size > 0).sum()), "largest_group": int(size.max(initial=-1)) + 1}
    return {**found, **groups, **likeness.metrics}


class _Decision:
    """The decisions so far. Arrays are by position in the pool; the samples of other datasets are nobody's training."""

    def __init__(self, pool: Pool, settings: Dedup, likeness: Likeness, recorder: Recorder) -> None:
        dataset, more = pool.dataset, int(pool.foreign.sum())
        self.settings, self.likeness, self.recorder = settings, likeness, recorder
        self.foreign, self.rank, self.accept = pool.foreign, likeness.rank, recorder.accept
        self.split_names, self.classes = dataset.split_names, dataset.classes
        self.training = np.append(dataset.training, np.zeros(more, dtype=bool))
        self.evaluation = ~self.training & ~self.foreign
        self.labels = np.append(dataset.labels, np.full(more, UNKNOWN, dtype=np.int32))
        self.splits = np.append(dataset.splits, np.full(more, UNKNOWN, dtype=np.int32))
        self.rows = np.append(dataset.rows, FOREIGN - np.arange(more, dtype=np.int64))
        self.gone = np.zeros(len(pool), dtype=bool)
        self.copies_of = np.full(len(pool), ALONE, dtype=np.int64)
        unreadable = np.flatnonzero((likeness.causes != None) & ~self.foreign)  # noqa: E711 - elementwise
        self.parts = [
            Verdicts.of(self.rows[unreadable], Action.FLAG, "unreadable", detail=likeness.causes[unreadable].tolist())
        ]

    def contamination(self) -> None:
        """Drop training samples that are copies of another dataset's samples, flag evaluation samples that are."""
        if not self.foreign.any():
            return
        witness, distance = nearest(self.likeness.candidates, self.rank, self.accept, ~self.foreign, self.foreign)
        for part, action in ((self.training, Action.DROP), (self.evaluation, Action.FLAG)):
            self._say(action, "contamination", np.where(part, witness, ALONE), distance)

    def leaks(self) -> None:
        """Drop training samples that are copies of evaluation samples, whatever their labels."""
        if self.settings.scope != "across-splits" or not self.evaluation.any():
            return
        left = self.training & ~self.gone
        witness, distance = nearest(self.likeness.candidates, self.rank, self.accept, left, self.evaluation)
        labels = self.labels
        found = np.flatnonzero(witness != ALONE)
        other = (labels[found] != labels[witness[found]]) & self._labelled(found, witness[found])
        words = ["and the labels contradict each other" if differs else None for differs in other.tolist()]
        self._say(Action.DROP, "leak", witness, distance, words)

    def copies(self) -> None:
        """Group copies of the same label, and of the same split where the scope says so, around the kept sample."""
        groups = self._within_label_and_split()
        for part, action, reason in (
            (self.training & ~self.gone, Action.DROP, "duplicate"),
            (self.evaluation, Action.FLAG, "duplicate-in-evaluation"),
        ):
            witness, distance = star_groups(groups, self.rank, self.accept, part)
            self.copies_of = np.where(witness != ALONE, witness, self.copies_of)
            self._say(action, reason, witness, distance)

    def unlabelled(self) -> None:
        """Drop a sample without a label that is a copy of one that has a label; never the other way round."""
        labelled = self.labels != UNKNOWN
        if self.settings.scope == "within-class" or not labelled.any():
            return
        groups = self.likeness.candidates
        if self.settings.scope == "across-classes":
            groups = divided(groups, self.splits.astype(np.int64) + 1)
        for part, action, reason in (
            (self.training & ~self.gone, Action.DROP, "duplicate"),
            (self.evaluation, Action.FLAG, "duplicate-in-evaluation"),
        ):
            witness, distance = nearest(groups, self.rank, self.accept, part & ~labelled, part & labelled)
            self._say(action, reason, witness, distance)

    def conflicts(self) -> None:
        """Find kept samples that are copies of each other under different labels, and do as `conflicts` says."""
        if self.settings.scope == "within-class" or len(self.classes) < 2:
            return
        a, b, distance = self._contradictions()
        if self.settings.conflicts == "keep-majority":
            lost, winner, lost_distance = self._outvoted(a, b, distance)
            self._say_pairs(Action.DROP, "conflict-minority", lost, winner, lost_distance)
            unsettled = ~(self.gone[a] | self.gone[b])
            a, b, distance = a[unsettled], b[unsettled], distance[unsettled]
        both, other = np.concatenate([a, b]), np.concatenate([b, a])
        distance = np.concatenate([distance, distance])
        order = np.lexsort((self.rank[other], distance, both))
        both, other, distance = both[order], other[order], distance[order]
        first = np.unique(both, return_index=True)[1]
        both, other, distance = both[first], other[first], distance[first]
        drop = self.training[both] & (self.settings.conflicts == "drop-all")
        self._say_pairs(Action.DROP, "conflict", both[drop], other[drop], distance[drop])
        self._say_pairs(Action.FLAG, "conflict", both[~drop], other[~drop], distance[~drop])

    def _within_label_and_split(self) -> Candidates:
        group = self.labels.astype(np.int64) + 1
        if self.settings.scope != "across-splits":
            group = group * (len(self.split_names) + 1) + self.splits + 1
        return divided(self.likeness.candidates, group)

    def _labelled(self, a: Ints, b: Ints) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = (self.labels[a] != UNKNOWN) & (self.labels[b] != UNKNOWN)
        return known

    def _contradictions(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        labels, splits = self.labels, self.splits
        kept = ~self.gone & (labels != UNKNOWN)
        found: list[tuple[Ints, Ints, NDArray[np.float64]]] = []
        for a, b in pairs_between(self.likeness.candidates, kept, kept):
            differ = (a < b) & (labels[a] != labels[b])
            if self.settings.scope == "across-classes":
                differ &= splits[a] == splits[b]
            a, b = a[differ], b[differ]
            distance = self.accept(a, b)
            good = ~np.isnan(distance)
            found.append((a[good], b[good], distance[good]))
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        a, b, distance = (np.concatenate(column) for column in zip(*found, strict=True))
        return a, b, distance

    def _outvoted(self, a: Ints, b: Ints, distance: NDArray[np.float64]) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """In each contradicting pair the sample with fewer copies of its own label loses; a tie is left open."""
        held = self.copies_of[self.copies_of != ALONE]
        votes = 1 + np.bincount(held, minlength=len(self.rows))
        swap = votes[a] > votes[b]
        loser, winner = np.where(swap, b, a), np.where(swap, a, b)
        decided = (votes[loser] < votes[winner]) & self.training[loser]
        loser, winner, distance = loser[decided], winner[decided], distance[decided]
        # A winner that loses to a third sample is no witness; the strongest winner of each loser never does
        # unless it loses itself, so go from the most votes down and let only those still standing win.
        order = np.lexsort((self.rank[winner], -votes[winner]))
        lost = np.zeros(len(self.rows), dtype=bool)
        take = np.zeros(len(order), dtype=bool)
        for position in order.tolist():
            if not lost[winner[position]] and not lost[loser[position]]:
                lost[loser[position]] = take[position] = True
        return loser[take], winner[take], distance[take]

    def _say(
        self,
        action: Action,
        reason: str,
        witness: Ints,
        distance: NDArray[np.float64],
        words: list[str | None] | None = None,
    ) -> None:
        found = np.flatnonzero(witness != ALONE)
        self._say_pairs(action, reason, found, witness[found], distance[found], words)

    def _say_pairs(
        self,
        action: Action,
        reason: str,
        sample: Ints,
        witness: Ints,
        distance: NDArray[np.float64],
        words: list[str | None] | None = None,
    ) -> None:
        like, rows = self.likeness, self.rows
        said = self.recorder.words(sample, witness)
        labels = self._both_labels(sample, witness) if reason in CONTRADICTING else None
        if words is not None:
            said = ["; ".join(part for part in pair if part) or None for pair in zip(words, said, strict=True)]
        score = np.round(1.0 - distance, 12) if like.similar else distance
        self.parts.append(
            Verdicts.of(
                rows[sample],
                action,
                reason,
                score=score,
                threshold=shown(like.threshold, similar=like.similar),
                witness=rows[witness],
                detail=said,
                evidence=labels,
            )
        )
        if action is Action.DROP:
            self.gone[sample] = True

    def _both_labels(self, sample: Ints, witness: Ints) -> list[dict[str, str]]:
        pairs = zip(self.labels[sample].tolist(), self.labels[witness].tolist(), strict=True)
        return [{"label": self.classes[one], "witness_label": self.classes[other]} for one, other in pairs]
