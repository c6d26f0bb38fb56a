"""The proposed settings as a pipeline in YAML, commented, that `datadiet run` takes as it is."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datadiet_cli.config.base import Common, Settings
from datadiet_cli.config.load import load_pipeline
from datadiet_cli.config.pipeline import Expectation, Step
from datadiet_cli.data.publish import place_beside
from datadiet_cli.errors import ConfigError

Comments = Mapping[int, Sequence[str]]
"""Lines that stand above a step, by its place."""


def pipeline(
    input: str,
    output: str | None,
    common: Common,
    steps: Sequence[Step],
    expect: Mapping[str, Expectation],
    comments: Comments,
    head: Sequence[str],
) -> str:
    """The text of a pipeline; settings that are as by default are left out.

    Args:
        input: INPUT.
        output: OUTPUT; a name beside INPUT, and never within it, for None.
        common: the common settings.
        steps: in order.
        expect: gates.
        comments: on steps.
        head: lines at the top.

    Raises:
        ConfigError: the text cannot be loaded, or says something else, or nothing is beside INPUT.
    """
    lines = [f"# {_plain(line)}" for line in head]
    lines += [f"input: {value(input)}", f"output: {value(output or place_beside(input))}"]
    lines += [f"{name}: {value(one)}" for name, one in _changed(common).items()]
    lines.append("steps:")
    for place, step in enumerate(steps):
        lines += [f"  # {_plain(line)}" for line in comments.get(place, ())]
        changed = _changed(step.settings)
        lines.append(f"  - {step.name}:" if changed else f"  - {step.name}")
        lines += [f"      {name}: {value(one)}" for name, one in changed.items()]
    if expect:
        lines.append("expect:")
        lines += [f"  {name}: {value(str(gate))}" for name, gate in expect.items()]
    text = "\n".join(lines) + "\n"
    _check(text, common, steps)
    return text


def _changed(settings: Settings) -> dict[str, Any]:
    """Settings that are not as by default, as JSON values."""
    fields = type(settings).model_fields
    told = settings.model_dump(mode="json")
    return {
        name: told[name]
        for name, field in fields.items()
        if field.is_required() or getattr(settings, name) != field.get_default(call_default_factory=True)
    }


def _check(text: str, common: Common, steps: Sequence[Step]) -> None:
    """Load it, and see that it says what is meant."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_text(text, encoding="ascii")
        loaded = load_pipeline(path, {}, {})
    meant = [(step.name, step.settings.model_dump(mode="json")) for step in steps]
    said = [(step.name, step.settings.model_dump(mode="json")) for step in loaded.steps]
    names = Common.model_fields
    if said != meant or any(getattr(loaded, name) != getattr(common, name) for name in names):
        raise ConfigError("the proposed settings cannot be written as YAML")


def value(one: Any) -> str:
    """A JSON value as YAML on one line, in ASCII."""
    if isinstance(one, str):
        return '"' + "".join(_escaped(character) for character in one) + '"'
    if isinstance(one, Mapping):
        return "{" + ", ".join(f"{value(str(name))}: {value(part)}" for name, part in one.items()) + "}"
    if isinstance(one, Sequence):
        return "[" + ", ".join(map(value, one)) + "]"
    if one is None or isinstance(one, bool):
        return {None: "null", True: "true", False: "false"}[one]
    if isinstance(one, float) and math.isfinite(one) and "e" in repr(one):
        digits = format(Decimal(repr(one)), "f")
        return digits if "." in digits else f"{digits}.0"
    return repr(one)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() and character.isascii() else f"\\U{ord(character):08x}"


def _plain(text: str) -> str:
    """A comment on one line, in ASCII."""
    return "".join(c if c.isprintable() and c.isascii() else ascii(c)[1:-1] for c in text)
