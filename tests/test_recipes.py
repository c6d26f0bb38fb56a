"""Every configuration for a purpose does what it says, on data made for it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli, picture, table
from tests.data.trees import write

CONFIGS = Path(__file__).parent.parent / "configs"
RECIPES = sorted(path.stem for path in CONFIGS.glob("dedup-*.yaml"))
WORDS = [
    f"{a}{b}" for a in ("red", "green", "blue", "old", "new", "tall") for b in ("house", "river", "cloud", "stone")
]


def sentence(seed: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("abcdefghiklmnoprstuvw"), rng.integers(3, 9))) for _ in range(60))


def pictures(root: Path) -> Path:
    """Four pictures; a third of one cut off at every side is a copy for a thorough look, re-encoding one for all."""
    root.mkdir()
    for seed in range(4):
        picture(seed, 300).save(root / f"{seed}.png")
    picture(0, 300).save(root / "0-again.jpg", quality=85)
    return root


def thorough(root: Path) -> tuple[Path, list[str], set[str]]:
    pictures(root)
    photograph = Image.open(Path(__file__).parent.parent / "sample_data/images/train/animal/chelsea-02.jpg")
    large = photograph.resize((400, 400))
    large.save(root / "cat.png")
    large.crop((40, 40, 360, 360)).save(root / "cat-cut.png")
    return root, [], {"0-again.jpg", "cat-cut.png"}


def embedded(root: Path) -> tuple[Path, list[str], set[str]]:
    return pictures(root), [], {"0-again.jpg"}


def texts(root: Path) -> tuple[Path, list[str], set[str]]:
    files = {f"{seed}.txt": sentence(seed) for seed in range(4)}
    return write(root, files | {"copy.txt": sentence(2).upper()[:-3]}), [], {"copy.txt"}


def records(root: Path) -> tuple[Path, list[str], set[str]]:
    names = ["Anna Maria Lindqvist", "Robert Okonkwo", "Giuseppe Castellani", "Mireille Fontaine", "Tomasz Wisniewski"]
    towns = ["Uppsala", "Enugu", "Ferrara", "Grenoble", "Katowice"]
    rows = [
        [str(i), name, town, f"{i}7{i}3-44{i}", f"19{60 + i}1{i}0{i + 1}"]
        for i, (name, town) in enumerate(zip(names, towns, strict=True))
    ]
    rows.append(["9", "Giusepe Castellani", "Ferrara", "2723-442", "19621203"])
    filler = [
        [str(10 + i), f"{sentence(i)[:18]}", WORDS[i % 24], f"{i:03d}9-{i:03d}", f"19{i % 90 + 10}0101"]
        for i in range(60)
    ]
    path = table(root.with_suffix(".csv"), ["id", "name", "town", "phone", "born"], rows + filler)
    return path, ["--id-column", "id"], {"9"}


def sounds(root: Path) -> tuple[Path, list[str], set[str]]:
    soundfile = pytest.importorskip("soundfile")
    root.mkdir()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        time = np.arange(16000) / 16000
        notes = [np.sin(2 * np.pi * f * time) * np.exp(-2 * time) for f in rng.uniform(200, 2000, 5)]
        signal = np.concatenate(notes) * 0.5
        soundfile.write(root / f"{seed}.wav", signal, 16000)
        if seed == 1:
            soundfile.write(root / "quiet.ogg", signal * 0.3, 16000)
    return root, [], {"quiet.ogg"}


def against(root: Path) -> tuple[Path, list[str], set[str]]:
    known = pictures(root.with_name("known"))
    raw = pictures(root)
    for path in list(raw.iterdir())[:]:
        if path.stem not in ("1",):
            path.unlink()
    picture(9, 300).save(raw / "other.png")
    return raw, ["--against", str(known)], {"1.png"}


MAKERS = {
    "dedup-thorough": thorough,
    "dedup-embedding": embedded,
    "dedup-cluster": embedded,
    "dedup-text": texts,
    "dedup-records": records,
    "dedup-audio": sounds,
    "dedup-against": against,
}


def test_every_recipe_is_tried():
    assert set(MAKERS) == set(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe(tmp_path, datadiet: Cli, recipe):
    if recipe == "dedup-embedding":
        pytest.importorskip("efficientnet_lite_pytorch")
    data, flags, gone = MAKERS[recipe](tmp_path / "in")
    line = ["dedup", data, "-c", CONFIGS / f"{recipe}.yaml", *flags]
    ran = datadiet(*line, "--dry-run", "--list", "dropped")
    assert ran.code == 0, ran.err
    assert set(ran.ids) == gone
    told = json.loads(datadiet(*line, "--dry-run", "--json", "--quiet").out)
    assert {row["id"] for row in told["verdicts"] if row["action"] == "drop"} == gone
    assert all(row["witness"] for row in told["verdicts"])
