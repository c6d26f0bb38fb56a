"""`datadiet evaluate` from the command line: what it finds, what it says, and what it refuses."""

import json
import os
import signal
import subprocess
import time

import jsonschema
import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn import metrics as reference

from tests.conftest import Cli, Ran, command, report, table, tree_digest

HEADER = ("x", "y", "colour", "kind", "split")
QUICK = ("--model", "linear", "--seeds", 2, "--epochs", 20, "--batch-size", 32, "--learning-rate", 0.3)
LABEL = ("--label", "kind", *QUICK)


def records(n=120, seed=0, apart=4.0, classes="abc", tested=0):
    """Classes that two numbers tell; the last rows are for testing."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    return [
        [
            f"{rng.normal(apart * (i % k)):.5f}",
            f"{rng.normal(-apart * (i % k)):.5f}",
            "uvw"[rng.integers(3)],
            classes[i % k],
            "test" if i >= n - tested else "train",
        ]
        for i in range(n)
    ]


def written(path, rows, header=HEADER):
    return table(path, header, [row[: len(header)] for row in rows])


@pytest.fixture
def easy(tmp_path):
    """BEFORE has each of its first 40 rows twice, AFTER once; the same 60 rows are for testing."""
    rows = records(150, tested=60)
    return written(tmp_path / "after.csv", rows), written(tmp_path / "before.csv", [*rows[:40], *rows])


@pytest.fixture
def harmed(tmp_path):
    """AFTER has nearly lost a class."""
    rows = records(150, tested=60)
    kept = [row for i, row in enumerate(rows) if row[4] == "test" or row[3] != "a" or i < 3]
    return written(tmp_path / "after.csv", kept), written(tmp_path / "before.csv", rows)


def evaluated(path):
    """The figures in a report."""
    return json.loads(path.read_bytes())["steps"][-1]["metrics"]


def by_epochs(path):
    return evaluated(path)["protocols"]["epochs"]


def narrow(ran: Ran):
    """No line is wider than a terminal, but for notes and the paths of files."""
    return [
        line
        for line in ran.err.splitlines()
        if len(line) > 100 and not line.lstrip().startswith("note") and "/" not in line
    ]


def test_harmless(easy, tmp_path, datadiet: Cli):
    """Exact copies are gone: nothing is lost, gates pass, and the report says all of it."""
    after, before = easy
    kept = tree_digest(tmp_path)
    found = tmp_path / "r" / "found.json"
    found.parent.mkdir()
    kept = [tree_digest(path) for path in easy]
    gates = ["--max-accuracy-drop", "10%", "--max-drop", "10%", "--fail-under", "90%"]
    ran = datadiet("evaluate", after, "--against", before, *LABEL, *gates, found)
    assert ran.code == 0, ran.err
    assert [tree_digest(path) for path in easy] == kept
    document = json.loads(found.read_bytes())
    schema = json.loads(datadiet("schema", "report").out)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert [gate["passed"] for gate in document["gates"]] == [True, True]
    assert document["figures"]["accuracy"] >= 0.95
    told = document["steps"][-1]["metrics"]
    block = told["protocols"]["epochs"]
    assert (told["task"], told["model"], told["test_samples"]) == ("classes", "linear", 60)
    assert set(block["arms"]) == {"after", "before", "random", "cost"}
    assert {name: arm["cost"]["samples"] for name, arm in block["arms"].items()} == {
        "after": 90, "before": 130, "random": 90, "cost": 130,
    }  # fmt: skip
    assert (
        block["arms"]["cost"]["cost"]["steps"]
        == block["arms"]["after"]["cost"]["steps"]
        < (block["arms"]["before"]["cost"]["steps"])
    )
    assert block["verdict"]["noninferior"]
    assert 0 < block["verdict"]["resolution"] <= 0.1
    words = block["words"]
    assert words.startswith(("at most", "nothing lost"))
    said = " ".join(line.strip() for line in ran.err.splitlines())
    assert words in said
    assert "random samples" in said
    assert not narrow(ran)


def figures_of(matrix, classes):
    """scikit-learn's figures of the samples that a matrix of confusion counts."""
    counts = np.array(matrix)
    truth = np.repeat(np.repeat(np.arange(len(classes)), len(classes)), counts.ravel())
    said = np.repeat(np.tile(np.arange(len(classes)), len(classes)), counts.ravel())
    return truth, said


