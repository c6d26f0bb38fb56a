"""What memory has no room for goes through files on disk, and comes out the same."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datadiet_cli.engine import Engine
from datadiet_cli.grouping import exact
from datadiet_cli.grouping import hamming as near_hashes
from datadiet_cli.grouping import minhash as many_texts
from datadiet_cli.methods import hamming, hamming_plan
from tests.conftest import report, table

SAMPLES = Path(__file__).parent.parent / "sample_data"
LIMIT = "500B"
"""Less than any of the datasets here takes."""


def pictures(root: Path) -> Path:
    """Some of the sample pictures: copies in disguises, and a broken one."""
    names = "hubble-10 img-1884 hubble-11 rocket-03 img-2768 hubble-12 img-2917"
    (root / "space").mkdir(parents=True)
    for name in names.split():
        shutil.copy(SAMPLES / "images" / "train" / "space" / f"{name}.jpg", root / "space")
    return root


def bytes_of_files(root: Path) -> Path:
    """Files of equal size, equal heads and equal bytes, small and large."""
    for number in range(60):
        content = random.Random(number % 23).randbytes(100 if number % 2 else 70_000)
        (root / "all" / f"{number}.bin").parent.mkdir(parents=True, exist_ok=True)
        (root / "all" / f"{number}.bin").write_bytes(content + bytes([number % 7 == 0]))
    return root


def rows(root: Path) -> Path:
    """Rows of which some are the same, and some nearly."""
    root.mkdir()
    rng = random.Random(0)
    cells = [[rng.randrange(300) + rng.choice([0, 1e-9]), rng.choice("abc"), 7] for _ in range(400)]
    return table(root / "rows.csv", ["x", "word", "y"], cells)


def texts(root: Path) -> Path:
    """Texts of which some are the same but for a word, and some but for white space."""
    rng = random.Random(0)
    for number in range(90):
        words = random.Random(number % 40).choices(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"], k=40)
        words[rng.randrange(40)] += rng.choice(["", " ", "s"])
        (root / "all" / f"{number}.txt").parent.mkdir(parents=True, exist_ok=True)
        (root / "all" / f"{number}.txt").write_text(" ".join(words))
    return root


CASES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "pictures by hash": (pictures, []),
    "pictures in every turn": (pictures, ["--invariance", "all"]),
    "pictures by their parts": (pictures, ["--level", "thorough"]),
    "pictures by pixels": (pictures, ["--method", "pixels"]),
    "files": (bytes_of_files, ["--max-removed", "100%"]),
    "rows": (rows, []),
    "texts": (texts, ["--method", "normalised"]),
    "texts by MinHash": (texts, ["--method", "minhash"]),
    "texts by SimHash": (texts, ["--method", "simhash", "--max-distance", "6"]),
    "pictures by their vectors": (pictures, ["--method", "embedding", "--encoder", "classical", "--similarity", "0.9"]),
    "texts by their vectors": (texts, ["--method", "embedding", "--encoder", "classical"]),
    "rows by their vectors": (rows, ["--method", "cluster", "--encoder", "classical", "--similarity", "0.99"]),
    "rows within a tolerance": (rows, ["--method", "near", "--tolerance", "1e-6"]),
}
"""INPUT, and how it is searched."""


@pytest.fixture(autouse=True)
def _as_if_there_were_many(monkeypatch, request):
    """Searches that only large datasets are worth: plans, several buckets, several pieces."""
    if request.node.callspec.params["case"] != "pictures by their parts":  # a plan for each part takes its time
        monkeypatch.setattr(hamming, "WORTH_A_PLAN", 0.0)
        monkeypatch.setattr(hamming_plan, "_BRUTE_PAIR", 1e6)
    monkeypatch.setattr(near_hashes, "_WORTH_A_BUCKET", 4)
    monkeypatch.setattr(near_hashes, "_AT_ONCE", 25)
    monkeypatch.setattr(exact, "_AT_ONCE", 25)
    monkeypatch.setattr(many_texts, "OF_A_FILE", 25)


@pytest.mark.parametrize("case", CASES)
def test_the_same_output_and_verdicts(datadiet, tmp_path, monkeypatch, case):
    make, arguments = CASES[case]
    source = make(tmp_path / "in")
    out = tmp_path / f"out{source.suffix}"
    found, taken = [], []
    exchange = Engine.exchange
    monkeypatch.setattr(Engine, "exchange", lambda *args: taken.append(args) or exchange(*args))
    for limit in ([], ["--memory-limit", LIMIT]):
        ran = datadiet("dedup", source, out, *arguments, *limit, "--engine", "serial", "--no-cache", "--rerun")
        assert ran.code in (0, 3), ran.err
        told = report(out)
        assert bool(taken) == bool(limit)
        found.append({part: told[part] for part in ("output", "figures", "steps", "verdicts")})
    assert found[0]["figures"]["removed"] > 0
    assert found[0] == found[1]
