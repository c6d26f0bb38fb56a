"""Copies by meaning: samples whose vectors point the same way, pair by pair or in clusters."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.texts import Documents, meanings
from datadiet_cli.encode.vectors import EXPORTED, choose
from datadiet_cli.encode.vectors.grid import on_grid
from datadiet_cli.encode.vectors.making import Choice, Vectors, vectors_of
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.clusters import TooLargeClusterError, completely_linked, connected
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.neighbours import TooManyPairsError, cosines, pairs_above
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.crowds import Crowds
from datadiet_cli.steps.likeness.files import file_preference, in_words, refuse_columns
from datadiet_cli.steps.likeness.pool import Pool
from datadiet_cli.steps.likeness.rows import columns_of, row_preference

BEYOND = 0.02
"""How much less alike the closest calls may be that the report shows, and, where copies are nearly equal anyway, so
many times what they themselves may differ by."""
TIMES_BEYOND = 4
LARGEST_CLUSTER = 20_000
"""Different vectors in a cluster of `connected`: whoever is kept in it is compared with all of them."""


def by_embedding(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Samples whose vectors have a cosine of at least the similarity; the distance is one less the cosine.

    The pairs are those that SemDeDup looks for (Abbas et al. 2023), found exactly: see `methods.neighbours`.
    """
    vectors, better = _vectors(pool, settings, context)
    similarity = _similarity(settings, vectors)
    node, different = _nodes(vectors)
    grid, workers = vectors.grid[different], context.engine.workers
    margin = min(BEYOND, TIMES_BEYOND * (1 - similarity))
    # Where there are too many pairs for closest calls, those that are copies may still be few enough.
    for beyond in (margin, 0.0):
        with suppress(TooManyPairsError):
            edges = pairs_above(grid, similarity - beyond, workers=workers, seed=context.seed)
            return _likeness(Candidates(node, edges), vectors, 1 - similarity, better, reach=beyond)
    found = _likeness(Candidates(node, NO_EDGES), vectors, 1 - similarity, better, reach=0.0)
    try:
        edges = Crowds(pool, settings, node, grid, found.rank, similarity, workers).edges()
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
    node, different = _nodes(vectors)
    grid = vectors.grid[different]
    try:
        pairs = pairs_above(grid, similarity, workers=context.engine.workers, seed=context.seed)
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


def _nodes(vectors: Vectors) -> tuple[Ints, Ints]:
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
        node[vector] = distinct(np.ascontiguousarray(vectors.grid[vector]))
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
    makers = {"image": _of_images, "text": _of_texts, "audio": _of_sounds}
    vectors = makers[pool.kind](pool, name, context)
    if pool.kind == "text":
        vectors = replace(vectors, causes=in_words(vectors.causes, meanings(context.reading.table.encoding)))
    return vectors, file_preference(pool, settings)


def _of_images(pool: Pool, name: str, context: Context) -> Vectors:
    from datadiet_cli.encode.vectors import images

    digest = ""
    if name.endswith(EXPORTED):
        from datadiet_cli.encode.vectors.exported import digest_of
        from datadiet_cli.nn.scan import checked

        digest = digest_of(checked(name))
    with quiet_libraries():
        return vectors_of(
            pool.paths,
            Choice("image", name, context.device, digest),
            images.encode_images,
            context.max_pixels,
            namespace=images.namespace(context.max_pixels),
            codes=images.CODES,
            chunk=images.AT_ONCE,
            cache=context.cache,
            engine=context.engine,
            progress=context.progress("looking at pictures", len(pool)),
        )


def _of_sounds(pool: Pool, name: str, context: Context) -> Vectors:
    from datadiet_cli.encode.sounds import CAUSES, require_soundfile
    from datadiet_cli.encode.vectors import classical_sounds as sounds

    require_soundfile("embedding")
    with quiet_libraries():
        vectors = vectors_of(
            pool.paths,
            Choice("audio", name, context.device),
            sounds.encode_sounds,
            namespace=sounds.NAMESPACE,
            codes=sounds.CODES,
            chunk=sounds.AT_ONCE,
            cache=context.cache,
            engine=context.engine,
            progress=context.progress("listening to sounds", len(pool)),
        )
    return replace(vectors, causes=in_words(vectors.causes, CAUSES))


def _of_texts(pool: Pool, name: str, context: Context) -> Vectors:
    from datadiet_cli.encode.vectors import texts

    encoding = context.reading.table.encoding
    if name == "classical":
        return _by_runs(pool.paths, encoding, context)
    return vectors_of(
        pool.paths,
        Choice("text", name, context.device),
        texts.encode_texts,
        encoding,
        namespace=texts.namespace(encoding),
        codes=texts.CODES,
        chunk=texts.AT_ONCE,
        cache=context.cache,
        engine=context.engine,
        progress=context.progress("reading texts", len(pool)),
    )


def _by_runs(items: Documents, encoding: str | None, context: Context) -> Vectors:
    from datadiet_cli.encode.texts import taken
    from datadiet_cli.encode.vectors.classical_texts import SIMILARITY, text_vectors
    from datadiet_cli.encode.vectors.texts import AT_ONCE, plain_keys, read_texts

    n = len(items)
    causes, plain = np.full(n, None, dtype=object), np.zeros(n, dtype=np.uint64)

    def read(positions: Ints) -> Sequence[str]:
        texts: list[str] = []
        for part, (some, why) in context.engine.map(read_texts, taken(items, positions), encoding, chunk=AT_ONCE):
            texts += some
            causes[positions[part]] = why
            plain[positions[part]] = plain_keys(some, np.zeros(len(some), dtype=bool))
        return texts

    grid = on_grid(text_vectors(read, n, context.seed, context.progress("reading texts", n)))
    plain[grid.any(axis=1)] = 0
    return Vectors(grid, causes, plain, SIMILARITY)
