"""Scores out of a record: each formula by hand or by brute force, and what all of them have in common."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadiet_cli.methods.samples import epochs
from datadiet_cli.methods.samples.dynamics import (
    DYNAMICS,
    When,
    averaged,
    confidence,
    dual_epochs,
    early_epoch,
    hardness,
)

NAN = np.nan
WINDOW = 4


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def record(seed, total, n, absent=0.0, classes=3):
    """What a record holds of made-up logits; a share of the cells is absent."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    logits = rng.normal(size=(total, n, classes)) * 2 + 2 * np.eye(classes)[label] * rng.uniform(-1, 3, (n, 1))
    p, own = softmax(logits), np.eye(classes, dtype=bool)[label]
    margin = logits[:, own] - np.where(own, -np.inf, logits).max(axis=2)
    moved = np.concatenate([np.full((1, n), NAN), (p[1:] * np.abs(np.log(p[1:] / p[:-1]))).sum(axis=2)])
    held = {
        "probability": p[:, own],
        "margin": margin,
        "loss": -np.log(p[:, own]),
        "error": np.linalg.norm(p - own, axis=2),
        "entropy": -(p * np.log(p)).sum(axis=2),
        "gradient": np.linalg.norm(p - own, axis=2) * rng.uniform(1, 3, n),
        "divergence": moved,
    }
    gone = rng.random((total, n)) < absent
    held = {name: np.where(gone, NAN, values).astype(np.float16) for name, values in held.items()}
    return {**held, "correct": (margin > 0) & ~gone}


def score(name, held, **when):
    return DYNAMICS[name].run(held, When(**when))


def wide(values):
    return values.astype(np.float64)


def test_scores_of_one_epoch_look_at_their_own_or_the_one_asked_for():
    held = record(0, 25, 6)
    early = {"el2n": "error", "grand": "gradient"}
    for name, quantity in {**early, "entropy": "entropy", "loss": "loss"}.items():
        own = held[quantity][2 if name in early else 24]
        assert score(name, held).tolist() == own.tolist()
        assert score(name, held, epoch=11).tolist() == held[quantity][11].tolist()
    assert score("margin", held).tolist() == (-held["margin"][24]).tolist()


def test_early_epochs():
    assert [early_epoch(total) for total in (1, 2, 3, 20, 21, 30, 50, 200)] == [0, 1, 1, 1, 2, 2, 4, 19]
    assert [dual_epochs(total, 10) for total in (11, 20, 50, 200)] == [11, 11, 15, 30]


def test_where_a_sample_is_absent_the_epoch_before_speaks_and_else_the_next():
    error = np.array([[0.1, NAN, NAN, NAN], [0.2, 0.5, NAN, NAN], [NAN, NAN, NAN, NAN], [0.4, 0.7, 0.9, NAN]])
    assert score("el2n", {"error": error}, epoch=2).tolist() == pytest.approx([0.2, 0.5, 0.9, NAN], nan_ok=True)


def test_forgetting_counts_by_hand():
    histories = {
        "111111": 0,  # learned at once
        "000001": 0,
        "101010": 3,
        "110011": 1,
        "000000": 6,  # never learned: as many as there are epochs
        "1-0-1-": 1,  # absent epochs are no mistakes
        "1-----": 0,
        "-0-0--": 6,
        "------": NAN,
    }
    marks = np.array([list(history) for history in histories]).T
    margin = np.where(marks == "-", NAN, np.where(marks == "1", 1.5, -2.0))
    found = score("forgetting", {"correct": marks == "1", "margin": margin})
    assert np.floor(found).tolist() == pytest.approx(list(histories.values()), nan_ok=True)


def test_ties_of_forgetting_go_by_the_mean_margin():
    margin = np.array([[-65504, -3, -2.9, 0, 65504.0]] * 3)
    for right, count in ((margin > 1e6, 3), (margin < 1e6, 0)):
        found = score("forgetting", {"correct": right, "margin": margin})
        assert (np.diff(found) < 0).all()
        assert np.floor(found).tolist() == [count] * 5


def test_means_and_spreads_over_epochs():
    held = {
        "margin": np.array([[1.0, -2], [3, NAN], [5, -4]]),
        "probability": np.array([[0.2, 0.5], [0.5, NAN], [0.8, 0.5]]),
    }
    assert score("aum", held).tolist() == [-3, 3]
    assert hardness(held).tolist() == [-3, 3]
    assert score("data-map", held).tolist() == pytest.approx([np.std([0.2, 0.5, 0.8]), 0])
    assert confidence(held).tolist() == pytest.approx([0.5, 0.5])
    assert confidence(held, 2).tolist() == pytest.approx([0.35, 0.5])


