"""The words of the reasons that verdicts give, by step: light, since a report is told without running a step."""

from collections.abc import Mapping

from datadiet_cli.outcome import FIGURES

UNREADABLE = {"unreadable": "the content cannot be read"}
"""Of every step, and of the opening of INPUT."""
REASONS: Mapping[str, Mapping[str, str]] = {
    "dedup": {
        "duplicate": "a copy of a sample that is kept",
        "contamination": "a copy of a sample of another dataset, which this one is held against",
        "leak": "a copy of a sample in an evaluation split",
        "conflict": "a copy of a sample with another label",
        "conflict-minority": "a copy of a sample whose label more copies carry",
        "duplicate-in-evaluation": "a copy of another evaluation sample; evaluation data is never dropped",
        **UNREADABLE,
    },
    "denoise": {
        **UNREADABLE,
        "too-empty": "too many of the row's cells are missing",
        "impossible": "a value that cannot be",
        "missing": "a missing cell",
        "outlier": "unlike the other samples",
        "wrong-label": "the label is most likely wrong",
        **dict.fromkeys(FIGURES["poor"], "of poor quality"),
    },
    "balance": {
        "undersampled": "one of too many of its class",
        "synthetic": "a new row between two real ones",
        "augmented": "a changed copy of a real sample",
        "repeated": "a copy of a real sample",
        **UNREADABLE,
    },
    "select-samples": {
        "not-selected": "a model learns less from it than from those that stay",
        "likely-wrong": "one of the hardest, whose labels are likeliest wrong",
        "not-drawn": "others of its like were drawn",
        "covered": "others stand for it",
        **UNREADABLE,
    },
}


def reasons_of(step: str) -> Mapping[str, str]:
    """The words of the reasons of a step; a step that is not named here gives no others than all do."""
    return REASONS.get(step, UNREADABLE)
