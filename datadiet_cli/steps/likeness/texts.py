"""Copies among texts, in files or in the cells of rows: equal when normalised, or alike in their shingles."""

from contextlib import ExitStack
from typing import cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.texts import Documents, digest_texts, meanings, normalised_texts, taken
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.grouping.hamming import pairs_within
from datadiet_cli.grouping.minhash import SketchFiles, goes_through_files
from datadiet_cli.grouping.minhash import likely_pairs as pairs_through_files
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints
from datadiet_cli.methods.hamming import distances
from datadiet_cli.methods.minhash import Bands, plan_bands
from datadiet_cli.methods.minhash_pairs import likely_pairs
from datadiet_cli.methods.shingles import Hashes, Unit
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.files import file_preference, in_words, name_lengths, refuse_columns
from datadiet_cli.steps.likeness.pool import Pool, at_once
from datadiet_cli.steps.likeness.rows import columns_of, row_preference
from datadiet_cli.steps.likeness.shared_shingles import SharedShingles, jaccards
from datadiet_cli.steps.likeness.sketches import AT_ONCE, SHORT_AT_ONCE, Recipe, Sketches, brought_here, sketch

DEFAULT_SIMILARITY = 0.8
"""Least Jaccard similarity of near-duplicates under minhash."""
DEFAULT_FLOOR = 0.6
"""Least Jaccard similarity of texts whose SimHash says that they are near-duplicates."""
DEFAULT_SIZES: dict[Unit, int] = {"characters": 5, "words": 3}
BEYOND = 0.1
"""Pairs this far below the least similarity are kept for the report to show."""

_LOOKS = 1 << 20
_MOST_PAIRS, _PAIRS_EACH = 1_000_000, 50
"""SimHash pairs that are compared at most, and so many more for each text."""
_FOREIGN = -1


