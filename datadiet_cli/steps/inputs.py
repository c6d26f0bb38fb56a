"""Samples as the raw tensors of a model: those that fit the data, or those that a trained model takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.config.training import Training
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.inputs.cells import categories_by, numbers_by
from datadiet_cli.encode.inputs.contents import Reader
from datadiet_cli.encode.texts import Documents, taken
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Field
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.input_columns import Columns, chosen_columns, columns_for, fields_of_columns

Bools = NDArray[np.bool_]
Causes = NDArray[np.object_]

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
    form = work.form(want) if fields is None else _Form(fields, {}, None)
    if [part.kind for part in form.fields] == ["vector"]:
        made = _vectors(work, form.fields[0].options.get("column"), transform)
        return replace(made, left_out=form.left_out)
    fields, table = form.fields, form.table or work.table_for(form.fields)
    parts = [work.made(part, table) for part in fields]
    causes, present = np.full(len(dataset), None, dtype=object), np.zeros(len(dataset), dtype=bool)
    for one in parts:
        causes = np.where(causes == None, one.causes, causes)  # noqa: E711 - elementwise
        present |= one.present
    usable = present & np.asarray(causes == None, dtype=np.bool_)  # noqa: E711
    return Inputs(fields, tuple(one.values for one in parts), usable, causes, form.left_out)


class _Made(NamedTuple):
    """The array of a field, which samples have content in it, and why some could not be read."""

    values: NDArray[Any]
    present: Bools
    causes: Causes


class _Form(NamedTuple):
    """The fields, the columns that are no part of them, and the table if it was read for that."""

    fields: tuple[Field, ...]
    left_out: Mapping[str, str]
    table: Columns | None


class _Work(NamedTuple):
    """The samples, and what is asked of them; see `inputs_of`."""

    dataset: Dataset
    settings: Training
    context: Context
    step: str

    @property
    def reader(self) -> Reader:
        around = self.context
        how = (around.reading.table.encoding, around.max_pixels, around.progress, around.new_folder, self.step)
        return Reader(around.engine, around.cache, *how)

    def form(self, want: str | None) -> _Form:
        """What fits these samples."""
        settings, path = self.settings, self.dataset.source.path
        given = settings.factory is not None or settings.from_model is not None
        flat = want is None and not given and settings.model in _OF_VECTORS
        selected = self.dataset.selection is not None and (
            flat or (want is None and not given and settings.model == "auto")
        )
        wanted = want == "vector" or selected
        if isinstance(self.dataset.source, TableSource):
            return self._form_of_table(self.dataset.source, wanted, flat)
        if settings.columns is not None:
            raise ConfigError(f"{self.step}: --columns needs a table, and {path} is a folder of files")
        if self.dataset.kind not in FILES:
            raise InputError(f"{self.step}: {path} holds files of no known kind, which no model takes")
        kind = "vector" if wanted or flat else self.dataset.kind
        return _Form((self._sized(Field(kind, kind), None),), {}, None)

    def _form_of_table(self, source: TableSource, wanted: bool, flat: bool) -> _Form:
        """Of a table; `wanted` are vectors, and `flat` is a model of vectors, numbers and categories."""
        if self.dataset.selection is not None and wanted:
            return _Form((Field("vector", "vector"),), {}, None)
        names = chosen_columns(source, self.settings.columns, self.step)
        table = Columns.of(self.dataset, names, names)
        found, left_out = fields_of_columns(table, self._fit, self.context.reading.follow_symlinks)
        if not found:
            why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
            raise InputError(f"{self.step}: {source.path}: no column tells anything that a model can learn from; {why}")
        contents = {part.options["column"]: part for part in found if part.kind in FILES}
        if contents and (wanted or (flat and len(contents) == len(found))):
            if len(contents) > 1:
                raise ConfigError(
                    f"{self.step}: {source.path}: {', '.join(contents)} all hold texts or name files, and a model of "
                    "vectors takes one of them; name it with --columns, or choose --model joined"
                )
            return _Form((Field("vector", "vector", {"column": next(iter(contents))}),), left_out, None)
        if flat:
            found = [part for part in found if part.kind not in FILES]
            reason = f"texts or names of files, which the model {self.settings.model} takes only without other columns"
            left_out |= dict.fromkeys(contents, reason)
        return _Form(tuple(self._sized(part, table) for part in found), left_out, table)

    @property
    def _fit(self) -> Bools:
        """(n,) bool, the samples to learn from; all where none is for training."""
        return self.dataset.training | (not self.dataset.training.any())

    def _sized(self, part: Field, table: Columns | None) -> Field:
        """The field with its sizes, by the samples to learn from."""
        if part.kind not in FILES:
            return part
        items = taken(self._content(part, table)[0], np.flatnonzero(self._fit))
        sizes = self.reader.sizes(part.kind, items, self.settings.image_size)
        return replace(part, options={**part.options, **sizes})

    def made(self, part: Field, table: Columns | None) -> _Made:
        """The array of one field."""
        nothing: Causes = np.full(len(self.dataset), None, dtype=object)
        if part.kind in ("numbers", "categories"):
            typed, texts, _ = cast(Columns, table)
            if part.kind == "numbers":
                numbers = numbers_by(typed, texts, part.options)
                return _Made(numbers, np.asarray(~np.isnan(numbers).all(axis=1), dtype=np.bool_), nothing)
            codes, some = categories_by(texts, part.options)
            return _Made(codes, some, nothing)
        items, outside = self._content(part, table)
        values, causes = self.reader.read(part.kind, part.options, items)
        if part.kind == "text":
            there = np.asarray(values[:, 0] != 0, dtype=np.bool_)
        else:
            there = np.array([path is not None for path in items], dtype=bool)
        return _Made(values, there, np.where(outside == None, causes, outside))  # noqa: E711 - elementwise

    def table_for(self, fields: Sequence[Field]) -> Columns | None:
        """The columns of a table that the fields name; None for a folder.

        Raises:
            InputError: the fields are not of this dataset.
        """
        source = self.dataset.source
        if isinstance(source, TableSource):
            return columns_for(self.dataset, fields, self.step)
        if len(fields) != 1 or fields[0].kind != self.dataset.kind:
            holds = FILES.get(self.dataset.kind, "files of no known kind")
            takes = ", ".join(part.name for part in fields)
            raise InputError(f"{self.step}: {source.path} is a folder of {holds}, and the model takes {takes}")
        return None

    def _content(self, part: Field, table: Columns | None) -> tuple[Documents, Causes]:
        """The files, or the texts, of a field; and why a cell names no file that may be opened."""
        if table is not None:
            return table.content(part, self.context.reading.follow_symlinks)
        nothing: Causes = np.full(len(self.dataset), None, dtype=object)
        return cast(FolderSource, self.dataset.source).paths(self.dataset.rows), nothing


def _vectors(work: _Work, column: str | None, transform: Transform | None) -> Inputs:
    """One field of vectors, as an encoder gives them, or as far as they were selected."""
    from datadiet_cli.steps.encoded import dataset_vectors, selected_vectors, vectors_by

    dataset, encoder, context, step = work.dataset, work.settings.encoder, work.context, work.step
    if transform is None and column is not None and dataset.selection is None:
        found = dataset_vectors(dataset, encoder, context, step, column=column)
        document = {"step": step, "of": "vectors", **found.encoding.document(), "dimensions": None}
        transform = Transform(document, found.encoding.stored())
        matrix, usable, causes, _ = found
    elif transform is None:
        matrix, usable, causes, _, transform = selected_vectors(dataset, encoder, context, step)
    else:
        matrix, usable, causes, _, _ = vectors_by(transform, dataset, context, step)
    options = {"dimensions": matrix.shape[1], "encoder": transform.document["encoder"]}
    if transform.document.get("column") is not None:
        options["column"] = transform.document["column"]
    return Inputs((Field("vector", "vector", options),), (matrix,), usable, causes, transform=transform)
