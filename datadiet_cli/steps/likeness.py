"""Who looks like whom: the ways of `dedup` to recognise a copy, one function for each kind of evidence."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.dedup import Dedup
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.errors import ConfigError
from datadiet_cli.methods.duplicates import ALONE, Accept, Candidates, Ints, distinct
from datadiet_cli.steps.context import Context

NO_EDGES = np.empty((0, 2), dtype=np.int64)
SHARP = 256
PAIRS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Likeness:
    """What a way of recognising copies found out, by position in the dataset.

    Attributes:
        candidates: who may be a copy of whom.
        accept: decides pairs; its distance is the verdict's score.
        threshold: the largest distance of a copy.
        better: keys of preference, most important first, each (n,), smaller is better.
        causes: (n,) object, why a sample could not be read, or None.
        metrics: figures for the report.
    """

    candidates: Candidates
    accept: Accept
    threshold: float
    better: Sequence[NDArray[np.generic]]
    causes: NDArray[np.object_]
    metrics: Mapping[str, int] = field(default_factory=dict)

    @property
    def rank(self) -> Ints:
        """(n,) int64, 0 for the sample to keep before all others; ties go to the first in order."""
        n = len(self.causes)
        order = np.lexsort((np.arange(n), *reversed(self.better)))
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        return rank


Finder = Callable[[Dataset, Dedup, Context, ExitStack], Likeness]


def find(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Look for copies with the method that the settings name.

    Raises:
        ConfigError: the method or the preference does not fit the kind of data.
    """
    finders = FINDERS[dataset.kind]
    method = settings.method if settings.method != "auto" else next(iter(finders))
    if method not in finders:
        raise ConfigError(
            f"dedup: method {method} does not work on {dataset.kind} data; choose one of {', '.join(finders)}"
        )
    if settings.prefer == "sharpest" and (dataset.kind != "image" or method == "exact"):
        raise ConfigError("dedup: prefer sharpest needs images and a method that decodes them, such as phash")
    if settings.prefer == "newest" and dataset.kind == "row":
        raise ConfigError("dedup: prefer newest needs files, rows have no time; choose first or largest")
    return finders[method](dataset, settings.model_copy(update={"method": method}), context, stack)


