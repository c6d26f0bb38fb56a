"""The new columns that a transform makes of others, for rows of any table that has those."""

from typing import TYPE_CHECKING

import numpy as np

from datadiet_cli.columns import Transform
from datadiet_cli.data.tablefile import TableFile
from datadiet_cli.encode.known_cells import KnownColumn, read_known
from datadiet_cli.errors import InputError
from datadiet_cli.methods.selection.base import Columns
from datadiet_cli.outcome import Cells
from datadiet_cli.steps.selecting.base import Floats, Ints
from datadiet_cli.steps.selecting.projecting import projection_of

if TYPE_CHECKING:
    from datadiet_cli.methods.selection.design import Design

_AT_ONCE = 1 << 14


def made_columns(transform: Transform, file: TableFile, rows: Ints) -> Cells:
    """The cells of new columns.

    Args:
        transform: with ``inputs``, ``design``, ``outputs`` and a projection.
        file: the table, which has the columns.
        rows: those that get new cells.

    Raises:
        InputError: the transform is damaged.
    """
    import polars as pl

    told = transform.document
    columns = [KnownColumn(column["name"], column["form"], tuple(column["values"])) for column in told["inputs"]]
    names = [column.name for column in columns]
    numbers, categories = read_known(columns, file.typed(names)[rows], file.texts(names)[rows])
    cells = Columns(np.where(np.isfinite(numbers), numbers, np.nan), categories)
    made = _projected(transform, _design(transform, cells), cells)
    texts = pl.DataFrame(made, schema=list(told["outputs"]), orient="row").cast(pl.String)
    return {name: dict(zip(rows.tolist(), texts[name].to_list(), strict=True)) for name in told["outputs"]}


def _design(transform: Transform, cells: Columns) -> "Design":
    from datadiet_cli.methods.selection.design import Design

    try:
        design = Design.of(transform.document["design"])
        design.matrix(cells.rows(np.empty(0, dtype=np.int64)))
    except ValueError as error:
        raise InputError(f"the transform is damaged: {error}") from error
    return design


def _projected(transform: Transform, design: "Design", cells: Columns) -> Floats:
    project = projection_of(transform)
    out = np.zeros((len(cells), len(transform.document["outputs"])))
    for start in range(0, len(cells), _AT_ONCE):
        part = np.arange(start, min(start + _AT_ONCE, len(cells)))
        out[part] = project(design.matrix(cells.rows(part)))
    return out
