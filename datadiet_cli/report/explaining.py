"""What became of one sample and why, in words: its verdicts, with all that they rest on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from datadiet_cli.outcome import Action
from datadiet_cli.report.terminal import printable
from datadiet_cli.report.verdicts import VERDICT_COLUMNS
from datadiet_cli.report.words import plural

SHOWN = 5
"""Other samples that are named."""

_DONE = {
    Action.DROP: "dropped",
    Action.FLAG: "flagged",
    Action.RELABEL: "relabelled",
    Action.IMPUTE: "filled in",
    Action.ADD: "made",
    Action.WEIGH: "weighed",
    Action.ACCEPT: "left alone, as the baseline lists it",
}

Row = Mapping[str, Any]
Reasons = Callable[[str], Mapping[str, str]]


def is_verdict(row: object) -> bool:
    """Whether it has all that a verdict has."""
    if not isinstance(row, dict) or not row.keys() >= set(VERDICT_COLUMNS):
        return False
    texts = all(isinstance(row[name], str) for name in ("step", "id", "action", "reason"))
    further = all(row[name] is None or isinstance(row[name], str) for name in ("witness", "detail"))
    numbers = all(_is_number(row[name]) for name in ("score", "threshold"))
    return texts and further and numbers and (row["evidence"] is None or isinstance(row["evidence"], dict))


def in_words(
    name: str, own: Sequence[Row], others: Sequence[Row], document: Mapping[str, Any], reasons: Reasons
) -> list[str]:
    """The lines of what became of a sample and why.

    Args:
        name: its id.
        own: the verdicts on it, in the order of the steps.
        others: verdicts on other samples that name it as their witness.
        document: the report.
        reasons: gives the words of a step's reasons.
    """
    lines = [f"{printable(name)}: {_fate(own, document)}"]
    if not document["published"]:
        lines.append("That run wrote nothing: it is what would have become of it.")
    for row in own:
        lines += ["", *_paragraph(row, reasons)]
    if others:
        lines += ["", f"Verdicts on {plural(len(others), 'other sample')} name it:"]
        lines += [f"  {printable(row['id'])}: {_headline(row)}" for row in others[:SHOWN]]
        lines += [f"  and {len(others) - SHOWN:,} more"] if len(others) > SHOWN else []
    return lines


def _fate(own: Sequence[Row], document: Mapping[str, Any]) -> str:
    """What it came to in the end, in a line."""
    done = {f"{_done(row)} by {row['step']}": row["action"] for row in own}
    dropped = [said for said, action in done.items() if action == Action.DROP]
    if dropped:
        return dropped[0]
    kept = document["output"]["what"] == "dataset"
    if done:
        return f"{'kept; ' if kept else ''}{', '.join(done)}"
    steps = ", ".join(step["name"] for step in document["steps"] if step["name"] != "open")
    return f"{'kept: ' if kept else ''}no step had anything to say of it ({steps})"


def _done(row: Row) -> str:
    return _DONE.get(row["action"], str(row["action"]))


def _headline(row: Row) -> str:
    return f"{_done(row)} by {row['step']} ({row['reason']})"


def _paragraph(row: Row, reasons: Reasons) -> list[str]:
    """One verdict: what was done and why, then all that it rests on."""
    evidence = row["evidence"]
    told = f"Step {row['step_number']}, {row['step']}: {_done(row)}"
    if _is_selection(evidence):
        # The detail says the same in short, but for what was spared after all.
        spared = [row["detail"]] if row["detail"] and row["action"] != Action.DROP else []
        lines = [*_selection(evidence, row["threshold"]), *map(printable, spared)]
        return [f"{told} ({row['reason']})", *(f"  {line}" for line in lines)]
    words = reasons(row["step"]).get(row["reason"])
    lines = [f"{told}: {words} ({row['reason']})" if words else f"{told}: {row['reason']}"]
    if row["witness"] is not None:
        lines.append(f"  compared with: {printable(row['witness'])}")
    if row["score"] is not None:
        limit = "" if row["threshold"] is None else f" (threshold {_inline(row['threshold'])})"
        lines.append(f"  score: {_inline(row['score'])}{limit}")
    if row["detail"]:
        lines.append(f"  detail: {printable(row['detail'])}")
    return lines + [f"  {line}" for line in _facts(evidence or {})]


def _facts(evidence: Mapping[str, Any]) -> list[str]:
    """Evidence as lines of `key: value`; what has parts of its own gets a line each."""
    lines = []
    for key, value in evidence.items():
        name = printable(key)
        if isinstance(value, dict) and value:
            lines += [f"{name}:", *(f"  {printable(k)}: {_inline(v)}" for k, v in value.items())]
        elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
            lines += [f"{name}:", *(f"  - {_inline(part)}" for part in value)]
        else:
            lines.append(f"{name}: {_inline(value)}")
    return lines


def _inline(value: object) -> str:
    """A JSON value on one line."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{printable(key)} {_inline(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def _is_selection(evidence: Row | None) -> bool:
    """Whether it is what a choice of samples rests on."""
    if evidence is None or not evidence.keys() >= {"method", "why", "kept_of_class"}:
        return False
    counts = evidence["kept_of_class"]
    counted = counts is None or (isinstance(counts, list) and [type(count) for count in counts] == [int, int])
    numbers = all(_is_number(evidence.get(name)) for name in ("score", "percentile", "stratum", "distance"))
    return counted and numbers and isinstance(evidence.get("terms") or {}, dict)


