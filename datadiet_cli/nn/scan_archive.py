"""A stranger's archives, read so that there is one way to read them, and written anew. Nothing of torch is imported."""

import io
import re
import struct
import zipfile
from collections.abc import Mapping

_MOST_MEMBERS = 100_000
_ENTRY = b"PK\x01\x02"
"""What each entry of an archive's list begins with."""
_LARGE = 0xFFFFFFFF
"""Stands for a number that needs more than 32 bits."""
_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*\Z")

DAMAGED = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a file that is damaged, or of another kind, may raise."""


class RefusedError(Exception):
    """What about a file is not allowed."""


def shown(name: object) -> str:
    """A name from a file, short and printable."""
    return repr(str(name)[:60])


class Archive:
    """A zip archive whose parts are stored as they are, one after the other, in one folder.

    Args:
        data: all of it.

    Raises:
        RefusedError: it is one that could be read in two ways, or that unpacks to more than it is.
        zipfile.BadZipFile: it is none, or not whole. So may be any of `DAMAGED`.
    """

    def __init__(self, data: bytes) -> None:
        listed = _bounds(data)
        if data.count(_ENTRY, listed) > _MOST_MEMBERS:
            raise RefusedError(f"it has more than {_MOST_MEMBERS:,} parts")
        self._file = zipfile.ZipFile(io.BytesIO(data))
        members = self._file.infolist()
        _check_names([member.filename for member in members])
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise RefusedError("it is compressed, which torch.export.save never does")
        _check_places(data, members, listed)
        self.root = members[0].filename.partition("/")[0] if members else ""
        self._members = {member.filename.partition("/")[2]: member for member in members}

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many bytes each part has, by its name within the folder."""
        return {name: member.file_size for name, member in self._members.items()}

    def read(self, name: str, most: int | None = None) -> bytes:
        """A part.

        Raises:
            RefusedError: it has more bytes than that.
        """
        member = self._members[name]
        if most is not None and member.file_size > most:
            raise RefusedError(f"its part {shown(name)} is too large")
        return self._file.read(member)

    def packed(self, instead: Mapping[str, bytes]) -> bytes:
        """The archive written anew.

        Args:
            instead: parts that are not taken over; they may be new ones.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as new:
            for name in dict.fromkeys([*self._members, *instead]):
                part = instead[name] if name in instead else self.read(name)
                new.writestr(zipfile.ZipInfo(f"{self.root}/{name}"), part)
        return buffer.getvalue()


def _bounds(data: bytes) -> int:
    """Where the list of an archive's parts begins; whoever else reads it must find the same list of the same parts."""
    end = len(data) - 22
    if not data.startswith(b"PK\x03\x04") or data[max(end, 0) : end + 4] != b"PK\x05\x06":
        raise zipfile.BadZipFile
    size, start = struct.unpack_from("<II", data, end + 12)
    if end >= 76 and data[end - 20 : end - 16] == b"PK\x06\x07":
        # A larger record stands before, and between the two where it is. Both must say the same.
        (record,) = struct.unpack_from("<Q", data, end - 12)
        wide = struct.unpack_from("<QQ", data, end - 36)
        if record != end - 76 or data[record : record + 4] != b"PK\x06\x06":
            raise zipfile.BadZipFile
        if any(narrow not in (_LARGE, full) for narrow, full in zip((size, start), wide, strict=True)):
            raise zipfile.BadZipFile
        (size, start), end = wide, record
    if start + size != end:
        raise zipfile.BadZipFile
    return int(start)


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise RefusedError("it has two parts of one name")
    if len({name.partition("/")[0] for name in names}) > 1:
        raise RefusedError("its parts are not in one folder")
    for name in names:
        if not _NAME.match(name) or ".." in name:
            raise RefusedError(f"it has a part of an unexpected name, {shown(name.partition('/')[2])}")


def _check_places(data: bytes, members: list[zipfile.ZipInfo], listed: int) -> None:
    """Check that no two parts share bytes, and none goes on where the list begins."""
    end = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        start = member.header_offset
        if start < end:
            raise RefusedError("its parts lie within each other")
        name, extra = struct.unpack_from("<HH", data, start + 26)
        end = start + 30 + name + extra + member.file_size
    if end > listed:
        raise zipfile.BadZipFile
