"""`datadiet evaluate` of odd data, and what it refuses."""

import numpy as np
import pytest

from tests.conftest import Cli, table
from tests.trials import HEADER, LABEL, QUICK, by_epochs, photos, records, written


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
