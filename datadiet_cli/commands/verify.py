"""`datadiet verify OUTPUT`: whether a published copy, and what stands beside it, is still what was written."""

import json as jsonlib
import os
import sys
from typing import Any

from datadiet_cli import digestfile, digests
from datadiet_cli.commands.reading import read_report
from datadiet_cli.data.mirror import exists
from datadiet_cli.data.wording import escaped
from datadiet_cli.digests import Contents, Differences
from datadiet_cli.engine import Engine
from datadiet_cli.errors import ConfigError, ExitCode, InputError
from datadiet_cli.recording import contents_beside
from datadiet_cli.report.build import ARTEFACTS, report_path
from datadiet_cli.report.terminal import printable, progress_bars
from datadiet_cli.restoring import DAMAGED

SHOWN = 10
"""Names that are printed of each kind of difference."""
_WORDS = {"missing": "missing", "changed": "changed", "added": "not of this run"}


def verify(
    output: str, *, report: str | None = None, json: bool = False, quiet: bool = False, workers: Any = None
) -> int:
    """Compare OUTPUT with its report, and say on stdout what differs; give the exit code.

    Every file is read. Names, sizes and contents count, and neither times nor modes nor empty folders.

    Args:
        output: OUTPUT, a folder or a file.
        report: of it; the one beside it for None.
        json: whether to print JSON rather than words.
        quiet: whether to print no words.
        workers: how many threads read; None for as many as there are cores.

    Raises:
        InputError: there is no report, or it is damaged.
        ConfigError: it has no digests, or OUTPUT is a report itself.
    """
    place = _report_of(output) if report is None else report
    document = read_report(place)
    rows = _rows(place, document)
    endings = [ending for ending in ARTEFACTS if ending in document["artefacts"]]
    expected = _named(digestfile.contents_in(rows, digestfile.OUTPUT, digestfile.BOTH), output, "/")
    expected |= _named(digestfile.contents_in(rows, digestfile.BESIDE), output, "")
    with Engine("threads", workers) as engine, progress_bars(quiet=quiet) as progress:
        found = _named(digests.contents_at(output, engine, progress), output, "/")
        found |= _named(contents_beside(output, endings, engine), output, "")
    differences = digests.compare(expected, found)
    if json:
        sys.stdout.write(_as_json(output, place, expected, differences))
    elif not quiet:
        sys.stdout.write(printable(_in_words(output, place, expected, differences), keep_lines=True))
    return ExitCode.GATE_FAILED if any(differences) else ExitCode.DONE


def _report_of(output: str) -> str:
    """The report beside OUTPUT, which may be the folder that the user is in."""
    whole = os.path.abspath(output) if os.path.basename(output.rstrip("/")) in ("", ".", "..") else output
    place = report_path(whole)
    if not exists(place) and output.endswith(report_path("")):
        raise InputError(
            f"{output}: is a report; name the OUTPUT that it belongs to, or pass both: OUTPUT --report REPORT"
        )
    return place


def _rows(place: str, document: dict[str, Any]) -> list[digestfile.Row]:
    """The digests of a report."""
    try:
        if document["output"]["what"] == "report":
            raise ConfigError(f"{place}: is the report of a comparison; there is no OUTPUT to verify")
        rows = digestfile.read_rows(document, place)
        document["artefacts"] = list(document["artefacts"])
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: is missing; it belongs to {place}, and must stand beside it") from error
    except DAMAGED as error:
        raise InputError(f"{place}: is damaged, or a file beside it ({error}); run the command again") from error
    if rows is None:
        why = "was written by an earlier version" if document.get("published") else "is of a run that wrote nothing"
        raise ConfigError(f"{place}: has no digests to verify by, for it {why}; run the command again")
    return rows


def _named(contents: Contents, output: str, between: str) -> dict[str, digests.Content]:
    """Files by the names that people see: those of OUTPUT from its own name on."""
    base = escaped(os.path.basename(os.path.abspath(output)))
    return {base if path == digests.ITSELF else f"{base}{between}{path}": content for path, content in contents.items()}


def _as_json(output: str, report: str, expected: Contents, differences: Differences) -> str:
    whole = {"output": output, "report": report, "whole": not any(differences), "files": len(expected)}
    return jsonlib.dumps({**whole, **differences._asdict()}, indent=2) + "\n"


def _in_words(output: str, report: str, expected: Contents, differences: Differences) -> str:
    """A line for a copy that is whole; else what differs, with the first names of each kind."""
    files = f"{len(expected):,} file{'s' if len(expected) != 1 else ''}"
    if not any(differences):
        return f"{output}: whole; {files} as {report} says\n"
    lines = [f"{output}: differs from what {report} says of {files}"]
    for kind, names in differences._asdict().items():
        if names:
            lines.append(f"  {len(names):,} {_WORDS[kind]}")
            lines += [f"    {printable(name)}" for name in names[:SHOWN]]
            lines += [f"    and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return "\n".join(lines) + "\n"
