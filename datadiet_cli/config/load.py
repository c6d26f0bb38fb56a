"""Put settings together: a flag overrules the environment, that a file, and a file the defaults."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from datadiet_cli.config.base import Common, Settings
from datadiet_cli.config.environment import Variable, read_environment
from datadiet_cli.config.pipeline import Pipeline, named_settings
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.config.words import Loc, dotted, explain
from datadiet_cli.config.yamlfile import Locate, read_yaml
from datadiet_cli.errors import ConfigError

AnySettings = TypeVar("AnySettings", bound=Settings)


def load_pipeline(path: Path, overrides: Mapping[str, Any], env: Mapping[str, str]) -> Pipeline:
    """Read a pipeline file.

    Args:
        path: the file.
        overrides: settings given as flags, by field name; they stand above all else.
        env: environment variables. One for a step's setting applies to every step of that name.

    Raises:
        ConfigError: with one line per mistake, all of them at once.
    """
    content, locate = read_yaml(path, str(path))
    sources = _Sources(content, locate)
    variables, problems = read_environment(env)
    sources.add_variables([v for v in variables if v.step is None])
    sources.add_step_variables([v for v in variables if v.step is not None])
    sources.add_flags(overrides)
    pipeline = sources.validate(Pipeline, sources.values, Pipeline.model_fields, problems)
    return _unless(problems, pipeline)


def load_common(flags: Mapping[str, Any], env: Mapping[str, str]) -> Common:
    """Gather the common settings alone, for a command that has no others.

    Args:
        flags: settings given as flags, by field name; they stand above the environment.
        env: environment variables.

    Raises:
        ConfigError: with one line per mistake, all of them at once.
    """
    sources = _Sources({}, None)
    variables, problems = read_environment(env)
    sources.add_variables([v for v in variables if v.step is None])
    sources.add_flags(flags)
    common = sources.validate(Common, sources.values, Common.model_fields, problems)
    return _unless(problems, common)


def load_step(
    name: str, config_path: Path | None, flags: Mapping[str, Any], env: Mapping[str, str]
) -> tuple[Common, Settings]:
    """Gather the settings of a single step. In its file they stand side by side with the common ones.

    Args:
        name: of the step.
        config_path: a YAML file, or None.
        flags: settings given as flags, by field name; they stand above all else.
        env: environment variables.

    Returns:
        The common settings, and the step's own.

    Raises:
        ConfigError: with one line per mistake, all of them at once.
    """
    model = settings_of(name)
    sources = _Sources(*read_yaml(config_path, str(config_path))) if config_path else _Sources({}, None)
    variables, problems = read_environment(env)
    sources.add_variables([v for v in variables if v.step in (None, name)])
    sources.add_flags(flags)
    known = [*model.model_fields, *Common.model_fields]
    shared = {key: value for key, value in sources.values.items() if key in Common.model_fields}
    own = {key: value for key, value in sources.values.items() if key not in shared}
    common = sources.validate(Common, shared, known, problems)
    settings = sources.validate(model, own, known, problems)
    return _unless(problems, common), _unless(problems, settings)


class _Sources:
    """The settings as the user said them, the most binding source on top, and where each comes from.

    Attributes:
        values: the settings, not yet checked.
    """

    def __init__(self, values: dict[str, Any], locate: Locate | None) -> None:
        self.values = values
        self._locate = locate
        self._origins: dict[Loc, str] = {}

    def add_variables(self, variables: list[Variable]) -> None:
        for variable in variables:
            self.values[variable.setting] = variable.value
            self._origins[(variable.setting,)] = f"environment {variable.name}"

    def add_flags(self, flags: Mapping[str, Any]) -> None:
        for name, value in flags.items():
            self.values[name] = value
            self._origins[(name,)] = flag_of(name)

    def add_step_variables(self, variables: list[Variable]) -> None:
        """Set a variable for each step of its name; what is no step is left for validation to complain of."""
        steps = self.values.get("steps")
        for index, item in enumerate(steps if isinstance(steps, list) else []):
            name, settings = named_settings(item) or ("", None)
            if not isinstance(settings, dict):
                continue
            for variable in variables:
                if variable.step == name:
                    settings = {**settings, variable.setting: variable.value}
                    self._origins["steps", index, name, variable.setting] = f"environment {variable.name}"
            self.values["steps"][index] = {name: settings}

    def validate(
        self, model: type[AnySettings], values: Mapping[str, Any], known: Collection[str], problems: list[str]
    ) -> AnySettings | None:
        """Check settings against their model; on mistakes, add a line for each to `problems` and give None.

        `known` are the settings that a mistyped one at the top level may have meant.
        """
        try:
            return model.model_validate(values)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if locate := self._locate:
                details.sort(key=lambda detail: locate(detail["loc"]))
            problems.extend(self._describe(detail, known) for detail in details)
            return None

    def _describe(self, error: ErrorDetails, known: Collection[str]) -> str:
        # The library appends a mark of its own where a key, not its value, is wrong.
        loc = tuple(part for part in error["loc"] if part != "[key]")
        if len(loc) > 3 and loc[0] == "steps" and loc[2] in STEPS:
            known = settings_of(str(loc[2])).model_fields
        what = explain(error, known)
        if error["type"] == "extra_forbidden" and len(loc) > 1 and loc[-1] in Common.model_fields:
            what = "unknown setting of a step; it belongs to the whole pipeline, at the top level"
        origin = next((self._origins[loc[:end]] for end in range(len(loc), 0, -1) if loc[:end] in self._origins), None)
        if origin or not self._locate:
            return f"{origin or flag_of(str(loc[0]))}: {what}"
        return f"{self._locate(loc)}: {dotted(loc)}: {what}"


def flag_of(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def _unless(problems: list[str], settings: AnySettings | None) -> AnySettings:
    if problems or settings is None:
        # A variable that applies to several steps is wrong only once.
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return settings
