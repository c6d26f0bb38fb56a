"""Which sample of one dataset is which of another: the same dataset before and after something was done to it."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.content import digest_files

Ints = NDArray[np.int64]

NOWHERE = -1


def counterparts(before: Dataset, after: Dataset, *, same_source: bool) -> Ints:
    """Where each sample of `after` is in `before`.

    Samples of one run are known by their rows; files by their names, and if those are new by their bytes; records by
    their ids, or else by their cells: the k-th of equal ones in one is the k-th in the other.

    Args:
        before: n samples.
        after: m samples.
        same_source: whether the rows of both are those of one run.

    Returns:
        (m,) int64 positions in `before`, different ones; `NOWHERE` for samples that it does not have.
    """
    if same_source:
        return _by_key(before.rows, after.rows)
    if isinstance(before.source, TableSource) and isinstance(after.source, TableSource):
        if before.source.id_column is not None and after.source.id_column is not None:
            return _by_key(np.array(before.ids), np.array(after.ids))
        return _by_key(*_cells(before, before.source, after, after.source))
    if isinstance(before.source, FolderSource) and isinstance(after.source, FolderSource):
        found = _by_key(np.array(before.ids), np.array(after.ids))
        return _by_content(before, after, found)
    return np.full(len(after), NOWHERE, dtype=np.int64)


def _by_key(before: NDArray[np.generic], after: NDArray[np.generic]) -> Ints:
    """Positions by equal keys, of several equal ones in order."""
    n = len(before)
    keys, code = np.unique(np.concatenate([before, after]), return_inverse=True)
    # The how-many-th of its kind each is, on its own side.
    ordinal = np.empty(len(code), dtype=np.int64)
    for part in (slice(0, n), slice(n, None)):
        order = np.argsort(code[part], kind="stable")
        count = np.bincount(code[part], minlength=len(keys))
        starts = np.repeat(np.cumsum(count) - count, count)
        mine = np.empty(len(order), dtype=np.int64)
        mine[order] = np.arange(len(order)) - starts
        ordinal[part] = mine
    marks = code.astype(np.int64) * (len(code) + 1) + ordinal
    if not n:
        return np.full(len(after), NOWHERE, dtype=np.int64)
    order = np.argsort(marks[:n])
    place = np.minimum(np.searchsorted(marks[:n], marks[n:], sorter=order), n - 1)
    found: Ints = np.where(marks[:n][order[place]] == marks[n:], order[place], NOWHERE)
    return found


def _cells(
    before: Dataset, one: TableSource, after: Dataset, other: TableSource
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """A digest of the cells of each record that both tables have."""
    common = [name for name in one.file.columns if name in set(other.file.columns)]
    if not common:
        return np.zeros(len(before), dtype=np.uint64), np.full(len(after), 1, dtype=np.uint64)
    mine = one.file.texts(common)[before.rows].hash_rows().to_numpy()
    theirs = other.file.texts(common)[after.rows].hash_rows().to_numpy()
    return mine, theirs


def _by_content(before: Dataset, after: Dataset, found: Ints) -> Ints:
    """The same, with those files found by their bytes that have another name now."""
    lost = np.flatnonzero(found == NOWHERE)
    free = np.setdiff1d(np.arange(len(before)), found)
    if not len(lost) or not len(free):
        return found
    digests = []
    for dataset, positions in ((before, free), (after, lost)):
        paths = cast(FolderSource, dataset.source).paths(dataset.rows[positions])
        made, readable = digest_files(paths)
        # What cannot be read equals nothing.
        made[~readable, 1] = np.arange(len(made))[~readable] + (1 if dataset is after else 0) * len(before) + 1
        digests.append(np.ascontiguousarray(made).view([("a", np.uint64), ("b", np.uint64)])[:, 0])
    place = _by_key(digests[0], digests[1])
    filled = found.copy()
    filled[lost] = np.where(place == NOWHERE, NOWHERE, free[place])
    return filled
