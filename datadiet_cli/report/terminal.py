"""What people see on stderr: progress bars and a short summary. Names are text, never markup, never control codes."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from datadiet_cli.report.telling import details, headline

SKIPPED_SHOWN = 5


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The text with control characters, and bytes that are not UTF-8, written as escapes."""
    kept = "\n\t" if keep_lines else ""
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Give a function that announces work; bars are shown only when stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _label, _total: lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:

        def announce(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total or None)
            return lambda done: bars.update(task, advance=done)

        yield announce


def say(text: str) -> None:
    """Print lines for people on stderr."""
    print(text, file=sys.stderr)  # noqa: T201 - the one place that does


def summary(document: Mapping[str, Any]) -> str:
    """One screen about a run: what went in, what each step took, what came out, and every gate."""
    before, after, figures = document["input"], document["output"], document["figures"]
    lines = [f"{printable(before['path'])}: {_plural(before['samples'], 'sample')}, {before['layout']}"]
    told = [(i, step) for i, step in enumerate(document["steps"]) if step["name"] != "open" or step["verdicts"]]
    width = max([10, *(len(step["name"]) for _, step in told)])
    for number, step in told:
        lines.append(f"  {step['name']:<{width}} {_step(number, step, document)}")
        timings = document["run"]["steps"][number].get("timings", {})
        lines.extend(f"    {printable(line)}" for line in details(step, timings))
        lost = step["metrics"].get("against_unreadable")
        if lost:
            lines.append(f"  {'note':<10} {_plural(lost, 'sample')} of other datasets could not be read and compared")
        lines.extend(f"  {'note':<10} {printable(note)}" for note in step["metrics"].get("notes", ()))
        idle = step["metrics"].get("without_effect")
        if idle:
            verb = "has" if len(idle["settings"]) == 1 else "have"
            lines.append(f"  {'note':<10} {', '.join(idle['settings'])} {verb} no effect on method {idle['method']}")
    if after["what"] == "dataset":
        lines.extend(_removed(before, after, figures))
    if figures["unreadable"]:
        lines.append(f"  {'unreadable':<10} {_plural(figures['unreadable'], 'sample')}, named in the report")
    if before.get("skipped"):
        lines.append(f"  {'skipped':<10} {_skipped(before['skipped'])}")
    for gate in document["gates"]:
        word = "passed" if gate["passed"] else "FAILED"
        value = f"{gate['value']:.2%}" if gate["limit"].endswith("%") else f"{gate['value']:,}"
        lines.append(f"  {'gate':<10} {gate['name']} {gate['limit']}: {word} with {value}")
    lines.append(_ending(document))
    return "\n".join(lines)


def _removed(before: Mapping[str, Any], after: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    removed = figures["removed"]
    share = f" ({removed / before['samples']:.1%})" if before["samples"] else ""
    size = f", {_difference(before['bytes'], after['bytes'])}"
    if figures["added"]:
        return [f"  {'removed':<10} {removed:,}{share}", f"  {'added':<10} {figures['added']:,}{size}"]
    return [f"  {'removed':<10} {removed:,}{share}{size}"]


def _difference(before: int, after: int) -> str:
    """What was saved, or what it grew by."""
    return size_in_words(before - after) if before >= after else f"{size_in_words(after - before)} more in all"


def _ending(document: Mapping[str, Any]) -> str:
    after = document["output"]
    count = _plural(after["samples"], "sample")
    path = "" if after["path"] is None else printable(after["path"].rstrip("/"))
    if after["what"] == "report":
        failed = "" if all(gate["passed"] for gate in document["gates"]) else "a gate failed; "
        return f"{failed}report in {path}" if path else f"{failed}no report was written; name one: REPORT.json"
    if not all(gate["passed"] for gate in document["gates"]):
        return f"a gate failed; nothing was written ({count} would remain)"
    if after["what"] == "model" and not document["published"]:
        return "nothing was written"
    if document["published"]:
        if after["what"] == "model":
            return f"{path}: the model; report in {path}.report.json"
        return f"{path}: {count}, {size_in_words(after['bytes'])}; report in {path}.report.json"
    return f"nothing was written; {count} would remain"


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
    return f"{_plural(len(paths), 'file')} {what} {'it' if len(paths) == 1 else 'them'}: {shown}{more}"


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


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_in_words(count: int) -> str:
    """Bytes, in a unit that people read."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
