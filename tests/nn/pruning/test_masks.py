"""Masks of single weights against greedy choices by hand and against PyTorch's own pruning."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from datadiet_cli.nn.pruning.masks import Limits, masks_of, n_of_m, sparsity_of

FREE = Limits(per_row=0)
SHAPES = [(3, 4), (2, 2, 3), (5,), (4, 1), (1, 6), (2, 3, 1, 2)]
SCOPES = ["layer", "global", "isomorphic", "row"]


@st.composite
def networks(draw):
    """Small tensors with many equal scores and some zeros, in any order, with a signature of each."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 3, 1000]))
    scores, weights = {}, {}
    for name, shape in zip(rng.permutation(list("abcdef")).tolist(), shapes, strict=False):
        scores[name] = torch.from_numpy(rng.integers(0, levels, shape).astype(np.float32))
        weights[name] = torch.from_numpy((rng.integers(0, 4, shape) * rng.choice([-1, 1], shape)).astype(np.float32))
    return scores, weights, {name: f"kind {scores[name].ndim > 2}" for name in scores}


limits_of_all_kinds = st.builds(
    Limits, st.sampled_from([0, 0.1, 0.5, 1]), st.sampled_from([0, 0.25, 0.5]), st.integers(0, 2)
)


def greedy(scores, weights, share, scope, signatures, limits):
    """What goes, one weight after the other: the lowest first that no row and no tensor must hold."""
    flat = {name: (scores[name].reshape(-1).tolist(), weights[name].reshape(-1).tolist()) for name in sorted(scores)}
    columns = {name: t.numel() // len(t) if t.ndim > 1 else t.numel() for name, t in scores.items()}
    least_of = lambda name: max(1, math.ceil(limits.per_layer * len(flat[name][0])))  # noqa: E731
    left, parts, gone = {}, {}, {name: [w == 0 for w in flat[name][1]] for name in flat}
    for name, (values, sizes) in flat.items():
        left[name] = sum(size != 0 for size in sizes)
        for i in range(len(values)):
            row = i // columns[name]
            left[name, row] = left.get((name, row), 0) + (sizes[i] != 0)
            key = {"layer": name, "global": "", "isomorphic": signatures[name], "row": (name, row)}[scope]
            parts.setdefault(key, []).append((values[i], name, i))
    most = 1 - max(limits.protect, limits.per_layer if scope == "row" else 0)
    for part in parts.values():
        quota = round(min(share, most) * len(part)) - sum(gone[name][i] for _, name, i in part)
        for _, name, i in sorted(part):
            row = (name, i // columns[name])
            held = scope != "row" and left[name] <= least_of(name)
            if quota > 0 and not gone[name][i] and not held and left[row] > limits.per_row:
                gone[name][i] = True
                left[name] -= 1
                left[row] -= 1
                quota -= 1
    for names, least in [([name], least_of(name)) for name in flat] + [
        (list(flat), math.ceil(limits.protect * sum(map(len, gone.values()))))
    ]:
        lost = [(flat[name][0][i], name, i) for name in names for i, flag in enumerate(gone[name]) if flag]
        lost = sorted(((s, name, i) for s, name, i in lost if flat[name][1][i] != 0), reverse=True)
        kept = sum(not flag for name in names for flag in gone[name])
        for _, name, i in lost[: max(least - kept, 0)]:
            gone[name][i] = False
    return {name: [not flag for flag in gone[name]] for name in scores}


@settings(max_examples=120)
@given(networks(), st.sampled_from([0, 0.1, 0.3, 0.5, 0.8, 0.9, 1]), st.sampled_from(SCOPES), limits_of_all_kinds)
def test_a_share_goes_as_if_weights_went_one_by_one_and_limits_hold(network, share, scope, limits):
    scores, weights, signatures = network
    found = masks_of(scores, weights, share=share, scope=scope, signatures=signatures, limits=limits)
    expected = greedy(scores, weights, share, scope, signatures, limits)
    assert {name: mask.reshape(-1).tolist() for name, mask in found.items()} == expected
    assert list(found) == list(scores)
    assert all(found[name].shape == scores[name].shape for name in scores)
    backwards = {name: scores[name] for name in reversed(scores)}
    again = masks_of(backwards, weights, share=share, scope=scope, signatures=signatures, limits=limits)
    assert all(torch.equal(again[name], found[name]) for name in scores)
    more = masks_of(scores, weights, share=min(share + 0.2, 1), scope=scope, signatures=signatures, limits=limits)
    if not limits.protect and (scope != "row" or (limits.per_row and not limits.per_layer)):
        assert all(bool((found[name] | ~more[name]).all()) for name in scores)


@settings(max_examples=60)
@given(networks(), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.sampled_from(["layer", "global"]))
def test_a_quantile_takes_all_scores_up_to_it_and_a_threshold_all_weights(network, amount, scope):
    scores, weights, _ = network
    weights = {name: weight.abs() + 1 for name, weight in weights.items()}
    everything = torch.cat([score.reshape(-1) for score in scores.values()]).numpy()
    found = masks_of(scores, weights, quantile=amount, scope=scope, limits=FREE)
    for name, mask in found.items():
        ranked = everything if scope == "global" else scores[name].numpy()
        stays = scores[name] > float(np.quantile(ranked, amount, method="inverted_cdf")) if amount else mask | True
        assert torch.equal(mask, stays) or (int(mask.sum()) == 1 and not stays.any())
    for name, mask in masks_of(scores, weights, threshold=4 * amount, scope=scope, limits=FREE).items():
        stays = weights[name] > 4 * amount
        assert torch.equal(mask, stays) or (int(mask.sum()) == 1 and not stays.any())


def test_limits_hold_the_highest_scores_below_a_threshold():
    weights = {"w": torch.tensor([[0.1, 0.2, 0.3], [0.1, 5.0, 6.0], [0.0, 0.0, 0.1]])}
    scores = {"w": torch.tensor([[9.0, 1.0, 2.0], [9.0, 1.0, 1.0], [1.0, 1.0, 1.0]])}
    found = masks_of(scores, weights, threshold=1.0)["w"]
    assert found.tolist() == [[True, False, False], [False, True, True], [False, False, True]]
    held = masks_of(scores, weights, threshold=1.0, limits=Limits(protect=5 / 9))["w"]
    # One more of all, that of the highest score.
    assert held.tolist() == [[True, False, False], [True, True, True], [False, False, True]]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.95])
