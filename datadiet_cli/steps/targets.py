"""What a model is to predict: classes, or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import InputError
from datadiet_cli.steps.noise.quantities import quantities_of
from datadiet_cli.steps.noise.row_columns import MISSING_WORDS

Task = Literal["auto", "classes", "numbers"]
Ints = NDArray[np.int64]
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Goal:
    """What is to be predicted of n samples.

    Attributes:
        task: ``classes`` or ``numbers``.
        values: (n,) int64 codes of `classes`, `UNKNOWN` for a sample without a label, or with a class that no training
            sample has; or (n,) float64, NaN for a missing number.
        classes: names of the classes that training samples have, sorted; none for numbers.
        label: the column, if there is one.
        absent: classes that only evaluation samples have, each with how many do.
    """

    task: Literal["classes", "numbers"]
    values: NDArray[Any]
    classes: tuple[str, ...]
    label: str | None
    absent: dict[str, int] = field(default_factory=dict)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) bool, samples with a target."""
        missing = np.isnan(self.values) if self.task == "numbers" else self.values == UNKNOWN
        return np.asarray(~missing, dtype=np.bool_)


def target_of(dataset: Dataset, step: str, task: Task = "auto", *, learned: bool = True) -> Goal:
    """Find out what is to be predicted.

    Labels are numbers to predict under the rule that `denoise` has for them: all are numbers, there are more than 20
    different ones, and they hardly repeat or have parts of a whole among them. Marks such as ``NA`` and ``?`` among
    them stand for a missing number. So are labels none of which repeats, if they are numbers with parts of a whole.

    Args:
        dataset: the samples.
        step: who asks, for messages.
        task: ``auto``, or what another dataset's labels, which these are to be compared with, were found to be.
        learned: whether a model is to learn from these samples. If not, as of a test set, splits do not matter, and
            labels may be all the same, or all different.

    Raises:
        InputError: there are no labels, or one stands for several classes, or is no number where numbers are predicted;
            or, to be learned, they are of one class, or all the same number, or no two are the same.
    """
    path = dataset.source.path
    if any(len(names) > 1 for names in dataset.class_sets.values()):
        raise InputError(f"{step}: {path}: labels stand for several classes at once, and a model here predicts one")
    if not (dataset.labels != UNKNOWN).any():
        raise InputError(f"{step}: {path}: {_unlabelled(dataset)}")
    numbers = None if task == "classes" else _numbers(dataset, task, step)
    source = dataset.training if learned else np.ones(len(dataset), dtype=bool)
    goal = _of_classes(dataset, source) if numbers is None else Goal("numbers", numbers, (), _label(dataset))
    if learned:
        _check(goal, source, path, step)
    return goal


def aligned(goal: Goal, classes: Sequence[str]) -> tuple[Ints, dict[str, int]]:
    """The codes that a model's classes have for the labels of another dataset.

    Args:
        goal: of that dataset; of classes.
        classes: of the model.

    Returns:
        (n,) int64, `UNKNOWN` for no label, or one that the model knows nothing of; and the classes of the labels that
        it knows nothing of, each with how many samples have it.
    """
    place = {name: code for code, name in enumerate(classes)}
    codes = np.array([place.get(name, UNKNOWN) for name in goal.classes] + [UNKNOWN], dtype=np.int64)
    counts = np.bincount(goal.values[goal.values != UNKNOWN], minlength=len(goal.classes))
    foreign = {
        name: int(count)
        for name, count in zip(goal.classes, counts.tolist(), strict=True)
        if name not in place and count
    }
    return codes[goal.values], dict(
        sorted({**foreign, **{n: c for n, c in goal.absent.items() if n not in place}}.items())
    )


def _unlabelled(dataset: Dataset) -> str:
    source = dataset.source
    if isinstance(source, TableSource):
        return (
            "there is no label to learn; --label names its column"
            if source.label is None
            else f"--label {source.label}: the column is empty"
        )
    return "there are no labels to learn; put the files into a folder for each class, or a table of labels beside them"


def _label(dataset: Dataset) -> str | None:
    return getattr(dataset.source, "label", None)


