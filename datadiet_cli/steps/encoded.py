"""Vectors of samples as far as they are selected, for whichever step learns from them or predicts by them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.vectors import choose
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.steps.content import content_of, like_before
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.encoding import Encoded, Encoding, encoded
from datadiet_cli.steps.features import DEFAULTS

__all__ = ["Encoded", "Encoding", "Selected", "dataset_vectors", "encoded", "selected_vectors", "vectors_by"]

Bools = NDArray[np.bool_]
Small = NDArray[np.float32]


class Selected(NamedTuple):
    """The vectors of n samples as far as they were selected, or what they were turned into.

    Attributes:
        matrix: (n, d) float32; zeros for a sample that has none.
        usable: (n,) bool, samples with a vector.
        causes: (n,) object, codes of why a sample could not be read, or None.
        names: of the d dimensions.
        transform: gives other samples theirs; see `vectors_by`.
    """

    matrix: Small
    usable: Bools
    causes: NDArray[np.object_]
    names: tuple[str, ...]
    transform: Transform


def selected_vectors(dataset: Dataset, encoder: str, context: Context, step: str) -> Selected:
    """The vectors of a folder's files, or of a table's one column of texts or file names, as far as they are selected.

    Args:
        dataset: the samples; its `selection` holds.
        encoder: ``auto``, or an encoder by name; where there is a selection, the one it was made with.
        context: the run.
        step: who asks, for messages.

    Raises:
        ConfigError: there is no such encoder for the data, or no content, or in several columns.
        InputError: a .pt2 file may not be loaded.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    if dataset.selection is not None:
        chosen = dataset.selection.document["encoder"]
        if encoder not in ("auto", chosen):
            raise ConfigError(f"{step}: encoder {encoder}: the vectors were selected by encoder {chosen}")
        return vectors_by(dataset.selection, dataset, context, step)
    found = dataset_vectors(dataset, encoder, context, step)
    document = {"step": step, "of": "vectors", **found.encoding.document(), "dimensions": None}
    names = found.encoding.names(found.matrix.shape[1])
    transform = Transform(document, found.encoding.stored())
    return Selected(found.matrix, found.usable, found.causes, names, transform)


def vectors_by(transform: Transform, dataset: Dataset, context: Context, step: str) -> Selected:
    """Give samples the vectors that a transform of vectors says.

    Raises:
        ConfigError: the dataset is of another kind.
        InputError: it lacks the column, or the transform is damaged.
    """
    encoding = Encoding.of(transform)
    return of_encoded(transform, dataset_vectors(dataset, encoding.encoder, context, step, encoding))


def of_encoded(transform: Transform, found: Encoded) -> Selected:
    """What a transform of vectors leaves of all vectors, or turns them into.

    Raises:
        InputError: the transform does not fit.
    """
    from datadiet_cli.steps.selecting.projecting import projection_of

    matrix, document, encoding = found.matrix, transform.document, found.encoding
    names = encoding.names(matrix.shape[1])
    chosen = document["dimensions"]
    if document.get("projection") is not None:
        names = tuple(document["outputs"])
        matrix = projection_of(transform)(matrix.astype(np.float64)).astype(np.float32)
        matrix[~found.usable] = 0
    elif chosen is not None:
        if max(chosen) >= matrix.shape[1]:
            raise InputError(f"the vectors have {matrix.shape[1]} dimensions, and number {max(chosen)} is asked for")
        matrix, names = matrix[:, chosen], tuple(names[i] for i in chosen)
    return Selected(matrix, found.usable, found.causes, names, transform)


def dataset_vectors(
    dataset: Dataset,
    encoder: str,
    context: Context,
    step: str,
    encoding: Encoding | None = None,
    column: str | None = None,
) -> Encoded:
    """The vectors of a folder's files, or of one column of a table.

    Args:
        dataset: the samples. What is learned is learned from training samples.
        encoder: ``auto``, or an encoder by name.
        context: the run.
        step: who asks, for messages.
        encoding: how it was done before, instead of learning.
        column: of a table; None for the only one that holds texts or names files.

    Raises:
        ConfigError: there is no such encoder for the data, or no content, or in several columns.
        InputError: there is no such column; a .pt2 file may not be loaded; the data is not what was learned from.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    if encoding is not None:
        column = encoding.column
        if (column is None) == isinstance(dataset.source, TableSource):
            of = "a folder of files" if column is None else f"column {column!r} of a table"
            raise InputError(f"{step}: {dataset.source.path}: the vectors were made of {of}, which it is not")
    content = content_of(dataset, column, context, step)
    if encoding is not None:
        like_before(content, dataset, encoding.kind, encoding.files, step)
    name = DEFAULTS[content.kind] if encoder == "auto" else choose(content.kind, encoder, step)
    made = encoded(content.items, content.kind, name, dataset.training, context, step, encoding)
    causes = np.where(content.causes == None, made.causes, content.causes)  # noqa: E711 - elementwise
    told = replace(made.encoding, column=content.column)
    return Encoded(made.matrix, made.usable, causes, told)
