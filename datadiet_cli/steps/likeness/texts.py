"""Copies among texts, in files or in the cells of rows: equal when normalised, or alike in their shingles."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.texts import Documents, digest_texts, meanings, normalised_texts, taken
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.hamming import distances, pairs_within
from datadiet_cli.methods.minhash import Bands, likely_pairs, plan_bands
from datadiet_cli.methods.shingles import Hashes, Unit, jaccard
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.files import file_preference, in_words, name_lengths, refuse_columns
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.rows import columns_of, row_preference
from datadiet_cli.steps.likeness.sketches import AT_ONCE, Recipe, Sketches, shingle_sets, sketch

DEFAULT_SIMILARITY = 0.8
"""Least Jaccard similarity of near-duplicates under minhash."""
DEFAULT_FLOOR = 0.6
"""Least Jaccard similarity of texts whose SimHash says that they are near-duplicates."""
DEFAULT_SIZES: dict[Unit, int] = {"characters": 5, "words": 3}
BEYOND = 0.1
"""Pairs this far below the least similarity are kept for the report to show."""

_SHINGLES = 1 << 20
"""Shingles of texts that are compared at a time: each takes some fifty bytes meanwhile."""
_LOOKS = 1 << 20
_MOST_PAIRS, _PAIRS_EACH = 1_000_000, 50
"""SimHash pairs that are compared at most, and so many more for each text."""
_FOREIGN = -1


def by_normalised(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal text after NFKC, case folding and white space: by digest, then by the text itself."""
    items, columns = _documents(pool, settings)
    encoding = context.reading.table.encoding
    digests = np.zeros((len(pool), 2), dtype=np.uint64)
    lengths = np.zeros(len(pool), dtype=np.int64)
    causes = np.full(len(pool), None, dtype=object)
    tell = context.progress("reading texts", len(pool))
    for part, found in context.engine.map(digest_texts, items, encoding, chunk=AT_ONCE, progress=tell):
        digests[part], lengths[part], causes[part] = found
    part_taken = _taking_part(pool, causes, lengths)
    node = np.full(len(pool), ALONE, dtype=np.int64)
    node[part_taken] = distinct(digests[part_taken], shared_only=True)

    def confirm(a: Ints, b: Ints) -> NDArray[np.bool_]:
        same = np.zeros(len(a), dtype=bool)
        for start in range(0, len(a), AT_ONCE):
            pairs = slice(start, start + AT_ONCE)
            chosen, back = np.unique(np.concatenate([a[pairs], b[pairs]]), return_inverse=True)
            read = context.engine.map(normalised_texts, taken(items, chosen), encoding, chunk=AT_ONCE)
            texts = [text for _, some in read for text in some]
            half = len(back) // 2
            one, other = back[:half].tolist(), back[half:].tolist()
            same[pairs] = [texts[i] is not None and texts[i] == texts[j] for i, j in zip(one, other, strict=True)]
        return same

    def measure(a: Ints, b: Ints) -> Measured:
        return Measured.of(np.where((node[a] == node[b]) & (node[a] != ALONE), 0.0, np.nan))

    better = _preference(pool, settings, columns, lengths)
    return Likeness(
        Candidates(node, NO_EDGES),
        measure,
        0.0,
        better,
        in_words(causes, meanings(encoding)),
        confirm=confirm,
        metrics=_blank(pool, causes, lengths),
    )


