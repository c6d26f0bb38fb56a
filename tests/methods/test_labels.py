"""The contract of every rule for wrong labels, and what confident learning gives on known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris, make_classification

from datadiet_cli.methods.confident import (
    calibrated,
    check_probabilities,
    confident_joint,
    prune_by_noise_rate,
    thresholds,
)
from datadiet_cli.methods.mislabelled import RULES, find_mislabelled, multi_label
from datadiet_cli.methods.probabilities import out_of_fold
from datadiet_cli.methods.trust import cohen, trust

ALL = pytest.mark.parametrize("method", RULES)


def drawn(n, classes, seed=0, noise=0.2, sure=6.0):
    """Probabilities of a good model and labels, some of them wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    odds = rng.normal(size=(n, classes))
    odds[np.arange(n), true] += sure
    p = np.exp(odds)
    wrong = rng.random(n) < noise
    label = np.where(wrong, (true + rng.integers(1, max(classes, 2), n)) % classes, true)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32), label.astype(np.int64), label != true


def near(label, seed=0, k=5):
    return np.random.default_rng(seed).integers(0, max(len(label), 1), (len(label), k))


def find(p, label, method="confident-learning", fit=None, **more):
    fit = label >= 0 if fit is None else fit
    return find_mislabelled(p, label, fit, method, neighbours=near(label), **more)


def check(found, label, classes):
    n = len(label)
    assert found.score.shape == found.suggested.shape == (n,)
    assert np.isfinite(found.score).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (found.wrong == (found.score < found.threshold)).all()
    assert not found.wrong[label < 0].any()
    assert (found.score[label < 0] == 1).all()
    assert (found.suggested[found.wrong] != label[found.wrong]).all()
    assert ((found.suggested >= 0) & (found.suggested < max(classes, 1))).all()
    low, high = found.interval
    assert 0 <= low <= found.noise_rate <= high <= 1
    assert found.noise_matrix.shape == (classes, classes)
    if classes:
        assert found.noise_matrix.sum() == pytest.approx(1)
    for one in set(label[label >= 0].tolist()):
        assert not found.wrong[label == one].all()


@ALL
@pytest.mark.parametrize(("n", "classes"), [(0, 3), (1, 3), (1, 1), (40, 1), (300, 2), (500, 5), (900, 200)])
def test_any_size_of_data(method, n, classes):
    p, label, _ = drawn(n, classes)
    label[::7] = -1
    check(find(p, label, method), label, classes)


@ALL
def test_nothing_learned_from_or_nothing_labelled(method):
    p, label, _ = drawn(50, 3)
    assert not find(p, label, method, fit=np.zeros(50, bool)).wrong.any()
    nothing = np.full(50, -1)
    check(find(p, nothing, method), nothing, 3)


@ALL
def test_a_model_that_knows_nothing_flags_nothing(method):
    label = np.repeat([0, 1], [270, 30])
    # One that says the majority of every row, and one that says the same of all classes.
    for p in ([0.9, 0.1], [0.5, 0.5]):
        assert not find(np.tile(np.array(p, np.float32), (300, 1)), label, method).wrong.any()


@ALL
def test_the_same_in_any_order(method):
    p, label, _ = drawn(600, 4)
    first = find_mislabelled(p, label, label >= 0, method, neighbours=near(label))
    order = np.random.default_rng(1).permutation(600)
    place = np.argsort(order)
    again = find_mislabelled(p[order], label[order], label >= 0, method, neighbours=place[near(label)][order])
    assert (again.wrong == first.wrong[order]).all()
    np.testing.assert_allclose(again.score, first.score[order], atol=1e-9)
    assert again.noise_rate == pytest.approx(first.noise_rate)


@ALL
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 6), sure=st.floats(0, 8))
def test_whatever_the_probabilities(method, seed, classes, sure):
    p, label, _ = drawn(80, classes, seed, sure=sure)
    label[np.random.default_rng(seed).random(80) < 0.2] = -1
    check(find(p, label, method), label, classes)


