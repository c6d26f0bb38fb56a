"""The sample that faults are planted in: training samples, in proportion to their classes, whatever their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.dataset import UNKNOWN, Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import InputError

LEAST = 20
"""Samples below which recall of one plant in twenty says nothing."""

Ints = NDArray[np.int64]
Digests = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Training samples of INPUT.

    Attributes:
        dataset: INPUT.
        rows: (m,) int64, rows of INPUT; of files in their order, of table rows in that of their digests, so that
            another order of the records changes nothing.
        digests: (m,) uint64, a number for each that hangs on the seed, and on its name or on its cells.
        labels: (m,) int32, as INPUT has them.
        training: how many training samples there are.
    """

    dataset: Dataset
    rows: Ints
    digests: Digests
    labels: NDArray[np.int32]
    training: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """The names of the samples, in the order of `rows`."""
        return self.dataset.source.ids(self.rows)


def draw(dataset: Dataset, count: int, seed: int) -> Sample:
    """Draw training samples, each class by its share.

    Args:
        dataset: INPUT.
        count: how many; all if there are fewer.
        seed: another one draws others.

    Raises:
        InputError: there are too few.
    """
    there = dataset.training & ~np.isin(dataset.rows, list(dataset.source.causes()))
    rows, labels = dataset.rows[there], dataset.labels[there]
    if len(rows) < LEAST:
        raise InputError(
            f"{dataset.source.path}: {len(rows)} training samples; calibrate needs {LEAST} at least, for it plants one "
            "fault of a kind in twenty"
        )
    digests = _digests(dataset, rows, seed)
    chosen = _in_proportion(labels, digests, count)
    if isinstance(dataset.source, TableSource):
        chosen = chosen[np.argsort(digests[chosen], kind="stable")]
    return Sample(dataset, rows[chosen], digests[chosen], labels[chosen], len(rows))


def _in_proportion(labels: NDArray[np.int32], digests: Digests, count: int) -> Ints:
    """Ascending positions of `count` samples. In the order of their digests, the i-th of k of a class is at i / k."""
    n = len(labels)
    if n <= count:
        return np.arange(n, dtype=np.int64)
    order = np.lexsort((digests, labels))
    own = labels[order].astype(np.int64) - UNKNOWN
    size = np.bincount(own)
    start = np.cumsum(size) - size
    place = (np.arange(n) - start[own] + 0.5) / size[own]
    taken = order[np.lexsort((digests[order], place))[:count]]
    return np.sort(taken).astype(np.int64)


def _digests(dataset: Dataset, rows: Ints, seed: int) -> Digests:
    source = dataset.source
    if isinstance(source, TableSource):
        keys: Sequence[bytes] = _of_cells(source, rows)
    else:
        keys = [name.encode("utf-8", "surrogateescape") for name in source.ids(rows)]
    return np.fromiter((xxhash.xxh3_64_intdigest(key, seed) for key in keys), dtype=np.uint64, count=len(rows))


def _of_cells(source: TableSource, rows: Ints) -> Sequence[bytes]:
    """All cells of each row but the one that names it, as one row of bytes."""
    import polars as pl

    names = [name for name in source.file.columns if name != source.id_column]
    frame = source.file.texts(names)[rows]
    if not names:
        return [b""] * len(rows)
    # A missing cell is told from any text by its length.
    parts = [part for name in names for part in (pl.col(name).str.len_bytes().cast(pl.String), pl.col(name))]
    joined = frame.select(pl.concat_str(parts, separator="\x1f", ignore_nulls=True).alias("key")).to_series()
    return [text.encode() for text in joined.to_list()]
