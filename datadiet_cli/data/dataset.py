"""A dataset in memory: one row a sample, in sorted order, immutable, its content read only when asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.data.kinds import is_evaluation

UNKNOWN = -1


class Source(Protocol):
    """Where a dataset's samples come from, and how what remains of them is written back in the same layout."""

    @property
    def path(self) -> str:
        """INPUT as the user typed it."""

    @property
    def kind(self) -> str:
        """``image``, ``audio``, ``text``, ``file`` or ``row``."""

    @property
    def layout(self) -> str:
        """For people and the report, for example ``class folders with splits``."""

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """The ids of the samples in these rows."""

    def sizes(self) -> NDArray[np.int64]:
        """(n,) bytes of each sample."""

    def causes(self) -> Mapping[int, str]:
        """Rows whose content cannot be copied, each with its cause code."""

    def facts(self) -> Mapping[str, Any]:
        """What `inspect` and the report should say beyond the samples: other files, tables, delimiter, ..."""

    def fingerprint(self) -> str:
        """A digest of the content as far as it was read: names and sizes of files, the bytes of a table."""

    def signature(self) -> str:
        """A digest that changes when files change on this machine: names, sizes and times."""

    def write(self, rows: NDArray[np.int64], destination: str, link: str) -> int:
        """Write the samples in these rows, and what belongs to them, to `destination`; give the bytes written."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of a source, by row.

    Attributes:
        source: where the content is.
        rows: (n,) int64, ascending rows of the source; a sample's row never changes through a pipeline.
        labels: (n,) int32, index into `classes`, `UNKNOWN` for none.
        classes: names of the classes, sorted.
        splits: (n,) int32, index into `split_names`, `UNKNOWN` for none.
        split_names: names of the splits, sorted.
        class_sets: where a label stands for several classes at once, as the objects in an image: the classes of each
            such label.
        selection: what a step left of the samples' vectors, or turned them into; None for all there is.
    """

    source: Source
    rows: NDArray[np.int64]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    splits: NDArray[np.int32]
    split_names: tuple[str, ...]
    class_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    selection: Transform | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def kind(self) -> str:
        """The kind of content: ``image``, ``audio``, ``text``, ``file`` or ``row``."""
        return self.source.kind

    @property
    def ids(self) -> list[str]:
        """The id of every sample."""
        return self.source.ids(self.rows)

    @property
    def bytes(self) -> NDArray[np.int64]:
        """(n,) int64, the size of every sample in bytes."""
        return self.source.sizes()[self.rows]

    @property
    def training(self) -> NDArray[np.bool_]:
        """(n,) bool: the samples that may be dropped, moved, balanced or fitted on; all, without splits."""
        evaluation = np.array([is_evaluation(name) for name in self.split_names] + [False], dtype=bool)
        return ~evaluation[self.splits]

    def memberships(self) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
        """Every class of every sample, where a label may stand for several.

        Returns:
            (m,) int64 positions of samples; (m,) int64 their classes, `UNKNOWN` for an unlabelled one; their names.
        """
        if not self.class_sets:
            return np.arange(len(self)), self.labels.astype(np.int64), self.classes
        sets = [self.class_sets.get(label, (label,)) for label in self.classes]
        names = sorted({name for group in sets for name in group})
        index = {name: code for code, name in enumerate(names)}
        # The last set is that of `UNKNOWN`.
        codes = [[index[name] for name in group] for group in sets] + [[UNKNOWN]]
        sizes = np.array([len(group) for group in codes])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        count = sizes[self.labels]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        flat = np.array([code for group in codes for code in group], dtype=np.int64)
        members = flat[np.repeat(starts[self.labels], count) + within]
        return np.repeat(np.arange(len(self)), count), members, tuple(names)

    def keep(self, mask: NDArray[np.bool_]) -> "Dataset":
        """The dataset of the samples where `mask`, (n,) bool, is true."""
        return replace(self, rows=self.rows[mask], labels=self.labels[mask], splits=self.splits[mask])

    def without(self, rows: NDArray[np.int64]) -> "Dataset":
        """The dataset without the samples in these rows of the source."""
        return self.keep(~np.isin(self.rows, rows)) if len(rows) else self


def encode_names(names: Sequence[str | None]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number names by their sorted order; None becomes `UNKNOWN`."""
    known = sorted({name for name in names if name is not None})
    index = {name: i for i, name in enumerate(known)}
    return np.array([UNKNOWN if n is None else index[n] for n in names], dtype=np.int32), tuple(known)