@pytest.mark.parametrize("method", ["confident-learning", "self-confidence", "normalised-margin"])
def test_wrong_labels_are_found(method):
    p, label, wrong = drawn(2000, 5, noise=0.15)
    found = find(p, label, method)
    assert (found.wrong & wrong).sum() >= 0.97 * wrong.sum()
    assert (found.wrong & wrong).sum() >= 0.97 * found.wrong.sum()
    assert found.interval[0] <= wrong.mean() <= found.interval[1]
    assert found.noise_rate == pytest.approx(wrong.mean(), abs=0.03)


def test_knn_asks_the_neighbours():
    p, label, wrong = drawn(400, 3, noise=0.1)
    true = p.argmax(axis=1)
    alike = np.stack([np.flatnonzero((true == own) & ~wrong)[:10] for own in true])
    found = find_mislabelled(p, label, label >= 0, "knn", neighbours=alike)
    assert (found.wrong & wrong).sum() >= 0.9 * wrong.sum()
    with pytest.raises(ValueError, match="neighbours"):
        find_mislabelled(p, label, label >= 0, "knn")


def test_a_tiny_class_is_left_alone():
    p, label, _ = drawn(300, 3, noise=0)
    label[:4] = 2
    label[(label == 2) & (np.arange(300) >= 4)] = 0
    assert not find(p, label).wrong[:4].any()


def test_no_flags_where_classes_only_overlap():
    rng = np.random.default_rng(0)
    for distance in (1.5, 2.0, 3.0):
        label = rng.integers(0, 2, 4000)
        x = rng.normal(size=4000) + distance * label
        right = 1 / (1 + np.exp(-distance * (x - distance / 2)))
        p = np.column_stack([1 - right, right]).astype(np.float32)
        assert find(p, label).wrong.mean() <= 0.005
        assert (p.argmax(axis=1) != label).mean() > 0.05


def test_what_is_no_probability_is_refused():
    p, label, _ = drawn(20, 3)
    for spoil, said in (
        (np.nan, "row 4 has a missing"),
        (-0.1, "row 4 has a negative"),
        (0.9, "row 4 does not add up"),
    ):
        bad = p.copy()
        bad[4, 1] = spoil
        with pytest.raises(ValueError, match=said):
            find(bad, label)
    with pytest.raises(ValueError, match="20 x 2; 20 samples and 3 classes need 20 x 3"):
        check_probabilities(p[:, :2], 20, 3)
    with pytest.raises(ValueError, match="samples"):
        find(p[:10], label)
    with pytest.raises(ValueError, match="outside"):
        find(p, label + 1)
    with pytest.raises(ValueError, match="no method"):
        find(p, label, "magic")


def test_the_joint_of_the_paper():
    # Figure 1 of the paper: dogs, foxes and cows.
    count = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    given_, guess = np.indices((3, 3)).reshape(2, -1)
    label, said = np.repeat(given_, count.ravel()), np.repeat(guess, count.ravel())
    p = np.full((400, 3), 0.1, np.float32)
    p[np.arange(400), said] = 0.8
    assert (confident_joint(p, label) == count).all()
    joint = calibrated(count, np.bincount(label)) / 400
    np.testing.assert_allclose(joint, [[0.25, 0.1, 0.05], [0.14, 0.15, 0], [0.08, 0.03, 0.2]])
    # Prune by noise rate takes as many of each two classes as the joint says: here all that are off the diagonal.
    assert (prune_by_noise_rate(p, label, joint * 400) == (label != said)).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_same_as_cleanlab(classes):
    pytest.importorskip("cleanlab")
    from cleanlab.count import compute_confident_joint, get_confident_thresholds
    from cleanlab.filter import find_label_issues

    for seed in range(4):
        p, label, _ = drawn(1500, classes, seed, sure=2.5)
        np.testing.assert_allclose(thresholds(p, label), get_confident_thresholds(label, p), atol=1e-5)
        count = confident_joint(p, label)
        theirs = compute_confident_joint(label, p, calibrate=False)
        assert np.abs(count - theirs).sum() <= 0.002 * 1500
        pruned = prune_by_noise_rate(p, label, calibrated(count, np.bincount(label, minlength=classes)))
        issues = find_label_issues(label, p, filter_by="prune_by_noise_rate", n_jobs=1)
        assert (pruned != issues).mean() <= 0.01  # cleanlab rounds the joint so that rows keep their sums


