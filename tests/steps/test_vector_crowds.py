"""Thousands that are nearly equal: the same samples stay as if all pairs were known."""

import numpy as np
import pytest

from datadiet_cli.data.open import open_dataset
from datadiet_cli.data.reading import Reading
from datadiet_cli.methods.neighbours import TooManyPairsError
from datadiet_cli.steps.likeness import vectors
from tests.steps.test_vectors import decide


def angles(path, numbers, labels=None, splits=None):
    rows = zip(numbers, labels or ["a"] * len(numbers), splits or ["train"] * len(numbers), strict=True)
    path.write_text("\n".join(["x,label,split", *(f"{x:.6f},{label},{split}" for x, label, split in rows), ""]))
    return open_dataset(str(path), Reading(label="label"))


@pytest.fixture
def crowded(monkeypatch):
    """As if any number of pairs were too many for the first search."""
    asked = []

    def too_many(_grid, least, **_more):
        asked.append(least)
        raise TooManyPairsError("too many pairs")

    def start():
        monkeypatch.setattr(vectors, "pairs_above", too_many)
        return asked

    return start


@pytest.mark.parametrize("scope", ["within-class", "across-classes", "across-splits"])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_samples_go(tmp_path, crowded, seed, scope):
    rng = np.random.default_rng(seed)
    numbers = np.repeat(rng.normal(size=12), 25) + rng.choice([0, 0.001, 0.01], 300) * rng.normal(size=300)
    labels, splits = rng.choice(["a", "b"], 300, p=[0.8, 0.2]), rng.choice(["train", "test"], 300, p=[0.8, 0.2])
    dataset = angles(tmp_path / "in.csv", numbers, labels.tolist(), splits.tolist())
    settings = {"similarity": 0.99, "scope": scope, "columns": ["x"]}
    whole = decide(dataset, **settings)
    asked = crowded()
    few = decide(dataset, **settings)
    assert asked == [0.97, 0.99], "first with closest calls, then without"
    assert few.metrics["vector_pairs"] < whole.metrics["vector_pairs"] / 3
    assert set(few.verdicts.dropped().tolist()) == set(whole.verdicts.dropped().tolist())
    told = []
    for verdicts in (few.verdicts, whole.verdicts):
        copy = verdicts.reason == "duplicate"
        told.append(set(zip(verdicts.sample[copy].tolist(), verdicts.witness[copy].tolist(), strict=True)))
    assert told[0] == told[1]
    assert few.metrics["leak"] == whole.metrics["leak"]
    assert few.metrics["crowded_out"] == 300
    assert few.comparisons is None, "these pairs tell nothing of another threshold"
    assert (few.metrics["conflict"] > 0) == (whole.metrics["conflict"] > 0)


def test_against_another_dataset(tmp_path, crowded):
    rng = np.random.default_rng(1)
    dataset = angles(tmp_path / "in.csv", rng.normal(size=200).round(2))
    angles(tmp_path / "other.csv", rng.normal(size=40).round(2))
    settings = {"similarity": 0.995, "columns": ["x"], "against": [str(tmp_path / "other.csv")]}
    whole = decide(dataset, **settings)
    crowded()
    few = decide(dataset, **settings)
    assert whole.metrics["contamination"] > 10
    for reason in ("contamination", "duplicate"):
        samples = [set(v.sample[v.reason == reason].tolist()) for v in (whole.verdicts, few.verdicts)]
        assert samples[0] == samples[1]


def test_closest_calls_stay_near_the_threshold(tmp_path, monkeypatch):
    asked = []
    real = vectors.pairs_above
    monkeypatch.setattr(
        vectors, "pairs_above", lambda grid, least, **more: asked.append(least) or real(grid, least, **more)
    )
    dataset = angles(tmp_path / "in.csv", range(50))
    for similarity in (0.9, 0.99999, 1.0):
        decide(dataset, similarity=similarity)
    assert asked == pytest.approx([0.88, 0.99995, 1.0])
