"""The settings that are judged: those of a pipeline, of one step, or the defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datadiet_cli.config.base import Common
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import Expectation, Step
from datadiet_cli.config.registry import settings_of
from datadiet_cli.config.yamlfile import read_yaml
from datadiet_cli.errors import ConfigError

JUDGED = ("dedup", "denoise")
"""The steps that faults are planted for."""


@dataclass(frozen=True)
class Configured:
    """Settings.

    Attributes:
        common: of the whole run.
        steps: all there are, in order; the first of each of `JUDGED` is judged.
        output: OUTPUT, where a pipeline names one.
        expect: the gates of a pipeline.
    """

    common: Common
    steps: Sequence[Step]
    output: str | None = None
    expect: Mapping[str, Expectation] = field(default_factory=dict)

    def place(self, name: str) -> int | None:
        """Where the first step of a name stands."""
        return next((place for place, step in enumerate(self.steps) if step.name == name), None)


def configured(path: Path | None, flags: Mapping[str, Any], env: Mapping[str, str]) -> Configured:
    """Read the settings.

    Args:
        path: a pipeline, the settings of one of `JUDGED`, or None for both with their defaults.
        flags: common settings given as flags, by field name.
        env: environment variables.

    Raises:
        ConfigError: with one line per mistake, or there is no step to judge.
    """
    content = {} if path is None else read_yaml(path, str(path))[0]
    if path is not None and "steps" in content:
        pipeline = load_pipeline(path, flags, env)
        if not any(step.name in JUDGED for step in pipeline.steps):
            raise ConfigError(f"{path}: has neither dedup nor denoise; faults are planted for these steps")
        # A pipeline is a Common with more in it; the steps are told to need no more than that.
        common = Common.model_construct(**{name: getattr(pipeline, name) for name in Common.model_fields})
        return Configured(
            common, pipeline.steps, pipeline.output, {str(name): gate for name, gate in pipeline.expect.items()}
        )
    loaded = [(name, *load_step(name, path, flags, env)) for name in _meant(content)]
    return Configured(loaded[0][1], [Step(name, settings) for name, _, settings in loaded])


def _meant(content: Mapping[str, Any]) -> Sequence[str]:
    """The step that the settings of a file belong to, by those that only it has; both if none tells."""
    own = [name for name in JUDGED if any(key in settings_of(name).model_fields for key in content)]
    if len(own) < len(JUDGED):
        return own or JUDGED
    counts = {name: sum(key in settings_of(name).model_fields for key in content) for name in JUDGED}
    most = max(counts.values())
    return [name for name in JUDGED if counts[name] == most]
