"""Copies by meaning: samples whose vectors point the same way, pair by pair or in clusters."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.texts import meanings
from datadiet_cli.encode.vectors import choose
from datadiet_cli.encode.vectors.making import Vectors
from datadiet_cli.errors import ConfigError
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.methods.clusters import TooLargeClusterError, completely_linked, connected
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.neighbours import TooManyPairsError, cosines, pairs_above
from datadiet_cli.methods.shortening import Grid
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.crowds import Crowds
from datadiet_cli.steps.likeness.files import file_preference, in_words, refuse_columns
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.rows import columns_of, row_preference
from datadiet_cli.steps.vectors import by_runs, of_images, of_sounds, of_texts

BEYOND = 0.02
"""How much less alike the closest calls may be that the report shows, and, where copies are nearly equal anyway, so
many times what they themselves may differ by."""
TIMES_BEYOND = 4
_AT_ONCE = 16_384
LARGEST_CLUSTER = 20_000
"""Different vectors in a cluster of `connected`: whoever is kept in it is compared with all of them."""


def by_embedding(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Samples whose vectors have a cosine of at least the similarity; the distance is one less the cosine.

    The pairs are those that SemDeDup looks for (Abbas et al. 2023), found exactly: see `methods.neighbours`.
    """
    vectors, better = _vectors(pool, settings, context)
    similarity = _similarity(settings, vectors)
    node, different = _nodes(vectors, context)
    grid, engine = _rows(vectors.grid, different, context), context.engine
    margin = min(BEYOND, TIMES_BEYOND * (1 - similarity))
    # Where there are too many pairs for closest calls, those that are copies may still be few enough.
    for beyond in (margin, 0.0):
        with suppress(TooManyPairsError):
            edges = pairs_above(grid, similarity - beyond, crew=engine, room=engine.zeros, seed=context.seed)
            return _likeness(Candidates(node, edges), vectors, 1 - similarity, better, reach=beyond)
    found = _likeness(Candidates(node, NO_EDGES), vectors, 1 - similarity, better, reach=0.0)
    try:
        edges = Crowds(pool, settings, node, grid, found.rank, similarity, engine).edges()
    except TooManyPairsError as error:
        raise _too_many(error) from None
    metrics = {**found.metrics, "vector_pairs": len(edges), "crowded_out": int((node >= 0).sum())}
    return replace(found, candidates=Candidates(node, edges), movable=False, metrics=metrics)


