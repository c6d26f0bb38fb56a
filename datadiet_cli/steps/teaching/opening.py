"""Open a model that somebody names: a folder of `train`, or an exported program."""

import os

from datadiet_cli.errors import ConfigError, InputError
from datadiet_cli.nn.spec import Spec
from datadiet_cli.steps.targets import Goal
from datadiet_cli.steps.teaching.using import Trained, program_in, trained


def opened(path: str, goal: Goal, factory: str | None, step: str) -> Trained:
    """A model of `train`, or a .pt2 file, whose outputs then are the classes of the samples in order.

    Args:
        path: of the model.
        goal: what the samples' labels say.
        factory: see `using.described`.
        step: who asks, for messages.

    Raises:
        InputError: it cannot be read.
        ConfigError: it does not predict what the labels say.
    """
    if os.path.isdir(path):
        known = trained(path, factory)
        if bool(known.spec.classes) != (goal.task == "classes"):
            raise ConfigError(f"{step}: {path} does not predict what the labels of the samples are")
        return known
    from datadiet_cli.nn.models import from_program
    from datadiet_cli.nn.models.wrapped import last_linear

    program, field = program_in(path)
    spec = Spec("program", (field,), goal.classes, {}, goal.label)
    found = last_linear(program)
    if found is None or found[1].out_features != spec.outputs:
        raise ConfigError(f"{step}: {path} does not give {spec.outputs} outputs, one for each class of the samples")
    try:
        return Trained(from_program(spec, program), spec, None)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
