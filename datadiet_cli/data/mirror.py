"""Objects of stores as files of this machine, for as long as the process lives."""

import os
import tempfile
from collections.abc import Sequence
from functools import cache

from datadiet_cli.data.places import Place, fetch, is_url
from datadiet_cli.data.scan import LONGEST_NAME, Entry
from datadiet_cli.errors import InputError

SIDECARS = (
    ".cls", ".csv", ".json", ".jsonl", ".names", ".ndjson", ".parquet", ".pq", ".tab", ".toml", ".tsv", ".txt", ".xml",
    ".yaml", ".yml",
)  # fmt: skip
"""Ends of the names of files that may speak of samples, and must be looked into to know what a folder is."""

_LONGEST = 32
"""Characters of an ending that say what a file is; a name may be all ending."""


@cache
def _room() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="datadiet-")


def new_folder() -> str:
    """An empty folder that is gone when the process is."""
    return tempfile.mkdtemp(dir=_room().name)


def local(path: str) -> str:
    """A file of this machine with what there is at a path: that itself, or an object of a store, fetched anew.

    Raises:
        FileNotFoundError: the store has no such object.
        OSError: it cannot be read.
    """
    if not is_url(path):
        return path
    from datadiet_cli.data import stores, transfer

    name = os.path.basename(stores.shown(path)) or "object"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = "object" + os.path.splitext(name)[1][-_LONGEST:]
    target = os.path.join(new_folder(), name)
    transfer.get(path, target)
    return target


def is_folder(path: str) -> bool:
    """Whether there is a folder, here or in a store."""
    return os.path.isdir(path) if not is_url(path) else _kind(path) == "folder"


def exists(path: str) -> bool:
    """Whether there is anything of this name, here or in a store."""
    return os.path.lexists(path) if not is_url(path) else _kind(path) is not None


def named(path: str) -> str:
    """A path for people and reports: an URL without what may be a secret."""
    if not is_url(path):
        return path
    from datadiet_cli.data import stores

    return stores.shown(path)


def real(path: str) -> str:
    """A name that two names of one place have in common, here or in a store."""
    if not is_url(path):
        return os.path.realpath(path)
    from datadiet_cli.data import stores

    return stores.canonical(path)


def _kind(url: str) -> str | None:
    from datadiet_cli.data import stores

    return stores.kind_of(url)


def mirror(url: str, others: Sequence[Entry]) -> str:
    """A folder with those files of a store's folder that may speak of samples, under the names that they have there.

    Args:
        url: of the folder.
        others: files of it that are no samples.

    Raises:
        InputError: one of them is gone, or has changed since it was listed.
        OSError: the store cannot be asked, or the files cannot be written.
    """
    folder = new_folder()
    wanted: dict[str, str] = {}
    for entry in others:
        if entry.cause is None and entry.place is not None and entry.path.lower().endswith(SIDECARS):
            target = os.path.join(folder, entry.path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            wanted[entry.place] = target
    fetch(wanted)
    for place, target in wanted.items():
        if not os.path.lexists(target):
            raise InputError(f"{Place.of(place).file}: is gone, or has changed since it was listed; run again")  # type: ignore[union-attr]
    return folder
