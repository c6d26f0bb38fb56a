"""Samples as the raw tensors of a model: those that fit the data, or those that a trained model takes."""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.config.training import Training
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.open import require_column
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.cells import FREE_TEXT, cells_of
from datadiet_cli.encode.inputs import cells as columns
from datadiet_cli.encode.inputs.contents import Reader
from datadiet_cli.encode.texts import Documents, taken
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Field
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.feature_columns import pointers_of, resolved

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]
Causes = NDArray[np.object_]
Options = Mapping[str, Any]

FILES = {"image": "images", "audio": "sounds", "text": "texts"}
"""Kinds of content that lie in files or in columns of a table, in words."""
_OF_VECTORS = ("linear", "mlp")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model takes of n samples.

    Attributes:
        fields: what the arrays are.
        arrays: one a field, (n, ...) each; see `Field` for dtypes and shapes. Large ones lie in a file.
        usable: (n,) bool, samples that could be read and have some content: a word, a cell that is not missing.
        causes: (n,) object, why a sample, or a file that it names, could not be read (see `features.meanings`), or
            None.
        left_out: columns of the table that are no input, each with the reason.
        transform: of a field of vectors, gives other samples theirs.
    """

    fields: tuple[Field, ...]
    arrays: tuple[NDArray[Any], ...]
    usable: Bools
    causes: Causes
    left_out: Mapping[str, str] = field(default_factory=dict)
    transform: Transform | None = None


class _Made(NamedTuple):
    """The array of a field, which samples have content in it, and why some could not be read."""

    values: NDArray[Any]
    present: Bools
    causes: Causes


def inputs_of(
    dataset: Dataset,
    settings: Training,
    context: Context,
    step: str,
    fields: tuple[Field, ...] | None = None,
    want: str | None = None,
    transform: Transform | None = None,
) -> Inputs:
    """Bring samples into the form that a model takes.

    Without `fields` the form is found from training samples, if there are any: a folder is one field; of a table,
    numbers are one, categories another, and each column of free text or of file names one more. Lengths are such that
    95 % of the sounds (of up to 10 seconds) and 98 % of the texts (of up to 512 words) are whole.

    Args:
        dataset: the samples.
        settings: ``model``, ``columns``, ``image_size``, ``encoder``.
        context: the run.
        step: who asks, for messages.
        fields: of a trained model: columns and files are read by them, whatever else they might be here.
        want: ``vector`` for one field of vectors by an encoder. None: where the model is linear or mlp and there are
            no numbers nor categories, or where the model is left open and vectors were selected before.
        transform: what came with `fields` of vectors.

    Raises:
        ConfigError: the settings do not fit the data.
        InputError: there is no such column; no column, or no content that the model takes.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    work = _Work(dataset, settings, context, step)
    left_out: dict[str, str] = {}
    if fields is None:
        fields, left_out = work.fields(want)
    if [part.kind for part in fields] == ["vector"]:
        made = _vectors(work, fields[0].options.get("column"), transform)
        return replace(made, left_out=left_out)
    table = work.table_for(fields)
    parts = [work.made(part, table) for part in fields]
    causes, present = np.full(len(dataset), None, dtype=object), np.zeros(len(dataset), dtype=bool)
    for one in parts:
        causes = np.where(causes == None, one.causes, causes)  # noqa: E711 - elementwise
        present |= one.present
    usable = present & np.asarray(causes == None, dtype=np.bool_)  # noqa: E711
    return Inputs(fields, tuple(one.values for one in parts), usable, causes, left_out)


class _Table(NamedTuple):
    """Columns of a table: typed cells, the same as text, and the folder that paths in them start from."""

    typed: "pl.DataFrame"
    texts: "pl.DataFrame"
    folder: str

    @classmethod
    def of(cls, dataset: Dataset, names: Sequence[str]) -> "_Table":
        source = cast(TableSource, dataset.source)
        typed, texts = source.file.typed(names)[dataset.rows], source.file.texts(names)[dataset.rows]
        return cls(typed, texts, os.path.realpath(os.path.dirname(os.path.abspath(source.path))))