def test_harmful(harmed, tmp_path, datadiet: Cli):
    """A loss is called one, a gate says so and fails, and the report is written nevertheless."""
    after, before = harmed
    found = tmp_path / "found.json"
    gates = ["--max-drop", "5%", "--fail-under", "99%"]
    ran = datadiet("evaluate", after, "--against", before, *LABEL, *gates, "--protocol", "both", found)
    assert ran.code == 1
    document = json.loads(found.read_bytes())
    assert document["exit_code"] == 1
    assert {gate["name"]: gate["passed"] for gate in document["gates"]} == {"max_drop": False, "fail_under": False}
    assert ran.err.count("FAILED") == 2
    blocks = evaluated(found)["protocols"]
    assert set(blocks) == {"epochs", "iterations"}
    for protocol, block in blocks.items():
        verdict = block["verdict"]
        assert verdict["inferior"]
        assert not verdict["noninferior"]
        assert block["words"].startswith("worse")
        lost = block["differences"]["before"]["per_class"]
        assert lost["class"][int(np.argmin(lost["recall"]))] == "a"
        assert ("cost" in block["arms"]) == (protocol == "epochs")
        assert " ".join(ran.err.split()).count(block["words"]) >= 1
    steps = {name: arm["cost"]["steps"] for name, arm in blocks["iterations"]["arms"].items()}
    assert len(set(steps.values())) == 1
    assert evaluated(found)["recipe"]["iterations"] is None
    assert not narrow(ran)
    for arm in blocks["epochs"]["arms"].values():
        truth, said = figures_of(arm["confusion"], "abc")
        assert len(truth) == 120
        assert arm["metrics"]["accuracy"]["mean"] == pytest.approx(reference.accuracy_score(truth, said), abs=1e-12)
        recall = reference.recall_score(truth, said, average=None)
        np.testing.assert_allclose(arm["per_class"]["recall"], recall, atol=1e-12)
        for name, figure in arm["metrics"].items():
            assert figure["mean"] == pytest.approx(np.mean(figure["by_seed"])), name
    one, other = (blocks["epochs"]["arms"][name]["metrics"] for name in ("before", "after"))
    for name, difference in blocks["epochs"]["differences"]["before"]["metrics"].items():
        paired = np.subtract(other[name]["by_seed"], one[name]["by_seed"])
        assert difference["mean"] == pytest.approx(paired.mean(), abs=1e-12), name


def test_wrong_labels_are_a_loss(tmp_path, datadiet: Cli):
    rows = records(150, tested=60)
    wrong = [
        [*r[:3], "bca"["abc".index(r[3])] if i % 2 and r[4] == "train" else r[3], r[4]] for i, r in enumerate(rows)
    ]
    before, after = written(tmp_path / "b.csv", rows), written(tmp_path / "a.csv", wrong)
    ran = datadiet("evaluate", after, "--against", before, *LABEL, tmp_path / "r.json")
    assert ran.code == 0
    block = by_epochs(tmp_path / "r.json")
    assert not block["verdict"]["noninferior"]
    assert set(block["arms"]) == {"after", "before"}
    assert "no controls" in ran.err


