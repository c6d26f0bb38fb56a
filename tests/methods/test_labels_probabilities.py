"""Probabilities out of fold, against scikit-learn and by what must hold of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from datadiet_cli.engine import Engine
from datadiet_cli.methods.discriminant import discriminant, moments, spread
from datadiet_cli.methods.folds import hashes, sample, standardised, stratified
from datadiet_cli.methods.probabilities import out_of_fold


@pytest.fixture(scope="module")
def threads():
    with Engine("threads", 3) as engine:
        yield engine


def test_rows_keep_their_answer_in_any_order_and_with_any_number_of_threads(threads):
    x, label = load_digits(return_X_y=True)
    x = x[:240].astype(np.float32)
    label = label[:240].astype(np.int64)
    fit = np.arange(240) % 4 > 0
    first = out_of_fold(x, label, fit, 10)
    order = np.random.default_rng(0).permutation(240)
    again = out_of_fold(x[order], label[order], fit[order], 10, crew=threads)
    assert (again.probability == first.probability[order]).all()
    assert (order[again.neighbours] == first.neighbours[order]).all()
    np.testing.assert_allclose(first.probability.sum(axis=1), 1, atol=1e-5)
    assert (first.probability.argmax(axis=1) == label).mean() > 0.9
    assert fit[first.neighbours].all()
    assert not (first.neighbours == np.arange(240)[:, None]).any()


def test_a_label_does_not_speak_for_itself():
    x, label = load_wine(return_X_y=True)
    x = x.astype(np.float32)
    fit = np.ones(len(x), bool)
    wrong = label.copy()
    wrong[0] = 2
    predicted = out_of_fold(x, wrong, fit, 3)
    assert predicted.probability[0].argmax() == label[0]
    # Columns of wine differ a thousandfold in size, and neighbours are sought where that does not matter.
    assert predicted.scaled


@settings(max_examples=8, deadline=None)
@given(n=st.integers(0, 40), d=st.integers(1, 4), classes=st.integers(1, 6), seed=st.integers(0, 999))
def test_whatever_the_data(n, d, classes, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n, d)).astype(np.float32) * 10.0 ** rng.integers(-6, 7, d).astype(np.float32)
    label = rng.integers(-1, classes, n)
    fit = (label >= 0) & (rng.random(n) < 0.8)
    found = out_of_fold(x, label, fit, classes, folds=3)
    assert found.probability.shape == (n, classes)
    assert (found.probability >= 0).all()
    np.testing.assert_allclose(found.probability.sum(axis=1), 1, atol=1e-4)
    assert ((found.neighbours >= -1) & (found.neighbours < max(n, 1))).all()


@pytest.mark.parametrize(
    "x",
    [np.zeros((60, 3)), np.repeat(np.eye(3), 20, axis=0) * 1e30, np.full((60, 2), 7.0)],
    ids=["zeros", "huge and equal", "constant"],
)
def test_rows_that_are_all_equal_or_huge(x):
    label = np.arange(60) % 3
    found = out_of_fold(x.astype(np.float32), label, np.ones(60, bool), 3)
    assert np.isfinite(found.probability).all()


def test_two_hundred_classes_with_few_rows_each():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(250), 4)
    x = (rng.normal(size=(250, 16))[label] * 5 + rng.normal(size=(1000, 16))).astype(np.float32)
    found = out_of_fold(x, label, np.ones(1000, bool), 251)
    assert (found.probability.argmax(axis=1) == label).mean() > 0.95
    assert "extra trees" not in found.members


def test_what_cannot_be_learned_from_is_refused():
    x, label, fit = np.zeros((4, 2), np.float32), np.array([0, 1, -1, 0]), np.array([True, True, False, True])
    for more, said in (
        ((x, label, np.ones(4, bool), 2), "no label"),
        ((x, label, fit, 1), "outside"),
        ((x[:3], label, fit, 2), "do not fit"),
        ((np.where(np.eye(4, 2) > 0, np.nan, x), label, fit, 2), "missing or infinite"),
    ):
        with pytest.raises(ValueError, match=said):
            out_of_fold(*more)
    with pytest.raises(ValueError, match="folds"):
        out_of_fold(x, label, fit, 2, folds=1)


def test_folds_have_the_same_share_of_every_class():
    rng = np.random.default_rng(0)
    label, fit = rng.integers(0, 7, 500), rng.random(500) < 0.7
    fold = stratified(label, fit, 5)
    assert (fold[~fit] == -1).all()
    for some in (fit, *(fit & (label == k) for k in range(7))):
        count = np.bincount(fold[some], minlength=5)
        assert count.max() - count.min() <= 1


def test_shrinkage_lda_is_that_of_the_field():
    x, label = load_digits(return_X_y=True)
    z = standardised(x.astype(np.float32))
    seen = moments(z[:1200], label[:1200], 10)
    mine = discriminant(seen, float(spread(z[:1200], label[:1200], seen).mean())).probability(z[1200:])
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(z[:1200], label[:1200])
    assert (mine.argmax(axis=1) == theirs.predict(z[1200:])).mean() > 0.97
    assert (mine.argmax(axis=1) == label[1200:]).mean() >= theirs.score(z[1200:], label[1200:]) - 0.01
    # What a fold knows is what all know less what the fold held.
    part = moments(z[:300], label[:300], 10)
    rest = seen - part
    direct = moments(z[300:1200], label[300:1200], 10)
    np.testing.assert_allclose(rest.gram, direct.gram, atol=1e-6 * np.abs(direct.gram).max())


def test_columns_are_scaled_whatever_is_in_them():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(5, 2, 1000), np.full(1000, 3e8), rng.random(1000) < 0.004, rng.normal(size=1000)])
    x[0, 3] = 1e30
    z = standardised(x.astype(np.float32))
    assert np.isfinite(z).all()
    assert np.abs(z).max() <= 10
    assert z[:, 0].std() == pytest.approx(1, abs=0.1)
    assert z[1:, 3].std() == pytest.approx(1, abs=0.1)
    assert (z[:, 1] == 0).all()
    assert z[:, 2].max() > 5


def test_hashes_and_samples():
    x = np.array([[0.0, 1], [-0.0, 1], [1, 0], [2, 3]], np.float32)
    h = hashes(x, 0)
    assert h[0] == h[1]
    assert len(set(h.tolist())) == 3
    label = np.repeat([0, 1, 2], [900, 95, 5])
    some = sample(np.arange(1000), label, 100)
    assert np.bincount(label[some]).tolist() == [90, 30, 5]
