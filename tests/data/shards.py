"""Small shards, made and read by Python's own tarfile."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

Members = Sequence[tuple[str, bytes]]


def tar(members: Iterable[tuple[str, bytes | None]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar file; what has no content is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def listed(path: Path | bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the files in a tar file, in order."""
    content = path if isinstance(path, bytes) else path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content), errorlevel=2) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isreg()]


def keys(members: Iterable[tuple[str, bytes]]) -> list[str]:
    """The keys of samples in order, one for each run of members with the same."""
    found: list[str] = []
    for name, _ in members:
        folder, slash, base = name.rpartition("/")
        key = folder + slash + base.partition(".")[0]
        if not found or found[-1] != key:
            found.append(key)
    return found
