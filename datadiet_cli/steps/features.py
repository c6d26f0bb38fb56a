"""Samples as rows of one matrix, for neighbours and classifiers, whatever they are."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import FREE_TEXT, TableCells, cells_of
from datadiet_cli.encode.vectors import ENCODERS, EXPORTED, choose
from datadiet_cli.errors import ConfigError
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.feature_columns import OUTSIDE, Part, Pointers, cell_parts, pointers_of
from datadiet_cli.steps.vectors import few_of_files, few_of_texts

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]

DEFAULTS = {"image": "classical", "text": "classical", "audio": "mfcc"}
"""Kind of data -> what ``auto`` means here: what needs no further package."""
WORTH = 4.0
"""As many columns of numbers a column of texts, pictures or sounds counts for."""


class Block(NamedTuple):
    """Where a column is in the matrix.

    Attributes:
        column: its name; for a folder, the kind of its files.
        kind: ``number``, ``category``, ``text``, ``image`` or ``audio``.
        start: its first dimension.
        stop: the one after its last.
    """

    column: str
    kind: str
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Features:
    """What n samples are like, by their position in the dataset.

    Attributes:
        matrix: (n, d) float32, finite. d may be 0, for a table without a column that tells anything.

            - Numbers are in spreads from the median, two values of a category are one spread apart.
            - Vectors of pictures, sounds and texts have unit length, twice as much beside columns of a table.
        usable: (n,) bool: samples with content to tell them by. The rows of others are zeros.
        causes: (n,) object, why a sample, or a file that it names, could not be read (see `meanings`), or None.
            A sample may be read and still not be usable: a flat picture, silence, a row without a value.
        cells: of a table, its numbers and categories; of a folder, None.
        blocks: which dimensions are which column.
        encoder: what made the matrix, for the report.
    """

    matrix: NDArray[np.float32]
    usable: Bools
    causes: NDArray[np.object_]
    cells: TableCells | None
    blocks: tuple[Block, ...]
    encoder: str


def features_of(dataset: Dataset, encoder: str, columns: Sequence[str] | None, context: Context, step: str) -> Features:
    """Turn samples into numbers. What is fitted is fitted on training samples, if there are any.

    Args:
        dataset: the samples.
        encoder: ``auto``, or one of `ENCODERS` or a .pt2 file; for a table, of the columns that it is for.
        columns: of a table, those to use; all but label, split and id for None.
        context: the run.
        step: who asks, for messages.

    Raises:
        ConfigError: the encoder or the columns do not fit the data, or no encoder does.
        InputError: there is no such column; a .pt2 file may not be loaded.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    if isinstance(dataset.source, TableSource):
        return _of_table(dataset, dataset.source, encoder, columns, context, step)
    kind = dataset.kind
    if columns is not None:
        raise ConfigError(f"{step}: --columns needs a table, and {dataset.source.path} is a folder of files")
    if kind not in DEFAULTS:
        raise ConfigError(
            f"{step}: {dataset.source.path} holds files of no known kind, which no encoder can tell apart by content"
        )
    name = DEFAULTS[kind] if encoder == "auto" else choose(kind, encoder, step)
    paths = cast(FolderSource, dataset.source).paths(dataset.rows)
    made = few_of_files(kind, paths, dataset.training, name, context, step)
    blocks = (Block(kind, kind, 0, made.values.shape[1]),)
    return Features(made.values, made.there, made.causes, None, blocks, made.encoder)


def free_texts_of(dataset: Dataset, columns: Sequence[str] | None, step: str = "denoise") -> "pl.DataFrame | None":
    """Of a table's columns those of free text, (n, columns) cells as text; None if there are none.

    Args:
        dataset: rows of a table.
        columns: those to look at; all but label, split and id for None.
        step: who asks, for messages.

    Raises:
        ConfigError: a column is no feature.
        InputError: there is no such column.
    """
    source = cast(TableSource, dataset.source)
    names = _columns(source, columns, step)
    if not names:
        return None
    typed, texts = source.file.typed(names)[dataset.rows], source.file.texts(names)[dataset.rows]
    left_out = cells_of(typed, texts).left_out
    free = [name for name in names if left_out.get(name) == FREE_TEXT]
    return texts.select(free) if free else None


def meanings(kind: str, context: Context) -> dict[str, str]:
    """What the causes of a kind of data mean, in words."""
    from datadiet_cli.encode import opening, sounds, texts

    of_kind = {
        "image": opening.CAUSES,
        "audio": sounds.CAUSES,
        "text": texts.meanings(context.reading.table.encoding),
    }
    if kind != "row":
        return dict(of_kind.get(kind, {}))
    joined = {code: words for causes in reversed(of_kind.values()) for code, words in causes.items()}
    return {**joined, OUTSIDE: "the path leads out of the table's folder"}


