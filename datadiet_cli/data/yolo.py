"""YOLO datasets as Ultralytics reads them: images, a text file of labels for each, and a ``data.yaml``."""

import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.annotations import ImageNames, label_of, settle_splits, split_of_name
from datadiet_cli.data.copying import Copier
from datadiet_cli.data.datayaml import DataYaml, find_data_yaml
from datadiet_cli.data.kinds import is_hidden, kind_of
from datadiet_cli.data.listfile import ListFile, read_list
from datadiet_cli.data.scan import Entry

_IMAGES, _LABELS = "/images/", "/labels/"
_LOOKED_AT = 50
_LARGEST_LABELS = 64 << 20
_LARGEST_CLASS = 10**9
_TOO_LONG = b"too long to be labels"


@dataclass(frozen=True, eq=False)
class Companions:
    """Files that belong to images and go with the last of them, and files that would be stale in a copy.

    Attributes:
        rows: path of a file -> the rows of its images.
        left_out: caches of labels, which are never copied.
        told: facts.
    """

    rows: Mapping[str, Sequence[int]]
    left_out: Sequence[str]
    told: Mapping[str, Any]

    def paths(self) -> Collection[str]:
        """All of them."""
        return (*self.rows, *self.left_out)

    def facts(self) -> Mapping[str, Any]:
        """How many label files there are, and what is not copied."""
        return {**self.told, "left_out": list(self.left_out)} if self.left_out else self.told

    def write(self, present: NDArray[np.bool_], root: str, destination: str, link: str) -> int:
        """Copy those of which an image remains; see `Sidecar`."""
        copier = Copier(link)
        stay = present.tolist()
        return sum(
            copier.copy(os.path.join(root, path), os.path.join(destination, path))
            for path, rows in self.rows.items()
            if any(stay[row] for row in rows)
        )


@dataclass(frozen=True, eq=False)
class Yolo:
    """A YOLO dataset, sample by sample.

    Attributes:
        labels: the classes of each image as one label; see `annotations.label_of`.
        splits: of each image.
        sidecars: label files and lists of images.
        missing: names of images in lists that are not there.
        classes: label -> the classes in it.
    """

    labels: list[str | None]
    splits: list[str | None]
    sidecars: list[Companions | ListFile]
    missing: list[str]
    classes: dict[str, tuple[str, ...]]


def is_image(path: str) -> bool:
    """Whether YOLO would take this file for an image of the dataset: it lies below a folder ``images``."""
    return _IMAGES in "/" + path and kind_of(path) == "image"


def label_path(path: str) -> str:
    """Where the labels of an image are: the last ``images`` in its path becomes ``labels``, its suffix ``.txt``."""
    folder, _, name = ("/" + path).rpartition(_IMAGES)
    return os.path.splitext(f"{folder}{_LABELS}{name}"[1:])[0] + ".txt"


def may_be_yolo(entries: Sequence[Entry]) -> bool:
    """Whether names alone look like YOLO: most images lie below ``images``, and one has a text below ``labels``."""
    # The names of a million files are not looked at closely without need.
    if not any("images/" in entry.path for entry in entries):
        return False
    images = [entry.path for entry in entries if kind_of(entry.path) == "image"]
    inside = [path for path in images if is_image(path)]
    if not inside or len(inside) * 2 <= len(images):
        return False
    texts, lost = _texts(entries), _lost(entries)
    return any(file in texts or _is_lost(file, lost) for file in map(label_path, inside))


