"""Recognise how a folder says which class and which split a file belongs to."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from datadiet_cli.data.folder import SidecarTable
from datadiet_cli.data.kinds import BY_KIND, EVALUATION_NAMES, TRAIN_NAMES, is_hidden, kind_of
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.tables import TableFile, TableFormat, is_table, open_table
from datadiet_cli.errors import InputError

METADATA = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})
LABEL_NAMES = ("label", "labels", "class", "category", "target")


@dataclass
class Plan:
    """Label and split of every sample, and the tables that speak of them."""

    layout: str
    labels: list[str | None]
    splits: list[str | None]
    tables: list[SidecarTable] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def folder_kind(entries: Sequence[Entry]) -> str:
    """The kind of most files: ``image``, ``audio`` or ``text``; ``file`` where no name tells."""
    counts = Counter(kind_of(entry.path) for entry in entries)
    ranked = [(counts[kind], kind) for kind in BY_KIND if counts[kind]]
    return max(ranked)[1] if ranked else "file"


def divide(entries: Sequence[Entry], kind: str) -> tuple[list[Entry], list[Entry]]:
    """Tell samples from files that only belong to the dataset.

    A sample is a file of the folder's kind, or of no known kind; among files of unknown kinds everything that is not
    hidden is a sample.
    """
    samples: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        is_sample = not is_hidden(entry.path) if kind == "file" else kind_of(entry.path) in (kind, None)
        (samples if is_sample else others).append(entry)
    return samples, others


def recognise(
    root: str,
    samples: Sequence[Entry],
    others: Sequence[Entry],
    fmt: TableFormat,
    label: str | None,
    split: str | None,
) -> Plan:
    """Find the layout: metadata beside the files, a flat folder with a labels table, or class folders.

    Args:
        root: the folder.
        samples: its samples, sorted by path.
        others: its other files.
        fmt: how to read tables.
        label: the label column the user named, if any.
        split: the split column the user named, if any.

    Raises:
        InputError: a metadata table is wrong, or a label column was named and there is no table to have it.
    """
    plan = _by_folders([entry.path for entry in samples])
    metadata = [e.path for e in others if e.path.rpartition("/")[2] in METADATA and e.cause is None]
    if metadata:
        plan.layout = "files with metadata tables"
        for path in metadata:
            _apply_table(plan, root, path, "file_name", samples, fmt, label, split)
        return plan
    if len({os.path.dirname(entry.path) for entry in samples}) == 1:
        for path in [e.path for e in others if "/" not in e.path and is_table(e.path) and e.cause is None]:
            column = _naming_column(open_table(os.path.join(root, path), fmt), samples)
            if column is not None:
                plan = Plan("flat folder with a table of labels", [None] * len(samples), [None] * len(samples))
                _apply_table(plan, root, path, column, samples, fmt, label, split)
                return plan
    for flag, column in (("--label", label), ("--split", split)):
        if column is not None:
            raise InputError(
                f"{root}: {flag} {column}: this folder has no table of labels with such a column; "
                "class folders need no such option"
            )
    return plan


def _by_folders(paths: Sequence[str]) -> Plan:
    parts = [path.split("/") for path in paths]
    tops = {part[0] for part in parts if len(part) > 1}
    names = {top.lower() for top in tops}
    # A folder beside train/ and test/ is a split of its own; but a class may be called "train", beside "bus".
    has_splits = bool(names) and (
        names <= TRAIN_NAMES | EVALUATION_NAMES or bool(names & TRAIN_NAMES and names & EVALUATION_NAMES)
    )
    depth = 1 if has_splits else 0
    labels = [part[depth] if len(part) > depth + 1 else None for part in parts]
    splits = [part[0] if has_splits and len(part) > 1 else None for part in parts]
    if any(label is not None for label in labels):
        layout = "class folders with splits" if has_splits else "class folders"
    else:
        layout = "flat folders, one for each split" if has_splits else "flat folder"
    return Plan(layout, labels, splits)


def _naming_column(file: TableFile, samples: Sequence[Entry]) -> str | None:
    """The column whose cells name most of the files, by name or by stem."""
    names = {name for entry in samples for name in _names(entry.path)}
    texts = file.texts()
    for column in texts.columns:
        cells = texts[column].drop_nulls().to_list()
        if cells and sum(cell in names for cell in cells) * 2 > len(cells):
            return str(column)
    return None


def _names(path: str) -> tuple[str, str, str]:
    base = path.rpartition("/")[2]
    return path, base, os.path.splitext(base)[0]


def _apply_table(
    plan: Plan,
    root: str,
    path: str,
    column: str,
    samples: Sequence[Entry],
    fmt: TableFormat,
    label: str | None,
    split: str | None,
) -> None:
    file = open_table(os.path.join(root, path), fmt)
    where = os.path.join(root, path)
    if column not in file.columns:
        raise InputError(f"{where}: has no column {column!r}; every metadata table names its files there")
    folder = os.path.dirname(path)
    index = _index(samples, folder)
    texts = file.texts()
    sample = np.full(file.records, -1, dtype=np.int64)
    for record, cell in enumerate(texts[column].to_list()):
        row = index.get(_inside(where, record, cell))
        if row is None:
            plan.missing.append(str(cell))
        else:
            sample[record] = row
    plan.tables.append(SidecarTable(path, file, sample))
    chosen = label or next((name for name in LABEL_NAMES if name in file.columns), None)
    if chosen is None and len(file.columns) == 2:
        chosen = next(name for name in file.columns if name != column)
    for target, name in ((plan.labels, chosen), (plan.splits, split)):
        if name is None:
            continue
        if name not in file.columns:
            raise InputError(f"{where}: no column {name!r}; the columns are {', '.join(file.columns)}")
        for row, cell in zip(sample.tolist(), texts[name].to_list(), strict=True):
            if row >= 0:
                target[row] = cell


def _index(samples: Sequence[Entry], folder: str) -> dict[str, int]:
    """Every way a table in `folder` may name a sample; stems only where they are unambiguous."""
    exact: dict[str, int] = {}
    loose: dict[str, list[int]] = {}
    for row, entry in enumerate(samples):
        relative = os.path.relpath(entry.path, folder) if folder else entry.path
        if relative.startswith("../"):
            continue
        exact[relative] = row
        for name in _names(entry.path)[1:]:
            loose.setdefault(name, []).append(row)
    return {name: rows[0] for name, rows in loose.items() if len(rows) == 1} | exact


def _inside(where: str, record: int, cell: str | None) -> str:
    """A file name from a table, refused if it could lead out of INPUT."""
    name = cell or ""
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(
            f"{where}: record {record}: {name!r} leads out of INPUT; file names are relative and have no '..'"
        )
    return os.path.normpath(name)
