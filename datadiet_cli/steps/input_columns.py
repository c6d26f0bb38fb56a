"""The columns of a table that a model takes: found from the rows to learn from, or those that a model asks for."""

import difflib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import FREE_TEXT, cells_of
from datadiet_cli.encode.inputs.cells import fields_of
from datadiet_cli.encode.texts import Documents
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Field
from datadiet_cli.steps.feature_columns import pointers_of, resolved

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]
Causes = NDArray[np.object_]


class Columns(NamedTuple):
    """Columns of a table.

    Attributes:
        typed: (n, k) cells of some of them as number, boolean, date or text.
        texts: (n, m) cells of all of them as text.
        folder: what paths in them start from, as it really is.
    """

    typed: "pl.DataFrame"
    texts: "pl.DataFrame"
    folder: str

    @classmethod
    def of(cls, dataset: Dataset, names: Sequence[str], typed: Sequence[str]) -> "Columns":
        """Read the columns `names`, and of them `typed` with their types."""
        source = cast(TableSource, dataset.source)
        texts = source.file.texts(names)[dataset.rows]
        cells = source.file.typed(typed)[dataset.rows] if typed else texts.select()
        return cls(cells, texts, os.path.realpath(os.path.dirname(os.path.abspath(source.path))))

    def content(self, part: Field, follow_symlinks: bool) -> tuple[Documents, Causes]:
        """The files that the cells of a column name, or its texts; and why a cell names no file that may be opened."""
        name, causes = part.options["column"], np.full(self.texts.height, None, dtype=object)
        if part.kind == "text" and not part.options.get("files"):
            return cast(Documents, self.texts.select(name)), causes
        cells = self.texts[name].to_list()
        named = [cell for cell in dict.fromkeys(cells) if cell is not None and cell.strip()]
        found = {cell: resolved(cell, self.folder, follow_symlinks) for cell in named}
        pairs = [found.get(cell, (None, None)) for cell in cells]
        causes[:] = [cause for _, cause in pairs]
        return [path for path, _ in pairs], causes


def chosen_columns(source: TableSource, chosen: Sequence[str] | None, step: str) -> list[str]:
    """The columns to learn from: all features, or those that the user names.

    Raises:
        InputError: there is no such column, or none at all.
        ConfigError: one of them is no feature.
    """
    names = list(dict.fromkeys(source.features if chosen is None else chosen))
    for name in names:
        require_column(source.path, "--columns", name, source.file.columns)
        if name in source.set_aside:
            raise ConfigError(f"{step}: --columns {name}: label, split and id say nothing of what a row is like")
    if not names:
        raise InputError(f"{step}: {source.path}: there is no column besides label, split and id")
    return names


def fields_of_columns(table: Columns, fit: Bools, follow_symlinks: bool) -> tuple[list[Field], dict[str, str]]:
    """What the columns are, as yet without the sizes of contents; and those that are no input, each with the reason.

    Args:
        table: columns with their types.
        fit: (n,) bool, rows to learn from.
        follow_symlinks: whether links may lead out of the table's folder.
    """
    rows = np.flatnonzero(fit)
    typed, texts = table.typed[rows], table.texts[rows]
    pointers = {column.name: pointers_of(column, table.folder, follow_symlinks=follow_symlinks) for column in texts}
    named = {name: found.kind for name, found in pointers.items() if found is not None}
    plain = [name for name in texts.columns if name not in named]
    cells = cells_of(typed.select(plain), texts.select(plain))
    found = fields_of(cells)
    for name in texts.columns:
        kind = named.get(name, "text" if cells.left_out.get(name) == FREE_TEXT else None)
        if kind is not None:
            # Of pictures and sounds it goes without saying.
            files = {"files": True} if kind == "text" and name in named else {}
            found.append(Field(f"{kind}:{name}", kind, {"column": name, **files}))
    return found, {name: why for name, why in cells.left_out.items() if why != FREE_TEXT}


def columns_for(dataset: Dataset, fields: Sequence[Field], step: str) -> Columns:
    """The columns of a table that a model's fields name.

    Raises:
        InputError: one is missing, or a field is of a folder.
    """
    path, there = dataset.source.path, cast(TableSource, dataset.source).file.columns
    names = [name for part in fields for name in (part.options.get("columns") or [part.options.get("column")])]
    if None in names:
        raise InputError(f"{step}: {path} is a table, and the model takes a folder of {fields[0].kind} files")
    if missing := [name for name in names if name not in there]:
        near = difflib.get_close_matches(missing[0], there, 1)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        hint = f"; did you mean its {near[0]!r}?" if near else ""
        raise InputError(f"{step}: {path} lacks the column {missing[0]!r}{more}, which the model takes{hint}")
    return Columns.of(dataset, names, [name for f in fields if f.kind == "numbers" for name in f.options["columns"]])
