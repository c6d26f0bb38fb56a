"""Findings that somebody has looked at and accepted: they are left as they are, and no gate counts them.

A finding is known by its reason and by the content of its sample, so it stays known when files are renamed, sorted or
joined by others.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datadiet_cli.data.dataset import Dataset
from datadiet_cli.data.folder import FolderSource
from datadiet_cli.data.table import TableSource
from datadiet_cli.encode.content import digest_files
from datadiet_cli.errors import InputError
from datadiet_cli.outcome import Action, Changes, Outcome

VERSION = 1
FINDINGS = frozenset({Action.DROP, Action.FLAG, Action.RELABEL})
"""Actions that speak of something wrong with a sample; the others only do what was asked for."""

Baseline = frozenset[tuple[str, str]]
"""Reason and digest of each accepted finding."""


def read_baseline(path: str) -> Baseline:
    """Read a file that `datadiet baseline` wrote.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
        if document["datadiet_baseline"] != VERSION:
            raise InputError(f"{path}: is a baseline of another version; write it anew: datadiet baseline REPORT")
        return frozenset((str(found["reason"]), str(found["digest"])) for found in document["findings"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no baseline; write one: datadiet baseline REPORT") from error


def baseline_document(findings: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The content of a baseline file.

    Args:
        findings: reason, digest and id of each; the id is for people only.
    """
    listed = [{"reason": reason, "digest": digest, "id": name} for reason, digest, name in sorted(set(findings))]
    return {"datadiet_baseline": VERSION, "findings": listed}


def digests_of(dataset: Dataset, rows: NDArray[np.int64]) -> list[str]:
    """A digest of the content of samples: the bytes of a file, the cells of a record; empty for what cannot be read.

    Args:
        dataset: the dataset.
        rows: (k,) int64 rows of it.
    """
    source = dataset.source
    if isinstance(source, FolderSource):
        digests, readable = digest_files(source.paths(rows))
        # An empty or broken file has bytes as well; only what cannot be opened has none.
        return [d.tobytes().hex() if known else "" for d, known in zip(digests, readable.tolist(), strict=True)]
    assert isinstance(source, TableSource)  # noqa: S101 - a dataset is a folder or a table
    cells = source.file.texts()[rows]
    return [xxhash.xxh3_128_hexdigest(json.dumps(record).encode()) for record in cells.iter_rows()]


def accepted(outcome: Outcome, dataset: Dataset, baseline: Baseline) -> Outcome:
    """The outcome with accepted findings left alone: neither drop, flag nor relabel."""
    verdicts = outcome.verdicts
    reasons = {reason for reason, _ in baseline}
    maybe = [
        i
        for i, (action, reason) in enumerate(zip(verdicts.action.tolist(), verdicts.reason.tolist(), strict=True))
        if action in FINDINGS and reason in reasons
    ]
    if not maybe:
        return outcome
    digests = digests_of(dataset, verdicts.sample[maybe])
    known = [i for i, d in zip(maybe, digests, strict=True) if d and (verdicts.reason[i], d) in baseline]
    action = verdicts.action.copy()
    action[known] = Action.ACCEPT
    return replace(
        outcome,
        verdicts=replace(verdicts, action=action),
        changes=_without(outcome.changes, verdicts.sample[known].tolist()),
    )


def _without(changes: Changes, rows: Sequence[int]) -> Changes:
    left = {row: name for row, name in changes.labels.items() if row not in set(rows)}
    return replace(changes, labels=left)
