"""What steps changed besides dropping samples, as JSON: for what is remembered, and for ``OUTPUT.changes.json``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from datadiet_cli.outcome import Addition, Changes

ENDING = ".changes.json"
"""Of the name of the file that stands beside OUTPUT."""
MOST = 5_000_000
"""Changes, each a cell, a label, a sample or a column, that are written down; about 100 MB."""
VERSION = 1


def told(changes: Changes) -> dict[str, Any]:
    """Changes as JSON values."""
    made = [[addition.template, addition.recipe] for addition in changes.additions]
    return {
        "cells": changes.cells,
        "labels": changes.labels,
        "columns": changes.columns,
        "additions": made,
        "dropped_columns": list(changes.dropped_columns),
        "new_features": list(changes.new_features),
    }


def understood(stored: dict[str, Any]) -> Changes:
    """Changes from JSON values: it knows texts only for keys, and rows are numbers."""

    def rows(values: dict[str, Any]) -> dict[int, Any]:
        return {int(row): value for row, value in values.items()}

    cells, columns = ({name: rows(values) for name, values in stored[part].items()} for part in ("cells", "columns"))
    additions = tuple(Addition(*made) for made in stored["additions"])
    return Changes(cells, rows(stored["labels"]), columns, additions, stored["dropped_columns"], stored["new_features"])


def count_changes(changes: Sequence[Changes]) -> int:
    """How many cells, labels, samples and columns steps changed."""
    cells = sum(len(texts) for one in changes for part in (one.cells, one.columns) for texts in part.values())
    return cells + sum(
        len(one.labels) + len(one.additions) + len(one.dropped_columns) + len(one.columns) for one in changes
    )


def changes_json(changes: Sequence[Changes]) -> bytes:
    """The file of the changes of all steps, the opening first; ASCII only. No steps, no blanks: it is for programs."""
    document = {"datadiet_changes": VERSION, "steps": [told(one) if one else None for one in changes]}
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def read_changes(content: bytes) -> list[Changes]:
    """The changes of all steps, the opening first.

    Raises:
        ValueError: the content is no such file, or one of another version.
    """
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("datadiet_changes") != VERSION:
        raise ValueError("no file of changes, or one of another version")
    steps = document.get("steps")
    if not isinstance(steps, list):
        raise ValueError("no changes of steps")
    for stored in steps:
        if stored is not None:
            _check(stored)
    return [Changes() if stored is None else understood(stored) for stored in steps]


def check_rows(changes: Changes, rows: Mapping[int, Any] | frozenset[int], first: int) -> None:
    """Check that changes speak of samples that are there.

    Args:
        changes: what a step changed.
        rows: of the samples that it was given.
        first: the row that the first added sample gets.

    Raises:
        ValueError: they speak of others.
    """
    new = range(first, first + len(changes.additions))
    if not all(row in rows for row in changes.labels) or not all(made.template in rows for made in changes.additions):
        raise ValueError("changes of samples that are not there")
    for part in (changes.cells, changes.columns):
        if not all(row in rows or row in new for texts in part.values() for row in texts):
            raise ValueError("changes of records that are not there")


def _check(stored: Any) -> None:
    """Whether JSON values have the form of changes: a file may hold anything."""
    if not isinstance(stored, dict) or stored.keys() != told(Changes()).keys():
        raise ValueError("no changes of a step")
    tables = [stored["cells"], stored["columns"]]
    if not all(isinstance(table, dict) and all(_is_texts(texts) for texts in table.values()) for table in tables):
        raise ValueError("cells that are no texts")
    if not _is_texts(stored["labels"]) or None in stored["labels"].values():
        raise ValueError("labels that are no texts")
    if not isinstance(stored["additions"], list) or not all(map(_is_addition, stored["additions"])):
        raise ValueError("samples that cannot be made")
    names = [stored["dropped_columns"], stored["new_features"]]
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in names):
        raise ValueError("columns without names")


def _is_texts(values: Any) -> bool:
    return isinstance(values, dict) and all(text is None or isinstance(text, str) for text in values.values())


def _is_addition(made: Any) -> bool:
    return (
        isinstance(made, list)
        and len(made) == 2
        and type(made[0]) is int
        and (made[1] is None or isinstance(made[1], dict))
    )
