"""What annotation files of images have in common: the label of a set of classes, names of images, names of splits."""

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from datadiet_cli.data.kinds import SPLIT_NAMES, is_evaluation

NO_OBJECTS = "no objects"
"""The label of an image that was annotated, and that holds nothing."""

_SAME = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "minival"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_WORDS = "|".join(sorted(SPLIT_NAMES, key=len, reverse=True))
_THINGS = r"(?:images?|imgs?|data|annotations?|labels?|set)"
_FOLDER = re.compile(rf"(?:{_THINGS}[-_.]?)?({_WORDS}|minival)(?:\d{{2,4}})?(?:[-_.]?{_THINGS})?", re.IGNORECASE)
_TOKEN = re.compile(rf"({_WORDS}|minival)(?:\d{{2,4}})?", re.IGNORECASE)


def label_of(classes: Iterable[str]) -> str:
    """One label for all the classes that an image shows: their names, sorted and joined, or `NO_OBJECTS`."""
    return "+".join(sorted(set(classes))) or NO_OBJECTS


def split_of_folders(path: str) -> str | None:
    """The split that the folders of a path name: the innermost that does, such as ``train`` in ``images/train2017``."""
    named = (split_of_folder(part) for part in reversed(path.split("/")[:-1]))
    return next((split for split in named if split is not None), None)


@lru_cache(maxsize=1 << 12)
def split_of_folder(name: str) -> str | None:
    """The split that the name of one folder says: as it is written, but without ``2017``, ``_images`` and the like."""
    found = _FOLDER.fullmatch(name)
    return _word(found[1]) if found else None


def split_of_name(path: str) -> str | None:
    """The split in a file's name, such as ``val`` in ``instances_val2017.json``; none for both train and test."""
    stem = os.path.splitext(path.rpartition("/")[2])[0]
    found = [_word(match[1]) for token in re.split(r"[-_. ]+", stem) if (match := _TOKEN.fullmatch(token))]
    return found[0] if found and len({is_evaluation(word) for word in found}) == 1 else None


def contradict(one: str | None, other: str | None) -> bool:
    """Whether two splits are known, and not the same one under two names."""
    if one is None or other is None:
        return False
    return _SAME.get(one.lower(), one.lower()) != _SAME.get(other.lower(), other.lower())


def settle_splits(paths: Sequence[str], named: Sequence[tuple[str, Iterable[int]]]) -> list[str | None]:
    """The split of every sample, from annotation files that say so, or else from its folders.

    A sample that is named for training and for evaluation is for evaluation, which is sacred. But where nothing would
    be left to train on, as when both are the same folder, what is named for training counts as that.

    Args:
        paths: of the samples.
        named: splits, each with the rows that it names.
    """
    train: dict[int, str] = {}
    evaluation: dict[int, str] = {}
    for split, rows in named:
        target = evaluation if is_evaluation(split) else train
        for row in rows:
            target.setdefault(row, split)
    told = train | evaluation if train.keys() - evaluation.keys() else evaluation | train
    return [told[row] if row in told else split_of_folders(path) for row, path in enumerate(paths)]


class ImageNames:
    """Finds the sample that an annotation file means: by its path, or by as much of its end as is there.

    Annotation files travel between machines, so that paths in them often begin with folders that are not there. Names
    are only compared, never opened.

    Args:
        paths: of the samples.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._row = {path: row for row, path in enumerate(paths)}
        self._paths = paths
        self._rows_by_name: dict[str, list[int]] = {}
        for row, path in enumerate(paths):
            self._rows_by_name.setdefault(path.rpartition("/")[2], []).append(row)

    def exact(self, path: str) -> int | None:
        """The row of a path relative to INPUT."""
        return self._row.get(path)

    def roots(self, name: str, most: int) -> list[str]:
        """Folders, each ending in a slash or empty, below which a file is called `name`; at most `most` are tried."""
        rows = self._rows_by_name.get(name.rpartition("/")[2], ())[:most]
        found = (self._paths[row] for row in rows)
        return [path[: len(path) - len(name)] for path in found if ("/" + path).endswith("/" + name)]

    def find(self, name: str, folder: str) -> int | None:
        """The row of a name that stands in a file of `folder`.

        It may be relative to that folder or to INPUT; leading folders that are not there are left out. A bare name
        counts if only one sample has it, and the folders do not say that they are of different splits.
        """
        if not name:
            return None
        inside = os.path.normpath(os.path.join(folder, name))
        if inside in self._row:
            return self._row[inside]
        parts = [part for part in tidy(name).split("/") if part != ".."]
        for begin in range(len(parts) - 1):
            row = self._row.get("/".join(parts[begin:]))
            if row is not None:
                return row
        rows = self._rows_by_name.get(parts[-1], ()) if parts else ()
        if len(rows) != 1 or contradict(split_of_folders("/".join(parts)), split_of_folders(self._paths[rows[0]])):
            return None
        return rows[0]


def tidy(name: str) -> str:
    """A name without leading slashes and needless parts; backslashes count as slashes if there are no others."""
    name = name.replace("\\", "/") if "/" not in name else name
    return os.path.normpath(name).lstrip("/")


def _word(word: str) -> str:
    return "val" if word.lower() == "minival" else word