@pytest.mark.parametrize(("kind", "least"), [("pair", 0.95), ("uniform", 0.95)])
def test_digits_with_wrong_labels(kind, least):
    x, true = (part[:1000] for part in load_digits(return_X_y=True))
    rng = np.random.default_rng(0)
    flipped = rng.random(len(true)) < 0.1
    shift = 1 if kind == "pair" else rng.integers(1, 10, len(true))
    label = np.where(flipped, (true + shift) % 10, true)
    fit = np.ones(len(true), bool)
    predicted = out_of_fold(x.astype(np.float32), label, fit, 10)
    found = find_mislabelled(predicted.probability, label, fit)
    hits = (found.wrong & (label != true)).sum()
    assert 2 * hits / (found.wrong.sum() + (label != true).sum()) >= least
    assert found.interval[0] <= (label != true).mean() <= found.interval[1]
    assert (found.suggested[found.wrong] == true[found.wrong]).mean() > 0.9
    trusted = trust(x.astype(np.float32), label, fit, predicted.probability, predicted.neighbours)
    assert trusted.trusted
    assert trusted.agreement > trusted.kappa


def test_clean_data_has_no_flags_and_trust():
    x, label = load_iris(return_X_y=True)
    fit = np.ones(len(label), bool)
    predicted = out_of_fold(x.astype(np.float32), label, fit, 3)
    assert not find_mislabelled(predicted.probability, label, fit).wrong.any()
    trusted = trust(x.astype(np.float32), label, fit, predicted.probability, predicted.neighbours)
    assert trusted.trusted
    assert trusted.accuracy > 0.93 > trusted.chance
    assert trusted.purity > 0.85


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_features_that_say_nothing_are_not_trusted(share):
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(600, 8)).astype(np.float32), (rng.random(600) < share).astype(np.int64)
    fit = np.ones(600, bool)
    predicted = out_of_fold(x, label, fit, 2)
    told = trust(x, label, fit, predicted.probability, predicted.neighbours)
    assert not told.trusted
    assert told.agreement < 0.2
    assert told.chance == pytest.approx(max(label.mean(), 1 - label.mean()))


def test_trust_in_the_extreme():
    x = np.zeros((10, 2), np.float32)
    p = np.ones((10, 1), np.float32)
    assert not trust(x, np.zeros(10, np.int64), np.ones(10, bool), p).trusted
    nothing = trust(x, np.full(10, -1), np.zeros(10, bool), p)
    assert not nothing.trusted
    assert np.isnan(nothing.accuracy)
    assert cohen(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0]), 2) == 0


def test_any_number_of_labels():
    rng = np.random.default_rng(0)
    true = rng.random((1500, 4)) < 0.4
    p = np.clip(np.where(true, 0.9, 0.1) + rng.normal(0, 0.05, true.shape), 0, 1).astype(np.float32)
    flipped = rng.random(true.shape) < [0.1, 0.1, 0.1, 0]
    found = multi_label(p, true ^ flipped, np.ones(1500, bool))
    assert (found.missing == (flipped & true)).mean() > 0.99
    assert (found.superfluous == (flipped & ~true)).mean() > 0.99
    assert (found.wrong == (found.missing | found.superfluous).any(axis=1)).all()
    assert found.noise_rate[3] < 0.01 < found.noise_rate[0]
    with pytest.raises(ValueError, match="class 1"):
        multi_label(p + np.array([0, 1, 0, 0], np.float32), true, np.ones(1500, bool))


def test_noise_matrix_tells_which_classes_are_mixed_up():
    x, true = make_classification(3000, 12, n_informative=8, n_classes=3, class_sep=2.0, flip_y=0, random_state=0)
    rng = np.random.default_rng(0)
    label = np.where((true == 0) & (rng.random(3000) < 0.3), 2, true)
    fit = np.ones(3000, bool)
    matrix = find_mislabelled(out_of_fold(x.astype(np.float32), label, fit, 3).probability, label, fit).noise_matrix
    assert matrix[2, 0] == pytest.approx(0.1, abs=0.035)
    assert matrix.sum() - np.trace(matrix) - matrix[2, 0] < 0.02
