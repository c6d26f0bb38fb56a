"""Groups of the training samples: classes, or combinations of columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource, SidecarTable
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError

Ints = NDArray[np.int64]
Names = Sequence[str | None]

NO_GROUP = -1
CLASS_NAMES = ("label", "class")
"""Words for the class itself, where no column is called so."""
MANY_CLASSES = 20
"""Classes from which on they are taken for numbers to predict, if there are fewer than two samples to each."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Training samples by group.

    Attributes:
        code: (n,) int64, by position in the dataset; `NO_GROUP` for evaluation samples, and for those without a label
            or with an empty cell.
        names: of the groups, sorted.
        left_alone: training samples of no group.
    """

    code: Ints
    names: tuple[str, ...]
    left_alone: int

    @cached_property
    def counts(self) -> Ints:
        """(g,) int64 samples of each group, of which none is empty."""
        return np.bincount(self.code[self.code >= 0], minlength=len(self.names)).astype(np.int64)


def groups_of(dataset: Dataset, group_by: Sequence[str] | None, step: str) -> Groups:
    """Group the training samples.

    Args:
        dataset: the dataset.
        group_by: columns; the label for None.
        step: who asks, for messages.

    Raises:
        ConfigError: there are no labels, or they are numbers to predict.
        InputError: there is no such column.
    """
    if group_by is None:
        _require_classes(dataset, step)
        values = [_labels(dataset)]
    else:
        values = [_column(dataset, name) for name in dict.fromkeys(group_by)]
    training = dataset.training.tolist()
    keys = [
        key if trains and None not in key else None
        for key, trains in zip(zip(*values, strict=True), training, strict=True)
    ]
    known = sorted({key for key in keys if key is not None}, key=lambda key: tuple(map(str, key)))
    number = {key: i for i, key in enumerate(known)}
    code = np.array([NO_GROUP if key is None else number[key] for key in keys], dtype=np.int64)
    return Groups(code, _named(known), int(dataset.training.sum()) - int((code >= 0).sum()))


def _require_classes(dataset: Dataset, step: str) -> None:
    if not dataset.classes:
        raise ConfigError(f"{step}: there are no labels; --label names their column, --group-by other columns")
    labelled = int((dataset.labels >= 0).sum())
    if len(dataset.classes) > max(MANY_CLASSES, labelled // 2) and not dataset.class_sets:
        raise ConfigError(
            f"{step}: the {labelled:,} labels have {len(dataset.classes):,} different values, which are numbers to "
            "predict and no classes"
        )


def _labels(dataset: Dataset) -> Names:
    names = np.array([*dataset.classes, None], dtype=object)
    return list(names[dataset.labels])


def _column(dataset: Dataset, name: str) -> Names:
    """The cells of a column, a text or None for each sample."""
    source = dataset.source
    if isinstance(source, TableSource):
        if name in CLASS_NAMES and name not in source.file.columns and dataset.classes:
            return _labels(dataset)
        require_column(source.path, "--group-by", name, source.file.columns)
        return list(source.file.texts([name]).to_series()[dataset.rows].to_list())
    if name in CLASS_NAMES and dataset.classes:
        return _labels(dataset)
    if name == "split" and dataset.split_names:
        return list(np.array([*dataset.split_names, None], dtype=object)[dataset.splits])
    assert isinstance(source, FolderSource)  # noqa: S101 - a dataset is a folder or a table
    return _beside(dataset, source, name)


def _beside(dataset: Dataset, source: FolderSource, name: str) -> Names:
    """The cells of a column of the tables beside the files."""
    tables = [table for table in source.tables if isinstance(table, SidecarTable)]
    there = ["label", *dict.fromkeys(column for table in tables for column in table.file.columns)]
    require_column(source.path, "--group-by", name, there)
    cells = np.full(len(source.samples), None, dtype=object)
    for table in tables:
        if name in table.file.columns:
            speaks = np.flatnonzero(table.sample >= 0)
            texts = np.array(table.file.texts([name]).to_series().to_list(), dtype=object)
            cells[table.sample[speaks]] = texts[speaks]
    return list(cells[dataset.rows])


def _named(keys: Sequence[tuple[str | None, ...]]) -> tuple[str, ...]:
    names = [" / ".join(map(str, key)) for key in keys]
    # Values may hold the stroke that stands between them.
    return tuple(names if len(set(names)) == len(names) else [json.dumps(key) for key in keys])
