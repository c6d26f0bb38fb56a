"""What `dedup` remembers of each text to find those that share shingles with it, and the shingles themselves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.data.places import here
from datadiet_cli.encode.texts import CAUSES, Documents, code_points, read_documents
from datadiet_cli.errors import DatadietError
from datadiet_cli.grouping.minhash import SketchFiles
from datadiet_cli.methods.duplicates import Ints
from datadiet_cli.methods.minhash import Bands, band_keys, signatures
from datadiet_cli.methods.minhash_survey import Zeros
from datadiet_cli.methods.shingles import Hashes, Unit, distinct_shingles, mixed, set_digests, shingle_hashes
from datadiet_cli.methods.simhash import simhashes
from datadiet_cli.steps.context import Context

AT_ONCE, SHORT_AT_ONCE = 256, 4096
"""Texts that a worker is handed, and short ones where there are many."""
_CHARACTERS = 1 << 17
"""Characters that are turned into an array at a time."""


@dataclass(frozen=True)
class Recipe:
    """How to make numbers of a text."""

    encoding: str | None
    unit: Unit
    size: int
    bands: Bands | None = None

    def hashes(self, documents: list[list[str]]) -> tuple[Hashes, Ints]:
        """The shingles of each document; those of different columns are different."""
        columns = len(documents[0])
        points, lengths = code_points([cell for cells in documents for cell in cells])
        hashes, counts = shingle_hashes(points, lengths, self.size, self.unit)
        if columns > 1:
            salts = mixed(np.arange(columns, dtype=np.uint64))
            hashes ^= np.repeat(np.tile(salts, len(documents)), counts)
        return hashes, counts.reshape(-1, columns).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Sketches:
    """What is remembered of n texts; zeros where there is a cause.

    Attributes:
        causes: (n,) object, why it could not be read, or None.
        lengths: (n,) int64, characters.
        sizes: (n,) int64, different shingles.
        digests: (n, 2) uint64, of the set of shingles.
        keys: (n, bands) uint32, and traces (n, hashes) uint8: see `methods.minhash`.
        simhash: (n,) uint64.
    """

    causes: NDArray[np.object_]
    lengths: Ints
    sizes: Ints
    digests: NDArray[np.uint64]
    keys: NDArray[np.uint32]
    traces: NDArray[np.uint8]
    simhash: NDArray[np.uint64]

    @classmethod
    def blank(cls, n: int, bands: Bands | None, zeros: Zeros = np.zeros) -> "Sketches":
        """Rows to fill."""
        return cls(
            causes=np.full(n, None, dtype=object),
            lengths=zeros((n,), np.int64),
            sizes=zeros((n,), np.int64),
            digests=zeros((n, 2), np.uint64),
            keys=zeros((n, bands.count if bands else 0), np.uint32),
            traces=zeros((n, bands.hashes if bands else 0), np.uint8),
            simhash=zeros((n,), np.uint64),
        )

    def put(self, part: slice, found: "Sketches") -> None:
        """Fill some rows."""
        for own, other in zip(vars(self).values(), vars(found).values(), strict=True):
            own[part] = other


def sketch(
    items: Documents, recipe: Recipe, context: Context, files: SketchFiles | None = None, *, chunk: int = AT_ONCE
) -> Sketches:
    """Read every text once.

    Args:
        items: the texts.
        recipe: what to make of them.
        context: the run.
        files: where keys and traces go; None for memory.
        chunk: texts that a worker is handed, where that is memory.

    Returns:
        What was asked for; without columns of keys and traces where these are in files.
    """
    engine = context.engine
    sketches = Sketches.blank(len(items), recipe.bands if files is None else None, engine.zeros)
    tell = context.progress("reading texts", len(items))
    if files is None:
        for part, found in engine.map(sketch_texts, items, recipe, chunk=chunk, progress=tell):
            sketches.put(part, found)
        return sketches
    pieces = ((piece, items[files.rows(piece)]) for piece in range(files.pieces))
    for piece, found in enumerate(engine.each(sketch_piece, (files, recipe), pieces)):
        sketches.put(files.rows(piece), found)
        tell(len(found.causes))
    return sketches


def sketch_piece(how: tuple[SketchFiles, Recipe], part: tuple[int, Documents]) -> Sketches:
    """Sketch the texts of a piece and write down their keys and traces, unless an earlier run did; give the rest."""
    (files, recipe), (piece, items) = how, part
    done = _written(files, piece)
    if done is not None:
        return done
    found = Sketches.blank(len(items), recipe.bands)
    for rows, local in brought_here(items):
        found.put(rows, sketch_texts(local, recipe))
    causes = [0 if cause is None else 1 + CAUSES.index(cause) for cause in found.causes]
    columns = {name: getattr(found, name) for name in ("lengths", "sizes", "digests", "traces")}
    files.write(piece, found.keys, {**columns, "causes": np.array(causes, dtype=np.uint8)})
    return _told(found)


def _told(found: Sketches) -> Sketches:
    """Without keys and traces."""
    return replace(found, keys=found.keys[:, :0], traces=found.traces[:, :0])


def _written(files: SketchFiles, piece: int) -> Sketches | None:
    """What an earlier run wrote of a piece; None if it did not, or that is damaged, or a file was out of reach."""
    if not files.has(piece):
        return None
    try:
        about = files.about(piece)
        files.check(piece)
    except DatadietError:
        return None
    words = np.array([None, *CAUSES], dtype=object)
    causes = words[about.pop("causes")]
    if (causes == "unreachable").any():
        return None
    blank = Sketches.blank(len(causes), None)
    return _told(replace(blank, causes=causes, **about))


def brought_here(items: Documents) -> Iterator[tuple[slice, Documents]]:
    """The texts of a piece, a few at a time, in files of this machine."""
    for start in range(0, len(items), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        with here(items[rows], sketch_texts) as local:
            yield rows, local


def sketch_texts(items: Documents, recipe: Recipe) -> Sketches:
    """Sketch some texts, a few at a time."""
    sketches = Sketches.blank(len(items), recipe.bands)
    for rows, documents in _batches(items, recipe.encoding, sketches.causes):
        hashes, counts = recipe.hashes(documents)
        members, sizes = distinct_shingles(hashes, counts)
        sketches.lengths[rows] = [sum(map(len, cells)) for cells in documents]
        sketches.sizes[rows] = sizes
        sketches.digests[rows] = set_digests(members, sizes)
        if recipe.bands is None:
            sketches.simhash[rows] = simhashes(hashes, counts)
        else:
            signature = signatures(members, sizes, recipe.bands.hashes)
            sketches.keys[rows] = band_keys(signature, recipe.bands)
            sketches.traces[rows] = signature.astype(np.uint8)
    return sketches


def shingle_sets(items: Documents, recipe: Recipe) -> tuple[Hashes, Ints]:
    """The sets of shingles of some texts; that of one that cannot be read any more is empty."""
    members: list[Hashes] = [np.empty(0, dtype=np.uint64)]
    sizes = np.zeros(len(items), dtype=np.int64)
    for part, local in brought_here(items):
        own = sizes[part]
        for rows, documents in _batches(local, recipe.encoding, np.full(len(own), None, dtype=object)):
            some, own[rows] = distinct_shingles(*recipe.hashes(documents))
            members.append(some)
    return np.concatenate(members), sizes


def _batches(
    items: Documents, encoding: str | None, causes: NDArray[np.object_]
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Read texts until they are worth an array; tell which rows they are, and the causes of the others."""
    rows: list[int] = []
    documents: list[list[str]] = []
    length = 0
    for i, found in enumerate(read_documents(items, encoding)):
        if isinstance(found, str):
            causes[i] = found
            continue
        rows.append(i)
        documents.append(found)
        length += sum(map(len, found))
        if length >= _CHARACTERS:
            yield rows, documents
            rows, documents, length = [], [], 0
    if rows:
        yield rows, documents
