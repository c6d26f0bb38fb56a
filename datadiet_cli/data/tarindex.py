"""The members of a tar file: where the headers and the content of each lie. No content is read.

Plain, POSIX (``ustar``, ``pax``) and GNU archives, with names of any length. A `tarfile.TarInfo` for each member costs
several times what reading its header does, hence a reader of its own; it agrees with `tarfile` on what is there.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK = 512
_RECORD = 20 * BLOCK
_LONGEST = 1 << 20
"""Bytes of the longest header of an extension that is believed."""
_LONGEST_SIZE = 20
"""Digits of a size that is believed."""
_TAIL = 1 << 20
_REGULAR = frozenset(b"\x0007")
_WITHOUT_CONTENT = frozenset(b"123456")
"""Links, devices, directories and pipes, whatever size their headers say."""
_NAME, _PAX, _PAX_OF_ALL, _SPARSE = ord("L"), frozenset(b"xX"), ord("g"), ord("S")
_LINK = ord("K")
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}


class TarError(ValueError):
    """A file is no tar file, or none that can be cut into members; the message goes behind its name."""


class Member(NamedTuple):
    """A member of a tar file.

    Attributes:
        name: as it is written; bytes that are not UTF-8 are surrogates.
        regular: whether it is a file, rather than a directory, a link, a device or a header for all that follow.
        mtime: time of the last change, in seconds.
        start: where its first header begins.
        offset: where its content begins.
        size: bytes of its content.
        stop: where the next member begins.
    """

    name: str
    regular: bool
    mtime: int
    start: int
    offset: int
    size: int
    stop: int


def end_of_archive(length: int) -> bytes:
    """What ends an archive with `length` bytes of members: two empty blocks, up to a full record, as `tar` does."""
    return bytes(-(-(length + 2 * BLOCK) // _RECORD) * _RECORD - length)


def padding(size: int) -> int:
    """The bytes that follow on content of a size, up to a whole block."""
    return -size % BLOCK


def members(file: BinaryIO, start: int = 0, stop: int | None = None) -> Iterator[Member]:
    """The members of a tar file in order.

    Args:
        file: to read and to seek in; it may be moved between two members.
        start: where the first header is.
        stop: where the last member ends, if that is known; what follows is not looked at then.

    Raises:
        TarError: the file is compressed, cut short, or damaged, goes on after its end, or has sparse members.
    """
    return _Reader(file, start, stop).members()


class _Reader:
    """A walk over headers; extensions apply to the member that follows them, some to all that do."""

    def __init__(self, file: BinaryIO, start: int, stop: int | None) -> None:
        self._file, self._at, self._stop = file, start, stop
        self._length = file.seek(0, 2) if stop is None else stop
        self._of_all: dict[str, bytes] = {}

    def members(self) -> Iterator[Member]:
        if self._length == 0:
            raise TarError("has no bytes; a shard without samples has at least an end of archive")
        own: dict[str, bytes] = {}
        start = self._at
        while self._stop is None or self._at < self._stop:
            header = self._header()
            if header is None:
                if own:
                    raise TarError(f"ends in the middle of a member, at byte {start:,}")
                return
            kind, size = header[156], _number(header[124:136])
            if kind in _PAX or kind in (_NAME, _LINK, _PAX_OF_ALL):
                content = self._content(size)
                if kind == _PAX_OF_ALL:
                    self._of_all |= _records(content, self._at)
                    yield Member("", False, 0, start, self._at, 0, self._at)
                    start = self._at
                elif kind == _NAME:
                    own.setdefault("path", content.partition(b"\0")[0])
                elif kind in _PAX:
                    own |= _records(content, self._at)
                continue
            yield self._member(header, start, own)
            own, start = {}, self._at

    def _member(self, header: bytes, start: int, own: dict[str, bytes]) -> Member:
        """The member of a header, and on to the next."""
        kind, said = header[156], self._of_all | own if own or self._of_all else own
        if kind == _SPARSE or (said and any(key.startswith("GNU.sparse.") for key in said)):
            raise TarError(
                "has sparse members, which cannot be copied one by one; write it anew without: tar -x, tar -c"
            )
        size = _decimal(said["size"], start) if "size" in said else _number(header[124:136])
        name = said.get("path", _short_name(header))
        if b"\0" in name or size < 0:
            raise TarError(f"is damaged at byte {start:,}")
        held = 0 if kind in _WITHOUT_CONTENT else size
        # An old archive writes directories as files whose names end so.
        regular = kind in _REGULAR and not name.endswith(b"/")
        text = name.decode("utf-8", "surrogateescape")
        offset = self._at
        self._at += held + padding(held)
        if self._at > self._length:
            raise TarError(f"ends in the middle of {text}, at byte {self._length:,} of {self._at:,} or more")
        return Member(text, regular, _number(header[136:148]), start, offset, held, self._at)

    def _header(self) -> bytes | None:
        """The next header; None at the end."""
        self._file.seek(self._at)
        header = self._file.read(BLOCK)
        if not header:
            return None
        if header.count(0) == BLOCK:
            self._look_at_tail()
            return None
        if self._at == 0:
            packed = next((name for magic, name in _COMPRESSED.items() if header.startswith(magic)), None)
            if packed is not None:
                raise TarError(f"is compressed ({packed}), and cannot be cut into samples; unpack it to a plain .tar")
        if len(header) < BLOCK:
            raise TarError(f"ends in the middle of a header, at byte {self._length:,}")
        if not _is_sound(header):
            raise TarError("is no tar file" if self._at == 0 else f"is damaged at byte {self._at:,}")
        self._at += BLOCK
        return header

    def _content(self, size: int) -> bytes:
        """The content of an extension's header."""
        if not 0 <= size <= _LONGEST:
            raise TarError(f"is damaged at byte {self._at:,}")
        self._file.seek(self._at)
        content = self._file.read(size)
        self._at += size + padding(size)
        if self._at > self._length:
            raise TarError(f"ends in the middle of a header, at byte {self._length:,}")
        return content

    def _look_at_tail(self) -> None:
        """Refuse archives that were joined: every reader stops at the end of the first, and what follows would be lost.

        Raises:
            TarError: something other than zeros follows on the end.
        """
        self._file.seek(self._at)
        while block := self._file.read(_TAIL):
            if block.count(0) != len(block):
                raise TarError(
                    f"goes on after its end of archive at byte {self._at:,}, where every reader stops; archives are "
                    "joined by tar --concatenate"
                )