def test_a_regression_has_scores_of_its_errors():
    held = {"loss": np.array([[4.0, 1], [1, 9]]), "error": np.array([[2.0, 1], [1, 3]])}
    found = {name: dynamic.run(held, When()).tolist() for name, dynamic in DYNAMICS.items() if dynamic.numbers}
    assert found == {"el2n": [1, 3], "aum": [1.5, 2], "loss": [1, 9]}
    assert hardness(held).tolist() == [1.5, 2]
    for name, dynamic in DYNAMICS.items():
        if not dynamic.numbers:
            with pytest.raises(ValueError, match=f"{name} needs .*, which the record does not have"):
                dynamic.run(held, When())


def by_windows(values, of):
    return np.array([of(values[k : k + WINDOW]) for k in range(len(values) - WINDOW + 1)])


def slow(name, held):
    p = wide(held["probability"])
    if name == "tdds":
        moved = wide(held["divergence"])
        parts = by_windows(moved, lambda some: np.linalg.norm(some[1:] - some[1:].mean(axis=0), axis=0))
        weights = 0.9 * 0.1 ** np.arange(len(parts))[::-1]
        return (weights[:, None] * parts).sum(axis=0) / weights.sum()
    if name == "dual":
        p = p[: max(-(-3 * len(p) // 10), WINDOW + 1)]
        return by_windows(p, lambda some: some.std(axis=0, ddof=1) * (1 - some.mean(axis=0))).mean(axis=0)
    return by_windows(p, lambda some: some.std(axis=0, ddof=1)).mean(axis=0)


@pytest.mark.parametrize("name", ["dyn-unc", "tdds", "dual"])
@pytest.mark.parametrize("total", [5, 12, 30])
def test_windows_by_brute_force(name, total):
    held = record(total, total, 40)
    assert score(name, held, window=WINDOW) == pytest.approx(slow(name, held), rel=1e-9)


@pytest.mark.parametrize("name", ["dyn-unc", "dual"])
def test_windows_go_by_the_epochs_that_a_sample_took_part_in(name):
    # The last is seen twice, but in no window.
    p = np.array([[0.1, NAN, 0.3], [NAN, NAN, NAN], [0.3, NAN, NAN], [0.7, NAN, NAN], [0.9, 0.4, NAN], [NAN, NAN, 0.5]])
    windows = [[0.1, 0.3], [0.3, 0.7], [0.3, 0.7, 0.9], [0.7, 0.9]][: 4 if name == "dyn-unc" else 2]
    worth = [np.std(some, ddof=1) * (1 if name == "dyn-unc" else 1 - np.mean(some)) for some in windows]
    assert score(name, {"probability": p}, window=3).tolist() == pytest.approx([np.mean(worth), NAN, NAN], nan_ok=True)


def test_a_missing_divergence_leaves_tdds_on_its_scale():
    moved = np.array([[NAN] * 2, [1.0, 1], [2, NAN], [3, 3], [NAN, NAN], [2, 2]])
    # Of (1, 2, 3), (2, 3) and (3, 2); and of (1, 3), 3 alone, and (3, 2): two of three count half as much again.
    parts = np.sqrt([[2, 0.5 * 1.5, 0.5 * 1.5], [2 * 1.5, NAN, 0.5 * 1.5]])
    weights = np.array([0.01, 0.1, 1])
    wanted = [np.nansum(weights * part) / weights[~np.isnan(part)].sum() for part in parts]
    assert score("tdds", {"divergence": moved}, window=4).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("name", DYNAMICS)
def test_contract(name, monkeypatch):
    dynamic, total, n = DYNAMICS[name], 9, 60
    held = record(3, total, n, absent=0.05)
    out = np.array([0, 31, 59])
    for quantity, values in held.items():
        values[:, out] = False if quantity == "correct" else NAN
    kept = {quantity: values.copy() for quantity, values in held.items()}
    # What is not declared is not read.
    own = {quantity: held[quantity] for quantity in dynamic.quantities}
    found = dynamic.run(own, When(window=WINDOW))
    assert (found.dtype, found.shape) == (np.float64, (n,))
    assert np.flatnonzero(~np.isfinite(found)).tolist() == out.tolist()
    assert len(np.unique(found[np.isfinite(found)])) > n / 2
    assert all(np.array_equal(held[quantity], kept[quantity], equal_nan=quantity != "correct") for quantity in held)

    turn = np.random.default_rng(1).permutation(n)
    monkeypatch.setattr(epochs, "_CELLS", 7 * total)
    turned = dynamic.run({quantity: values[:, turn] for quantity, values in own.items()}, When(window=WINDOW))
    assert np.array_equal(turned, found[turn], equal_nan=True)


@pytest.mark.parametrize("name", DYNAMICS)
def test_samples_that_are_all_alike_or_not_there_score_alike(name):
    same = record(0, WINDOW + 1, 1)
    run = DYNAMICS[name].run
    found = run({quantity: np.repeat(values, 50, axis=1) for quantity, values in same.items()}, When(window=WINDOW))
    assert np.isfinite(found).all()
    assert (found == found[0]).all()
    assert run({quantity: values[:, :0] for quantity, values in same.items()}, When(window=WINDOW)).shape == (0,)
    flat = {quantity: np.repeat(values[1:2], WINDOW + 1, axis=0) for quantity, values in same.items()}
    moved = run(flat, When(window=WINDOW))
    assert moved == 0 if name in ("data-map", "dyn-unc", "tdds", "dual") else np.isfinite(moved)


@pytest.mark.parametrize("name", DYNAMICS)
def test_too_few_epochs_or_no_such_quantity_is_one_clear_line(name):
    dynamic = DYNAMICS[name]
    fewest = dynamic.epochs(WINDOW)
    held = record(1, fewest, 5)
    assert dynamic.run(held, When(window=WINDOW)).shape == (5,)
    short = {quantity: values[:-1] for quantity, values in held.items()}
    with pytest.raises(ValueError, match=f"{name} needs at least {fewest} epochs; the record has {fewest - 1}"):
        dynamic.run(short, When(window=WINDOW))
    for quantity in dynamic.quantities:
        lacking = {other: values for other, values in held.items() if other != quantity}
        with pytest.raises(ValueError, match=f"{name} needs {quantity}, which the record does not have"):
            dynamic.run(lacking, When(window=WINDOW))


def test_an_epoch_that_is_not_there_and_a_window_of_one():
    held = record(1, 6, 5)
    for name in ("el2n", "grand", "entropy", "margin", "loss"):
        for epoch in (6, -1):
            with pytest.raises(ValueError, match=f"{name} cannot look at epoch {epoch + 1}; the record has 6"):
                score(name, held, epoch=epoch)
    with pytest.raises(ValueError, match="at least 2 epochs, not 1"):
        When(window=1)
    with pytest.raises(ValueError, match="tdds needs a window of at least 3"):
        score("tdds", held, window=2)
    with pytest.raises(ValueError, match="1 epoch at least, not 0"):
        confidence(held, 0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(WINDOW + 1, 14), st.floats(0, 1))
def test_no_gap_in_a_record_gives_a_warning_or_an_infinite_score(seed, total, absent):
    held = record(seed, total, 6, absent)
    there = ~np.isnan(held["probability"]).all(axis=0)
    for name, dynamic in DYNAMICS.items():
        found = dynamic.run(held, When(window=WINDOW))
        assert not np.isinf(found).any()
        assert np.isnan(found[~there]).all()
        if dynamic.epochs(WINDOW) == 1 or name == "forgetting":
            assert np.isfinite(found[there]).all()


def test_average_is_over_the_models_that_saw_the_sample():
    found = averaged([np.array([1.0, NAN, NAN]), np.array([3.0, 5.0, NAN])])
    assert found.tolist() == pytest.approx([2, 5, NAN], nan_ok=True)
    for scores in ([], [np.zeros(2), np.zeros(3)]):
        with pytest.raises(ValueError, match="only scores of the same samples"):
            averaged(scores)


def test_harder_samples_score_higher():
    """Wrong labels are among the highest scores, for better or worse."""
    rng = np.random.default_rng(0)
    n, wrong = 200, 20
    learned = np.linspace(0, 3, 12)[:, None] * np.where(np.arange(n) < wrong, -0.4, 1) + rng.normal(0, 0.3, (12, n))
    p = 1 / (1 + np.exp(-learned))
    held = {"probability": p, "margin": learned, "error": np.sqrt(2) * (1 - p), "loss": -np.log(p)}
    held |= {"correct": learned > 0, "gradient": held["error"]}
    for name in ("el2n", "grand", "forgetting", "aum", "margin", "loss"):
        highest = np.argsort(-score(name, held, epoch=11))[:wrong]
        assert (highest < wrong).mean() > 0.9, name
    assert (np.argsort(confidence(held))[:wrong] < wrong).mean() > 0.9
