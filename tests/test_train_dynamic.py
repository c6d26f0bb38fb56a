"""`datadiet train --dynamic`: what it leaves out, what it is compared with, and where nothing can be compared."""

import numpy as np
import pytest

from datadiet_cli.nn.dynamic import DYNAMIC
from datadiet_cli.nn.record import Record
from tests.conftest import Cli, names, report, table
from tests.lessons import count_steps, kept, learned, made, prices, rows_of_things, things, without_program

QUICK = ["--epochs", "10", "--batch-size", "8"]
COLUMNS = ["id", "size", "colour", "town", "kind", "part"]


@pytest.fixture(autouse=True)
def no_program():
    with without_program():
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return things(tmp_path_factory.mktemp("dynamic"))


@pytest.mark.parametrize("name", DYNAMIC)
def test_it_is_compared_at_equal_cost(name, source, tmp_path, datadiet: Cli):
    path, flags = source
    out = tmp_path / "model"
    ran = datadiet("train", path, out, *flags, *QUICK, "--dynamic", name, "--dynamic-share", "60%")
    assert ran.code == 0, ran.err
    told = learned(out)
    block, n = told["dynamic"], told["learned_from"]
    assert (block["method"], block["split"], block["samples"]) == (name, "test", told["test"]["samples"])
    assert block["samples_of_full_training"] == 10 * n
    arms = block["arms"]
    # Random samples are no control of random samples.
    controls = ["epochs"] if name == "random" else ["random", "epochs"]
    assert list(arms) == ["dynamic", *controls]
    seen = arms["dynamic"]["samples_seen"][0]
    assert seen == told["samples_seen"] == round(sum(entry["share_seen"] * n for entry in told["history"]))
    assert 4 * n < seen < 10 * n
    # To the sample, and to half a batch.
    assert all(arms[arm]["samples_seen"] == [seen] for arm in arms if arm != "epochs")
    assert abs(arms["epochs"]["samples_seen"][0] - seen) <= 4
    assert all(arms[arm]["epochs"] == [10] for arm in arms if arm != "epochs")
    assert arms["epochs"]["epochs"] < [10]
    assert arms["dynamic"]["accuracy"] == told["test"]["accuracy"]
    for arm in arms.values():
        assert 0 <= arm["worst_class_recall"] <= arm["accuracy"] == arm["accuracy_by_seed"][0]
        assert arm["share_of_full_training"] == arm["samples_seen"][0] / (10 * n)
    for control, found in block["differences"].items():
        assert found["mean"] == pytest.approx(arms["dynamic"]["accuracy"] - arms[control]["accuracy"])
        assert found["lower"] <= found["mean"] <= found["upper"]
    assert told["recipe"]["dynamic"] == name
    timed = report(out)["run"]["steps"][-1]["timings"]["dynamic"]
    assert {arm: len(seconds) for arm, seconds in timed.items()} == dict.fromkeys(arms, 1)


def test_each_seed_has_its_controls(source, tmp_path, datadiet: Cli):
    path, flags = source
    out = tmp_path / "model"
    more = ["--dynamic", "infobatch", "--models", "2", "--patience", "3", "--controls", "random"]
    assert datadiet("train", path, out, *flags, *QUICK, *more).code == 0
    arms = learned(out)["dynamic"]["arms"]
    assert list(arms) == ["dynamic", "random"]
    assert arms["dynamic"]["samples_seen"] == arms["random"]["samples_seen"]
    assert arms["dynamic"]["epochs"] == arms["random"]["epochs"]
    assert arms["dynamic"]["accuracy"] == np.mean(arms["dynamic"]["accuracy_by_seed"])
    record = Record.open(str(out / "record"))
    assert record.facts.recipe["dynamic"] == "infobatch"
    assert np.isfinite(kept(out, "loss", 1)[: arms["dynamic"]["epochs"][1]]).all()


def test_without_controls(source, tmp_path, datadiet: Cli, monkeypatch):
    path, flags = source
    out = tmp_path / "model"
    taken = count_steps(monkeypatch)
    ran = datadiet("train", path, out, *flags, *QUICK, "--dynamic", "random", "--controls", "none")
    assert ran.code == 0, ran.err
    told = learned(out)
    assert "dynamic" not in told
    assert len(taken) == sum(int(np.ceil(round(entry["share_seen"] * 50) / 8)) for entry in told["history"])


@pytest.mark.parametrize("validation", ["0", "20%"])
def test_nothing_to_compare_on(validation, tmp_path, datadiet: Cli):
    """Without a split, samples are held out; where that is not wanted, the report says that nothing is compared."""
    rows = [row[:5] for row in rows_of_things()]
    path, out = table(tmp_path / "in.csv", COLUMNS[:5], rows), tmp_path / "model"
    flags = ["--label", "kind", "--id-column", "id", *QUICK, "--dynamic", "rcap", "--validation", validation]
    assert datadiet("train", path, out, *flags).code == 0
    told = learned(out)
    nowhere = [note for note in told["notes"] if "no controls were trained" in note]
    if validation == "0":
        assert nowhere
        assert "dynamic" not in told
        assert told["learned_from"] == 60
    else:
        assert not nowhere
        assert (told["dynamic"]["split"], told["dynamic"]["samples"]) == ("validation", 12)
        assert told["learned_from"] == 48


def test_numbers(tmp_path, datadiet: Cli):
    path, flags = prices(tmp_path)
    out = tmp_path / "model"
    assert datadiet("train", path, out, *flags, *QUICK, "--dynamic", "adaptive", "--controls", "epochs").code == 0
    told = learned(out)
    arms = told["dynamic"]["arms"]
    assert arms["dynamic"]["r2"] == told["test"]["r2"] > 0.8
    difference = told["dynamic"]["differences"]["epochs"]
    assert difference["mean"] == pytest.approx(arms["dynamic"]["r2"] - arms["epochs"]["r2"])


def test_plain_training_says_nothing_of_it(datadiet: Cli):
    told = learned(made("things").folder)
    assert "dynamic" not in told
    assert told["recipe"]["dynamic"] is None
    assert not any("share_seen" in entry for entry in told["history"])


@pytest.mark.parametrize("given", [["--dynamic-share", "100%"], ["--dynamic-until", "0"], ["--dynamic", "magic"]])
def test_one_line_for_what_cannot_be(given, source, tmp_path, datadiet: Cli):
    path, flags = source
    ran = datadiet("train", path, tmp_path / "model", *flags, "--dynamic", "seta", *given, "--quiet")
    assert ran.code == 2
    assert given[0] in ran.complaint or "dynamic" in ran.complaint
    assert names(tmp_path) == set()


def test_an_interrupted_comparison_goes_on(source, tmp_path, datadiet: Cli, monkeypatch):
    """Cut off in a control: neither the dynamic training nor the control's first passes are done again."""
    path, flags = source
    arguments = ["train", path, tmp_path / "model", *flags, *QUICK, "--dynamic", "infobatch"]
    other = tmp_path / "other"
    with pytest.MonkeyPatch.context() as patch:
        whole = count_steps(patch)
        assert datadiet("train", path, other, *arguments[3:]).code == 0
    own = learned(other)["dynamic"]["arms"]["dynamic"]["steps"][0]
    with pytest.MonkeyPatch.context() as patch:
        first = count_steps(patch, fail=own + 20)
        assert datadiet(*arguments).code == 130
    with pytest.MonkeyPatch.context() as patch:
        rest = count_steps(patch)
        assert datadiet(*arguments).code == 0
    assert len(first) == own + 20
    assert len(rest) <= len(whole) - own - 10
    assert learned(tmp_path / "model") == learned(other)
