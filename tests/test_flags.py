import inspect
import re
import subprocess
import sys
from typing import Annotated

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from datadiet_cli.config.base import Common, Settings, Share, form_of, percentage
from datadiet_cli.config.load import load_step
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.errors import ConfigError
from datadiet_cli.flags import given, options

HEAVY = {"torch", "sklearn", "scipy", "polars", "PIL", "numpy", "imagehash", "pandas"}


def run(models, *arguments):
    """Run an app whose one command has the options of these models; give the result and what was typed."""
    typed = {}

    def command(**kwargs):
        typed.update(given(kwargs))

    command.__signature__ = inspect.Signature(options(*models))
    command.__annotations__ = {option.name: option.annotation for option in options(*models)}
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    # Wide, so that help is not broken within a word.
    app.command(context_settings={"terminal_width": 1000, "max_content_width": 1000})(command)
    result = CliRunner().invoke(app, arguments)
    return result, typed


def typed(models, *arguments):
    result, said = run(models, *arguments)
    assert result.exit_code == 0, result.output
    return said


@pytest.mark.parametrize("name", STEPS)
def test_help_explains_every_setting_of_every_step(name):
    models = (settings_of(name), Common)
    result, _ = run(models, "--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for field_name, field in [item for model in models for item in model.model_fields.items()]:
        flag = "--" + field_name.replace("_", "-")
        assert re.search(rf"{flag}\b", text), flag
        assert field.description in text
        if isinstance(field.default, bool):
            assert f"--no-{field_name.removeprefix('no_').replace('_', '-')}" in text
        if isinstance(field.default, str | int | float):
            default = percentage(field.default) if form_of(field).is_share else str(field.default).lower()
            assert f"default: {default}]" in text
    for word in (
        "across-splits",
        "[0 to 64]",
        "<share>",
        "<fast|full>",
        "<int>",
        "May be given several times.",
    ):
        assert name != "dedup" or word in text


def test_what_is_not_typed_stays_out():
    assert typed((settings_of("dedup"), Common)) == {}


def test_what_repeats_the_default_counts_as_typed():
    assert typed((Common,), "--seed", "0", "--cache") == {"seed": 0, "cache": True}


def test_values_have_the_type_of_their_setting():
    said = typed(
        (settings_of("dedup"), Common),
        *("--method", "phash", "--max-distance", "3", "--min-correlation", "0.5", "--no-verify"),
        *("--columns", "a", "--columns", "b,c"),
        *("--workers", "2", "--label", "3", "--max-removed", "1%", "--follow-symlinks"),
    )  # fmt: skip
    assert said == {
        "method": "phash", "max_distance": 3, "min_correlation": 0.5, "verify": False,
        "columns": ["a", "b,c"], "workers": 2, "label": "3", "max_removed": "1%", "follow_symlinks": True,
    }  # fmt: skip
    common, own = load_step("dedup", None, said, {})
    assert (common.max_removed, common.label, own.columns) == (0.01, "3", ["a", "b,c"])


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--max-distance", "65", "must be at most 64, not 65"),
        ("--max-distance", "1.5", "must be a whole number, not 1.5"),
        ("--max-distance", "", "must be a whole number, not ''"),
        ("--workers", "null", "must be a whole number, not 'null'"),
        ("--workers", "0", "must be at least 1, not 0"),
        ("--tolerance", "x", "must be a number, not 'x'"),
        ("--decode", "fulll", "must be one of fast, full, not 'fulll'; did you mean 'full'?"),
        ("--max-removed", "5", "must be a percentage such as 5%, or a number from 0 to 1, not '5'"),
    ],
)
def test_a_wrong_value_is_refused_by_the_settings_in_their_words(flag, text, message):
    said = typed((settings_of("dedup"), Common), flag, text)
    with pytest.raises(ConfigError) as caught:
        load_step("dedup", None, said, {})
    assert str(caught.value) == f"{flag}: {message}"


@pytest.mark.parametrize("arguments", [("--sede", "1"), ("--seed",), ("--verify=3",)])
def test_usage_errors_end_with_exit_code_2(arguments):
    result, said = run((settings_of("dedup"), Common), *arguments)
    assert result.exit_code == 2
    assert arguments[0].partition("=")[0] in result.output
    assert said == {}


def test_shapes_that_no_step_has_yet():
    class Later(Settings):
        keep: Share = Field(0.125, description="How much stays.")
        rates: list[float] | None = Field(None, description="Rates.")
        folds: Annotated[int, Field(ge=2)] | None = Field(None, description="Folds.")
        must: str = Field(description="Needed.")

    text = " ".join(run((Later,), "--help")[0].output.split())
    for words in (
        "--keep <share> How much stays. [default: 12.5%]",
        "--rates <float>",
        "[at least 2]",
        "--must <text> Needed.",
    ):
        assert words in text
    said = typed((Later,), "--keep", "50%", "--rates", "0.5", "--rates", "1", "--folds", "3")
    assert said == {"keep": "50%", "rates": [0.5, 1.0], "folds": 3}


def test_nothing_heavy_is_imported():
    code = "import sys, datadiet_cli.flags as f, datadiet_cli.config.load, datadiet_cli.config.schema\n"
    code += "from datadiet_cli.config.registry import *\n[f.options(settings_of(name)) for name in STEPS]\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert not HEAVY & set(output.split())
