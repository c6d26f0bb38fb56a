"""What `select-samples` refuses in one line, what it warns of, and odd data that it takes all the same."""

import json

import numpy as np
import pytest

from tests.conftest import Cli, class_folders, names, report, table
from tests.data.trees import write
from tests.lessons import FLAGS, prices, shade, things
from tests.test_select_samples import QUICK, check, gone, objects, recut, rows_of, samples, sizes, told, towns

ANY = ["--max-noise", "100%"]


@pytest.fixture
def never_trained(monkeypatch):
    from datadiet_cli.steps.teaching import side_by_side

    def refuse(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(side_by_side, "teach", refuse)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--keep", "5000"], "--keep 5000: there are 50 training samples to choose from; keep fewer"),
        (["--keep", "0.001%"], "--keep 0.001% of 50 training samples is none; keep more"),
        (["--keep", "1"], "there are 2 classes or groups, none of which may vanish; keep 2 or more"),
        (["--keep", "2%"], "keep 2 or more"),
        (["--keep", "0"], "--keep"),
        (["--keep", "101%"], "--keep"),
        (["--keep", "many"], "--keep"),
        (["--method", "el3n"], "el2n"),
        (["--method", "k-center", "--rule", "ccs"], "--rule ccs chooses by a score, and --method k-center has none"),
        (["--method", "random", "--rule", "d2"], "--method random has none; leave it out"),
        (["--method", "composite", "--rule", "top-k"], "--method composite has none"),
        (["--method", "auto", "--shard", "1/2"], "which --method auto has no use for"),
        (["--shard", "3/2"], "must be one of so many parts, such as 1/4"),
        (["--shard", "1/2", "--scores", "SOURCE"], "which --scores has no use for"),
        (["--scores", "SOURCE", "--record", "FOLDER"], "--scores and --record both name what was scored before"),
        (["--record", "FOLDER"], ""),
        (["--weights", "beauty=1"], "there are the terms redundancy, noise, balance, information, not 'beauty'"),
        (["--weights", "noise=-1"], "a weight is 0 or more"),
        (["--beta", "120%"], "--beta"),
        (["--gamma", "-1"], "--gamma"),
        (["--window", "2"], "--window"),
        (["--group-by", "twon"], "--group-by twon: no such column; did you mean 'town'?"),
        (["--columns", "sise", "--method", "k-center"], "--columns sise: no such column; did you mean 'size'?"),
        (["--columns", "kind", "--method", "k-center"], "label, split and id say nothing"),
        (["--score-epoch", "9"], "el2n takes 9 epochs, and the training has 6; give --epochs 9"),
        (["--method", "dyn-unc", "--window", "30"], "dyn-unc takes"),
        (["--method", "forgetting", "--epochs", "1"], "forgetting takes 2 epochs, and the training has 1"),
        (["--model", "small-cnn"], "small-cnn"),
    ],
)
def test_one_line_for_what_cannot_be(more, words, tmp_path, datadiet: Cli):
    (tmp_path / "in").mkdir()
    source = things(tmp_path / "in")[0]
    places = {"SOURCE": str(source), "FOLDER": str(tmp_path / "in")}
    line = [*FLAGS, *QUICK, "--method", "el2n", "--beta", "0%", *ANY, *(places.get(word, word) for word in more)]
    ran = datadiet("select-samples", source, tmp_path / ("o.scores.parquet" if "--shard" in more else "o.csv"), *line)
    assert ran.code == 2
    assert words in ran.complaint
    assert names(tmp_path) == {"in", "in/things.csv"}


@pytest.mark.parametrize("keep", ["5000", "0.001%", "1"])
@pytest.mark.usefixtures("never_trained")
def test_what_cannot_be_kept_is_said_before_anything_is_trained(keep, tmp_path, datadiet: Cli):
    source, flags = things(tmp_path)
    assert (
        "--keep"
        in datadiet("select-samples", source, tmp_path / "o.csv", *flags, "--method", "el2n", "--keep", keep).complaint
    )


