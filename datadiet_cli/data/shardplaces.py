"""Where a shard lies, on this machine or in a store, and what it holds there."""

import os
from typing import BinaryIO

from datadiet_cli.data.mirror import named
from datadiet_cli.data.places import Place, is_url, stamp_of
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shardscan import Asked, Index, index_shard
from datadiet_cli.data.tarindex import TarError
from datadiet_cli.errors import InputError

SUFFIX = ".tar"


def place_of(root: str, entry: Entry) -> Place:
    """Where a shard lies, as it is now.

    Args:
        root: the folder.
        entry: the shard in it, or in a store.

    Raises:
        InputError: an object is gone, or is not what was listed.
    """
    if entry.place is None:
        file = os.path.join(root, entry.path)
        return Place(file, SUFFIX, 0, entry.size, stamp_of(entry.size, entry.mtime_ns))
    from datadiet_cli.data.stores import object_at

    url = str(Place.of(entry.place).file)  # type: ignore[union-attr]
    try:
        # A listing may tell other facts than asking for the object does, which is how it is known again.
        found = object_at(url)
    except OSError as error:
        raise InputError(f"{named(url)}: cannot be read: {error.strerror}") from error
    if found.size != entry.size:
        raise InputError(f"{named(url)}: has changed since it was listed; run again")
    return Place(url, SUFFIX, 0, found.size, found.stamp)


def index_at(place: Place, asked: Asked) -> Index:
    """Read the headers of a shard.

    Raises:
        InputError: it cannot be read, or is no tar file that can be cut into members.
    """
    name = named(place.file)
    try:
        with _open(place) as stream:
            return index_shard(stream, asked)
    except TarError as error:
        raise InputError(f"{name}: {error}") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def _open(place: Place) -> BinaryIO:
    if not is_url(place.file):
        return open(place.file, "rb")
    from datadiet_cli.data.objectfile import open_object

    return open_object(place.file, place.size)
