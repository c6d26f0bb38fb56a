"""Metrics against scikit-learn, on predictions with ties, and with classes that no test sample has."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from datadiet_cli.methods.metrics import MATRIX, classification, regression
from datadiet_cli.methods.metrics_curves import DRAWN, MANY, POINTS, drawn, mean_curve, roc_curve, thinned

EXACT = {"rel": 1e-12, "abs": 1e-12}


def made(seed, n, classes, grid, present):
    """Labels of some of the classes, and probabilities from a coarse grid, so that many are equal."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, min(present, classes), n)
    raw = random.integers(0, grid, (n, classes)) + 1e-3
    raw[np.arange(n), labels] += random.integers(0, grid, n)
    return labels, raw / raw.sum(axis=1, keepdims=True)


def named(classes):
    return [f"class {k}" for k in range(classes)]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    classes=st.integers(1, 6),
    grid=st.integers(1, 50),
    present=st.integers(1, 6),
)
def test_as_scikit_learn_has_it(seed, n, classes, grid, present):
    labels, probability = made(seed, n, classes, grid, present)
    predicted = probability.argmax(axis=1)
    ours = classification(labels, probability, named(classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, about classes without samples
        assert ours["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted), **EXACT)
        assert ours["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted), **EXACT)
        for average in ("macro", "weighted"):
            theirs = sk.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)
            assert [ours[average][name] for name in ("precision", "recall", "f1")] == pytest.approx(theirs[:3], **EXACT)
        theirs = sk.precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0)
        for name, values in zip(("precision", "recall", "f1", "samples"), theirs, strict=True):
            assert ours["per_class"][name] == pytest.approx(values, **EXACT)
        assert ours["confusion"] == sk.confusion_matrix(labels, predicted, labels=range(classes)).tolist()
        if classes > 1:
            assert ours["log_loss"] == pytest.approx(
                sk.log_loss(labels, probability, labels=range(classes)), rel=1e-12, abs=1e-12
            )
            assert ours["brier"] == pytest.approx(
                sk.brier_score_loss(labels, probability, labels=list(range(classes))), **EXACT
            )
    there = np.unique(labels)
    assert ours["worst_class"]["recall"] == min(ours["per_class"]["recall"][k] for k in there)
    assert ours["absent"] == [f"class {k}" for k in range(classes) if k not in there]
    json.dumps(ours, allow_nan=False)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 80),
    classes=st.integers(2, 5),
    grid=st.integers(1, 30),
    single=st.booleans(),
)
def test_areas_as_scikit_learn_has_them(seed, n, classes, grid, single):
    labels, probability = made(seed, n, classes, grid, classes)
    probability = probability.astype(np.float32) if single else probability
    ours = classification(labels, probability, named(classes))
    for k in range(classes):
        own = labels == k
        area, precision = (ours["per_class"][name][k] for name in ("roc_auc", "average_precision"))
        assert area == (pytest.approx(sk.roc_auc_score(own, probability[:, k]), **EXACT) if 0 < own.sum() < n else None)
        assert precision == (
            pytest.approx(sk.average_precision_score(own, probability[:, k]), **EXACT) if own.any() else None
        )
    if classes > 2 and not single and len(np.unique(labels)) == classes:
        for average in ("macro", "weighted"):
            theirs = sk.roc_auc_score(labels, probability, multi_class="ovr", average=average)
            assert ours[average]["roc_auc"] == pytest.approx(theirs, **EXACT)


def test_with_two_classes_the_last_is_the_positive_one():
    labels = np.array([0, 0, 1, 1, 1])
    score = np.array([0.1, 0.6, 0.35, 0.8, 0.9])
    ours = classification(labels, np.column_stack([1 - score, score]), ["ham", "spam"])
    assert ours["positive"] == "spam"
    assert ours["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, score), **EXACT)
    assert ours["average_precision"] == pytest.approx(sk.average_precision_score(labels, score), **EXACT)
    assert ours["confused"] == [["ham", "spam", 1], ["spam", "ham", 1]]


def test_calibration_error_by_hand():
    """Confidences .9 (right, right, wrong) and .6 (right, wrong): gaps of .2333 and .1, weighted 3 : 2."""
    labels = np.array([0, 0, 1, 0, 1])
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    expected = (3 * abs(2 / 3 - 0.9) + 2 * abs(1 / 2 - 0.6)) / 5
    assert classification(labels, probability, ["a", "b"])["calibration_error"] == pytest.approx(expected)


def test_many_classes_have_no_matrix_but_the_pairs_confused_most():
    classes = MATRIX + 1
    labels = np.repeat(np.arange(classes), 3)
    predicted = labels.copy()
    predicted[labels == 7] = 9
    ours = classification(labels, np.eye(classes, dtype=np.float32)[predicted], named(classes))
    assert ours["confusion"] is None
    assert ours["confused"] == [["class 7", "class 9", 3]]
    assert ours["worst_class"] == {"name": "class 7", "recall": 0.0}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 3000), digits=st.integers(0, 6), share=st.floats(0.01, 0.99))
