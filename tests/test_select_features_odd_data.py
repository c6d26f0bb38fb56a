"""`datadiet select-features` of files, texts and odd tables, and what it refuses."""

import numpy as np
import polars as pl
import pytest

from tests.columns import HEADER, flags, header, records, verdicts
from tests.conftest import Cli, table


@pytest.fixture
def things(tmp_path):
    return table(tmp_path / "in.csv", HEADER, records())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "anova"], "needs labels"),
        (["--columns", "weigth", "--label", "kind"], "did you mean 'weight'"),
        (["--columns", "kind", "--label", "kind"], "label, split and id"),
        (["--always-keep", "nothing", "--label", "kind"], "--always-keep nothing: no such column"),
        (["--method", "best"], "--method"),
        (["--keep", "0"], "--keep"),
    ],
)
def test_one_line_for_what_cannot_be(things, tmp_path, datadiet: Cli, more, words):
    out = tmp_path / "out.csv"
    ran = datadiet("select-features", things, out, *more)
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[i % 7, "same"] for i in range(30)], "all labelled training samples have the same class"),
        ([[i % 7, 5] for i in range(30)], "all labelled training samples have the same class"),
        ([[i % 7, f"name {i}"] for i in range(30)], "30 classes among 30 labelled training samples"),
        ([[i % 7, "ab"[i] if i < 2 else ""] for i in range(30)], "2 labelled training samples"),
        ([[i % 7, ""] for i in range(30)], "has none; --label names their column; without labels there are"),
        ([], "0 training samples"),
    ],
)
def test_labels_that_teach_nothing(tmp_path, datadiet: Cli, rows, words):
    source = table(tmp_path / "in.csv", ["a", "y"], rows)
    ran = datadiet("select-features", source, tmp_path / "out.csv", "--label", "y")
    assert ran.code == 2
    assert words in ran.complaint
    if rows:
        assert datadiet("select-features", source, tmp_path / "v.csv", "--label", "y", "--method", "variance").code == 0


def test_too_few_rows(tmp_path, datadiet: Cli):
    few = table(tmp_path / "few.csv", ["a", "y"], [[1, "x"], [2, "y"]])
    assert "at least 3" in datadiet("select-features", few, tmp_path / "out.csv", "--label", "y").complaint


def test_never_all_columns_go(tmp_path, datadiet: Cli):
    flat = table(tmp_path / "flat.csv", ["a", "b", "y"], [["1", "same", "xy"[i % 2]] for i in range(30)])
    ran = datadiet("select-features", flat, tmp_path / "out.csv", "--label", "y", "--method", "anova")
    assert ran.code == 0
    assert "nothing was dropped" in ran.err
    assert (tmp_path / "out.csv").read_bytes() == flat.read_bytes()
    rows = [[i % 7, (i * 5) % 11, "xy"[i % 2]] for i in range(60)]
    still = table(tmp_path / "still.csv", ["a", "b", "y"], rows)
    ran = datadiet("select-features", still, tmp_path / "v.csv", "--label", "y", "--method", "variance",
                   "--min-variance", "1000")  # fmt: skip
    assert ran.code == 0
    assert len(header(tmp_path / "v.csv")) == 2


def test_hostile_names_and_cells(tmp_path, datadiet: Cli):
    names = ['a,"b', "pca_1", "e\nf", " ", "<b>[red]", "ключ"]
    rng = np.random.default_rng(0)
    rows = [[*(f"{v:.3f}" for v in rng.normal(size=6)), "xy"[i % 2]] for i in range(40)]
    rows[3][0], rows[4][1], rows[5][2] = "nan", "inf", ""
    source = table(tmp_path / "in.csv", [*names, "y"], rows)
    for method in ("anova", "pca"):
        out = tmp_path / f"{method}.csv"
        assert datadiet("select-features", source, out, "--label", "y", "--method", method, "--keep", "2").code == 0
        assert set(verdicts(out)) >= {*names, "y"}
    made = [name for name, verdict in verdicts(tmp_path / "pca.csv").items() if verdict["action"] == "make"]
    assert made == ["pca2_1", "pca2_2"]


