"""The comparison of kinds of models: figures of each, paired differences, and a verdict."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datadiet_cli.methods import metrics
from datadiet_cli.methods.intervals import bootstrap, paired
from datadiet_cli.methods.noninferiority import Unit, Verdict, amount, percent, r2_scores, verdict
from datadiet_cli.steps.comparing.arms import Arm, Truth, check, figures_of

if TYPE_CHECKING:
    from datadiet_cli.config.evaluate import Evaluate

CONTROLS: Mapping[str, str] = {
    "random": "random samples, as many",
    "cost": "before, trained for as many steps",
}
"""What each control is, in words."""


def compare(
    arms: Sequence[Arm],
    truth: Truth,
    classes: Sequence[str],
    settings: "Evaluate",
    seed: int = 0,
    *,
    controls: Mapping[str, str] = CONTROLS,
) -> dict[str, Any]:
    """Compare ``after`` with every other arm, seed by seed and test sample by test sample.

    Args:
        arms: ``after``, ``before`` and any controls, of as many seeds each, paired by position.
        truth: (n,) int64 classes from 0 on, or float64 numbers, not all equal.
        classes: names of the classes; empty for numbers.
        settings: margin, confidence and resamplings.
        seed: of the bootstrap.
        controls: what each control is, in words, by the name of its arm.

    Returns:
        JSON values, the same for the same predictions.

        - ``task`` (``classification`` or ``regression``), ``score`` (``accuracy`` or ``r2``), ``seeds``,
          ``test_samples``, ``confidence``, ``max_accuracy_drop``.
        - ``arms`` by name: ``metrics`` (name -> ``mean``, ``lower``, ``upper``, ``by_seed``; None where it is not
          defined), ``cost``, and for classes ``per_class``, ``confusion`` and ``confused`` (of all seeds together),
          ``roc`` (of the mean probability, by class), ``roc_curve`` (the mean curve, where an area is defined).
        - ``differences``, after less the other arm, by its name: ``metrics`` (paired over seeds), ``test_samples``
          (the interval of the bootstrap), ``verdict``, ``words``, and for classes ``per_class``.
        - ``verdict`` of after against before, and its ``words``.
        - ``figures`` that gates are held against: ``accuracy`` of after, or R2; ``accuracy_lost`` on average;
          ``accuracy_drop``: no more than this is lost, with the confidence.
        - ``notes``.

    Raises:
        ValueError: arms do not fit each other or the truth, predictions are not finite, or there is no R2.
    """
    check(arms, truth, classes)
    found = {arm.name: figures_of(arm, truth, classes, settings.confidence) for arm in arms}
    scores = {arm.name: _scores(arm, truth, classes) for arm in arms}
    unit: Unit = "points" if classes else "R2"
    differences = {
        arm.name: {
            "metrics": _paired(found[arm.name][1], found["after"][1], settings.confidence),
            **_by_class(found[arm.name][0], found["after"][0]),
            **_judged(controls.get(arm.name, arm.name), scores[arm.name], scores["after"], settings, unit, seed),
        }
        for arm in arms
        if arm.name != "after"
    }
    score = "accuracy" if classes else "r2"
    headline = differences["before"]["verdict"]
    notes = _notes(truth, classes) + _worse_classes(scores["before"], scores["after"], truth, classes, settings)
    return {
        "task": "classification" if classes else "regression",
        "score": score,
        "seeds": arms[0].seeds,
        "test_samples": len(truth),
        "confidence": settings.confidence,
        "max_accuracy_drop": settings.max_accuracy_drop,
        "arms": {name: block for name, (block, _) in found.items()},
        "differences": differences,
        "verdict": headline,
        "words": headline["words"],
        "figures": {
            "accuracy": found["after"][0]["metrics"][score]["mean"],
            "accuracy_lost": 0.0 - headline["difference"],
            "accuracy_drop": headline["loss_bound"],
        },
        "notes": notes,
    }


def compare_models(
    after: Arm,
    before: Arm,
    truth: Truth,
    classes: Sequence[str],
    settings: "Evaluate",
    *,
    costs: Mapping[str, Mapping[str, Any]],
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two models that were given: what may be different is the test data only.

    Args:
        after: one model's predictions, S = 1, by the name of ``after``.
        before: the other's, by the name of ``before``.
        truth: as `compare` takes it.
        classes: names of the classes; empty for numbers.
        settings: margin, confidence and resamplings.
        costs: by name, JSON values that are the same in each run: ``parameters``, ``nonzero``, ``macs``, ``bytes``
            and ``compressed``.
        seed: of the bootstrap.

    Returns:
        as `compare`, with `costs` under each arm's ``cost``; intervals over seeds are None. For classes ``mcnemar`` has
        how many samples only ``after`` and only ``before`` had right, and the exact two-sided p-value of these being
        alike.

    Raises:
        ValueError: as `compare`, or there are several seeds.
    """
    if after.seeds != 1 or before.seeds != 1:
        raise ValueError("models that are given are one each")
    block = compare([before, after], truth, classes, settings, seed)
    for name in ("before", "after"):
        block["arms"][name]["cost"] |= costs.get(name, {})
    if classes:
        block["mcnemar"] = _mcnemar(_scores(before, truth, classes)[0], _scores(after, truth, classes)[0])
    return block