def read_yolo(root: str, samples: Sequence[Entry], others: Sequence[Entry]) -> Yolo | None:
    """Read the labels and splits of a YOLO dataset; None if it is not one.

    Args:
        root: the folder.
        samples: its images, sorted by path.
        others: its other files.

    Raises:
        InputError: ``data.yaml`` cannot be read.
        OSError: a file of labels cannot be read.
    """
    paths = [entry.path for entry in samples]
    texts, gone = _texts(others), _lost(others)
    places = [label_path(path) for path in paths]
    found = [texts.get(place) for place in places]
    lost = [file is None and _is_lost(place, gone) for file, place in zip(found, places, strict=True)]
    # Where nothing can be read, the names have to do.
    if not _looks_like_labels(root, [path for path in found if path is not None]) and (any(found) or not any(lost)):
        return None
    names = ImageNames(paths)
    folders = {""} | {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    data = find_data_yaml(root, others, folders)
    lists = _lists(root, texts, set(found), data, names)
    splits = settle_splits(paths, list(_named(data, lists, paths)))
    labels, classes, unclear = _labels(root, found, lost, splits, data.names if data else {})
    companions = _companions(paths, found, others, unclear)
    missing = [name for file in lists for name in file.missing]
    return Yolo(labels, splits, [companions, *lists], missing, classes)


def _texts(entries: Sequence[Entry]) -> dict[str, str]:
    """Every text that can be read, by its path with the suffix in lower case; of two the one that is written so."""
    paths = [entry.path for entry in entries if _is_text(entry.path) and entry.cause is None]
    # In sorted order .txt comes after .TXT.
    return {path[:-4] + ".txt": path for path in paths if not is_hidden(path)}


def _lost(entries: Sequence[Entry]) -> frozenset[str]:
    """What can be neither read nor copied: files, and links to whole folders; texts as `_texts` writes them."""
    paths = (entry.path for entry in entries if entry.cause is not None)
    return frozenset(path[:-4] + ".txt" if _is_text(path) else path for path in paths)


def _is_lost(path: str, lost: Collection[str]) -> bool:
    while lost and path:
        if path in lost:
            return True
        path = path.rpartition("/")[0]
    return False


def _is_text(path: str) -> bool:
    return path[-4:].lower() == ".txt"


def _looks_like_labels(root: str, paths: Sequence[str]) -> bool:
    """Whether most of the first texts are lines of numbers: captions lie beside images in the same way."""
    read = [_classes(_read(root, path)) for path in paths[:_LOOKED_AT]]
    return sum(classes is not None for classes in read) * 2 > len(read)


def _read(root: str, path: str) -> bytes:
    handle = os.open(os.path.join(root, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        size = os.fstat(handle).st_size
        return os.read(handle, size) if size <= _LARGEST_LABELS else _TOO_LONG
    finally:
        os.close(handle)


def _classes(text: bytes) -> frozenset[int] | None:
    """The class numbers of a file of labels; None if it is none. Boxes, polygons and key points all begin with one."""
    found: set[bytes] = set()
    try:
        for line in text.splitlines():
            words = line.split(None, 5)
            if words:
                float(words[4])
                found.add(words[0])
        numbers = [float(word) for word in found]
    except (ValueError, IndexError):
        return None
    whole = all(number.is_integer() and 0 <= number < _LARGEST_CLASS for number in numbers)
    return frozenset(map(int, numbers)) if whole else None


def _lists(
    root: str, texts: Mapping[str, str], labels: Collection[str | None], data: DataYaml | None, names: ImageNames
) -> list[ListFile]:
    """The lists of images: those that ``data.yaml`` names, and texts at the top that are nothing else."""
    entries = [entry for _, entry in data.splits if _is_text(entry)] if data else []
    sure = {path for entry in entries if data for path in data.candidates(entry) if path in texts.values()}
    free = sorted(path for path in texts.values() if path not in labels and (path in sure or "/" not in path))
    lists = [read_list(root, path, names, sure=path in sure) for path in free]
    return [file for file in lists if file is not None]


def _named(
    data: DataYaml | None, lists: Sequence[ListFile], paths: Sequence[str]
) -> Iterable[tuple[str, Collection[int]]]:
    """Splits and the rows that they name: as ``data.yaml`` says, or else by the names of lists."""
    named = {file.path: [row for row in file.sample.tolist() if row >= 0] for file in lists}
    told: list[tuple[str, Collection[int]]] = []
    for split, entry in data.splits if data else ():
        for place in data.candidates(entry) if data else ():
            rows = named.get(place) or _below(place, paths)
            if rows:
                told.append((split, rows))
                break
    by_name = [(split_of_name(path), rows) for path, rows in named.items()]
    return told or [(split, rows) for split, rows in by_name if split is not None]


def _below(folder: str, paths: Sequence[str]) -> range:
    """The rows of the samples below a folder; sorted paths make them a range."""
    if not folder:
        return range(len(paths))
    return range(bisect_left(paths, folder + "/"), bisect_left(paths, folder + "0"))  # 0 comes after the slash


def _labels(
    root: str,
    files: Sequence[str | None],
    lost: Sequence[bool],
    splits: Sequence[str | None],
    names: Mapping[int, str],
) -> tuple[list[str | None], dict[str, tuple[str, ...]], int]:
    """The label of every image, the classes in each label, and how many files of labels are none.

    An image without a file is one without objects, but not in a split of which no image has one: nobody looked there.
    If it has one that is lost, nobody knows.
    """
    given = [file is not None or gone for file, gone in zip(files, lost, strict=True)]
    annotated = {split for has, split in zip(given, splits, strict=True) if has}
    read: dict[str, frozenset[int] | None] = {f: _classes(_read(root, f)) for f in files if f is not None}
    members = {group: sorted({names.get(n, str(n)) for n in group}) for group in set(read.values()) if group}
    text = {group: label_of(words) for group, words in members.items()} | {frozenset[int](): label_of(())}
    labels: list[str | None] = []
    for file, has, split in zip(files, given, splits, strict=True):
        classes = frozenset[int]() if not has and split in annotated else read[file] if file else None
        labels.append(None if classes is None else text[classes])
    unclear = sum(classes is None for classes in read.values())
    return labels, {text[group]: tuple(words) for group, words in members.items()}, unclear


def _companions(
    paths: Sequence[str], labels: Sequence[str | None], others: Sequence[Entry], unclear: int
) -> Companions:
    rows: dict[str, list[int]] = {}
    by_stem: dict[str, list[int]] = {}
    for row, (path, file) in enumerate(zip(paths, labels, strict=True)):
        by_stem.setdefault(os.path.splitext(path)[0], []).append(row)
        if file is not None:
            rows.setdefault(file, []).append(row)
    told = {"label_files": len(rows)}
    alone = [
        entry.path
        for entry in others
        if entry.cause is None and _LABELS in "/" + entry.path and _is_text(entry.path) and entry.path not in rows
    ]
    copied = [entry.path for entry in others if entry.cause is None]
    # Pictures decoded once and for all, by the same name.
    rows |= {path: by_stem[path[:-4]] for path in copied if path.endswith(".npy") and path[:-4] in by_stem}
    facts = {"labels_without_image": len(alone), "unclear_labels": unclear}
    return Companions(
        rows,
        [path for path in copied if path.endswith(".cache") and not is_hidden(path)],
        told | {name: count for name, count in facts.items() if count},
    )