def _is_sound(header: bytes) -> bool:
    """Whether the checksum is right; some old programs took bytes for signed."""
    try:
        said = _number(header[148:156])
    except TarError:
        return False
    # Most of a header is zeros, which are quickest left out.
    rest = (header[:148] + header[156:]).replace(b"\0", b"")
    total = sum(rest) + 8 * ord(" ")
    return said == total or said == total - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int:
    """An octal number, or, where the first bit is set, one of 256 digits."""
    if field[0] in (0x80, 0xFF):
        number = int.from_bytes(field[1:], "big")
        return number - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.partition(b"\0")[0].strip()
    if not digits:
        return 0
    # Python takes signs and underscores for numbers as well.
    if digits.strip(b"01234567"):
        raise TarError("is damaged: a number in a header is none")
    return int(digits, 8)


def _decimal(digits: bytes, at: int) -> int:
    # Python refuses numbers of thousands of digits in another way.
    if not digits.isdigit() or len(digits) > _LONGEST_SIZE:
        raise TarError(f"is damaged at byte {at:,}")
    return int(digits)


def _short_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _records(content: bytes, at: int) -> dict[str, bytes]:
    """The records of an extended header: ``length key=value`` and a line feed each, the length being that of all."""
    found: dict[str, bytes] = {}
    while content.strip(b"\0"):
        digits, _, rest = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        key, is_record, value = rest[: max(length - len(digits) - 1, 0)].partition(b"=")
        if not is_record or not value.endswith(b"\n"):
            raise TarError(f"is damaged before byte {at:,}")
        found[key.decode("utf-8", "surrogateescape")] = value[:-1]
        content = content[length:]
    return found
