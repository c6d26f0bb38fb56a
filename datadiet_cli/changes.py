"""Carry out what a step changed besides dropping samples: labels, cells, new columns, and samples that are made."""

import os
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from datadiet_cli.data.changed import NewFile, free_names, relabelled, with_cells, with_files
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.encode.augment import augment, suffix_of
from datadiet_cli.engine import Engine
from datadiet_cli.outcome import Addition, Changes

_AT_ONCE = 16


class Workshop:
    """Where new files are made; as a context manager it is gone afterwards, and what was made with it."""

    def __init__(self) -> None:
        self._room: TemporaryDirectory[str] | None = None
        self._made = 0

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._room is not None:
            self._room.cleanup()
            self._room = None

    def apply(
        self,
        dataset: Dataset,
        changes: Changes,
        engine: Engine,
        max_pixels: int,
        progress: Callable[[str, int], Callable[[int], None]],
    ) -> Dataset:
        """The dataset with the changes made.

        Args:
            dataset: what the step was given.
            changes: what it decided.
            engine: makes new files.
            max_pixels: larger pictures are taken for decompression bombs.
            progress: announces work.

        Raises:
            InputError: a label cannot be changed.
            OSError: a new file cannot be written.
        """
        if changes.labels:
            dataset = relabelled(dataset, changes.labels)
        if not isinstance(dataset.source, FolderSource):
            if not (changes.cells or changes.columns or changes.additions):
                return dataset
            return with_cells(dataset, changes.cells, changes.columns, [a.template for a in changes.additions])
        if not changes.additions:
            return dataset
        tell = progress("making samples", len(changes.additions))
        return with_files(dataset, self._files(dataset, dataset.source, changes.additions, engine, max_pixels, tell))

    def _files(
        self,
        dataset: Dataset,
        source: FolderSource,
        additions: Sequence[Addition],
        engine: Engine,
        max_pixels: int,
        tell: Callable[[int], None],
    ) -> list[NewFile]:
        import numpy as np

        templates = [addition.template for addition in additions]
        contents = source.paths(np.array(templates, dtype=np.int64))
        # A copy that nothing is done to keeps its ending.
        endings = [
            os.path.splitext(path)[1] if addition.recipe is None else suffix_of(path)
            for addition, path in zip(additions, contents, strict=True)
        ]
        names = free_names(dataset, templates, endings)
        tasks: list[_Task] = []
        for i, (addition, path) in enumerate(zip(additions, contents, strict=True)):
            if addition.recipe is not None:
                contents[i] = self._new_file(endings[i])
                tasks.append((path, addition.recipe, contents[i]))
        for _ in engine.map(_make, tasks, source.kind, max_pixels, chunk=_AT_ONCE, progress=tell):
            pass
        return [NewFile(*made) for made in zip(templates, names, contents, strict=True)]

    def _new_file(self, ending: str) -> str:
        if self._room is None:
            self._room = TemporaryDirectory(prefix="datadiet-")
        self._made += 1
        return os.path.join(self._room.name, f"{self._made}{ending}")


_Task = tuple[str, Mapping[str, Any], str]


def _make(tasks: Sequence[_Task], kind: str, max_pixels: int) -> None:
    """Write new files: each of a file, by a recipe, to a path."""
    for path, recipe, target in tasks:
        content = augment(kind, path, recipe, max_pixels)
        with open(target, "xb") as file:
            file.write(content)
