"""Clean what is wrong: what is broken or impossible, poor, odd, or wrongly labelled, in this order.

Each family looks only at what the ones before it left, and learns from training samples only. Evaluation samples are
never dropped or relabelled, only flagged. At the end brakes say how much may go.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.config.denoise import Denoise
from datadiet_cli.data.dataset import Dataset
from datadiet_cli.errors import ConfigError
from datadiet_cli.outcome import Action, Changes, Outcome, Verdicts, unique
from datadiet_cli.steps.context import Context
from datadiet_cli.steps.noise.base import Findings
from datadiet_cli.steps.noise.brakes import braked, flagged
from datadiet_cli.steps.noise.invalid import broken_files, invalid_rows, unreadable_rows
from datadiet_cli.steps.noise.labels import wrong_labels
from datadiet_cli.steps.noise.material import Material
from datadiet_cli.steps.noise.outliers import odd_samples
from datadiet_cli.steps.noise.quality import poor_samples
from datadiet_cli.steps.noise.scored import pictured
from datadiet_cli.steps.safeguard import keep_classes


def run(dataset: Dataset, settings: Denoise, context: Context) -> Outcome:
    """Decide which samples are noise, and what becomes of them.

    Raises:
        ConfigError: the settings do not fit the kind of data.
        InputError: a named column does not exist, or a file of probabilities does not fit.
        MissingExtraError: what reads or encodes the samples is not installed.
    """
    _refuse_idle(dataset, settings)
    material = Material(dataset, settings, context)
    parts: list[Findings] = []
    # Scaling, which is no search for noise, has a setting of its own.
    families = (
        (settings.invalid != "none", broken_files),
        (settings.invalid != "none" or settings.standardise != "none", invalid_rows),
        (settings.quality != "none", poor_samples),
        (settings.outliers != "none" or settings.labels != "none", unreadable_rows),
        (settings.outliers != "none", odd_samples),
        (settings.labels != "none", wrong_labels),
    )
    for wanted, find in families:
        if wanted:
            found = find(material)
            material.set_aside(found.verdicts)
            parts.append(found)
    findings = _joined(parts)
    findings, brakes = braked(dataset, settings, findings)
    findings = _keep_some_of_each(dataset, findings)
    changes = Changes(cells=_of_kept(findings), labels=findings.labels)
    told = pictured(findings.scored, findings.verdicts)
    metrics = {**_counts(findings.verdicts), **findings.metrics, **told, "notes": list(findings.notes)}
    return Outcome(
        findings.verdicts,
        metrics,
        changes=changes,
        brakes=brakes,
        artefacts=findings.artefacts,
        transform=findings.transform,
    )


def _refuse_idle(dataset: Dataset, settings: Denoise) -> None:
    """Say so where a setting for the cells of tables is given for files."""
    if dataset.kind == "row":
        return
    given = {
        "missing": settings.missing != "keep",
        "standardise": settings.standardise != "none",
        "ranges": settings.ranges is not None,
        "allowed": settings.allowed is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise ConfigError(f"denoise: --{name} is for the cells of a table, and {dataset.source.path} is a folder")


def _joined(parts: list[Findings]) -> Findings:
    """The findings of all families, sorted by sample."""
    verdicts = Verdicts.join([part.verdicts for part in parts])
    order = np.argsort(np.concatenate([np.empty(0, np.int64), *(p.verdicts.sample for p in parts)]), kind="stable")
    certainty = np.concatenate([np.empty(0), *(part.certainty for part in parts)])[order]
    metrics: dict[str, Any] = {}
    for part in parts:
        metrics |= part.metrics
    return Findings(
        verdicts,
        certainty,
        metrics,
        [note for part in parts for note in part.notes],
        {name: texts for part in parts for name, texts in part.cells.items()},
        {row: name for part in parts for row, name in part.labels.items()},
        {ending: content for part in parts for ending, content in part.artefacts.items()},
        next((part.transform for part in parts if part.transform is not None), None),
        [one for part in parts for one in part.scored],
    )


def _keep_some_of_each(dataset: Dataset, findings: Findings) -> Findings:
    """Never empty a class: of those that would go, the one that is least certainly wrong stays."""
    verdicts, certainty = findings.verdicts, findings.certainty
    surest = np.full(int(dataset.rows.max(initial=-1)) + 1, -1.0)
    np.maximum.at(surest, verdicts.sample, certainty)
    rank = np.empty(len(surest), dtype=np.int64)
    rank[np.lexsort((np.arange(len(surest)), surest))] = np.arange(len(surest))
    # A sample that gets another label leaves its class just as one that goes.
    leaving = np.where(verdicts.action == Action.RELABEL, Action.DROP, verdicts.action).astype(object)
    checked = keep_classes(dataset, replace(verdicts, action=leaving), rank)
    kept = np.flatnonzero((checked.action == Action.FLAG) & (leaving == Action.DROP))
    if not len(kept):
        return findings
    kept_rows = set(verdicts.sample[kept].tolist())
    labels = {row: name for row, name in findings.labels.items() if row not in kept_rows}
    return replace(findings, verdicts=flagged(verdicts, kept, "kept: the last of its class"), labels=labels)


def _of_kept(findings: Findings) -> dict[str, dict[int, str | None]]:
    """New cells of rows that stay."""
    gone = set(findings.verdicts.dropped().tolist())
    left = {
        name: {row: text for row, text in texts.items() if row not in gone} for name, texts in findings.cells.items()
    }
    return {name: texts for name, texts in left.items() if texts}


def _counts(verdicts: Verdicts) -> dict[str, int]:
    reasons: NDArray[np.str_] = verdicts.reason.astype(str)
    return {reason: len(unique(verdicts.sample[reasons == reason])) for reason in sorted(set(reasons.tolist()))}
