"""The commands on reports that were written before."""

from typing import Annotated, Any, Literal

import typer

from datadiet_cli.commands.manner import Format
from datadiet_cli.config.base import Common
from datadiet_cli.config.dedup import THRESHOLDS
from datadiet_cli.config.registry import settings_of
from datadiet_cli.flags import EPILOG, MANNER, Quiet, divide, options, set_signature

Report = Annotated[str, typer.Argument(metavar="REPORT.json", help="The report of a run.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("report", help="Give a report as a page for people, or in a format that a program reads.")(_report)
    app.command("explain", help="Say in words what became of one sample and why, from the report of a run.")(_explain)
    app.command("diff", help="Say what is new, gone and changed between two runs.")(_diff)
    app.command(
        "rethreshold",
        help="Decide a dedup again by another threshold, from its report, without reading a sample.",
        epilog=EPILOG,
    )(_rethreshold)
    app.command(
        "baseline", help="Write down the findings of a report as accepted; --baseline FILE then leaves them alone."
    )(_baseline)
    app.command("restore", help="Rebuild what a run was given, what it left after a step, or what it dropped.")(
        _restore
    )
    app.command("verify", help="Check that a published OUTPUT is still what its report says.")(_verify)


def _report(
    report: Report,
    input: Annotated[
        str | None, typer.Argument(help="The dataset, if it is no longer where it was.", show_default=False)
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="What to make of it.")] = "html",
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="The file to write, or -: html goes beside the report, all else to stdout."
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    from datadiet_cli.commands.report import report as give

    return give(report, input, format=format, output=output, force=force, quiet=quiet)


def _diff(
    before: Annotated[str, typer.Argument(metavar="A.json", help="The report of the one run.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B.json", help="The report of the later run.", show_default=False)],
    format: Annotated[
        Literal["text", "json", "github", "markdown"], typer.Option("--format", help="What to print.")
    ] = "text",
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if there are new findings.")] = False,
    all: Annotated[bool, typer.Option("--all", help="Name all findings, not only the first of each sort.")] = False,
) -> int:
    from datadiet_cli.commands.diff import diff

    return diff(before, after, format=format, check=check, all=all)


def _restore(
    report: Report,
    dest: Annotated[str, typer.Argument(metavar="DEST", help="Where it goes.", show_default=False)],
    source: Annotated[
        str | None, typer.Option("--from", metavar="INPUT", help="The dataset, if it is no longer where it was.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="STEP", help="Name or number of the step whose result it is.")
    ] = None,
    only: Annotated[Literal["dropped"] | None, typer.Option("--only", help="Only what was dropped.")] = None,
    link: Annotated[
        Literal["copy", "hardlink", "symlink"], typer.Option("--link", help="How files get there.")
    ] = "copy",
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    from datadiet_cli.commands.restore import restore

    return restore(report, source, dest, after=after, only=only, link=link, force=force, quiet=quiet)


def _verify(
    output: Annotated[str, typer.Argument(help="The pruned copy, or the model.", show_default=False)],
    report: Annotated[str | None, typer.Option("--report", help="Its report; the one beside it if not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what differs as JSON.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="How many threads read at once.")] = None,
    quiet: Quiet = False,
) -> int:
    from datadiet_cli.commands.verify import verify

    return verify(output, report=report, json=json, workers=workers, quiet=quiet)


def _rethreshold(
    report: Annotated[str, typer.Argument(help="The report of a dedup.", show_default=False)],
    output: Annotated[
        str | None, typer.Argument(help="The pruned copy; without it nothing is written.", show_default=False)
    ] = None,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.rethreshold import rethreshold

    manner, settings = divide(flags)
    return rethreshold(report, output, settings, manner)


# The settings that may be moved, and those that say how the result is written and judged.
_MOVABLE = THRESHOLDS | {"max_removed", "link"}
set_signature(_rethreshold, MANNER + [p for p in options(settings_of("dedup"), Common) if p.name in _MOVABLE])


def _explain(
    report: Annotated[str, typer.Argument(help="The report of a run.", show_default=False)],
    sample: Annotated[
        str,
        typer.Argument(
            metavar="SAMPLE_ID", help="The sample, as the report and --list name it; after -- if it begins with a dash."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print its verdicts as JSON.")] = False,
) -> int:
    from datadiet_cli.commands.explain import explain

    return explain(report, sample, json=json)


def _baseline(
    report: Annotated[str, typer.Argument(help="The report of a run.", show_default=False)],
    file: Annotated[
        str | None,
        typer.Argument(help="The file to write, beside OUTPUT if not given; - for stdout.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    quiet: Quiet = False,
) -> int:
    from datadiet_cli.commands.baseline import baseline

    return baseline(report, file, force=force, quiet=quiet)