def _of_table(
    dataset: Dataset, source: TableSource, encoder: str, columns: Sequence[str] | None, context: Context, step: str
) -> Features:
    names = _columns(source, columns, step)
    if not names:
        n = len(dataset)
        nothing: NDArray[np.object_] = np.full(n, None, dtype=object)
        return Features(np.empty((n, 0), np.float32), np.zeros(n, bool), nothing, None, (), "rows/1: no columns")
    typed, texts = source.file.typed(names)[dataset.rows], source.file.texts(names)[dataset.rows]
    pointers = _pointers(texts, source.path, context)
    plain = [name for name in names if name not in pointers]
    cells = cells_of(typed.select(plain), texts.select(plain))
    writing = [name for name, why in cells.left_out.items() if why == FREE_TEXT]
    kinds = {**{name: column.kind for name, column in pointers.items()}, **dict.fromkeys(writing, "text")}
    encoders = _encoders(kinds, encoder, source.path, step)
    training, causes = dataset.training, np.full(len(dataset), None, dtype=object)
    fit = training if training.any() else ~training
    parts = cell_parts(cells, fit)
    said = [f"numbers: {len(cells.number_names)}", f"categories: {len(cells.category_names)}"]
    known = ~np.isnan(cells.numbers).all(axis=1) | (cells.categories >= 0).any(axis=1)
    for name, kind in kinds.items():
        if name in pointers:
            few = few_of_files(kind, pointers[name].paths, training, encoders[kind], context, step)
            causes = _first(causes, _first(pointers[name].causes, few.causes))
        else:
            few = few_of_texts(texts.select(name), training, encoders[kind], context, step)
        known |= few.there
        parts.append(Part(name, kind, few.values * np.float32(np.sqrt(WORTH))))
        said.append(f"{name}: {few.encoder}")
    left_out = {name: f"names of {column.kind} files" for name, column in pointers.items()}
    cells = cells._replace(left_out={**cells.left_out, **left_out})
    usable = known & np.asarray(causes == None, dtype=np.bool_)  # noqa: E711 - elementwise
    matrix = np.hstack([np.empty((len(dataset), 0), dtype=np.float32), *(part.values for part in parts)])
    matrix[~usable] = 0
    return Features(matrix, usable, causes, cells, _blocks(parts), f"rows/1 ({', '.join(said)})")


def _columns(source: TableSource, columns: Sequence[str] | None, step: str) -> list[str]:
    names = list(dict.fromkeys(source.features if columns is None else columns))
    for name in names:
        require_column(source.path, "--columns", name, source.file.columns)
        if name in source.set_aside:
            raise ConfigError(f"{step}: --columns {name}: label, split and id say nothing of what a row is like")
    return names


def _pointers(texts: "pl.DataFrame", path: str, context: Context) -> dict[str, Pointers]:
    """The columns that name files."""
    folder = os.path.dirname(os.path.abspath(path))
    found = {
        column.name: pointers_of(column, folder, follow_symlinks=context.reading.follow_symlinks) for column in texts
    }
    return {name: column for name, column in found.items() if column is not None}


def _encoders(kinds: dict[str, str], name: str, path: str, step: str) -> dict[str, str]:
    """The encoder for each kind of columns: the named one where it is for this kind, else the default.

    Raises:
        ConfigError: it is for none of them.
    """
    found = dict(DEFAULTS)
    fits = {kind for kind in DEFAULTS if name in ENCODERS[kind] or (kind == "image" and name.endswith(EXPORTED))}
    if name not in ("auto", "classical"):
        if not fits:
            choose("row", name, step)
        if not fits & set(kinds.values()):
            raise ConfigError(
                f"{step}: encoder {name} is for {' and '.join(sorted(fits))} data, and {path} has no such column; "
                "choose --encoder classical"
            )
    return found if name == "auto" else {**found, **dict.fromkeys(fits, name)}


def _first(causes: NDArray[np.object_], others: NDArray[np.object_]) -> NDArray[np.object_]:
    """The causes, and where there is none the others."""
    return np.where(causes == None, others, causes)  # noqa: E711 - elementwise


def _blocks(parts: Sequence[Part]) -> tuple[Block, ...]:
    stops = np.cumsum([part.values.shape[1] for part in parts], dtype=np.int64).tolist()
    starts = [0, *stops]
    return tuple(Block(part.column, part.kind, a, b) for part, a, b in zip(parts, starts, stops, strict=False))
