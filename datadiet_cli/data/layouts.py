"""Recognise how a folder says which class and which split a file belongs to."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from datadiet_cli.data.annotations import split_of_folder
from datadiet_cli.data.coco import Coco, read_coco
from datadiet_cli.data.folder import Sidecar
from datadiet_cli.data.kinds import BY_KIND, is_evaluation, is_hidden, kind_of
from datadiet_cli.data.reading import Reading
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.sidecars import FILE_NAME, Tables
from datadiet_cli.data.tables import is_table
from datadiet_cli.data.yolo import Yolo, is_image, may_be_yolo, read_yolo
from datadiet_cli.errors import InputError

METADATA = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})


@dataclass
class Plan:
    """Label and split of every sample, and the tables that speak of them.

    Attributes:
        layout: in words.
        labels: of every sample.
        splits: of every sample.
        tables: everything that speaks of samples.
        missing: names of files that tables speak of but that are not there.
        annotated: whether annotations say what the samples are, and not folders.
        class_sets: where a label stands for several classes at once: the classes of each label.
        class_depth: which folder of a path names the class, counted from the top; None if none does.
    """

    layout: str
    labels: list[str | None]
    splits: list[str | None]
    tables: list[Sidecar] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    annotated: bool = False
    class_sets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    class_depth: int | None = None


def folder_kind(entries: Sequence[Entry]) -> str:
    """The kind of most files: ``image``, ``audio`` or ``text``; ``file`` where no name tells.

    Texts of labels may be as many as the images that they belong to; they do not count.
    """
    if may_be_yolo(entries):
        return "image"
    counts = Counter(kind_of(entry.path) for entry in entries)
    ranked = [(counts[kind], kind) for kind in BY_KIND if counts[kind]]
    return max(ranked)[1] if ranked else "file"


def divide(entries: Sequence[Entry], kind: str) -> tuple[list[Entry], list[Entry]]:
    """Tell samples from files that only belong to the dataset.

    A sample is a file of the folder's kind, or of no known kind; among files of unknown kinds everything that is not
    hidden is a sample. In a YOLO dataset it is an image below a folder ``images``, since other images are plots.
    """
    in_yolo = kind == "image" and may_be_yolo(entries)
    samples: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        if in_yolo:
            is_sample = is_image(entry.path)
        elif kind == "file":
            is_sample = not is_hidden(entry.path)
        else:
            is_sample = kind_of(entry.path) in (kind, None)
        (samples if is_sample else others).append(entry)
    return samples, others


def recognise(
    root: str,
    samples: Sequence[Entry],
    others: Sequence[Entry],
    reading: Reading,
) -> Plan:
    """Find the layout: YOLO, COCO, metadata beside the files, a flat folder with a labels table, or class folders.

    Args:
        root: the folder.
        samples: its samples, sorted by path.
        others: its other files.
        reading: how to read tables, and the label and split columns the user named.

    Raises:
        InputError: a metadata table or an annotation file is wrong, or a label column was named and there is no table
            to have it, or the pattern of labels matches no file.
    """
    plan = _annotated(root, samples, others) or _by_folders([entry.path for entry in samples])
    if reading.label_pattern is not None:
        return _by_names(root, plan, [entry.path for entry in samples], reading.label_pattern)
    tables = Tables(root, samples, reading)
    visible = [e.path for e in others if e.cause is None and not is_hidden(e.path) and is_table(e.path)]
    metadata = [path for path in visible if path.rpartition("/")[2] in METADATA]
    # What annotations say of an image is its label, unless the user names a column.
    silent = plan.annotated and reading.label is None
    if metadata:
        plan.layout = plan.layout if plan.annotated else "files with metadata tables"
        for path in metadata:
            tables.apply(path, FILE_NAME, None if silent else plan.labels, plan.splits)
    else:
        _apply_tables_at_the_top(plan, tables, [path for path in visible if "/" not in path], reading)
    plan.tables += tables.found
    plan.missing += tables.missing
    if not silent:
        plan.class_sets = {}
    if tables.found:
        return plan
    for flag, column in (("--label", reading.label), ("--split", reading.split)):
        if column is not None:
            raise InputError(
                f"{root}: {flag} {column}: this folder has no table of labels with such a column; "
                "class folders need no such option"
            )
    return plan


def _by_names(root: str, plan: Plan, paths: Sequence[str], pattern: str) -> Plan:
    """The plan of files whose names say their classes; tables beside them are carried along as they are."""
    found = [re.search(pattern, path) for path in paths]
    labels = [match[1] if match else None for match in found]
    if not any(labels):
        raise InputError(f"{root}: --label-pattern {pattern}: matches no file, such as {paths[0]}")
    return replace(plan, layout=f"{plan.layout}, labels in the names", labels=labels, class_sets={}, class_depth=None)


def _apply_tables_at_the_top(plan: Plan, tables: Tables, paths: Sequence[str], reading: Reading) -> None:
    """Every table that names the files loses the records of those that go; some say what the files are, too."""
    # Where folders say no class, or all files lie in a single one, a table of labels says what they are.
    flat = len({os.path.dirname(path) for path in tables.paths}) == 1 or not any(plan.labels)
    flat &= not plan.annotated
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


def _annotated(root: str, samples: Sequence[Entry], others: Sequence[Entry]) -> Plan | None:
    """The plan of a dataset of images with YOLO or COCO annotations, or both, as some come; YOLO speaks first."""
    if not any(kind_of(entry.path) == "image" for entry in samples):
        return None
    yolo = read_yolo(root, samples, others)
    coco = read_coco(root, samples, others)
    first = yolo or coco
    if first is None:
        return None
    both: list[Yolo | Coco] = [found for found in (yolo, coco) if found is not None]
    splits = list(first.splits)
    for found in both[1:]:
        splits = [one if one is not None else other for one, other in zip(splits, found.splits, strict=True)]
    return Plan(
        "COCO" if yolo is None else "YOLO" if coco is None else "YOLO with COCO annotations",
        list(first.labels),
        splits,
        [sidecar for found in both for sidecar in found.sidecars],
        [name for found in both for name in found.missing],
        annotated=True,
        class_sets=first.classes,
    )


def _by_folders(paths: Sequence[str]) -> Plan:
    """The plan of folders of classes and splits. A wrong guess at a split loses less than a split not seen."""
    folders = [path.split("/")[:-1] for path in paths]
    depth, has_splits = _first_division(folders)
    if has_splits:
        labels = [_at(parts, depth + 1) for parts in folders]
        # A folder beside train/ and test/ is a split of its own.
        splits = [name if (name := _at(parts, depth)) is None else split_of_folder(name) or name for parts in folders]
        is_flat = not any(label is not None for label in labels)
        layout = "flat folders, one for each split" if is_flat else "class folders with splits"
        return Plan(layout, labels, splits, class_depth=depth + 1)
    below = {parts[depth + 1] for parts in folders if len(parts) > depth + 1}
    words = {split_of_folder(name) for name in below}
    if None not in words and {is_evaluation(word) for word in words if word is not None} == {False, True}:
        splits = [None if (name := _at(parts, depth + 1)) is None else split_of_folder(name) for parts in folders]
        labels = [_at(parts, depth) for parts in folders]
        return Plan("class folders, each with splits", labels, splits, class_depth=depth)
    labels = [_at(parts, 0) for parts in folders]
    layout = "class folders" if any(label is not None for label in labels) else "flat folder"
    return Plan(layout, labels, [None] * len(paths), class_depth=0)


def _first_division(folders: Sequence[Sequence[str]]) -> tuple[int, bool]:
    """The depth at which folders divide the samples, and whether they are splits.

    Above it everything lies in a single folder, such as ``images`` or the name of an archive.
    """
    depth = 0
    while True:
        names = {parts[depth] for parts in folders if len(parts) > depth}
        words = [split_of_folder(name) for name in names]
        kinds = {is_evaluation(word) for word in words if word is not None}
        # A class may be called "train", beside "bus".
        if names and (None not in words or len(kinds) == 2):
            return depth, True
        if len(names) != 1:
            return depth, False
        depth += 1


def _at(parts: Sequence[str], depth: int) -> str | None:
    return parts[depth] if len(parts) > depth else None
