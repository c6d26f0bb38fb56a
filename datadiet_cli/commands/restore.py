"""`datadiet restore REPORT --from INPUT DEST`: what a run was given, had in between, made, or threw away."""

import os
from collections.abc import Mapping
from typing import Any, Literal

from datadiet_cli import digestfile, digests
from datadiet_cli.changes import Workshop
from datadiet_cli.commands.reading import read_report
from datadiet_cli.config.base import Common
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.mirror import exists
from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.publish import check_apart, check_output
from datadiet_cli.data.wording import escaped
from datadiet_cli.errors import ConfigError, ExitCode, InputError, OutputError
from datadiet_cli.publishing import put
from datadiet_cli.recording import reader
from datadiet_cli.report.build import report_path
from datadiet_cli.report.terminal import printable, progress_bars, say
from datadiet_cli.report.words import plural
from datadiet_cli.request import Progress, reading_of
from datadiet_cli.restoring import (
    DAMAGED,
    Past,
    check_form,
    check_names,
    check_table,
    expected_of,
    is_table,
    only_dropped,
    read_past,
    refuse,
    state_after,
    tables_read,
)

SHOWN = 10
"""Names of files that a message has."""
OPEN = "open"

Only = Literal["dropped"]
Link = Literal["copy", "hardlink", "symlink"]


def restore(
    report: str,
    source: str | None,
    dest: str,
    *,
    after: str | None = None,
    only: Only | None = None,
    link: Link = "copy",
    force: bool = False,
    quiet: bool = False,
) -> int:
    """Rebuild a dataset and give the exit code. INPUT and OUTPUT stay as they are.

    Args:
        report: of the run.
        source: INPUT, wherever it is now; None for where it was.
        dest: the place of what is rebuilt.
        after: a step, by its name or number; 0 and ``open`` for INPUT as it was opened; None for the last step.
        only: ``dropped`` for the samples that the steps so far dropped, as INPUT has them.
        link: how files get into `dest`.
        force: whether a `dest` that exists is replaced.
        quiet: whether to say nothing.

    Raises:
        ConfigError: there is no such step, or nothing to go by.
        InputError: the report is damaged, or INPUT is not what it was.
        OutputError: `dest` cannot be written.
    """
    document = read_report(report)
    check_form(report, document)
    last = _step(report, document, after)
    past = _past(report, document)
    common = Common.model_validate(document["settings"]).model_copy(update={"link": link})
    place = document["input"]["path"] if source is None else source
    if source is None and not exists(place):
        raise InputError(f"{place}: is not there, where {report} says INPUT was; if it has moved, say where: --from")
    check_table(past, place, SHOWN)
    opened = open_dataset(place, reading_of(common))
    _check_place(report, place, dest, opened, link, force=force)
    with Workshop() as workshop, progress_bars(quiet=quiet) as progress:
        rebuilt, gone = _rebuild(past, opened, last, only, workshop, common, progress)
        whole = only is None and last == len(document["steps"]) - 1
        checked = _publish(past, opened, rebuilt, dest, common, progress, whole=whole, force=force)
    if not quiet:
        name = document["steps"][last]["name"]
        were = "was" if len(rebuilt) == 1 else "were"
        they = "it was" if len(rebuilt) == 1 else "they were"
        what = f"that {were} dropped" if only else f"as {they} after {name}" if last else f"as {they} opened"
        files = f"{checked:,} file{'s' if checked != 1 else ''} verified"
        if not checked and is_table(opened):
            # Of a table in between nothing is known but what it is made of.
            files = "INPUT verified"
        say(f"{printable(dest)}: {plural(len(rebuilt), 'sample')} {what}; {files}")
        if gone:
            say(f"{plural(gone, 'sample')} more that cannot be copied, such as broken links: not restored")
    return ExitCode.DONE


def _step(report: str, document: Mapping[str, Any], after: str | None) -> int:
    """The number of a step that is named."""
    names = [str(step["name"]) for step in document["steps"]]
    if document["output"]["what"] != "dataset":
        raise ConfigError(f"{report}: that run made no dataset, but a {document['output']['what']}")
    if after is None:
        return len(names) - 1
    if after.isascii() and after.isdigit() and int(after) < len(names):
        return int(after)
    found = [number for number, name in enumerate(names) if name == after]
    if not found:
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
        raise ConfigError(f"--after {after}: there was no such step; there were {known}")
    return found[-1]


