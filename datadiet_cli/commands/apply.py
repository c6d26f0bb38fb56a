"""`datadiet apply TRANSFORM NEW_DATA OUTPUT`: do to new data what was learned from other data before."""

import os
from collections.abc import Mapping
from typing import Any

from datadiet_cli.commands.manner import Manner
from datadiet_cli.commands.step import carry_out
from datadiet_cli.config.apply import Apply
from datadiet_cli.config.load import load_common
from datadiet_cli.config.pipeline import Step
from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.request import Request
from datadiet_cli.transformfile import read_transforms


def apply(transform: str, input: str, output: str | None, flags: Mapping[str, Any], manner: Manner) -> int:
    """Do what a transform holds, one step after the other, and give the exit code.

    Args:
        transform: a ``.transform.json`` that was written beside an OUTPUT.
        input: NEW_DATA.
        output: OUTPUT, or None to write nothing.
        flags: common settings given as flags, by field name.
        manner: how the run goes.

    Raises:
        ConfigError: OUTPUT is missing.
        InputError: the transform cannot be read, or does not fit NEW_DATA.
        DatadietError: as `execute`.
    """
    common = load_common(flags, os.environ)
    nothing = manner.dry_run or manner.check
    if output is None and not nothing:
        raise ConfigError("OUTPUT is missing; or pass --dry-run or --check to write nothing")
    found, _ = read_transforms(transform)
    if not found:
        raise InputError(f"{transform}: holds no step to do")
    request = Request(
        command="apply",
        input=input,
        output=None if nothing else output,
        common=common,
        steps=[Step("apply", Apply(transform=transform, number=number)) for number in range(len(found))],
        check=manner.check,
        force=manner.force,
        rerun=manner.rerun,
        environment=dict(os.environ),
    )
    return carry_out(request, manner)
