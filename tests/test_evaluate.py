"""`datadiet evaluate` from the command line: what it finds, what it says, and what it refuses."""

import json
import os

import jsonschema
import numpy as np
import pytest
from sklearn import metrics as reference

from tests.conftest import Cli, table, tree_digest
from tests.lessons import count_steps
from tests.trials import LABEL, PICTURES, QUICK, by_epochs, evaluated, narrow, photos, records, written


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
        del one["environment"]["engine"]
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


def test_interrupted(easy, tmp_path, datadiet: Cli, monkeypatch):
    """Ctrl-C ends it with 130 and a word on how to go on, which leads to what an undisturbed run finds."""
    after, before = easy
    call = ["evaluate", after, "--against", before, *LABEL, "--epochs", 6, "--controls", "none", "--workers", 1]
    with monkeypatch.context() as patch:
        count_steps(patch, fail=20)
        ran = datadiet(*call, "--quiet")
    assert ran.code == 130
    assert ran.complaint.endswith("goes on from the last full epoch")
    kept = os.path.join(os.environ["DATADIET_CACHE_DIR"], "training")
    assert os.listdir(kept)
    with monkeypatch.context() as patch:
        taken = count_steps(patch)
        assert datadiet(*call, tmp_path / "r.json").code == 0
    assert not os.listdir(kept)
    with monkeypatch.context() as patch:
        anew = count_steps(patch)
        assert datadiet(*call, "--no-cache", tmp_path / "fresh.json").code == 0
    assert len(anew) - 20 <= len(taken) < len(anew)
    assert evaluated(tmp_path / "r.json") == evaluated(tmp_path / "fresh.json")