def by_cluster(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Samples of one cluster of vectors; the distance is one less the cosine.

    - ``agglomerative``: by complete linkage, so every two samples of a cluster have at least the similarity.
    - ``dbscan``: with two samples to a core, so a cluster is whatever a chain of similar pairs holds together. A long
      chain has ends that are nothing like each other; so only those samples go that are within two links of the one
      that is kept: twice the angle that the similarity allows.
    """
    vectors, better = _vectors(pool, settings, context)
    similarity = _similarity(settings, vectors)
    node, different = _nodes(vectors, context)
    grid, engine = _rows(vectors.grid, different, context), context.engine
    try:
        pairs = pairs_above(grid, similarity, crew=engine, room=engine.zeros, seed=context.seed)
    except TooManyPairsError as error:
        raise ConfigError(f"dedup: {error}; raise --similarity, or choose method embedding") from None
    threshold = 1 - similarity
    try:
        if settings.clustering == "agglomerative":
            cluster = completely_linked(grid, pairs, similarity)
        else:
            cluster = connected(len(grid), pairs)
            threshold = 1 - float(np.cos(2 * np.arccos(similarity)))
            if len(cluster) and (largest := int(np.bincount(cluster).max())) > LARGEST_CLUSTER:
                raise TooLargeClusterError(f"one cluster takes in {largest:,} different samples")
    except TooLargeClusterError as error:
        raise ConfigError(f"dedup: {error}; raise --similarity, or choose method embedding") from None
    vector = (node >= 0) & (vectors.plain == 0)
    node[vector] = cluster[node[vector]]
    found = _likeness(Candidates(node, NO_EDGES), vectors, threshold, better, reach=0.0)
    sizes = np.bincount(cluster) if len(cluster) else np.empty(0, dtype=np.int64)
    return replace(found, movable=False, metrics={**found.metrics, "clusters": int((sizes > 1).sum())})


def _similarity(settings: Dedup, vectors: Vectors) -> float:
    return settings.similarity if settings.similarity is not None else vectors.similarity


def _rows(grid: Grid, rows: Ints, context: Context) -> Grid:
    """Some rows, on disk where there is no room for them; nobody changes them any more."""
    some = context.engine.zeros((len(rows), grid.shape[1]), np.int16)
    for start in range(0, len(rows), _AT_ONCE):
        some[start : start + _AT_ONCE] = grid[rows[start : start + _AT_ONCE]]
    some.flags.writeable = False
    return some


def _nodes(vectors: Vectors, context: Context) -> tuple[Ints, Ints]:
    """Equal vectors share a node, and so do equal samples without a vector.

    Returns:
        (n,) int64 nodes, first those of vectors; (v,) int64, a sample of each of these.
    """
    readable = vectors.causes == None  # noqa: E711 - elementwise
    plain = readable & (vectors.plain != 0)
    vector = readable & ~plain & vectors.grid.any(axis=1)
    node = np.full(len(readable), ALONE, dtype=np.int64)
    positions = np.flatnonzero(vector)
    if len(positions):
        node[vector] = numbered(_rows(vectors.grid, positions, context), context.engine)
    _, first = np.unique(node[vector], return_index=True)
    node[plain] = len(first) + distinct(vectors.plain[plain])
    return node, positions[first]


def _too_many(error: TooManyPairsError) -> ConfigError:
    return ConfigError(f"dedup: {error}; raise --similarity, or choose another encoder")


def _likeness(
    candidates: Candidates,
    vectors: Vectors,
    threshold: float,
    better: list[NDArray[np.generic]],
    reach: float,
) -> Likeness:
    def measure(a: Ints, b: Ints) -> Measured:
        distance = 1 - cosines(vectors.grid, a, b)
        plain = vectors.plain[a] != 0
        distance[plain & (vectors.plain[a] == vectors.plain[b])] = 0.0
        return Measured.of(distance)

    bare = (vectors.causes == None) & ~vectors.grid.any(axis=1)  # noqa: E711 - elementwise
    return Likeness(
        candidates,
        measure,
        threshold,
        better,
        vectors.causes,
        reach=threshold + reach,
        threshold_name="similarity",
        similar=True,
        metrics={"without_content": int(bare.sum()), "vector_pairs": len(candidates.edges)},
    )


def _vectors(pool: Pool, settings: Dedup, context: Context) -> tuple[Vectors, list[NDArray[np.generic]]]:
    """The vectors of all samples, and the keys of preference.

    Raises:
        ConfigError: there is no such encoder for this kind of data.
        InputError: a table has no such column.
        MissingExtraError: the encoder is not installed.
    """
    if pool.kind == "row":
        from datadiet_cli.steps.likeness.row_vectors import vectors_of_rows

        columns = columns_of(pool, settings)
        better = row_preference(pool, columns, settings, compared=True)
        return vectors_of_rows(pool, settings, columns, context), better
    name = choose(pool.kind, settings.encoder)
    refuse_columns(pool, settings)
    makers = {"image": of_images, "text": _of_texts, "audio": _of_sounds}
    vectors = makers[pool.kind](pool.paths, name, context, "dedup")
    return vectors, file_preference(pool, settings)


def _of_sounds(paths: Sequence[str], name: str, context: Context, step: str) -> Vectors:
    from datadiet_cli.encode.sounds import CAUSES, require_soundfile

    require_soundfile("embedding")
    vectors = of_sounds(paths, name, context, step)
    return replace(vectors, causes=in_words(vectors.causes, CAUSES))


def _of_texts(paths: Sequence[str], name: str, context: Context, step: str) -> Vectors:
    vectors = by_runs(paths, context) if name == "classical" else of_texts(paths, name, context, step)
    return replace(vectors, causes=in_words(vectors.causes, meanings(context.reading.table.encoding)))
