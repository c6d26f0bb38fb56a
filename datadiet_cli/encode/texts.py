"""Text files and text cells -> normalised text, and its code points."""

import codecs
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.encoding import text_codec
from datadiet_cli.encode.rows import normalise_text

if TYPE_CHECKING:
    import polars as pl

Documents = Sequence[Any]
"""A list of paths of text files, or a polars frame of String columns with a document in each row."""

LARGEST = 1 << 28
"""Bytes of a file beyond which it is a dump rather than a sample: looking at it takes a hundred times its size."""
CELL_END = "\x1f"
"""Stands between the cells of a row; white space, hence never within a normalised text."""
CAUSES = ("empty", "not-text", "too-large", "unreachable")

# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UnreadableError(Exception):
    """A file that is no text; its argument is one of `CAUSES`."""


def decode(data: bytes, codec: str) -> str:
    """Turn the bytes of a file into text: as its byte order mark says, or else by a codec.

    Raises:
        UnreadableError: there are no bytes, or they are no text.
    """
    if not data:
        raise UnreadableError("empty")
    mark, codec = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", codec))
    if not mark and b"\0" in data:
        raise UnreadableError("not-text")
    try:
        return data[len(mark) :].decode(codec)
    except UnicodeDecodeError:
        raise UnreadableError("not-text") from None


def meanings(encoding: str | None) -> dict[str, str]:
    """What each of `CAUSES` means, in words, where files are read in an encoding (UTF-8 for None)."""
    return {
        "empty": "the file is empty",
        "not-text": f"the bytes are no {encoding or 'UTF-8'}; --encoding names another",
        "too-large": f"more than {LARGEST >> 20} MiB",
        "unreachable": "the file cannot be opened",
    }


def read_documents(items: Documents, encoding: str | None) -> Iterator[list[str] | str]:
    """Yield the normalised text of each document, one at a time.

    Args:
        items: paths, or a frame.
        encoding: of files without a byte order mark; UTF-8 for None.

    Yields:
        A list of the document's normalised cells (a file has one, a missing cell is empty), or why it cannot be read:
        one of `CAUSES`.

    Raises:
        ConfigError: there is no such encoding.
    """
    if not isinstance(items, list):
        for row in cast("pl.DataFrame", items).iter_rows():
            yield [normalise_text(cell) if cell is not None else "" for cell in row]
        return
    codec = text_codec(encoding)
    for path in items:
        try:
            yield [normalise_text(read_text(path, codec))]
        except UnreadableError as error:
            yield str(error)


def read_text(path: str, codec: str) -> str:
    """The text of a file, as it is written.

    Raises:
        UnreadableError: it is no text; its argument is one of `CAUSES`.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read(LARGEST + 1)
            # One call reads a file as a rule, though the system may give less at a time.
            while data and len(data) <= LARGEST and (more := file.read(LARGEST)):
                data += more
    except OSError:
        raise UnreadableError("unreachable") from None
    if len(data) > LARGEST:
        raise UnreadableError("too-large")
    return decode(data, codec)


def digest_texts(
    items: Documents, encoding: str | None
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.object_]]:
    """Digest the normalised text of each document.

    Args:
        items: as for `read_documents`.
        encoding: likewise.

    Returns:
        (n, 2) uint64 XXH3-128 digests; (n,) int64 characters; (n,) object, why it cannot be read, or None.
    """
    digests = np.zeros((len(items), 2), dtype=np.uint64)
    lengths = np.zeros(len(items), dtype=np.int64)
    causes = np.full(len(items), None, dtype=object)
    for i, found in enumerate(read_documents(items, encoding)):
        if isinstance(found, str):
            causes[i] = found
        else:
            digest = xxhash.xxh3_128_digest(_whole(found).encode("utf-8", "surrogatepass"))
            digests[i] = np.frombuffer(digest, dtype=np.uint64)
            lengths[i] = sum(map(len, found))
    return digests, lengths, causes


def normalised_texts(items: Documents, encoding: str | None) -> list[str | None]:
    """The whole normalised text of each document; None for one that cannot be read."""
    return [None if isinstance(found, str) else _whole(found) for found in read_documents(items, encoding)]


def _whole(cells: list[str]) -> str:
    return CELL_END.join(cells)


def taken(items: Documents, positions: NDArray[np.int64]) -> Documents:
    """The documents at some positions."""
    if isinstance(items, list):
        return [items[i] for i in positions.tolist()]
    return cast(Documents, cast("pl.DataFrame", items)[positions])


def code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """All characters of some texts, one text after the other.

    Returns:
        (m,) uint32 code points; (n,) int64 how many each text has.
    """
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return points.astype(np.uint32, copy=False), lengths
