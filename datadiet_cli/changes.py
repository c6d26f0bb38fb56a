"""Carry out what a step changed besides dropping samples: labels, cells, new columns, and samples that are made."""

import os
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import numpy as np

from datadiet_cli.data.changed import NewFile, free_names, relabelled, with_cells, with_files, without_columns
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.augment import UnreadableError, augment, suffix_of
from datadiet_cli.engine import Engine
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Addition, Changes

_AT_ONCE = 16


class Workshop:
    """Where new files are made; as a context manager it is gone afterwards, and what was made with it.

    Args:
        parent: folder that it is made in, which workers see; None for the one of temporary files.
    """

    def __init__(self, parent: str | None = None) -> None:
        # Workers may have been started elsewhere.
        self._parent = None if parent is None else os.path.abspath(parent)
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
        encoding: str | None,
        progress: Callable[[str, int], Callable[[int], None]],
    ) -> Dataset:
        """The dataset with the changes made.

        Args:
            dataset: what the step was given.
            changes: what it decided.
            engine: makes new files.
            max_pixels: larger pictures are taken for decompression bombs.
            encoding: of text files; UTF-8 for None.
            progress: announces work.

        Raises:
            InputError: a label cannot be changed.
            OSError: a new file cannot be written.
        """
        if changes.labels:
            dataset = relabelled(dataset, changes.labels)
        if not isinstance(dataset.source, FolderSource):
            if changes.cells or changes.columns or changes.additions:
                templates = [addition.template for addition in changes.additions]
                dataset = with_cells(dataset, changes.cells, changes.columns, templates, changes.new_features)
            return without_columns(dataset, changes.dropped_columns) if changes.dropped_columns else dataset
        if not changes.additions:
            return dataset
        tell = progress("making samples", len(changes.additions))
        files, tasks = self._planned(dataset, dataset.source, changes.additions)
        with quiet_libraries():
            for _ in engine.map(_make, tasks, dataset.kind, max_pixels, encoding, chunk=_AT_ONCE, progress=tell):
                pass
        return with_files(dataset, files)

    def _planned(
        self, dataset: Dataset, source: FolderSource, additions: Sequence[Addition]
    ) -> tuple[list[NewFile], "list[_Task]"]:
        """The new files, and what is to be done to make those that are no plain copies."""
        templates = [addition.template for addition in additions]
        contents = source.paths(np.array(templates, dtype=np.int64))
        # A copy that nothing is done to keeps its ending.
        endings = [
            os.path.splitext(path)[1] if addition.recipe is None else suffix_of(path)
            for addition, path in zip(additions, source.ids(np.array(templates, dtype=np.int64)), strict=True)
        ]
        names = free_names(dataset, templates, endings)
        tasks: list[_Task] = []
        for i, (addition, path) in enumerate(zip(additions, contents, strict=True)):
            if addition.recipe is not None:
                contents[i] = self._new_file(endings[i])
                tasks.append((path, addition.recipe, contents[i]))
        return [NewFile(*made) for made in zip(templates, names, contents, strict=True)], tasks

    def new_folder(self) -> str:
        """A folder to make something in; it is gone when the run ends."""
        path = self._new_file("")
        os.mkdir(path)
        return path

    def _new_file(self, ending: str) -> str:
        if self._room is None:
            self._room = TemporaryDirectory(prefix="datadiet-", dir=self._parent)
        self._made += 1
        return os.path.join(self._room.name, f"{self._made}{ending}")


_Task = tuple[str, Mapping[str, Any], str]


def _make(tasks: Sequence[_Task], kind: str, max_pixels: int, encoding: str | None) -> None:
    """Write new files: each of a file, by a recipe, to a path."""
    for path, recipe, target in tasks:
        try:
            content = augment(kind, path, recipe, max_pixels, encoding)
        except UnreadableError as error:
            raise InputError(f"{path}: cannot be augmented: {error}; clean the data first: datadiet denoise") from error
        with open(target, "xb") as file:
            file.write(content)
