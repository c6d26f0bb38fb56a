"""Whether labels are classes or numbers is for the user to say where it can be both."""

import numpy as np
import pytest

from tests.conftest import Cli, report, table


@pytest.fixture
def rings(tmp_path):
    """Ages in years that follow from a length: few different whole numbers."""
    random = np.random.default_rng(0)
    length = random.uniform(1, 9, 200)
    age = np.rint(length + random.normal(0, 0.3, 200)).astype(int)
    rows = [[f"{a:.3f}", f"{b:.3f}", age] for a, b, age in zip(length, random.normal(size=200), age, strict=True)]
    return table(tmp_path / "rings.csv", ["length", "weight", "age"], rows)


@pytest.mark.parametrize(("task", "told"), [("auto", "classes"), ("numbers", "numbers"), ("classes", "classes")])
def test_repeated_whole_numbers_are_classes_unless_said_otherwise(tmp_path, datadiet: Cli, rings, task, told):
    ran = datadiet("train", rings, tmp_path / "model", "--label", "age", "--task", task, "--epochs", "1")
    assert ran.code == 0, ran.err
    metrics = report(tmp_path / "model")["steps"][-1]["metrics"]
    assert metrics["task"] == told
    assert bool(metrics["classes"]) == (told == "classes")


def test_several_columns_in_one_flag(datadiet: Cli, rings, tmp_path):
    ran = datadiet("train", rings, tmp_path / "model", "--label", "age", "--columns", "length,weight")
    assert (ran.code, ran.complaint.partition("rings.csv: ")[2]) == (
        2,
        "--columns length,weight: no such column; say --columns once for each",
    )
