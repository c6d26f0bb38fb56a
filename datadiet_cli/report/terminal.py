"""What people see on stderr: progress bars and a short summary. Names are text, never markup, never control codes."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from datadiet_cli.report.screen import NARROWEST, Line, Screen, fold
from datadiet_cli.report.telling import blocks, headline
from datadiet_cli.report.words import plural, size_in_words

SKIPPED_SHOWN = 5
ESCAPE = "\x1b"
_COLUMN = 10
"""Letters of the words that lines begin with, at least."""
_WITHIN = "    "
"""What stands before the details of a step."""

Announce = Callable[[str, int], Callable[[int], None]]
"""Told a label and how much there is to do, it gives a function that is told how much of it was done."""


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The text with control characters, and bytes that are not UTF-8, written as escapes."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Announce]:
    """Give a function that announces work; bars are shown only when stderr is a terminal that can move its cursor."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _label, _total: lambda _done: None
        return
    from datadiet_cli.report.progress import bars

    with bars() as announce:
        yield announce


def placed(announce: Announce, number: int, count: int, name: str) -> Announce:
    """Announce work of a step with its place in the pipeline, such as `2/5 denoise: reading texts`."""
    if count == 1:
        return announce
    return lambda label, total: announce(f"{number}/{count} {name}: {label}", total)


def say(text: str) -> None:
    """Print lines for people on stderr; on a terminal, what is longer than a row goes on below, further in."""
    if sys.stderr.isatty():
        width = Screen.of(sys.stderr, os.environ).width or 0
        text = "\n".join(row for line in text.split("\n") for row in _folded(line, width))
    print(text, file=sys.stderr)  # noqa: T201 - the one place that does


def _folded(line: str, width: int) -> list[str]:
    if ESCAPE in line:
        return [line]
    within = len(line) - len(line.lstrip(" ")) + 4
    first, *more = fold(line, max(width, NARROWEST))
    room = max(width - within, NARROWEST)
    return [first, *(" " * within + row for row in fold(" ".join(more), room) if row)]


def summary(document: Mapping[str, Any]) -> str:
    """One screen about a run: what went in, what each step took, what came out, and every gate.

    Where stderr is a terminal, it is as wide and as high as that, in colour if the environment lets it.
    """
    screen = Screen.of(sys.stderr, os.environ)
    return screen.show(_lines(document, screen.width))


def _lines(document: Mapping[str, Any], width: int | None) -> Iterator[Line]:
    """The summary of a report.

    Args:
        document: the report.
        width: of the terminal, None if it is none.
    """
    before, after, figures = document["input"], document["output"], document["figures"]
    yield Line("", f"{printable(before['path'])}: {plural(before['samples'], 'sample')}, {before['layout']}")
    told = [(i, step) for i, step in enumerate(document["steps"]) if step["name"] != "open" or step["verdicts"]]
    column = max([_COLUMN, *(len(step["name"]) for _, step in told)])

    def label(word: str) -> str:
        # Scripts may read what is piped: there, these stand where they always stood.
        return f"  {word:<{_COLUMN if width is None else column}} "

    for number, step in told:
        yield Line(f"  {step['name']:<{column}} ", _step(number, step, document), "step")
        timings = document["run"]["steps"][number].get("timings", {})
        for kind, lines in blocks(step, timings, None if width is None else width - len(_WITHIN)):
            yield from (Line(_WITHIN, printable(line), kind=kind) for line in lines)
        yield from (Line(label("note"), note, "note") for note in _notes(step["metrics"]))
    if after["what"] == "dataset":
        yield from (Line(label(word), said) for word, said in _removed(before, after, figures))
    engine = document["environment"].get("engine", {})
    if engine.get("name") == "dask" and engine["workers"]:
        yield Line(label("engine"), _cluster(engine))
    if figures["unreadable"]:
        yield Line(label("unreadable"), f"{plural(figures['unreadable'], 'sample')}, named in the report")
    if before.get("skipped"):
        yield Line(label("skipped"), _skipped(before["skipped"]))
    for gate in document["gates"]:
        word = "passed" if gate["passed"] else "FAILED"
        said = f"{gate['name']} {gate['limit']}: {word} with {met(gate)}"
        yield Line(label("gate"), said, "good" if gate["passed"] else "bad", whole=True)
    failed = not all(gate["passed"] for gate in document["gates"])
    yield Line("", _ending(document), "bad" if failed else "", whole=True)


def _cluster(engine: Mapping[str, Any]) -> str:
    """Where a Dask cluster was, and how large."""
    place = engine["scheduler"]
    where = "of this machine, reachable from it alone" if place is None else f"at {printable(place)}"
    return f"Dask cluster {where}: {plural(engine['workers'], 'worker')}, {plural(engine['threads'], 'thread')}"