@pytest.mark.parametrize("method", ["forgetting", "entropy", "margin", "data-map", "dyn-unc", "tdds", "dual"])
def test_scores_of_classes_for_numbers(method, tmp_path, datadiet: Cli):
    source, flags = prices(tmp_path)
    ran = datadiet("select-samples", source, tmp_path / "out.csv", *flags, *QUICK, "--method", method)
    assert ran.code == 2
    assert f"{method} is for classes, and the labels are numbers; choose one of el2n, aum, loss" in ran.complaint


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--rule", "ccs", "--method", "loss"], "give --beta, such as 0% or 20%"),
        (["--rule", "dual-beta", "--method", "loss"], "dual-beta"),
        (["--quota", "drop", "--method", "random"], "recall"),
    ],
)
def test_what_numbers_do_not_tell(more, words, tmp_path, datadiet: Cli):
    source, flags = prices(tmp_path)
    ran = datadiet("select-samples", source, tmp_path / "out.csv", *flags, *QUICK, *more)
    assert ran.code == 2
    assert words in ran.complaint


def test_without_labels(tmp_path, datadiet: Cli):
    source = class_folders(tmp_path / "in", {f"{i}.png": i for i in range(6)})
    for more in (["--method", "el2n"], ["--method", "aum", "--rule", "ccs"], ["--method", "composite"],
                 ["--method", "auto"], ["--method", "k-center", "--keep", "auto"]):  # fmt: skip
        ran = datadiet("select-samples", source, tmp_path / "out", *QUICK, *more)
        assert ran.code == 2
        assert "labels" in ran.complaint
    assert "--columns needs a table" in datadiet("select-samples", source, tmp_path / "out", "--columns", "x").complaint
    ran = datadiet("select-samples", source, tmp_path / "out", "--method", "random", "--quota", "drop")
    assert ran.code == 2
    assert ran.complaint
    ran = datadiet("select-samples", source, tmp_path / "out", "--method", "random", "--beta", "20%")
    assert ran.code == 2
    assert "beta" in ran.complaint
    assert not (tmp_path / "out").exists()


def test_several_classes_to_a_picture(tmp_path, datadiet: Cli):
    source = objects(tmp_path / "in")
    for method in ("el2n", "auto"):
        ran = datadiet("select-samples", source, tmp_path / "out", *QUICK, "--method", method)
        assert ran.code == 2
        assert "several " in ran.complaint


def test_files_of_no_known_kind(tmp_path, datadiet: Cli):
    """Nothing tells them apart, so only a draw is left."""
    source = write(tmp_path / "in", {f"train/{'ab'[i % 2]}/{i}.xyz": f"{i}" * 9 for i in range(12)})
    ran = datadiet("select-samples", source, tmp_path / "out", "--method", "k-center")
    assert ran.code == 2
    assert ran.complaint
    ran = datadiet("select-samples", source, tmp_path / "out", "--method", "random", "--keep", "4")
    assert ran.code == 0, ran.err
    assert len(samples(tmp_path / "out")) == 4


def test_objects_of_coco(tmp_path, datadiet: Cli):
    for i in range(12):
        shade(tmp_path / f"in/images/{i}.png", i % 2 == 0, i)
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 12, "height": 12} for i in range(12)],
        "annotations": [
            {"id": k, "image_id": k % 12, "category_id": 1 + k % 2, "bbox": [1, 1, 4, 4]} for k in range(18)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "owl"}],
    }
    (tmp_path / "in/annotations.json").write_text(json.dumps(content))
    for method in ("random", "k-center"):
        out = tmp_path / method
        ran = datadiet("select-samples", tmp_path / "in", out, "--method", method, "--keep", "5")
        assert ran.code == 0, ran.err
        assert len(list((out / "images").iterdir())) == 5
        assert len(json.loads((out / "annotations.json").read_bytes())["images"]) == 5


