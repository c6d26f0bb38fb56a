"""Copies among pictures: equal pixels, or hashes within reach, confirmed on the pictures' detail."""

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.pictures import DETAIL, Sketch, sketch_files
from datadiet_cli.encode.spool import Spool
from datadiet_cli.methods.duplicates import ALONE, Candidates, Ints, distinct
from datadiet_cli.methods.hamming import distances, pairs_within
from datadiet_cli.methods.hashes import HASHES, Hash, bandpass, sharpness
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.likeness.base import NO_EDGES, Likeness
from datadiet_cli.steps.likeness.files import file_preference, folder_of

SHARP = 256
PAIRS_AT_ONCE = 64


def by_picture(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Pictures that look alike, by the method that the settings name."""
    method = HASHES.get(settings.method)
    looks = _look(dataset, settings, method, context, stack)
    readable = looks.causes == None  # noqa: E711 - elementwise
    by_pixels = readable & looks.guarded if method else readable
    by_hash = readable & ~by_pixels
    candidates = _candidates(looks, by_hash, by_pixels, settings.max_distance, context)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        distance = np.zeros(len(a))
        hashed = np.flatnonzero(by_hash[a])
        distance[hashed] = distances(looks.hashes[a[hashed]], looks.hashes[b[hashed]])
        if settings.verify:
            for start in range(0, len(hashed), PAIRS_AT_ONCE):
                pairs = hashed[start : start + PAIRS_AT_ONCE]
                confirmed = _details_agree(looks.details, a[pairs], b[pairs], settings.min_correlation)
                distance[pairs[~confirmed]] = np.nan
        return distance

    better = file_preference(dataset, settings)
    if settings.prefer == "largest":
        better = [-looks.pixels, looks.gray, looks.lossy, *better]
    elif settings.prefer == "sharpest":
        better = [-looks.sharpness, -looks.pixels, *better]
    if method is None:
        return Likeness(candidates, accept, 0.0, better, looks.causes)
    metrics = {"flat_or_animated": int(by_pixels.sum()), "hash_pairs": len(candidates.edges)}
    return Likeness(candidates, accept, float(settings.max_distance), better, looks.causes, metrics)


@dataclass(frozen=True, eq=False)
class _Looks:
    """What is remembered of n pictures: little enough for millions of them; their detail is on disk."""

    causes: NDArray[np.object_]
    hashes: NDArray[np.uint64]
    digests: NDArray[np.uint8]
    guarded: NDArray[np.bool_]
    pixels: NDArray[np.int64]
    gray: NDArray[np.bool_]
    lossy: NDArray[np.bool_]
    sharpness: NDArray[np.float64]
    details: Spool


def _look(dataset: Dataset, settings: Dedup, method: Hash | None, context: Context, stack: ExitStack) -> _Looks:
    """Decode every picture once."""
    n = len(dataset)
    full = method is not None and settings.decode == "full"
    sketch = Sketch(
        size=method.size if method and not full else None,
        mode=method.mode if method else "L",
        full_hash=settings.method if full else None,
        digest=method is None,
        sharp=SHARP if settings.prefer == "sharpest" else 0,
        max_pixels=context.max_pixels,
    )
    looks = _Looks(
        causes=np.full(n, None, dtype=object),
        hashes=np.zeros(n, dtype=np.uint64),
        digests=np.zeros((n, 16), dtype=np.uint8),
        guarded=np.zeros(n, dtype=bool),
        pixels=np.zeros(n, dtype=np.int64),
        gray=np.zeros(n, dtype=bool),
        lossy=np.zeros(n, dtype=bool),
        sharpness=np.zeros(n),
        details=stack.enter_context(Spool((DETAIL, DETAIL))),
    )
    paths = folder_of(dataset).paths(dataset.rows)
    tell = context.progress("looking at pictures", n)
    with quiet_libraries():
        for part, found in context.engine.map(sketch_files, paths, sketch, chunk=32, progress=tell):
            looks.causes[part], looks.digests[part], looks.guarded[part] = found.cause, found.digest, found.guarded
            looks.pixels[part], looks.gray[part], looks.lossy[part] = found.pixels, ~found.colour, ~found.lossless
            if method is not None:
                looks.hashes[part] = found.full_hash if full else method.function(found.thumbnail)
                looks.details.put(part.start, found.detail)
            if sketch.sharp:
                looks.sharpness[part] = sharpness(found.sharp)
    return looks


def _candidates(
    looks: _Looks, by_hash: NDArray[np.bool_], by_pixels: NDArray[np.bool_], max_distance: int, context: Context
) -> Candidates:
    """A node for each different hash, with edges to those within reach, and one for each different digest."""
    node = np.full(len(by_hash), ALONE, dtype=np.int64)
    node[by_hash] = distinct(looks.hashes[by_hash])
    nodes = int(node.max(initial=ALONE)) + 1
    values = np.empty(nodes, dtype=np.uint64)
    values[node[by_hash]] = looks.hashes[by_hash]
    edges = pairs_within(values, max_distance, context.engine.workers) if nodes else NO_EDGES
    node[by_pixels] = nodes + distinct(looks.digests[by_pixels])
    return Candidates(node, edges)


def _details_agree(details: Spool, a: Ints, b: Ints, least: float) -> NDArray[np.bool_]:
    """Whether the details of paired pictures correlate, or their small pictures are equal altogether."""
    samples, back = np.unique(np.concatenate([a, b]), return_inverse=True)
    pictures = details.take(samples)
    fine = bandpass(pictures)
    one, other = back[: len(a)], back[len(a) :]
    likeness = np.einsum("ij,ij->i", fine[one], fine[other])
    agree: NDArray[np.bool_] = (likeness >= least) | (pictures[one] == pictures[other]).all(axis=(1, 2))
    return agree
