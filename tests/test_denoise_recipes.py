"""Every configuration of `denoise` does what it says, on data made for it."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.conftest import Cli, table
from tests.data.trees import write

ROOT = Path(__file__).parent.parent
RECIPES = sorted(path.stem for path in (ROOT / "configs").glob("denoise-*.yaml"))


FLIPPED = (20, 41, 60, 83, 102, 125, 144, 167, 186, 209)


def blobs(path: Path, *, outlier: bool = True) -> Path:
    """Two classes that are far apart; an empty cell, perhaps an outlier, and wrong labels."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(240):
        centre = -4 if i % 2 else 4
        x, y = rng.normal(centre, 1, 2)
        rows.append([f"{x:.2f}", f"{y:.2f}", f"{rng.normal():.2f}", "ab"[i % 2]])
    rows[5][0] = ""
    if outlier:
        rows[9][1] = "500"
    for i in FLIPPED:
        rows[i][3] = "b" if rows[i][3] == "a" else "a"
    return table(path.with_suffix(".csv"), ["x", "y", "z", "kind"], rows)


def pictures(root: Path) -> Path:
    """Photographs of the sample data, with a plain picture among them, a dark one and a blurred one."""
    for name in ("object", "space", "tissue"):
        ignored = shutil.ignore_patterns("img-*", "hubble-11.jpg")
        shutil.copytree(ROOT / "sample_data/images/train" / name, root / name, ignore=ignored)
    Image.new("RGB", (200, 200), (90, 90, 90)).save(root / "object/plain.png")
    with Image.open(root / "object/coffee-01.jpg") as cup:
        cup.point(lambda level: level // 12).save(root / "object/night.png")
        cup.filter(ImageFilter.GaussianBlur(5)).save(root / "object/soft.png")
    return root


def texts(root: Path) -> Path:
    rng = np.random.default_rng(0)
    words = {
        "sport": "goal match team score player win league".split(),
        "food": "bread oven taste salt dish cook".split(),
    }
    files = {
        f"{name}/{i}.txt": " ".join(rng.choice([*own, *"the a of and with today was".split()], 40))
        for name, own in words.items()
        for i in range(45)
    }
    files |= {"sport/blank.txt": " \n", "food/rule.txt": "-----=====-----*****\n" * 12}
    files["sport/stray.txt"] = files.pop("food/3.txt")
    return write(root, files)


def sounds(root: Path) -> Path:
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    time = np.arange(8000) / 8000
    for name, pitch in (("high", 1500), ("low", 200)):
        (root / name).mkdir(parents=True)
        for i in range(25):
            note = np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * time) * np.exp(-3 * time) * 0.6
            soundfile.write(root / name / f"{i}.wav", note + rng.normal(0, 0.003, 8000), 8000)
    soundfile.write(root / "high/silent.wav", np.zeros(8000), 8000)
    (root / "low/7.wav").rename(root / "high/stray.wav")
    return root


MAKERS = {
    "denoise-table": (blobs, ["--label", "kind"], {"9": "outlier", **{str(i): "wrong-label" for i in FLIPPED}}),
    "denoise-images": (
        pictures, [], {"object/plain.png": "flat", "object/night.png": "dark", "object/soft.png": "blurred"}
    ),
    "denoise-text": (texts, [], {"sport/blank.txt": "empty", "food/rule.txt": "mostly-symbols"}),
    "denoise-audio": (sounds, [], {"high/silent.wav": "silent", "high/stray.wav": "wrong-label"}),
    "denoise-relabel": (partial(blobs, outlier=False), ["--label", "kind"], {}),
}  # fmt: skip


def test_every_recipe_is_tried():
    assert set(MAKERS) == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe(tmp_path, datadiet: Cli, recipe):
    maker, flags, gone = MAKERS[recipe]
    data = maker(tmp_path / "in")
    line = ["denoise", data, "-c", ROOT / f"configs/{recipe}.yaml", *flags, "--dry-run"]
    ran = datadiet(*line, "--json", "--quiet")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)["verdicts"]
    dropped: dict[str, set[str]] = {}
    for row in told:
        if row["action"] == "drop":
            dropped.setdefault(row["id"], set()).add(row["reason"])
    # A thing or two may be odd that nobody planted.
    assert set(gone) <= set(dropped)
    assert len(dropped) <= len(gone) + 2 * (recipe == "denoise-table")
    assert all(reason in dropped[name] for name, reason in gone.items())
    if recipe == "denoise-table":
        assert [row["id"] for row in told if row["action"] == "impute"] == ["5"]
    if recipe == "denoise-text":
        assert ("sport/stray.txt", "flag") in {(row["id"], row["action"]) for row in told}
    if recipe == "denoise-relabel":
        assert {row["id"] for row in told if row["action"] == "relabel"} == set(map(str, FLIPPED))
