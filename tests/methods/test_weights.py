"""Weights of classes and samples, and thresholds: what the formulas say, and what they must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from datadiet_cli.methods.weights import WEIGHTS, class_weights, prior_threshold, sample_weights

ALL = pytest.mark.parametrize("scheme", WEIGHTS)
COUNTS = st.lists(st.integers(0, 10**9), max_size=20)


@ALL
@given(counts=COUNTS)
def test_the_mean_over_samples_is_one_and_rarer_weighs_more(scheme, counts):
    weight = class_weights(counts, scheme)
    count = np.array(counts, dtype=float)
    assert np.isfinite(weight).all()
    assert (weight >= 0).all()
    assert ((weight == 0) == (count == 0)).all()
    if count.sum():
        assert weight @ count / count.sum() == pytest.approx(1)
    there = count > 0
    falling = weight[there][np.argsort(count[there], kind="stable")]
    assert (np.diff(falling) <= 1e-9 * falling[:-1]).all()


def test_class_weights_are_those_of_scikit_learn():
    label = np.repeat([0, 1, 2], [70, 25, 5])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=label)
    assert class_weights([70, 25, 5], "class") == pytest.approx(theirs)


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.9999])
def test_the_effective_number_is_that_of_the_paper(beta):
    count = np.array([5000, 500, 50, 5])
    paper = (1 - beta) / (1 - beta**count)
    weight = class_weights(count, "effective-number", beta)
    assert weight / weight[0] == pytest.approx(paper / paper[0])


def test_the_ends_of_beta():
    """At 0 classes weigh the same, towards 1 as the inverse of their counts: section 3.1 of the paper."""
    assert class_weights([90, 10], "effective-number", 0) == pytest.approx([1, 1])
    near = class_weights([90, 10], "effective-number", 1 - 1e-12)
    assert near == pytest.approx(class_weights([90, 10], "class"), rel=1e-6)


def test_the_root_is_half_way():
    weight = class_weights([900, 100], "inverse-sqrt")
    assert weight[1] / weight[0] == pytest.approx(3)


@pytest.mark.parametrize(
    ("counts", "scheme", "beta", "words"),
    [
        ([1, 2], "balanced", None, "none of class, inverse-sqrt"),
        ([1, 2], "effective-number", 1.0, "beta"),
        ([1, -2], "class", None, "not negative"),
        ([1, np.nan], "class", None, "not negative"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(counts, scheme, beta, words):
    with pytest.raises(ValueError, match=words):
        class_weights(counts, scheme, beta)


@given(st.integers(0, 10**6), st.integers(0, 50))
def test_qualities_move_weight_within_a_class_only(seed, n):
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, 3, n)
    quality = np.where(rng.random(n) < 0.3, rng.choice([0.0, 1e-300, np.nan], n), rng.random(n))
    weight = class_weights(np.bincount(label[label >= 0], minlength=3), "sample")
    plain, own = sample_weights(label, weight), sample_weights(label, weight, quality)
    assert np.isfinite(own).all()
    assert (own[label < 0] == 1).all()
    for each in range(3):
        assert own[label == each].sum() == pytest.approx(plain[label == each].sum())


def test_a_doubtful_sample_weighs_less():
    own = sample_weights([0, 0, 1, 1], [1.0, 1.0], [1, 0.5, 0, 0])
    assert own == pytest.approx([4 / 3, 2 / 3, 1, 1])
    with pytest.raises(ValueError, match="quality"):
        sample_weights([0], [1.0], [2.0])
    with pytest.raises(ValueError, match="numbered"):
        sample_weights([3], [1.0])


def test_the_prior_is_the_threshold_that_balances_recall():
    """On probabilities that are right, no other threshold has a better mean recall."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 4, 200_000)
    y = rng.random(200_000) < p
    threshold = prior_threshold([(~y).sum(), y.sum()])
    assert threshold.sum() == pytest.approx(1)

    def recall(cut):
        return ((p >= cut)[y].mean() + (p < cut)[~y].mean()) / 2

    assert recall(threshold[1]) > max(recall(cut) for cut in (0.5, threshold[1] * 1.5, threshold[1] / 1.5))
    both = np.stack([1 - p, p], axis=1)
    assert (((both / threshold).argmax(axis=1) == 1) == (p >= threshold[1])).mean() > 0.9999


def test_classes_without_samples():
    assert prior_threshold([0, 0]).tolist() == [1, 1]
    assert prior_threshold([3, 0, 1]).tolist() == [0.75, 1, 0.25]
    assert class_weights([], "class").tolist() == []
