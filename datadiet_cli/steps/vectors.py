"""Vectors of files and of texts, for whichever step wants them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.sounds import require_soundfile
from datadiet_cli.encode.texts import Documents
from datadiet_cli.encode.vectors import EXPORTED
from datadiet_cli.encode.vectors.classical_texts import DIMENSIONS, LEARN
from datadiet_cli.encode.vectors.grid import LENGTH, MOST_DIMENSIONS
from datadiet_cli.encode.vectors.making import Choice, Vectors, vectors_of
from datadiet_cli.encode.vectors.reduced import DIMENSIONS as FEW
from datadiet_cli.encode.vectors.reduced import reduced
from datadiet_cli.steps.context import Context

if TYPE_CHECKING:
    import polars as pl

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ENOUGH = 50
"""Of fewer different texts to learn from nothing is learned; then it is from all."""
_NUMBERS = 1 << 30
"""Of all vectors together, where each run of characters is a dimension."""


def of_images(paths: Sequence[str], name: str, context: Context, step: str) -> Vectors:
    """Vectors of pictures.

    Args:
        paths: the files.
        name: of an encoder of images, or of a .pt2 file.
        context: the run.
        step: who asks, for messages.

    Raises:
        MissingExtraError: the encoder is not installed.
        InputError: the .pt2 file may not be loaded.
    """
    from datadiet_cli.encode.vectors import images

    choice = Choice("image", name, context.device, step=step)
    if name.endswith(EXPORTED):
        from datadiet_cli.encode.vectors.exported import digest_of
        from datadiet_cli.nn.scan import checked

        data = checked(name)
        choice = Choice("image", name, context.device, digest_of(data), step, np.frombuffer(data, dtype=np.uint8))
    with quiet_libraries():
        return vectors_of(
            paths,
            choice,
            images.encode_images,
            context.max_pixels,
            namespace=images.namespace(context.max_pixels),
            codes=images.CODES,
            chunk=images.AT_ONCE,
            cache=context.cache,
            engine=context.engine,
            progress=context.progress("looking at pictures", len(paths)),
        )


def of_sounds(paths: Sequence[str], name: str, context: Context, step: str) -> Vectors:
    """Vectors of sounds, by an encoder of sounds; see `of_images`."""
    from datadiet_cli.encode.vectors import classical_sounds as sounds

    with quiet_libraries():
        return vectors_of(
            paths,
            Choice("audio", name, context.device, step=step),
            sounds.encode_sounds,
            namespace=sounds.NAMESPACE,
            codes=sounds.CODES,
            chunk=sounds.AT_ONCE,
            cache=context.cache,
            engine=context.engine,
            progress=context.progress("listening to sounds", len(paths)),
        )


def of_texts(paths: Sequence[str], name: str, context: Context, step: str) -> Vectors:
    """Vectors of text files, by an encoder of texts other than ``classical``; see `of_images`."""
    from datadiet_cli.encode.vectors import texts

    encoding = context.reading.table.encoding
    return vectors_of(
        paths,
        Choice("text", name, context.device, step=step),
        texts.encode_texts,
        encoding,
        namespace=texts.namespace(encoding),
        codes=texts.CODES,
        chunk=texts.AT_ONCE,
        cache=context.cache,
        engine=context.engine,
        progress=context.progress("reading texts", len(paths)),
    )


def of_cells(items: Documents, name: str, context: Context, step: str, kind: str = "row") -> Vectors:
    """Vectors of rows of texts, by an encoder of texts other than ``classical``.

    Args:
        items: (n, columns) a frame of texts.
        name: of the encoder.
        context: the run.
        step: who asks, for messages.
        kind: of the encoder.
    """
    from datadiet_cli.encode.vectors.texts import AT_ONCE, encode_rows_of_text

    n, choice = len(items), Choice(kind, name, context.device, step=step)
    encoder = choice.about(context.engine)
    grid, plain = context.engine.zeros((n, encoder.dimensions), np.int16), np.zeros(n, dtype=np.uint64)
    tell = context.progress("reading texts", n)
    for part, (made, keys) in context.engine.map(
        encode_rows_of_text, items, choice, chunk=AT_ONCE, progress=tell, on_device=choice.on_device
    ):
        grid[part], plain[part] = made, keys
    return Vectors(grid, np.full(n, None, dtype=object), plain, encoder.similarity)


def by_runs(items: Documents, context: Context, *, learn: Ints | None = None, dimensions: int = DIMENSIONS) -> Vectors:
    """Vectors of texts by the ``classical`` encoder, which learns from them.

    Args:
        items: paths, or a frame of texts.
        context: the run.
        learn: positions of the texts to learn from, in this order; of more than 8,192 the first. Some drawn by the
            seed for None.
        dimensions: the most there may be; of one or two texts more, as far as there is room: see `TextVectors.learn`.
    """
    from datadiet_cli.encode.texts import taken
    from datadiet_cli.encode.vectors.classical_texts import SIMILARITY, TextVectors
    from datadiet_cli.encode.vectors.texts import AT_ONCE, RUNS_AT_ONCE, encode_by, read_texts

    n, encoding, engine = len(items), context.reading.table.encoding, context.engine
    if learn is None:
        learn = np.sort(np.random.default_rng(context.seed).choice(n, min(n, LEARN), replace=False)).astype(np.int64)
    texts: list[str] = []
    for _, (some, _) in engine.map(read_texts, taken(items, learn[:LEARN]), encoding, chunk=AT_ONCE):
        texts += some
    runs = max(min(MOST_DIMENSIONS, _NUMBERS // max(n, 1)), 2)
    learned = TextVectors.learn(texts, context.seed, dimensions, runs)
    grid = engine.zeros((n, learned.dimensions), np.int16)
    causes, plain = np.full(n, None, dtype=object), np.zeros(n, dtype=np.uint64)
    tell = context.progress("reading texts", n)
    for part, (made, why, keys) in engine.map(
        encode_by, items, engine.share(learned), encoding, chunk=RUNS_AT_ONCE, progress=tell
    ):
        grid[part], causes[part], plain[part] = made, why, keys
    return Vectors(grid, causes, plain, SIMILARITY)


class Few(NamedTuple):
    """Samples as a few numbers each.

    Attributes:
        values: (n, k) float32 of unit length, k at most 128; zeros where there is nothing.
        there: (n,) bool, samples with content to tell them by.
        causes: (n,) object, codes of why a sample could not be read, or None.
        encoder: what made them, for the report.
    """

    values: NDArray[np.float32]
    there: Bools
    causes: NDArray[np.object_]
    encoder: str


def few_of_files(kind: str, paths: Sequence[str | None], fit: Bools, name: str, context: Context, step: str) -> Few:
    """Files as a few numbers each, each file encoded once.

    Args:
        kind: ``image``, ``audio`` or ``text``.
        paths: n file names, None for no file.
        fit: (n,) bool, samples to learn from.
        name: of the encoder.
        context: the run.
        step: who asks, for messages.

    Raises:
        MissingExtraError: what reads or encodes the files is not installed.
    """
    place = {path: i for i, path in enumerate(dict.fromkeys(path for path in paths if path is not None))}
    files = list(place)
    if not files:
        return _no_few(len(paths))
    at = np.array([place.get(path, -1) if path is not None else -1 for path in paths], dtype=np.int64)
    learn = np.zeros(len(files), dtype=bool)
    learn[at[fit & (at >= 0)]] = True
    if kind == "text" and name == "classical":
        enough = np.flatnonzero(learn) if learn.sum() >= ENOUGH else np.arange(len(learn))
        chosen = np.random.default_rng(context.seed).permutation(enough)[:LEARN]
        vectors = by_runs(files, context, learn=np.sort(chosen), dimensions=FEW)
    else:
        if kind == "audio":
            require_soundfile(name, step, "encoder")
        makers = {"image": of_images, "audio": of_sounds, "text": of_texts}
        vectors = makers[kind](files, name, context, step)
    few = _few(vectors, learn, kind, name, context)
    none = at < 0
    values, there, causes = few.values[at], few.there[at], few.causes[at]
    values[none], there[none], causes[none] = 0, False, None
    return Few(values, there, causes, few.encoder)


def few_of_texts(frame: "pl.DataFrame", fit: Bools, name: str, context: Context, step: str) -> Few:
    """A column of texts as a few numbers a cell; see `few_of_files`.

    Args:
        frame: (n, 1) cells as text.
        fit: (n,) bool, cells to learn from.
        name: of the encoder.
        context: the run.
        step: who asks, for messages.
    """
    items = cast(Documents, frame)
    if name != "classical":
        return _few(of_cells(items, name, context, step, "text"), fit, "text", name, context)
    keys = frame.to_series().hash(seed=context.seed).to_numpy()
    there = frame.to_series().is_not_null().to_numpy()
    learn = _different(keys, there & fit)
    if len(learn) < ENOUGH:
        learn = _different(keys, there)
    if not len(learn):
        return _no_few(len(keys))
    return _few(by_runs(items, context, learn=learn, dimensions=FEW), fit, "text", name, context)


def _different(keys: NDArray[np.uint64], which: Bools) -> Ints:
    """One of each of the different texts, in an order that depends on what they say only."""
    positions = np.flatnonzero(which)
    return positions[np.unique(keys[positions], return_index=True)[1]]


def _no_few(n: int) -> Few:
    return Few(np.zeros((n, 1), dtype=np.float32), np.zeros(n, dtype=bool), np.full(n, None, dtype=object), "nothing")


def _few(vectors: Vectors, fit: Bools, kind: str, name: str, context: Context) -> Few:
    grid = vectors.grid
    there = np.asarray(grid.any(axis=1), dtype=np.bool_)
    if kind == "text" and grid.shape[1] <= FEW:
        values = (grid / np.float32(LENGTH)).astype(np.float32)
    else:
        values = reduced(grid, fit, balanced=kind != "text", crew=context.engine)
    made = name
    if not name.endswith(EXPORTED) and (kind, name) != ("text", "classical"):
        made = Choice(kind, name, context.device).about(context.engine).namespace
    return Few(values, there, vectors.causes, f"{made} ({kind}, {grid.shape[1]} dimensions, {values.shape[1]} used)")