def by_minhash(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Texts that share most of their shingles: candidates by MinHash, each counted exactly."""
    similarity = settings.similarity if settings.similarity is not None else DEFAULT_SIMILARITY
    bands = plan_bands(similarity)
    recipe = _recipe(settings, context, bands)
    items, columns = _documents(pool, settings)
    sketches = sketch(items, recipe, context)
    better = _preference(pool, settings, columns, sketches.lengths)
    nodes = _Nodes(pool, sketches, sketches.digests, better)
    of = nodes.first
    edges, unpaired = likely_pairs(sketches.keys[of], sketches.traces[of], bands, nodes.rank, nodes.group)
    shared = _Shared(nodes.node, edges, _jaccards(items, edges, nodes, recipe, context))
    shared = shared.above(similarity - BEYOND)
    metrics = {
        "missed_probability": float(f"{bands.missed:.1e}"),
        "bands": bands.count,
        "rows_of_a_band": bands.rows,
        "pairs_counted": len(edges),
        "crowded_out": unpaired,
        **_blank(pool, sketches.causes, sketches.lengths),
    }
    return Likeness(
        Candidates(nodes.node, shared.edges),
        lambda a, b: Measured.of(1.0 - shared.of(a, b)),
        1.0 - similarity,
        better,
        in_words(sketches.causes, meanings(recipe.encoding)),
        threshold_name="similarity",
        similar=True,
        metrics=metrics,
    )


def by_simhash(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Texts whose SimHashes differ in a few bits, confirmed on their shingles."""
    recipe = _recipe(settings, context, None)
    items, columns = _documents(pool, settings)
    sketches = sketch(items, recipe, context)
    better = _preference(pool, settings, columns, sketches.lengths)
    nodes = _Nodes(pool, sketches, np.column_stack([sketches.digests, sketches.simhash]), better)
    hashes = sketches.simhash
    reach = min(settings.distance + 1, 64)
    values = hashes[nodes.first]
    edges = _within(values, reach, context) if len(values) else NO_EDGES
    verified = _jaccards(items, edges, nodes, recipe, context) if settings.verify else np.full(len(edges), np.nan)
    shared = _Shared(nodes.node, edges, verified)

    def measure(a: Ints, b: Ints) -> Measured:
        distance = distances(hashes[a], hashes[b]).astype(np.float64)
        agreement = shared.of(a, b) if settings.verify else np.full(len(a), np.nan)
        distance[np.isnan(agreement) & settings.verify] = np.nan
        return Measured(distance, agreement, np.full(len(a), None, dtype=object))

    return Likeness(
        Candidates(nodes.node, edges),
        measure,
        float(settings.distance),
        better,
        in_words(sketches.causes, meanings(recipe.encoding)),
        reach=float(reach),
        floor=settings.similarity if settings.similarity is not None else DEFAULT_FLOOR,
        threshold_name="max_distance",
        floor_name="similarity",
        metrics={"hash_pairs": len(edges), **_blank(pool, sketches.causes, sketches.lengths)},
    )


def _within(values: Hashes, reach: int, context: Context) -> NDArray[np.int64]:
    """Pairs of hashes within reach, unless a look at random pairs says that they are too many.

    Raises:
        InputError: they are.
    """
    n = len(values)
    a, b = np.random.default_rng(0).integers(0, n, (2, _LOOKS))
    share = float((distances(values[a], values[b])[a != b] <= reach).mean()) if n > 1 else 0.0
    expected = share * n * (n - 1) / 2
    if expected > _MOST_PAIRS + _PAIRS_EACH * n:
        raise InputError(
            f"dedup: about {expected:,.0f} pairs of texts differ in {reach} bits or less of their SimHash, too many to "
            "compare: most of these texts share most of their words; choose method minhash, or a smaller max_distance"
        )
    return pairs_within(values, reach, context.engine.workers)


def _documents(pool: Pool, settings: Dedup) -> tuple[Documents, list[str]]:
    """What to read: paths, or a frame of texts; and the columns that are compared.

    Raises:
        ConfigError: the table has no column to compare or none of text, or columns of files were named.
        InputError: it has no such column.
    """
    if pool.kind != "row":
        refuse_columns(pool, settings)
        return pool.paths, []
    import polars as pl

    columns = columns_of(pool, settings)
    if settings.columns:
        return cast(Documents, pool.cells(columns, "texts")), columns
    texts = pool.cells(columns, "typed").select(pl.col(pl.String, pl.Categorical, pl.Enum).cast(pl.String))
    if not texts.width:
        raise ConfigError(
            f"dedup: method {settings.method} compares texts, and {pool.dataset.source.path} has no column of text; "
            "choose exact or near, or name columns with --columns"
        )
    return cast(Documents, texts), texts.columns


def _recipe(settings: Dedup, context: Context, bands: Bands | None) -> Recipe:
    size = settings.shingle_size or DEFAULT_SIZES[settings.shingles]
    return Recipe(context.reading.table.encoding, settings.shingles, size, bands)


def _taking_part(pool: Pool, causes: NDArray[np.object_], lengths: Ints) -> NDArray[np.bool_]:
    """Rows without text say nothing of each other, for they have other cells; blank files are copies."""
    readable: NDArray[np.bool_] = causes == None  # noqa: E711 - elementwise
    return readable & ((lengths > 0) | (pool.kind != "row"))


def _blank(pool: Pool, causes: NDArray[np.object_], lengths: Ints) -> dict[str, int]:
    return {"without_text": int(((lengths == 0) & (causes == None)).sum())}  # noqa: E711 - elementwise


def _preference(pool: Pool, settings: Dedup, columns: list[str], lengths: Ints) -> list[NDArray[np.generic]]:
    longest = [-lengths] if settings.prefer == "largest" else []
    if pool.kind == "row":
        return [*row_preference(pool, columns, settings, compared=True), *longest]
    # Bytes tell the encoding and the padding of a text, and nothing of how much it says.
    return [*longest, name_lengths(pool)] if longest else file_preference(pool, settings)


class _Nodes:
    """Texts that cannot be told apart share a node.

    Attributes:
        node: (n,) int64, `ALONE` for texts that take no part.
        first: (nodes,) int64, the sample of each node that is preferred.
        rank: (nodes,) int64, its rank.
        group: (nodes,) int64, its label and side: those of different groups decide nothing for each other.
        sizes: (nodes,) int64, shingles of its set.
    """

    def __init__(
        self, pool: Pool, sketches: Sketches, keys: NDArray[np.uint64], better: list[NDArray[np.generic]]
    ) -> None:
        n = len(pool)
        part = _taking_part(pool, sketches.causes, sketches.lengths)
        self.node = np.full(n, ALONE, dtype=np.int64)
        self.node[part] = distinct(np.column_stack([keys, sketches.sizes.astype(np.uint64)])[part])
        order = np.lexsort((np.arange(n), *reversed(better)))
        order = order[part[order]]
        places = np.unique(self.node[order], return_index=True)[1]
        self.first, self.rank = order[places], places.astype(np.int64)
        own = pool.dataset
        group = np.full(n, _FOREIGN, dtype=np.int64)
        group[: len(own)] = (own.labels.astype(np.int64) + 1) * 2 + own.training
        self.group, self.sizes = group[self.first], sketches.sizes[self.first]


class _Shared:
    """What pairs of nodes share, looked up by pairs of samples."""

    def __init__(self, node: Ints, edges: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        self.node, self.edges, self.value = node, edges, value
        self.width = int(node.max(initial=ALONE)) + 1
        self.keys = edges[:, 0] * self.width + edges[:, 1]

    def above(self, least: float) -> "_Shared":
        """Without the pairs that share less."""
        kept = self.value >= least
        return _Shared(self.node, self.edges[kept], self.value[kept])

    def of(self, a: Ints, b: Ints) -> NDArray[np.float64]:
        """(k,) float64: 1 within a node, NaN for nodes without an edge."""
        one, other = self.node[a], self.node[b]
        result = np.where((one == other) & (one != ALONE), 1.0, np.nan)
        if len(self.keys):
            wanted = np.minimum(one, other) * self.width + np.maximum(one, other)
            place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            there = (self.keys[place] == wanted) & (one != other)
            result[there] = self.value[place[there]]
        return result


def _jaccards(
    items: Documents, edges: NDArray[np.int64], nodes: _Nodes, recipe: Recipe, context: Context
) -> NDArray[np.float64]:
    """Count what each pair of nodes shares; the texts are read again, for their shingles take more room than they."""
    found = np.zeros(len(edges))
    tell = context.progress("comparing texts", len(edges))
    for part in _blocks(edges, nodes.sizes):
        chosen, back = np.unique(edges[part], return_inverse=True)
        back = back.reshape(-1, 2)
        read = context.engine.map(shingle_sets, taken(items, nodes.first[chosen]), recipe, chunk=AT_ONCE // 4)
        members, sizes = (np.concatenate(column) for column in zip(*(sets for _, sets in read), strict=True))
        found[part] = jaccard(members, sizes, back[:, 0], back[:, 1])
        tell(len(part))
    return found


def _blocks(edges: NDArray[np.int64], sizes: Ints) -> Iterator[Ints]:
    """Cut the edges into blocks of few shingles, those of texts that hang together near each other."""
    if not len(edges):
        return
    # The least neighbour of the least neighbour stands for the group; it need not be exact.
    near = np.arange(len(sizes))
    for _ in range(2):
        np.minimum.at(near, edges.ravel(), near[edges[:, ::-1]].ravel())
    order = np.lexsort((edges[:, 1], edges[:, 0], near[edges[:, 0]]))
    ordered = edges[order]
    # A text is read once for all its pairs in a block; so count the first of its edges only.
    new = np.append(True, ordered[1:, 0] != ordered[:-1, 0])
    load = np.cumsum(np.where(new, sizes[ordered[:, 0]], 0) + sizes[ordered[:, 1]])
    cut = np.flatnonzero(np.diff(load // _SHINGLES, prepend=0))
    yield from (part for part in np.split(order, cut) if len(part))
