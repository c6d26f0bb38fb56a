"""Vectors of files and texts, with what made them written down, so that new ones can be given theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.columns import Transform
from datadiet_cli.encode.texts import Documents
from datadiet_cli.encode.vectors import EXPORTED
from datadiet_cli.encode.vectors.grid import LENGTH
from datadiet_cli.errors import InputError
from datadiet_cli.steps.context import Context

if TYPE_CHECKING:
    from datadiet_cli.encode.vectors.fitted_texts import FittedTexts

Bools = NDArray[np.bool_]
Small = NDArray[np.float32]

_PREFIX = "encoder."
_FIELDS = ("kind", "encoder", "column", "files", "digest")


@dataclass(frozen=True, eq=False)
class Encoding:
    """How samples became vectors.

    Attributes:
        kind: of the content: ``image``, ``audio`` or ``text``.
        encoder: its name, or the path of a .pt2 file.
        column: of a table, the one that holds the texts or names the files.
        files: whether the content is in files.
        digest: of the bytes of a .pt2 file.
        arrays: what the encoder learned.
    """

    kind: str
    encoder: str
    column: str | None = None
    files: bool = True
    digest: str = ""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What is not an array, as JSON values."""
        return {name: getattr(self, name) for name in _FIELDS}

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays under the names that they have in a transform."""
        return {_PREFIX + name: values for name, values in self.arrays.items()}

    @classmethod
    def of(cls, transform: Transform) -> "Encoding":
        """The encoding that a transform of vectors speaks of."""
        told = {name: transform.document[name] for name in _FIELDS}
        arrays = {name.removeprefix(_PREFIX): a for name, a in transform.arrays.items() if name.startswith(_PREFIX)}
        return cls(**told, arrays=arrays)

    def names(self, d: int) -> tuple[str, ...]:
        """What the dimensions are called: ``image[17]``, or by the column."""
        return tuple(f"{self.column or self.kind}[{i}]" for i in range(d))


class Encoded(NamedTuple):
    """The vectors of n samples.

    Attributes:
        matrix: (n, d) float32 of unit length; zeros for a sample that has none.
        usable: (n,) bool, samples with a vector.
        causes: (n,) object, codes of why a sample could not be read (see `features.meanings`), or None.
        encoding: how new samples get theirs.
    """

    matrix: Small
    usable: Bools
    causes: NDArray[np.object_]
    encoding: Encoding


def encoded(
    items: Documents,
    kind: str,
    encoder: str,
    fit: Bools,
    context: Context,
    step: str,
    encoding: Encoding | None = None,
) -> Encoded:
    """Vectors of files or of texts.

    Args:
        items: a list of n paths, None for no file; or a polars frame, (n, 1) texts.
        kind: of the content: ``image``, ``audio`` or ``text``.
        encoder: one of that kind by name, or a .pt2 file.
        fit: (n,) bool, samples to learn from.
        context: the run.
        step: who asks, for messages.
        encoding: how it was done before, instead of learning.

    Raises:
        MissingExtraError: what reads or encodes them is not installed.
        InputError: the .pt2 file may not be loaded, or is another one.
    """
    if not isinstance(items, list):
        return _encoded(items, kind, encoder, fit, context, step, encoding)
    place = {path: i for i, path in enumerate(dict.fromkeys(path for path in items if path is not None))}
    at = np.array([place.get(path, -1) for path in items], dtype=np.int64)
    learn = np.zeros(len(place), dtype=bool)
    learn[at[fit & (at >= 0)]] = True
    made = _encoded(list(place), kind, encoder, learn, context, step, encoding)
    there = at >= 0
    matrix = np.zeros((len(at), made.matrix.shape[1]), dtype=np.float32)
    usable, causes = np.zeros(len(at), dtype=bool), np.full(len(at), None, dtype=object)
    matrix[there], usable[there], causes[there] = (part[at[there]] for part in (made.matrix, made.usable, made.causes))
    return Encoded(matrix, usable, causes, made.encoding)


def _encoded(
    items: Documents, kind: str, encoder: str, fit: Bools, context: Context, step: str, encoding: Encoding | None
) -> Encoded:
    from datadiet_cli.steps.vectors import of_cells, of_images, of_sounds, of_texts

    files, digest = isinstance(items, list), ""
    arrays: Mapping[str, NDArray[Any]] = {}
    if (kind, encoder) == ("text", "classical"):
        grid, causes, arrays = _by_fitted(items, fit, context, encoding)
    else:
        if encoder.endswith(EXPORTED):
            digest = _digest(encoder, encoding, step)
        if kind == "audio":
            from datadiet_cli.encode.sounds import require_soundfile

            require_soundfile(encoder, step, "encoder")
        if files:
            makers = {"image": of_images, "audio": of_sounds, "text": of_texts}
            vectors = makers[kind](items, encoder, context, step)
        else:
            vectors = of_cells(items, encoder, context, step, kind)
        grid, causes = vectors.grid, vectors.causes
    matrix = grid.astype(np.float32) / np.float32(LENGTH)
    usable = np.asarray(grid.any(axis=1), dtype=np.bool_)
    told = encoding or Encoding(kind, encoder, None, files, digest, arrays)
    return Encoded(matrix, usable, causes, told)


def _by_fitted(
    items: Documents, fit: Bools, context: Context, encoding: Encoding | None
) -> tuple[NDArray[np.int16], NDArray[np.object_], Mapping[str, NDArray[Any]]]:
    """Vectors of texts on the grid, causes, and what was learned."""
    from datadiet_cli.encode.vectors.fitted_texts import FittedTexts
    from datadiet_cli.encode.vectors.texts import RUNS_AT_ONCE, encode_by

    n, codec, engine = len(items), context.reading.table.encoding, context.engine
    if encoding is None:
        fitted = _learned(items, fit, context)
    else:
        try:
            fitted = FittedTexts.of(encoding.arrays)
        except ValueError as error:
            raise InputError(f"the transform is damaged: {error}") from error
    grid, causes = engine.zeros((n, fitted.dimensions), np.int16), np.full(n, None, dtype=object)
    tell = context.progress("reading texts", n)
    for part, (made, why, _) in engine.map(
        encode_by, items, engine.share(fitted), codec, chunk=RUNS_AT_ONCE, progress=tell
    ):
        grid[part], causes[part] = made, why
    return grid, causes, fitted.arrays()


def _learned(items: Documents, fit: Bools, context: Context) -> "FittedTexts":
    """Learn from different texts, chosen and put in order by what they say."""
    from datadiet_cli.encode.texts import digest_texts, taken
    from datadiet_cli.encode.vectors.classical_texts import LEARN
    from datadiet_cli.encode.vectors.fitted_texts import FittedTexts
    from datadiet_cli.encode.vectors.texts import AT_ONCE, read_texts

    codec = context.reading.table.encoding
    positions = np.flatnonzero(fit) if fit.any() else np.arange(len(items))
    keys, length = np.zeros(len(positions), dtype=np.uint64), np.zeros(len(positions), dtype=np.int64)
    some = taken(items, positions)
    for part, (digests, lengths, _) in context.engine.map(digest_texts, some, codec, chunk=AT_ONCE):
        keys[part], length[part] = digests[:, 0], lengths
    known = np.flatnonzero(length > 0)
    first = known[np.unique(keys[known], return_index=True)[1][:LEARN]]
    texts: list[str] = []
    for _, (read, _) in context.engine.map(read_texts, taken(items, positions[first]), codec, chunk=AT_ONCE):
        texts += read
    return FittedTexts.fit(texts or [""], context.seed)


def _digest(encoder: str, encoding: Encoding | None, step: str) -> str:
    from datadiet_cli.encode.vectors.exported import digest_of
    from datadiet_cli.nn.scan import checked

    digest = digest_of(checked(encoder))
    if encoding is not None and encoding.digest != digest:
        raise InputError(f"{step}: {encoder}: is not the file that the vectors were made with")
    return digest
