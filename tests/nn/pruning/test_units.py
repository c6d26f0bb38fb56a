"""What units are worth, against Torch-Pruning, and against what flows through them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from datadiet_cli.nn.device import computing
from datadiet_cli.nn.optimising import losses_of
from datadiet_cli.nn.pruning.base import Structure
from datadiet_cli.nn.pruning.criteria import CRITERIA
from tests.nn.lessons import CPU
from tests.nn.pruning.ranked import (
    case_of,
    member,
    of,
    residual_structure,
    same_state,
    state_of,
    structure_of,
    units_of,
)


@pytest.fixture(autouse=True)
def one_thread():
    with computing(CPU, 1):
        yield


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scores_of_units(criterion):
    model, samples = case_of("residual")
    model.train().conv1.requires_grad_(False)
    structure, before = residual_structure(model), state_of(model)
    found, again = (units_of(criterion, model, structure, samples) for _ in range(2))
    same_state(before, state_of(model))
    assert list(found) == (["conv1"] if criterion == "bn-scale" else ["conv1", "fc1"])
    for group, scores in found.items():
        assert (scores.dtype, scores.shape) == (np.float64, (structure.group(group).units,))
        assert np.isfinite(scores).all()
        assert scores.min() >= 0
        assert len(set(scores)) > 1
        np.testing.assert_array_equal(scores, again[group])
        if criterion not in ("random", "lamp"):
            assert scores.mean() == pytest.approx(1)


def by_torch_pruning(model, importance, layer, x):
    tp = pytest.importorskip("torch_pruning")
    graph = tp.DependencyGraph().build_dependency(model.eval(), example_inputs=x)
    cut = tp.prune_conv_out_channels if isinstance(layer, nn.Conv2d) else tp.prune_linear_out_channels
    return importance(tp)(graph.get_pruning_group(layer, cut, list(range(len(layer.weight))))).numpy()


IMPORTANCES = {
    ("magnitude", "l1"): lambda tp: tp.importance.GroupMagnitudeImportance(p=1),
    ("magnitude", "l2"): lambda tp: tp.importance.GroupMagnitudeImportance(p=2),
    ("lamp", "l1"): lambda tp: tp.importance.LAMPImportance(),
    ("bn-scale", "l1"): lambda tp: tp.importance.BNScaleImportance(),
    ("gradient", "l1"): lambda tp: tp.importance.GroupTaylorImportance(),
}


@pytest.mark.parametrize(("criterion", "norm"), IMPORTANCES)
def test_units_as_torch_pruning_has_them(criterion, norm):
    model, samples = case_of("residual")
    structure = residual_structure(model)
    if criterion == "gradient":
        # It leaves the scales of batch norms out of this one.
        model.norm1, model.norm2 = nn.Identity(), nn.Identity()
        kept = [one for one in structure.group("conv1").members if not one.tensor.startswith("norm")]
        structure = structure_of(model, conv1=(4, tuple(kept)), fc1=(5, structure.group("fc1").members))
    found = units_of(criterion, model, structure, samples, norm=norm, batch=23)
    reference = copy.deepcopy(model).eval()
    losses_of(reference(*samples.inputs), samples.target, 1.0).mean().backward()
    for name, scores in found.items():
        layer = reference.get_submodule(name)
        expected = by_torch_pruning(reference, IMPORTANCES[criterion, norm], layer, samples.inputs[0][:2])
        np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_units_by_what_flows_through_them():
    model, samples = case_of("residual")
    structure = residual_structure(model)
    given = {}
    model.eval()
    for name in ("norm1", "norm2", "fc1", "fc2"):
        model.get_submodule(name).register_forward_hook(
            lambda _, args, out, name=name: given.update({name: (args[0].detach(), out.detach())})
        )
    with torch.no_grad():
        model(*samples.inputs)
    means = [given[name][1].abs().mean((0, 2, 3)).double() for name in ("norm1", "norm2")]
    expected = sum(mean / mean.mean() for mean in means).numpy() / 2
    fc1 = given["fc1"][1].abs().mean(0).numpy()
    found = units_of("activation", model, structure, samples)
    np.testing.assert_allclose(found["conv1"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["fc1"], fc1 / fc1.mean(), rtol=1e-5)
    weights = of("wanda", model, samples)
    taken = weights["conv2.weight"].sum((0, 2, 3)) + weights["fc1.weight"].view(5, 4, 4).sum((0, 2))
    found = units_of("wanda", model, structure, samples)
    np.testing.assert_allclose(found["conv1"], taken / taken.mean(), rtol=1e-5)
    taken = weights["fc2.weight"].sum(0)
    np.testing.assert_allclose(found["fc1"], taken / taken.mean(), rtol=1e-5)


def test_units_of_nothing_and_units_that_cannot_be_ranked():
    model, samples = case_of("residual")
    for name in ("fc1.weight", "fc2.weight"):
        model.get_parameter(name).data.zero_()
    structure = residual_structure(model)
    for criterion in ("magnitude", "gradient", "wanda"):
        np.testing.assert_array_equal(units_of(criterion, model, structure, samples)["fc1"], 1)
    np.testing.assert_array_equal(units_of("lamp", model, structure)["fc1"], 0)
    assert units_of("magnitude", model, Structure(())) == {}
    plain = structure_of(model, head=(3, (member("fc2.bias", 0, 3),)))
    for criterion in set(CRITERIA) - {"random"}:
        assert units_of(criterion, model, plain, samples) == {}