class _Work(NamedTuple):
    """The samples, and what is asked of them; see `inputs_of`."""

    dataset: Dataset
    settings: Training
    context: Context
    step: str

    @property
    def reader(self) -> Reader:
        around = self.context
        encoding = around.reading.table.encoding
        return Reader(
            around.engine, around.cache, encoding, around.max_pixels, around.progress, around.new_folder, self.step
        )

    def fields(self, want: str | None) -> tuple[tuple[Field, ...], dict[str, str]]:
        """The form for these samples, and the columns that are no part of it."""
        settings, path = self.settings, self.dataset.source.path
        given = settings.factory is not None or settings.from_model is not None
        open_to = want is None and not given and settings.model in ("auto", *_OF_VECTORS)
        selected = want == "vector" or (open_to and self.dataset.selection is not None)
        by_vectors = selected or (open_to and settings.model in _OF_VECTORS)
        if not isinstance(self.dataset.source, TableSource):
            if settings.columns is not None:
                raise ConfigError(f"{self.step}: --columns needs a table, and {path} is a folder of files")
            if self.dataset.kind not in FILES:
                raise InputError(f"{self.step}: {path} holds files of no known kind, which no model takes")
            kind = "vector" if by_vectors else self.dataset.kind
            return (self._sized(Field(kind, kind), None),), {}
        if self.dataset.selection is not None and selected:
            return (Field("vector", "vector"),), {}
        table = _Table.of(self.dataset, _columns(self.dataset.source, settings.columns, self.step))
        found, left_out = _columns_as_fields(table, self._fit, self.context)
        if not found:
            reasons = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:5])
            raise InputError(f"{self.step}: {path}: no column tells anything that a model can learn from; {reasons}")
        contents = [part for part in found if part.kind in FILES]
        if contents and (selected or (by_vectors and len(contents) == len(found))):
            if len(contents) > 1:
                names = ", ".join(part.options["column"] for part in contents)
                raise ConfigError(
                    f"{self.step}: {path}: {names} all hold texts or name files, and a model of vectors takes one; "
                    "name it with --columns, or choose --model joined"
                )
            return (Field("vector", "vector", {"column": contents[0].options["column"]}),), left_out
        return tuple(self._sized(part, table) for part in found), left_out

    @property
    def _fit(self) -> Bools:
        """(n,) bool, the samples to learn from."""
        training = self.dataset.training
        return training if training.any() else ~training

    def _sized(self, part: Field, table: _Table | None) -> Field:
        """The field with its sizes, by the samples to learn from."""
        if part.kind not in FILES:
            return part
        items = taken(self._content(part, table)[0], np.flatnonzero(self._fit))
        sizes = self.reader.sizes(part.kind, items, self.settings.image_size)
        return replace(part, options={**part.options, **sizes})

    def table_for(self, fields: Sequence[Field]) -> _Table | None:
        """The columns of a table that the fields name; None for a folder.

        Raises:
            InputError: one is missing, or the dataset is a table and a field is of a folder, or the other way round.
        """
        source, step = self.dataset.source, self.step
        if not isinstance(source, TableSource):
            if len(fields) == 1 and fields[0].kind == self.dataset.kind:
                return None
            holds = FILES.get(self.dataset.kind, "files of no known kind")
            takes = ", ".join(part.name for part in fields)
            raise InputError(f"{step}: {source.path} is a folder of {holds}, and the model takes {takes}")
        names = [name for part in fields for name in (part.options.get("columns") or [part.options.get("column")])]
        if None in names:
            kind = FILES.get(fields[0].kind, fields[0].kind)
            raise InputError(f"{step}: {source.path} is a table, and the model takes a folder of {kind}")
        missing = [name for name in names if name not in source.file.columns]
        if missing:
            near = difflib.get_close_matches(missing[0], source.file.columns, 1)
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            hint = f"; did you mean its {near[0]!r}?" if near else ""
            raise InputError(
                f"{step}: {source.path} lacks the column {missing[0]!r}{more}, which the model takes{hint}"
            )
        return _Table.of(self.dataset, names)

    def made(self, part: Field, table: _Table | None) -> _Made:
        """The array of one field."""
        nothing: Causes = np.full(len(self.dataset), None, dtype=object)
        if part.kind in ("numbers", "categories"):
            typed, texts, _ = cast(_Table, table)
            if part.kind == "numbers":
                numbers = columns.numbers_by(typed, texts, part.options)
                return _Made(numbers, np.asarray(~np.isnan(numbers).all(axis=1), dtype=np.bool_), nothing)
            codes, some = columns.categories_by(texts, part.options)
            return _Made(codes, some, nothing)
        items, outside = self._content(part, table)
        values, causes = self.reader.read(part.kind, part.options, items)
        if part.kind == "text":
            there = np.asarray(values[:, 0] != 0, dtype=np.bool_)
        else:
            there = np.array([path is not None for path in items], dtype=bool)
        return _Made(values, there, np.where(outside == None, causes, outside))  # noqa: E711 - elementwise

    def _content(self, part: Field, table: _Table | None) -> tuple[Documents, Causes]:
        """The files, or the texts, of a field; and why a cell names no file that may be opened."""
        causes: Causes = np.full(len(self.dataset), None, dtype=object)
        if table is None:
            return cast(FolderSource, self.dataset.source).paths(self.dataset.rows), causes
        name = part.options["column"]
        if part.kind == "text" and not part.options.get("files"):
            return cast(Documents, table.texts.select(name)), causes
        cells, follow = table.texts[name].to_list(), self.context.reading.follow_symlinks
        found = {cell: resolved(cell, table.folder, follow) for cell in dict.fromkeys(cells) if (cell or "").strip()}
        pairs = [found.get(cell, (None, None)) for cell in cells]
        causes[:] = [cause for _, cause in pairs]
        return [path for path, _ in pairs], causes