def test_as_pytorch_prunes_globally_and_by_layer(share):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(40, 20), nn.Linear(20, 10))
        for layer in model:
            # Not of a scale of their own: PyTorch would empty a layer at 95 %.
            nn.init.normal_(layer.weight)
    weights = {f"{name}.weight": layer.weight.detach().clone() for name, layer in model.named_children()}
    scores = {name: weight.abs() for name, weight in weights.items()}
    prune.global_unstructured([(layer, "weight") for layer in model], prune.L1Unstructured, amount=share)
    found = masks_of(scores, weights, share=share, limits=FREE)
    assert sparsity_of(found) == pytest.approx(share, abs=0.5 / (216 + 800 + 200))
    for name, layer in model.named_children():
        assert torch.equal(found[f"{name}.weight"], layer.weight_mask.bool())
        prune.remove(layer, "weight")
        layer.weight.data.copy_(weights[f"{name}.weight"])
        prune.l1_unstructured(layer, "weight", amount=share)
    found = masks_of(scores, weights, share=share, scope="layer", limits=FREE)
    for name, layer in model.named_children():
        assert torch.equal(found[f"{name}.weight"], layer.weight_mask.bool())


def test_a_row_keeps_a_weight_though_the_share_rounds_to_all_of_it():
    weights = {"conv.weight": torch.arange(1.0, 33 * 9 + 1).reshape(33, 1, 3, 3)}
    found = masks_of(weights, weights, share=0.95, scope="row")["conv.weight"]
    assert found.reshape(33, 9).sum(1).tolist() == [1] * 33
    assert bool(found[:, 0, 2, 2].all())


def test_what_is_pruned_already_counts():
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(30, 40, generator=generator) for name in "ab"}
    half = masks_of({n: w.abs() for n, w in weights.items()}, weights, share=0.5)
    pruned = {name: weight * half[name] for name, weight in weights.items()}
    drawn = {name: torch.rand(30, 40, generator=generator) for name in "ab"}
    for less in ({"share": 0.3}, {"share": 0.5}, {"quantile": 0.5}, {"threshold": 0.0}):
        again = masks_of(drawn, pruned, **less)
        assert all(torch.equal(again[name], half[name]) for name in "ab")
    more = masks_of({n: w.abs() for n, w in pruned.items()}, pruned, share=0.8)
    straight = masks_of({n: w.abs() for n, w in weights.items()}, weights, share=0.8)
    assert all(torch.equal(more[name], straight[name]) for name in "ab")


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("amount", [{"share": 1.0}, {"share": 0.5}, {"threshold": 9.0}, {"quantile": 1.0}])
@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"a": torch.zeros(0, 3), "b": torch.zeros(3, 0), "c": torch.tensor(2.0)},
        {"a": torch.ones(4, 4), "b": torch.ones(4)},
        {"a": torch.zeros(4, 4), "b": torch.full((2, 2), 3.0, dtype=torch.bfloat16)},
        {"a": torch.ones(1, 1)},
    ],
    ids=["nothing", "empty", "equal", "zeros", "one"],
)
def test_odd_networks_keep_a_weight_of_each_row_that_had_one(tensors, amount, scope):
    scores = {name: torch.ones_like(weight, dtype=torch.float32) for name, weight in tensors.items()}
    found = masks_of(scores, tensors, **amount, scope=scope, signatures=dict.fromkeys(tensors, "s"))
    assert 0 <= sparsity_of(found) <= 1
    for name, mask in found.items():
        assert mask.shape == tensors[name].shape
        assert mask.dtype == torch.bool
        alive = tensors[name] != 0
        if mask.ndim > 1:
            assert torch.equal(mask.any(1), alive.any(1))
        assert mask.any() == alive.any()