def test_the_same_run_twice(easy, tmp_path, datadiet: Cli):
    """Everything but times is the same: with other workers, computed again or remembered."""
    after, before = easy
    documents = []
    ways = [["--workers", 1], ["--workers", 4, "--no-cache"], ["--workers", 4, "--rerun"], ["--workers", 2]]
    call = ["evaluate", after, "--against", before, *LABEL, "--epochs", 4]
    for i, way in enumerate(ways):
        path = tmp_path / f"{i}.json"
        assert datadiet(*call, *way, path).code == 0
        documents.append(json.loads(path.read_bytes()))
    assert [one["run"]["steps"][-1]["resumed"] for one in documents] == [False, False, False, True]
    assert set(documents[0]["run"]["steps"][-1]["timings"]["training"]["epochs"]) == {
        "before",
        "after",
        "random",
        "cost",
    }
    for one in documents:
        del one["run"], one["output"]["path"], one["settings"]["workers"], one["settings"]["cache"]
    assert all(one == documents[0] for one in documents[1:])
    assert datadiet(*call, "--seed", 1, tmp_path / "s.json").code == 0
    assert evaluated(tmp_path / "s.json")["protocols"] != documents[0]["steps"][-1]["metrics"]["protocols"]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_dataset_against_itself(easy, workers, tmp_path, datadiet: Cli):
    """No difference at all, though each training is there twice."""
    found = tmp_path / "r.json"
    ran = datadiet("evaluate", easy[1], "--against", easy[1], *LABEL, "--workers", workers, found)
    assert ran.code == 0, ran.err
    block = by_epochs(found)
    assert block["verdict"]["difference"] == 0
    assert block["arms"]["after"]["metrics"] == block["arms"]["before"]["metrics"]


def test_no_split(tmp_path, datadiet: Cli):
    """A part of each class is held out of both, and it is said."""
    rows = records(150)
    before = written(tmp_path / "b.csv", rows, HEADER[:4])
    after = written(tmp_path / "a.csv", rows[20:], HEADER[:4])
    ran = datadiet("evaluate", after, "--against", before, *LABEL, "--test-share", "30%", tmp_path / "r.json")
    assert ran.code == 0
    assert "45 of 150 training samples are held out, class by class, drawn by seed 0" in ran.err
    cost = {name: arm["cost"]["samples"] for name, arm in by_epochs(tmp_path / "r.json")["arms"].items()}
    assert cost["before"] == 105
    assert cost["after"] < 105


