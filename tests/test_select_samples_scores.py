"""The scores of `select-samples` as a file: cut again at no cost, put together from shards, refused for other data."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datadiet_cli.steps.choosing import judging, scorefile
from tests.conftest import Cli, report, table
from tests.lessons import count_steps, dying, pictures, prices, without_program
from tests.test_select_samples import QUICK, recut, rows_of, samples, scored, told

KILLED = dying(10)
"""The command line, killed in the second training of three."""


@pytest.fixture
def trained_never(monkeypatch):
    """Nothing is trained any more, neither to score nor to judge labels."""

    def refuse(*_, **__):
        raise AssertionError("trained")

    taken = count_steps(monkeypatch)
    monkeypatch.setattr(judging, "out_of_fold", refuse)
    yield
    assert not taken


def what_stays(out):
    said = report(out)
    return said["verdicts"], Path(out).read_bytes(), said["steps"][-1]["metrics"]["groups"]


def test_what_a_file_of_scores_holds(datadiet: Cli):
    """A row for each training sample, every score that the training tells, and what all that is of."""
    source, _flags, path = scored("things")
    frame = pl.read_parquet(path)
    assert frame["id"].to_list() == [name for name, train in samples(source).items() if train]
    assert frame["label"].to_list() == [row["kind"] for row in rows_of(source) if row["part"] == "train"]
    assert set(frame.columns[2:]) == {
        "el2n", "grand", "forgetting", "aum", "entropy", "margin", "loss", "data-map", "dyn-unc", "tdds", "dual",
        "confidence", "hardness", "wrong", "right",
    }  # fmt: skip
    assert frame.null_count().sum_horizontal().item() == 0
    provenance = scorefile.read(str(path)).provenance
    assert provenance["epochs"] == 6
    assert provenance["samples_seen"] == 6 * len(frame)
    assert provenance["model"] == "linear"
    assert list(report(path.with_suffix("").with_suffix(""))["artefacts"]) == [".scores.parquet"]


@pytest.mark.parametrize(
    "more",
    [
        ["--method", "aum", "--rule", "ccs"],
        ["--method", "composite", "--information", "aum"],
        ["--method", "random", "--quota", "drop"],
    ],
)
def test_cutting_again_is_as_good_as_scoring_again(more, tmp_path, datadiet: Cli, request):
    source, flags, _ = scored("things")
    more = [*more, "--keep", "20%", "--max-noise", "100%"]
    out, again = tmp_path / "fresh.csv", tmp_path / "again.csv"
    assert datadiet("select-samples", source, out, *flags, *QUICK, *more).code == 0
    request.getfixturevalue("trained_never")
    recut(datadiet, "things", again, *more)
    assert what_stays(again) == what_stays(out)


def test_cut_scores_are_handed_on(tmp_path, datadiet: Cli, request):
    """What was cut by scores has them beside it again, to be cut once more."""
    scored("pictures")
    request.getfixturevalue("trained_never")
    recut(datadiet, "pictures", tmp_path / "out", "--method", "margin", "--keep", "50%")
    source, flags, path = scored("pictures")
    own = tmp_path / "out.scores.parquet"
    one, two = scorefile.read(str(path)), scorefile.read(str(own))
    assert one.ids == two.ids
    assert [*one.values] == [*two.values]
    assert all(np.array_equal(one.values[name], two.values[name]) for name in one.values)
    assert two.provenance["samples_seen"] == one.provenance["samples_seen"] == 6 * 20
    line = [
        "select-samples",
        source,
        tmp_path / "less",
        *flags,
        "--scores",
        own,
        "--method",
        "aum",
        "--max-noise",
        "100%",
    ]
    assert datadiet(*line).code == 0
    assert told(tmp_path / "less")["break_even"] is None


def other_label(source, folder):
    rows = rows_of(source)
    rows[4]["kind"] = "small"
    return rows


def fewer(source, folder):
    return rows_of(source)[1:]


def more_rows(source, folder):
    rows = rows_of(source)
    return [{**rows[0], "id": "new"}, *rows]


def other_value(source, folder):
    rows = rows_of(source)
    rows[4]["size"] = "7.5"
    return rows


@pytest.mark.parametrize("change", [other_label, fewer, more_rows, other_value])
def test_scores_of_other_data_are_refused(change, tmp_path, datadiet: Cli):
    source, flags, path = scored("things")
    rows = change(source, tmp_path)
    other = table(tmp_path / "in.csv", list(rows[0]), [list(row.values()) for row in rows])
    ran = datadiet("select-samples", other, tmp_path / "out.csv", *flags, "--method", "aum", "--scores", path)
    assert ran.code == 2
    assert ran.complaint.startswith(f"{path}: was made of other data than {other}, or that has changed since")
    assert not (tmp_path / "out.csv").exists()


def test_a_changed_picture_is_other_data(tmp_path, datadiet: Cli):
    source, flags, path = scored("pictures")
    shutil.copytree(source, tmp_path / "in")
    line = ["select-samples", tmp_path / "in", tmp_path / "out", *flags, "--method", "aum", "--scores", path]
    line += ["--max-noise", "100%"]
    assert datadiet(*line, "--dry-run").code == 0
    (tmp_path / "in/train/big/00.png").write_bytes((source / "train/big/02.png").read_bytes())
    assert "was made of other data" in datadiet(*line).complaint


def test_other_samples_of_the_same_data_are_refused(tmp_path, datadiet: Cli):
    """Another column says what is for training, or what the label is, or what the id."""
    source, _flags, path = scored("things")

    def complaint(*flags):
        return datadiet(
            "select-samples", source, tmp_path / "o.csv", *flags, "--method", "aum", "--scores", path
        ).complaint

    said = complaint("--label", "kind", "--id-column", "id")
    assert "of other data: 10 samples have no score (t50, t51, t52, t53, t54 and 5 more)" in said
    said = complaint("--label", "town", "--split", "part", "--id-column", "id")
    assert "50 samples have another label now (t0: big, now" in said
    assert "50 samples have no score (0, 1, 2, 3, 4" in complaint("--label", "kind", "--split", "part")
    assert "another label now" in complaint("--split", "part", "--id-column", "id")


def test_damaged_files(tmp_path, datadiet: Cli):
    source, flags, path = scored("things")
    whole = path.read_bytes()
    bad = tmp_path / "bad.scores.parquet"
    middle = len(whole) // 2
    for content, words in (
        (b"", "cannot be read as a Parquet file"),
        (b"no scores", "cannot be read as a Parquet file"),
        (whole[:middle], "cannot be read as a Parquet file"),
        (whole[:600] + b"\xff" * 8 + whole[608:], ""),
    ):
        bad.write_bytes(content)
        ran = datadiet("select-samples", source, tmp_path / "o.csv", *flags, "--method", "aum", "--scores", bad)
        assert ran.code == 2
        assert ran.complaint.startswith(f"{bad}: ")
        assert words in ran.complaint
    pl.DataFrame({"id": ["a", "a"], "el2n": [1.0, 2.0]}).write_parquet(bad)
    line = ["select-samples", source, tmp_path / "o.csv", *flags, "--method", "aum", "--scores"]
    assert "holds no scores of datadiet" in datadiet(*line, bad).complaint
    assert "none: does not exist" in datadiet(*line, tmp_path / "none").complaint
    assert not (tmp_path / "o.csv").exists()


def test_shards_add_up_to_the_whole(tmp_path, datadiet: Cli):
    """Three models in two parts: the same scores, but for the last digits, and the same choice."""
    source, flags = prices(tmp_path)
    line = ["select-samples", source]
    common = [*flags, *QUICK, "--models", "3", "--folds", "2", "--method", "loss"]
    parts = [tmp_path / f"part{i}.scores.parquet" for i in (1, 2)]
    for i, path in enumerate(parts):
        assert datadiet(*line, path, *common, "--shard", f"{i + 1}/2").code == 0
    assert datadiet(*line, tmp_path / "all.csv", *common).code == 0
    both = [flag for path in parts for flag in ("--scores", path)]
    assert datadiet(*line, tmp_path / "both.csv", *common, *both).code == 0
    one, two = (scorefile.read(str(tmp_path / f"{name}.csv.scores.parquet")) for name in ("all", "both"))
    assert (one.ids, one.labels, set(one.values)) == (two.ids, two.labels, set(two.values))
    assert sorted(one.provenance["seeds"]) == two.provenance["seeds"]
    assert one.provenance["samples_seen"] == two.provenance["samples_seen"] == 3 * 50 * 6
    for name in one.values:
        np.testing.assert_allclose(two.values[name], one.values[name], rtol=1e-9)
    assert samples(tmp_path / "both.csv") == samples(tmp_path / "all.csv")

    twice = [flag for path in (parts[0], parts[0]) for flag in ("--scores", path)]
    assert "name each shard once" in datadiet(*line, tmp_path / "o.csv", *common, *twice).complaint
    other = tmp_path / "other.scores.parquet"
    assert datadiet(*line, other, *common, "--shard", "2/2", "--epochs", "3").code == 0
    mixed = ["--scores", parts[0], "--scores", other]
    assert "are of different" in datadiet(*line, tmp_path / "o.csv", *common, *mixed).complaint
    assert "there are only 3 models" in datadiet(*line, parts[0], *common, "--shard", "4/4", "--force").complaint
    assert "ends in .scores.parquet" in datadiet(*line, tmp_path / "o.csv", *common, "--shard", "1/2").complaint


def test_the_record_of_a_training(tmp_path, datadiet: Cli, request):
    """Its scores are those of its own samples; too few epochs are said, and another dataset."""
    source, flags = pictures(tmp_path)
    model = ["--model", "linear", "--learning-rate", "0.1"]
    with without_program():
        assert datadiet("train", source, tmp_path / "model", *flags, *model, "--epochs", "5").code == 0
        assert datadiet("train", source, tmp_path / "short", *flags, *model, "--epochs", "1").code == 0
        assert (
            datadiet("train", source, tmp_path / "none", *flags, *model, "--epochs", "1", "--record", "none").code == 0
        )
    common = ["select-samples", source, tmp_path / "out", *flags, "--beta", "0%", "--max-noise", "100%", "--keep", "8"]
    taken = count_steps(request.getfixturevalue("monkeypatch"))
    assert datadiet(*common, "--method", "aum", "--record", tmp_path / "model").code == 0
    frame = pl.read_parquet(tmp_path / "out.scores.parquet")
    margin = np.load(tmp_path / "model/record/model-000/margin.npy").astype(float)
    names_ = pl.read_parquet(tmp_path / "model/record/samples.parquet")["id"].to_list()
    assert frame["id"].to_list() == names_
    np.testing.assert_allclose(frame["aum"], -margin.mean(axis=0), rtol=1e-3, atol=1e-3)
    assert not taken
    assert told(tmp_path / "out")["scores"]["epochs"] == 5
    ran = datadiet(*common, "--method", "forgetting", "--record", tmp_path / "short", "--force")
    assert ran.code == 2
    assert "forgetting takes 2 epochs, and the " in ran.complaint
    ran = datadiet(*common, "--method", "el2n", "--score-epoch", "9", "--record", tmp_path / "model", "--force")
    assert "el2n takes 9 epochs, and the " in ran.complaint
    ran = datadiet(*common, "--method", "aum", "--record", tmp_path / "none", "--force")
    assert ran.code == 2
    assert ran.complaint
    (source / "train/big/00.png").write_bytes((source / "train/big/02.png").read_bytes())
    ran = datadiet(*common, "--method", "aum", "--record", tmp_path / "model", "--force")
    assert ran.code == 2
    assert "other" in ran.complaint


def test_a_record_without_what_could_not_be_read(tmp_path, datadiet: Cli):
    """`train` leaves unreadable pictures, and samples without a label, out of its record; they stay here."""
    source, flags = pictures(tmp_path)
    (source / "train/big/00.png").write_bytes(b"no picture")
    with without_program():
        ran = datadiet("train", source, tmp_path / "model", *flags, "--model", "linear", "--epochs", "3")
    assert ran.code == 3
    ran = datadiet("select-samples", source, tmp_path / "out", *flags, "--method", "el2n", "--max-noise", "100%",
                   "--record", tmp_path / "model", "--keep", "8")  # fmt: skip
    assert ran.code == 3, ran.err
    assert (tmp_path / "out/train/big/00.png").exists()
    assert told(tmp_path / "out")["kept"] == 8


def test_killed_scoring_goes_on(tmp_path, datadiet: Cli, monkeypatch):
    """The power fails in the second of three trainings: what is done is not done again, and the bytes are the same."""
    source, flags = prices(tmp_path)
    flags = [*flags, *QUICK, "--models", "3", "--method", "loss", "--epochs", "6"]
    assert datadiet("select-samples", source, tmp_path / "whole.csv", *flags, "--no-cache").code == 0
    line = ["select-samples", str(source), str(tmp_path / "out.csv"), *flags]
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, *line, "--workers", "1"], capture_output=True, timeout=200, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.csv").exists()
    taken = count_steps(monkeypatch)
    assert datadiet(*line, "--workers", "1").code == 0
    # The second begins again, or goes on from where it was, if that was written down by then.
    assert 18 - 9 <= len(taken) <= 18 - 6
    for end in ("", ".scores.parquet"):
        assert Path(f"{tmp_path}/out.csv{end}").read_bytes() == Path(f"{tmp_path}/whole.csv{end}").read_bytes()
    assert os.listdir(Path(os.environ["DATADIET_CACHE_DIR"]) / "training") == []
