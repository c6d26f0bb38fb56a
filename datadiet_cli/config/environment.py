"""Settings from environment variables: `DATADIET_SEED`, `DATADIET_DEDUP_MAX_DISTANCE`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from datadiet_cli.config.base import Common, Form, form_of
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.config.words import closest, shown
from datadiet_cli.config.yamlfile import scalar

PREFIX = "DATADIET_"
NOT_SETTINGS = ("DATADIET_CACHE_DIR",)
"""Variables that are no settings: where the cache lies belongs to the machine, not to a dataset."""


@dataclass(frozen=True)
class Variable:
    """A setting that the environment gives.

    Attributes:
        name: of the variable.
        step: the step whose setting it is; None for a common setting.
        setting: name of the setting.
        value: its value, of the type the setting wants if the text allows it.
    """

    name: str
    step: str | None
    setting: str
    value: Any


def read_environment(env: Mapping[str, str]) -> tuple[list[Variable], list[str]]:
    """Find the settings among environment variables. An empty variable counts as not set.

    Entries of a list stand between commas; a bool may also be 1 or 0.

    Returns:
        The settings, sorted by variable, and a line of text per variable that is no setting.
    """
    known = variables_of_settings()
    found, problems = [], []
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or not env[name]:
            continue
        if name in known:
            step, setting, field = known[name]
            found.append(Variable(name, step, setting, _value(env[name], form_of(field))))
        else:
            # Without the common beginning, which would make any two names look alike.
            near = closest(name.removeprefix(PREFIX), [n.removeprefix(PREFIX) for n in (*known, *NOT_SETTINGS)])
            end = f"; did you mean '{PREFIX}{near}'?" if near else ""
            problems.append(f"environment {name if name.isprintable() else shown(name)}: unknown setting{end}")
    return found, problems


def variables_of_settings() -> dict[str, tuple[str | None, str, FieldInfo]]:
    """Every variable there is, with the step, the name and the declaration of its setting."""
    known: dict[str, tuple[str | None, str, FieldInfo]] = {
        f"{PREFIX}{name.upper()}": (None, name, field) for name, field in Common.model_fields.items()
    }
    for step in STEPS:
        for name, field in settings_of(step).model_fields.items():
            variable = f"{PREFIX}{step}_{name}".replace("-", "_").upper()
            known[variable] = (step, name, field)
    return known


def from_text(text: str, form: Form) -> Any:
    """Give a text the type that a setting of this form wants; where it has no such meaning, it stays text.

    It is up to the setting's model to refuse it. Of a list, this is one entry.
    """
    value = scalar(text) if form.type in (bool, int, float) else text
    return text if value is None else value


def _value(text: str, form: Form) -> Any:
    if form.many:
        return [from_text(part.strip(), form) for part in text.split(",")]
    if form.type is bool and text in ("0", "1"):
        return text == "1"
    return from_text(text, form)
