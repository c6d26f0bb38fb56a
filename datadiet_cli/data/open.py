"""Find out what INPUT is and give it as a `Dataset`."""

import difflib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data import layouts
from datadiet_cli.data.dataset import UNKNOWN, Dataset, encode_names
from datadiet_cli.data.fingerprint import signature
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.kinds import SPLIT_NAMES
from datadiet_cli.data.mirror import exists, is_folder, local, mirror, named
from datadiet_cli.data.places import Place, is_url
from datadiet_cli.data.reading import Reading, split_column
from datadiet_cli.data.scan import Entry, scan
from datadiet_cli.data.shardopen import Opened, is_shard, open_shards, shards_among
from datadiet_cli.data.stores import object_at, shown
from datadiet_cli.data.table import TableSource
from datadiet_cli.data.tables import TableFile, is_table, open_table
from datadiet_cli.errors import InputError

_SHOWN = 5
_LONGEST = 60
"""Cells that a message shows, and characters of each."""


def open_dataset(path: str, reading: Reading | None = None) -> Dataset:
    """Open a dataset folder or table. Nothing is decoded yet; a table's cells are read when asked for.

    Raises:
        InputError: INPUT does not exist, is empty, is of an unknown kind, lacks a column that was named, or has one
            whose cells are no splits, or the same id twice.
    """
    reading = reading or Reading()
    require_path(path)
    if is_url(path):
        return _open_away(path, reading)
    if os.path.isdir(path):
        return _open_folder(path, reading)
    if not os.path.isfile(path):
        raise InputError(f"{path}: is neither a folder nor a file")
    if is_shard(path):
        return _open_shard(path, reading)
    if not is_table(path):
        raise InputError(
            f"{path}: unknown kind of file; INPUT is a folder, a .csv, .tsv, .jsonl or .parquet table, or a .tar of "
            "samples"
        )
    return _open_table(path, reading)


def require_path(path: str) -> None:
    """Check that there is something at a path.

    Raises:
        InputError: there is not; the message suggests the nearest name.
    """
    if not path:
        raise InputError("the name of a dataset is empty; name a folder or a table")
    if is_url(path):
        if not exists(path):
            raise InputError(f"{shown(path)}: does not exist, or is empty")
    elif not os.path.lexists(path):
        raise InputError(f"{path}: does not exist{_near_name(path)}")


def state_of(path: str) -> str:
    """A digest that changes when a file, or any file below a folder, changes on this machine.

    Raises:
        InputError: there is nothing of this name.
    """
    require_path(path)
    if is_folder(path):
        return signature(scan(path).entries)
    if is_url(path):
        return object_at(path).stamp
    status = os.stat(path)
    return signature([Entry(os.path.basename(path), status.st_size, status.st_mtime_ns)])


def _near_name(path: str) -> str:
    parent, name = os.path.split(path.rstrip("/"))
    try:
        near = difflib.get_close_matches(name, os.listdir(parent or "."), 1)
    except OSError:
        return ""
    return f"; did you mean {os.path.join(parent, near[0])!r}?" if near else ""


def _open_away(url: str, reading: Reading) -> Dataset:
    """Open what lies in a store: a table is fetched; of a folder only what may speak of its samples."""
    path = shown(url)
    if is_folder(url):
        return _open_folder(url, reading)
    if is_shard(path):
        found = object_at(url)
        if found.size < 0:
            raise InputError(f"{path}: the server tells no size; copy it here first")
        place = Place(url, os.path.splitext(path)[1], 0, found.size, found.stamp)
        return _single_shard(url, Entry(found.name, found.size, found.mtime_ns, None, place.text()), reading)
    if not is_table(path):
        raise InputError(
            f"{path}: unknown kind of file; INPUT is a folder of a store, a .csv, .tsv, .jsonl or .parquet table, or a "
            ".tar of samples"
        )
    stamp, file = object_at(url).stamp, local(url)
    with _named(file, path):
        dataset = _open_table(file, reading)
    assert isinstance(dataset.source, TableSource)  # noqa: S101 - a table was opened
    return replace(dataset, source=replace(dataset.source, path=path, place=file, stamp=stamp))


