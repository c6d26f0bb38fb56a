import jsonschema
import pytest

from datadiet_cli.config.base import Common
from datadiet_cli.config.load import load_pipeline, load_step
from datadiet_cli.config.pipeline import Pipeline
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.config.schema import pipeline_schema, step_schema
from datadiet_cli.config.yamlfile import read_yaml
from datadiet_cli.errors import ConfigError


def accepts(schema, text):
    return jsonschema.Draft202012Validator(schema).is_valid(read_yaml(text, "a.yaml")[0])


@pytest.mark.parametrize("schema", [pipeline_schema(), *map(step_schema, STEPS)])
def test_schemas_are_schemas(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("name", STEPS)
def test_every_setting_is_described(name):
    entries = pipeline_schema()["properties"]["steps"]["items"]["anyOf"][1]["properties"]
    inner = entries[name]["anyOf"][0]["properties"]
    flat = step_schema(name)["properties"]
    assert inner.keys() == settings_of(name).model_fields.keys()
    assert flat.keys() == inner.keys() | Common.model_fields.keys()
    assert pipeline_schema()["properties"].keys() == Pipeline.model_fields.keys()
    assert all(entry["description"] for entry in [*flat.values(), *pipeline_schema()["properties"].values()])


GOOD_PIPELINES = [
    "steps: [dedup]",
    "steps: [dedup: ]",
    "input: raw\noutput: clean\nmax_removed: 5%\nsteps: [dedup: {method: exact, columns: [a]}, dedup]",
    "steps: [dedup: {tolerance: 0, max_distance: 0}]\nmax_removed: 0.5\nworkers: null\ndelimiter: tab",
    "steps: [dedup]\nexpect: {removed: <= 60%, leaks: == 0, samples: '>= 10'}",
]
BAD_PIPELINES = [
    "seed: 1",
    "steps: []",
    "steps: dedup",
    "steps: [dedpu]",
    "steps: [dedup: {treshold: 3}]",
    "steps: [{dedup: {}, method: exact}]",
    "steps: [{}]",
    "steps: [dedup: {max_distance: 65}]",
    "steps: [dedup: {columns: []}]",
    "steps: [dedup]\nsede: 1",
    "steps: [dedup]\ncache: yes",
    "steps: [dedup]\nmax_removed: 5",
    "steps: [dedup]\nmax_removed: 5 %",
    "steps: [dedup]\ndelimiter: ab",
    "steps: [dedup]\nexpect: {leeks: == 0}",
    "steps: [dedup]\nexpect: {leaks: 0}",
    "steps: [dedup]\nseed: '3'",
]


@pytest.mark.parametrize(("text", "good"), [(t, True) for t in GOOD_PIPELINES] + [(t, False) for t in BAD_PIPELINES])
def test_schema_and_loader_agree_on_pipelines(tmp_path, text, good):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert accepts(pipeline_schema(), text) == good
    if good:
        load_pipeline(path, {}, {})
    else:
        with pytest.raises(ConfigError):
            load_pipeline(path, {}, {})


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("seed: 1\nmethod: phash\nmax_removed: 1%", True),
        ("treshold: 1", False),
        ("steps: [dedup]", False),
        ("max-distance: 3", False),
        ("seed: -1", False),
    ],
)
def test_schema_and_loader_agree_on_steps(tmp_path, text, good):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert accepts(step_schema("dedup"), text) == good
    if good:
        load_step("dedup", path, {}, {})
    else:
        with pytest.raises(ConfigError):
            load_step("dedup", path, {}, {})


def test_no_schema_of_an_unknown_step():
    with pytest.raises(ConfigError, match="did you mean 'dedup'"):
        step_schema("dedpu")
