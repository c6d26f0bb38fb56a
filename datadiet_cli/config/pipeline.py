"""The settings of a pipeline: what goes in and out, the steps in order, and what must hold at the end."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, TypeAdapter, WithJsonSchema

from datadiet_cli.config.base import PERCENTAGE, Common, Settings, parse_percentage, percentage
from datadiet_cli.config.registry import STEPS, settings_of, unknown_step
from datadiet_cli.config.words import shown

Metric = Literal[
    "removed",
    "samples",
    "added",
    "relabelled",
    "imputed",
    "flagged",
    "unreadable",
    "conflicts",
    "leaks",
    "contaminated",
    "invalid",
    "poor",
    "outliers",
    "mislabelled",
    "accepted",
    "columns_dropped",
    "accuracy",
    "accuracy_lost",
    "accuracy_drop",
]
RATES = ("accuracy", "accuracy_lost", "accuracy_drop")
"""Metrics that are shares by themselves, which `evaluate` gives: of the accuracy, or of R2 where the label is a number.
The drop is the largest loss that is not ruled out, the loss what was measured."""
METRICS: tuple[str, ...] = get_args(Metric)

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
EXPECTATION_PATTERN = rf"^(<=|>=|==|<|>) *({PERCENTAGE}|[0-9]{{1,15}})$"


@dataclass(frozen=True)
class Expectation:
    """A gate: what must hold of one figure at the end of a pipeline.

    Attributes:
        metric: one of `METRICS`.
        operator: `<=`, `>=`, `==`, `<` or `>`.
        value: the limit; a share in [0, 1] if `is_share`, else a number of samples.
        is_share: whether the limit is a share, of the samples in the input unless the metric is one by itself.
    """

    metric: str
    operator: str
    value: float
    is_share: bool

    def holds(self, value: float) -> bool:
        """Whether a figure passes; it must be a share if `is_share`, else a number of samples."""
        return _OPERATORS[self.operator](value, self.value)

    def __str__(self) -> str:
        limit = percentage(self.value) if self.is_share else f"{self.value:.0f}"
        return f"{self.operator} {limit}"


@dataclass(frozen=True)
class Step:
    """One step of a pipeline.

    Attributes:
        name: its name in the registry.
        settings: its settings, complete.
    """

    name: str
    settings: Settings


def _expectation(value: object) -> Expectation:
    if isinstance(value, Expectation):
        return value
    match = re.fullmatch(EXPECTATION_PATTERN, value) if isinstance(value, str) else None
    if not match:
        wrong = shown(value)
        raise ValueError(f'must compare with a share or a number of samples, as "<= 60%" or ">= 100", not {wrong}')
    sign, limit = match.groups()
    is_share = limit.endswith("%")
    return Expectation("", sign, parse_percentage(limit) if is_share else float(limit), is_share)


def _name_them(expected: dict[Metric, Expectation]) -> dict[Metric, Expectation]:
    for metric, expectation in expected.items():
        if metric in RATES and not expectation.is_share:
            raise ValueError(f'{metric} is a share: compare it with one, such as "<= 1%", not {expectation}')
    return {metric: replace(expectation, metric=metric) for metric, expectation in expected.items()}


def named_settings(item: object) -> tuple[str, object] | None:
    """Take an entry of `steps` apart into name and settings as written; None if it is no such entry."""
    if isinstance(item, str):
        return item, {}
    if isinstance(item, dict) and len(item) == 1:
        name, settings = next(iter(item.items()))
        return str(name), {} if settings is None else settings
    return None


def _step(item: object) -> Step:
    if isinstance(item, Step):
        return item
    named = named_settings(item)
    if named is None:
        raise ValueError(_not_one_step(item))
    name, settings = named
    if name not in STEPS:
        raise ValueError(unknown_step(name))
    # A mapping with the name as its key, so that the name is part of where a mistake stands.
    entry: TypeAdapter[dict[str, Settings]] = TypeAdapter(dict[str, settings_of(name)])  # type: ignore[arg-type, misc]
    return Step(name, entry.validate_python({name: settings})[name])


def _not_one_step(item: object) -> str:
    if not isinstance(item, dict):
        return f"must be a step: its name, or its name with settings under it, not {shown(item)}"
    names = [key for key in item if key in STEPS]
    if len(names) == 1:
        return f"the settings of {names[0]} must be indented further than its name"
    if names:
        return f"must be one step only, not {', '.join(names)}; begin each with a dash"
    return f"must name a step; there are {', '.join(STEPS)}"


def _step_as_written(step: Step) -> dict[str, Any]:
    return {step.name: step.settings.model_dump(mode="json")}


StepEntry = Annotated[Step, PlainValidator(_step), PlainSerializer(_step_as_written), WithJsonSchema({})]
ExpectationEntry = Annotated[
    Expectation,
    PlainValidator(_expectation),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": EXPECTATION_PATTERN}),
]


class Pipeline(Common):
    """A whole run: the common settings, and steps that each work on what the one before left."""

    input: str | None = Field(None, description="The dataset to read: a folder or a table.")
    output: str | None = Field(None, description="Where the pruned copy goes; it must not exist yet.")
    steps: list[StepEntry] = Field(min_length=1, description="The steps in order, each by name with its settings.")
    expect: Annotated[dict[Metric, ExpectationEntry], AfterValidator(_name_them)] = Field(
        default_factory=dict,
        description='Gates, such as removed: "<= 60%"; if one fails, the run fails and publishes nothing.',
    )
