import importlib.util
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datadiet_cli.config.base import Common, Settings, form_of, parse_share, percentage
from datadiet_cli.config.dedup import Dedup
from datadiet_cli.config.environment import variables_of_settings
from datadiet_cli.config.pipeline import METRICS, RATES, Expectation, Pipeline, Step
from datadiet_cli.config.registry import STEPS, load, settings_of
from datadiet_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("said", "share"),
    [("1%", 0.01), ("0.5%", 0.005), ("0.1%", 0.001), ("100%", 1.0), ("0%", 0.0), (".5%", 0.005), ("7%", 0.07),
     (0.01, 0.01), (1, 1.0), (0, 0.0), ("1", 1.0), ("0.01", 0.01), ("1e-3", 0.001)],
)  # fmt: skip
def test_shares(said, share):
    common = Common(max_removed=said)
    assert common.max_removed == share
    assert common.model_dump(mode="json")["max_removed"] == share


@pytest.mark.parametrize("said", [5, -0.1, "101%", "-1%", "x", "", "%", "1 0%", "1%%", True, [1], "٣%", "1_0%", "nan"])
def test_what_is_no_share(said):
    with pytest.raises(ValidationError, match="must be a percentage such as 5%, or a number from 0 to 1"):
        Common(max_removed=said)


@given(st.integers(0, 10**11))
def test_percentages_round_trip(billionths):
    share = billionths / 10**11
    assert parse_share(percentage(share)) == share


@given(st.integers(0, 100), st.integers(1, 1000))
def test_a_whole_percentage_equals_the_same_quotient(percent, hundreds):
    """A gate of 7 % must hold for 7 of 100 and 14 of 200, whatever floats make of 0.07."""
    assert Common(max_removed=f"{percent}%").max_removed == percent * hundreds / (100 * hundreds)


@pytest.mark.parametrize(
    ("said", "expectation"),
    [
        ("<= 60%", Expectation("removed", "<=", 0.6, True)),
        (">= 100", Expectation("removed", ">=", 100, False)),
        ("==0", Expectation("removed", "==", 0, False)),
        ("< 0.5%", Expectation("removed", "<", 0.005, True)),
        ("> 7", Expectation("removed", ">", 7, False)),
    ],
)
def test_expectations(said, expectation):
    parsed = Pipeline(steps=["dedup"], expect={"removed": said}).expect["removed"]
    assert parsed == expectation
    assert Pipeline(steps=["dedup"], expect={"removed": str(parsed)}).expect["removed"] == parsed


@pytest.mark.parametrize(
    "said", ["60%", "<= 0.6", "=< 3", "<= -1", "<= 60 %", "<=", 0, None, ["<= 1"], "<= 1e9", "!= 1"]
)
def test_what_is_no_expectation(said):
    with pytest.raises(ValidationError, match="must compare with a share or a number of samples"):
        Pipeline(steps=["dedup"], expect={"removed": said})


@pytest.mark.parametrize(
    ("said", "below", "at", "above"),
    [("<= 10", True, True, False), ("< 10", True, False, False), ("== 10", False, True, False),
     (">= 10", False, True, True), ("> 10", False, False, True)],
)  # fmt: skip
def test_what_holds(said, below, at, above):
    expectation = Pipeline(steps=["dedup"], expect={"samples": said}).expect["samples"]
    assert [expectation.holds(value) for value in (9, 10, 11)] == [below, at, above]


@given(
    st.sampled_from(METRICS),
    st.sampled_from(["<=", ">=", "==", "<", ">"]),
    st.integers(0, 10**12),
    st.booleans(),
)
def test_expectations_round_trip(metric, sign, limit, is_share):
    is_share |= metric in RATES
    said = f"{sign} {limit % 10**5 / 1000:g}%" if is_share else f"{sign} {limit}"
    expect = Pipeline(steps=["dedup"], expect={metric: said}).expect
    assert Pipeline(steps=["dedup"], expect={metric: str(expect[metric])}).expect == expect


def test_a_rate_is_compared_with_a_share():
    with pytest.raises(ValidationError, match="accuracy_drop is a share"):
        Pipeline(steps=["evaluate"], expect={"accuracy_drop": "<= 1"})


@pytest.mark.parametrize(("said", "meant"), [("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), (";", ";"), (",", ",")])
def test_delimiters(said, meant):
    assert Common(delimiter=said).delimiter == meant


@pytest.mark.parametrize("said", ["", ";;", '"', "\n", "TAB"])
def test_what_is_no_delimiter(said):
    with pytest.raises(ValidationError, match="must be one character, or 'tab'"):
        Common(delimiter=said)


@pytest.mark.parametrize("said", ["utf8000", "", "base64", "rot13", "a\0b", "\ud800"])
def test_what_is_no_encoding(said):
    with pytest.raises(ValidationError, match="must be a text encoding such as utf-8"):
        Common(encoding=said)


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Common().seed = 3


def test_steps_are_complete_and_written_back():
    pipeline = Pipeline(steps=["dedup", {"dedup": None}, {"dedup": {"method": "exact"}}, Step("dedup", Dedup())])
    assert [step.name for step in pipeline.steps] == ["dedup"] * 4
    assert pipeline.steps[2].settings == Dedup(method="exact")
    assert pipeline.steps[0] == pipeline.steps[1] == pipeline.steps[3]
    written = json.loads(pipeline.model_dump_json())
    assert written["steps"][2]["dedup"]["method"] == "exact"
    assert written["steps"][2]["dedup"].keys() == Dedup.model_fields.keys()
    assert Pipeline.model_validate(written) == pipeline


def test_unknown_step():
    with pytest.raises(ConfigError, match="unknown step 'dedpu'; did you mean 'dedup'"):
        settings_of("dedpu")
    with pytest.raises(ConfigError, match="unknown step 'x'; there are dedup"):
        settings_of("x")


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_fit_for_the_registry(name):
    """Its settings can stand beside the common ones, and its line in the help reads like the others."""
    model = settings_of(name)
    assert issubclass(model, Settings)
    assert not model.model_fields.keys() & Pipeline.model_fields.keys()
    assert importlib.util.find_spec(STEPS[name].run.split(":")[0].rpartition(".")[0])
    assert STEPS[name].summary[0].isupper()
    assert not STEPS[name].summary.endswith(".")


@pytest.mark.parametrize("model", [Common, Pipeline, *map(settings_of, STEPS)])
def test_every_setting_is_described_in_one_line(model):
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert len(field.description) < 110, name


def test_no_two_settings_share_a_variable():
    fields = len(Common.model_fields) + sum(len(settings_of(name).model_fields) for name in STEPS)
    assert len(variables_of_settings()) == fields


def test_load_finds_what_a_reference_names():
    assert load("datadiet_cli.config.dedup:Dedup") is Dedup


def test_form_sees_through_wrappings():
    assert form_of(Dedup.model_fields["columns"]).many
    assert form_of(Dedup.model_fields["columns"]).type is str
    assert form_of(Common.model_fields["max_removed"]).is_share
    workers = form_of(Common.model_fields["workers"])
    assert (workers.type, workers.lowest, workers.highest) == (int, 1, None)
    distance = form_of(Dedup.model_fields["max_distance"])
    assert (distance.lowest, distance.highest) == (0, 64)
