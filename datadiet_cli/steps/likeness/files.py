"""Copies among files: equal bytes."""

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.encode.content import HEAD, digest_files, same_bytes
from datadiet_cli.errors import ConfigError
from datadiet_cli.grouping.exact import numbered
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness, Measured
from datadiet_cli.steps.likeness.pool import Pool

# Reading a small file is so quick that handing it to another thread costs as much; so hand over many.
FILES_AT_ONCE = 512

CAUSES = {"empty": "the file is empty", "unreachable": "the file cannot be opened"}


def by_content(pool: Pool, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal files: by size, then by digest of the head, then of all, then byte for byte against the witness.

    Raises:
        ConfigError: columns were named.
    """
    refuse_columns(pool, settings)
    paths = np.array(pool.paths, dtype=object)
    size = pool.bytes
    causes = np.full(len(pool), None, dtype=object)
    causes[size == 0] = "empty"
    # An empty file is no copy of another: each has a number of its own.
    node = numbered(np.where(size > 0, size, -1 - np.arange(len(size))), context.engine, shared_only=True)
    node = _divide_by_digest(node, paths, causes, context, HEAD)
    large = np.where(size > HEAD, node, ALONE)
    settled = np.where(size > HEAD, ALONE, node)
    large = _divide_by_digest(large, paths, causes, context, None)
    node = np.where(large != ALONE, large + settled.max(initial=ALONE) + 1, settled)

    def measure(a: Ints, b: Ints) -> Measured:
        pairs = list(zip(paths[a].tolist(), paths[b].tolist(), strict=True))
        same = [found for _, found in context.engine.map(same_bytes, pairs, chunk=FILES_AT_ONCE)]
        return Measured.of(np.where(np.concatenate(same), 0.0, np.nan) if same else np.empty(0))

    better = file_preference(pool, settings)
    return Likeness(Candidates(node, NO_EDGES), measure, 0.0, better, in_words(causes, CAUSES))


def _divide_by_digest(
    node: Ints, paths: NDArray[np.object_], causes: NDArray[np.object_], context: Context, limit: int | None
) -> Ints:
    """Split nodes by the digest of the first `limit` bytes; what is alone then takes part no longer."""
    todo = np.flatnonzero(node != ALONE)
    keys = context.engine.zeros((len(todo), 3), np.uint64)
    keys[:, 0] = node[todo]
    readable = np.ones(len(todo), dtype=bool)
    tell = context.progress("comparing files", len(todo))
    found = context.engine.map(digest_files, paths[todo].tolist(), limit, chunk=FILES_AT_ONCE, progress=tell)
    for part, (digests, could_read) in found:
        keys[part, 1:] = digests
        readable[part] = could_read
    causes[todo[~readable]] = "unreachable"
    divided = np.full(len(node), ALONE, dtype=np.int64)
    divided[todo[readable]] = numbered(keys[readable], context.engine, shared_only=True)
    return divided


def file_preference(pool: Pool, settings: Dedup) -> list[NDArray[np.generic]]:
    """Keys of preference among files, as far as they need no decoding."""
    if settings.prefer == "first":
        return []
    if settings.prefer == "newest":
        return [-pool.modified, name_lengths(pool)]
    return [-pool.bytes, name_lengths(pool)]


def name_lengths(pool: Pool) -> Ints:
    """(n,) int64, the characters of each id: of files that are alike otherwise the one with the shorter path stays."""
    return np.array([len(name) for name in pool.names], dtype=np.int64)


def refuse_columns(pool: Pool, settings: Dedup) -> None:
    """Check that no columns are named for files.

    Raises:
        ConfigError: they are.
    """
    if settings.columns is not None:
        raise ConfigError(f"dedup: --columns needs a table, and {pool.dataset.source.path} is a folder of files")


def in_words(causes: NDArray[np.object_], words: Mapping[str, str]) -> NDArray[np.object_]:
    """Causes as people read them: the code, a colon, and what it means; None stays."""
    told = np.full(len(causes), None, dtype=object)
    for i in np.flatnonzero(causes != None).tolist():  # noqa: E711 - elementwise
        told[i] = f"{causes[i]}: {words[causes[i]]}"
    return told
