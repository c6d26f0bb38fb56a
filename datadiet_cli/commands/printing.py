"""A report on its way to a program: in the format that it reads, to where it looks."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datadiet_cli.commands.manner import Format
from datadiet_cli.errors import OutputError
from datadiet_cli.report.formats import FORMATS
from datadiet_cli.report.streaming import json_chunks

if TYPE_CHECKING:
    import polars as pl

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable that names the file whose Markdown GitHub shows beside a job."""


def printed(
    format: Format,
    document: Mapping[str, Any],
    report: str | None,
    verdicts: Callable[[], "pl.DataFrame"],
    page: Callable[[], bytes],
) -> Iterator[bytes]:
    """A report in a format, piece by piece.

    Args:
        format: what a program, or a person, reads.
        document: the report.
        report: its file, beside which very many verdicts are; None if it was not read from one.
        verdicts: gives all of them, as `verdict_frame` does.
        page: makes the page for people.
    """
    if format == "json":
        yield from json_chunks(document, report)
    elif format == "html":
        yield page()
    else:
        for text in FORMATS[format](document, verdicts()):
            yield text.encode("utf-8", "backslashreplace")


def deliver(chunks: Iterable[bytes], format: Format, environment: Mapping[str, str]) -> None:
    """Write to stdout, or Markdown to the end of the file where GitHub looks for it.

    Raises:
        OutputError: that file cannot be written.
    """
    place = environment.get(SUMMARY) if format == "markdown" else None
    if not place:
        sys.stdout.buffer.writelines(chunks)
        return
    try:
        with open(place, "ab") as file:
            file.writelines(chunks)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written: {error.strerror}; {SUMMARY} names it") from error
