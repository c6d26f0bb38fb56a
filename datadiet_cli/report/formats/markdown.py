"""Markdown for the summary of a GitHub job, or a comment: what came of a run, on a page.

GitHub refuses a summary of more than 1 MiB; the caps below keep it far under that, whatever the texts are.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from datadiet_cli.outcome import Action
from datadiet_cli.reasons import reasons_of
from datadiet_cli.report.formats.findings import DONE, Places, Row, findings_of, varied, where_all
from datadiet_cli.report.html.base import plain
from datadiet_cli.report.telling import headline
from datadiet_cli.report.terminal import met
from datadiet_cli.report.words import size_in_words

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
VERDICTS = 50
LINES = 100
"""Rows of every other table."""
_LONGEST = 80
_SIGNS = re.compile(r"([\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_]))|[@#]|://|www\.", re.IGNORECASE)
"""First what starts mark-up, where an underscore within a word does not; then what mentions, numbers of issues,
addresses and links have in them: they are only seen where all of it stands in one text."""


def markdown(document: Mapping[str, Any], verdicts: "pl.DataFrame") -> Iterator[str]:
    """A headline, then tables of the steps, the gates, the reasons, and the first verdicts of each reason in turn."""
    before, after = document["input"], document["output"]
    yield f"## datadiet {words(document['command'])}: {_came_of_it(document)}\n\n"
    if not all(gate["passed"] for gate in document["gates"]):
        yield "**A gate failed.**\n\n"
    unreadable = document["figures"]["unreadable"]
    if unreadable:
        yield f"**{unreadable:,} samples could not be read.**\n\n"
    said = [f"{code(before['path'])}, {words(before['layout'])}, {size_in_words(before['bytes'])}"]
    if document["published"]:
        said.append(f"{code(after['path'] or '')}, {size_in_words(after['bytes'])}")
    yield " → ".join(said) + "\n\n"
    # Most openings say nothing.
    told = [number for number, step in enumerate(document["steps"]) if step["name"] != "open" or step["verdicts"]]
    yield from table(("step", "samples in", "samples out", "what it did", "seconds"), told, partial(_step, document))
    yield from table(("gate", "limit", "", "met"), _failed_first(document["gates"]), _gate)
    yield from table(("step", "", "reason", "", "samples"), _reasons(document), _reason)
    yield from verdict_details(
        findings_of(verdicts, tuple(Action)), Places.of(document), "verdicts", where_all(document)
    )


def verdict_details(findings: "pl.DataFrame", places: Places, what: str, where: str) -> Iterator[str]:
    """The first findings of each reason in turn, folded away.

    Args:
        findings: as `findings_of` gives them.
        places: where the samples are.
        what: they are, for the title.
        where: words for where all are.
    """
    if not len(findings):
        return
    count = f"The first {VERDICTS} of {len(findings):,} {what}" if len(findings) > VERDICTS else f"All {what}"
    yield f"<details><summary>{count}</summary>\n\n"
    rows = varied(findings, VERDICTS)
    yield from table(("sample", "", "reason", "compared with", "detail"), rows, partial(_verdict, places=places))
    if len(findings) > VERDICTS:
        yield f"{len(findings) - VERDICTS:,} more; {words(where)}\n\n"
    yield "</details>\n\n"


def table(header: Sequence[str], items: Iterable[T], row: Callable[[T], Sequence[str]]) -> Iterator[str]:
    """A table of at most `LINES` rows; nothing without any.

    Args:
        header: its columns.
        items: what has a row each.
        row: the cells of an item, as Markdown.
    """
    listed = list(items)
    if not listed:
        return
    yield f"| {' | '.join(header)} |\n|{' --- |' * len(header)}\n"
    for item in listed[:LINES]:
        yield f"| {' | '.join(row(item))} |\n"
    yield f"\n{len(listed) - LINES:,} more rows are in the report.\n\n" if len(listed) > LINES else "\n"


def words(text: object, most: int = _LONGEST) -> str:
    """A text that anybody may have written as it is: no mark-up, no mention, no link."""
    return _SIGNS.sub(_shown, plain(text, most))


def code(text: object, most: int = _LONGEST) -> str:
    """A name as it is, set as code."""
    told = plain(text, most)
    if told.strip() and not re.search(r"[`|\\]", told):
        return f"`` {told} ``" if told != told.strip() else f"`{told}`"
    # No code span can hold everything, least of all in a table.
    return f"<code>{re.sub(r'[^A-Za-z0-9 /-]', lambda sign: f'&#{ord(sign[0])};', told)}</code>"


def _shown(sign: re.Match[str]) -> str:
    text = sign[0]
    return f"&#{ord(text)};" if sign[1] else f"{text[:-1]}<!-- -->{text[-1]}<!-- -->"


def _came_of_it(document: Mapping[str, Any]) -> str:
    before, after, figures = document["input"], document["output"], document["figures"]
    if after["what"] != "dataset":
        return f"{before['samples']:,} samples"
    share = f", {figures['removed'] / before['samples']:.1%}" if before["samples"] else ""
    done = [f"{figures[name]:,} {name}" for name in ("added", "relabelled", "imputed", "flagged") if figures[name]]
    removed = f"{figures['removed']:,} removed{share}"
    return f"{before['samples']:,} → {after['samples']:,} samples ({'; '.join([removed, *done])})"


def _step(document: Mapping[str, Any], number: int) -> tuple[str, ...]:
    step = document["steps"][number]
    told = headline(step, [column for column in document["columns"] if column["step_number"] == number])
    counts = {action: sum(reasons.values()) for action, reasons in step["verdicts"].items()}
    parts = [] if told is None else [words(told, 160)]
    parts += [f"{DONE.get(action, words(action))} {count:,}" for action, count in counts.items()]
    seconds = document["run"]["steps"][number]["seconds"]
    samples = (f"{step['samples_in']:,}", f"{step['samples_out']:,}")
    return words(step["name"]), *samples, "; ".join(parts) or "nothing found", f"{seconds:.1f}"


def _failed_first(gates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(gates, key=lambda gate: bool(gate["passed"]))


def _gate(gate: Mapping[str, Any]) -> tuple[str, ...]:
    return code(gate["name"]), code(gate["limit"]), "passed" if gate["passed"] else "**FAILED**", met(gate)


def _reasons(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for step in document["steps"]:
        for action, reasons in step["verdicts"].items():
            yield from ((step["name"], action, reason, count) for reason, count in reasons.items())


def _reason(found: tuple[str, str, str, int]) -> tuple[str, ...]:
    step, action, reason, count = found
    told = reasons_of(step).get(reason, "")
    return words(step), DONE.get(action, words(action)), code(reason), words(told), f"{count:,}"


def _verdict(row: Row, places: Places) -> tuple[str, ...]:
    sample = f"record {code(row['id'])}" if places.is_table else code(row["id"])
    witness = "" if row["witness"] is None else code(row["witness"])
    action = DONE.get(row["action"], words(row["action"]))
    return sample, action, code(row["reason"]), witness, words(row["detail"] or "")