def neighbours(score, n, m):
    """The n highest of every m numbers in a row, by sorting; of equal ones the last stay."""
    kept = np.zeros(score.shape, dtype=bool)
    for start in range(0, score.shape[1], m):
        for row, block in enumerate(score[:, start : start + m]):
            kept[row, start + np.argsort(block, kind="stable")[::-1][:n]] = True
    return kept


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 11), st.integers(0, 2**32 - 1), st.sampled_from([3, 1000]))
def test_n_of_m_neighbours_along_the_inputs_stay(n, more, inputs, seed, levels):
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, (3, inputs, 2)).astype(np.float32)
    tensors = {"conv": torch.from_numpy(score), "turned": torch.from_numpy(score.swapaxes(0, 1).copy())}
    ones = {name: torch.ones_like(tensor) for name, tensor in tensors.items()}
    found = n_of_m(tensors, ones, n=n, m=n + more, dims={"turned": 0})
    expected = np.stack([neighbours(score[:, :, k], n, n + more) for k in range(2)], axis=2)
    assert np.array_equal(found["conv"].numpy(), expected)
    assert torch.equal(found["turned"], found["conv"].swapaxes(0, 1))
    # Zeros go first, however much they are worth, and stay gone.
    holes = torch.from_numpy(rng.random(score.shape) < 0.4)
    pruned = n_of_m({"conv": tensors["conv"] + 1}, {"conv": (~holes).float()}, n=n, m=n + more)["conv"].numpy()
    again = [neighbours(((score + 1) * ~holes.numpy())[:, :, k], n, n + more) for k in range(2)]
    assert np.array_equal(pruned, np.stack(again, axis=2) & ~holes.numpy())


GOOD = {"w": torch.ones(2, 2)}
BAD = {
    "no amount": ({}, "exactly one"),
    "two amounts": ({"share": 0.5, "quantile": 0.5}, "exactly one"),
    "share": ({"share": 1.5}, "share must be between 0 and 1, not 1.5"),
    "nan": ({"quantile": float("nan")}, "quantile must be between 0 and 1"),
    "threshold": ({"threshold": -1.0}, "threshold must be 0 or more"),
    "scope": ({"share": 0.5, "scope": "world"}, "unknown scope 'world'"),
    "signature": ({"share": 0.5, "scope": "isomorphic"}, "needs a signature of w"),
}


@pytest.mark.parametrize("case", BAD)
def test_amounts_that_cannot_be_are_refused(case):
    settings_of_it, line = BAD[case]
    with pytest.raises(ValueError, match=line):
        masks_of(GOOD, GOOD, **settings_of_it)


@pytest.mark.parametrize(
    ("score", "line"),
    [
        ({"w": torch.tensor([[1, float("nan")], [1, 1]])}, "w are not finite"),
        ({"w": torch.tensor([[1, float("inf")], [1, 1]])}, "w are not finite"),
        ({"v": torch.ones(2, 2)}, "v, but no weights"),
        ({"w": torch.ones(4)}, r"shape \(4,\), not \(2, 2\)"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(score, line):
    with pytest.raises(ValueError, match=line):
        masks_of(score, GOOD, share=0.5)
    with pytest.raises(ValueError, match=line):
        n_of_m(score, GOOD, n=2, m=4)


def test_other_numbers_that_cannot_be_are_refused():
    for wrong in ({"protect": 2}, {"per_layer": -0.1}, {"per_row": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Limits(**wrong)
    for n, m in ((0, 4), (5, 4)):
        with pytest.raises(ValueError, match="n must be between 1 and m"):
            n_of_m(GOOD, GOOD, n=n, m=m)
    with pytest.raises(ValueError, match="bias has 1 dimensions"):
        n_of_m({"bias": torch.ones(4)}, {"bias": torch.ones(4)}, n=2, m=4)


def test_equal_scores_of_a_large_tensor_go_from_the_first_on():
    weights = {"b": torch.ones(2100, 1000), "a": torch.ones(2000)}
    found = masks_of(weights, weights, share=0.6, limits=FREE)
    assert found["a"].tolist() == [False] * 1999 + [True]
    gone = round(0.6 * 2_102_000) - 1999
    assert bool((found["b"].reshape(-1) == (torch.arange(2_100_000) >= gone)).all())