def _scores(arm: Arm, truth: Truth, classes: Sequence[str]) -> NDArray[np.float64]:
    """(S, n) correctness, or what makes up R2."""
    if not classes:
        return r2_scores(truth, arm.probability)
    return np.stack([metrics.likeliest(said) == truth for said in arm.probability]).astype(np.float64)


def _judged(
    name: str, other: NDArray[np.float64], after: NDArray[np.float64], settings: "Evaluate", unit: Unit, seed: int
) -> dict[str, Any]:
    """What is lost or gained against another arm, by seeds and test samples."""
    said = verdict(other, after, settings.max_accuracy_drop, settings.confidence, unit=unit)
    resampled = bootstrap((after - other).mean(axis=0), settings.bootstrap, settings.confidence, seed)
    return {
        "test_samples": resampled.as_json(),
        "verdict": said.as_json(),
        "words": said.words if name == "before" else _against_control(said, name, unit),
    }


def _paired(
    other: Mapping[str, list[float | None]], after: Mapping[str, list[float | None]], confidence: float
) -> dict[str, Any]:
    """After less the other, figure by figure."""
    found: dict[str, Any] = {}
    for name in after:
        if None in other[name] or None in after[name]:
            found[name] = None
            continue
        one, two = (np.array(values, dtype=np.float64) for values in (other[name], after[name]))
        if len(one) == 1:
            found[name] = {"mean": float(two[0] - one[0]), "lower": None, "upper": None}
        else:
            found[name] = paired(one, two, confidence).as_json()
    return found


def _by_class(other: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What became of the recall and the F1 of each class."""
    if "per_class" not in after:
        return {}
    one, two = other["per_class"], after["per_class"]
    return {
        "per_class": {
            "class": two["class"],
            "samples": two["samples"],
            **{name: np.subtract(two[name], one[name]).tolist() for name in ("recall", "f1")},
        }
    }


def _against_control(said: Verdict, control: str, unit: Unit) -> str:
    """Whether after is better than a control, by the two-sided interval."""
    ends = [_signed(end, unit).split()[0] for end in (said.lower, said.upper)]
    where = f"{_signed(said.difference, unit)}, {ends[0]} to {ends[1]}"
    how = "better than" if said.lower > 0 else "worse than" if said.upper < 0 else "not told apart from"
    return f"{how} {control} ({where}, {percent(said.confidence)})"


def _signed(value: float, unit: Unit) -> str:
    shown = amount(abs(value), unit)
    # Minus nothing is nothing.
    return shown if shown == amount(0, unit) else f"{'-' if value < 0 else '+'}{shown}"


def _mcnemar(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, Any]:
    """The exact test of McNemar (Psychometrika 12, 1947) of the samples that only one model has right."""
    from scipy.stats import binomtest

    gained, lost = int((after > before).sum()), int((before > after).sum())
    chance = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return {"only_after": gained, "only_before": lost, "p_value": chance}


def _notes(truth: Truth, classes: Sequence[str]) -> list[str]:
    """What a reader should know of the test data."""
    if not classes:
        return []
    count = np.bincount(truth.astype(np.int64), minlength=len(classes))
    absent = [classes[k] for k in np.flatnonzero(count == 0).tolist()]
    if not absent:
        return []
    named = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
    return [f"no test samples of class {named}: left out of ROC-AUC, balanced accuracy and the worst class"]


def _worse_classes(
    before: NDArray[np.float64], after: NDArray[np.float64], truth: Truth, classes: Sequence[str], settings: "Evaluate"
) -> list[str]:
    """Classes that surely lost more recall than may be lost: of a rare one the accuracy of all hardly tells.

    So many classes are looked at that one would seem worse by chance; each is held to a confidence that makes it right
    for all of them at once (Bonferroni).
    """
    if not classes:
        return []
    confidence = 1 - (1 - settings.confidence) / len(classes)
    order = np.argsort(truth, kind="stable")
    bounds = np.searchsorted(truth[order], np.arange(len(classes) + 1))
    found = []
    for k, name in enumerate(classes):
        rows = order[bounds[k] : bounds[k + 1]]
        one, other = before[:, rows], after[:, rows]
        if len(rows) and one.mean() - other.mean() > settings.max_accuracy_drop:
            said = verdict(one, other, settings.max_accuracy_drop, confidence)
            if said.inferior:
                lost = amount(-said.difference, "points")
                found.append((said.difference, f"{name} {lost} ({len(rows):,} test samples)"))
    if not found:
        return []
    told = ", ".join(words for _, words in sorted(found)[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return [f"recall lost in single classes, whatever the accuracy of all: {told}{more}"]
