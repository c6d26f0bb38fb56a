"""A report as JSON with all verdicts in it, written slice by slice: memory does not grow with their number."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

from datadiet_cli.data.mirror import local
from datadiet_cli.report.verdicts import SLICE, VERDICT_COLUMNS, Rows, table_rows

_STEP = "  "
"""What a level is indented by, as in `json.dumps(..., indent=2)`."""


def json_chunks(document: Mapping[str, Any], report: str | None) -> Iterator[bytes]:
    """The document with all verdicts and compared pairs inline, as `json.dumps(..., indent=2)` writes it.

    ASCII only, so that names that are not UTF-8 survive as escapes.

    Args:
        document: of a run, or read from a file.
        report: the report's file, beside which others may hold verdicts and pairs; None if all is in the document.

    Raises:
        OSError: a file beside the report cannot be read.
        ValueError: it is damaged.
    """
    before = "{\n"
    for key, value in {**document, "verdicts_file": None}.items():
        head = f"{before}{_STEP}{encode_basestring_ascii(key)}: "
        before = ",\n"
        if key == "verdicts":
            yield from _array(head, _verdict_texts(document, report), 1)
        elif key == "comparisons" and value is not None:
            yield from _compared(head, document, report)
        else:
            yield (head + indented(value, 1)).encode("ascii")
    yield b"\n}\n"


def each_verdict(document: Mapping[str, Any], report: str | None) -> Iterator[dict[str, Any]]:
    """All verdicts of a document as JSON objects, one by one, from wherever they are.

    Args:
        document: as for `json_chunks`.
        report: as for `json_chunks`.

    Raises:
        OSError: as `json_chunks`.
        ValueError: as `json_chunks`.
    """
    rows = document["verdicts"]
    if not isinstance(rows, Rows) and (document["verdicts_file"] is None or report is None):
        yield from rows
        return
    for columns in _verdict_slices(document, report):
        for row in zip(*columns.values(), strict=True):
            yield dict(zip(columns, row, strict=True))


def pair_rows(document: Mapping[str, Any], report: str | None) -> Iterable[Sequence[Any]]:
    """The compared pairs of a document, from wherever they are.

    Args:
        document: as for `json_chunks`.
        report: as for `json_chunks`.

    Raises:
        OSError: as `json_chunks`.
        ValueError: as `json_chunks`.
    """
    block = document["comparisons"]
    if block["file"] is None or report is None:
        pairs: Iterable[Sequence[Any]] = block["pairs"]
        return pairs
    return (row for table in table_rows(beside(report, block["file"])) for row in zip(*table.values(), strict=True))


def check_beside(document: Mapping[str, Any], report: str) -> None:
    """Read once what stands beside a report, so that damage is known before anything is written.

    Args:
        document: read from a file.
        report: that file.

    Raises:
        OSError: a file beside the report cannot be read.
        ValueError: it is damaged.
        KeyError: it, or the document, lacks what it must have.
        TypeError: the document has something else in its place.
    """
    iter(document["verdicts"])
    if document["verdicts_file"] is not None:
        for columns in _verdict_slices(document, report):
            for name in VERDICT_COLUMNS:
                columns[name]
    if document.get("comparisons") is not None:
        for pair in pair_rows(document, report):
            iter(pair)


def beside(report: str, name: str) -> str:
    """A file that a report names: beside the report, whatever that is called now."""
    return local(os.path.join(os.path.dirname(report), os.path.basename(name)))


def indented(value: object, level: int) -> str:
    """A JSON value as it stands `level` levels deep, but for the indent of its first line."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, indent=len(_STEP)).replace("\n", "\n" + _STEP * level)
    # An encoder is made anew for each value that indents; numbers, which are many, need none.
    return float.__repr__(value) if isinstance(value, float) and isfinite(value) else json.dumps(value)


def _verdict_slices(document: Mapping[str, Any], report: str | None) -> Iterator[dict[str, list[Any]]]:
    rows = document["verdicts"]
    if isinstance(rows, Rows):
        yield from rows.slices()
        return
    for columns in table_rows(beside(report or "", document["verdicts_file"])):
        yield {**columns, "evidence": [e if e is None else json.loads(e) for e in columns["evidence"]]}


def _verdict_texts(document: Mapping[str, Any], report: str | None) -> Iterator[list[str]]:
    """The verdicts as JSON texts, a list each slice."""
    rows = document["verdicts"]
    if not isinstance(rows, Rows) and (document["verdicts_file"] is None or report is None):
        yield from _sliced(indented(row, 2) for row in rows)
        return
    for columns in _verdict_slices(document, report):
        # A row by itself costs the encoder, which is written in Python where it indents, ten times as much.
        lines = (f"{_STEP * 3}{encode_basestring_ascii(name)}: %s" for name in columns)
        template = "{\n" + ",\n".join(lines) + f"\n{_STEP * 2}}}"
        texts = [[indented(value, 3) for value in values] for values in columns.values()]
        yield [template % row for row in zip(*texts, strict=True)]


def _compared(head: str, document: Mapping[str, Any], report: str | None) -> Iterator[bytes]:
    """The block of what was compared."""
    before = head + "{\n"
    pairs = pair_rows(document, report)
    block = document["comparisons"] if report is None else {**document["comparisons"], "file": None}
    for key, value in block.items():
        start = f"{before}{_STEP * 2}{encode_basestring_ascii(key)}: "
        before = ",\n"
        if key == "pairs":
            yield from _array(start, _sliced(indented(list(pair), 3) for pair in pairs), 2)
        else:
            yield (start + indented(value, 2)).encode("ascii")
    yield f"\n{_STEP}}}".encode("ascii")


def _sliced(texts: Iterator[str]) -> Iterator[list[str]]:
    while part := list(islice(texts, SLICE)):
        yield part


def _array(head: str, slices: Iterable[Sequence[str]], level: int) -> Iterator[bytes]:
    """An array whose items stand one level deeper, after what comes before it."""
    before, between = head + "[\n", ",\n" + _STEP * (level + 1)
    for texts in slices:
        if texts:
            yield (before + _STEP * (level + 1) + between.join(texts)).encode("ascii")
            before = ",\n"
    yield (f"{head}[]" if before != ",\n" else f"\n{_STEP * level}]").encode("ascii")
