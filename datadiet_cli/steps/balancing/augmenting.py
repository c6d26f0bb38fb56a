"""Recipes that change their parents: each is tried before it is handed on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.augment import ALLOWED, UnchangedError, UnreadableError, augment, describe, recipe, text_cell
from datadiet_cli.encode.cells import FREE_TEXT, cells_of
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.balancing.base import STEP, Ints, Task

ATTEMPTS = 4
"""Recipes tried on a parent before it is repeated as it is."""
_AT_ONCE = 16


class Made(NamedTuple):
    """How a sample is made.

    Attributes:
        recipe: as `encode.augment` has it.
        words: what it does; empty if no recipe changes the parent.
        cells: in a table, the new texts of its cells.
    """

    recipe: Mapping[str, Any]
    words: str
    cells: Mapping[str, str]


def augmented_files(task: Task, parents: Ints) -> list[Made | None]:
    """A recipe for each new file.

    Args:
        task: what there is to do.
        parents: (k,) positions.
    """
    source, context = cast(FolderSource, task.dataset.source), task.context
    paths = source.paths(task.dataset.rows[parents])
    made: list[Made | None] = [Made({}, "", {})] * len(paths)
    left = list(range(len(paths)))
    tell = context.progress("trying recipes", len(paths))
    encoding = context.reading.table.encoding
    with quiet_libraries():
        for attempt in range(ATTEMPTS):
            tried = [(paths[i], _recipe(task, source.kind, i, attempt * len(paths))) for i in left]
            fails: list[int] = []
            for part, good in context.engine.map(
                _try, tried, source.kind, context.max_pixels, encoding, chunk=_AT_ONCE, progress=tell
            ):
                for i, (_, what), works in zip(left[part], tried[part], good, strict=True):
                    if works:
                        made[i] = Made(what, describe(what), {})
                    else:
                        fails.append(i)
            left = fails
    return made


def _recipe(task: Task, kind: str, number: int, skipped: int) -> dict[str, Any]:
    # A mirrored digit, letter or left hand is another one: that is for the user to allow.
    operations = task.settings.augment or [name for name in ALLOWED[kind] if name != "flip"]
    return recipe(kind, task.context.seed, number + skipped, operations)


def _try(
    tasks: Sequence[tuple[str, Mapping[str, Any]]], kind: str, max_pixels: int, encoding: str | None
) -> list[bool]:
    return [_works(kind, path, what, max_pixels, encoding) for path, what in tasks]


def _works(kind: str, path: str, what: Mapping[str, Any], max_pixels: int, encoding: str | None) -> bool:
    try:
        augment(kind, path, what, max_pixels, encoding)
    except (UnchangedError, UnreadableError):
        return False
    return True


def augmented_cells(task: Task, source: TableSource, parents: Ints) -> list[Made | None]:
    """New texts for each new row.

    Args:
        task: what there is to do.
        source: the table.
        parents: (k,) positions.

    Raises:
        ConfigError: the table has no column of free text.
    """
    names = free_texts(task, source)
    places, where = np.unique(parents, return_inverse=True)
    texts = source.file.texts(names)[task.dataset.rows[places]].to_dicts()
    total = len(parents)
    return [_changed(task, texts[place], number, total) for number, place in enumerate(where.tolist())]


def _changed(task: Task, texts: Mapping[str, str | None], number: int, total: int) -> Made:
    for attempt in range(ATTEMPTS):
        what = _recipe(task, "text", number, attempt * total)
        new = {name: text_cell(text, what) for name, text in texts.items() if text is not None}
        new = {name: text for name, text in new.items() if text != texts[name]}
        if new:
            return Made(what, describe(what), new)
    return Made({}, "", {})


def free_texts(task: Task, source: TableSource) -> list[str]:
    """The columns of free text, or those among the named columns that hold texts of any length."""
    import polars as pl

    named = task.settings.columns
    names = source.features if named is None else named
    rows = task.dataset.rows[task.members]
    typed = source.file.typed(names)[rows]
    left_out = cells_of(typed, source.file.texts(names)[rows]).left_out
    found = [
        name
        for name, why in left_out.items()
        if why == FREE_TEXT or (named is not None and typed[name].dtype == pl.String)
    ]
    if not found:
        raise ConfigError(f"{STEP}: over augment changes texts, and no column holds any; use smote-nc or repeat")
    return found
