"""Which sample of one dataset is which of another: the same dataset before and after something was done to it."""

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

    Samples of one run are known by their rows. Files are by their names, if they are of the same size; else by their
    bytes, and if nothing else has those, by their names still. Records are known by their ids, or else by the cells of
    the columns that both tables have, and if some are new, by those without label and split: the k-th of equal ones in
    one is the k-th in the other.

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
        return _by_cells(before, before.source, after, after.source)
    if isinstance(before.source, FolderSource) and isinstance(after.source, FolderSource):
        return _of_files(before, before.source, after, after.source)
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


def _by_cells(before: Dataset, one: TableSource, after: Dataset, other: TableSource) -> Ints:
    """Positions of records that say the same; of those that are left, of records that say the same of the features."""
    theirs = set(other.file.columns)
    common = [name for name in one.file.columns if name in theirs]
    features = [name for name in one.features if name in set(other.features)]
    found = np.full(len(after), NOWHERE, dtype=np.int64)
    for columns in (common, features):
        lost = np.flatnonzero(found == NOWHERE)
        free = np.setdiff1d(np.arange(len(before)), found)
        if columns and len(lost) and len(free):
            mine, said = (
                source.file.texts(columns)[rows].hash_rows().to_numpy()
                for source, rows in ((one, before.rows[free]), (other, after.rows[lost]))
            )
            found[lost] = _places(free, _by_key(mine, said))
    return found


def _places(free: Ints, found: Ints) -> Ints:
    """What was found among some positions, as positions."""
    places: Ints = np.where(found == NOWHERE, NOWHERE, free[found])
    return places


def _of_files(before: Dataset, one: FolderSource, after: Dataset, other: FolderSource) -> Ints:
    """Positions of files of the same name and size, or else of the same bytes, or else of the same name."""
    named = _by_key(np.array(before.ids), np.array(after.ids))
    same = (named != NOWHERE) & (before.bytes[named] == after.bytes) if len(before) else named != NOWHERE
    found: Ints = np.where(same, named, NOWHERE)
    lost = np.flatnonzero(found == NOWHERE)
    free = np.setdiff1d(np.arange(len(before)), found)
    if not len(lost) or not len(free):
        return found
    (mine, sure), (theirs, read) = (
        digest_files(source.paths(rows)) for source, rows in ((one, before.rows[free]), (other, after.rows[lost]))
    )
    # What cannot be read equals nothing.
    free_sure, lost_sure = free[sure], lost[read]
    found[lost_sure] = _places(free_sure, _by_key(_keys(mine[sure]), _keys(theirs[read])))
    left = (found == NOWHERE) & ~np.isin(named, found)
    return np.where(left, named, found)


def _keys(digests: NDArray[np.uint64]) -> NDArray[np.generic]:
    """(n, 2) digests as (n,) keys that can be sorted."""
    return np.ascontiguousarray(digests).view([("a", np.uint64), ("b", np.uint64)])[:, 0]
