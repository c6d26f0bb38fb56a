"""Which samples a model learns from, which tell when to stop, and which it is judged by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.kinds import EVALUATION_NAMES
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import InputError
from datadiet_cli.steps.targets import Goal

if TYPE_CHECKING:
    import polars as pl

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Keys = NDArray[np.uint64]

VALIDATION_NAMES = frozenset({"dev", "val", "valid", "validation"})
TEST_NAMES = EVALUATION_NAMES - VALIDATION_NAMES
_CELL_END, _MISSING = "\x1f", "\x00"
_NAMED = 5


class Division(NamedTuple):
    """A dataset in parts.

    Attributes:
        train: (k,) int64 ascending positions of the samples to learn from.
        validation: (v,) int64 likewise.
        test: (t,) int64 likewise; none if no test part was asked for and there is no split of that name.
        notes: in words, where the parts come from and what was left out.
    """

    train: Ints
    validation: Ints
    test: Ints
    notes: tuple[str, ...]


def divide(
    dataset: Dataset,
    goal: Goal,
    *,
    validation: float,
    test: float | None,
    seed: int,
    usable: Bools | None = None,
    keys: Keys | None = None,
) -> Division:
    """Part a dataset by its own splits, and where it has none of a sort, by a draw from its training samples.

    What is drawn depends on the samples and the seed only, not on the order of files or rows: of each class those with
    the smallest hashes (`sample_keys`), so that a sample stays in its part, but for a few at the border, when others
    go; samples of a class that have the same key stay together. A class gives its share of the part, rounded such that
    the parts have the size asked for; each of two samples or more gives at least one to a test part, and each keeps at
    least one to learn from. Numbers are drawn without regard to their size.

    Args:
        dataset: the samples.
        goal: what is to be predicted of them.
        validation: share of the training samples for validation, where there is no split of that name; 0 for none.
        test: likewise for the test part; None to make none.
        seed: of the draw.
        usable: (n,) bool, samples that may take part; all for None.
        keys: (n,) uint64, the samples by `sample_keys`, where some columns are not to count.

    Raises:
        InputError: no sample is left to learn from, or samples of one class only.
    """
    able = np.ones(len(dataset), dtype=bool) if usable is None else usable
    notes = _left_out(dataset, goal, able)
    takes = goal.known & able
    kind = np.array([_kind(name) for name in dataset.split_names] + [0])[dataset.splits]
    train, validating, testing = (np.flatnonzero(takes & (kind == part)) for part in range(3))
    for share, part, word in ((test or 0.0, testing, "test"), (validation, validating, "validation")):
        if len(part) or not share or not len(train):
            continue
        # Only now: they take a look at every cell of a table.
        keys = sample_keys(dataset) if keys is None else keys
        drawn = _draw(keys, goal, train, share, f"{word} {seed}")
        notes.append(
            f"{word}: there is no such split; {len(drawn):,} of {len(train):,} training samples are held out, "
            + (f"drawn by seed {seed}" if goal.task == "numbers" else f"class by class, drawn by seed {seed}")
        )
        train = np.setdiff1d(train, drawn, assume_unique=True)
        if word == "test":
            testing = drawn
        else:
            validating = drawn
    notes += _single(goal, train, np.concatenate([train, validating, testing]))
    if not len(train) or (goal.task == "classes" and len(np.unique(goal.values[train])) < 2):
        left = "no sample is" if not len(train) else "samples of one class only are"
        raise InputError(f"{dataset.source.path}: {left} left to learn from{''.join(f'; {note}' for note in notes)}")
    return Division(train, validating, testing, tuple(notes))


def sample_keys(dataset: Dataset, columns: Sequence[str] | None = None) -> Keys:
    """(n,) uint64, the same for the same sample in a dataset before and after others were removed.

    Hashes of the ids; of a table without a column of ids, where these are the numbers of the rows, of the cells of the
    features: rows that say the same have the same key.

    Args:
        dataset: the samples.
        columns: of a table without a column of ids, those that count: the ones that a table which lost some still has.
            All features for None.
    """
    source = dataset.source
    names = source.features if isinstance(source, TableSource) and columns is None else list(columns or ())
    if isinstance(source, TableSource) and source.id_column is None and names:
        texts = _joined(source.file.texts(names)[dataset.rows])
    else:
        texts = dataset.ids
    hashes = (xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) for text in texts)
    return np.fromiter(hashes, dtype=np.uint64, count=len(dataset))


def _joined(frame: "pl.DataFrame") -> list[str]:
    import polars as pl

    cells = [pl.col(name).fill_null(_MISSING) for name in frame.columns]
    texts: list[str] = frame.select(pl.concat_str(cells, separator=_CELL_END)).to_series().to_list()
    return texts


def _kind(split: str) -> int:
    """0 for training, 1 for validation, 2 for test."""
    name = split.strip().lower()
    return 1 if name in VALIDATION_NAMES else 2 if name in TEST_NAMES else 0


def _draw(keys: Keys, goal: Goal, among: Ints, share: float, name: str) -> Ints:
    """Positions for another part, ascending; a part of another name is drawn in another order."""
    salt = np.uint64(xxhash.xxh3_64_intdigest(name.encode()))
    group = goal.values[among] if goal.task == "classes" else np.zeros(len(among), dtype=np.int64)
    counts = np.bincount(group)
    quota = _quotas(counts, share, at_least=1 if name.startswith("test") and goal.task == "classes" else 0)
    mixed = _mixed(keys[among] ^ salt)
    order = np.lexsort((among, mixed, group))
    within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Equal keys of a class are neighbours, and stay together, on the side where most of them are; the last ones stay.
    group, mixed = group[order], mixed[order]
    new = (np.diff(group, prepend=-1) != 0) | (np.diff(mixed, prepend=mixed[:1]) != 0)
    run = np.cumsum(new) - 1
    start, size = within[new][run], np.bincount(run)[run]
    taken = (2 * start + size <= 2 * quota[group]) & (start + size < counts[group])
    return np.sort(among[order[taken]])


def _mixed(keys: Keys) -> Keys:
    """Another order of the keys for each salt; a bijection (the end of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _quotas(counts: Ints, share: float, at_least: int) -> Ints:
    """How many of each class go, by the largest remainders, with one left everywhere."""
    exact = share * counts
    quota = np.floor(exact).astype(np.int64)
    more = max(round(float(exact.sum())), 1) - int(quota.sum())
    quota[np.argsort(-(exact - quota), kind="stable")[:more]] += 1
    quota = np.minimum(np.maximum(quota, at_least), np.maximum(counts - 1, 0))
    return np.asarray(quota, dtype=np.int64)


def _left_out(dataset: Dataset, goal: Goal, able: Bools) -> list[str]:
    notes = []
    if foreign := sum(goal.absent.values()):
        notes.append(f"left out, of classes that no training sample has ({_listed(list(goal.absent))}): {foreign:,}")
    if unlabelled := int((~goal.known).sum()) - foreign:
        notes.append(f"left out, without a label: {unlabelled:,}")
    if unusable := int((goal.known & ~able).sum()):
        notes.append(f"left out, because they cannot be read or hold nothing: {unusable:,}")
    return notes


def _single(goal: Goal, train: Ints, everything: Ints) -> list[str]:
    """What is to be said of classes too small to be parted."""
    if goal.task == "numbers":
        return []
    k = len(goal.classes)
    learned, all_of = (np.bincount(goal.values[some], minlength=k) for some in (train, everything))
    notes = []
    if alone := [goal.classes[i] for i in np.flatnonzero((learned == 1) & (all_of == 1)).tolist()]:
        notes.append(f"classes of one sample, which is learned from and never judged: {_listed(alone)}")
    if missing := [goal.classes[i] for i in np.flatnonzero(learned == 0).tolist()]:
        notes.append(f"classes without a sample to learn from: {_listed(missing)}")
    return notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
