"""Every method that can be chosen is explained: what it does, whose it is, what it costs, and when not to use it."""

import re
from typing import get_args

import pytest

from datadiet_cli.config.base import form_of
from datadiet_cli.config.registry import STEPS, load, settings_of
from tests.shown import ROOT, entries

# The settings whose choices have an entry each, on the page of their step.
EXPLAINED = {
    "dedup": {"method", "clustering"},
    "denoise": {"outliers", "labels", "labels_action", "missing", "standardise"},
    "balance": {"under", "over", "weights"},
    "select-features": {"method"},
    "select-samples": {"method", "rule", "quota"},
    "train": {"augment", "dynamic"},
    "prune-model": {"criterion", "structure", "scope", "schedule", "regularise", "at", "controls"},
    "evaluate": {"protocol", "controls", "leakage"},
}
# Choices that are no methods: docs/settings.md and the page of the step say all there is to say.
PLAIN = {
    "augment", "conflicts", "controls", "decode", "gradient", "information", "invalid", "invalid_action",
    "invariance", "level", "norm", "on_limit", "optimiser", "outliers_action", "precision", "prefer", "quality",
    "quality_action", "record", "scope", "shingles", "space", "task",
}  # fmt: skip
# What the code can do, by where it is registered; a kind of data may stand between.
REGISTRIES = {
    ("dedup", "method"): ["datadiet_cli.steps.likeness:FINDERS", "datadiet_cli.methods.hashes:HASHES"],
    ("dedup", "encoder"): ["datadiet_cli.encode.vectors:ENCODERS"],
    ("denoise", "outliers"): ["datadiet_cli.methods.outliers:DETECTORS"],
    ("denoise", "labels"): ["datadiet_cli.methods.mislabelled:RULES"],
    ("denoise", "checks"): ["datadiet_cli.methods.quality:CHECKS"],
    ("denoise", "missing"): ["datadiet_cli.methods.imputation:STATISTICS"],
    ("denoise", "standardise"): ["datadiet_cli.methods.scaling:SCALINGS"],
    ("balance", "under"): ["datadiet_cli.methods.undersampling:UNDER"],
    ("balance", "over"): ["datadiet_cli.methods.oversampling:OVER"],
    ("balance", "weights"): ["datadiet_cli.methods.weights:WEIGHTS"],
    ("balance", "augment"): ["datadiet_cli.encode.augment:ALLOWED"],
    ("select-features", "method"): [
        "datadiet_cli.methods.selection.filters:FILTERS",
        "datadiet_cli.methods.selection.wrappers:WRAPPERS",
        "datadiet_cli.methods.selection.compression:COMPRESSIONS",
    ],
    ("select-samples", "method"): [
        "datadiet_cli.methods.samples.dynamics:DYNAMICS",
        "datadiet_cli.methods.samples.typical:TYPICAL",
        "datadiet_cli.methods.samples.coverage:COVERAGE",
    ],
    ("select-samples", "rule"): ["datadiet_cli.methods.samples.rules:RULES"],
    ("train", "model"): ["datadiet_cli.nn.models:MODELS"],
    ("train", "dynamic"): ["datadiet_cli.nn.dynamic:DYNAMIC"],
    ("prune-model", "criterion"): ["datadiet_cli.nn.pruning.criteria:CRITERIA"],
}
UNSAID = {"auto", "none"}
"""Choices that the introduction of a section may explain instead of an entry."""


def choices(step):
    """The settings of a step that are a choice among names, with the names."""
    forms = {name: form_of(field).type for name, field in settings_of(step).model_fields.items()}
    return {name: get_args(type_) for name, type_ in forms.items() if get_args(type_)}


def registered(where):
    """The names in registries, whether by kind of data or not."""
    for registry in map(load, where):
        for name, value in registry.items():
            yield from value if type(value) in (dict, tuple) else [name]


@pytest.mark.parametrize("step", STEPS)
def test_every_method_has_an_entry(step):
    page = entries(ROOT / "docs/methods" / f"{step}.md")
    wanted = {setting: set(names) for setting, names in choices(step).items() if setting in EXPLAINED[step]}
    for (owner, setting), where in REGISTRIES.items():
        if owner == step:
            wanted.setdefault(setting, set()).update(registered(where))
    assert wanted.keys() == page.keys()
    for setting, names in wanted.items():
        assert names - UNSAID == page[setting].keys() - UNSAID, setting


@pytest.mark.parametrize("step", STEPS)
def test_every_choice_is_explained_or_known_to_be_plain(step):
    assert choices(step).keys() - EXPLAINED[step] - PLAIN == set()
    page = (ROOT / "docs/methods" / f"{step}.md").read_text(encoding="utf-8")
    sections = {part.split("`")[1]: part for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:] if part[0] == "`"}
    for setting in EXPLAINED[step]:
        for name in UNSAID & set(choices(step)[setting]):
            assert f"`{name}`" in sections[setting], (setting, name)


@pytest.mark.parametrize("step", STEPS)
def test_every_entry_says_whose_it_is_what_it_costs_and_when_not_to(step):
    path = ROOT / "docs/methods" / f"{step}.md"
    text = path.read_text(encoding="utf-8")
    for section in entries(path).values():
        for name, said in section.items():
            if said.startswith("|"):
                header = text[: text.index(said)].rsplit("\n\n", 1)[1].splitlines()[0]
                assert "| not when |" in header
                cells = [cell.strip() for cell in said.strip("|").split("|")]
                assert len(cells) == header.count("|") - 1, name
                assert all(cells), name
            else:
                assert all(f"**{part}**" in said for part in ("Paper", "Cost", "Use", "Not")), name
