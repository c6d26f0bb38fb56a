"""Make rows of bytes from files, and none anew from contents that are remembered."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from datadiet_cli.data.places import Place, here, is_url, looks_only
from datadiet_cli.encode.cache import Cache, Digests, NoCache, Rows
from datadiet_cli.encode.content import digest_files
from datadiet_cli.encode.filestates import FILES, Bools, Ints, States, file_keys, file_states
from datadiet_cli.engine import Engine
from datadiet_cli.engine.sharing import Shared

Made = tuple[Rows, Bools]
Kernel = Callable[..., Made]

_BLOCK = 16_384
_PORTION_BYTES = 2 << 30
"""A file is read for its digest and then by the kernel: the system should still have it in memory then."""
_PIECE_BYTES = 16 << 20
_PENDING_BYTES = 8 << 20
_LOOKS_AT_ONCE = 2048
_DIGESTS_AT_ONCE = 256


def remembered(
    paths: Sequence[str],
    namespace: str,
    width: int,
    kernel: Kernel,
    *args: Any,
    cache: Cache | NoCache,
    engine: Engine,
    chunk: int,
    progress: Callable[[int], None] = lambda _: None,
    on_device: bool = False,
) -> "Remembered":
    """Make a row of each file, or recall it. Iterate over what is returned, once, in the thread of the cache.

    Args:
        paths: files.
        namespace: names what the kernel makes, with all that this depends on beside a file's bytes: settings, versions.
        width: bytes of a row.
        kernel: ``kernel(paths, *args)`` gives (k, width) uint8 rows and (k,) bool, which of them to remember (not
            those of a file that could not be reached). A row may depend on nothing but the bytes of its file, hence
            not on its name. A module-level function.
        args: passed on to the kernel; none of its calls may change them.
        cache: where rows are remembered.
        engine: runs the kernel.
        chunk: files a call of the kernel.
        progress: told of files done.
        on_device: whether the kernel computes on a GPU where there is one.

    Returns:
        What yields (positions, rows): (k,) int64 ascending, and (k, width) uint8, every position once, all in all in
        no order. Afterwards it has the digests of the files.
    """
    return Remembered(paths, namespace, width, _Work(kernel, args, engine, chunk, progress, on_device), cache)


class _Work(NamedTuple):
    kernel: Kernel
    args: tuple[Any, ...]
    engine: Engine
    chunk: int
    progress: Callable[[int], None]
    on_device: bool

    def run(self, kernel: Callable[..., Any], items: Sequence[Any], *args: Any) -> Iterator[tuple[slice, Any]]:
        return self.engine.map(kernel, items, *args, chunk=self.chunk, progress=self.progress, on_device=self.on_device)

    @contextmanager
    def sharing(self) -> Iterator["_Work"]:
        """The same work with arguments that are sent to each worker once, however many blocks there are."""
        args = tuple(map(self.engine.share, self.args))
        try:
            yield self._replace(args=args)
        finally:
            for arg, given in zip(args, self.args, strict=True):
                if isinstance(arg, Shared) and arg is not given:
                    arg.close()


class _Task(NamedTuple):
    """A file for the kernel, and what it was when its digest was taken."""

    path: str
    stamp: bytes
    racy: bool
    digest: bytes


class Remembered:
    """Rows of files; see `remembered`.

    Attributes:
        digests: (n, 2) uint64 XXH3-128 digests of the files, filled while iterating; zeros where unknown: all of them
            without a cache, and those of files that could not be read or that changed meanwhile.
    """

    def __init__(self, paths: Sequence[str], namespace: str, width: int, work: _Work, cache: Cache | NoCache) -> None:
        self.digests = np.zeros((len(paths), 2), dtype=np.uint64)
        self._paths, self._namespace, self._width = paths, namespace, width
        self._work, self._cache = work, cache

    def __iter__(self) -> Iterator[tuple[Ints, Rows]]:
        with self._work.sharing() as self._work:
            yield from self._rows(len(self._paths))

    def _rows(self, n: int) -> Iterator[tuple[Ints, Rows]]:
        for start in range(0, n, _BLOCK):
            if not self._cache.enabled:
                yield from self._make_all(start)
                return
            block = np.arange(start, min(start + _BLOCK, n))
            states = self._look(block)
            recalled = self._recall_digests(block, states)
            strange = ~recalled & np.fromiter(map(_is_object, self._at(block)), dtype=bool, count=len(block))
            yield from self._make_fetched(block[strange], states.at(strange))
            block, states, recalled = block[~strange], states.at(~strange), recalled[~strange]
            for part in _portions(np.where(recalled, 0, states.sizes)):
                self._digest(block[part], states.at(part), recalled[part])
                missing = np.ones(part.stop - part.start, dtype=bool)
                yield from self._recall(block[part], missing)
                yield from self._make(block[part][missing], states.at(part).at(missing))

    def _make_all(self, start: int) -> Iterator[tuple[Ints, Rows]]:
        work, paths = self._work, self._paths[start:]
        for part, (rows, _) in work.run(work.kernel, paths, *work.args):
            yield np.arange(start + part.start, start + part.stop), rows

    def _at(self, positions: Ints) -> list[str]:
        return [self._paths[i] for i in positions.tolist()]

    def _look(self, positions: Ints) -> States:
        found = [states for _, states in self._work.engine.map(file_states, self._at(positions), chunk=_LOOKS_AT_ONCE)]
        return States(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _recall_digests(self, positions: Ints, states: States) -> Bools:
        """Take the digests of files that are as they were; (k,) bool, which."""
        known, entries = self._cache.recall(FILES, file_keys(self._at(positions)), 32)
        same: Bools = known & (entries[:, :16] == states.stamps).all(axis=1)
        self.digests[positions[same]] = np.ascontiguousarray(entries[same, 16:]).view(np.uint64)
        return same

    def _digest(self, positions: Ints, states: States, known: Bools) -> None:
        """Take the digests of the other files from their bytes, and remember them by name."""
        todo, states = positions[~known], states.at(~known)
        readable = np.zeros(len(todo), dtype=bool)
        found = self._work.engine.map(digest_files, self._at(todo), chunk=_DIGESTS_AT_ONCE)
        for part, (digests, could_read) in found:
            self.digests[todo[part]] = digests
            readable[part] = could_read
        sure = readable & ~states.racy
        entries = np.hstack([states.stamps[sure], self.digests[todo[sure]].view(np.uint8)])
        self._cache.store(FILES, file_keys(self._at(todo[sure])), entries)

    def _recall(self, positions: Ints, missing: Bools) -> Iterator[tuple[Ints, Rows]]:
        """Yield rows of known contents, and strike them off `missing`."""
        for part in _pieces(len(positions), self._width):
            known, rows = self._cache.recall(self._namespace, self.digests[positions[part]], self._width)
            missing[part] = ~known
            if known.any():
                self._work.progress(int(known.sum()))
                yield positions[part][known], rows[known]

    def _make(self, positions: Ints, states: States) -> Iterator[tuple[Ints, Rows]]:
        """Run the kernel, once for files with the same bytes; and on its own for each that this failed for."""
        groups = _groups(self.digests[positions])
        alone: list[int] = []
        yield from self._run(positions, states, groups, alone)
        rest = np.array(sorted(alone), dtype=np.int64)
        yield from self._run(positions[rest], states.at(rest), [np.array([i]) for i in range(len(rest))], [])

    def _make_fetched(self, positions: Ints, states: States) -> Iterator[tuple[Ints, Rows]]:
        """Make rows and digests of objects of a store: to fetch one twice costs more than a row made in vain."""
        work, paths = self._work, self._at(positions)
        made, read = _Pending(self._cache, self._namespace, self._width), _Pending(self._cache, FILES, 32)
        with read as files, made as pending:
            for part, (rows, keep, digests, readable) in work.run(_run_fetched, paths, work.kernel, *work.args):
                self.digests[positions[part]] = digests
                entries = np.hstack([states.stamps[part], np.ascontiguousarray(digests).view(np.uint8)])
                files.add(file_keys(self._at(positions[part][readable])), entries[readable])
                pending.add(digests[keep & readable], rows[keep & readable])
                yield positions[part], rows

    def _run(
        self, positions: Ints, states: States, groups: Sequence[Ints], alone: list[int]
    ) -> Iterator[tuple[Ints, Rows]]:
        """Run the kernel on the first of each group.

        Args:
            positions: (k,) of files.
            states: of the same files.
            groups: indices into the two, ascending.
            alone: is given the indices of files whose first was not as its digest says.
        """
        first = np.array([group[0] for group in groups], dtype=np.int64)
        work, tasks = self._work, self._tasks(positions[first], states.at(first))
        with _Pending(self._cache, self._namespace, self._width) as pending:
            for part, (rows, keep, same) in work.run(_run_kernel, tasks, work.kernel, *work.args):
                self.digests[positions[first[part]][~same]] = 0
                good = keep & same
                pending.add(self.digests[positions[first[part]][good]], rows[good])
                yield positions[first[part]], rows
                for row, whole, group in zip(rows, good.tolist(), groups[part], strict=True):
                    if not whole:
                        alone.extend(group[1:].tolist())
                        continue
                    for piece in _pieces(len(group) - 1, self._width):
                        others = positions[group[1:][piece]]
                        work.progress(len(others))
                        yield others, np.tile(row, (len(others), 1))

    def _tasks(self, positions: Ints, states: States) -> list[_Task]:
        digests = [row.tobytes() for row in self.digests[positions]]
        stamps = [row.tobytes() for row in states.stamps]
        return [_Task(*task) for task in zip(self._at(positions), stamps, states.racy.tolist(), digests, strict=True)]


class _Pending:
    """Rows to store, gathered so that a transaction has many of them; what came before a failure is stored too."""

    def __init__(self, cache: Cache | NoCache, namespace: str, width: int) -> None:
        self._cache, self._namespace = cache, namespace
        self._enough = max(1, min(_BLOCK, _PENDING_BYTES // max(width, 1)))
        self._parts: list[tuple[Digests, Rows]] = []

    def __enter__(self) -> "_Pending":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, digests: Digests, rows: Rows) -> None:
        self._parts.append((digests, rows))
        if sum(len(part) for part, _ in self._parts) >= self._enough:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            digests, rows = (np.concatenate(column) for column in zip(*self._parts, strict=True))
            self._parts = []
            self._cache.store(self._namespace, digests, rows)


@looks_only
def _run_kernel(tasks: Sequence[_Task], kernel: Kernel, *args: Any) -> tuple[Rows, Bools, Bools]:
    """Run the kernel; rows, which to remember, and which files are still what their digests say."""
    with here([task.path for task in tasks], kernel) as paths:
        rows, keep = kernel(paths, *args)
        same = np.array([_is_same(task, path) for task, path in zip(tasks, paths, strict=True)], dtype=bool)
    return rows, keep, same


def _is_same(task: _Task, path: str) -> bool:
    """Whether what the kernel read, from `path`, is what the digest is of."""
    if task.digest == bytes(16) or file_states([task.path]).stamps.tobytes() != task.stamp:
        return False
    if not task.racy and path == task.path:
        return True
    digests, readable = digest_files([path])
    return bool(readable[0]) and digests.tobytes() == task.digest


@looks_only
def _run_fetched(paths: Sequence[str], kernel: Kernel, *args: Any) -> tuple[Rows, Bools, Digests, Bools]:
    """Fetch objects once for both: rows and which to remember, digests and which could be read."""
    with here(list(paths), kernel) as fetched:
        rows, keep = kernel(fetched, *args)
        return rows, keep, *digest_files(fetched)


def _is_object(path: str) -> bool:
    place = Place.of(path)
    return place is not None and is_url(place.file)


def _groups(digests: Digests) -> list[Ints]:
    """Indices of equal digests, by the first of each; unknown ones are each on their own."""
    groups: dict[bytes | int, list[int]] = {}
    for i, key in enumerate(row.tobytes() for row in digests):
        groups.setdefault(key if key != bytes(16) else i, []).append(i)
    return [np.array(group, dtype=np.int64) for group in groups.values()]


def _pieces(n: int, width: int) -> Iterator[slice]:
    step = max(1, _PIECE_BYTES // max(width, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _portions(sizes: Ints) -> Iterator[slice]:
    """Cut files into consecutive portions of about `_PORTION_BYTES`."""
    number = np.cumsum(sizes) // _PORTION_BYTES
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(sizes)]
    return (slice(start, stop) for start, stop in pairwise(bounds))
