"""COCO datasets: images, and JSON files that list them with their annotations."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datadiet_cli.data.annotations import (
    NO_OBJECTS,
    ImageNames,
    contradict,
    label_of,
    settle_splits,
    split_of_folders,
    tidy,
)
from datadiet_cli.data.cocofile import NO_IMAGE, CocoFile, read_file
from datadiet_cli.data.kinds import is_hidden, suffix
from datadiet_cli.data.scan import Entry

_NAMES_TRIED = 1000


@dataclass(frozen=True, eq=False)
class Coco:
    """What the COCO files of a folder say, sample by sample.

    Attributes:
        labels: the classes of each image as one label; see `annotations.label_of`.
        splits: of each image.
        sidecars: the files.
        missing: names of images that are not there.
        classes: label -> the classes in it.
    """

    labels: list[str | None]
    splits: list[str | None]
    sidecars: list[CocoFile]
    missing: list[str]
    classes: dict[str, tuple[str, ...]]


def read_coco(root: str, samples: Sequence[Entry], others: Sequence[Entry]) -> Coco | None:
    """Read every COCO file that lists samples; None if there is none.

    Args:
        root: the folder.
        samples: sorted by path.
        others: its other files.

    Raises:
        InputError: a file that looks like COCO is not JSON.
        OSError: a file cannot be read.
    """
    candidates = [e.path for e in others if e.cause is None and suffix(e.path) == ".json" and not is_hidden(e.path)]
    if not candidates:
        return None
    paths = [entry.path for entry in samples]
    # A file named after an image is about that image.
    stems = {os.path.splitext(path)[0] for path in paths}
    read = [read_file(root, path) for path in candidates if os.path.splitext(path)[0] not in stems]
    found = [file for file in read if file is not None]
    files = _match(found, ImageNames(paths), paths) if found else []
    if not files:
        return None
    labels, classes = _labels(files, len(paths))
    named = [(file.split, file.rows[file.rows != NO_IMAGE].tolist()) for file in files]
    splits = settle_splits(paths, [(split, rows) for split, rows in named if split is not None])
    return Coco(labels, splits, files, [name for file in files for name in file.missing()], classes)


def _match(files: Sequence[CocoFile], names: ImageNames, paths: Sequence[str]) -> list[CocoFile]:
    """Match the images of every file with samples, and leave out files of which no image is there.

    A file and the folder of its images may be of different splits, where files alone divide one folder. But bare
    names such as ``1.jpg`` can also mean images of a split that is not there; then other files speak of most of them.
    """
    matched: dict[str, CocoFile] = {}
    claimed: set[int] = set()
    roots = {file.path: _root(file, names) for file in files}
    for file in sorted(files, key=lambda file: (contradict(file.split, split_of_folders(roots[file.path])), file.path)):
        rows = _rows(file, roots[file.path], names, paths)
        own = set(rows) - {NO_IMAGE}
        if contradict(file.split, split_of_folders(roots[file.path])) and len(own & claimed) * 2 > len(own):
            continue
        claimed |= own
        if own:
            matched[file.path] = replace(file, rows=np.array(rows, dtype=np.int64))
    return [matched[path] for path in sorted(matched)]


def _root(file: CocoFile, names: ImageNames) -> str:
    """The folder below which most of the file's names are found, with a slash at its end; empty for the top."""
    votes: dict[str, int] = {}
    for name in [name for name in file.content.names if name][:_NAMES_TRIED]:
        for root in names.roots(tidy(name), _NAMES_TRIED):
            votes[root] = votes.get(root, 0) + 1
    beside = os.path.join(os.path.dirname(file.path), "")

    def order(root: str) -> tuple[bool, int, bool, int, str]:
        return (contradict(file.split, split_of_folders(root)), -votes[root], root != beside, len(root), root)

    return min(votes, key=order, default=beside)


def _rows(file: CocoFile, root: str, names: ImageNames, paths: Sequence[str]) -> list[int]:
    rows = []
    for name in file.content.names:
        row = names.exact(root + tidy(name)) if name else None
        if row is None and name:
            row = names.find(name, os.path.dirname(file.path))
            if row is not None and contradict(file.split, split_of_folders(paths[row])):
                row = None
        rows.append(NO_IMAGE if row is None else row)
    return rows


def _labels(files: Sequence[CocoFile], count: int) -> tuple[list[str | None], dict[str, tuple[str, ...]]]:
    """The label of every image, and the classes in each label.

    An image without annotations is one without objects, but not in a file that has none, or has no categories.
    """
    classes: dict[int, set[str]] = {}
    for file in files:
        content = file.content
        if not content.titles or not len(content.owner):
            continue
        for row in file.rows[file.rows != NO_IMAGE].tolist():
            classes.setdefault(row, set())
        place = np.full(len(content.codes) + 1, NO_IMAGE, dtype=np.int64)
        place[np.array(content.image, dtype=np.int64)] = file.rows
        place[NO_IMAGE] = NO_IMAGE
        row, category = place[np.array(content.owner, dtype=np.int64)], np.array(content.category, dtype=np.int64)
        known = (row != NO_IMAGE) & (category != NO_IMAGE)
        titles = {code: content.titles.get(code, str(value)) for value, code in content.categories.items()}
        for at, code in np.unique(np.stack([row[known], category[known]], axis=1), axis=0).tolist():
            classes.setdefault(at, set()).add(titles[code])
    labels: list[str | None] = [None] * count
    members: dict[str, tuple[str, ...]] = {}
    for at, group in classes.items():
        label = labels[at] = label_of(group)
        if label != NO_OBJECTS:
            members[label] = tuple(sorted(group))
    return labels, members
