"""Write a shard anew: what stays is copied as it is, and only what is new gets headers of ours."""

import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from datadiet_cli.data.places import Place, here, is_url
from datadiet_cli.data.scan import Entry
from datadiet_cli.data.shardscan import split_key
from datadiet_cli.data.tarindex import BLOCK, Member, end_of_archive, members, padding
from datadiet_cli.errors import OutputError

_PIECE = 1 << 20
_GNU = b"ustar  \0"


class Part(Protocol):
    """A stretch of a new shard."""

    def write(self, source: BinaryIO, target: BinaryIO) -> None:
        """Append it to `target`, from the old shard `source`."""


@dataclass(frozen=True)
class Kept:
    """Members that stay, from one byte to another."""

    start: int
    stop: int

    def write(self, source: BinaryIO, target: BinaryIO) -> None:
        """Copy them, headers and padding and all."""
        _copy(source, self.start, self.stop - self.start, target)


@dataclass(frozen=True)
class Relabelled:
    """A member of a sample that gets another label, which is in the member with the ending."""

    start: int
    stop: int
    ending: str
    label: str

    def write(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write the label; copy any other member."""
        for member in members(source, self.start, self.stop):
            if _ending(member) == self.ending:
                _write_label(source, member, member.name, self.label, target)
            else:
                _copy(source, member.start, member.stop - member.start, target)


@dataclass(frozen=True)
class Made:
    """A new sample: the members of another one under a new key, with other content.

    Attributes:
        spans: where the members of the other one are.
        name: of the new member that holds the content.
        offset: where the content is that it takes the place of.
        content: the file of the new one, or its place; a `Place` in the old shard itself.
        ending: of the member that says the label.
        label: to say there; None for that of the other one.
    """

    spans: tuple[tuple[int, int], ...]
    name: str
    offset: int
    content: str | Place
    ending: str
    label: str | None

    def write(self, source: BinaryIO, target: BinaryIO) -> None:
        """Write the members, in the order of the other sample's."""
        key = (split_key(self.name) or (self.name, ""))[0]
        for start, stop in self.spans:
            for member in members(source, start, stop):
                self._member(source, member, key, target)

    def _member(self, source: BinaryIO, member: Member, key: str, target: BinaryIO) -> None:
        parts = split_key(member.name) if member.regular else None
        if parts is None:
            return
        name = f"{key}.{parts[1]}"
        if member.offset == self.offset:
            _write_content(source, member, self.name, self.content, target)
        elif self.label is not None and parts[1].lower() == self.ending:
            _write_label(source, member, name, self.label, target)
        else:
            target.write(_header(source, member, name, member.size))
            _copy(source, member.offset, member.size + padding(member.size), target)


def write_shard(place: Place, target: str, entry: Entry, parts: Iterable[Part]) -> int:
    """Write a new shard of parts of an old one, and give its bytes.

    Args:
        place: the old one, which is read part by part if it lies in a store.
        target: the new one, which is not there yet; it gets the old one's mode, if that has one.
        entry: the old one as it was when it was looked through.
        parts: what the new one has, in order.

    Raises:
        OutputError: the old one is not what it was.
        OSError: reading or writing failed.
    """
    if is_url(place.file):
        return _write_from_store(place, target, parts)
    handle = os.open(place.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as reading, open(target, "xb") as writing:
        status = os.fstat(handle)
        if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
            raise _changed(place.file)
        written = _write(reading, writing, parts)
        os.fchmod(writing.fileno(), status.st_mode & 0o777)
    return written


def _write_from_store(place: Place, target: str, parts: Iterable[Part]) -> int:
    from datadiet_cli.data.objectfile import open_object
    from datadiet_cli.data.stores import is_still, shown

    with open_object(place.file, place.size) as reading, open(target, "xb") as writing:
        written = _write(reading, writing, parts)
    if not is_still(place.file, place.stamp):
        raise _changed(shown(place.file))
    return written


def _write(source: BinaryIO, target: BinaryIO, parts: Iterable[Part]) -> int:
    for part in parts:
        part.write(source, target)
    target.write(end_of_archive(target.tell()))
    return target.tell()


def _changed(source: str) -> OutputError:
    return OutputError(f"{source}: changed since it was read; run again when it is quiet")


def _ending(member: Member) -> str | None:
    parts = split_key(member.name) if member.regular else None
    return parts[1].lower() if parts else None


def _copy(source: BinaryIO, start: int, size: int, target: BinaryIO) -> None:
    source.seek(start)
    while size:
        piece = source.read(min(size, _PIECE))
        if not piece:
            raise _changed(source.name)
        target.write(piece)
        size -= len(piece)


def _header(source: BinaryIO, member: Member, name: str, size: int) -> bytes:
    """The header of a member under a new name and size: owner, mode and time stay."""
    source.seek(member.offset - BLOCK)
    block = source.read(BLOCK)
    info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    info.name, info.size, info.mtime = name, size, member.mtime
    # GNU tar writes long names in a way of its own.
    if block[257:265] == _GNU:
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _write_label(source: BinaryIO, member: Member, name: str, label: str, target: BinaryIO) -> None:
    """Write a label with the blanks around it that the old one had."""
    source.seek(member.offset)
    old = source.read(member.size).decode("utf-8", "surrogateescape")
    stripped = old.strip()
    before, _, after = old.partition(stripped) if stripped else ("", "", old)
    content = f"{before}{label}{after}".encode("utf-8", "surrogateescape")
    target.write(_header(source, member, name, len(content)) + content + bytes(padding(len(content))))


def _write_content(source: BinaryIO, member: Member, name: str, content: str | Place, target: BinaryIO) -> None:
    if isinstance(content, Place):
        target.write(_header(source, member, name, content.size))
        _copy(source, content.offset, content.size, target)
        target.write(bytes(padding(content.size)))
        return
    place = Place.of(content)
    size = os.path.getsize(content) if place is None else place.size
    target.write(_header(source, member, name, size))
    written = sum(map(target.write, _read(content)))
    if written != size:
        raise _changed(content.partition("\0")[0])
    target.write(bytes(padding(size)))


def _read(content: str) -> Iterator[bytes]:
    """A file, or a place, piece by piece."""
    with here([content], _read) as paths, open(paths[0], "rb") as file:
        yield from iter(lambda: file.read(_PIECE), b"")