def by_normalised(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal text after NFKC, case folding and white space: by digest, then by the text itself."""
    items, columns = _documents(pool, settings)
    encoding, engine = context.reading.table.encoding, context.engine
    digests = engine.zeros((len(pool), 2), np.uint64)
    lengths = engine.zeros((len(pool),), np.int64)
    causes = np.full(len(pool), None, dtype=object)
    tell = context.progress("reading texts", len(pool))
    chunk = at_once(pool.bytes, AT_ONCE, SHORT_AT_ONCE)
    for part, found in engine.map(digest_texts, items, encoding, chunk=chunk, progress=tell):
        digests[part], lengths[part], causes[part] = found
    part_taken = _taking_part(pool, causes, lengths)
    node = np.full(len(pool), ALONE, dtype=np.int64)
    node[part_taken] = numbered(digests[part_taken], engine, shared_only=True)

    def confirm(a: Ints, b: Ints) -> NDArray[np.bool_]:
        parts = (slice(start, start + AT_ONCE) for start in range(0, len(a), AT_ONCE))
        pieces = (_pairs_of_texts(items, a[part], b[part]) for part in parts)
        return np.concatenate([np.empty(0, dtype=bool), *engine.each(are_equal, encoding, pieces)])

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


def _pairs_of_texts(items: Documents, a: Ints, b: Ints) -> tuple[Documents, Ints]:
    """The texts of some pairs, and the pairs as places among them, (2, k)."""
    chosen, back = np.unique(np.stack([a, b]), return_inverse=True)
    return taken(items, chosen), back.reshape(2, -1)


def are_equal(encoding: str | None, piece: tuple[Documents, Ints]) -> NDArray[np.bool_]:
    """Whether both texts of each pair are the same, normalised; one that cannot be read any more is like no other."""
    items, (a, b) = piece
    texts = [text for _, local in brought_here(items) for text in normalised_texts(local, encoding)]
    same = (texts[i] is not None and texts[i] == texts[j] for i, j in zip(a.tolist(), b.tolist(), strict=True))
    return np.fromiter(same, dtype=bool, count=len(a))


def by_minhash(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Texts that share most of their shingles: candidates by MinHash, each counted exactly."""
    similarity = settings.similarity if settings.similarity is not None else DEFAULT_SIMILARITY
    bands = plan_bands(similarity)
    recipe = _recipe(settings, context, bands)
    items, columns = _documents(pool, settings)
    files = _sketch_files(pool, items, recipe, context, stack)
    sketches = sketch(items, recipe, context, files, chunk=at_once(pool.bytes, AT_ONCE, SHORT_AT_ONCE))
    better = _preference(pool, settings, columns, sketches.lengths)
    nodes = _Nodes(pool, sketches, sketches.digests, better, context)
    among = (bands, nodes.first, nodes.rank, nodes.group)
    if files is None:
        edges, unpaired = _pairs_in_memory(sketches, *among, context)
    else:
        edges, unpaired = pairs_through_files(files, *among, context.engine)
    shared = SharedShingles(nodes.node, edges, jaccards(items, edges, nodes.first, nodes.sizes, recipe, context))
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


def _sketch_files(
    pool: Pool, items: Documents, recipe: Recipe, context: Context, stack: ExitStack
) -> SketchFiles | None:
    """Where sketches go that memory has no room for: files that a run which is cut short leaves for the next one."""
    assert recipe.bands is not None  # noqa: S101 - by_minhash plans them
    if not goes_through_files(context.engine, len(items), recipe.bands):
        return None
    key = f"sketches of texts/1 {recipe} {_digest(pool, items)}"
    exchange = stack.enter_context(context.engine.kept_exchange(key, recipe.bands.count, fresh=context.rerun))
    return SketchFiles(exchange, len(items))


def _digest(pool: Pool, items: Documents) -> str:
    """Of the texts, as far as they can be told without reading files: of these, names, sizes and times."""
    hasher = xxhash.xxh3_128()
    if isinstance(items, list):
        for part in pool.parts:
            hasher.update(part.source.signature().encode())
        for path in items:
            hasher.update(path.encode("utf-8", "surrogatepass") + b"\0\n")
        return hasher.hexdigest()
    import polars as pl

    hasher.update(pl.__version__.encode())  # others may hash otherwise
    hasher.update(cast(pl.DataFrame, items).hash_rows(0).to_numpy().tobytes())
    return hasher.hexdigest()


def _pairs_in_memory(
    sketches: Sketches, bands: Bands, of: Ints, rank: Ints, group: Ints, context: Context
) -> tuple[NDArray[np.int64], int]:
    return likely_pairs(sketches.keys[of], sketches.traces[of], bands, rank, group, context.engine)


def by_simhash(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Texts whose SimHashes differ in a few bits, confirmed on their shingles."""
    recipe = _recipe(settings, context, None)
    items, columns = _documents(pool, settings)
    sketches = sketch(items, recipe, context, chunk=at_once(pool.bytes, AT_ONCE, SHORT_AT_ONCE))
    better = _preference(pool, settings, columns, sketches.lengths)
    nodes = _Nodes(pool, sketches, np.column_stack([sketches.digests, sketches.simhash]), better, context)
    hashes = sketches.simhash
    reach = min(settings.distance + 1, 64)
    values = hashes[nodes.first]
    edges = _within(values, reach, context) if len(values) else NO_EDGES
    verified = np.full(len(edges), np.nan)
    if settings.verify:
        verified = jaccards(items, edges, nodes.first, nodes.sizes, recipe, context)
    shared = SharedShingles(nodes.node, edges, verified)

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
    return pairs_within(values, reach, context.engine)


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
        self,
        pool: Pool,
        sketches: Sketches,
        keys: NDArray[np.uint64],
        better: list[NDArray[np.generic]],
        context: Context,
    ) -> None:
        n = len(pool)
        part = _taking_part(pool, sketches.causes, sketches.lengths)
        self.node = np.full(n, ALONE, dtype=np.int64)
        keys = np.column_stack([keys[part], sketches.sizes[part].astype(np.uint64)])
        self.node[part] = numbered(keys, context.engine)
        order = np.lexsort((np.arange(n), *reversed(better)))
        order = order[part[order]]
        places = np.unique(self.node[order], return_index=True)[1]
        self.first, self.rank = order[places], places.astype(np.int64)
        own = pool.dataset
        group = np.full(n, _FOREIGN, dtype=np.int64)
        group[: len(own)] = (own.labels.astype(np.int64) + 1) * 2 + own.training
        self.group, self.sizes = group[self.first], sketches.sizes[self.first]