def _by_content(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal files: by size, then by digest of the head, then of all, then byte for byte against the witness."""
    from datadiet_cli.encode.content import HEAD, digest_files, same_bytes

    source = _folder(dataset)
    paths = np.array(source.paths(dataset.rows), dtype=object)
    size = dataset.bytes
    causes = np.full(len(dataset), None, dtype=object)
    causes[size == 0] = "empty"
    node = distinct(np.where(size > 0, size, -1 - np.arange(len(size))), shared_only=True)
    for limit in (HEAD, None):
        todo = np.flatnonzero((node != ALONE) & ((size > HEAD) if limit is None else True))
        digests = np.zeros((len(todo), 2), dtype=np.uint64)
        tell = context.progress("comparing files", len(todo))
        for part, (values, readable) in context.engine.map(
            digest_files, paths[todo].tolist(), limit, chunk=64, progress=tell
        ):
            digests[part] = values
            causes[todo[part][~readable]] = "unreachable"
        refined = node.astype(np.uint64)
        keys = np.zeros((len(node), 3), dtype=np.uint64)
        keys[:, 0] = refined
        keys[todo, 1:] = digests
        taking_part = (node != ALONE) & (causes == None)  # noqa: E711 - elementwise
        node = np.full(len(node), ALONE, dtype=np.int64)
        node[taking_part] = distinct(keys[taking_part], shared_only=True)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        pairs = list(zip(paths[a].tolist(), paths[b].tolist(), strict=True))
        same = [found for _, found in context.engine.map(same_bytes, pairs, chunk=64)]
        return np.where(np.concatenate(same), 0.0, np.nan) if same else np.empty(0)

    better = _file_preference(dataset, source, settings)
    return Likeness(Candidates(node, NO_EDGES), accept, 0.0, better, causes)


def _by_picture(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Pictures that look alike: equal pixels, or a perceptual hash within reach, confirmed on the picture's detail."""
    from datadiet_cli.data.quiet import quiet_libraries
    from datadiet_cli.encode.pictures import DETAIL, Sketch, sketch_files
    from datadiet_cli.encode.spool import Spool
    from datadiet_cli.methods.hamming import distances, pairs_within
    from datadiet_cli.methods.hashes import HASHES, bandpass, sharpness

    source = _folder(dataset)
    n = len(dataset)
    method = HASHES.get(settings.method)
    sketch = Sketch(
        size=method.size if method and settings.decode == "fast" else None,
        mode=method.mode if method else "L",
        full_hash=settings.method if method and settings.decode == "full" else None,
        digest=method is None,
        sharp=SHARP if settings.prefer == "sharpest" else 0,
        max_pixels=context.max_pixels,
    )
    hashes = np.zeros(n, dtype=np.uint64)
    digest = np.zeros((n, 16), dtype=np.uint8)
    guarded = np.zeros(n, dtype=bool)
    causes = np.full(n, None, dtype=object)
    pixels = np.zeros(n, dtype=np.int64)
    plain = np.zeros((n, 2), dtype=bool)
    blur = np.zeros(n)
    details = stack.enter_context(Spool((DETAIL, DETAIL)))
    stack.enter_context(quiet_libraries())
    tell = context.progress("looking at pictures", n)
    for part, found in context.engine.map(sketch_files, source.paths(dataset.rows), sketch, chunk=32, progress=tell):
        causes[part], pixels[part], guarded[part] = found.cause, found.pixels, found.guarded
        plain[part, 0], plain[part, 1] = ~found.colour, ~found.lossless
        digest[part] = found.digest
        if method is not None:
            hashes[part] = found.full_hash if settings.decode == "full" else method.function(found.thumbnail)
            details.put(part.start, found.detail)
        if sketch.sharp:
            blur[part] = -sharpness(found.sharp)
    readable = causes == None  # noqa: E711 - elementwise
    by_pixels = readable & (guarded if method else True)
    by_hash = readable & ~by_pixels
    node = np.full(n, ALONE, dtype=np.int64)
    node[by_hash] = distinct(hashes[by_hash])
    nodes = int(node.max(initial=ALONE)) + 1
    edges = NO_EDGES
    if nodes:
        values = np.empty(nodes, dtype=np.uint64)
        values[node[by_hash]] = hashes[by_hash]
        edges = pairs_within(values, settings.max_distance, context.engine.workers)
    node[by_pixels] = nodes + distinct(digest[by_pixels])

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        distance = np.zeros(len(a))
        hashed = np.flatnonzero(by_hash[a])
        distance[hashed] = distances(hashes[a[hashed]], hashes[b[hashed]])
        if settings.verify:
            for start in range(0, len(hashed), PAIRS_AT_ONCE):
                pairs = hashed[start : start + PAIRS_AT_ONCE]
                samples, back = np.unique(np.concatenate([a[pairs], b[pairs]]), return_inverse=True)
                pictures = details.take(samples)
                fine = bandpass(pictures)
                one, other = back[: len(pairs)], back[len(pairs) :]
                likeness = np.einsum("ij,ij->i", fine[one], fine[other])
                equal = (pictures[one] == pictures[other]).all(axis=(1, 2))
                distance[pairs[(likeness < settings.min_correlation) & ~equal]] = np.nan
        return distance

    better = _file_preference(dataset, source, settings)
    if settings.prefer == "largest":
        better = [-pixels, plain[:, 0], plain[:, 1], *better]
    elif settings.prefer == "sharpest":
        better = [blur, -pixels, *better]
    threshold = float(settings.max_distance) if method else 0.0
    metrics = {"flat_or_animated": int((guarded & readable).sum()), "hash_pairs": len(edges)}
    return Likeness(Candidates(node, edges), accept, threshold, better, causes, metrics if method else {})


def _by_cells(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Equal rows: the same text in every cell that counts."""
    source, columns = _table(dataset, settings)
    keys = source.file.keys(columns)[dataset.rows]
    node = distinct(keys, shared_only=True)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        return np.where(source.file.same(dataset.rows[a], dataset.rows[b], columns), 0.0, np.nan)

    return Likeness(Candidates(node, NO_EDGES), accept, 0.0, [], np.full(len(dataset), None, dtype=object))


def _by_values(dataset: Dataset, settings: Dedup, context: Context, stack: ExitStack) -> Likeness:
    """Nearly equal rows: numbers within the tolerance, everything else equal after normalisation."""
    from datadiet_cli.encode.rows import encode_rows
    from datadiet_cli.methods.rows import close_pairs, relative_gap

    source, columns = _table(dataset, settings)
    frame = source.file.typed(columns)[dataset.rows]
    numbers, words = encode_rows(frame)
    # Rows of equal values share a node, so that many copies of one row do not meet each other pair by pair.
    node = distinct(np.column_stack([np.nan_to_num(numbers, nan=np.inf) + 0.0, words.astype(np.float64)]))
    first = np.unique(node, return_index=True)[1]
    edges = close_pairs(numbers[first], words[first], settings.tolerance)

    def accept(a: Ints, b: Ints) -> NDArray[np.float64]:
        gap = relative_gap(numbers[a], numbers[b])
        return np.where(gap <= settings.tolerance, gap, np.nan)

    empty = np.column_stack([frame[name].is_null().to_numpy() for name in columns])
    better = [empty.sum(axis=1)] if settings.prefer == "largest" else []
    causes = np.full(len(dataset), None, dtype=object)
    return Likeness(Candidates(node, edges), accept, settings.tolerance, better, causes)


def _folder(dataset: Dataset) -> FolderSource:
    assert isinstance(dataset.source, FolderSource)  # noqa: S101 - FINDERS sends only folders here
    return dataset.source


def _table(dataset: Dataset, settings: Dedup) -> tuple[TableSource, list[str]]:
    from datadiet_cli.data.open import require_column

    source = dataset.source
    assert isinstance(source, TableSource)  # noqa: S101 - FINDERS sends only tables here
    for column in settings.columns or ():
        require_column(source.path, "--columns", column, source.file.columns)
    return source, list(settings.columns or source.features)


def _file_preference(dataset: Dataset, source: FolderSource, settings: Dedup) -> list[NDArray[np.generic]]:
    if settings.prefer == "first":
        return []
    length = np.array([len(name) for name in source.ids(dataset.rows)], dtype=np.int64)
    if settings.prefer == "newest":
        return [-source.modified(dataset.rows), length]
    return [-dataset.bytes, length]


_PICTURE_METHODS = ("phash", "dhash", "ahash", "whash", "colorhash", "pixels")
# The first method of each kind is what `auto` means.
FINDERS: dict[str, dict[str, Finder]] = {
    "image": {**dict.fromkeys(_PICTURE_METHODS, _by_picture), "exact": _by_content},
    "text": {"exact": _by_content},
    "audio": {"exact": _by_content},
    "file": {"exact": _by_content},
    "row": {"exact": _by_cells, "near": _by_values},
}
