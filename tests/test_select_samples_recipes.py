"""Every configuration of `select-samples` for a purpose does what it says, on data made for it."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, report, table
from tests.lessons import said, shade
from tests.test_select_samples import gone, rows_of, sizes, told

CONFIGS = Path(__file__).parent.parent / "configs"
RECIPES = sorted(path.stem for path in CONFIGS.glob("select-samples-*.yaml"))


def recipe(name, source, out, datadiet: Cli, *more):
    ran = datadiet("select-samples", source, out, "-c", CONFIGS / f"select-samples-{name}.yaml", *more)
    assert ran.code == 0, ran.err
    return gone(report(out))


def audio(root, datadiet: Cli):
    """High and low notes; of the low ones a few are much louder, and keep as many as the others."""
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    for i in range(48):
        path = root / "in" / "train" / ("low" if i % 2 else "high") / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        note = np.sin(2 * np.pi * (200 if i % 2 else 1500) * rng.uniform(0.95, 1.05) * np.arange(1600) / 8000)
        soundfile.write(path, note / 2 + rng.normal(0, 0.01, 1600), 8000)
    dropped = recipe("audio", root / "in", root / "out", datadiet)
    assert {row["reason"] for row in dropped} == {"not-drawn"}
    groups = told(root / "out")["groups"]
    assert set(groups) == {f"{label} / cluster {i}" for label in ("high", "low") for i in (1, 2, 3, 4)}
    for one in groups.values():
        for other in groups.values():
            # As many of each, but for those that have no more.
            assert one["after"] >= min(other["after"] - 1, one["before"])
    assert sum(size["after"] for size in groups.values()) == 24


def images(root, datadiet: Cli):
    """Pictures with a wrong label are among the hardest tenth, and go first."""
    for i in range(60):
        light = (i % 2 == 0) != (i < 3)
        shade(root / "in/train" / ("night" if i % 2 else "day") / f"{i:02}.png", light, i)
    more = ["--image-size", "12", "--epochs", "10", "--batch-size", "16"]
    dropped = recipe("images", root / "in", root / "out", datadiet, *more)
    assert len(dropped) == 30
    wrong = {row["id"] for row in dropped if row["reason"] == "likely-wrong"}
    assert len(wrong) == 6
    assert wrong >= {"train/day/00.png", "train/night/01.png", "train/day/02.png"}
    strata = {row["evidence"]["stratum"] for row in dropped if row["reason"] == "not-drawn"}
    assert len(strata) > 3
    assert told(root / "out")["rule"] == "ccs"
    assert len(told(root / "out")["scores"]["seeds"]) == 2
    again = root / "few"
    recipe("images", root / "in", again, datadiet, *more, "--scores", root / "out.scores.parquet", "--keep", "10%")
    assert sizes(again) == {"day": 3, "night": 3}


def tables(root, datadiet: Cli):
    rng = np.random.default_rng(0)
    rows = [[*(f"{v:.3f}" for v in rng.normal(3 * (i % 2), 1, 3)), "ab"[i % 2]] for i in range(100)]
    for i in range(6):
        rows[i][:3] = [f"{3 * ((i + 1) % 2):.3f}"] * 3
    source = table(root / "people.csv", ["x", "y", "z", "income"], rows)
    more = ["--label", "income", "--model", "linear", "--epochs", "6", "--models", "1"]
    dropped = recipe("table", source, root / "core.csv", datadiet, *more)
    metrics = told(root / "core.csv")
    assert metrics["terms"] == {"redundancy": 1, "noise": 2, "balance": 0.5, "information": 1}
    assert len(rows_of(root / "core.csv")) == metrics["kept"] == 40
    assert metrics["scores"]["folds"] == 5
    assert {str(i) for i in range(6)} <= {row["id"] for row in dropped}
    for row in dropped:
        terms = row["evidence"]["terms"]
        if terms["noise"] is not None:
            worth = sum(metrics["terms"][name] * value for name, value in terms.items())
            assert worth == pytest.approx(row["evidence"]["score"], abs=1e-4)


def text(root, datadiet: Cli):
    source = table(root / "in.csv", ["words", "topic"], [[said(i), "ab"[i % 2]] for i in range(50)])
    dropped = recipe("text", source, root / "core.csv", datadiet, "--label", "topic")
    assert sizes(root / "core.csv") == {"a": 8, "b": 7} or sizes(root / "core.csv") == {"a": 7, "b": 8}
    assert {row["reason"] for row in dropped} == {"covered"}
    assert not (root / "core.csv.scores.parquet").exists()


MAKERS = {"audio": audio, "images": images, "table": tables, "text": text}


def test_every_recipe_is_tried():
    assert {f"select-samples-{name}" for name in MAKERS} == set(RECIPES)


@pytest.mark.parametrize("name", MAKERS)
def test_recipe(name, tmp_path, datadiet: Cli):
    MAKERS[name](tmp_path, datadiet)
