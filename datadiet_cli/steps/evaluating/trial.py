"""What is compared: training samples before and after, and the test samples that both are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.evaluate import PIPELINE, Evaluate
from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.open import open_dataset
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.division import Division, divide
from datadiet_cli.steps.evaluating.pairing import NOWHERE, counterparts
from datadiet_cli.steps.leakage import leaks
from datadiet_cli.steps.targets import Goal, target_of
from datadiet_cli.steps.teaching.material import Material, material_for, material_of, with_classes

Ints = NDArray[np.int64]

STEP = "evaluate"
_NAMED = 5
"""Classes that are named."""


@dataclass(frozen=True, eq=False)
class Side:
    """A dataset to learn from, and the test samples as it has them.

    Attributes:
        material: the samples to learn from.
        train: (n,) positions of them.
        test: the test samples, in the form of this side's model.
        rows: (t,) positions of them, in the same order on both sides.
    """

    material: Material
    train: Ints
    test: Material
    rows: Ints

    def without(self, places: Ints) -> "Side":
        """The side without some of the test samples, by place in `rows`."""
        return replace(self, rows=np.delete(self.rows, places))


@dataclass(frozen=True, eq=False)
class Trial:
    """A comparison.

    Attributes:
        before: the dataset as it was.
        after: the dataset as it is.
        classes: of both and of the test samples.
        notes: what people should be told.
        leaked: test samples that are in the training data, for the report.
    """

    before: Side
    after: Side
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    leaked: dict[str, object]


def trial_of(dataset: Dataset, settings: Evaluate, context: Context) -> Trial:
    """Find out what is to be compared.

    Args:
        dataset: as it is now.
        settings: name the dataset as it was, and the test data.
        context: the run.

    Raises:
        ConfigError: there is nothing to compare with, or no part of the data that can be held out.
        InputError: a dataset cannot be read, or test samples are in the training data.
    """
    before, same_source = _before(dataset, settings, context)
    sides = _materials(before, dataset, settings, context)
    found = _with_test(sides, settings, context, same_source)
    found = _without_leaks(found, settings, context)
    for side, name in ((found.before, "before"), (found.after, "after")):
        if len(side.train) < 2:
            raise InputError(f"{STEP}: {name} has {len(side.train)} samples to learn from; at least 2 are needed")
    if not len(found.before.rows):
        raise InputError(f"{STEP}: there is no test sample; name test data with --test")
    return found


def _before(dataset: Dataset, settings: Evaluate, context: Context) -> tuple[Dataset, bool]:
    if settings.against is None:
        raise ConfigError(f"{STEP}: --against names the dataset as it was before (in a pipeline: against: input)")
    if settings.against == PIPELINE and context.opened is not None:
        return context.opened, True
    return open_dataset(settings.against, context.reading), False


def _materials(before: Dataset, after: Dataset, settings: Evaluate, context: Context) -> tuple[Material, Material]:
    """Both in the form of a model. Where vectors were selected after, all of them are what was there before."""
    task = target_of(before, STEP, settings.task).task
    mine = material_of(after, settings, context, STEP, task=task)
    if after.selection is None or before.selection is not None or mine.transform is None:
        return material_of(before, settings, context, STEP, task=task), mine
    theirs = settings.model_copy(update={"encoder": str(mine.transform.document["encoder"])})
    return material_of(before, theirs, context, STEP, vectors=True, task=task), mine


def _with_test(sides: tuple[Material, Material], settings: Evaluate, context: Context, same_source: bool) -> Trial:
    before, after = sides
    if settings.test is not None:
        return _with_data(before, after, settings, context)
    division = _divided(before, None, context)
    made = not len(division.test)
    if made:
        division = _divided(before, settings.test_share, context)
    place = counterparts(before.dataset, after.dataset, same_source=same_source)
    own = _divided(after, None, context)
    is_test = np.zeros(len(before.dataset) + 1, dtype=bool)
    is_test[division.test] = True
    if made and (place[own.train] == NOWHERE).any():
        strange = int((place[own.train] == NOWHERE).sum())
        raise ConfigError(
            f"{STEP}: {strange:,} samples of {after.dataset.source.path} are not in {before.dataset.source.path} as "
            "they are, changed or made perhaps, so that no part can be held out of both; name test data with --test"
        )
    train = own.train[~is_test[place[own.train]]] if made else own.train
    classes = _union(before.goal.classes, after.goal.classes)
    before, after = _renumbered((before, after), classes)
    one = Side(before, division.train, before, division.test)
    there = np.full(len(before.dataset), NOWHERE, dtype=np.int64)
    known = place != NOWHERE
    there[place[known]] = np.flatnonzero(known)
    mine = there[division.test]
    good = mine != NOWHERE
    good[good] = after.usable[mine[good]]
    notes = _told(division, own)
    if made:
        notes.append("what was chosen before has seen the test samples, which may flatter after; a test split has not")
    if good.all():
        other = Side(after, train, after, mine)
    else:
        notes.append("the test samples are those of before, for not all of them are in after")
        test = material_for(before.dataset, before.goal, after, settings, context, STEP)
        other = Side(after, train, test, division.test)
    return Trial(one, other, classes, tuple(notes), {})


def _told(before: Division, after: Division) -> list[str]:
    """Where the parts of both come from, and what was left out of them."""
    return [*before.notes, *(f"after: {note}" for note in after.notes if note not in before.notes)]


def _divided(material: Material, share: float | None, context: Context) -> Division:
    return divide(
        material.dataset, material.goal, validation=0.0, test=share, seed=context.seed, usable=material.usable
    )


def _with_data(before: Material, after: Material, settings: Evaluate, context: Context) -> Trial:
    """The comparison by test data of their own."""
    # All of it is test data, whatever split it says it is of, so that it needs no column that says it.
    test = open_dataset(str(settings.test), replace(context.reading, split=None))
    test = replace(test, splits=np.full(len(test), UNKNOWN, dtype=np.int32), split_names=())
    goal = target_of(test, STEP, before.goal.task, learned=False)
    classes = _union(before.goal.classes, after.goal.classes, goal.classes)
    divisions = [_divided(side, None, context) for side in (before, after)]
    sides = []
    for side, division in zip(_renumbered((before, after), classes), divisions, strict=True):
        made = material_for(test, goal, side, settings, context, STEP)
        (made,) = _renumbered((made,), classes)
        sides.append(Side(side, division.train, made, np.empty(0, np.int64)))
    good = sides[0].test.usable & sides[1].test.usable & goal.known
    rows = np.flatnonzero(good)
    notes = [] if good.all() else [f"test samples without a label, or that cannot be read: {int((~good).sum()):,}"]
    notes += _told(*divisions)
    notes += _unlearned(goal, _union(before.goal.classes, after.goal.classes), test)
    return Trial(replace(sides[0], rows=rows), replace(sides[1], rows=rows), classes, tuple(notes), {})


def _unlearned(goal: Goal, learned: Sequence[str], test: Dataset) -> list[str]:
    """What is to be said of test samples of classes that no training sample is of.

    Raises:
        InputError: all are.
    """
    foreign = [name for name in goal.classes if name not in set(learned)]
    if not foreign:
        return []
    named = ", ".join(foreign[:_NAMED]) + (f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else "")
    if len(foreign) == len(goal.classes):
        raise InputError(f"{STEP}: {test.source.path}: no training sample is of a class of the test data ({named})")
    count = int(np.isin(goal.values, [goal.classes.index(name) for name in foreign]).sum())
    return [f"test samples of classes that no training sample has, mistakes of both: {count:,} ({named})"]


def _renumbered(sides: Sequence[Material], classes: tuple[str, ...]) -> tuple[Material, ...]:
    return tuple(with_classes(side, classes) if side.goal.task == "classes" else side for side in sides)


def _union(*groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))


def _without_leaks(trial: Trial, settings: Evaluate, context: Context) -> Trial:
    """Look for test samples among the training samples of either side, and do with them what the settings say.

    Raises:
        InputError: there are some, and nothing says to go on.
    """
    lost: dict[int, tuple[str, str, str]] = {}
    test = trial.before.test.dataset
    mask = np.zeros(len(test), dtype=bool)
    mask[trial.before.rows] = True
    place = {row: i for i, row in enumerate(test.rows[trial.before.rows].tolist())}
    for side in (trial.before, trial.after):
        learned = np.zeros(len(side.material.dataset), dtype=bool)
        learned[side.train] = True
        training = side.material.dataset.keep(learned)
        found = leaks(training, test.keep(mask), context)
        copies = found.kinds != "natural"
        rows = found.test_rows[copies]
        names = zip(test.source.ids(rows), training.source.ids(found.witness_rows[copies]), strict=True)
        for row, (name, other), kind in zip(rows.tolist(), names, found.kinds[copies].tolist(), strict=True):
            lost.setdefault(place[row], (name, other, kind))
    if not lost:
        return trial
    share = len(lost) / len(trial.before.rows)
    first = ", ".join(f"{name} is {other}" for name, other, _ in list(lost.values())[:3])
    said = f"{len(lost):,} test samples ({share:.1%}) are in the training data, or nearly: {first}"
    if settings.leakage == "refuse":
        raise InputError(
            f"{STEP}: {said}; take them out with datadiet dedup --scope across-splits, leave them out of the test "
            "with --leakage exclude, or go on with --leakage report"
        )
    kinds = [kind for _, _, kind in lost.values()]
    counts = {kind: kinds.count(kind) for kind in ("exact", "near")}
    leaked: dict[str, object] = {**counts, "share": share, "samples": [list(words) for words in lost.values()][:1000]}
    if settings.leakage == "report":
        note = f"LEAKAGE: {said}; the figures are better than they would be on new data"
        return replace(trial, notes=(note, *trial.notes), leaked=leaked)
    places = np.array(sorted(lost), dtype=np.int64)
    note = f"left out of the test for they are in the training data: {len(lost):,} samples ({share:.1%})"
    before, after = trial.before.without(places), trial.after.without(places)
    return replace(trial, before=before, after=after, notes=(note, *trial.notes), leaked=leaked)