def _past(report: str, document: Mapping[str, Any]) -> Past:
    """What the report and the files beside it say."""
    if not document.get("published"):
        raise ConfigError(f"{report}: that run wrote nothing, and noted no digests to verify by; run it with an OUTPUT")
    if document.get("digests") is None:
        raise ConfigError(
            f"{report}: has no digests to verify by, for it was written by an earlier version; run the command again"
        )
    try:
        files = digestfile.read_rows(document, report) or []
        block = document.get("changes")
        content = None if block is None else digestfile.read_beside(block, report)
        return read_past(report, document, files, content)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: is missing; it belongs to {report}, and must stand beside it") from error
    except DAMAGED as error:
        raise InputError(f"{report}: is damaged, or a file beside it ({error}); run the command again") from error


def _check_place(report: str, place: str, dest: str, opened: Dataset, link: str, *, force: bool) -> None:
    """Refuse a DEST that would endanger INPUT, the report, or what is there."""
    check_output(place, dest, force=force)
    check_apart(report, dest, "the report")
    if os.path.realpath(report_path(dest)) == os.path.realpath(report):
        raise OutputError(f"{dest}: is the OUTPUT of {report}, which would go with it; name another place")
    if not is_table(opened):
        return
    given, wanted = (os.path.splitext(path.rstrip("/"))[1].lower() for path in (dest, place))
    if given != wanted:
        raise OutputError(f"{dest}: what is restored keeps the format of INPUT; give it a name that ends in {wanted}")
    if link != "copy":
        raise ConfigError(f"--link {link}: a single file is written anew and cannot be a link; use copy")


def _rebuild(
    past: Past, opened: Dataset, last: int, only: Only | None, workshop: Workshop, common: Common, progress: Progress
) -> tuple[Dataset, int]:
    """The dataset to write, once it is sure that INPUT is what it was as far as it is not copied.

    Returns:
        it, and the number of samples that were dropped and cannot be copied.
    """
    check_names(past, opened, SHOWN)
    expected = tables_read(past, opened)
    with reader(common) as engine:
        found = digests.contents_named(opened.source, expected.keys(), engine)
        refuse(past, opened.source.path, digests.compare(expected, found), SHOWN)
        if only is not None:
            return only_dropped(past, opened, last)
        if past.changes is None and last > 0:
            raise ConfigError(
                f"{past.report}: the run changed more than could be written down; only --after {OPEN} and --only "
                "dropped can be restored"
            )
        return state_after(past, opened, last, workshop, engine, common.max_pixels, common.encoding, progress), 0


def _publish(
    past: Past,
    opened: Dataset,
    rebuilt: Dataset,
    dest: str,
    common: Common,
    progress: Progress,
    *,
    whole: bool,
    force: bool,
) -> int:
    """Write the dataset, whole and verified or not at all; give the number of files that were verified."""
    expected = expected_of(past, rebuilt, whole=whole)

    def write(path: str) -> None:
        rebuilt.source.write(rebuilt.rows, path, common.link)

    def look(path: str) -> int:
        with reader(common) as engine:
            found = digests.contents_at(path, engine, progress, follow=True)
        differences = digests.compare(expected, found)
        if not whole:
            # What is written anew in between is not in the report; what it is made of was verified.
            differences = differences._replace(added=[])
        _refuse(past, opened, rebuilt, differences)
        return sum(content.digest is not None for content in expected.values())

    progress("writing", 0)
    return put(dest, write, look, directory=not is_table(opened), force=force)


def _refuse(past: Past, opened: Dataset, rebuilt: Dataset, found: digests.Differences) -> None:
    """Refuse to publish what is not as it was; tell what has changed in INPUT from what came out otherwise."""
    copies: set[str] = set()
    if not is_table(opened):
        copies = {escaped(copy) for copy in digests.copied_files(rebuilt).values()}
    changed = [name for name in found.changed if name in copies]
    refuse(past, opened.source.path, found._replace(changed=changed), SHOWN)
    others = [name for name in found.changed if name not in copies]
    if others:
        more = ", ..." if len(others) > SHOWN else ""
        raise InputError(
            f"{past.report}: {len(others):,} of the files came out otherwise than they were "
            f"({', '.join(others[:SHOWN])}{more}), though INPUT is the same: another version of datadiet, or of a "
            "library, made them; nothing was restored"
        )