def _columns(source: TableSource, chosen: Sequence[str] | None, step: str) -> list[str]:
    names = list(dict.fromkeys(source.features if chosen is None else chosen))
    for name in names:
        require_column(source.path, "--columns", name, source.file.columns)
        if name in source.set_aside:
            raise ConfigError(f"{step}: --columns {name}: label, split and id say nothing of what a row is like")
    if not names:
        raise InputError(f"{step}: {source.path}: there is no column besides label, split and id")
    return names


def _columns_as_fields(table: _Table, fit: Bools, context: Context) -> tuple[list[Field], dict[str, str]]:
    """What the columns are by the rows to learn from, and those that are nothing."""
    rows = np.flatnonzero(fit)
    typed, texts = table.typed[rows], table.texts[rows]
    follow = context.reading.follow_symlinks
    pointers = {column.name: pointers_of(column, table.folder, follow_symlinks=follow) for column in texts}
    named = {name: found.kind for name, found in pointers.items() if found is not None}
    plain = [name for name in texts.columns if name not in named]
    cells = cells_of(typed.select(plain), texts.select(plain))
    found = []
    if cells.number_names:
        found.append(Field("numbers", "numbers", columns.number_options(cells)))
    if cells.category_names:
        found.append(Field("categories", "categories", columns.category_options(cells)))
    for name in texts.columns:
        kind = named.get(name, "text" if cells.left_out.get(name) == FREE_TEXT else None)
        if kind is not None:
            # Of pictures and sounds it goes without saying.
            files = {"files": True} if kind == "text" and name in named else {}
            found.append(Field(f"{kind}:{name}", kind, {"column": name, **files}))
    return found, {name: why for name, why in cells.left_out.items() if why != FREE_TEXT}


def _vectors(work: _Work, column: str | None, transform: Transform | None) -> Inputs:
    """One field of vectors, as an encoder gives them, or as far as they were selected."""
    from datadiet_cli.steps.encoded import selected_vectors, vectors_by

    dataset, encoder, context, step = work.dataset, work.settings.encoder, work.context, work.step
    if transform is None:
        made = selected_vectors(dataset, encoder, context, step, column)
    else:
        made = vectors_by(transform, dataset, context, step)
    told = made.transform.document
    options = {"dimensions": made.matrix.shape[1], "encoder": told["encoder"]}
    if told.get("column") is not None:
        options["column"] = told["column"]
    part = Field("vector", "vector", options)
    return Inputs((part,), (made.matrix,), made.usable, made.causes, transform=made.transform)
