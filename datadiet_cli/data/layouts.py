"""Recognise how a folder says which class and which split a file belongs to."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from datadiet_cli.data.folder import SidecarTable
from datadiet_cli.data.kinds import BY_KIND, EVALUATION_NAMES, TRAIN_NAMES, is_hidden, kind_of
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.sidecars import FILE_NAME, Tables
from datadiet_cli.data.tables import is_table
from datadiet_cli.errors import InputError

METADATA = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})


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
    reading: Reading,
) -> Plan:
    """Find the layout: metadata beside the files, a flat folder with a labels table, or class folders.

    Args:
        root: the folder.
        samples: its samples, sorted by path.
        others: its other files.
        reading: how to read tables, and the label and split columns the user named.

    Raises:
        InputError: a metadata table is wrong, or a label column was named and there is no table to have it.
    """
    plan = _by_folders([entry.path for entry in samples])
    tables = Tables(root, samples, reading)
    visible = [e.path for e in others if e.cause is None and not is_hidden(e.path) and is_table(e.path)]
    metadata = [path for path in visible if path.rpartition("/")[2] in METADATA]
    if metadata:
        plan.layout = "files with metadata tables"
        for path in metadata:
            tables.apply(path, FILE_NAME, plan.labels, plan.splits)
    else:
        _apply_tables_at_the_top(plan, tables, [path for path in visible if "/" not in path], reading)
    plan.tables, plan.missing = tables.found, tables.missing
    if plan.tables:
        return plan
    for flag, column in (("--label", reading.label), ("--split", reading.split)):
        if column is not None:
            raise InputError(
                f"{root}: {flag} {column}: this folder has no table of labels with such a column; "
                "class folders need no such option"
            )
    return plan


def _apply_tables_at_the_top(plan: Plan, tables: Tables, paths: Sequence[str], reading: Reading) -> None:
    """Every table that names the files loses the records of those that go; some say what the files are, too."""
    # Where folders say no class, or all files lie in a single one, a table of labels says what they are.
    flat = len({os.path.dirname(path) for path in tables.paths}) == 1 or not any(plan.labels)
    naming = [(path, column) for path in paths if (column := tables.naming_column(path, stems=flat)) is not None]
    labelling = [pair for pair in naming if tables.label_column(*pair) is not None]
    if not flat and reading.label is None:
        labelling = []
    elif naming and not labelling:
        # The column that the user named is in none of them; the first says so.
        labelling = naming[:1]
    if labelling and flat:
        folders = "flat folder" if any(plan.labels) else plan.layout
        plan.layout, plan.labels = f"{folders} with a table of labels", [None] * len(plan.labels)
    # Backwards, so that the first table has the last word on a file that several speak of.
    for path, column in reversed(naming):
        tables.apply(path, column, plan.labels if (path, column) in labelling else None, plan.splits)


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
