"""`datadiet diff A.report.json B.report.json`: what is new, gone and changed between two runs."""

import sys
from collections.abc import Sequence
from typing import Any, Literal

from datadiet_cli.commands.reading import dataset_of, read_report, undamaged, verdicts_of
from datadiet_cli.errors import ExitCode, InputError
from datadiet_cli.report.differences import Differences, differences
from datadiet_cli.report.formats.diffs import FORMATS, SHOWN, Compared, in_words


def diff(
    before: str, after: str, *, format: Literal["text", "json", "github", "markdown"], check: bool, all: bool
) -> int:
    """Print what differs between two runs to stdout; findings are told apart by sample and reason.

    Args:
        before: the report of the first run.
        after: the report of the second.
        format: how to print it.
        check: whether new findings end with exit code 1.
        all: whether to name all that differs, in words.

    Raises:
        InputError: a report is none or is damaged.
    """
    documents = read_report(before), read_report(after)
    found, unknown = _differences(documents, (before, after))
    compared = Compared((before, after), documents[1], found, unknown)
    lines = in_words(compared, None if all else SHOWN) if format == "text" else FORMATS[format](compared)
    sys.stdout.buffer.writelines(text.encode("utf-8", "backslashreplace") for text in lines)
    return ExitCode.GATE_FAILED if check and len(found.new) else ExitCode.DONE


def _differences(documents: Sequence[dict[str, Any]], reports: tuple[str, str]) -> tuple[Differences, str]:
    """What differs, and why it is not known which samples only one dataset has; empty if it is."""
    verdicts = verdicts_of(documents[0], reports[0]), verdicts_of(documents[1], reports[1])
    ids, unknown = _ids(documents, reports)
    with undamaged(" or ".join(reports)):
        return differences(documents[0], documents[1], verdicts, ids), unknown


def _ids(documents: Sequence[dict[str, Any]], reports: Sequence[str]) -> tuple[tuple[list[str], list[str]] | None, str]:
    """The samples of both datasets where they are not the same one, as far as they can still be opened."""
    if documents[0]["input"]["fingerprint"] == documents[1]["input"]["fingerprint"]:
        return ([], []), ""
    try:
        one, other = (dataset_of(*pair).ids for pair in zip(reports, documents, strict=True))
    except InputError as error:
        return None, str(error)
    return (one, other), ""
