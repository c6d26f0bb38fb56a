"""How reasons, roles and numbers are spoken of on cards."""

from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.report.words import plural

NEAR = "near"
"""Stands for an action where nothing was done, though it came near."""

DONE = {
    "drop": "dropped",
    "flag": "flagged",
    "relabel": "relabelled",
    "impute": "filled in",
    "add": "made",
    "weigh": "weighed",
    "accept": "accepted",
    NEAR: "kept",
}

TITLES = {
    "duplicate": "Copies, beside what was kept",
    "leak": "Training samples that are copies of evaluation samples",
    "contamination": "Copies of samples of another dataset",
    "conflict": "Copies under different labels",
    "conflict-minority": "Copies whose label was outvoted",
    "duplicate-in-evaluation": "Copies among the evaluation samples",
    "wrong-label": "Labels that are most likely wrong",
    "outlier": "Unlike the other samples",
    "impossible": "Values that cannot be",
    "missing": "Missing cells",
    "too-empty": "Rows with too many missing cells",
    "unreadable": "Cannot be read",
    "undersampled": "Left out for balance",
    "augmented": "Made for balance, as changed copies",
    "synthetic": "Made for balance, between two real ones",
    "repeated": "Repeated for balance",
    "likely-wrong": "Not selected: their labels are likeliest wrong",
    "not-selected": "Not selected: a model learns less from them",
    "not-drawn": "Not selected: others of their like were drawn",
    "covered": "Not selected: others stand for them",
    "blurred": "Blurred",
    "dark": "Dark",
    "over-exposed": "Over-exposed",
    "washed-out": "Washed out",
    "flat": "Flat",
    "gray-in-colour": "Gray among colours",
    "odd-size": "Of an unusual size",
    "odd-aspect": "Of an unusual shape",
    "clipped": "Clipped",
    "silent": "Silent",
    "too-short": "Too short",
    "odd-length": "Of an unusual length",
    "dc-offset": "Off zero",
    "low-snr": "Noisy",
    "mostly-silence": "Mostly silence",
    "empty": "Empty",
    "mostly-symbols": "Mostly symbols",
    "wrong-script": "In another script",
    "repeated-lines": "Repeated lines",
    "repeated-phrases": "Repeated phrases",
    "bad-encoding": "Broken characters",
}
"""In the order in which galleries stand; what is not here comes last."""

NEAR_TITLES = {
    "duplicate": "Kept, though much alike",
    "wrong-label": "Kept, closest to: labels that are most likely wrong",
    "outlier": "Kept, closest to: unlike the other samples",
}
"""Of galleries of what was not found, where there is more to say than that."""

PAIRS = frozenset(("duplicate", "leak", "contamination", "conflict", "conflict-minority", "duplicate-in-evaluation"))
"""Reasons for which it matters what differs between a sample and its witness."""
MADE = frozenset(("augmented", "synthetic", "repeated"))
CHOSEN = frozenset(("likely-wrong", "not-selected", "not-drawn", "covered", "undersampled"))
"""Reasons of samples that nothing is wrong with."""

WITNESS = {
    "duplicate": ("kept", "good"),
    "leak": ("evaluation sample", ""),
    "contamination": ("in the other dataset", ""),
    "conflict": ("another label", "flag"),
    "conflict-minority": ("kept", "good"),
    "duplicate-in-evaluation": ("copy of", ""),
    "outlier": ("nearest other", ""),
    "wrong-label": ("nearest other", ""),
    "undersampled": ("like", ""),
    **dict.fromkeys(("likely-wrong", "not-selected", "not-drawn", "covered"), ("nearest kept", "good")),
}
"""What the witness is to the sample, and the colour of that."""


def title_of(reason: str) -> str:
    """The title of a gallery."""
    return TITLES.get(reason) or reason.replace("-", " ").capitalize()


def near_title_of(reason: str) -> str:
    """The title of a gallery of what came near to being found."""
    return NEAR_TITLES.get(reason) or f"Kept, closest to: {title_of(reason).lower()}"


def place_of(reason: str) -> int:
    """Where a gallery stands among others."""
    order = list(TITLES)
    return order.index(reason) if reason in TITLES else len(order)


def counted(actions: Mapping[str, int]) -> str:
    """How many samples there are, and what was done to them."""
    total = sum(actions.values())
    if len(actions) == 1:
        return f"{plural(total, 'sample')} {DONE.get(*actions, *actions)}."
    done = [f"{count:,} {DONE.get(action, action)}" for action, count in actions.items()]
    return f"{plural(total, 'sample')}: {', '.join(done[:-1])} and {done[-1]}."


def number(value: float) -> str:
    """A number as people read it."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def share(value: object) -> str:
    """A probability in words; empty for none."""
    return f"{value:.0%}" if isinstance(value, int | float) else ""


def listed(value: object) -> str:
    """A label, or several."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return number(value) if isinstance(value, float) else str(value)


def unit_of(reason: str, metrics: Mapping[str, Any], scores: Sequence[tuple[float, float]]) -> str:
    """What the score of a reason is.

    Args:
        reason: of verdicts.
        metrics: of the step.
        scores: with thresholds, of samples that were found.
    """
    of = "duplicate" if reason in PAIRS else reason
    told: Mapping[str, Any] = next((each for each in metrics.get("histograms") or () if each.get("of") == of), {})
    if reason in PAIRS:
        similar = told.get("side") == "above" or any(score > threshold for score, threshold in scores)
        return "similarity" if similar else "distance"
    # Where each class has its own threshold the histogram is of something else.
    same = not scores or any(told.get("threshold") == threshold for _, threshold in scores)
    return str(told["unit"]) if told.get("unit") and same else "score"
