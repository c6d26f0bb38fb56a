"""Which bytes of a table are text: byte order marks, encodings, and what is no text at all."""

import codecs

import numpy as np

from datadiet_cli.data.records import CHUNK_BYTES, Bytes, line_number, map_file
from datadiet_cli.errors import ConfigError, InputError

_UTF8_NAMES = ("utf-8", "utf-8-sig", "ascii")
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def text_codec(encoding: str | None) -> str:
    """The name of the Python codec to use: ``utf-8`` or a single-byte one in which ASCII is itself.

    Raises:
        ConfigError: there is no such encoding, or its bytes cannot be cut at commas and line ends.
    """
    try:
        name = codecs.lookup(encoding or "utf-8").name
        if name in _UTF8_NAMES:
            return "utf-8"
        plain = all(_characters(name, i) == chr(i) for i in range(128))
        plain = plain and all(_characters(name, i) != "" for i in range(128, 256))
    except LookupError:
        raise ConfigError(f"encoding {encoding!r}: unknown; try utf-8, latin-1 or cp1252") from None
    if not plain:
        raise ConfigError(
            f"encoding {encoding!r}: only utf-8 and single-byte encodings such as latin-1 or cp1252 are "
            f"read; convert the file with: iconv -f {encoding} -t utf-8"
        )
    return name


def map_text(path: str, encoding: str | None) -> tuple[str, Bytes, int]:
    """Map a file that must be text: its codec, its bytes, and where the text begins.

    Raises:
        ConfigError: the encoding cannot be one.
        InputError: the file is not text of the encoding.
        OSError: the file cannot be read.
    """
    codec = text_codec(encoding)
    data = map_file(path)
    begin = text_begin(data, path, codec)
    check_text(data, path, codec)
    return codec, data, begin


def text_begin(data: Bytes, path: str, codec: str) -> int:
    """Where the text begins: after the byte order mark of UTF-8, if there is one.

    Raises:
        InputError: the file is UTF-16 or UTF-32.
    """
    head = data[:4].tobytes()
    if head.startswith(_WIDE_MARKS):
        raise InputError(f"{path}: this is UTF-16 or UTF-32; convert it with: iconv -f utf-16 -t utf-8")
    return len(codecs.BOM_UTF8) if codec == "utf-8" and head.startswith(codecs.BOM_UTF8) else 0


def check_text(data: Bytes, path: str, codec: str) -> None:
    """Check that all of the file is text of the encoding.

    Raises:
        InputError: it is not; the message names the line and the byte.
    """
    at = 0
    while at < len(data):
        stop = min(at + CHUNK_BYTES, len(data))
        # Not within a UTF-8 character; three bytes at most can follow its first.
        while codec == "utf-8" and stop < min(at + CHUNK_BYTES + 3, len(data)) and data[stop] & 0xC0 == 0x80:
            stop += 1
        chunk = data[at:stop]
        if chunk.min() == 0:
            line = line_number(data, at + int(np.argmin(chunk)))
            raise InputError(
                f"{path}:{line}: a NUL byte; the file looks binary or UTF-16; convert UTF-16 with: "
                "iconv -f utf-16 -t utf-8"
            )
        if chunk.max() >= 128:
            _check_chunk(data, at, stop, path, codec)
        at = stop


def _check_chunk(data: Bytes, at: int, stop: int, path: str, codec: str) -> None:
    try:
        data[at:stop].tobytes().decode(codec)
    except UnicodeDecodeError as error:
        wrong = at + error.start
        others = "latin-1 (or cp1252, ...)" if codec == "utf-8" else "another one"
        raise InputError(
            f"{path}:{line_number(data, wrong)}: byte 0x{data[wrong]:02X} is not {codec.upper()}; "
            f"if you know the file's encoding, pass it: --encoding {others}"
        ) from None


def _characters(codec: str, byte: int) -> str | None:
    """The text of one byte, "" where the codec waits for more, None where it has no meaning."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(bytes([byte]))
    except UnicodeError:
        return None