def _selection(evidence: Row, threshold: object) -> list[str]:
    """Why select-samples did not choose a sample, a sentence a line."""
    lines = [line for line in (_standing(evidence), _why(evidence, _number(threshold))) if line]
    terms = evidence.get("terms")
    if terms:
        parts = [f"{printable(key)} {_number(value) or 'unknown'}" for key, value in terms.items()]
        lines.append(f"Its worth is made up of {_listed(parts)}.")
    if evidence.get("nearest_kept") is not None:
        distance = _number(evidence.get("distance"))
        far = f" (distance {distance})" if distance else ""
        lines.append(f"Nearest sample that was kept: {printable(str(evidence['nearest_kept']))}{far}.")
    return lines


def _standing(evidence: Row) -> str:
    """What the score says of it among its class; nothing where none was made for all samples."""
    score, percentile = _number(evidence.get("score")), evidence.get("percentile")
    # Of one that is likely wrong the score is how hard it is, whatever the method.
    if (
        score is None
        or evidence["why"] == "wrong"
        or evidence["method"] == "random"
        or not (_ruled(evidence) or evidence.get("terms"))
    ):
        return ""
    gives = f"{printable(str(evidence['method']))} gives it {score}"
    among = "of the samples" if evidence.get("class") is None else "of its class"
    if percentile is None:
        return f"{gives}."
    if percentile >= 100:
        return f"{gives}, the most {among}."
    if percentile >= 50:
        return f"{gives}, no less than {percentile:.3g} % {among}."
    return f"{gives}, less than {100 - percentile:.3g} % {among}."


def _why(evidence: Row, threshold: str | None) -> str:
    """The part of the rule in it."""
    why, kept = evidence["why"], _kept(evidence)
    if evidence["method"] == "random":
        return f"The draw {kept}; this one was not drawn."
    word = "rule" if _ruled(evidence) else "method"
    who = f"The {word} {printable(str(evidence[word]))} {kept}"
    if why == "wrong":
        hard = "" if threshold is None else f" (hardness {_number(evidence.get('score'))}; from {threshold} on they go)"
        return f"It is one of the hardest, whose labels are likeliest wrong and which go first{hard}. {who}."
    if why == "covered":
        return f"What was kept stands for it. {who}."
    if why == "not-drawn":
        stratum, strata = evidence.get("stratum"), evidence.get("strata")
        place = "" if stratum is None else f"It is in stratum {stratum + 1} of {strata}, from the lowest scores on. "
        return f"{place}{who}; this one was not drawn."
    return f"{who}{'' if threshold is None else f', from {threshold} on'}."


def _ruled(evidence: Row) -> bool:
    """Whether it was chosen by a score and a rule; a choice by features, or by worth, has no rule besides."""
    rule = evidence.get("rule")
    return rule is not None and not evidence.get("terms") and (evidence["why"] != "covered" or rule == "d2")


def _kept(evidence: Row) -> str:
    """How many samples of its class were kept."""
    if evidence["kept_of_class"] is None:
        return "chose others"
    kept, total = evidence["kept_of_class"]
    group = "" if evidence.get("class") is None else f" of class {printable(str(evidence['class']))}"
    return f"kept {kept:,} of the {plural(total, 'sample')}{group}"


def _number(value: object) -> str | None:
    return f"{value:.4g}" if isinstance(value, int | float) else None


def _listed(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)