def test_regression(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(0)
    rows = [[f"{x:.4f}", f"{5 * x + rng.normal(0, 1):.4f}"] for x in rng.normal(0, 10, 150)]
    before, after = (table(tmp_path / n, ["x", "price"], some) for n, some in (("b.csv", rows), ("a.csv", rows[30:])))
    flags = ["--label", "price", *QUICK, "--max-drop", "5%", "--epochs", 40, "--controls", "random"]
    ran = datadiet("evaluate", after, "--against", before, *flags, tmp_path / "r.json")
    assert ran.code == 0, ran.err
    assert evaluated(tmp_path / "r.json")["task"] == "numbers"
    block = by_epochs(tmp_path / "r.json")
    assert set(block["arms"]["after"]["metrics"]) >= {"r2", "mae", "rmse"}
    assert block["arms"]["after"]["metrics"]["r2"]["mean"] > 0.9
    assert "of R2" in block["words"]
    assert "MAE" in ran.err
    assert "drawn by seed" in ran.err
    assert not narrow(ran)


def photos(root, numbers, splits=("train", "test")):
    """Bright and dark pictures of noise, the same for the same number."""
    for split in splits:
        for i in numbers[split]:
            light = i % 2 == 0
            path = root / split / ("day" if light else "night") / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 90, (16, 16, 3)) + (160 if light else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


PICTURES = ("--model", "small-cnn", "--image-size", "8", "--seeds", 2, "--epochs", 3, "--batch-size", 8)


def test_pictures(tmp_path, datadiet: Cli):
    """A folder; a file that cannot be read is named, and the exit code says it."""
    before = photos(tmp_path / "before", {"train": range(24), "test": range(100, 116)})
    after = photos(tmp_path / "after", {"train": range(16), "test": range(100, 116)})
    flags = [*PICTURES, "--controls", "none", "--leakage", "exclude"]
    ran = datadiet("evaluate", after, "--against", before, *flags, tmp_path / "r.json")
    assert ran.code == 0, ran.err
    assert {name: arm["cost"]["samples"] for name, arm in by_epochs(tmp_path / "r.json")["arms"].items()} == {
        "after": 16, "before": 24,
    }  # fmt: skip
    broken = after / "train" / "day" / "002.png"
    broken.write_bytes(broken.read_bytes()[:80])
    ran = datadiet("evaluate", after, "--against", before, *flags, tmp_path / "broken.json")
    assert ran.code == 3
    assert "002.png" in ran.err
    assert by_epochs(tmp_path / "broken.json")["arms"]["after"]["cost"]["samples"] == 15


def pipeline(tmp_path, rows, text, header=HEADER[:4]):
    written(tmp_path / "in.csv", rows, header)
    path = tmp_path / "p.yaml"
    out = tmp_path / "out.csv"
    path.write_text(f"input: {tmp_path / 'in.csv'}\noutput: {out}\nlabel: kind\n{text}")
    return path, out


STEPS = """
steps:
  - dedup: {method: exact}
  - evaluate:
      {against: input, model: linear, seeds: 2, epochs: 20, batch_size: 32, learning_rate: 0.3, controls: [none]}
"""


def test_expectations(tmp_path, datadiet: Cli):
    """A pipeline publishes what was proved, and nothing if it was not."""
    rows = records(150, tested=60)
    rows = [*rows, *(row for row in rows[:40])]
    text = STEPS + 'expect: {accuracy: ">= 80%", accuracy_drop: "<= 10%"}\n'
    path, out = pipeline(tmp_path, rows, text, HEADER)
    ran = datadiet("run", path)
    assert ran.code == 0, ran.err
    assert len(pl.read_csv(out)) == 150
    document = report(out)
    assert document["figures"]["accuracy"] > 0.8
    assert document["steps"][-1]["metrics"]["protocols"]["epochs"]["arms"]["before"]["cost"]["samples"] == 130
    path, out = pipeline(tmp_path, rows, text.replace("80%", "100%").replace("10%", "0%"), HEADER)
    out.unlink()
    ran = datadiet("run", path, "--rerun")
    assert ran.code == 1
    assert not out.exists()
    assert ran.err.count("FAILED") == 1 + (document["figures"]["accuracy"] < 1)
    path, _ = pipeline(tmp_path, rows, 'steps: [dedup]\nexpect: {accuracy: ">= 80%"}\n')
    assert "add the step evaluate" in datadiet("run", path).complaint


def test_copies_in_input_without_split(tmp_path, datadiet: Cli):
    """What dedup removes from the data that the test samples are of is no leak: copies stay on one side."""
    rows = records(150)
    path, out = pipeline(tmp_path, [*rows, *rows[:40]], STEPS)
    ran = datadiet("run", path)
    assert ran.code == 0, ran.err
    assert report(out)["steps"][-1]["metrics"]["leaked"] == {}


def test_columns_then_train_then_evaluate(tmp_path, datadiet: Cli):
    """The whole chain: fewer columns and rows, a model of what is left, and the proof against all of it."""
    rows = records(150, tested=40)
    path, out = pipeline(
        tmp_path,
        [*rows, *rows[:20]],
        """
steps:
  - dedup: {method: exact}
  - select-features: {method: mutual-information, keep: 2}
  - train: {model: linear, epochs: 5}
  - evaluate: {against: input, model: linear, seeds: 2, epochs: 20, learning_rate: 0.1, max_accuracy_drop: 10%}
""",
        HEADER,
    )
    ran = datadiet("run", path)
    assert ran.code == 0, ran.err
    assert pl.read_csv(out).columns == ["x", "y", "kind", "split"]
    block = report(out)["steps"][-1]["metrics"]["protocols"]["epochs"]
    assert block["verdict"]["noninferior"]
    assert block["arms"]["after"]["cost"]["samples"] == 110
    assert block["arms"]["before"]["cost"]["samples"] == 130


def test_leaks(tmp_path, datadiet: Cli):
    rows, test = records(90), records(30, seed=1)
    before, after = written(tmp_path / "b.csv", [*rows, test[3], test[7]]), written(tmp_path / "a.csv", rows)
    judged = written(tmp_path / "t.csv", test)
    call = ["evaluate", after, "--against", before, "--test", judged, *LABEL, "--controls", "none"]
    complaint = datadiet(*call).complaint
    assert "2 test samples (6.7%) are in the training data" in complaint
    assert "3 is 90, 7 is 91" in complaint
    assert datadiet(*call).code == 2
    ran = datadiet(*call, "--leakage", "exclude", tmp_path / "e.json")
    assert ran.code == 0
    assert evaluated(tmp_path / "e.json")["test_samples"] == 28
    assert "left out" in ran.err
    ran = datadiet(*call, "--leakage", "report", tmp_path / "r.json")
    told = evaluated(tmp_path / "r.json")
    assert told["test_samples"] == 30
    assert told["leaked"]["exact"] == 2
    assert len(told["leaked"]["samples"]) == 2
    assert "LEAKAGE" in ran.err


def test_test_data_need_no_split(easy, tmp_path, datadiet: Cli):
    """They need no column that says of which split they are, though the data have one."""
    test = written(tmp_path / "t.csv", records(30, seed=1), HEADER[:4])
    call = ["evaluate", easy[0], "--against", easy[1], "--test", test, *LABEL, "--split", "split", "--controls", "none"]
    ran = datadiet(*call, tmp_path / "r.json")
    assert ran.code == 0, ran.err
    assert evaluated(tmp_path / "r.json")["test_samples"] == 30


def test_what_is_left_out_is_said(tmp_path, datadiet: Cli):
    """Samples of AFTER without a label, and columns that tell nothing."""
    rows = [[*row[:3], "same", *row[3:]] for row in records(120, tested=30)]
    header = [*HEADER[:3], "constant", *HEADER[3:]]
    before = table(tmp_path / "b.csv", header, rows)
    after = table(tmp_path / "a.csv", header, [[*r[:4], "" if i < 5 else r[4], r[5]] for i, r in enumerate(rows)])
    ran = datadiet("evaluate", after, "--against", before, *LABEL, "--controls", "none")
    assert ran.code == 0, ran.err
    assert "after: left out, without a label: 5" in ran.err
    assert "column constant is no input" in ran.err


@pytest.fixture
def models(tmp_path, datadiet: Cli):
    """Two models of the same data and one of other classes; and test data."""
    rows = records(90, apart=2.0)
    test = records(60, seed=1, apart=2.0)
    few = written(tmp_path / "few.csv", rows[:12], HEADER[:4])
    whole = written(tmp_path / "whole.csv", rows, HEADER[:4])
    for data, name, model in ((whole, "A", "mlp"), (few, "B", "linear")):
        ran = datadiet("train", data, tmp_path / name, "--label", "kind", "--model", model, "--epochs", 5)
        assert ran.code == 0, ran.err
    return tmp_path / "A", tmp_path / "B", written(tmp_path / "t.csv", test, HEADER[:4])


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
    assert datadiet("train", two, tmp_path / "C", "--label", "kind", "--model", "linear", "--epochs", 2).code == 0
    ran = datadiet("evaluate", "--model", one, "--against-model", tmp_path / "C", "--test", test, "--label", "kind")
    assert "do not predict the same classes" in ran.complaint
    lacking = table(tmp_path / "lack.csv", ["x", "kind"], [[row[0], row[3]] for row in records(20)])
    ran = datadiet("evaluate", "--model", one, "--against-model", other, "--test", lacking, "--label", "kind")
    assert "y" in ran.complaint
    foreign = written(tmp_path / "f.csv", records(20, classes="xy"), HEADER[:4])
    ran = datadiet("evaluate", "--model", one, "--against-model", other, "--test", foreign, "--label", "kind")
    assert "no test sample that has a label of the models" in ran.complaint


def test_what_is_refused(tmp_path, datadiet: Cli):
    """One line each."""
    rows = records(60, tested=15)
    good = written(tmp_path / "good.csv", rows)
    call = ["evaluate", good, *LABEL]
    folder = photos(tmp_path / "photos", {"train": range(4), "test": range(100, 102)})
    prices = table(
        tmp_path / "prices.csv", HEADER, [[*row[:3], f"{100 + 1.5 * i:.2f}", row[4]] for i, row in enumerate(rows)]
    )
    other = table(tmp_path / "other.csv", ("x", "y", "colour", "sort", "split"), rows)
    unlabelled = table(tmp_path / "unlabelled.csv", ("x", "y", "colour"), [row[:3] for row in records(20, seed=3)])
    lacking = table(tmp_path / "lacking.csv", ("x", "kind"), [[row[0], row[3]] for row in records(20, seed=3)])
    empty = table(tmp_path / "empty.csv", HEADER, [])
    tested = table(tmp_path / "tested.csv", HEADER, [row for row in rows if row[4] == "test"])
    single = table(tmp_path / "single.csv", HEADER, [row for row in rows if row[3] == "a"])
    cases = [
        (["evaluate"], "AFTER"),
        (call, "--against"),
        ([*call, "--against", tmp_path / "nothing.csv"], "nothing.csv"),
        ([*call, "--against", folder], "photos"),
        (["evaluate", folder, "--against", good, *LABEL], "photos"),
        ([*call, "--against", other], "kind"),
        ([*call, "--against", prices], "good.csv"),
        (["evaluate", prices, "--against", good, *LABEL], "prices.csv"),
        ([*call, "--against", good, "--test", unlabelled], "kind"),
        ([*call, "--against", good, "--test", lacking], "lacks the column"),
        ([*call, "--against", good, "--test", folder], "photos"),
        ([*call, "--against", good, "--test", tmp_path / "nothing.csv"], "nothing.csv"),
        ([*call, "--against", empty], "empty.csv"),
        (["evaluate", empty, "--against", good, *LABEL], "empty.csv"),
        (["evaluate", tested, "--against", good, *LABEL], "tested.csv"),
        (["evaluate", single, "--against", good, *LABEL], "single.csv"),
        ([*call, "--against", good, "--model", "nonsense"], "nonsense"),
        ([*call, "--against", good, "--seeds", 1], "seeds"),
        ([*call, "--against", good, "--controls", "wishes"], "controls"),
    ]
    for arguments, word in cases:
        ran = datadiet(*arguments)
        assert ran.code == 2, (arguments, ran)
        assert word in ran.complaint, (arguments, ran.err)


def test_where_the_report_goes(easy, tmp_path, datadiet: Cli):
    after, before = easy
    call = ["evaluate", after, "--against", before, *LABEL, "--controls", "none"]
    there = tmp_path / "there.json"
    there.write_text("mine")
    assert "--force" in datadiet(*call, there).complaint
    assert there.read_text() == "mine"
    assert datadiet(*call, there, "--force").code == 0
    assert evaluated(there)["test_samples"] == 60
    for place in (after, before):
        held = place.read_bytes()
        assert datadiet(*call, place, "--force").code == 2
        assert place.read_bytes() == held
    ran = datadiet(*call, "--json")
    assert json.loads(ran.out)["command"] == "evaluate"
    folder = photos(tmp_path / "photos", {"train": range(8), "test": range(100, 104)})
    call = ["evaluate", folder, "--against", folder, *PICTURES, folder / "r.json"]
    assert datadiet(*call).code == 2
    assert not (folder / "r.json").exists()


@pytest.mark.parametrize("flag", ["--dry-run", "--check"])
def test_dry_run(flag, easy, tmp_path, datadiet: Cli):
    """Nothing is written, and everything is said."""
    call = ["evaluate", easy[0], "--against", easy[1], *LABEL, "--controls", "none", tmp_path / "dry.json"]
    ran = datadiet(*call, flag)
    assert ran.code == 0, ran.err
    assert "macro F1" in ran.err
    assert not (tmp_path / "dry.json").exists()


def test_input_is_a_path_in_a_single_command(easy, tmp_path, monkeypatch, datadiet: Cli):
    """Only a pipeline has a dataset that it began with; no dataset may be compared with itself unnoticed."""
    monkeypatch.chdir(tmp_path)
    assert "input" in datadiet("evaluate", easy[0], "--against", "input", *LABEL).complaint


@pytest.mark.parametrize("count", [1, 2])
def test_few_test_samples(count, tmp_path, datadiet: Cli):
    """They prove next to nothing, and that is what is said."""
    rows = records(60)
    before, after = written(tmp_path / "b.csv", rows, HEADER[:4]), written(tmp_path / "a.csv", rows[9:], HEADER[:4])
    test = written(tmp_path / "t.csv", records(count, seed=7), HEADER[:4])
    ran = datadiet("evaluate", after, "--against", before, "--test", test, *LABEL, tmp_path / "r.json")
    assert ran.code == 0, ran.err
    block = by_epochs(tmp_path / "r.json")
    assert block["test_samples"] == count
    assert not block["verdict"]["noninferior"]
    assert "give more test data" in block["words"]
    assert "NaN" not in (tmp_path / "r.json").read_text()


@pytest.mark.parametrize("values", [["5.5"], ["5.5"] * 8])
def test_numbers_that_tell_nothing(values, tmp_path, datadiet: Cli):
    """There is no R2 of one value."""
    rng = np.random.default_rng(0)
    rows = [[f"{x:.4f}", f"{5 * x:.4f}"] for x in rng.normal(0, 10, 60)]
    data = table(tmp_path / "b.csv", ["x", "price"], rows)
    test = table(tmp_path / "t.csv", ["x", "price"], [[f"{0.1 + i / 7:.3f}", v] for i, v in enumerate(values)])
    ran = datadiet("evaluate", data, "--against", data, "--test", test, "--label", "price", *QUICK)
    assert ran.code == 2
    assert "t.csv" in ran.complaint


def test_a_class_without_training_samples(tmp_path, datadiet: Cli):
    rows = records(60)
    data = written(tmp_path / "b.csv", rows, HEADER[:4])
    test = written(tmp_path / "t.csv", [*records(20, seed=4), ["1", "1", "u", "new"]], HEADER[:4])
    ran = datadiet("evaluate", data, "--against", data, "--test", test, *LABEL, tmp_path / "r.json")
    assert ran.code == 0, ran.err
    assert "classes that no training sample has, mistakes of both: 1 (new)" in ran.err
    test = written(tmp_path / "o.csv", records(20, seed=4, classes="xy"), HEADER[:4])
    ran = datadiet("evaluate", data, "--against", data, "--test", test, *LABEL)
    assert "no training sample is of a class of the test data (x, y)" in ran.complaint


def test_names_are_text(tmp_path, datadiet: Cli):
    """A name of a class or a file never reaches the terminal as a control code."""
    bad = "\x1b[31mred"
    rows = [[*row[:3], bad if row[3] == "a" else row[3], row[4]] for row in records(60)]
    test = [*rows[:30], ["1", "2", "u", "\x1b]0;own", "train"]]
    data = written(tmp_path / "b\x1b[2J.csv", rows[30:], HEADER[:4])
    judged = written(tmp_path / "t.csv", test, HEADER[:4])
    ran = datadiet("evaluate", data, "--against", data, "--test", judged, *LABEL)
    assert ran.code == 0, ran.err
    assert "\x1b" not in ran.err


def test_interrupted(easy, tmp_path, datadiet: Cli):
    """Ctrl-C ends it with 130 and a word on how to go on, which leads to what an undisturbed run finds."""
    after, before = easy
    call = ["evaluate", after, "--against", before, *LABEL, "--epochs", 50, "--controls", "none", "--workers", 1]
    process = subprocess.Popen(
        command(*call), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    kept = os.path.join(os.environ["DATADIET_CACHE_DIR"], "training")
    deadline = time.monotonic() + 60
    while not any(files for _, _, files in os.walk(kept)):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "goes on from the last full epoch" in said
    assert "Traceback" not in said
    assert os.listdir(kept)
    assert datadiet(*call, tmp_path / "r.json").code == 0
    assert not os.listdir(kept)
    assert datadiet(*call, "--no-cache", tmp_path / "fresh.json").code == 0
    assert evaluated(tmp_path / "r.json") == evaluated(tmp_path / "fresh.json")
