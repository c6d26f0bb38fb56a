"""A dataset with some of its samples changed and others added: what was read stays as it is, changes lie over it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.changedtable import ChangedTable
from datadiet_cli.data.dataset import UNKNOWN, Dataset, encode_names
from datadiet_cli.data.folder import FolderSource, SidecarTable
from datadiet_cli.data.places import Place
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shards import ShardSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.data.tablefile import Growth
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Cells

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class NewFile:
    """A sample that was made.

    Attributes:
        template: row of the sample that it was made of.
        path: relative to OUTPUT.
        content: the file that holds its content.
    """

    template: int
    path: str
    content: str


def unchangeable(dataset: Dataset) -> str | None:
    """Why no sample of a dataset can change its class or be made anew; None if it can."""
    source = dataset.source
    if isinstance(source, FolderSource) and not all(isinstance(table, SidecarTable) for table in source.tables):
        return (
            f"{source.path}: a {source.layout} dataset has labels for objects in images, which datadiet never changes"
        )
    return None


def relabelled(dataset: Dataset, labels: Mapping[int, str]) -> Dataset:
    """The dataset with new labels: files move to another class folder, cells of labels change.

    Args:
        dataset: the dataset.
        labels: row -> name of a class.

    Raises:
        InputError: nothing of a sample says its label.
    """
    names = [None if code == UNKNOWN else dataset.classes[code] for code in dataset.labels.tolist()]
    for position, name in zip(np.searchsorted(dataset.rows, list(labels)).tolist(), labels.values(), strict=True):
        names[position] = name
    codes, classes = encode_names(names)
    source = dataset.source
    if isinstance(source, TableSource):
        changed = with_cells(dataset, {str(source.label): labels})
        return replace(changed, labels=codes, classes=classes)
    if isinstance(source, ShardSource):
        return replace(dataset, source=source.with_labels(labels), labels=codes, classes=classes)
    return replace(dataset, source=_moved(_folder(dataset), dataset, labels), labels=codes, classes=classes)


def with_cells(
    dataset: Dataset,
    cells: Cells,
    columns: Cells | None = None,
    templates: Sequence[int] = (),
    features: Sequence[str] = (),
) -> Dataset:
    """The dataset of a table with new texts of cells, new columns, and records that are added.

    Args:
        dataset: of a table.
        cells: new texts by column and row; added records are rows too.
        columns: new columns.
        templates: for each added record the row that it is a copy of before `cells` are put in.
        features: those of the new columns that are features.
    """
    source = dataset.source
    assert isinstance(source, TableSource)  # noqa: S101 - steps change cells of tables only
    growth = Growth(tuple(templates), columns or {})
    aside = (*source.set_aside, *(name for name in columns or {} if name not in features))
    changed = replace(source, file=ChangedTable(source.file, cells, growth), set_aside=aside)
    return _appended(replace(dataset, source=changed), source.file.records, templates)


def without_columns(dataset: Dataset, names: Sequence[str], instead: Cells | None = None) -> Dataset:
    """The dataset of a table without some of its features.

    Args:
        dataset: of a table.
        names: the columns that go; columns that earlier steps added may be among them.
        instead: new columns, features too; they may have names of columns that go.

    Raises:
        InputError: there is no such column, or it holds labels, splits, ids or weights; or no column would be left.
        OutputError: a new column has no name or that of another one.
    """
    source = dataset.source
    assert isinstance(source, TableSource)  # noqa: S101 - steps change columns of tables only
    there, features = set(source.file.columns), set(source.features)
    for name in names:
        if name not in there:
            raise InputError(f"{source.path}: there is no column {name!r} that could go")
        if name not in features or name in (source.label, source.id_column):
            raise InputError(f"{source.path}: the column {name!r} is no feature, and must not go")
    if not instead and there == set(names):
        raise InputError(f"{source.path}: every column would go; a table needs at least one")
    growth = Growth((), instead or {}, tuple(names))
    return replace(dataset, source=replace(source, file=ChangedTable(source.file, {}, growth)))


def with_files(dataset: Dataset, files: Sequence[NewFile]) -> Dataset:
    """The dataset of a folder with files that were made."""
    source = _folder(dataset)
    first = len(source.samples)
    entries = [_entry(file) for file in files]
    if isinstance(source, ShardSource):
        templates = [file.template for file in files]
        more = source.with_samples(entries, [file.content for file in files], templates)
        return _appended(replace(dataset, source=more), first, templates)
    made = {first + i: file.content for i, file in enumerate(files)}
    tables = tuple(_with_records(table, source, files, first) for table in source.tables)
    grown = replace(source, samples=[*source.samples, *entries], made={**source.made, **made}, tables=tables)
    return _appended(replace(dataset, source=grown), first, [file.template for file in files])


def free_names(dataset: Dataset, templates: Sequence[int], endings: Sequence[str]) -> list[str]:
    """Paths for new files beside those they are made of, that clash with nothing that is there or was.

    Args:
        dataset: of a folder.
        templates: rows of what the files are made of.
        endings: of the new names, such as ``.png``.
    """
    source = _folder(dataset)
    if isinstance(source, ShardSource):
        return source.free_names(templates, endings)
    taken = _taken(source)
    names = []
    for row, ending in zip(templates, endings, strict=True):
        stem = os.path.splitext(source.moved.get(row, source.samples[row].path))[0]
        names.append(_free(f"{stem}-new", ending, taken))
    return names


def _appended(dataset: Dataset, first: int, templates: Sequence[int]) -> Dataset:
    """Rows, labels and splits of new samples: those of what they are made of."""
    if not templates:
        return dataset
    place = np.searchsorted(dataset.rows, np.array(templates, dtype=np.int64))
    rows = np.arange(first, first + len(templates), dtype=np.int64)
    return replace(
        dataset,
        rows=np.concatenate([dataset.rows, rows]),
        labels=np.concatenate([dataset.labels, dataset.labels[place]]),
        splits=np.concatenate([dataset.splits, dataset.splits[place]]),
    )


def _folder(dataset: Dataset) -> FolderSource:
    assert isinstance(dataset.source, FolderSource)  # noqa: S101 - a dataset is a folder or a table
    return dataset.source


def _entry(file: NewFile) -> Entry:
    place = Place.of(file.content)
    if place is not None:
        return Entry(file.path, place.size, 0)
    status = os.stat(file.content)
    return Entry(file.path, status.st_size, status.st_mtime_ns)


def _moved(source: FolderSource, dataset: Dataset, labels: Mapping[int, str]) -> FolderSource:
    taken, moved = _taken(source), dict(source.moved)
    label_of = dict(zip(dataset.rows.tolist(), dataset.labels.tolist(), strict=True))
    told = {row for table in source.tables for row in _told(table)}
    for row, name in sorted(labels.items()):
        parts = moved.get(row, source.samples[row].path).split("/")
        depth, code = source.class_depth, label_of[row]
        here = depth is not None and depth < len(parts) - 1 and code != UNKNOWN
        if here and depth is not None and parts[depth] == dataset.classes[code]:
            parts[depth] = name
            stem, ending = os.path.splitext("/".join(parts))
            moved[row] = _free(stem, ending, taken)
        elif row not in told:
            raise InputError(
                f"{source.path}: {source.samples[row].path}: neither a folder nor a table says its label, so that it "
                "cannot be changed"
            )
    tables = tuple(_with_labels(table, source, moved, labels) for table in source.tables)
    return replace(source, moved=moved, tables=tables)


def _told(table: object) -> set[int]:
    """Rows of the samples whose labels a table says."""
    if not isinstance(table, SidecarTable) or table.label is None:
        return set()
    return set(table.sample[table.sample >= 0].tolist())


def _with_labels(
    table: object, source: FolderSource, moved: Mapping[int, str], labels: Mapping[int, str]
) -> SidecarTable:
    """A table with the new labels of its samples, and the new names of files that move."""
    assert isinstance(table, SidecarTable)  # noqa: S101 - see `unchangeable`
    records = [(record, row) for record, row in enumerate(table.sample.tolist()) if row in labels]
    if not records:
        return table
    cells: dict[str, dict[int, str | None]] = {}
    if table.label is not None:
        cells[table.label] = {record: labels[row] for record, row in records}
    there = [(record, row) for record, row in records if row in moved]
    endings = _endings(source, [row for _, row in there])
    renamed = [(record, ending, moved[row]) for (record, row), ending in zip(there, endings, strict=True)]
    cells |= _names(table, renamed)
    return replace(table, file=ChangedTable(table.file, cells, Growth()))


def _with_records(table: object, source: FolderSource, files: Sequence[NewFile], first: int) -> SidecarTable:
    """A table with a record for each new file whose template has one."""
    assert isinstance(table, SidecarTable)  # noqa: S101 - see `unchangeable`
    record_of = {row: record for record, row in enumerate(table.sample.tolist()) if row >= 0}
    chosen = [(i, record_of[file.template]) for i, file in enumerate(files) if file.template in record_of]
    if not chosen:
        return table
    growth = Growth(tuple(record for _, record in chosen), {})
    grown = ChangedTable(table.file, {}, growth)
    endings = _endings(source, [files[i].template for i, _ in chosen])
    renamed = [(table.file.records + k, endings[k], files[i].path) for k, (i, _) in enumerate(chosen)]
    sample = np.concatenate([table.sample, np.array([first + i for i, _ in chosen], dtype=np.int64)])
    named = ChangedTable(grown, _names(replace(table, file=grown), renamed), Growth())
    return replace(table, file=named, sample=sample)


def _names(table: SidecarTable, renamed: Sequence[tuple[int, str, str]]) -> dict[str, dict[int, str | None]]:
    """Cells for files that have another name: said as the cell said the old one, by path, name or stem.

    Args:
        table: that names files.
        renamed: the record, how the name ended, and the new path.
    """
    if not renamed:
        return {}
    cells = table.file.texts([table.naming]).to_series()
    folder = os.path.dirname(table.path)
    texts: dict[int, str | None] = {}
    for record, ending, new in renamed:
        old = str(cells[record])
        base = new.rpartition("/")[2]
        if "/" in old:
            texts[record] = os.path.relpath(new, folder) if folder else new
        else:
            # A name without its ending stays one.
            texts[record] = base if old.endswith(ending) else os.path.splitext(base)[0]
    return {table.naming: texts}


def _endings(source: FolderSource, rows: Sequence[int]) -> list[str]:
    return [os.path.splitext(source.samples[row].path)[1] for row in rows]


def _taken(source: FolderSource) -> set[str]:
    """Every path that is in use, in small letters: some file systems know no capitals."""
    return {path.lower() for path in _paths(source)}


def _paths(source: FolderSource) -> Iterator[str]:
    yield from (entry.path for entry in source.samples)
    yield from (entry.path for entry in source.others)
    yield from source.directories
    yield from source.moved.values()


def _free(stem: str, ending: str, taken: set[str]) -> str:
    """A path that is not taken, and now is: with a number behind the stem where need be."""
    name, number = f"{stem}{ending}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    taken.add(name.lower())
    return name