def test_curves_have_the_area_whole_and_thinned(seed, n, digits, share):
    random = np.random.default_rng(seed)
    positive = random.random(n) < share
    positive[:2] = True, False
    score = np.round(random.random(n) + positive * random.random(), digits)
    curve = roc_curve(positive, score)
    area = sk.roc_auc_score(positive, score)
    assert curve.area == pytest.approx(area, **EXACT)
    few = thinned(curve)
    assert len(few.thresholds) <= POINTS
    assert few.area == pytest.approx(area, abs=1e-3)
    for one in (curve, few):
        assert (one.false_positives[0], one.true_positives[0]) == (0, 0)
        assert (one.false_positives[-1], one.true_positives[-1]) == (1, 1)
        assert (np.diff(one.false_positives) >= 0).all()
        assert (np.diff(one.true_positives) >= 0).all()
        assert (np.diff(one.thresholds) < 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 300), classes=st.integers(2, 5), models=st.integers(1, 3),
       digits=st.integers(0, 6))  # fmt: skip
def test_a_mean_curve_is_the_mean_of_scikit_learn_s(seed, n, classes, models, digits):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    labels[:2] = 0, 1
    said = [np.round(random.random((n, classes)) + 0.3 * np.eye(classes)[labels], digits) for _ in range(models)]
    chosen = [1] if classes == 2 else [k for k in range(classes) if (labels == k).any()]
    curve = mean_curve(labels, said, range(classes) if classes > 2 else [1])
    each = [sk.roc_curve(labels == k, one[:, k], drop_intermediate=False)[:2] for one in said for k in chosen]
    assert curve.area == pytest.approx(np.mean([np.trapezoid(y, x) for x, y in each]), **EXACT)
    place = random.random(50)
    expected = np.mean([np.interp(place, x, y) for x, y in each], axis=0)
    assert np.interp(place, curve.false_positives, curve.true_positives) == pytest.approx(expected, abs=1e-9)
    few = drawn(labels, said, named(classes))
    assert len(few["fpr"]) == len(few["tpr"]) <= DRAWN
    assert [few["fpr"][0], few["tpr"][0], few["fpr"][-1], few["tpr"][-1]] == [0, 0, 1, 1]
    assert (np.diff(few["fpr"]) >= 0).all()
    assert (np.diff(few["tpr"]) >= 0).all()
    assert np.trapezoid(few["tpr"], few["fpr"]) == pytest.approx(curve.area, abs=5e-3)
    assert few["of"] == ("class class 1" if classes == 2 else "macro average, one class against the rest")


@pytest.mark.parametrize(("labels", "classes"), [([0, 0, 0], 1), ([1, 1, 1], 2), ([2, 2, 2], 3), ([0, 1], MANY + 1)])
def test_without_an_area_there_is_no_curve(labels, classes):
    assert drawn(np.array(labels), [np.full((len(labels), classes), 1 / classes)], named(classes)) is None


@pytest.mark.parametrize("stairs", [150, 199, 200, 201, 400])
def test_stairs_as_fine_as_the_points_keep_their_area(stairs):
    positive = np.tile([True, False], stairs)
    curve = roc_curve(positive, np.arange(2.0 * stairs, 0, -1))
    assert thinned(curve).area == pytest.approx(curve.area, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 50), spread=st.sampled_from([0.0, 1.0, 1e6]))
def test_regression_as_scikit_learn_has_it(seed, n, spread):
    random = np.random.default_rng(seed)
    values = 3 + spread * random.normal(size=n)
    predicted = values + random.normal(size=n)
    ours = regression(values, predicted)
    assert ours["r2"] == pytest.approx(sk.r2_score(values, predicted), **EXACT)
    assert ours["mae"] == pytest.approx(sk.mean_absolute_error(values, predicted), **EXACT)
    assert ours["rmse"] == pytest.approx(sk.root_mean_squared_error(values, predicted), **EXACT)


def test_one_value_has_no_r2():
    assert regression([1.0], [3.0]) == {"r2": None, "mae": 2.0, "rmse": 2.0}


@pytest.mark.parametrize(
    ("labels", "probability"),
    [
        ([], np.zeros((0, 2))),
        ([0, 2], np.full((2, 2), 0.5)),
        ([0, -1], np.full((2, 2), 0.5)),
        ([0.0, 1.0], np.full((2, 2), 0.5)),
        ([0, 1], np.full((2, 3), 1 / 3)),
        ([0, 1], np.full((2, 2), np.nan)),
        ([0, 1], np.array([[0.5, 0.5], [0.5, 0.7]])),
        ([0, 1], np.array([[1.5, -0.5], [0.5, 0.5]])),
    ],
)
def test_what_is_no_classification_is_refused(labels, probability):
    with pytest.raises(ValueError, match=r"samples|labels|probabilities"):
        classification(np.array(labels), probability, ["a", "b"])


@pytest.mark.parametrize(("values", "predicted"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_what_is_no_regression_is_refused(values, predicted):
    with pytest.raises(ValueError, match="values"):
        regression(values, predicted)
