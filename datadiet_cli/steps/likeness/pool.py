"""The samples that are compared with each other: those of the dataset, and those it is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource

if TYPE_CHECKING:
    import polars as pl


_CALLS, _WORTH = 128, 1 << 20
"""Calls that there should be, and bytes that a call of small samples may have."""


def at_once(sizes: NDArray[np.int64], least: int, most: int) -> int:
    """How many samples a worker is handed: more of small ones, where there are many, for each call has its price.

    Args:
        sizes: (n,) int64 bytes of the samples.
        least: of large ones, or few.
        most: of small ones.
    """
    if not len(sizes):
        return least
    return max(least, min(most, len(sizes) // _CALLS, int(_WORTH / max(float(sizes.mean()), 1.0))))


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples by position: first those of the dataset, in its order, then those of every other one.

    Attributes:
        dataset: the dataset to decide about.
        others: datasets of the same kind that it is held against; nothing is decided about their samples.
    """

    dataset: Dataset
    others: tuple[Dataset, ...] = ()

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def parts(self) -> tuple[Dataset, ...]:
        """The dataset and the others."""
        return (self.dataset, *self.others)

    @property
    def kind(self) -> str:
        """The kind of all samples: ``image``, ``audio``, ``text``, ``file`` or ``row``."""
        return self.dataset.kind

    @cached_property
    def foreign(self) -> NDArray[np.bool_]:
        """(n,) bool: the samples of the other datasets."""
        foreign = np.ones(len(self), dtype=bool)
        foreign[: len(self.dataset)] = False
        return foreign

    @property
    def bytes(self) -> NDArray[np.int64]:
        """(n,) int64, the size of every sample."""
        return np.concatenate([part.bytes for part in self.parts])

    @cached_property
    def names(self) -> list[str]:
        """The id of every sample; those of the other datasets with the path of theirs before it."""
        own = self.dataset.ids
        return own + [f"{part.source.path.rstrip('/')}/{name}" for part in self.others for name in part.ids]

    @cached_property
    def paths(self) -> list[str]:
        """The file of every sample, to open; for datasets of files only."""
        return [path for part in self.parts for path in folder_of(part).paths(part.rows)]

    @property
    def modified(self) -> NDArray[np.int64]:
        """(n,) int64 times of the last change, in nanoseconds; for datasets of files only."""
        return np.concatenate([folder_of(part).modified(part.rows) for part in self.parts])

    @property
    def features(self) -> list[str]:
        """The columns that describe a sample; for tables only."""
        return table_of(self.dataset).features

    def require(self, columns: Sequence[str]) -> None:
        """Check that every table has these columns.

        Raises:
            InputError: one has not.
        """
        for number, part in enumerate(self.parts):
            source = table_of(part)
            for column in columns:
                require_column(source.path, "--against: column" if number else "--columns", column, source.file.columns)

    def cells(self, columns: Sequence[str], form: Literal["texts", "typed"]) -> "pl.DataFrame":
        """(n, columns) cells as text, or typed; a column with numbers in one table and words in another is text."""
        import polars as pl

        self.require(columns)
        files = [table_of(part).file for part in self.parts]
        whole = [file.texts(columns) if form == "texts" else file.typed(columns) for file in files]
        frames = [frame[part.rows] for frame, part in zip(whole, self.parts, strict=True)]
        if len(frames) == 1:
            return frames[0]
        for column in columns:
            if len({frame[column].dtype.is_numeric() for frame in frames}) > 1:
                frames = [frame.with_columns(pl.col(column).cast(pl.String)) for frame in frames]
        joined: pl.DataFrame = pl.concat(frames, how="vertical_relaxed")
        return joined


def folder_of(dataset: Dataset) -> FolderSource:
    """The source of a dataset of files."""
    assert isinstance(dataset.source, FolderSource)  # noqa: S101 - FINDERS sends only folders here
    return dataset.source


def table_of(dataset: Dataset) -> TableSource:
    """The source of a dataset of rows."""
    assert isinstance(dataset.source, TableSource)  # noqa: S101 - FINDERS sends only tables here
    return dataset.source
