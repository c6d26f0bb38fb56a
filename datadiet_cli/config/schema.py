"""JSON Schemas of the configuration files, for editors and other validators; derived from the models."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from datadiet_cli.config.base import Common, Settings
from datadiet_cli.config.pipeline import Pipeline
from datadiet_cli.config.registry import STEPS, settings_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Plain(GenerateJsonSchema):
    """Without the titles that only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema, draft 2020-12, of a pipeline file, with the settings of every step there is."""
    schema = _schema(Pipeline)
    entries = {name: {"anyOf": [_schema(settings_of(name)), {"type": "null"}]} for name in STEPS}
    schema["properties"]["steps"]["items"] = {
        "anyOf": [
            {"type": "string", "enum": list(STEPS)},
            {
                "type": "object",
                "properties": entries,
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
        ]
    }
    return {"$schema": DIALECT, **schema}


def step_schema(name: str) -> dict[str, Any]:
    """The JSON Schema, draft 2020-12, of a single step's file: its settings beside the common ones.

    Raises:
        ConfigError: if there is no such step.
    """
    schema = _schema(settings_of(name))
    properties = {**schema["properties"], **_schema(Common)["properties"]}
    return {"$schema": DIALECT, **schema, "properties": properties}


def _schema(model: type[Settings]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=_Plain)
