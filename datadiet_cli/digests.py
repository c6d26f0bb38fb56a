"""What every file of INPUT and OUTPUT held, by the digest of its bytes: what `verify` and `restore` go by.

XXH3-128 tells any accident, and is no signature: whoever forges a file can forge the report that speaks of it.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import xxhash

from datadiet_cli.data.dataset import Dataset, Source
from datadiet_cli.data.fingerprint import fingerprint
from datadiet_cli.data.folder import FolderSource, folder_of
from datadiet_cli.data.mirror import exists, is_folder, local
from datadiet_cli.data.places import is_url
from datadiet_cli.data.scan import Entry, scan
from datadiet_cli.data.wording import escaped
from datadiet_cli.encode.content import digest_files
from datadiet_cli.engine import Engine

ITSELF = "."
"""The path of an INPUT or OUTPUT that is a file."""
_AT_ONCE = 128
_ROOM = 256 << 20
Progress = Callable[[str, int], Callable[[int], None]]
_READ = (None, "symlink-outside-input")
"""Causes of entries that can be read all the same."""


def _silent(_label: str, _total: int) -> Callable[[int], None]:
    return lambda _done: None


class Content(NamedTuple):
    """What a file holds: its size in bytes, and the digest, None for what cannot be read."""

    size: int
    digest: str | None


Contents = Mapping[str, Content]
"""Files by their paths relative to a folder."""
NOTHING: Contents = MappingProxyType({})


def contents_at(
    path: str, engine: Engine, progress: Progress = _silent, *, follow: bool = False, known: Contents = NOTHING
) -> dict[str, Content]:
    """All files below a folder, or the one file that is there.

    Args:
        path: the folder or file; nothing need be there.
        engine: reads, best with threads.
        progress: announces work.
        follow: whether links to folders outside are followed.
        known: files that need not be read.
    """
    if is_folder(path):
        entries = scan(path, follow_symlinks=follow).entries
        unread = [entry for entry in entries if entry.cause in _READ and entry.path not in known]
        found = {entry.path: known[entry.path] for entry in entries if entry.path in known}
        found |= contents_of(path, unread, engine, progress)
        return found | {entry.path: Content(entry.size, None) for entry in entries if entry.path not in found}
    if not (exists(path) if is_url(path) else os.path.isfile(path)):
        return {}
    path = local(path)
    return {ITSELF: Content(os.path.getsize(path), fingerprint(path))}


def contents_of(
    root: str, entries: Sequence[Entry], engine: Engine, progress: Progress = _silent
) -> dict[str, Content]:
    """Read files of a folder.

    Args:
        root: the folder.
        entries: regular files below it, or links to such.
        engine: reads, best with threads.
        progress: announces work.
    """
    paths = [os.path.join(root, entry.path) if entry.place is None else entry.place for entry in entries]
    digests: list[str | None] = []
    tell = progress("taking digests", len(paths))
    # What is fetched from a store lies in a temporary folder meanwhile, and a shard may have gigabytes.
    largest = max((entry.size for entry in entries if entry.place is not None), default=0)
    chunk = max(1, min(_AT_ONCE, _ROOM // max(largest, 1)))
    for _, (values, readable) in engine.map(digest_files, paths, chunk=chunk, progress=tell):
        digits = values.tobytes().hex()
        digests += [digits[32 * i : 32 * i + 32] if known else None for i, known in enumerate(readable.tolist())]
    return {entry.path: Content(entry.size, digest) for entry, digest in zip(entries, digests, strict=True)}


def contents_named(source: Source, names: Collection[str], engine: Engine) -> dict[str, Content]:
    """Read those of the files of INPUT that have one of some escaped names."""
    folder = folder_of(source)
    if folder is None:
        return contents_at(source.path, engine) if names else {}
    return contents_of(source.path, [e for e in input_files(folder) if escaped(e.path) in names], engine)


def contents_of_input(
    before: Dataset,
    after: Dataset,
    published: Contents,
    engine: Engine,
    progress: Progress = _silent,
    known: Contents = NOTHING,
) -> dict[str, Content]:
    """What INPUT holds. Files that were copied as they are count as their copies; only the others are read.

    Args:
        before: INPUT.
        after: what was published of it.
        published: what OUTPUT holds; nothing for none.
        engine: reads.
        progress: announces work.
        known: files that need not be read.
    """
    source = before.source
    folder = folder_of(source)
    if folder is None:
        place = getattr(source, "local", source.path)
        return {ITSELF: Content(os.path.getsize(place), fingerprint(place))}
    copies = copied_files(after)
    found: dict[str, Content] = {}
    unread: list[Entry] = []
    for entry in input_files(folder):
        copy = published.get(copies[entry.path]) if entry.path in copies else None
        if entry.cause is not None:
            found[entry.path] = Content(0, None)
        elif copy is not None:
            found[entry.path] = copy
        elif entry.path in known:
            found[entry.path] = known[entry.path]
        else:
            unread.append(entry)
    return found | contents_of(source.path, unread, engine, progress)


def input_files(source: FolderSource) -> list[Entry]:
    """The files of a folder that a run goes by: its samples, and what is carried along; no caches, no broken links."""
    return source.files()


def copied_files(dataset: Dataset) -> dict[str, str]:
    """Files of INPUT that are copied byte by byte when a folder is written: their paths -> those of the copies."""
    source = dataset.source
    assert isinstance(source, FolderSource)  # noqa: S101 - tables are written anew
    return source.copies(dataset.rows)


class Differences(NamedTuple):
    """Names of files, sorted, that differ from what was expected."""

    missing: list[str]
    changed: list[str]
    added: list[str]

    def in_words(self, shown: int) -> str:
        """What differs, with the first names of each; empty where nothing does."""
        parts = [(self.missing, "missing"), (self.changed, "changed"), (self.added, "added")]
        return "; ".join(
            f"{len(names):,} {word} ({', '.join(names[:shown])}{', ...' if len(names) > shown else ''})"
            for names, word in parts
            if names
        )


def compare(expected: Contents, found: Contents) -> Differences:
    """Compare files by name, size and digest; a digest that was never known is not compared.

    Args:
        expected: by escaped name.
        found: by name.
    """
    there = {escaped(path): content for path, content in found.items()}
    changed = [
        path
        for path, content in expected.items()
        if path in there and content.digest is not None and there[path] != content
    ]
    return Differences(sorted(expected.keys() - there.keys()), sorted(changed), sorted(there.keys() - expected.keys()))


def digest_of(content: bytes) -> str:
    """The digest of bytes."""
    return xxhash.xxh3_128_hexdigest(content)
