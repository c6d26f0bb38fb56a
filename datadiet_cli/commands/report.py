"""`datadiet report REPORT.json [INPUT]`: a report again, for people or for the program that reads it."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from datadiet_cli.commands.manner import Format
from datadiet_cli.commands.printing import deliver, printed
from datadiet_cli.commands.reading import dataset_of, each_undamaged, read_report, undamaged, verdicts_of
from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.publish import check_apart, check_file, check_folder, write_atomically
from datadiet_cli.errors import ExitCode, InputError, OutputError
from datadiet_cli.report.pages import is_page, page_of, page_path
from datadiet_cli.report.streaming import check_beside
from datadiet_cli.report.terminal import printable, say
from datadiet_cli.request import reading_of

if TYPE_CHECKING:
    import polars as pl

STDOUT = "-"


def report(path: str, source: str | None, *, format: Format, output: str | None, force: bool, quiet: bool) -> int:
    """Give a report in another format. A page goes beside the report, all else to stdout, unless told otherwise.

    Args:
        path: the report.
        source: INPUT, where it is now; where the report says if not given.
        format: what it is to be.
        output: a file to write, or ``-`` for stdout.
        force: whether a file that is no page of ours may be replaced.
        quiet: whether to say nothing.

    Raises:
        InputError: the report is none or is damaged, or the INPUT that was named is another dataset.
        OutputError: the file cannot be written, or is somebody else's.
    """
    document = read_report(path)
    if output is None and format == "html":
        output = page_path(path)
    elif output not in (None, STDOUT):
        _check_place(path, str(output), _input(path, source, document))

    def verdicts() -> "pl.DataFrame":
        return verdicts_of(document, path)

    def page() -> bytes:
        dataset, notice = _samples(path, source, document)
        if notice is not None and not quiet:
            say(notice)
        return page_of(document, verdicts(), path, dataset, notice)

    chunks = each_undamaged(printed(format, document, path, verdicts, page), path)
    with undamaged(path):
        if format in ("json", "json-lines"):
            # What is written bit by bit must be whole before the first bit.
            check_beside(document, path)
    if output in (None, STDOUT):
        deliver(chunks, format, os.environ if output is None else {})
    else:
        _write(str(output), chunks, force=force, quiet=quiet)
    return ExitCode.DONE


def _samples(path: str, source: str | None, document: Mapping[str, Any]) -> tuple[Dataset | None, str | None]:
    """INPUT, or why it cannot be had; if it was named, that is an error."""
    if source is not None:
        dataset = open_dataset(source, reading_of(Common.model_validate(document["settings"])))
        if dataset.source.fingerprint() != document["input"]["fingerprint"]:
            raise InputError(f"{source}: is not what {path} was made of; name the INPUT of that run")
        return dataset, None
    try:
        return dataset_of(path, document), None
    except InputError as error:
        return None, f"Samples are not shown. {printable(str(error))}"


def _input(path: str, source: str | None, document: Mapping[str, Any]) -> str | None:
    """Where INPUT is; None if that is not known, as a path that a run was given counts from where it was made."""
    place: str = document["input"]["path"]
    if source is not None or os.path.isabs(place):
        return source or place
    try:
        dataset_of(path, document)
    except InputError:
        return None
    return place


def _check_place(report: str, output: str, source: str | None) -> None:
    """Refuse, even by force, to replace the report, or what is no file, such as a device; or to write into INPUT."""
    if source is not None:
        check_apart(source, output, "INPUT")
    if os.path.realpath(output) == os.path.realpath(report):
        raise OutputError(f"{output}: is the report itself; name another file")
    check_file(output)


def _write(path: str, content: Iterable[bytes], *, force: bool, quiet: bool) -> None:
    check_folder(path)
    if not force and os.path.lexists(path) and not is_page(path):
        raise OutputError(f"{path}: exists already; name another file or pass --force")
    try:
        write_atomically(path, content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    if not quiet:
        say(printable(path))