@pytest.fixture
def photos(tmp_path):
    """Two classes that are told apart by where the picture is bright; one file is damaged."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(24):
        cells = rng.integers(0, 120, (16, 16, 3)).astype(np.uint8)
        cells[:, (0 if i % 2 else 8) : (8 if i % 2 else 16)] += 120
        path = tmp_path / "in" / ("train" if i < 18 else "test") / ("left" if i % 2 else "right") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cells).resize((64, 64)).save(path)
    (tmp_path / "in/train/left/01.png").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.mark.parametrize("method", ["anova", "pca"])
def test_dimensions_of_pictures(photos, tmp_path, datadiet: Cli, method):
    """OUTPUT is a plain copy; the numbers stand beside it."""
    out = tmp_path / "out"
    ran = datadiet("select-features", photos, out, "--method", method, "--keep", "5")
    assert ran.code == 3
    assert "01.png" in ran.err
    assert {p.relative_to(out) for p in out.rglob("*")} == {p.relative_to(photos) for p in photos.rglob("*")}
    frame = pl.read_parquet(f"{out}.features.parquet")
    assert frame.columns[:3] == ["id", "label", "split"]
    assert len(frame.columns) == 8
    assert frame["id"].to_list() == sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*.png"))
    assert frame.null_count()[frame.columns[-1]].to_list() == [1]
    assert set(frame["label"]) == {"left", "right"}
    assert set(frame["split"]) == {"train", "test"}
    told = verdicts(out)
    kept = [name for name, verdict in told.items() if verdict["action"] != "drop"]
    assert sorted(kept) == sorted(frame.columns[3:])
    assert all(name.startswith("image[" if method == "anova" else "pca_") for name in kept)
    if method == "anova":
        x, y = frame.drop_nulls()[:, 3].to_numpy(), frame.drop_nulls()["label"].to_numpy()
        assert abs(x[y == "left"].mean() - x[y == "right"].mean()) > x[y == "left"].std()


def test_a_table_of_texts_is_about_their_vectors(tmp_path, datadiet: Cli):
    rng = np.random.default_rng(3)
    words = [["goal", "match", "team", "league"], ["court", "judge", "law", "verdict"]]
    rows = [[" ".join(rng.choice([*words[i % 2], "the", "of", "a", "was"], 9)), "sc"[i % 2]] for i in range(60)]
    source = table(tmp_path / "in.csv", ["text", "topic"], rows)
    out = tmp_path / "out.csv"
    assert datadiet("select-features", source, out, "--label", "topic", "--method", "anova", "--keep", "4").code == 0
    assert out.read_bytes() == source.read_bytes()
    frame = pl.read_parquet(f"{out}.features.parquet")
    assert len(frame.columns) == 7
    assert all(name.startswith("text[") for name in frame.columns[3:])
    assert verdicts(out)["text"]["reason"] == "left-alone"


def test_a_folder_has_no_columns(photos, tmp_path, datadiet: Cli):
    for flag in ("--columns", "--always-keep"):
        ran = datadiet("select-features", photos, tmp_path / "out", flag, "size")
        assert ran.code == 2
        assert f"{flag} needs a table" in ran.complaint


def test_settings_without_effect_are_named(things, tmp_path, datadiet: Cli):
    ran = datadiet("select-features", things, tmp_path / "o.csv", *flags("--method", "anova", "--keep", "3", "--folds",
                   "3", "--budget", "5"))  # fmt: skip
    assert ran.code == 0
    assert "budget, folds have no effect on method anova" in ran.err
    ran = datadiet("select-features", things, tmp_path / "c.csv", *flags("--method", "collinearity", "--keep", "2",
                   "--max-correlation", "70%"))  # fmt: skip
    assert (ran.code, "no effect" in ran.err) == (0, False), "it says which columns go first"