def _numbers(dataset: Dataset, task: Task, step: str) -> NDArray[np.float64] | None:
    """(n,) float64 labels as numbers; None if they name classes."""
    plain_names = [name.strip().lower() for name in dataset.classes]
    kept = [i for i, name in enumerate(plain_names) if name and name not in MISSING_WORDS]
    plain = _of_these(dataset, kept)
    if task == "numbers":
        values = np.array([_number(name) for name in plain.classes] + [np.nan])
        wrong = np.flatnonzero(np.isnan(values[:-1]))
        if len(wrong):
            name = _quoted(plain.classes[int(wrong[0])])
            raise InputError(f"{step}: {dataset.source.path}: the label {name} is no number, and numbers are predicted")
        return values[plain.labels]
    found = quantities_of(plain, "auto")
    if found is not None:
        return found
    _check_finite(plain, step)
    # A few measurements, no two of which are the same.
    values = np.array([_number(name) for name in plain.classes] + [np.nan])
    known = plain.labels[plain.labels != UNKNOWN]
    parts = np.isfinite(values[:-1]).all() and bool((values[:-1] != np.floor(values[:-1])).any())
    return values[plain.labels] if parts and 1 < len(known) == len(np.unique(known)) else None


def _check_finite(dataset: Dataset, step: str) -> None:
    """See that labels are no numbers of which some are infinite: those would be thousands of classes."""
    endless = [i for i, name in enumerate(dataset.classes) if _infinite(name)]
    rest = [i for i, name in enumerate(dataset.classes) if not _infinite(name)]
    if endless and quantities_of(_of_these(dataset, rest), "auto") is not None:
        count = int(np.isin(dataset.labels, endless).sum())
        raise InputError(
            f"{step}: {dataset.source.path}: labels are numbers, but {count:,} of them infinite, such as "
            f"{_quoted(dataset.classes[endless[0]])}; leave those cells empty"
        )


def _of_these(dataset: Dataset, kept: Sequence[int]) -> Dataset:
    """The dataset with these of its classes; samples of the others have no label."""
    codes = np.full(len(dataset.classes) + 1, UNKNOWN, dtype=np.int32)
    codes[list(kept)] = np.arange(len(kept))
    return replace(dataset, labels=codes[dataset.labels], classes=tuple(dataset.classes[i] for i in kept))


def _infinite(text: str) -> bool:
    try:
        return bool(np.isinf(float(text)))
    except ValueError:
        return False


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _of_classes(dataset: Dataset, source: NDArray[np.bool_]) -> Goal:
    """The classes of some samples, and the codes of all."""
    labels, known = dataset.labels.astype(np.int64), dataset.labels != UNKNOWN
    counts, everywhere = (np.bincount(labels[some], minlength=len(dataset.classes)) for some in (source & known, known))
    kept = np.flatnonzero(counts)
    codes = np.full(len(dataset.classes) + 1, UNKNOWN, dtype=np.int64)
    codes[kept] = np.arange(len(kept))
    absent = {dataset.classes[i]: int(everywhere[i]) for i in np.flatnonzero((counts == 0) & (everywhere > 0)).tolist()}
    return Goal("classes", codes[labels], tuple(dataset.classes[i] for i in kept.tolist()), _label(dataset), absent)


def _check(goal: Goal, source: NDArray[np.bool_], path: str, step: str) -> None:
    """See that there is something to learn."""
    values = goal.values[source & goal.known]
    if not len(values):
        raise InputError(f"{step}: {path}: no training sample has a label")
    if goal.task == "numbers":
        if values.min() == values.max():
            raise InputError(f"{step}: {path}: all labels are {values[0]:g}: there is nothing to learn")
        return
    if len(goal.classes) == 1:
        name = _quoted(goal.classes[0])
        raise InputError(f"{step}: {path}: all samples to learn from are of one class, {name}; at least two are needed")
    if len(values) == len(goal.classes):
        some = ", ".join(map(_quoted, goal.classes[:2]))
        raise InputError(
            f"{step}: {path}: {len(values):,} labels, {some} and so on, and no two samples have the same: classes "
            "must repeat to be learned; is another column the label?"
        )


def _quoted(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
