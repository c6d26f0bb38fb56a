"""Facility location against the plain greedy choice, the best choice of all, and its promises for many samples."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from datadiet_cli.methods.samples import facility
from datadiet_cli.methods.samples.facility import facility_location


def likeness(x):
    x = x.astype(np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    return np.clip(1 - ((x[:, None] - x) ** 2).sum(axis=2) / 4, 0, 1)


def plainly(alike, m):
    """The greedy choice as it is defined: all gains anew for every pick, and what adds nothing in order."""
    best, order, gains = np.zeros(len(alike)), [], []
    for _ in range(m):
        gain = np.maximum(alike - best[:, None], 0).sum(axis=0)
        gain[order] = -1
        order.append(int(gain.argmax()))
        gains.append(gain[order[-1]])
        best = np.maximum(best, alike[:, order[-1]])
    return order, gains


def corners(seed, n):
    """Corners of a cube of 16 dimensions, whose cosines are whole eighths: gains are exact, and many are equal."""
    rng = np.random.default_rng(seed)
    middle = rng.choice([-1, 1], (4, 16))
    return (middle[rng.integers(0, 4, n)] * rng.choice([-1, 1], (n, 16), p=[0.2, 0.8])).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_the_lazy_choice_is_the_plain_one(seed, n, repeated):
    x = corners(seed, n)
    if repeated:
        x = x[np.random.default_rng(seed).integers(0, n, n)]
    found = facility_location(x, n, 0)
    order, gains = plainly(likeness(x), n)
    assert found.order.tolist() == order
    assert found.gain.tolist() == gains


def test_neighbours_choose_as_all_similarities_do_where_they_are_all(monkeypatch):
    x = corners(1, 40)
    dense = facility_location(x, 25, 0)
    monkeypatch.setattr(facility, "DENSE", 10)
    monkeypatch.setattr(facility, "NEIGHBOURS", 39)
    sparse = facility_location(x, 25, 0)
    assert sparse.order.tolist() == dense.order.tolist()
    assert sparse.gain.tolist() == dense.gain.tolist()


def test_no_worse_than_a_share_of_the_best():
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    alike = likeness(x)
    found = facility_location(x, 3, 0)
    best = max(alike[:, some].max(axis=1).sum() for some in combinations(range(12), 3))
    assert found.gain.sum() >= (1 - 1 / np.e) * best
    np.testing.assert_allclose(found.gain.sum(), alike[:, found.order].max(axis=1).sum(), rtol=1e-5)


@pytest.mark.parametrize("dense", [4096, 100])
def test_digits_are_covered_better_than_by_chance(monkeypatch, dense):
    monkeypatch.setattr(facility, "DENSE", dense)
    x = load_digits().data[:1200].astype(np.float32)
    x -= x.mean(axis=0)
    found = facility_location(x, 600, 0)
    assert len(set(found.order.tolist())) == 600
    assert (np.diff(found.gain) <= 0).all()
    assert found.gain.min() > 0
    assert facility_location(x, 40, 0).order.tolist() == found.order[:40].tolist()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    alike = (1 + unit @ unit.T) / 2
    by_chance = [
        alike[:, np.random.default_rng(seed).choice(1200, 60, replace=False)].max(axis=1).sum() for seed in range(10)
    ]
    assert alike[:, found.order[:60]].max(axis=1).sum() > max(by_chance)


@pytest.mark.parametrize("dense", [4096, 10])
def test_equal_samples_come_last_and_once(monkeypatch, dense):
    monkeypatch.setattr(facility, "DENSE", dense)
    x = np.repeat(np.eye(3, dtype=np.float32), 40, axis=0)
    found = facility_location(x, 120, 0)
    assert sorted(found.order.tolist()) == list(range(120))
    assert set((found.order[:3] // 40).tolist()) == {0, 1, 2}
    if dense == 4096:
        assert found.order.tolist() == [0, 40, 80, *(set(range(120)) - {0, 40, 80})]
        assert (found.gain[3:] == 0).all()


@pytest.mark.parametrize("dense", [4096, 10])
def test_zeros_and_hardly_anything(monkeypatch, dense):
    monkeypatch.setattr(facility, "DENSE", dense)
    assert facility_location(np.zeros((50, 4), dtype=np.float32), 50, 0).order.tolist() == list(range(50))
    assert facility_location(np.zeros((3, 0), dtype=np.float32), 2, 0).order.tolist() == [0, 1]
    assert facility_location(np.zeros((0, 4), dtype=np.float32), 0, 0).order.tolist() == []
    assert facility_location(np.ones((1, 4), dtype=np.float32), 1, 0).gain.tolist() == [1]
    assert len(facility_location(np.full((20, 4), 3e38, dtype=np.float32), 0, 0).order) == 0


def test_what_cannot_be_chosen():
    x = np.ones((3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="from 0 to 3, not 4"):
        facility_location(x, 4, 0)
    with pytest.raises(ValueError, match="finite"):
        facility_location(x * np.float32(np.inf), 1, 0)
