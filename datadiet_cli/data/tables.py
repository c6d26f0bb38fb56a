"""The table layer: a table file on disk <-> records in memory, one door for CSV, TSV, JSONL and Parquet."""

import os
from pathlib import Path

from datadiet_cli.data.tablefile import Edits, TableFile, TableFormat
from datadiet_cli.errors import InputError

__all__ = ["Edits", "TableFile", "TableFormat", "is_table", "open_table"]

_CSV = (".csv", ".tsv", ".tab")
_JSONL = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_DETECT = TableFormat()


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether the file's suffix, in upper or lower case, is one of a table."""
    return _suffix(path) in _CSV + _JSONL + _PARQUET


def open_table(path: str | os.PathLike[str], fmt: TableFormat = _DETECT) -> TableFile:
    """Open a table file: find its records and columns, and check that all of it can be read.

    Args:
        path: a file with a suffix that `is_table` knows.
        fmt: how to read it. Parquet has its own answers and JSONL heeds the encoding only.

    Raises:
        InputError: the file is no such table; the message names the place and what to do.
        ConfigError: the format names an unknown encoding or a delimiter that cannot be one.
        OSError: the file cannot be read.
    """
    name, suffix = os.fspath(path), _suffix(path)
    # Each format is loaded when its first file is opened: two of them need a library of their own.
    if suffix in _CSV:
        from datadiet_cli.data.csvfile import CsvFile

        return CsvFile(name, fmt)
    if suffix in _JSONL:
        from datadiet_cli.data.jsonfile import JsonLinesFile

        return JsonLinesFile(name, fmt)
    if suffix in _PARQUET:
        from datadiet_cli.data.parquetfile import ParquetFile

        return ParquetFile(name)
    known = " ".join(_CSV + _JSONL + _PARQUET)
    raise InputError(f"{name}: not a table by its suffix; datadiet reads {known}")


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower()
