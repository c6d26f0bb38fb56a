"""`datadiet evaluate`: which samples are learned from and judged, of a dataset alone and in a pipeline."""

import polars as pl

from tests.conftest import Cli, report, table
from tests.trials import HEADER, LABEL, PICTURES, by_epochs, evaluated, photos, records, written


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


def test_test_data_need_no_split(tmp_path, datadiet: Cli):
    """They need no column that says of which split they are, though the data have one."""
    after = before = written(tmp_path / "data.csv", records(150, tested=60))
    test = written(tmp_path / "t.csv", records(30, seed=1), HEADER[:4])
    call = ["evaluate", after, "--against", before, "--test", test, *LABEL, "--split", "split", "--controls", "none"]
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
