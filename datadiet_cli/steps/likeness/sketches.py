"""What `dedup` remembers of each text to find those that share shingles with it, and the shingles themselves."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.encode.texts import Documents, code_points, read_documents
from datadiet_cli.methods.duplicates import Ints
from datadiet_cli.methods.minhash import Bands, band_keys, signatures
from datadiet_cli.methods.shingles import Hashes, Unit, distinct_shingles, mixed, set_digests, shingle_hashes
from datadiet_cli.methods.simhash import simhashes
from datadiet_cli.steps.context import Context

AT_ONCE = 256
"""Texts that a worker is handed."""
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
    def blank(cls, n: int, bands: Bands | None) -> "Sketches":
        """Rows to fill."""
        return cls(
            causes=np.full(n, None, dtype=object),
            lengths=np.zeros(n, dtype=np.int64),
            sizes=np.zeros(n, dtype=np.int64),
            digests=np.zeros((n, 2), dtype=np.uint64),
            keys=np.zeros((n, bands.count if bands else 0), dtype=np.uint32),
            traces=np.zeros((n, bands.hashes if bands else 0), dtype=np.uint8),
            simhash=np.zeros(n, dtype=np.uint64),
        )

    def put(self, part: slice, found: "Sketches") -> None:
        """Fill some rows."""
        for own, other in zip(vars(self).values(), vars(found).values(), strict=True):
            own[part] = other


def sketch(items: Documents, recipe: Recipe, context: Context) -> Sketches:
    """Read every text once."""
    sketches = Sketches.blank(len(items), recipe.bands)
    tell = context.progress("reading texts", len(items))
    for part, found in context.engine.map(sketch_texts, items, recipe, chunk=AT_ONCE, progress=tell):
        sketches.put(part, found)
    return sketches


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
    members: list[Hashes] = []
    sizes = np.zeros(len(items), dtype=np.int64)
    for rows, documents in _batches(items, recipe.encoding, np.full(len(items), None, dtype=object)):
        some, sizes[rows] = distinct_shingles(*recipe.hashes(documents))
        members.append(some)
    return np.concatenate(members) if members else np.empty(0, dtype=np.uint64), sizes


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
