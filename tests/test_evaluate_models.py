"""`datadiet evaluate` of two models."""

import json

import polars as pl
import pytest
from sklearn import metrics as reference

from datadiet_cli.__main__ import run
from tests.conftest import Cli, table
from tests.lessons import without_program
from tests.trials import HEADER, evaluated, narrow, photos, records, written


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models of the same data; and test data."""
    root = tmp_path_factory.mktemp("models")
    rows = records(90, apart=2.0)
    few, whole = written(root / "few.csv", rows[:12], HEADER[:4]), written(root / "whole.csv", rows, HEADER[:4])
    for data, name, model in ((whole, "A", "mlp"), (few, "B", "linear")):
        flags = ["--label", "kind", "--model", model, "--epochs", "5", "--record", "none", "--quiet"]
        with without_program():
            assert run(["train", str(data), str(root / name), *flags]) == 0
    return root / "A", root / "B", written(root / "t.csv", records(60, seed=1, apart=2.0), HEADER[:4])


def test_two_models(models, tmp_path, datadiet: Cli):
    """Quality is scikit-learn's on what predict says, cost is the models', and time stays out of what is compared."""
    one, other, test = models
    found = tmp_path / "r.json"
    call = ["evaluate", "--model", one, "--against-model", other, "--test", test, "--label", "kind"]
    ran = datadiet(*call, found)
    assert ran.code == 0, ran.err
    assert not narrow(ran)
    document = json.loads(found.read_bytes())
    block = document["steps"][-1]["metrics"]["protocols"]["models"]
    truth = pl.read_csv(test)["kind"].to_numpy()
    for name, model in (("after", one), ("before", other)):
        out = tmp_path / f"{name}.csv"
        assert datadiet("predict", model, test, out, "--label", "kind").code == 0
        said = pl.read_csv(out)
        chances = said.select(pl.col("^probability of .$"))
        figures = block["arms"][name]["metrics"]
        guess = said["predicted"].to_numpy()
        assert figures["accuracy"]["mean"] == pytest.approx(reference.accuracy_score(truth, guess), abs=1e-12)
        assert figures["macro_f1"]["mean"] == pytest.approx(
            reference.f1_score(truth, guess, average="macro"), abs=1e-12
        )
        area = reference.roc_auc_score(truth, chances.to_numpy(), multi_class="ovr")
        assert figures["macro_roc_auc"]["mean"] == pytest.approx(area, abs=1e-4)
        cost = block["arms"][name]["cost"]
        assert cost["parameters"] == json.loads((model / "model.json").read_bytes())["parameters"]
        assert cost["macs"] > 0
        assert cost["compressed"] > 0
        assert cost["bytes"] >= 4 * cost["parameters"]
    assert block["arms"]["after"]["cost"]["parameters"] > block["arms"]["before"]["cost"]["parameters"]
    assert {one["batch"] for one in document["run"]["steps"][-1]["timings"]["latency"]["after"]}
    assert "latency" not in json.dumps(document["steps"])
    again = tmp_path / "again.json"
    assert datadiet(*call, again, "--rerun").code == 0
    assert evaluated(again) == evaluated(found)
    assert datadiet(*call, "--max-drop", "90%", "--fail-under", "100%").code == 1


def test_a_model_against_itself(models, tmp_path, datadiet: Cli):
    one, _, test = models
    found = tmp_path / "r.json"
    ran = datadiet("evaluate", "--model", one, "--against-model", one, "--test", test, "--label", "kind", found)
    assert ran.code == 0, ran.err
    block = evaluated(found)["protocols"]["models"]
    assert block["verdict"]["difference"] == 0
    assert block["mcnemar"] == {"only_after": 0, "only_before": 0, "p_value": 1.0}


def test_a_program(tmp_path, datadiet: Cli):
    """The .pt2 file of a model is as good as its folder."""
    data = photos(tmp_path / "data", {"train": range(16), "test": range(100, 108)})
    ran = datadiet("train", data, tmp_path / "M", "--image-size", 8, "--epochs", 2, "--batch-size", 8)
    assert ran.code == 0, ran.err
    found = tmp_path / "r.json"
    call = ["evaluate", "--model", tmp_path / "M" / "model.pt2", "--against-model", tmp_path / "M", "--test", data]
    ran = datadiet(*call, found)
    assert ran.code == 0, ran.err
    assert evaluated(found)["test_samples"] == 8
    block = evaluated(found)["protocols"]["models"]
    assert block["verdict"]["difference"] == 0
    one, other = (block["arms"][name]["metrics"] for name in ("after", "before"))
    assert one["log_loss"]["mean"] == pytest.approx(other["log_loss"]["mean"], rel=1e-3)


def test_models_that_cannot_be_compared(models, tmp_path, datadiet: Cli):
    one, other, test = models
    both = ["evaluate", "--model", one, "--against-model", other, "--label", "kind"]
    assert "--test" in datadiet(*both).complaint
    assert "only a report" in datadiet(*both, "--test", test, tmp_path / "in.csv", tmp_path / "r.json").complaint
    assert "--model" in datadiet("evaluate", "--against-model", one, "--test", test, "--label", "kind").complaint
    ran = datadiet("evaluate", "--model", tmp_path / "no", "--against-model", one, "--test", test, "--label", "kind")
    assert "no" in ran.complaint
    ran = datadiet("evaluate", "--model", test, "--against-model", one, "--test", test, "--label", "kind")
    assert str(test) in ran.complaint
    two = written(tmp_path / "two.csv", records(60, classes="ab"), HEADER[:4])
    with without_program():
        assert datadiet("train", two, tmp_path / "C", "--label", "kind", "--model", "linear", "--epochs", 2).code == 0
    ran = datadiet("evaluate", "--model", one, "--against-model", tmp_path / "C", "--test", test, "--label", "kind")
    assert "do not predict the same classes" in ran.complaint
    lacking = table(tmp_path / "lack.csv", ["x", "kind"], [[row[0], row[3]] for row in records(20)])
    ran = datadiet("evaluate", "--model", one, "--against-model", other, "--test", lacking, "--label", "kind")
    assert "y" in ran.complaint
    foreign = written(tmp_path / "f.csv", records(20, classes="xy"), HEADER[:4])
    ran = datadiet("evaluate", "--model", one, "--against-model", other, "--test", foreign, "--label", "kind")
    assert "no test sample that has a label of the models" in ran.complaint
