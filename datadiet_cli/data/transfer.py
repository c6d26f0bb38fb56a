"""Bring objects of stores here, send files there, copy and delete: many at a time, and the first failure ends it."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from datadiet_cli.data.stores import asking, is_still, opened, read_bytes, scheme_of

_AT_ONCE = 16
"""Requests that are under way at a time; most of a small object's time is waiting."""
_FOLDERS = ("file", "local", "memory", "sftp", "ssh")
"""Schemes of stores where a folder must be made before there can be something in it, and stays when it is empty."""
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM}
_NEAR = 1 << 20
"""Bytes between two spans that are rather read than left out: to ask again takes as long."""
_RUN = 8 << 20
"""Bytes that are asked for at a time."""
Silent = Callable[[int], None]


class Span(NamedTuple):
    """Bytes of an object: so many from an offset on, all of them in the case that `offset` is 0.

    Attributes:
        url: of the object.
        offset: where they begin.
        size: how many there are.
        stamp: what `stores.object_at` gave of the object, to make sure that it is still the same; empty for any.
    """

    url: str
    offset: int
    size: int
    stamp: str = ""


_Wanted = tuple[Span, str]


def fetch(wanted: Sequence[tuple[Span, str]]) -> None:
    """Write spans of objects into new files. One that is gone, or no longer as long as it was, gets no file.

    Spans that lie near each other in an object are fetched together.

    Raises:
        OSError: a store cannot be asked, or the files cannot be written.
    """
    _each(_fetch, [pair for pair in wanted if not pair[0].offset])
    parts = [pair for pair in wanted if pair[0].offset]
    _each(_fetch_run, _runs(parts))
    of_object: dict[tuple[str, str], list[_Wanted]] = {}
    for pair in parts:
        if pair[0].stamp:
            of_object.setdefault((pair[0].url, pair[0].stamp), []).append(pair)
    _each(_drop_changed, list(of_object.values()))


def get(url: str, target: str) -> None:
    """Write a whole object into a new file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read or written.
    """
    files, path = opened(url)
    with asking(url):
        files.get_file(path, target)


def put(pairs: Sequence[tuple[str, str]], done: Silent = lambda _: None) -> None:
    """Send files to URLs, replacing what is there; the first failure ends it.

    Raises:
        OSError: a file cannot be read, or a store not be written.
    """
    _each(_put, pairs, done)


def copy(pairs: Sequence[tuple[str, str]], done: Silent = lambda _: None) -> None:
    """Copy objects from URLs to URLs of the same store, within the store where it can do so.

    Raises:
        OSError: an object is gone, or the store cannot be written.
    """
    _each(_copy, pairs, done)


def delete(urls: Sequence[str]) -> None:
    """Delete objects; those that are not there are none to delete.

    Raises:
        OSError: a store cannot be written.
    """
    _each(_delete, urls)


def prune(urls: Iterable[str], root: str) -> None:
    """Remove the folders of some objects that are empty, where folders are real; none above `root`."""
    if scheme_of(root) not in _FOLDERS:
        return
    folders = {parent for url in urls for parent in _folders(url, root)}
    for folder in sorted(folders, key=len, reverse=True):
        files, path = opened(folder)
        with suppress(OSError):
            files.rmdir(path)


def _each(work: Callable[[Any], None], items: Sequence[Any], done: Silent = lambda _: None) -> None:
    """Do some work for each of many, several at a time; the first failure ends it once the others are through."""
    with ThreadPoolExecutor(min(_AT_ONCE, max(1, len(items)))) as pool:
        # Not all at once: a failure among a million would have to wait for them to be taken back.
        for start in range(0, len(items), 64 * _AT_ONCE):
            futures = [pool.submit(work, item) for item in items[start : start + 64 * _AT_ONCE]]
            try:
                for future in futures:
                    future.result()
                    done(1)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _fetch(wanted: _Wanted) -> None:
    span, target = wanted
    files, path = opened(span.url)
    try:
        with asking(span.url):
            files.get_file(path, target)
        whole = os.path.getsize(target) == span.size
    except OSError as error:
        if error.errno not in _GONE:
            raise
        whole = False
    if not whole:
        _drop([wanted])


def _runs(wanted: Sequence[_Wanted]) -> list[list[_Wanted]]:
    """Spans that are fetched together, in the order of their objects."""
    runs: list[list[_Wanted]] = []
    for pair in sorted(wanted):
        span, stop = pair[0], pair[0].offset + pair[0].size
        first, last = (runs[-1][0][0], runs[-1][-1][0]) if runs else (None, None)
        near = first and last and first.url == span.url and span.offset - last.offset - last.size <= _NEAR
        if near and first and stop - first.offset <= _RUN:
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return runs


def _fetch_run(run: list[_Wanted]) -> None:
    span = run[0][0]
    try:
        if len(run) == 1:
            _fetch_long(*run[0])
        else:
            _fetch_near(run)
    except OSError as error:
        # What has become shorter fails in as many ways as there are stores.
        if error.errno not in _GONE and (not span.stamp or is_still(span.url, span.stamp)):
            raise
        _drop(run)


def _fetch_long(span: Span, target: str) -> None:
    """Fetch a span piece by piece."""
    with open(target, "xb") as file:
        for start in range(span.offset, span.offset + span.size, _RUN):
            file.write(read_bytes(span.url, start, min(_RUN, span.offset + span.size - start)))
        whole = file.tell() == span.size
    if not whole:
        _drop([(span, target)])


def _fetch_near(run: list[_Wanted]) -> None:
    """Fetch several spans by one request."""
    start, stop = run[0][0].offset, max(span.offset + span.size for span, _ in run)
    content = memoryview(read_bytes(run[0][0].url, start, stop - start))
    for span, target in run:
        part = content[span.offset - start : span.offset - start + span.size]
        if len(part) == span.size:
            with open(target, "xb") as file:
                file.write(part)


def _drop_changed(wanted: list[_Wanted]) -> None:
    """Drop what was fetched of an object that is no longer the one that was meant."""
    if not is_still(wanted[0][0].url, wanted[0][0].stamp):
        _drop(wanted)


def _drop(wanted: Iterable[_Wanted]) -> None:
    for _, target in wanted:
        with suppress(FileNotFoundError):
            os.unlink(target)


def _folders(url: str, root: str) -> Iterator[str]:
    while (url := url.rpartition("/")[0]) and (url == root or url.startswith(root)):
        yield url


def _put(pair: tuple[str, str]) -> None:
    files, path = opened(pair[1])
    with asking(pair[1]):
        if scheme_of(pair[1]) in _FOLDERS:
            files.makedirs(files._parent(path), exist_ok=True)
        files.put_file(pair[0], path)


def _copy(pair: tuple[str, str]) -> None:
    files, path = opened(pair[1])
    with asking(pair[1]):
        if scheme_of(pair[1]) in _FOLDERS:
            files.makedirs(files._parent(path), exist_ok=True)
        files.cp_file(opened(pair[0])[1], path)


def _delete(url: str) -> None:
    files, path = opened(url)
    with suppress(FileNotFoundError), asking(url):
        files.rm_file(path)
