"""What a sample says or shows: its file, or for a row of a table the cell or the file that one column has."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import FREE_TEXT, cells_of
from datadiet_cli.encode.texts import Documents
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.feature_columns import Pointers, pointers_of
from datadiet_cli.steps.features import DEFAULTS

if TYPE_CHECKING:
    import polars as pl


class Content(NamedTuple):
    """The content of n samples.

    Attributes:
        items: a list of n paths, None for no file; or a polars frame of (n, 1) texts.
        kind: ``image``, ``audio`` or ``text``.
        causes: (n,) object, why a sample names no file that may be opened, or None.
        column: of a table, where it stands.
    """

    items: Documents
    kind: str
    causes: NDArray[np.object_]
    column: str | None


def content_of(dataset: Dataset, column: str | None, context: Context, step: str) -> Content:
    """The content of a folder's files, or of one column of a table.

    Args:
        dataset: the samples.
        column: of a table; None for the only one that holds texts or names files.
        context: the run.
        step: who asks, for messages.

    Raises:
        ConfigError: there is no such content, or in several columns.
        InputError: there is no such column.
    """
    source, nothing = dataset.source, np.full(len(dataset), None, dtype=object)
    if not isinstance(source, TableSource):
        if dataset.kind not in DEFAULTS:
            raise ConfigError(f"{step}: {source.path} holds files of no known kind, which no encoder can tell apart")
        return Content(cast(FolderSource, source).paths(dataset.rows), dataset.kind, nothing, None)
    if column is None:
        column = only_column(content_columns(dataset, None, context), source.path, step)
    require_column(source.path, step, column, source.file.columns)
    frame = source.file.texts([column])[dataset.rows]
    pointers = pointers_in(frame, source.path, context).get(column)
    if pointers is not None:
        return Content(pointers.paths, pointers.kind, pointers.causes, column)
    return Content(cast(Documents, frame), "text", nothing, column)


def content_columns(dataset: Dataset, names: Sequence[str] | None, context: Context) -> dict[str, str]:
    """The columns of a table that hold content: free text, or names of files.

    Args:
        dataset: of a table.
        names: columns to look at; all features for None.
        context: the run.

    Returns:
        The columns, each with the kind of the content.
    """
    source = cast(TableSource, dataset.source)
    names = source.features if names is None else list(names)
    if not names:
        return {}
    texts = source.file.texts(names)[dataset.rows]
    found = {name: pointers.kind for name, pointers in pointers_in(texts, source.path, context).items()}
    plain = [name for name in names if name not in found]
    if plain:
        left_out = cells_of(source.file.typed(plain)[dataset.rows], texts.select(plain)).left_out
        found |= {name: "text" for name, why in left_out.items() if why == FREE_TEXT}
    return {name: found[name] for name in names if name in found}


def pointers_in(texts: "pl.DataFrame", path: str, context: Context) -> dict[str, Pointers]:
    """The columns that name files.

    Args:
        texts: (n, columns) cells as text.
        path: of the table.
        context: the run.
    """
    folder = os.path.dirname(os.path.abspath(path))
    found = {
        series.name: pointers_of(series, folder, follow_symlinks=context.reading.follow_symlinks) for series in texts
    }
    return {name: pointers for name, pointers in found.items() if pointers is not None}


def only_column(found: Mapping[str, str], path: str, step: str) -> str:
    """The one column that holds content.

    Raises:
        ConfigError: there is none, or there are several.
    """
    if not found:
        raise ConfigError(f"{step}: {path} has no column of free text, nor of names of files, to make vectors of")
    if len(found) > 1:
        raise ConfigError(f"{step}: {path}: {', '.join(found)} all hold texts or name files; name one with --columns")
    return next(iter(found))


def like_before(content: Content, dataset: Dataset, kind: str, files: bool, step: str) -> None:
    """Check that content is of the kind that something was learned from.

    Args:
        content: of new samples.
        dataset: the new samples.
        kind: of what was learned from.
        files: whether that was in files.
        step: who asks, for messages.

    Raises:
        InputError: it is of another kind.
    """
    path, here = dataset.source.path, f"column {content.column!r}" if content.column is not None else "the folder"
    if content.kind != kind or isinstance(content.items, list) != files:
        where = f"names of {kind} files" if content.column is not None and files else f"{kind} data"
        raise InputError(f"{step}: {path}: {here} holds no {where}, which the vectors were made of")
