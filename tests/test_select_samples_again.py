"""`select-samples` upon what was made before: files of scores, records of `train`; and in pipelines."""

import polars as pl
import pytest

from datadiet_cli.config.load import load_step
from datadiet_cli.config.pipeline import Step
from datadiet_cli.request import Request
from tests.conftest import Cli, report, table, write_pipeline
from tests.lessons import FLAGS, rows_of_things, things
from tests.test_select_samples import QUICK, samples, told

TRAIN = ["--model", "linear", "--epochs", "6", "--learning-rate", "0.1"]


@pytest.fixture
def source(tmp_path):
    return things(tmp_path)[0]


@pytest.fixture
def unsplit(tmp_path):
    rows = [row[:-1] for row in rows_of_things()]
    return table(tmp_path / "whole.csv", ["id", "size", "colour", "town", "kind"], rows)


def test_a_file_that_random_was_chosen_for(source, tmp_path, datadiet: Cli):
    """Where the tournament ended in random, another cut is another draw, and needs no method named."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    line = ["select-samples", source, first, *FLAGS, *QUICK, "--candidates", "random"]
    assert datadiet(*line).code == 0
    assert told(first)["method"] == "random"
    ran = datadiet("select-samples", source, second, *FLAGS, "--scores", f"{first}.scores.parquet", "--keep", "10")
    assert ran.code == 0, ran.err
    assert (told(second)["method"], told(second)["kept"], told(second)["break_even"]) == ("random", 10, None)


def test_another_rule_has_its_own_cut(source, tmp_path, datadiet: Cli):
    """What was cut for one rule is no cut of another: ccs takes the estimate again."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    line = ["select-samples", source, first, *FLAGS, *QUICK, "--method", "aum", "--beta", "30%", "--max-noise", "100%"]
    assert datadiet(*line).code == 0
    line = ["select-samples", source, second, *FLAGS, "--scores", f"{first}.scores.parquet"]
    assert datadiet(*line).code == 0
    assert (told(second)["method"], told(second)["rule"], told(second)["beta"]) == ("aum", "top-k", 0.3)
    assert datadiet(*line, "--rule", "ccs", "--beta", "0%", "--force", "--max-noise", "100%").code == 0
    assert (told(second)["rule"], told(second)["beta"]) == ("ccs", 0)


def test_what_a_training_held_out_stays(unsplit, tmp_path, datadiet: Cli):
    """A record knows nothing of the samples that told when to stop; they are of the same data all the same."""
    model, out = tmp_path / "model", tmp_path / "out.csv"
    flags = ["--label", "kind", "--id-column", "id"]
    assert datadiet("train", unsplit, model, *flags, *TRAIN, "--patience", "9").code == 0
    learned = set(pl.read_parquet(model / "record" / "samples.parquet")["id"])
    line = ["select-samples", unsplit, out, *flags, "--record", model, "--method", "aum", "--keep", "50%"]
    ran = datadiet(*line, "--max-noise", "100%")
    assert ran.code == 0, ran.err
    dropped = {row["id"] for row in report(out)["verdicts"]}
    assert dropped <= learned
    assert told(out)["chosen_from"] == len(learned) < 60
    assert told(out)["kept"] == round(len(learned) / 2)


def test_the_record_of_a_dynamic_training_is_refused(source, tmp_path, datadiet: Cli):
    model = tmp_path / "model"
    assert datadiet("train", source, model, *FLAGS, *TRAIN, "--dynamic", "random", "--controls", "none").code == 0
    ran = datadiet("select-samples", source, tmp_path / "out.csv", *FLAGS, "--record", model, "--method", "aum")
    assert ran.code == 2
    assert "train without --dynamic" in ran.complaint


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("[{select-samples: {method: aum, shard: 1/2}}]", "steps[0].select-samples.shard: is for the command alone"),
        ("[dedup, {evaluate: {model: linear}}]", "steps[1].evaluate: nothing to compare with; add against: input"),
    ],
)
def test_a_pipeline_is_refused_before_its_first_step(steps, words, source, tmp_path, datadiet: Cli):
    path = write_pipeline(tmp_path / "run.yaml", f"steps: {steps}\n")
    ran = datadiet("run", path, "--input", source, "--output", tmp_path / "out.csv")
    assert ran.code == 2
    assert words in ran.complaint


def test_early_scores_take_few_epochs(source, tmp_path, datadiet: Cli):
    """Three models for two of twenty epochs each; in full they tell the same of it, and all other scores."""
    early, whole = tmp_path / "early.csv", tmp_path / "whole.csv"
    line = [*FLAGS, "--model", "linear", "--epochs", "20", "--folds", "1", "--method", "el2n", "--max-noise", "100%"]
    assert datadiet("select-samples", source, early, *line).code == 0
    assert datadiet("select-samples", source, whole, *line, "--no-early").code == 0
    n = sum(samples(source).values())
    assert (told(early)["scores"]["samples_seen"], told(whole)["scores"]["samples_seen"]) == (6 * n, 60 * n)
    few, all_ = (pl.read_parquet(f"{path}.scores.parquet") for path in (early, whole))
    assert few["el2n"].to_list() == all_["el2n"].to_list()
    assert "aum" not in few.columns
    assert {"aum", "forgetting", "dyn-unc", "tdds"} <= set(all_.columns)
    assert report(early)["verdicts"] == report(whole)["verdicts"]


def test_a_method_that_is_named_is_not_remembered_as_one_that_is_not():
    """Both have the same settings; only the one takes its method from the file."""
    keys = []
    for flags in ({}, {"method": "auto"}):
        common, settings = load_step("select-samples", None, {"scores": ["a.scores.parquet"], **flags}, {})
        keys.append(Request("select-samples", "in", None, common, [Step("select-samples", settings)]).key("state"))
    assert keys[0] != keys[1]
