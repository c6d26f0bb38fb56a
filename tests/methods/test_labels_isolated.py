"""Single wrong labels, in data so small and clean that the surest rows show no noise."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from datadiet_cli.methods.mislabelled import RULES, find_mislabelled
from datadiet_cli.methods.probabilities import out_of_fold


def stray():
    """Probabilities of a good model of two classes, and labels of which the one of row 7 is wrong."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 100)
    odds = rng.normal(size=(100, 2))
    odds[np.arange(100), label] += 8
    p = np.exp(odds)
    label[7] = 1 - label[7]
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32), label


def small(name, seed):
    """Classes that are far apart."""
    if name == "setosa":
        x, kind = load_iris(return_X_y=True)
        return x.astype(np.float32), (kind == 0).astype(np.int64)
    classes, n = name
    label = np.arange(n) % classes
    centre = np.array([[0, 0], [6, 0], [3, 5.2]])[label]
    return (np.random.default_rng(seed).normal(size=(n, 2)) + centre).astype(np.float32), label


@pytest.mark.parametrize("flips", [1, 3])
def test_single_wrong_labels_in_small_clean_data(flips):
    hits, flags, planted = np.zeros(2), np.zeros(2), 0
    for seed, name in enumerate([(2, 40), (3, 60), (2, 120), "setosa"]):
        x, true = small(name, seed)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(true), flips, replace=False)
        classes, label = int(true.max()) + 1, true.copy()
        label[rows] = (true[rows] + rng.integers(1, classes, flips)) % classes
        fit, planted = np.ones(len(true), bool), planted + flips
        told = out_of_fold(x, label, fit, classes)
        for i, neighbours in enumerate((told.neighbours, None)):
            found = find_mislabelled(told.probability, label, fit, neighbours=neighbours)
            assert (found.wrong == (found.score < found.threshold)).all()
            assert (found.suggested[rows] == true[rows])[found.wrong[rows]].all()
            hits[i] += found.wrong[rows].sum()
            flags[i] += found.wrong.sum()
    assert (hits >= 0.85 * planted).all()
    assert (hits >= 0.9 * flags).all()


@pytest.mark.parametrize("method", RULES)
def test_one_stray_is_flagged_by_every_rule(method):
    p, label = stray()
    alike = np.stack([np.flatnonzero(p.argmax(axis=1) == own)[:10] for own in p.argmax(axis=1)])
    fit = np.ones(100, bool)
    found = find_mislabelled(p, label, fit, method, neighbours=alike)
    assert np.flatnonzero(found.wrong).tolist() == [7]
    assert found.noise_rate == pytest.approx(0.01, abs=0.002)
    assert found.noise_matrix[label[7], 1 - label[7]] == pytest.approx(0.01, abs=0.002)


def test_a_stray_among_its_like_is_none():
    p, label = stray()
    fit = np.ones(100, bool)
    near_it = np.tile(np.arange(10, 20), (100, 1))
    near_it[7] = np.concatenate([np.flatnonzero(label == label[7])[:3], np.flatnonzero(label != label[7])[:7]])
    assert not find_mislabelled(p, label, fit, neighbours=near_it).wrong.any()
    near_it[7] = -1
    assert not find_mislabelled(p, label, fit, neighbours=near_it).wrong.any()


def test_a_stray_that_nothing_is_learned_from():
    p, label = stray()
    fit = np.arange(100) != 7
    assert np.flatnonzero(find_mislabelled(p, label, fit).wrong).tolist() == [7]


@pytest.mark.parametrize("n", [60, 150])
def test_no_strays_where_small_classes_overlap(n):
    flags = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 2, n)
        x = rng.normal(size=n) + 3 * label
        right = 1 / (1 + np.exp(-3 * (x - 1.5)))
        flags += find_mislabelled(np.column_stack([1 - right, right]).astype(np.float32), label, label >= 0).wrong.sum()
    assert flags <= 2