@pytest.mark.parametrize("method", ["random", "k-center", "el2n", "composite"])
class TestOddTables:
    def ran(self, datadiet: Cli, tmp_path, rows, method, *more):
        source = table(tmp_path / "in.csv", ["id", "x", "y", "kind", "part"], rows)
        return datadiet("select-samples", source, tmp_path / "out.csv", *FLAGS, *QUICK, *ANY, "--method", method, *more)

    def test_no_rows(self, method, tmp_path, datadiet: Cli):
        ran = self.ran(datadiet, tmp_path, [], method)
        assert ran.code == 2
        assert ran.complaint

    def test_no_row_for_training(self, method, tmp_path, datadiet: Cli):
        ran = self.ran(datadiet, tmp_path, [[i, i, i * i, "ab"[i % 2], "test"] for i in range(9)], method)
        assert ran.code == 2
        assert "there are no training samples to choose from" in ran.complaint

    def test_one_row(self, method, tmp_path, datadiet: Cli):
        ran = self.ran(datadiet, tmp_path, [["r", 1, 2, "a", "train"]], method, "--keep", "1")
        if method == "random":
            assert ran.code == 0, ran.err
            assert len(rows_of(tmp_path / "out.csv")) == 1
        else:
            assert ran.code == 2
            assert ran.complaint

    def test_one_class(self, method, tmp_path, datadiet: Cli):
        ran = self.ran(datadiet, tmp_path, [[i, i % 7, i % 5, "a", "train"] for i in range(30)], method)
        if method in ("el2n", "composite"):
            assert ran.code == 2
            assert "class" in ran.complaint
        else:
            assert ran.code == 0, ran.err
            assert sizes(tmp_path / "out.csv") == {"a": 15}

    def test_all_rows_equal(self, method, tmp_path, datadiet: Cli):
        rows = [[i, 5, 5, "ab"[i % 2], "train"] for i in range(40)]
        ran = self.ran(datadiet, tmp_path, rows, method, "--beta", "0%")
        if ran.code:
            # Columns that are all the same are no features.
            assert method != "random"
            assert "no column tells " in ran.complaint
        else:
            assert sizes(tmp_path / "out.csv") == {"a": 10, "b": 10}

    def test_empty_and_endless_cells(self, method, tmp_path, datadiet: Cli):
        rng = np.random.default_rng(0)
        rows = [
            [i, f"{rng.normal(4 * (i % 2), 1):.3f}", f"{rng.normal():.3f}", "ab"[i % 2], "train"] for i in range(40)
        ]
        for i, cell in enumerate(("nan", "", "inf", "-inf", "NaN", "1e308", "-1e308")):
            rows[3 * i][1] = cell
        rows[30][1] = rows[30][2] = ""
        ran = self.ran(datadiet, tmp_path, rows, method, "--keep", "16", "--beta", "0%")
        assert ran.code == 0, ran.err
        assert sum(sizes(tmp_path / "out.csv").values()) == 16
        stayed = {row["id"] for row in rows_of(tmp_path / "out.csv")}
        assert 16 <= len(stayed) <= 17
        for row in gone(report(tmp_path / "out.csv")):
            assert row["evidence"]["distance"] is None or np.isfinite(row["evidence"]["distance"])

    def test_ids_that_are_there_twice(self, method, tmp_path, datadiet: Cli):
        rows = [[i // 2, i % 7, i % 5, "ab"[i % 2], "train"] for i in range(40)]
        ran = self.ran(datadiet, tmp_path, rows, method)
        assert ran.code == 2
        assert "id" in ran.complaint


def test_a_class_of_one_and_a_class_for_tests_only(tmp_path, datadiet: Cli):
    rows = [list(row.values()) for row in rows_of(towns(tmp_path / "in.csv"))]
    rows[0][4], rows[-1][4] = "lonely", "unheard"
    source = table(tmp_path / "in.csv", ["id", "x", "y", "town", "kind", "part"], rows)
    out = tmp_path / "out.csv"
    ran = datadiet("select-samples", source, out, *FLAGS, *QUICK, *ANY, "--method", "aum", "--keep", "10%")
    assert ran.code == 0, ran.err
    assert sizes(out)["lonely"] == 1
    assert sum(sizes(out).values()) == 6
    check(report(out), source, out, 6)
    assert rows_of(out)[-1]["kind"] == "unheard"


def mislabelled(path, n=240):
    """Two classes far apart, a fifth of whose labels are wrong: whose id ends in x."""
    rng = np.random.default_rng(0)
    bad = set(rng.permutation(n)[: n // 5].tolist())
    rows = [
        [f"r{i}{'x' * (i in bad)}", *(f"{v:.3f}" for v in rng.normal(4 * (i % 2), 1, 3)),
         "ab"[(i + (i in bad)) % 2], "train"] for i in range(n)
    ]  # fmt: skip
    return table(path, ["id", "x", "y", "z", "kind", "part"], rows)


def test_the_noise_gate(tmp_path, datadiet: Cli):
    """Hardness would keep what is wrong: it is refused, and what is said instead helps."""
    source = mislabelled(tmp_path / "in.csv")
    line = ["select-samples", source]
    common = [*FLAGS, *QUICK, "--keep", "40%", "--method", "el2n"]

    def wrong(out):
        return sum(row["id"].endswith("x") for row in rows_of(out)) / 96

    assert datadiet(*line, tmp_path / "all.csv", *common, *ANY).code == 0
    assert wrong(tmp_path / "all.csv") > 0.4
    own = ["--scores", tmp_path / "all.csv.scores.parquet"]
    for more in ([], own):
        ran = datadiet(*line, tmp_path / "out.csv", *common, *more)
        assert ran.code == 2
        assert (
            "of the labels are wrong, and el2n keeps just these; run denoise first, cut them with --beta"
            in ran.complaint
        )
        assert not (tmp_path / "out.csv").exists()
    for name, more in (("ccs", ["--rule", "ccs"]), ("cut", ["--beta", "25%"])):
        out = tmp_path / f"{name}.csv"
        ran = datadiet(*line, out, *common, *own, *more)
        assert ran.code == 0, ran.err
        assert wrong(out) < 0.06
    noise = told(tmp_path / "ccs.csv")["noise"]
    assert noise["interval"][0] < noise["rate"] < noise["interval"][1]
    assert noise["rate"] == pytest.approx(0.2, abs=0.04)
    assert told(tmp_path / "ccs.csv")["beta"] == noise["rate"]
    assert datadiet(*line, tmp_path / "moderate.csv", *common, *own, "--method", "moderate").code == 0
    ran = datadiet(*line, tmp_path / "random.csv", *common, *own, "--method", "random")
    assert "--scores tells nothing that --method random chooses by; leave it out" in ran.complaint
    assert datadiet(*line, tmp_path / "composite.csv", *common, *own, "--method", "composite").code == 0
    assert wrong(tmp_path / "composite.csv") < 0.06


def test_where_the_share_of_wrong_labels_cannot_be_estimated(tmp_path, datadiet: Cli):
    """Features that tell nothing of labels tell nothing of wrong ones."""
    rng = np.random.default_rng(0)
    rows = [[i, *(f"{v:.3f}" for v in rng.normal(size=2)), "ab"[rng.integers(2)], "train"] for i in range(80)]
    source = table(tmp_path / "in.csv", ["id", "x", "y", "kind", "part"], rows)
    line = ["select-samples", source, tmp_path / "out.csv", *FLAGS, *QUICK]
    ran = datadiet(*line, "--method", "aum", "--rule", "ccs")
    assert ran.code == 2
    assert "cannot be estimated" in ran.complaint
    assert "give --beta, such as 0% or 20%" in ran.complaint
    ran = datadiet(*line, "--method", "aum", "--rule", "ccs", "--beta", "10%")
    assert ran.code == 0
    assert "cannot be estimated" in ran.err


def test_more_epochs_tell_more(tmp_path, datadiet: Cli):
    """A score that the file does not have is asked for by name."""
    source, flags = things(tmp_path)
    assert datadiet("select-samples", source, tmp_path / "a.csv", *flags, *QUICK, *ANY, "--method", "el2n",
                    "--epochs", "1").code == 0  # fmt: skip
    ran = datadiet("select-samples", source, tmp_path / "b.csv", *flags, *QUICK, *ANY, "--method", "forgetting",
                   "--scores", tmp_path / "a.csv.scores.parquet")  # fmt: skip
    assert ran.code == 2
    assert "there is no score forgetting; there are: " in ran.complaint


def test_composite_takes_any_score(tmp_path, datadiet: Cli):
    for name in ("aum", "density", "random"):
        recut(datadiet, "things", tmp_path / f"{name}.csv", "--method", "composite", f"--information={name}")
    assert len({frozenset(samples(tmp_path / f"{name}.csv")) for name in ("aum", "density", "random")}) > 1
