"""What a comparison says of predictions."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from datadiet_cli.config.evaluate import Evaluate
from datadiet_cli.methods.metrics_curves import POINTS
from datadiet_cli.report.comparison import table
from datadiet_cli.steps.comparing import Arm, compare, compare_models

CLASSES = ("cat", "dog", "owl")
SEEDS = 4


def probabilities(random, labels, skill, seeds=SEEDS, classes=3):
    """Predictions of several models: the more skill, the surer of the label."""
    raw = random.gamma(1.0, size=(seeds, len(labels), classes))
    raw[:, np.arange(len(labels)), labels] += skill
    return raw / raw.sum(axis=2, keepdims=True)


def arm(name, probability, samples=1000):
    seeds = len(probability)
    return Arm(
        name, probability, np.full(seeds, 1.5), np.full(seeds, 10 * samples), samples, 2000 * samples, 10, samples // 10
    )


@pytest.fixture(scope="module")
def compared():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 3000)
    before = probabilities(random, labels, 4.0)
    after = before.copy()
    arms = [
        arm("after", after, 600),
        arm("before", before, 1000),
        arm("random", probabilities(random, labels, 2.0), 600),
        arm("cost", probabilities(random, labels, 4.0), 1000),
    ]
    return arms, labels, compare(arms, labels, CLASSES, Evaluate())


def test_figures_are_means_over_seeds(compared):
    arms, labels, block = compared
    for one in arms:
        found = block["arms"][one.name]
        accuracy = [sk.accuracy_score(labels, said.argmax(axis=1)) for said in one.probability]
        f1 = [sk.f1_score(labels, said.argmax(axis=1), average="macro") for said in one.probability]
        assert found["metrics"]["accuracy"]["by_seed"] == pytest.approx(accuracy, abs=1e-12)
        assert found["metrics"]["macro_f1"]["mean"] == pytest.approx(np.mean(f1), abs=1e-12)
        assert found["metrics"]["accuracy"]["lower"] < np.mean(accuracy) < found["metrics"]["accuracy"]["upper"]
        assert np.sum(found["confusion"]) == SEEDS * len(labels)
        recalls = [sk.recall_score(labels, said.argmax(axis=1), average=None) for said in one.probability]
        assert found["per_class"]["recall"] == pytest.approx(np.mean(recalls, axis=0), abs=1e-12)
        for k, curve in enumerate(found["roc"]):
            area = sk.roc_auc_score(labels == k, one.probability[:, :, k].mean(axis=0))
            assert curve["area"] == pytest.approx(area, abs=1e-12)
            assert np.trapezoid(curve["true_positives"], curve["false_positives"]) == pytest.approx(area, abs=1e-3)
            assert len(curve["true_positives"]) <= POINTS
        mean = found["roc_curve"]
        assert np.trapezoid(mean["tpr"], mean["fpr"]) == pytest.approx(found["metrics"]["roc_auc"]["mean"], abs=5e-3)
    json.dumps(block, allow_nan=False)


def test_the_verdict_and_what_the_controls_say(compared):
    block = compared[2]
    assert block["verdict"]["noninferior"]
    assert block["words"] == "at most 0.1 points lost (95 %)"
    assert block["figures"] == {
        "accuracy": block["arms"]["after"]["metrics"]["accuracy"]["mean"],
        "accuracy_lost": 0.0,
        "accuracy_drop": block["verdict"]["loss_bound"],
    }
    against = block["differences"]
    assert against["before"]["test_samples"] == {"mean": 0.0, "lower": 0.0, "upper": 0.0}
    assert against["random"]["words"].startswith("better than random samples, as many (+")
    assert against["cost"]["words"].startswith("not told apart from before, trained for as many steps (")
    gap = block["arms"]["after"]["per_class"]["recall"][1] - block["arms"]["random"]["per_class"]["recall"][1]
    assert against["random"]["per_class"]["recall"][1] == pytest.approx(gap)


def test_the_table_is_narrow_and_has_every_arm(compared):
    arms, _, block = compared
    lines = table(block, {one.name: one.seconds for one in arms})
    assert lines[0].split() == ["before", "after", "random", "cost"]
    assert [line[:16].strip() for line in lines[1:9]] == [
        "accuracy", "macro F1", "worst class", "ROC-AUC", "samples", "bytes", "samples seen", "training s",
    ]  # fmt: skip
    assert lines[5].split() == ["samples", "1,000", "600", "600", "1,000"]
    assert lines[6].split() == ["bytes", "2.0", "MB", "1.2", "MB", "1.2", "MB", "2.0", "MB"]
    assert all(len(line) <= 100 for line in lines)
    assert lines[9].startswith("after against random: better than random samples, as many")


def test_neither_the_order_of_samples_nor_of_arms_changes_anything(compared):
    arms, labels, block = compared
    other = np.random.default_rng(1).permutation(len(labels))
    turned = [Arm(**{**vars(one), "probability": one.probability[:, other]}) for one in reversed(arms)]
    again = compare(turned, labels[other], CLASSES, Evaluate())
    for name, difference in block["differences"].items():
        assert again["differences"][name]["words"] == difference["words"]
        assert again["differences"][name]["test_samples"] == pytest.approx(difference["test_samples"], abs=1e-12)


def test_a_loss_is_told():
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 3000)
    arms = [
        arm("before", probabilities(random, labels, 4.0)),
        arm("after", probabilities(random, labels, 2.0)),
    ]
    block = compare(arms, labels, CLASSES, Evaluate())
    assert block["verdict"]["inferior"]
    assert block["words"].startswith("worse: ")
    assert block["figures"]["accuracy_drop"] > block["figures"]["accuracy_lost"] > 0.05


def test_classes_without_test_samples_are_left_out_and_named():
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, 200)
    arms = [arm(name, probabilities(random, labels, 3.0)) for name in ("before", "after")]
    block = compare(arms, labels, CLASSES, Evaluate())
    assert block["notes"] == [
        "no test samples of class owl: left out of ROC-AUC, balanced accuracy and the worst class"
    ]
    assert block["arms"]["after"]["per_class"]["roc_auc"][2] is None
    assert [curve["class"] for curve in block["arms"]["after"]["roc"]] == ["cat", "dog"]
    json.dumps(block, allow_nan=False)


def test_numbers_are_compared_by_r2():
    random = np.random.default_rng(5)
    values = random.normal(size=2000)
    said = values + 0.3 * random.normal(size=(SEEDS, 2000))
    worse = said + 0.3 * random.normal(size=(SEEDS, 2000))
    block = compare([arm("before", said), arm("after", worse)], values, (), Evaluate())
    expected = [sk.r2_score(values, two) - sk.r2_score(values, one) for one, two in zip(said, worse, strict=True)]
    assert block["differences"]["before"]["metrics"]["r2"]["mean"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert block["verdict"]["difference"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert block["words"].startswith("worse: 0.0")
    assert " of R2 lost on average" in block["words"]
    assert [line[:16].strip() for line in table(block)[1:4]] == ["R2", "MAE", "RMSE"]
    json.dumps(block, allow_nan=False)


def test_two_models_are_compared_by_their_test_samples():
    random = np.random.default_rng(6)
    labels = random.integers(0, 2, 1000)
    before, after = (probabilities(random, labels, 3.0, seeds=1, classes=2) for _ in range(2))
    costs = {"after": {"parameters": 10, "macs": 20}, "before": {"parameters": 40, "macs": 90}}
    latency = {
        name: [{"batch": batch, "cpu": batch * time, "wall": 1.0} for batch in (1, 64)]
        for name, time in (("after", 1e-4), ("before", 3e-4))
    }
    block = compare_models(Arm("after", after), Arm("before", before), labels, ("ham", "spam"), Evaluate(), costs=costs)
    right = [said[0].argmax(axis=1) == labels for said in (before, after)]
    assert block["mcnemar"]["only_after"] == (right[1] & ~right[0]).sum()
    assert block["mcnemar"]["only_before"] == (right[0] & ~right[1]).sum()
    assert block["arms"]["after"]["metrics"]["accuracy"]["lower"] is None
    assert block["arms"]["after"]["cost"]["macs"] == 20
    assert [curve["class"] for curve in block["arms"]["after"]["roc"]] == ["spam"]
    lower, upper = (block["verdict"][name] for name in ("lower", "upper"))
    assert block["differences"]["before"]["test_samples"]["lower"] == pytest.approx(lower, abs=0.004)
    assert block["differences"]["before"]["test_samples"]["upper"] == pytest.approx(upper, abs=0.004)
    lines = table(block, latency=latency)
    assert lines[0].split() == ["before", "after"]
    assert lines[-1].split() == ["batch", "of", "64", "19.2", "ms", "CPU", "6.4", "ms", "CPU"]
    json.dumps(block, allow_nan=False)


@pytest.mark.parametrize(
    "arms",
    [
        [("after", (2, 5, 3))],
        [("after", (2, 5, 3)), ("after", (2, 5, 3)), ("before", (2, 5, 3))],
        [("after", (2, 5, 3)), ("before", (3, 5, 3))],
        [("after", (2, 4, 3)), ("before", (2, 5, 3))],
        [("after", (2, 5, 2)), ("before", (2, 5, 3))],
    ],
)
def test_what_does_not_fit_is_refused(arms):
    made = [Arm(name, np.full(shape, 1 / shape[2])) for name, shape in arms]
    with pytest.raises(ValueError, match=r"arms must be|predictions of"):
        compare(made, np.array([0, 1, 2, 0, 1]), CLASSES, Evaluate())


def test_a_constant_test_target_is_refused():
    same = [Arm(name, np.zeros((2, 5))) for name in ("after", "before")]
    with pytest.raises(ValueError, match="all values to predict are equal"):
        compare(same, np.ones(5), (), Evaluate())


def test_a_rare_class_that_is_lost_is_told_whatever_the_accuracy():
    """A hundredth of the samples: without them the accuracy falls by less than the point that may be lost."""
    labels = np.array([1] * 30 + [0] * 4970)
    sure = np.eye(2)[labels][None].repeat(SEEDS, axis=0)
    blind = sure.copy()
    blind[:, :30] = [1.0, 0.0]
    arms = [arm("after", blind), arm("before", sure)]
    block = compare(arms, labels, ("common", "rare"), Evaluate())
    assert block["verdict"]["noninferior"]
    assert block["notes"] == [
        "recall lost in single classes, whatever the accuracy of all: rare 100.0 points (30 test samples)"
    ]
    assert compare([arm("after", sure), arm("before", sure)], labels, ("common", "rare"), Evaluate())["notes"] == []


def test_no_class_is_told_that_is_worse_by_chance():
    """Of a hundred classes of the same skill some are worse by several points."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 100, 5000)
    names = tuple(f"c{k:02d}" for k in range(100))
    arms = [arm(name, probabilities(random, labels, 6.0, classes=100)) for name in ("after", "before")]
    assert compare(arms, labels, names, Evaluate(bootstrap=100))["notes"] == []
