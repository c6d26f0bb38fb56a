"""What is broken or impossible: files that cannot be read, rows with too little in them or impossible values."""

import numpy as np

from datadiet_cli.columns import Transform
from datadiet_cli.outcome import Action
from datadiet_cli.steps.noise.base import BROKEN, IMPOSSIBLE, Findings, divided, gathered, nothing
from datadiet_cli.steps.noise.material import Material
from datadiet_cli.steps.noise.rows import clean_rows


def broken_files(material: Material) -> Findings:
    """Find files that cannot be read, each with its cause."""
    causes = material.causes
    found = np.flatnonzero(causes != None)  # noqa: E711 - elementwise
    if not len(found):
        return nothing()
    action = Action(material.settings.invalid_action)
    words = [material.in_words(cause) for cause in causes[found].tolist()]
    part = divided(material.dataset, found, action, "unreadable", np.full(len(found), BROKEN), detail=words)
    return gathered([part])


def unreadable_rows(material: Material) -> Findings:
    """Find rows that name a file which cannot be read."""
    if material.dataset.kind != "row":
        return nothing()
    causes = material.features.causes
    found = np.flatnonzero(causes != None)  # noqa: E711 - elementwise
    if not len(found):
        return nothing()
    action = Action(material.settings.invalid_action if material.settings.invalid != "none" else "flag")
    words = [material.in_words(cause) for cause in causes[found].tolist()]
    certainty = np.full(len(found), BROKEN)
    return gathered([divided(material.dataset, material.places[found], action, "unreadable", certainty, detail=words)])


def invalid_rows(material: Material) -> Findings:
    """Find rows of a table that lack too much or hold what cannot be; put in missing cells, and scale numbers."""
    if material.dataset.kind != "row":
        return nothing()
    found = clean_rows(material.dataset, material.settings, material.context)
    certainty = np.full(len(found.verdicts), IMPOSSIBLE)
    transform = None if found.transform is None else Transform({"step": "denoise", "of": "cells", **found.transform})
    return Findings(found.verdicts, certainty, found.metrics, cells=found.cells, transform=transform)