@contextmanager
def _named(place: str, url: str) -> Iterator[None]:
    """Errors are about what the user named, not about what stands for it on this machine."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(place, url)) from error


def _open_table(path: str, reading: Reading) -> Dataset:
    file = open_table(path, reading.table)
    for flag, column in (("--label", reading.label), ("--split", reading.split), ("--id-column", reading.id_column)):
        if column is not None:
            require_column(path, flag, column, file.columns)
    if reading.id_column is not None:
        _require_unique(path, reading.id_column, file)
    split = reading.split or split_column(file)
    aside = [c for c in (reading.label, split, reading.id_column) if c is not None]
    labels, classes = _codes(file, reading.label)
    splits, split_names = _codes(file, split)
    if reading.split is not None and file.records:
        _require_split(path, reading.split, split_names)
    source = TableSource(path, file, reading.id_column, tuple(aside), label=reading.label)
    return Dataset(source, np.arange(file.records, dtype=np.int64), labels, classes, splits, split_names)


def require_column(path: str, flag: str, column: str, columns: Sequence[str]) -> None:
    """Check that a column is there.

    Raises:
        InputError: it is not; the message suggests the nearest name.
    """
    if column in columns:
        return
    near = difflib.get_close_matches(column, columns, 1)
    parts = [part.strip() for part in column.split(",")]
    if len(parts) > 1 and set(parts) <= set(columns):
        raise InputError(f"{path}: {flag} {column}: no such column; say {flag} once for each")
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(columns[:20])}"
    raise InputError(f"{path}: {flag} {column}: no such column; {hint}")


def _require_unique(path: str, column: str, file: TableFile) -> None:
    """Check that a column names each record by another id.

    Raises:
        InputError: it does not; the message names two records.
    """
    cells = file.texts([column]).to_series().fill_null("")
    repeated = cells.is_duplicated().arg_true()
    if not len(repeated):
        return
    value = cells[repeated[0]]
    first, second = (cells == value).arg_true()[:2]
    found = (
        f"{_quoted(value)} names records {first} and {second}" if value else f"records {first} and {second} have none"
    )
    raise InputError(
        f"{path}: --id-column {column}: {found}; ids must differ; records are numbered without --id-column"
    )


def _require_split(path: str, column: str, names: Sequence[str]) -> None:
    """Check that a column that the user named tells some split; else evaluation samples would be taken for training.

    Raises:
        InputError: it tells none.
    """
    if any(name.strip().lower() in SPLIT_NAMES for name in names):
        return
    more = ", ..." if len(names) > _SHOWN else ""
    found = f"it says {', '.join(map(_quoted, names[:_SHOWN]))}{more}" if any(names) else "it is empty"
    raise InputError(
        f"{path}: --split {column}: names neither train nor test; {found}; known are {', '.join(sorted(SPLIT_NAMES))}"
    )


def _quoted(cell: str) -> str:
    return repr(cell if len(cell) <= _LONGEST else f"{cell[:_LONGEST]}...")


def _codes(file: TableFile, column: str | None) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    if column is None:
        return np.full(file.records, UNKNOWN, dtype=np.int32), ()
    return encode_names(file.texts([column]).to_series().to_list())


def _open_shard(path: str, reading: Reading) -> Dataset:
    """Open the only shard that there is."""
    status = os.stat(path)
    return _single_shard(path, Entry(os.path.basename(path), status.st_size, status.st_mtime_ns), reading)


def _single_shard(path: str, entry: Entry, reading: Reading) -> Dataset:
    opened = open_shards(path, [entry], [], [], reading, single=True)
    if opened is None:
        raise InputError(f"{named(path)}: holds nothing that has the name of a sample, such as 000000.jpg")
    return _in_shards(named(path), opened, reading)


def _in_shards(path: str, opened: Opened, reading: Reading) -> Dataset:
    labels, classes = encode_names(opened.labels)
    splits, split_names = encode_names(opened.splits)
    if reading.split is not None:
        _require_split(path, reading.split, split_names)
    rows = np.arange(len(opened.labels), dtype=np.int64)
    return Dataset(opened.source, rows, labels, classes, splits, split_names)


def _open_folder(path: str, reading: Reading) -> Dataset:
    found = scan(path, follow_symlinks=reading.follow_symlinks)
    if not found.entries:
        raise InputError(f"{path}: the folder is empty; INPUT must hold at least one sample")
    shards = shards_among(found.entries)
    if shards:
        there = {entry.path for entry in shards}
        others = [entry for entry in found.entries if entry.path not in there]
        opened = open_shards(path, shards, others, found.directories, reading)
        if opened is not None:
            return _in_shards(named(path), opened, reading)
    kind = layouts.folder_kind(found.entries)
    samples, others = layouts.divide(found.entries, kind)
    if not samples:
        raise InputError(f"{path}: no images, texts or sounds in this folder; name the table in it, if that is meant")
    away = is_url(path)
    root = mirror(path, others) if away else path
    path = shown(path) if away else path
    with _named(root, path):
        plan = layouts.recognise(root, samples, others, reading)
    source = FolderSource(
        path,
        kind,
        plan.layout,
        samples,
        others,
        found.directories,
        tuple(plan.tables),
        tuple(plan.missing),
        class_depth=plan.class_depth,
        mirror=root if away else None,
    )
    labels, classes = encode_names(plan.labels)
    splits, split_names = encode_names(plan.splits)
    if reading.split is not None:
        _require_split(path, reading.split, split_names)
    rows = np.arange(len(samples), dtype=np.int64)
    return Dataset(source, rows, labels, classes, splits, split_names, plan.class_sets)
