"""The page of a run, made from its report and the samples that are still there."""

import contextlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.mirror import local
from datadiet_cli.data.publish import write_atomically
from datadiet_cli.errors import OutputError
from datadiet_cli.report.build import ARTEFACTS, report_path
from datadiet_cli.report.frame import verdict_frame

if TYPE_CHECKING:
    import polars as pl

_JSON = ".json"
_MARK = b'<meta name="generator" content="datadiet '
_HEAD = 2_000
"""Bytes at the beginning of a page that have the mark."""


def page_path(report: str) -> str:
    """Where the page of a report stands: ``clean.report.html`` beside ``clean.report.json``."""
    return report.removesuffix(_JSON) + ".html"


def page_of(
    document: Mapping[str, Any],
    verdicts: "pl.DataFrame",
    report: str | None,
    dataset: Dataset | None,
    notice: str | None = None,
) -> bytes:
    """The page of a report.

    Args:
        document: the report.
        verdicts: all of them, as `verdict_frame` gives them.
        report: its file, None if there is none; what stands beside OUTPUT is read.
        dataset: INPUT, whose samples are shown; None if it is not to be had.
        notice: why it is not.

    Raises:
        OSError: a file beside the report cannot be read.
    """
    from datadiet_cli.report.html.page import render
    from datadiet_cli.report.html.samples.content import Content

    common = Common.model_validate(document["settings"])
    content = Content(dataset, max_pixels=common.max_pixels, encoding=common.encoding, workers=common.workers)

    def beside(ending: str) -> bytes | None:
        if report is None or ending not in ARTEFACTS or ending not in document["artefacts"]:
            return None
        place = report.removesuffix(report_path("")) + ending
        with contextlib.suppress(FileNotFoundError), open(local(place), "rb") as file:
            return file.read()
        return None

    return render(document, verdicts, content, beside, notice)


def check_page(path: str, *, force: bool) -> None:
    """Refuse to write a page over something else.

    Args:
        path: where it is to go.
        force: whether what is there may be replaced.

    Raises:
        OutputError: there is a file that is no page of a report.
    """
    if not force and os.path.lexists(path) and not is_page(path):
        raise OutputError(
            f"{path}: exists already, and is no report of datadiet; name another OUTPUT, pass --no-html, or --force"
        )


def is_page(path: str) -> bool:
    """Whether a file is such a page."""
    try:
        with open(local(path), "rb") as file:
            return _MARK in file.read(_HEAD)
    except OSError:
        return False


def forget_page(report: str) -> None:
    """Remove the page of a report that is about to be replaced."""
    path = page_path(report)
    if is_page(path):
        os.unlink(path)


def write_page(document: Mapping[str, Any], report: str, dataset: Dataset) -> None:
    """Write the page of a run beside its report.

    Raises:
        OutputError: it cannot be written.
    """
    path = page_path(report)
    page = page_of(document, verdict_frame(document, report), report, dataset)
    try:
        write_atomically(path, page)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; all else is complete, and this page can be made "
            f"again: datadiet report {os.path.basename(report)}"
        ) from error