def met(gate: Mapping[str, Any]) -> str:
    """What a gate met: a share, a number of samples, or another number as exactly as it takes to see why."""
    value = gate["value"]
    if str(gate["limit"]).endswith("%"):
        return f"{value:.2%}"
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    telling = 4 if gate["passed"] else 8
    before_point = 0 if value == 0 else math.floor(math.log10(abs(value))) + 1
    said = f"{value:,.{max(0, telling - before_point)}f}"
    return said.rstrip("0").rstrip(".") if "." in said else said


def _notes(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What is to be known about a step besides what it did."""
    lost = metrics.get("against_unreadable")
    if lost:
        yield f"{plural(lost, 'sample')} of other datasets could not be read and compared"
    yield from map(printable, metrics.get("notes", ()))
    idle = metrics.get("without_effect")
    if idle:
        verb = "has" if len(idle["settings"]) == 1 else "have"
        yield f"{', '.join(idle['settings'])} {verb} no effect on method {idle['method']}"


def _removed(
    before: Mapping[str, Any], after: Mapping[str, Any], figures: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    removed = figures["removed"]
    share = f" ({removed / before['samples']:.1%})" if before["samples"] else ""
    size = f", {_difference(before['bytes'], after['bytes'])}"
    yield "removed", f"{removed:,}{share}" + ("" if figures["added"] else size)
    if figures["added"]:
        yield "added", f"{figures['added']:,}{size}"


def _difference(before: int, after: int) -> str:
    """What was saved, or what it grew by."""
    return size_in_words(before - after) if before >= after else f"{size_in_words(after - before)} more in all"


def _ending(document: Mapping[str, Any]) -> str:
    after = document["output"]
    count = plural(after["samples"], "sample")
    path = "" if after["path"] is None else printable(after["path"].rstrip("/"))
    if after["what"] == "report":
        failed = "" if all(gate["passed"] for gate in document["gates"]) else "a gate failed; "
        said = f"report in {_both(path, document)}" if path else "no report was written; name one: REPORT.json"
        return f"{failed}{said}"
    if not all(gate["passed"] for gate in document["gates"]):
        return f"a gate failed; nothing was written ({count} would remain)"
    if after["what"] == "model" and not document["published"]:
        return "nothing was written"
    if document["published"]:
        what = "the model" if after["what"] == "model" else f"{count}, {size_in_words(after['bytes'])}"
        return f"{path}: {what}; report in {_both(f'{path}.report.json', document)}"
    return f"nothing was written; {count} would remain"


def _both(report: str, document: Mapping[str, Any]) -> str:
    """The report, and its page, which is what people open."""
    if not document["settings"].get("html"):
        return report
    stem = report.removesuffix(".json")
    return f"{stem}.html and .json" if stem != report else f"{report}.html and {report}"


def _step(number: int, step: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    said = headline(step, [column for column in document["columns"] if column["step_number"] == number])
    parts = [] if said is None else [printable(said)]
    for action, reasons in step["verdicts"].items():
        said = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        parts.append(f"{_DONE.get(action, action)} {said}")
    return "; ".join(parts) or "nothing found"


def _skipped(paths: Sequence[str]) -> str:
    """Files that go missing without a verdict, since they are no samples: labels, say, or tables."""
    what = "cannot be copied, and OUTPUT lacks"
    shown = ", ".join(printable(path) for path in paths[:SKIPPED_SHOWN])
    more = f" and {len(paths) - SKIPPED_SHOWN:,} more" if len(paths) > SKIPPED_SHOWN else ""
    return f"{plural(len(paths), 'file')} {what} {'it' if len(paths) == 1 else 'them'}: {shown}{more}"


_DONE = {
    "drop": "dropped",
    "flag": "flagged",
    "relabel": "relabelled",
    "impute": "imputed",
    "add": "added",
    "weigh": "weighed",
    "accept": "accepted",
}


_BESIDE = {"outlier": "far from", "wrong-label": "beside", "undersampled": "like"}
"""How a witness is spoken of; most are what the sample is a copy of, or made of."""


def verdict_line(row: Mapping[str, Any]) -> str:
    """One verdict as a line, for --verbose."""
    link = _BESIDE.get(row["reason"], "of")
    witness = f" {link} {printable(row['witness'])}" if row["witness"] is not None else ""
    limit = "" if row["threshold"] is None else f", threshold {row['threshold']:g}"
    score = "" if row["score"] is None else f" (score {row['score']:g}{limit})"
    detail = f": {printable(row['detail'])}" if row["detail"] else ""
    return f"  {row['action']} {printable(row['id'])}: {row['reason']}{witness}{score}{detail}"
